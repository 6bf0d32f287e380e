#include "races.h"
static const struct race none[]={{}};const struct race *zap_race_list(void){return none;}

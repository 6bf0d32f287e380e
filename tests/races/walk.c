#include "races.h"
const struct race walk_races[]={{}};

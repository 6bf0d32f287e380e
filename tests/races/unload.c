#include "races.h"
const struct race unload_races[]={{}};

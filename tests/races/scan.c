#include "races.h"
const struct race scan_races[]={{}};

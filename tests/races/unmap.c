#include "races.h"
const struct race unmap_races[]={{}};

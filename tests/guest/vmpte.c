// SPDX-License-Identifier: GPL-2.0
/* What page tables processes have and the least they could have: least.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "least.h"

int main(int argc, char **argv)
{
	int i, status = 0;

	if (argc < 2 || !strcmp(argv[1], "--help")) {
		fprintf(stderr, "usage: vmpte PID...\n"
			"One line each: RSS, VmPTE and the least VmPTE in kB, "
			"then PTE, PMD and PUD tables needed, and PTE tables "
			"there.\n");
		return argc < 2 ? 2 : 0;
	}
	for (i = 1; i < argc; i++)
		status |= print_footprint(atoi(argv[i])) != 0;
	return status;
}

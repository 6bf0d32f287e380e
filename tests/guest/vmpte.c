// SPDX-License-Identifier: GPL-2.0
/* What page tables processes have and the least they could have: least.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "least.h"

static long ms_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000;
}

/*
 * No more than one part in five of the time is for looking, which the programs want; unless a look
 * takes long: then they would have ended before the next.
 */
#define SHARE	5
#define LONGEST	1000

/* Until the processes have ended: what all of them have together. */
static int watch(long every, char **pids, int n)
{
	struct timespec begin;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		struct footprint sum = { 0 }, f;
		long pause, looks_at = ms_since(&begin);
		int i, there = 0;

		for (i = 0; i < n; i++) {
			if (footprint(atoi(pids[i]), &f))
				continue;
			there++;
			sum.rss_kb += f.rss_kb;
			sum.vmpte_kb += f.vmpte_kb;
			sum.least_kb += f.least_kb;
		}
		/* Who is a zombie has nothing, either. */
		if (!there || !sum.rss_kb)
			return 0;
		printf("%ld %ld %ld %ld\n", ms_since(&begin), sum.rss_kb, sum.vmpte_kb,
		       sum.least_kb);
		fflush(stdout);
		pause = (ms_since(&begin) - looks_at) * (SHARE - 1);
		if (pause > LONGEST)
			pause = LONGEST;
		if (pause < every)
			pause = every;
		nanosleep(&(struct timespec){ pause / 1000, pause % 1000 * 1000000 }, NULL);
	}
}

int main(int argc, char **argv)
{
	int i, status = 0;

	if (argc > 3 && !strcmp(argv[1], "--every"))
		return watch(atol(argv[2]), argv + 3, argc - 3);
	if (argc < 2 || !strcmp(argv[1], "--help")) {
		fprintf(stderr, "usage: vmpte [--every MS] PID...\n"
			"One line each: RSS, VmPTE and the least VmPTE in kB, "
			"then PTE, PMD and PUD tables needed, and PTE tables there.\n"
			"--every: of all together, until they have ended: milliseconds, RSS, "
			"VmPTE and the least VmPTE; so often, or as seldom as once "
			"a second if looking takes long.\n");
		return argc < 2 ? 2 : 0;
	}
	for (i = 1; i < argc; i++)
		status |= print_footprint(atoi(argv[i])) != 0;
	return status;
}

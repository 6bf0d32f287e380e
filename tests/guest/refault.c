// SPDX-License-Identifier: GPL-2.0
/* Tables that the background scan frees and that come back soon. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ptest.h"

#define SCAN_AGE	"/sys/module/ptreclaim/parameters/scan_age_ms"

/*
 * A program that fills its tables again and again is left alone soon. "Soon
 * again" is four times scan_age_ms; so that it means that on a slow machine
 * too, the age is some times what it takes to fill them.
 */
static void left_alone(void)
{
	long freed, before, rounds = 0;
	double start, age;
	int fd = memfd(SIZE), i;
	char *p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd);
	char ms[16];

	if (mode != MODE_MODULE)
		return;
	mark();
	before = read_number(SCAN_AGE, NULL);
	fill(p, SIZE, KIB(64), 1);
	start = now();
	fill(p, SIZE, KIB(64), 1);
	SYS(ftruncate(fd, 0));
	SYS(ftruncate(fd, SIZE));
	fill(p, SIZE, KIB(64), 1);
	age = 8 * (now() - start);
	if (age < before / 1000.0)
		age = before / 1000.0;
	snprintf(ms, sizeof(ms), "%.0f", age * 1000);
	write_text(SCAN_AGE, ms);

	freed = counter("scan_freed");
	counters_mark();
	write_text(SCAN, "Y");
	for (i = 0; i < 6; i++) {
		SYS(ftruncate(fd, 0));
		SYS(ftruncate(fd, SIZE));
		for (start = now(); tables() && now() - start < 3.5 * age; )
			nap(20);
		rounds += tables() == 0;
		fill(p, SIZE, KIB(64), i);
		verify(p, SIZE, KIB(64), i);
	}
	write_text(SCAN, "N");
	snprintf(ms, sizeof(ms), "%ld", before);
	write_text(SCAN_AGE, ms);
	freed = counter("scan_freed") - freed;
	note("age %.1f s: %ld tables freed, gone in %ld of %d rounds", age,
	     freed, rounds, i);
	grew("refaulted", NR);
	CHECK(freed >= NR, "only %ld tables were freed", freed);
	CHECK(rounds <= i / 2, "freed in %ld of %d rounds", rounds, i);
}

const struct test_case refault_cases[] = {
	{ "refault.left_alone", "freed until they have come back a few times",
	  left_alone },
	{ }
};

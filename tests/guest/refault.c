// SPDX-License-Identifier: GPL-2.0
/* Tables that the background scan frees and that come back soon. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ptest.h"

#define SCAN_AGE	"/sys/module/ptreclaim/parameters/scan_age_ms"
#define SCAN_INTERVAL	"/sys/module/ptreclaim/parameters/scan_interval_ms"

#define ROUNDS		6
/* How often the age is doubled, if the machine has become slower meanwhile. */
#define ATTEMPTS	4

struct outcome {
	long freed;		/* tables */
	int gone;		/* rounds in which all of them were */
	double slowest;		/* seconds from when they were gone to when they were back */
};

static void set_age(double age)
{
	char ms[16];

	snprintf(ms, sizeof(ms), "%.0f", age * 1000);
	write_text(SCAN_AGE, ms);
}

static void all_goes(int fd)
{
	SYS(ftruncate(fd, 0));
	SYS(ftruncate(fd, SIZE));
}

static struct outcome fill_again_and_again(char *p, int fd, double age)
{
	long interval = read_number(SCAN_INTERVAL, NULL);
	struct outcome o = { 0 };
	int i;

	/* However slow the machine is. */
	alarm(120 + ROUNDS * 8 * age);
	set_age(age);
	o.freed = -counter("scan_freed");
	counters_mark();
	write_text(SCAN, "Y");
	for (i = 0; i < ROUNDS; i++) {
		double start = now(), took;

		all_goes(fd);
		while (tables() && now() - start < 3.5 * age)
			nap(20);
		o.gone += tables() == 0;
		start = now();
		/* It is to see them come back at once: what comes later is not counted. */
		write_text(SCAN, "N");
		fill(p, SIZE, KIB(64), i);
		took = now() - start;
		if (took > o.slowest)
			o.slowest = took;
		verify(p, SIZE, KIB(64), i);
		write_text(SCAN, "Y");
		/* What the scanner has not seen live has been empty all the time. */
		nap(2 * interval);
	}
	write_text(SCAN, "N");
	o.freed += counter("scan_freed");
	note("age %.1f s: %ld tables freed, gone in %d of %d rounds; filled in %.1f s", age,
	     o.freed, o.gone, ROUNDS, o.slowest);
	return o;
}

/*
 * A program that fills its tables again and again is left alone soon. "Soon
 * again" is four times scan_age_ms; so that it means that on a slow machine
 * too, the age is some times what it takes to fill them, and to look at them.
 */
static void left_alone(void)
{
	long before;
	double start, age, least;
	int fd = memfd(SIZE), i;
	char *p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd);
	struct outcome o;

	if (mode != MODE_MODULE)
		return;
	mark();
	before = read_number(SCAN_AGE, NULL);
	least = 5 * read_number(SCAN_INTERVAL, NULL) / 1000.0;
	fill(p, SIZE, KIB(64), 1);
	start = now();
	fill(p, SIZE, KIB(64), 1);
	all_goes(fd);
	fill(p, SIZE, KIB(64), 1);
	age = 8 * (now() - start);
	if (age < least)
		age = least;

	for (i = 0; i < ATTEMPTS; i++, age *= 2) {
		o = fill_again_and_again(p, fd, age);
		/* Half of the time in which it counts as soon is for the scanner. */
		if (o.slowest < 2 * age)
			break;
	}
	set_age(before / 1000.0);
	grew("refaulted", NR);
	CHECK(o.freed >= NR, "only %ld tables were freed", o.freed);
	CHECK(o.gone <= ROUNDS / 2, "freed in %d of %d rounds", o.gone, ROUNDS);
}

const struct test_case refault_cases[] = {
	{ "refault.left_alone", "freed until they have come back a few times",
	  left_alone },
	{ }
};

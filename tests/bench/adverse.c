// SPDX-License-Identifier: GPL-2.0
/* Patterns that are made to have a reclaimer look much and free nothing, or free what comes back. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

static void give_back(char *p)
{
	begin();
	advise(p, PAGE, MADV_DONTNEED);
	end(1);
}

/* The page that keeps the table is as far from the zapped one as it can be. */
static void far_page(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE), *at = p + (row->len ? TABLE - PAGE : 0);

	map(p, TABLE);
	touch(p + (row->len ? 0 : TABLE - PAGE), PAGE, PAGE);
	for (unsigned long i = 0; i < times; i++) {
		touch(at, PAGE, PAGE);
		give_back(at);
	}
	unmap(p, TABLE);
}

/* A page in so many comes and goes somewhere in 64 tables: a few are empty now and then. */
static void at_random(const struct row *row, unsigned long times)
{
	size_t len = 64 * TABLE;
	uint64_t dice = 1;
	char *p = fresh(len);

	map(p, len);
	touch(p, len, TABLE / row->step);
	for (unsigned long i = 0; i < times; i++) {
		char *at;

		dice = dice * 6364136223846793005 + 1442695040888963407;
		at = p + (dice >> 33) % (64 * row->step) * (TABLE / row->step);
		give_back(at);
		dice = dice * 6364136223846793005 + 1442695040888963407;
		at = p + (dice >> 33) % (64 * row->step) * (TABLE / row->step);
		touch(at, PAGE, PAGE);
	}
	unmap(p, len);
}

/* Two pages of a table, never both: it is empty each time, and never for long. */
static void alternating(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	begin();
	for (unsigned long i = 0; i < times; i++) {
		char *at = p + (i & 1 ? TABLE - PAGE : 0);

		touch(at, PAGE, PAGE);
		advise(at, PAGE, MADV_DONTNEED);
	}
	end(times);
	unmap(p, TABLE);
	(void)row;
}

/*
 * The same in many tables in turn, so that each has been empty for a while. So often that it does
 * not matter what is freed in the beginning.
 */
static void in_turn(const struct row *row, unsigned long times)
{
	char *p = fresh(256 * TABLE);

	map(p, 256 * TABLE);
	begin();
	for (unsigned long i = 0; i < times; i++) {
		char *at = p + i % 256 * TABLE;

		touch(at, PAGE, PAGE);
		advise(at, PAGE, MADV_DONTNEED);
	}
	end(times);
	unmap(p, 256 * TABLE);
	(void)row;
}

const struct row adverse_rows[] = {
	{ "adverse.first_page_stays", NOTHING, far_page, 2000, .len = 1 },
	{ "adverse.last_page_stays", NOTHING, far_page, 2000, .len = 0 },
	{ "adverse.random.512_pages", NOTHING, at_random, 5000, .step = 512 },
	{ "adverse.random.16_pages", NOTHING, at_random, 5000, .step = 16 },
	{ "adverse.random.2_pages", FREES, at_random, 20000, .step = 2 },
	{ "adverse.alternating", FREES, alternating, 5000, .unit = "cycle" },
	{ "adverse.in_turn", FREES, in_turn, 51200, .unit = "cycle" },
	{ }
};

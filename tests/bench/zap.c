// SPDX-License-Identifier: GPL-2.0
/* madvise(MADV_DONTNEED) of little and much, in tables that are full, sparse, or hold one page. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

#define FULL	PAGE
#define SPARSE	KIB(64)
#define ONE	TABLE

static void fill(char *p, size_t len, size_t step)
{
	if (step == FULL)
		populate(p, len);
	else
		touch(p, len, step);
}

static void give_back(char *p, size_t len)
{
	begin();
	advise(p, len, MADV_DONTNEED);
	end(1);
}

/* In one table, a part after the other; it is as full again before the next call. */
static void part(const struct row *row, unsigned long times)
{
	size_t piece = row->len > row->step ? row->len : row->step;
	char *p = fresh(TABLE);

	map(p, TABLE);
	fill(p, TABLE, row->step);
	for (unsigned long i = 0; i < times; i++) {
		char *at = p + i * 37 % (TABLE / piece) * piece;

		give_back(at, row->len);
		fill(at, row->len, row->step);
	}
	unmap(p, TABLE);
}

/* A table after the other, or a GiB: what is given back is all that was there. */
static void whole(const struct row *row, unsigned long times)
{
	size_t each = row->len > TABLE ? row->len : TABLE;

	while (times) {
		unsigned long n = times < 400 ? times : 400;
		char *p = fresh(n * each);

		map(p, n * each);
		for (unsigned long i = 0; i < n; i++) {
			fill(p + i * each, each, row->step);
			give_back(p + i * each, row->len);
		}
		unmap(p, n * each);
		times -= n;
	}
}

/* Where there is no table. */
static void nothing(const struct row *row, unsigned long times)
{
	char *p = fresh(row->len);

	map(p, row->len);
	for (unsigned long i = 0; i < times; i++)
		give_back(p, row->len);
	unmap(p, row->len);
}

const struct row zap_rows[] = {
	{ "dontneed.4k.full", NOTHING, part, 2000, .len = PAGE, .step = FULL },
	{ "dontneed.64k.full", NOTHING, part, 500, .len = KIB(64), .step = FULL },
	{ "dontneed.1m.full", NOTHING, part, 50, .len = MIB(1), .step = FULL },
	{ "dontneed.2m.full", FREES, whole, 40, .len = TABLE, .step = FULL },
	{ "dontneed.1g.full", FREES, whole, 1, .len = GIB, .step = FULL },
	{ "dontneed.4k.sparse", NOTHING, part, 2000, .len = PAGE, .step = SPARSE },
	{ "dontneed.64k.sparse", NOTHING, part, 2000, .len = KIB(64), .step = SPARSE },
	{ "dontneed.1m.sparse", NOTHING, part, 500, .len = MIB(1), .step = SPARSE },
	{ "dontneed.2m.sparse", FREES, whole, 400, .len = TABLE, .step = SPARSE },
	{ "dontneed.1g.sparse", FREES, whole, 2, .len = GIB, .step = SPARSE },
	{ "dontneed.4k.one_page", FREES, whole, 1000, .len = PAGE, .step = ONE },
	{ "dontneed.64k.one_page", FREES, whole, 1000, .len = KIB(64), .step = ONE },
	{ "dontneed.1m.one_page", FREES, whole, 1000, .len = MIB(1), .step = ONE },
	{ "dontneed.2m.one_page", FREES, whole, 1000, .len = TABLE, .step = ONE },
	{ "dontneed.1g.one_page", FREES, whole, 4, .len = GIB, .step = ONE },
	{ "dontneed.2m.nothing", NOTHING, nothing, 2000, .len = TABLE },
	{ "dontneed.1g.nothing", NOTHING, nothing, 200, .len = GIB },
	{ }
};

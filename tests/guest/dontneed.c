// SPDX-License-Identifier: GPL-2.0
/* MADV_DONTNEED of one VMA at a time, in every size, order and alignment. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ptest.h"

/* 32 tables with a page in every 64 KiB, as all cases here begin. */
static char *filled(void)
{
	char *p = map_anon(SIZE);

	mark();
	fill(p, SIZE, KIB(64), 1);
	left(NR, NR, NR);
	verify(p, SIZE, KIB(64), 1);
	return p;
}

static void whole(void)
{
	char *p = filled();

	counters_mark();
	advise(p, SIZE, MADV_DONTNEED);
	left(NR, 0, 0);
	grew("freed", NR);
	verify_zero(p, SIZE, KIB(64));
}

static void by_2m(void)
{
	char *p = filled();

	advise_pieces(p, SIZE, TABLE, MADV_DONTNEED);
	left(NR, 0, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* 4 MiB at half a table's shift holds one table and two halves. */
static void by_4m_shifted(void)
{
	char *p = filled();

	advise(p, MIB(1), MADV_DONTNEED);
	advise_pieces(p + MIB(1), SIZE - MIB(1), 2 * TABLE, MADV_DONTNEED);
	left(NR, NR / 2, 0);
	verify_zero(p, SIZE, KIB(64));
}

static void by_1m(void)
{
	char *p = filled();

	advise_pieces(p, SIZE, MIB(1), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* The last of the 32 pieces of a table frees it, and none before. */
static void by_64k(void)
{
	char *p = filled();
	long t;

	counters_mark();
	for (t = 0; t < NR; t++) {
		char *table = p + t * TABLE;

		advise_pieces(table, TABLE - KIB(64), KIB(64), MADV_DONTNEED);
		left(NR, NR, NR - t);
		verify(table + TABLE - KIB(64), KIB(64), KIB(64), 1);
		advise(table + TABLE - KIB(64), KIB(64), MADV_DONTNEED);
		left(NR, NR, NR - t - 1);
	}
	grew("freed", NR);
	verify_zero(p, SIZE, KIB(64));
}

static void by_4k(void)
{
	char *p = map_anon(2 * TABLE);

	mark();
	fill(p, 2 * TABLE, PAGE, 1);
	advise_pieces(p, 2 * TABLE - PAGE, PAGE, MADV_DONTNEED);
	left(2, 2, 1);
	advise(p + 2 * TABLE - PAGE, PAGE, MADV_DONTNEED);
	left(2, 2, 0);
	verify_zero(p, 2 * TABLE, PAGE);
}

static void backwards(void)
{
	char *p = filled();
	size_t i;

	for (i = SIZE; i; i -= KIB(64))
		advise(p + i - KIB(64), KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* Every piece once, in an order that jumps between and inside tables. */
static void scattered(void)
{
	char *p = filled();
	size_t n = SIZE / KIB(64), i;

	for (i = 0; i < n; i++)
		advise(p + i * 389 % n * KIB(64), KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* Pieces of 2 MiB that each cover two tables in part. */
static void shifted(void)
{
	char *p = filled();

	advise_pieces(p + PAGE, SIZE - PAGE, TABLE, MADV_DONTNEED);
	/* Only the first page of all is outside of every piece. */
	left(NR, NR, 1);
	verify(p, PAGE, PAGE, 1);
	advise(p, PAGE, MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* Only the pages themselves are given, nothing of the empty rest. */
static void exact_pages(void)
{
	char *p = filled();
	size_t i;

	for (i = 0; i < SIZE; i += KIB(64))
		advise(p + i, PAGE, MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

static void vector(void)
{
	static struct iovec v[2 * NR];
	int fd = SYS(syscall(SYS_pidfd_open, getpid(), 0));
	char *p = filled();
	size_t i;

	for (i = 0; i < 2 * NR; i++)
		v[i] = (struct iovec){ p + i * MIB(1), MIB(1) };
	CHECK(SYS(syscall(SYS_process_madvise, fd, v, 2 * NR, MADV_DONTNEED,
			  0)) == SIZE, "process_madvise() did less");
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

static void locked(void)
{
	char *p = map_anon(8 * TABLE);

	SYS(mlock2(p, 8 * TABLE, MLOCK_ONFAULT));
	mark();
	fill(p, 8 * TABLE, KIB(64), 1);
	CHECK(madvise(p, PAGE, MADV_DONTNEED), "DONTNEED of locked memory");
	verify(p, 8 * TABLE, KIB(64), 1);
	left(8, 8, 8);
	advise_pieces(p, 8 * TABLE, KIB(64), MADV_DONTNEED_LOCKED);
	left(8, 8, 0);
	verify_zero(p, 8 * TABLE, KIB(64));
}

/* How sanitizers and some collectors give memory back. */
static void without_access(void)
{
	char *p = filled();

	SYS(mprotect(p, SIZE, PROT_NONE));
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	SYS(mprotect(p, SIZE, PROT_READ));
	verify_zero(p, SIZE, KIB(64));
}

static void zero_pages(void)
{
	char *p = map_anon(SIZE);

	mark();
	verify_zero(p, SIZE, KIB(64));
	left(NR, NR, NR);
	advise(p, SIZE, MADV_DONTNEED);
	left(NR, 0, 0);
}

static void zero_pages_by_64k(void)
{
	char *p = map_anon(SIZE);

	mark();
	verify_zero(p, SIZE, KIB(64));
	left(NR, NR, NR);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
}

static void live_page(void)
{
	char *p = filled();

	counters_mark();
	/* Each table loses all but its page at 1 MiB. What is zapped does not end beside it. */
	for (size_t t = 0; t < SIZE; t += TABLE) {
		advise(p + t, MIB(1) - PAGE, MADV_DONTNEED);
		advise(p + t + MIB(1) + 2 * PAGE, MIB(1) - 2 * PAGE, MADV_DONTNEED);
	}
	left(NR, NR, NR);
	grew("kept_present", NR);
	for (size_t t = 0; t < SIZE; t += TABLE) {
		verify(p + t + MIB(1), PAGE, PAGE, 1);
		verify_zero(p + t, MIB(1), KIB(64));
	}
}

/* Nothing to zap, but the table is there: the range is looked at all the same. */
static void already_empty(void)
{
	char *p = map_anon(SIZE);

	mark();
	advise(p, SIZE, MADV_GUARD_INSTALL);
	advise(p, SIZE, MADV_GUARD_REMOVE);
	left(NR, NR, NR);
	advise_pieces(p, SIZE, MIB(1), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

/*
 * A table freed and filled again within the interval. When this machine took
 * longer than that over it, which the caller must tell, the next try is another
 * table.
 */
static char *freed_and_filled(double *when)
{
	char *p = map_anon(TABLE);

	mark();
	fill(p, TABLE, KIB(64), 1);
	*when = now();
	advise_pieces(p, TABLE, KIB(64), MADV_DONTNEED);
	left(1, 1, 0);
	fill(p, TABLE, KIB(64), 2);
	left(1, 1, 1);
	counters_mark();
	return p;
}

static bool in_time(double when)
{
	return mode != MODE_MODULE || (now() - when) * 1000 < refill_ms();
}

/* A table that comes back at once stays for a while, and not for ever. */
static void refilled(void)
{
	double when;
	char *p;
	int i;

	for (i = 0; ; i++) {
		CHECK(i < 50, "too slow for an interval of %ld ms",
		      refill_ms());
		p = freed_and_filled(&when);
		advise_pieces(p, TABLE, MIB(1), MADV_DONTNEED);
		if (in_time(when))
			break;
	}
	left(1, 1, 1);
	grew("kept_refilled", 1);
	verify_zero(p, TABLE, KIB(64));
	nap(2 * refill_ms());
	advise_pieces(p, TABLE, MIB(1), MADV_DONTNEED);
	left(1, 1, 0);
	verify_zero(p, TABLE, KIB(64));
}

/* The same for a call over the whole table. */
static void refilled_whole(void)
{
	double when;
	char *p;
	int i;

	for (i = 0; ; i++) {
		CHECK(i < 50, "too slow for an interval of %ld ms",
		      refill_ms());
		p = freed_and_filled(&when);
		advise(p, TABLE, MADV_DONTNEED);
		if (in_time(when))
			break;
	}
	left(1, 0, 1);
	grew("kept_refilled", 1);
	nap(2 * refill_ms());
	advise(p, PAGE, MADV_DONTNEED);
	left(1, 0, 0);
	verify_zero(p, TABLE, KIB(64));
}

/* Switched off, the module leaves all to the built-in; and on, nothing. */
static void main_switch(void)
{
	char *q = map_anon(SIZE), *p = filled();
	const char *file = "/sys/module/ptreclaim/parameters/enabled";
	long pieces, whole;

	if (mode == MODE_MODULE)
		write_text(file, "N");
	advise_pieces(p, SIZE, MIB(1), MADV_DONTNEED);
	pieces = tables();
	advise(p, SIZE, MADV_DONTNEED);
	whole = tables();
	if (mode == MODE_MODULE)
		write_text(file, "Y");
	CHECK(pieces == NR, "%ld tables left by pieces", pieces);
	CHECK(whole == (mode == MODE_OFF ? NR : 0), "%ld tables left", whole);
	mark();
	fill(q, SIZE, KIB(64), 1);
	advise_pieces(q, SIZE, MIB(1), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
	verify_zero(q, SIZE, KIB(64));
}

const struct test_case dontneed_cases[] = {
	{ "dontneed.whole", FREED, whole },
	{ "dontneed.by_2m", FREED, by_2m },
	{ "dontneed.by_4m_shifted", FREED, by_4m_shifted },
	{ "dontneed.by_1m", FREED, by_1m },
	{ "dontneed.by_64k", FREED ", with the last piece", by_64k },
	{ "dontneed.by_4k", FREED, by_4k },
	{ "dontneed.backwards", FREED, backwards },
	{ "dontneed.scattered", FREED, scattered },
	{ "dontneed.shifted", FREED, shifted },
	{ "dontneed.exact_pages", FREED, exact_pages },
	{ "dontneed.vector", FREED, vector },
	{ "dontneed.locked", FREED, locked },
	{ "dontneed.without_access", FREED, without_access },
	{ "dontneed.zero_pages", FREED, zero_pages },
	{ "dontneed.zero_pages_by_64k", FREED, zero_pages_by_64k },
	{ "dontneed.live_page", NEEDED " (present)", live_page },
	{ "dontneed.already_empty", FREED, already_empty },
	{ "dontneed.main_switch", "as the switch says", main_switch },
	{ "dontneed.refilled", "kept: refilled", refilled },
	{ "dontneed.refilled_whole", "kept: refilled", refilled_whole },
	{ }
};

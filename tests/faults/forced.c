// SPDX-License-Identifier: GPL-2.0
/*
 * A decision at the end of a zap goes the other way: what was empty goes all the
 * same, or is kept for the reason that has the name, and a scan frees it.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "request.h"

static struct books {
	long tables, freed, retried, scanned, zeroes;
} then;

static struct books look(void)
{
	return (struct books){ tables(), counter("freed"), counter("retried"),
			       counter("scan_freed"), counter("scan_freed_zero") };
}

static void begin(void)
{
	mark();
	then = look();
	counters_mark();
}

/*
 * So many tables were made since begin(); what has become of each is counted. A
 * table that was retried is freed by the kernel itself, which counts nothing.
 */
static void adds_up_at(int line, long made)
{
	struct books b = look();
	long gone = made - (b.tables - then.tables);
	long counted = b.freed - then.freed + b.retried - then.retried +
		       b.scanned - then.scanned + b.zeroes - then.zeroes;

	if (gone != counted)
		fail_at(__FILE__, line, "%ld tables went, %ld are counted", gone, counted);
}

#define adds_up(made)	adds_up_at(__LINE__, made)

static void ended(long least)
{
	long n = unforce();

	CHECK(n >= least, "it failed %ld times, not %ld", n, least);
}

/* Each table is the only thing that its zap is about. */
static void pmd_lock(void)
{
	char *p = map_anon(SIZE);

	begin();
	fill(p, SIZE, KIB(64), 1);
	adds_up(NR);
	force("ptr_shim_trylock", 100);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	ended(NR);
	grew("retried", NR);
	adds_up(NR);
	verify_zero(p, SIZE, KIB(64));
}

/* By one call for all: the PTE lock is dropped, and what it knew is void. */
static void pmd_lock_whole(void)
{
	char *p = map_anon(SIZE);

	begin();
	fill(p, SIZE, KIB(64), 1);
	force("ptr_shim_trylock", 100);
	advise(p, SIZE, MADV_DONTNEED);
	left(NR, NR, 0);
	ended(NR);
	grew("retried", NR);
	adds_up(NR);
	verify_zero(p, SIZE, KIB(64));
}

/* Half of them, over and over: those that could and those that could not. */
static void pmd_lock_halves(void)
{
	char *p = map_anon(SIZE);
	int i;

	begin();
	force("ptr_shim_trylock", 50);
	for (i = 0; i < 10; i++) {
		fill(p, SIZE, KIB(128), i);
		advise_pieces(p, SIZE, KIB(512), MADV_DONTNEED);
		left(NR, NR, 0);
		adds_up(10 * NR - (9 - i) * NR);
	}
	ended(1);
	grew("retried", 1);
	grew("freed", 1);
}

/* A table of two VMAs; under one's lock it takes mmap_lock as well. */
static char *two_vmas(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	in_halves(p);
	begin();
	fill(p, SIZE, KIB(64), 1);
	/* The one half is live until the other is given back. */
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i + MIB(1), MIB(1), MADV_DONTNEED);
	left(NR, NR, NR);
	return p;
}

static void kept_for(const char *function, const char *reason)
{
	char *p = two_vmas();
	size_t i;

	force(function, 100);
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i, MIB(1), MADV_DONTNEED);
	left(NR, NR, NR);
	ended(NR);
	grew(reason, NR);
	adds_up(NR);
	/* It was hinted at, so nobody needs to say anything. */
	background(0);
	adds_up(NR);
	verify_zero(p, SIZE, KIB(64));
}

static void straddles(void)
{
	kept_for("ptr_shim_may_try_mmap", "kept_straddles");
}

static void pmd_busy(void)
{
	kept_for("ptr_shim_trylock", "kept_pmd_busy");
}

/* Then they go under mmap_lock at once, as far as it goes. */
static void luck_of_both(void)
{
	char *p = two_vmas();
	size_t i;

	force("ptr_shim_may_try_mmap", 50);
	force("ptr_shim_trylock", 50);
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i, MIB(1), MADV_DONTNEED);
	ended(2);
	adds_up(NR);
	background(0);
	adds_up(NR);
	verify_zero(p, SIZE, KIB(64));
}

const struct test_case forced_cases[] = {
	{ "faults.forced.pmd_lock", FREED ", retried", pmd_lock },
	{ "faults.forced.pmd_lock_whole", FREED ", retried", pmd_lock_whole },
	{ "faults.forced.pmd_lock_halves", FREED ", some retried", pmd_lock_halves },
	{ "faults.forced.mmap_lock", LATER ", kept_straddles", straddles },
	{ "faults.forced.mmap_lock_had_pmd_not", LATER ", kept_pmd_busy", pmd_busy },
	{ "faults.forced.either", FREED ", or later", luck_of_both },
	{ }
};

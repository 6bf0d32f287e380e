// SPDX-License-Identifier: GPL-2.0
/* munmap(), mmap(MAP_FIXED) and mremap() next to a neighbour's half table. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ptest.h"

static char *filled(void)
{
	char *p = map_anon(SIZE);

	mark();
	fill(p, SIZE, KIB(64), 1);
	left(NR, NR, NR);
	return p;
}

static void fixed(char *p, size_t len, int prot)
{
	char *q = mmap(p, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		       -1, 0);

	CHECK(q == p, "mmap(MAP_FIXED) of %zu bytes: %m", len);
}

static void whole(void)
{
	char *p = filled();

	SYS(munmap(p, SIZE));
	left(0, 0, 0);
}

static void fixed_whole(void)
{
	char *p = filled();

	fixed(p, SIZE, PROT_READ);
	left(0, 0, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* Half of each table goes; the VMA of the other half was never touched. */
static void half(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i, MIB(1), KIB(64), 1);
	left(NR, NR, NR);
	counters_mark();
	for (i = 0; i < SIZE; i += TABLE)
		SYS(munmap(p + i, MIB(1)));
	left(NR, NR, 0);
	grew("freed", NR);
	for (i = 0; i < SIZE; i += TABLE)
		verify_zero(p + i + MIB(1), MIB(1), KIB(64));
}

/* As above, from the middle: a neighbour on both sides. */
static void middle(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	for (i = KIB(512); i < SIZE; i += TABLE)
		fill(p + i, MIB(1), KIB(64), 1);
	left(NR, NR, NR);
	for (i = KIB(512); i < SIZE; i += TABLE)
		SYS(munmap(p + i, MIB(1)));
	left(NR, NR, 0);
	for (i = 0; i < SIZE; i += TABLE) {
		verify_zero(p + i, KIB(512), KIB(64));
		verify_zero(p + i + KIB(1536), KIB(512), KIB(64));
	}
}

/* All but the last page of each table, in pieces. */
static void by_64k(void)
{
	char *p = filled();
	size_t t, i;

	for (t = 0; t < SIZE; t += TABLE) {
		advise(p + t + TABLE - KIB(64), KIB(64), MADV_DONTNEED);
		for (i = 0; i < TABLE - KIB(64); i += KIB(64))
			SYS(munmap(p + t + i, KIB(64)));
	}
	left(NR, NR, 0);
	for (t = 0; t < SIZE; t += TABLE)
		verify_zero(p + t + TABLE - KIB(64), KIB(64), PAGE);
}

static void live_neighbour(void)
{
	char *p = filled();
	size_t i;

	for (i = 0; i < SIZE; i += TABLE)
		SYS(munmap(p + i, MIB(1)));
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		verify(p + i + MIB(1), MIB(1), KIB(64), 1);
}

/* One munmap() across the ends of two tables and the VMAs between. */
static void across(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	for (i = 0; i < SIZE; i += 2 * TABLE)
		fill(p + i + MIB(1), TABLE, KIB(64), 1);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += 2 * TABLE)
		SYS(mprotect(p + i + TABLE, KIB(64), PROT_READ));
	for (i = 0; i < SIZE; i += 2 * TABLE)
		SYS(munmap(p + i + MIB(1), TABLE));
	left(NR, NR, 0);
}

/* How the JVM and V8 give memory back. */
static void decommit(size_t piece)
{
	char *p = filled();
	size_t i;

	for (i = 0; i < SIZE; i += piece)
		fixed(p + i, piece, PROT_NONE);
	left(NR, NR, 0);
	SYS(mprotect(p, SIZE, PROT_READ));
	verify_zero(p, SIZE, KIB(64));
}

static void decommit_1m(void)
{
	decommit(MIB(1));
}

static void decommit_64k(void)
{
	decommit(KIB(64));
}

static void decommit_shifted(void)
{
	char *p = filled();
	size_t i;

	fixed(p, MIB(1), PROT_NONE);
	for (i = MIB(1); i < SIZE - MIB(1); i += TABLE)
		fixed(p + i, TABLE, PROT_NONE);
	left(NR, NR, 1);
	fixed(p + i, MIB(1), PROT_NONE);
	left(NR, NR, 0);
}

/* A new mapping of another kind takes the place of half of each table. */
static void fixed_file(void)
{
	char *p = map_anon(SIZE), *q;
	int fd = memfd(SIZE);
	size_t i;

	mark();
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i, MIB(1), KIB(64), 1);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE) {
		q = mmap(p + i, MIB(1), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, i);
		CHECK(q == p + i, "mmap(MAP_FIXED) of a file: %m");
	}
	left(NR, NR, 0);
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i, TABLE, KIB(64), 2);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		verify(p + i, TABLE, KIB(64), 2);
}

/* Each VMA shrinks to its first page, which was never touched. */
static void shrink(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	for (i = 0; i < SIZE; i += TABLE)
		SYS(mprotect(p + i, KIB(64), PROT_READ | PROT_EXEC));
	mark();
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i + MIB(1), MIB(1), KIB(64), 1);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		CHECK(mremap(p + i + KIB(64), TABLE - KIB(64), PAGE, 0) ==
		      p + i + KIB(64), "mremap(): %m");
	left(NR, NR, 0);
	for (i = 0; i < SIZE; i += TABLE)
		verify_zero(p + i, KIB(64) + PAGE, PAGE);
}

/* The heap's end moves back inside a table whose first half is unused. */
static void brk_back(void)
{
	char *end = sbrk(0), *slot, *low;

	/* From the next table on, so that no heap page is in the way. */
	slot = (char *)(((uintptr_t)end + 2 * TABLE - 1) & ~(TABLE - 1));
	SYS(brk(slot));
	low = slot;
	SYS(brk(slot + 2 * TABLE));
	mark();
	fill(low + TABLE / 2, TABLE, KIB(64), 1);
	left(2, 2, 2);
	SYS(brk(low + TABLE / 4));
	/* The second table goes with its VMA, the first one is the heap's. */
	left(1, 1, 0);
	verify_zero(low, TABLE / 4, KIB(64));
	SYS(brk(end));
}

const struct test_case unmap_cases[] = {
	{ "unmap.whole", FREED, whole },
	{ "unmap.fixed_whole", FREED, fixed_whole },
	{ "unmap.half", FREED, half },
	{ "unmap.middle", FREED, middle },
	{ "unmap.by_64k", FREED, by_64k },
	{ "unmap.live_neighbour", NEEDED " (present)", live_neighbour },
	{ "unmap.across", FREED, across },
	{ "unmap.decommit_1m", FREED, decommit_1m },
	{ "unmap.decommit_64k", FREED, decommit_64k },
	{ "unmap.decommit_shifted", FREED, decommit_shifted },
	{ "unmap.fixed_file", FREED, fixed_file },
	{ "unmap.shrink", FREED, shrink },
	{ "unmap.brk_back", FREED, brk_back },
	{ }
};

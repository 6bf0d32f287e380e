// SPDX-License-Identifier: GPL-2.0
/* PMD and PUD tables, which only munmap() frees. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ptest.h"

#define SPAN	(64 * GIB)		/* all a process has of its own */
#define TIB	(1024 * GIB)

static char *reserve(char *p, size_t size, int flags, int fd)
{
	p = map_at(p, size, PROT_READ | PROT_WRITE, flags, fd);
	mark();
	return p;
}

static void pmd_tables(void)
{
	char *p = reserve(fresh_bare(SPAN, GIB), SPAN,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1);

	fill(p, SPAN, GIB, 1);
	/* A PTE and a PMD table for each GiB, and a PUD table for all. */
	left(64 + 64 + 1, 64 + 64 + 1, 64 + 64 + 1);
	advise(p, SPAN, MADV_DONTNEED);
	left(64 + 64 + 1, 64 + 1, 64 + 1);
	verify_zero(p, SPAN, 16 * GIB);
	SYS(munmap(p, SPAN));
	left(0, 0, 0);
}

static void pmd_tables_by_64k(void)
{
	char *p = reserve(fresh_bare(SPAN, GIB), SPAN,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1);
	size_t i;

	fill(p, SPAN, GIB, 1);
	for (i = 0; i < SPAN; i += GIB)
		advise(p + i, KIB(64), MADV_DONTNEED);
	left(64 + 64 + 1, 64 + 64 + 1, 64 + 1);
	verify_zero(p, SPAN, 16 * GIB);
}

static void pud_tables(void)
{
	/* Above all that fresh() gives. */
	char *p = (char *)((80 + getpid() % 8 * 4) * TIB);

	reserve(p, 4 * TIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fill(p, 4 * TIB, TIB / 2, 1);
	left(3 * 8, 3 * 8, 3 * 8);
	advise(p, 4 * TIB, MADV_DONTNEED);
	left(3 * 8, 2 * 8, 2 * 8);
	verify_zero(p, 4 * TIB, TIB);
	SYS(munmap(p, 4 * TIB));
	left(0, 0, 0);
}

/* Faults past a file's end: upper tables are made before they fail. */
static void failed_faults(void)
{
	int zero = SYS(open("/dev/zero", O_RDONLY)), fd = memfd(0);
	char *p = reserve(fresh_bare(SPAN, GIB), SPAN, MAP_SHARED, fd);
	size_t i;

	for (i = 0; i < SPAN; i += GIB)
		CHECK(read(zero, p + i, 8) == -1 && errno == EFAULT,
		      "the fault did not fail");
	left(64 + 1, 64 + 1, 64 + 1);
	SYS(munmap(p, SPAN));
	left(0, 0, 0);
}

/* The same inside tables: no PTE table stays. */
static void failed_faults_close(void)
{
	int zero = SYS(open("/dev/zero", O_RDONLY)), fd = memfd(0);
	char *p = reserve(fresh(SIZE), SIZE, MAP_SHARED, fd);
	size_t i;

	for (i = 0; i < SIZE; i += TABLE)
		CHECK(read(zero, p + i, 8) == -1 && errno == EFAULT,
		      "the fault did not fail");
	left(0, 0, 0);
}

/* Addresses that only five levels reach: zaps and scans come there as well. */
static void five_levels(void)
{
	char *p = (char *)((1UL << 52) + (getpid() % 768UL) * SPAN);

	if (mmap(p, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED) {
		CHECK(errno == ENOMEM, "mmap at %p: %m", p);
		note("there are four levels");
		return;
	}
	SYS(munmap(p, SIZE));
	reserve(p, SIZE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fill(p, SIZE, KIB(64), 1);
	/* A PMD table and a PUD table beside them. */
	left(NR + 2, NR + 2, NR + 2);
	verify(p, SIZE, KIB(64), 1);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR + 2, NR + 2, 2);
	/* Zero pages. */
	verify_zero(p, SIZE, KIB(64));
	left(NR + 2, NR + 2, NR + 2);
	background(2);
	fill(p, SIZE, KIB(64), 2);
	verify(p, SIZE, KIB(64), 2);
	SYS(munmap(p, SIZE));
	left(0, 0, 0);
}

const struct test_case upper_cases[] = {
	{ "upper.five_levels", FREED ", above 47 bits if there are five",
	  five_levels },
	{ "upper.pmd_tables", "PTE tables " FREED ", PMD tables by munmap",
	  pmd_tables },
	{ "upper.pmd_tables_by_64k", "PTE tables " FREED,
	  pmd_tables_by_64k },
	{ "upper.pud_tables", "PTE tables " FREED
	  ", PMD and PUD tables by munmap", pud_tables },
	{ "upper.failed_faults", "PMD tables by munmap", failed_faults },
	{ "upper.failed_faults_close", "none left behind",
	  failed_faults_close },
	{ }
};

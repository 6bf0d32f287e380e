// SPDX-License-Identifier: GPL-2.0
/* Contents: what was not given back is still there, whoever looks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"

#define PTES	512UL

/* A live page at each place of a table, all around it given back. */
static void every_index(void)
{
	char *half[2] = { map_anon(PTES / 2 * TABLE),
			  map_anon(PTES / 2 * TABLE) };
	size_t i, k;

	mark();
	for (i = 0; i < PTES; i++) {
		char *table = half[i & 1] + i / 2 * TABLE;

		/* Its neighbours, both ends, and a few between. */
		for (k = 0; k < PTES; k++)
			if (k == i || k == i + 1 || k + 1 == i || !k ||
			    k == PTES - 1 || k % 101 == i % 101)
				fill(table + k * PAGE, PAGE, PAGE, 1);
		if (i)
			advise(table, i * PAGE, MADV_DONTNEED);
		if (i < PTES - 1)
			advise(table + (i + 1) * PAGE, (PTES - 1 - i) * PAGE,
			       MADV_DONTNEED);
		CHECK(tables() == (mode == MODE_MODULE ? 1 : (long)i + 1),
		      "%ld tables with page %zu live", tables(), i);
		verify(table + i * PAGE, PAGE, PAGE, 1);
		CHECK(pages_with(table, TABLE, PM_PRESENT) == 1,
		      "other pages are left");
		advise(table + i * PAGE, PAGE, MADV_DONTNEED);
		CHECK(tables() == (mode == MODE_MODULE ? 0 : (long)i + 1),
		      "%ld tables after page %zu went", tables(), i);
	}
	verify_zero(half[0], PTES / 2 * TABLE, TABLE);
	verify_zero(half[1], PTES / 2 * TABLE, TABLE);
}

/* The tables before and after, full to the edge. */
static void neighbours(void)
{
	char *p = map_anon(3 * TABLE);

	mark();
	fill(p, 3 * TABLE, PAGE, 1);
	advise_pieces(p + TABLE, TABLE, KIB(64), MADV_DONTNEED);
	left(3, 3, 2);
	verify(p, TABLE, PAGE, 1);
	verify(p + 2 * TABLE, TABLE, PAGE, 1);
	fill(p + TABLE, TABLE, PAGE, 2);
	left(3, 3, 3);
	verify(p, TABLE, PAGE, 1);
	verify(p + TABLE, TABLE, PAGE, 2);
	verify(p + 2 * TABLE, TABLE, PAGE, 1);
}

/* Anonymous memory and a file's in one table, each given back in turn. */
static void two_vmas(void)
{
	int fd = memfd(SIZE);
	char *p = map_anon(SIZE);
	size_t i;

	for (i = MIB(1); i < SIZE; i += TABLE)
		CHECK(mmap(p + i, MIB(1), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, i) == p + i,
		      "mmap: %m");
	mark();
	fill(p, SIZE, KIB(64), 1);
	for (i = 0; i < SIZE; i += TABLE) {
		/* The last page of the one, the first page of the other. */
		fill(p + i + MIB(1) - PAGE, 2 * PAGE, PAGE, 1);
		advise(p + i, MIB(1) - PAGE, MADV_DONTNEED);
		advise(p + i + MIB(1) + PAGE, MIB(1) - PAGE, MADV_DONTNEED);
		verify(p + i + MIB(1) - PAGE, 2 * PAGE, PAGE, 1);
		advise(p + i + MIB(1), PAGE, MADV_DONTNEED);
		CHECK(pagemap(p + i + MIB(1) - PAGE) & PM_PRESENT, "page lost");
		verify(p + i + MIB(1) - PAGE, PAGE, PAGE, 1);
	}
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i + MIB(1) - PAGE, PAGE, MADV_DONTNEED);
	left(NR, NR, 0);
	for (i = 0; i < SIZE; i += TABLE) {
		verify_zero(p + i, MIB(1), PAGE);
		verify(p + i + MIB(1), MIB(1), KIB(64), 1);
	}
}

static void child_gives_back(void *arg)
{
	char *p = arg;

	verify(p, SIZE, KIB(64), 1);
	fill(p, SIZE / 2, KIB(64), 2);
	mark();
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(0, 0, -NR);
	verify_zero(p, SIZE, KIB(64));
}

static void child_keeps(void *arg)
{
	char *p = *(char **)arg;
	int *pipe_end = (int *)arg + 2;
	char c;

	CHECK(read(pipe_end[0], &c, 1) == 1, "read: %m");
	verify(p, SIZE, KIB(64), 1);
	fill(p, SIZE, KIB(64), 3);
	verify(p, SIZE, KIB(64), 3);
}

/* Pages shared with a child until one of the two writes or gives back. */
static void fork_cow(void)
{
	struct {
		char *p;
		int end[2];
	} arg;
	pid_t pid;
	int status;

	arg.p = map_anon(SIZE);
	mark();
	fill(arg.p, SIZE, KIB(64), 1);
	in_child(child_gives_back, arg.p);
	verify(arg.p, SIZE, KIB(64), 1);
	left(NR, NR, NR);

	SYS(pipe(arg.end));
	pid = SYS(fork());
	if (!pid) {
		child_keeps(&arg);
		_exit(0);
	}
	advise_pieces(arg.p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(arg.p, SIZE, KIB(64));
	CHECK(write(arg.end[1], "", 1) == 1, "write: %m");
	SYS(waitpid(pid, &status, 0));
	CHECK(!status, "the child failed");
	verify_zero(arg.p, SIZE, KIB(64));
}

/* Every way to fill a range works where its table was freed. */
static void refill(void)
{
	char *p = map_anon(8 * TABLE), *q;
	int zero = SYS(open("/dev/zero", O_RDONLY));

	fill(p, 8 * TABLE, KIB(64), 1);
	advise_pieces(p, 8 * TABLE, KIB(64), MADV_DONTNEED);
	mark();
	CHECK(read(zero, p, PAGE) == PAGE, "read() into it: %m");
	SYS(mlock(p + TABLE, PAGE));
	advise(p + 2 * TABLE, PAGE, MADV_POPULATE_READ);
	advise(p + 3 * TABLE, PAGE, MADV_POPULATE_WRITE);
	SYS(mprotect(p + 4 * TABLE, TABLE, PROT_READ));
	SYS(mprotect(p + 4 * TABLE, TABLE, PROT_READ | PROT_WRITE));
	fill(p + 4 * TABLE, PAGE, PAGE, 2);
	advise(p + 5 * TABLE, PAGE, MADV_GUARD_INSTALL);
	q = mremap(p + 6 * TABLE, TABLE, TABLE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   p - TABLE);
	CHECK(q == p - TABLE, "mremap: %m");
	fill(q, PAGE, PAGE, 2);
	CHECK(read(zero, p + 7 * TABLE, PAGE) == PAGE, "read() into it: %m");
	/* Without reclaim only the moved range's table, moved too, is there. */
	left(0, 0, 8);
	verify(p + 4 * TABLE, PAGE, PAGE, 2);
	verify(q, PAGE, PAGE, 2);
	verify_zero(p, 4 * TABLE, KIB(64));
}

/* Pages lent to the kernel outlive the tables they were lent from. */
static void pinned(void)
{
	static uint64_t back[PAGE / 8];
	char *p = map_anon(TABLE);
	struct iovec v = { p, PAGE };
	int end[2];

	SYS(pipe(end));
	mark();
	fill(p, TABLE, KIB(64), 1);
	memset(p, 0x5a, PAGE);
	CHECK(vmsplice(end[1], &v, 1, 0) == PAGE, "vmsplice: %m");
	advise_pieces(p, TABLE, KIB(64), MADV_DONTNEED);
	left(1, 1, 0);
	fill(p, TABLE, KIB(64), 2);
	CHECK(read(end[0], back, PAGE) == PAGE, "read: %m");
	CHECK(back[0] == 0x5a5a5a5a5a5a5a5a && back[PAGE / 8 - 1] == back[0],
	      "the pipe holds %#lx", back[0]);
	verify(p, TABLE, KIB(64), 2);
}

/* All tables are really free again, not only uncounted in their process. */
static void no_leak(void)
{
	long pages = 0, then = 0, i;
	double end;

	for (i = 0; i < 3; i++) {
		char *p = map_anon(256 * TABLE);

		if (i == 1)
			then = read_number("/proc/vmstat",
					   "nr_page_table_pages");
		fill(p, 256 * TABLE, TABLE, 1);
		advise_pieces(p, 256 * TABLE, MIB(1), MADV_DONTNEED);
		SYS(munmap(p, 256 * TABLE));
	}
	/* Frees wait for RCU, and counts of other CPUs for their turn. */
	for (end = now() + 10; now() < end; nap(100)) {
		pages = read_number("/proc/vmstat", "nr_page_table_pages");
		if (pages < then + 64)
			return;
	}
	FAIL("%ld page table pages, %ld before", pages, then);
}

const struct test_case survive_cases[] = {
	{ "survive.every_index", NEEDED " (present), then freed", every_index },
	{ "survive.neighbours", FREED, neighbours },
	{ "survive.two_vmas", FREED, two_vmas },
	{ "survive.fork_cow", FREED, fork_cow },
	{ "survive.refill", FREED, refill },
	{ "survive.pinned", FREED, pinned },
	{ "survive.no_leak", FREED, no_leak },
	{ }
};

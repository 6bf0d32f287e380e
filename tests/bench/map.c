// SPDX-License-Identifier: GPL-2.0
/* Faults, mappings that come and go, MADV_FREE, truncation and huge pages. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench.h"

#define PRIVATE	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Pages of a table that is there. */
static void fault_page(const struct row *row, unsigned long times)
{
	while (times) {
		unsigned long n = times < 511 ? times : 511;
		char *p = fresh(TABLE);

		map(p, TABLE);
		touch(p, PAGE, PAGE);
		begin();
		touch(p + PAGE, n * PAGE, PAGE);
		end(n);
		unmap(p, TABLE);
		times -= n;
	}
	(void)row;
}

static void fault_table(const struct row *row, unsigned long times)
{
	char *p = fresh(times * TABLE);

	map(p, times * TABLE);
	begin();
	touch(p, times * TABLE, TABLE);
	end(times);
	unmap(p, times * TABLE);
	(void)row;
}

/* Pages of a file that are there, in a table that is there. */
static void fault_file(const struct row *row, unsigned long times)
{
	int fd = memfd(TABLE);

	while (times) {
		unsigned long n = times < 496 ? times : 496;
		char *p = fresh(TABLE);

		SYS(mmap(p, TABLE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
		populate(p, TABLE);
		unmap(p, TABLE);
		SYS(mmap(p, TABLE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
		touch(p, PAGE, PAGE);
		begin();
		touch(p + KIB(64), n * PAGE, PAGE);
		end(n);
		unmap(p, TABLE);
		times -= n;
	}
	close(fd);
	(void)row;
}

static void munmap_alone(const struct row *row, unsigned long times)
{
	char *p = fresh(row->len);

	for (unsigned long i = 0; i < times; i++) {
		map(p, row->len);
		touch(p, row->len, row->step);
		begin();
		unmap(p, row->len);
		end(1);
	}
}

/* The middle of a mapping that stays, as what else is in its table does. */
static void munmap_part(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	touch(p, TABLE, row->step);
	for (unsigned long i = 0; i < times; i++) {
		begin();
		unmap(p + MIB(1), row->len);
		end(1);
		map(p + MIB(1), row->len);
		touch(p + MIB(1), row->len, row->step);
	}
	unmap(p, TABLE);
}

static void mmap_fixed(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	touch(p, TABLE, row->step);
	for (unsigned long i = 0; i < times; i++) {
		begin();
		SYS(mmap(p + MIB(1), row->len, PROT_READ | PROT_WRITE, PRIVATE | MAP_FIXED, -1, 0));
		end(1);
		touch(p + MIB(1), row->len, row->step);
	}
	unmap(p, TABLE);
}

/* To and fro between two tables that hold something else as well, if there is room for it. */
static void mremap_both_ways(const struct row *row, unsigned long times)
{
	char *p = fresh(4 * TABLE), *at = p + TABLE / 2, *to = p + 3 * TABLE + TABLE / 2;

	if (row->len >= TABLE) {
		at = p;
		to = p + 2 * TABLE;
	} else {
		map(p, PAGE);
		map(p + 3 * TABLE, PAGE);
		touch(p, PAGE, PAGE);
		touch(p + 3 * TABLE, PAGE, PAGE);
	}
	map(at, row->len);
	touch(at, row->len, row->step);
	for (unsigned long i = 0; i < times; i++) {
		char *was = at;

		begin();
		SYS(mremap(at, row->len, row->len, MREMAP_MAYMOVE | MREMAP_FIXED, to));
		end(1);
		at = to;
		to = was;
	}
	unmap(p, 4 * TABLE);
}

static void madv_free(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	touch(p, TABLE, PAGE);
	for (unsigned long i = 0; i < times; i++) {
		begin();
		advise(p, row->len, MADV_FREE);
		end(1);
		touch(p, row->len, PAGE);
	}
	unmap(p, TABLE);
}

/* All of a file goes; the table that mapped it holds a page of another one. */
static void truncate_file(const struct row *row, unsigned long times)
{
	int fd = memfd(row->len);
	char *p = fresh(2 * TABLE);

	map(p, PAGE);
	touch(p, PAGE, PAGE);
	SYS(mmap(p + PAGE, row->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	for (unsigned long i = 0; i < times; i++) {
		touch(p + PAGE, row->len, row->step);
		begin();
		SYS(ftruncate(fd, 0));
		end(1);
		SYS(ftruncate(fd, row->len));
	}
	unmap(p, 2 * TABLE);
	close(fd);
}

static char *huge(void)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	advise(p, TABLE, MADV_HUGEPAGE);
	return p;
}

static void thp_fault(const struct row *row, unsigned long times)
{
	SYS(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	for (unsigned long i = 0; i < times; i++) {
		char *p = huge();

		begin();
		touch(p, PAGE, PAGE);
		end(1);
		unmap(p, TABLE);
	}
	(void)row;
}

static void thp_dontneed(const struct row *row, unsigned long times)
{
	char *p;

	SYS(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	p = huge();
	for (unsigned long i = 0; i < times; i++) {
		touch(p, PAGE, PAGE);
		begin();
		advise(p, TABLE, MADV_DONTNEED);
		end(1);
	}
	unmap(p, TABLE);
	(void)row;
}

const struct row map_rows[] = {
	{ "fault.page", NOTHING, fault_page, 2044, .unit = "fault" },
	{ "fault.table", NOTHING, fault_table, 1000, .unit = "fault" },
	{ "fault.file", NOTHING, fault_file, 1984, .unit = "fault" },
	{ "munmap.64k", NOTHING, munmap_alone, 500, .len = KIB(64), .step = PAGE },
	{ "munmap.2m", NOTHING, munmap_alone, 40, .len = TABLE, .step = PAGE },
	{ "munmap.1g.one_page", NOTHING, munmap_alone, 4, .len = GIB, .step = TABLE },
	{ "munmap.64k.part", NOTHING, munmap_part, 500, .len = KIB(64), .step = KIB(16) },
	{ "mmap_fixed.64k", NOTHING, mmap_fixed, 500, .len = KIB(64), .step = KIB(16) },
	{ "mremap.64k", NOTHING, mremap_both_ways, 500, .len = KIB(64), .step = PAGE },
	{ "mremap.2m", NOTHING, mremap_both_ways, 500, .len = TABLE, .step = KIB(16) },
	{ "madv_free.64k", NOTHING, madv_free, 500, .len = KIB(64), .step = PAGE },
	{ "truncate.64k", NOTHING, truncate_file, 500, .len = KIB(64), .step = PAGE },
	{ "truncate.1m", NOTHING, truncate_file, 50, .len = MIB(1), .step = PAGE },
	{ "thp.fault", NOTHING, thp_fault, 200, .unit = "fault" },
	{ "thp.dontneed", NOTHING, thp_dontneed, 100, .len = TABLE },
	{ }
};

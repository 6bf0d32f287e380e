// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per page table that is looked at on request, as the background
 * looks too.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/ptreclaim.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"

#define DEVICE	"/dev/ptreclaim"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

/* Tables of one kind, in a range that has no others. */
struct kind {
	const char *name;
	double aim;		/* for a look; 0 is none */
	void (*make)(char *p, size_t n);
	bool empty;
};

static void each_table(char *p, size_t n, size_t offset, int advice)
{
	for (size_t i = 0; i < n; i++, p += TABLE) {
		if (!advice)
			touch(p + offset, PAGE);
		else if (madvise(p + offset, PAGE, advice))
			die("madvise(%d): %m", advice);
	}
}

/* Guard pages come and go without a zap that could free the table. */
static void make_empty(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, 0, MADV_GUARD_INSTALL);
	each_table(p, n, 0, MADV_GUARD_REMOVE);
}

/* The same 512 pages in all of them. */
static void make_full(char *p, size_t n)
{
	int fd = memfd_create("bench", 0);

	if (fd < 0 || ftruncate(fd, TABLE))
		die("memfd: %m");
	for (size_t i = 0; i < n; i++, p += TABLE)
		if (mmap(p, TABLE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE, fd,
			 0) != p)
			die("mmap: %m");
	close(fd);
}

static void make_first(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, 0, 0);
}

static void make_middle(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, TABLE / 2, 0);
}

static void make_last(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, TABLE - PAGE, 0);
}

#define LOOK_FULL	60
#define LOOK_EMPTY	1300

static const struct kind kinds[] = {
	{ "full", LOOK_FULL, make_full, false },
	{ "one page, the first", LOOK_FULL, make_first, false },
	{ "one page, in the middle", 0, make_middle, false },
	{ "one page, the last", 0, make_last, false },
	{ "empty", LOOK_EMPTY, make_empty, true },
};

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* Ticks of one request for the range, which has n tables of this kind. */
static uint64_t request(int fd, const struct kind *kind, char *p, size_t len,
			size_t n, bool dry)
{
	struct ptreclaim_request r = {
		.size = sizeof(r),
		.flags = dry ? PTRECLAIM_DRY_RUN : 0,
		.pidfd = PTRECLAIM_SELF,
		.start = (uintptr_t)p,
		.len = len,
	};
	size_t empty = kind->empty ? n : 0;
	uint64_t then = __rdtsc(), ticks;
	int ret = ioctl(fd, PTRECLAIM_IOC_RECLAIM, &r);

	ticks = __rdtsc() - then;
	if (ret)
		die("%s: %m", DEVICE);
	if (r.tables != n || r.empty != empty || r.freed != (dry ? 0 : empty))
		die("%s: of %zu tables, %zu of them empty, it says that it "
		    "found %llu, %llu empty, and freed %llu", kind->name,
		    n, empty, r.tables, r.empty, r.freed);
	return ticks;
}

#define ROUNDS		15
#define SOME		500UL	/* in one PMD table, with room for a hole */
#define MANY		25600UL

/* Returns whether the aim was met. */
static bool look_at_some(int fd, const struct kind *kind)
{
	static struct sample hole, look, real;
	struct sample *all[] = { &hole, &look, &real };
	double per_look, per_free;
	bool ok;

	for (size_t i = 0; i < 3; i++)
		all[i]->n = 0;
	for (int i = 0; i < ROUNDS; i++) {
		size_t len = SOME * TABLE;
		char *p = fresh(len);

		kind->make(p, SOME);
		hole.batch[hole.n++] = request(fd, kind, p + len, PAGE, 0, true);
		look.batch[look.n++] = request(fd, kind, p, len, SOME, true);
		real.batch[real.n++] = request(fd, kind, p, len, SOME, false);
		unmap(p, len);
	}
	per_look = (median(&look) - median(&hole)) / SOME;
	per_free = (median(&real) - median(&look)) / SOME;
	if (verbose)
		printf("# a request for no table: %.0f\n", median(&hole));
	ok = !kind->aim || per_look < kind->aim;
	printf("%-36s %10.1f ", kind->name, per_look);
	if (kind->aim)
		printf("%10.0f", kind->aim);
	else
		printf("%10s", "-");
	printf(" %13.1f%s\n", per_free, ok ? "" : "  TOO MUCH");
	fflush(stdout);
	return ok;
}

static void look_at_many(int fd, const struct kind *kind)
{
	size_t len = MANY * TABLE;
	char *p = fresh(len);
	uint64_t look, real;

	kind->make(p, MANY);
	look = request(fd, kind, p, len, MANY, true);
	real = request(fd, kind, p, len, MANY, false);
	printf("all %lu: %-26s %10lu %10s %13lu\n", MANY, kind->name, look, "-",
	       real - look);
	fflush(stdout);
	unmap(p, len);
}

bool looks(const char *only)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	bool ok = true;
	size_t i;

	if (fd < 0) {
		printf("FAILED: what a look at a page table costs: %s: %m\n",
		       DEVICE);
		return false;
	}
	printf("\n%-36s %10s %10s %13s\n", "instructions per page table",
	       "one look", "aim below", "lock and free");
	for (i = 0; i < KINDS; i++)
		if (strstr("look", only) || strstr(kinds[i].name, only))
			ok &= look_at_some(fd, &kinds[i]);
	/* What the full ones cost too, and these need less memory. */
	if (strstr("look", only)) {
		look_at_many(fd, &kinds[1]);
		look_at_many(fd, &kinds[KINDS - 1]);
	}
	close(fd);
	return ok;
}

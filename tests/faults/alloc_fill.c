// SPDX-License-Identifier: GPL-2.0
/* Page tables are filled, and an allocation on the way fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "uffd.h"

#define LEN		(2 * TABLE)
#define STEP		KIB(256)

static char *p, *source;
static int fd;

/* A range whose upper tables come and go, too. */
static void bare(void)
{
	if (!p)
		p = fresh_bare(GIB, GIB);
	map_at(p, LEN, PROT_READ | PROT_WRITE, PRIVATE, -1);
}

/* Frees what was filled in pieces, without the PMD table and those above. */
static void take_down(void)
{
	long then = tables();

	advise_pieces(p, LEN, STEP, MADV_DONTNEED);
	CHECK(tables() == then - (long)(LEN / TABLE), "%ld tables of %ld are left", tables(),
	      then);
	verify_zero(p, LEN, STEP);
	SYS(munmap(p, LEN));
}

/* A fault whose allocation fails is tried again by the CPU. */
static int touch(void)
{
	fill(p, LEN, STEP, 1);
	return 0;
}

static void touched(int ret)
{
	(void)ret;
	verify(p, LEN, STEP, 1);
	reclaimed(p, LEN);
	verify(p, LEN, STEP, 1);
	take_down();
}

static void fault(void)
{
	sweep(&(struct sweep){ bare, touch, touched, .least = 16 });
}

/* Zero pages: tables that may be left with nothing. */
static int look_at(void)
{
	verify_zero(p, LEN, STEP);
	return 0;
}

static void looked(int ret)
{
	long then;

	(void)ret;
	verify_zero(p, LEN, STEP);
	then = tables();
	reclaimed(p, LEN);
	CHECK(tables() == then - (long)(LEN / TABLE), "%ld tables of %ld are left", tables(),
	      then);
	verify_zero(p, LEN, STEP);
	SYS(munmap(p, LEN));
}

static void zero_fault(void)
{
	sweep(&(struct sweep){ bare, look_at, looked, .least = 4 });
}

static void bare_file(void)
{
	if (!p)
		p = fresh_bare(GIB, GIB);
	fd = memfd(LEN);
	map_at(p, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

static void file_touched(int ret)
{
	(void)ret;
	verify(p, LEN, STEP, 1);
	SYS(ftruncate(fd, 0));
	reclaimed(p, LEN);
	SYS(munmap(p, LEN));
	close(fd);
}

static void file_fault(void)
{
	sweep(&(struct sweep){ bare_file, touch, file_touched, .least = 16 });
}

/* A huge page, with a table deposited behind it; or small ones instead. */
static void huge(void)
{
	thp(true);
	bare();
	advise(p, LEN, MADV_HUGEPAGE);
}

static void huge_touched(int ret)
{
	(void)ret;
	verify(p, LEN, STEP, 1);
	reclaimed(p, LEN);
	verify(p, LEN, STEP, 1);
	take_down();
}

static void huge_fault(void)
{
	sweep(&(struct sweep){ huge, touch, huge_touched, .least = 6 });
}

static void scattered(void)
{
	huge();
	thp(false);
	fill(p, LEN, STEP, 1);
	thp(true);
}

static int collapse_it(void)
{
	return madvise(p, LEN, MADV_COLLAPSE) ? -errno : 0;
}

static void collapsed(int ret)
{
	verify(p, LEN, STEP, 1);
	reclaimed(p, LEN);
	if (ret)
		advise(p, LEN, MADV_COLLAPSE);
	verify(p, LEN, STEP, 1);
	take_down();
}

static void collapse(void)
{
	sweep(&(struct sweep){ scattered, collapse_it, collapsed, .least = 2 });
}

/* A few pages on both sides of a seam between two tables. */
static void bare_few(void)
{
	bare();
	SYS(munmap(p + TABLE + KIB(32), LEN - TABLE - KIB(32)));
	SYS(munmap(p, TABLE - KIB(32)));
}

static int populate_few(void)
{
	return madvise(p + TABLE - KIB(32), KIB(64), MADV_POPULATE_WRITE) ? -errno : 0;
}

static void few_populated(int ret)
{
	char *q = p + TABLE - KIB(32);

	if (ret) {
		reclaimed(p, LEN);
		advise(q, KIB(64), MADV_POPULATE_WRITE);
	}
	fill(q, KIB(64), PAGE, 1);
	reclaimed(p, LEN);
	verify(q, KIB(64), PAGE, 1);
	SYS(munmap(q, KIB(64)));
}

static void populate(void)
{
	sweep(&(struct sweep){ bare_few, populate_few, few_populated, .least = 18 });
}

static int guard_it(void)
{
	return madvise(p, LEN, MADV_GUARD_INSTALL) ? -errno : 0;
}

static void guarded(int ret)
{
	long then;

	if (ret) {
		reclaimed(p, LEN);
		advise(p, LEN, MADV_GUARD_INSTALL);
	}
	CHECK(pages_with(p, LEN, PM_GUARD) == LEN / PAGE, "%zu pages are guarded",
	      pages_with(p, LEN, PM_GUARD));
	then = tables();
	reclaimed(p, LEN);
	CHECK(tables() == then, "tables of guards went");
	advise(p, LEN, MADV_GUARD_REMOVE);
	reclaimed(p, LEN);
	CHECK(tables() == then - (long)(LEN / TABLE), "%ld tables of %ld are left", tables(),
	      then);
	SYS(munmap(p, LEN));
}

static void guard(void)
{
	sweep(&(struct sweep){ bare, guard_it, guarded, .least = 3 });
}

static void watched(void)
{
	if (!source) {
		source = map_anon(TABLE);
		fill(source, TABLE, PAGE, 7);
	}
	bare();
	fd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_MOVE);
	uffd_watch(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
}

static void unwatched(void)
{
	uffd_unwatch(fd, p, LEN);
	close(fd);
	reclaimed(p, LEN);
	SYS(munmap(p, LEN));
}

/* At the seam of both tables, a few pages each way. */
#define SEAM		(p + TABLE - KIB(16))
#define SEAM_LEN	KIB(32)

static int copy_it(void)
{
	struct uffdio_copy c = {
		.dst = (uintptr_t)SEAM, .src = (uintptr_t)source, .len = SEAM_LEN,
	};

	return ioctl(fd, UFFDIO_COPY, &c) ? -errno : 0;
}

static void copied(int ret)
{
	/* What came before the failure stays. */
	if (ret) {
		reclaimed(p, LEN);
		advise(SEAM, SEAM_LEN, MADV_DONTNEED);
		CHECK(!copy_it(), "the second time: %m");
	}
	reclaimed(p, LEN);
	CHECK(!memcmp(SEAM, source, SEAM_LEN), "other contents");
	unwatched();
}

static void uffd_copy(void)
{
	sweep(&(struct sweep){ watched, copy_it, copied, .least = 12 });
}

static int zero_it(void)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)SEAM, SEAM_LEN } };

	return ioctl(fd, UFFDIO_ZEROPAGE, &z) ? -errno : 0;
}

static void zeroed(int ret)
{
	if (ret) {
		advise(SEAM, SEAM_LEN, MADV_DONTNEED);
		CHECK(!zero_it(), "the second time: %m");
	}
	verify_zero(SEAM, SEAM_LEN, PAGE);
	unwatched();
}

static void uffd_zero(void)
{
	sweep(&(struct sweep){ watched, zero_it, zeroed, .least = 4 });
}

static int move_it(void)
{
	struct uffdio_move m = {
		.dst = (uintptr_t)SEAM, .src = (uintptr_t)p + LEN - SEAM_LEN,
		.len = SEAM_LEN, .mode = 1 << 1 /* ALLOW_SRC_HOLES */,
	};

	return ioctl(fd, UFFDIO_MOVE, &m) ? -errno : 0;
}

static void movable(void)
{
	size_t i;

	watched();
	/* Its own pages, at the end of the second table. */
	for (i = 0; i < SEAM_LEN; i += PAGE) {
		struct uffdio_copy c = {
			.dst = (uintptr_t)p + LEN - SEAM_LEN + i,
			.src = (uintptr_t)source + i, .len = PAGE,
		};

		SYS(ioctl(fd, UFFDIO_COPY, &c));
	}
}

static void moved(int ret)
{
	/* Those that have moved are not in the way of a second call: it has holes. */
	if (ret) {
		size_t i;

		reclaimed(p, LEN);
		for (i = 0; i < SEAM_LEN; i += PAGE)
			if (pagemap(SEAM + i) & PM_PRESENT)
				CHECK(!memcmp(SEAM + i, source + i, PAGE), "other contents");
			else
				CHECK(!memcmp(p + LEN - SEAM_LEN + i, source + i, PAGE),
				      "page %zu is nowhere", i / PAGE);
	} else {
		CHECK(!memcmp(SEAM, source, SEAM_LEN), "other contents");
	}
	unwatched();
}

static void uffd_move(void)
{
	sweep(&(struct sweep){ movable, move_it, moved, .least = 2 });
}

static int protect_it(void)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p, LEN }, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

static void protected(int ret)
{
	if (ret) {
		reclaimed(p, LEN);
		CHECK(!protect_it(), "the second time: %m");
	}
	CHECK(pages_with(p, LEN, PM_UFFD_WP) == LEN / PAGE, "%zu pages are protected",
	      pages_with(p, LEN, PM_UFFD_WP));
	unwatched();
}

static void uffd_protect_case(void)
{
	sweep(&(struct sweep){ watched, protect_it, protected, .least = 3 });
}

#define RIGHT	"each allocation fails in turn: right contents, empty tables go"

const struct test_case alloc_fill_cases[] = {
	{ "faults.alloc.fault", RIGHT, fault },
	{ "faults.alloc.zero_fault", RIGHT, zero_fault },
	{ "faults.alloc.file_fault", RIGHT, file_fault },
	{ "faults.alloc.huge_fault", RIGHT, huge_fault },
	{ "faults.alloc.collapse", RIGHT, collapse },
	{ "faults.alloc.populate", RIGHT, populate },
	{ "faults.alloc.guard", RIGHT, guard },
	{ "faults.alloc.uffd_copy", RIGHT, uffd_copy },
	{ "faults.alloc.uffd_zeropage", RIGHT, uffd_zero },
	{ "faults.alloc.uffd_move", RIGHT, uffd_move },
	{ "faults.alloc.uffd_protect", RIGHT, uffd_protect_case },
	{ }
};

// SPDX-License-Identifier: GPL-2.0
/* Entries that are not pages, and yet make a table useful. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ptest.h"
#include "uffd.h"

/* Pages, and a guard page in the middle of each table. */
static char *guarded(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	fill(p, SIZE, KIB(64), 1);
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i + MIB(1), PAGE, MADV_GUARD_INSTALL);
	counters_mark();
	return p;
}

/* One guard page per table; all else of the table is given back around it. */
static void guard_kept(void)
{
	char *p = guarded();
	size_t i;

	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, NR);
	grew("kept_markers", NR);
	CHECK(pages_with(p, SIZE, PM_GUARD) == NR, "guard pages were lost");
	counters_mark();
	advise(p, SIZE, MADV_DONTNEED);
	left(NR, NR, NR);
	grew("kept_markers", NR);
	CHECK(pages_with(p, SIZE, PM_GUARD) == NR, "guard pages were lost");
	background_keeps(NR);
	for (i = 0; i < SIZE; i += TABLE)
		verify_zero(p + i, MIB(1), KIB(64));
}

/* The same in one call that covers each table, but skips the marker. */
static void guard_skipped(void)
{
	char *p = guarded();

	advise(p, SIZE, MADV_DONTNEED);
	left(NR, NR, NR);
	grew("kept_markers", NR);
	CHECK(pages_with(p, SIZE, PM_GUARD) == NR, "guard pages were lost");
}

/* Installing over pages zaps them first: a zap from inside the kernel. */
static void guard_over_pages(void)
{
	char *p = map_anon(SIZE);

	mark();
	fill(p, SIZE, KIB(64), 1);
	counters_mark();
	advise(p, SIZE, MADV_GUARD_INSTALL);
	left(NR, NR, NR);
	grew("kept_unknown_lock", 1);
	CHECK(pages_with(p, SIZE, PM_GUARD) == SIZE / PAGE, "no guard pages");
	CHECK(pages_with(p, SIZE, PM_PRESENT) == 0, "pages are left");
	background_keeps(NR);
	advise(p, SIZE, MADV_GUARD_REMOVE);
	verify_zero(p, SIZE, KIB(64));
}

static void guard_removed(void)
{
	char *p = map_anon(SIZE);

	mark();
	advise(p, SIZE, MADV_GUARD_INSTALL);
	left(NR, NR, NR);
	advise(p, SIZE, MADV_GUARD_REMOVE);
	left(NR, NR, NR);
	background(0);
	CHECK(pages_with(p, SIZE, PM_GUARD) == 0, "guard pages are left");
}

/* Markers of anonymous memory go with a zap, and then so does the table. */
static void uffd_wp_anon(void)
{
	int fd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED);
	char *p = map_anon(SIZE);

	mark();
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	uffd_protect(fd, p, SIZE, true);
	left(NR, NR, NR);
	counters_mark();
	advise_pieces(p, SIZE - MIB(1), MIB(1), MADV_DONTNEED);
	left(NR, NR, 1);
	grew("kept_markers", NR);
	CHECK(pages_with(p, SIZE, PM_UFFD_WP) == MIB(1) / PAGE,
	      "markers were lost");
	advise(p + SIZE - MIB(1), MIB(1), MADV_DONTNEED);
	left(NR, NR, 0);
	uffd_unwatch(fd, p, SIZE);
	verify_zero(p, SIZE, KIB(64));
}

/* For a file, a zap leaves the markers where the protected pages were. */
static void uffd_wp_file(void)
{
	int fd = uffd_open(UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	char *p = map_shared(SIZE);

	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	mark();
	fill(p, SIZE, KIB(64), 1);
	uffd_protect(fd, p, SIZE, true);
	left(NR, NR, NR);
	counters_mark();
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, NR);
	grew("kept_markers", NR);
	/*
	 * One by one, populated or not: UFFDIO_WRITEPROTECT of a file leaves
	 * a marker in every entry.
	 */
	CHECK(pages_with(p, SIZE, PM_UFFD_WP) == SIZE / PAGE,
	      "markers were lost");
	advise(p, SIZE, MADV_DONTNEED);
	left(NR, NR, NR);
	uffd_unwatch(fd, p, SIZE);
	left(NR, NR, NR);
	background(0);
	CHECK(pages_with(p, SIZE, PM_UFFD_WP) == 0, "markers are left");
	verify(p, SIZE, KIB(64), 1);
}

static void uffd_unregister(void)
{
	int fd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED);
	char *p = map_anon(SIZE);

	mark();
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	uffd_protect(fd, p, SIZE, true);
	left(NR, NR, NR);
	uffd_unwatch(fd, p, SIZE);
	left(NR, NR, NR);
	background(0);
	CHECK(pages_with(p, SIZE, PM_UFFD_WP) == 0, "markers are left");
	verify_zero(p, SIZE, KIB(64));
}

/* Poison is dropped by DONTNEED of it, and kept by DONTNEED beside it. */
static void uffd_poison(void)
{
	int fd = uffd_open(UFFD_FEATURE_POISON);
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	fill(p, SIZE, KIB(64), 1);
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING);
	for (i = 0; i < SIZE; i += TABLE) {
		struct uffdio_poison po = {
			.range = { (uintptr_t)p + i + PAGE, PAGE },
		};

		SYS(ioctl(fd, UFFDIO_POISON, &po));
	}
	counters_mark();
	for (i = 0; i < SIZE; i += TABLE) {
		advise(p + i, PAGE, MADV_DONTNEED);
		advise(p + i + 2 * PAGE, TABLE - 2 * PAGE, MADV_DONTNEED);
	}
	left(NR, NR, NR);
	grew("kept_markers", NR);
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i + PAGE, PAGE, MADV_DONTNEED);
	left(NR, NR, 0);
	uffd_unwatch(fd, p, SIZE);
	verify_zero(p, SIZE, KIB(64));
}

static void swapped(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i + MIB(1), PAGE, PAGE, 1);
	swap_out(p, SIZE);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i, MIB(1), KIB(64), 2);
	counters_mark();
	for (i = 0; i < SIZE; i += TABLE) {
		advise_pieces(p + i, MIB(1), KIB(64), MADV_DONTNEED);
		advise(p + i + MIB(1) + PAGE, KIB(64), MADV_DONTNEED);
	}
	left(NR, NR, NR);
	grew("kept_swap", NR);
	for (i = 0; i < SIZE; i += TABLE)
		verify(p + i + MIB(1), PAGE, PAGE, 1);
}

static void swapped_given_back(void)
{
	char *p = map_anon(SIZE);

	mark();
	fill(p, SIZE, KIB(64), 1);
	swap_out(p, SIZE);
	left(NR, NR, NR);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

const struct test_case marker_cases[] = {
	{ "markers.guard_kept", NEEDED " (markers)", guard_kept },
	{ "markers.guard_skipped", NEEDED " (markers)", guard_skipped },
	{ "markers.guard_over_pages", NEEDED " (markers)", guard_over_pages },
	{ "markers.guard_removed", LATER, guard_removed },
	{ "markers.uffd_wp_anon", FREED ", with the last marker", uffd_wp_anon },
	{ "markers.uffd_wp_file", NEEDED " (markers), then " LATER,
	  uffd_wp_file },
	{ "markers.uffd_unregister", LATER, uffd_unregister },
	{ "markers.uffd_poison", FREED ", with the poison", uffd_poison },
	{ "markers.swapped", NEEDED " (swap)", swapped },
	{ "markers.swapped_given_back", FREED, swapped_given_back },
	{ }
};

// SPDX-License-Identifier: GPL-2.0
/* /dev/ptreclaim: what a request frees, what it keeps, and what it says. */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "leftovers.h"
#include "ptest.h"
#include "request.h"
#include "uffd.h"

/* By range, then in the whole address space; NR tables go, at once. */
static void by_request(char *(*make)(void), uint32_t flags)
{
	struct ptreclaim_request r;
	int whole;

	if (!device_there())
		return;
	/* Whatever the start of the program has left empty. */
	ask(SELF, NULL, 0, ZEROES);
	for (whole = 0; whole < 2; whole++) {
		long before;
		char *p;

		mark();
		p = make();
		before = tables();
		r = ask(SELF, p, SIZE, flags | DRY);
		CHECK(r.tables == NR && r.tables - all_kept(&r) == NR,
		      "%llu tables, %llu kept", r.tables,
		      (unsigned long long)all_kept(&r));
		CHECK(tables() == before, "a dry run has freed tables");
		counters_mark();
		r = foretold(SELF, whole ? NULL : p, whole ? 0 : SIZE, flags);
		CHECK(r.freed == NR, "%llu tables freed", r.freed);
		CHECK(tables() == before - NR, "%ld tables are left",
		      tables() - before + NR);
		grew(flags & ZEROES ? "scan_freed_zero" : "scan_freed", NR);
		r = ask(SELF, p, SIZE, flags);
		CHECK(!r.tables, "%llu tables found again", r.tables);
	}
}

#define BY_REQUEST(name, flags, contents)				\
	static void case_##name(void)					\
	{								\
		by_request(name, flags);				\
		contents;						\
	}

static char *made(char *(*make)(void), uint32_t flags)
{
	char *p = make();

	ask(SELF, p, SIZE, flags);
	return p;
}

/* And after it, memory holds what it would hold without. */
#define ZERO_AFTER(make, flags)						\
	do {								\
		if (mode == MODE_MODULE) {				\
			char *p = made(make, flags);			\
									\
			verify_zero(p, SIZE, KIB(64));			\
			fill(p, SIZE, KIB(64), 2);			\
			verify(p, SIZE, KIB(64), 2);			\
		}							\
	} while (0)

BY_REQUEST(lazyfree, 0, ZERO_AFTER(lazyfree, 0))
BY_REQUEST(truncate_shared, 0, ZERO_AFTER(truncate_shared, 0))
BY_REQUEST(truncate_private, 0, ZERO_AFTER(truncate_private, 0))
BY_REQUEST(punch_hole, 0, ZERO_AFTER(punch_hole, 0))
BY_REQUEST(madv_remove, 0, ZERO_AFTER(madv_remove, 0))
BY_REQUEST(mremap_leftovers, 0, ZERO_AFTER(mremap_leftovers, 0))
BY_REQUEST(guard_removed, 0, ZERO_AFTER(guard_removed, 0))
BY_REQUEST(uffd_unregister, 0, ZERO_AFTER(uffd_unregister, 0))
BY_REQUEST(zero_pages, ZEROES, ZERO_AFTER(zero_pages, ZEROES))
BY_REQUEST(straddling, 0, ZERO_AFTER(straddling, 0))
BY_REQUEST(straddling_zero_pages, ZEROES,
	   ZERO_AFTER(straddling_zero_pages, ZEROES))
BY_REQUEST(half_a_vma, 0, (void)0)

static void case_shmem_reclaim(void)
{
	by_request(shmem_reclaim, 0);
	if (mode == MODE_MODULE)
		verify(made(shmem_reclaim, 0), SIZE, KIB(64), 1);
}

/* The child's tables for markers, none of which fork() copies. */
static void fork_leftovers(void *arg)
{
	struct ptreclaim_request r;
	char *p = arg;

	mark();
	r = foretold(SELF, p, SIZE, 0);
	CHECK(r.freed == NR - 1, "%llu of %llu tables freed", r.freed,
	      r.tables);
	CHECK(r.kept[PTRECLAIM_KEPT_PRESENT] == 1, "the page's table is gone");
	CHECK(tables() == 1 - NR, "%ld tables went", -tables());
	verify(p, PAGE, PAGE, 1);
	verify_zero(p + TABLE, SIZE - TABLE, KIB(64));
}

static void case_fork(void)
{
	int fd;
	char *p;

	if (!device_there())
		return;
	fd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED);
	p = map_anon(SIZE);
	fill(p, PAGE, PAGE, 1);
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	uffd_protect(fd, p + PAGE, SIZE - PAGE, true);
	in_child(fork_leftovers, p);
	verify(p, PAGE, PAGE, 1);
}

/* All NR tables of the range stay, for this reason, as foretold. */
static void kept_for(char *p, uint32_t flags, enum ptreclaim_kept why)
{
	struct ptreclaim_request r;
	long before = tables();

	r = foretold(SELF, p, SIZE, flags);
	CHECK(r.tables == NR && r.kept[why] == NR,
	      "%llu tables, %llu freed, %llu kept for reason %d", r.tables,
	      r.freed, r.kept[why], why);
	CHECK(tables() == before, "%ld tables went", before - tables());
	/* In the whole address space, too. */
	ask(SELF, NULL, 0, flags);
	CHECK(ask(SELF, p, SIZE, flags | DRY).kept[why] == NR,
	      "%d is not what they are kept for any more", why);
}

static void kept_present(void)
{
	size_t i;
	char *p;

	if (!device_there())
		return;
	p = filled(PRIVATE, -1);
	kept_for(p, 0, PTRECLAIM_KEPT_PRESENT);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_PRESENT);
	verify(p, SIZE, KIB(64), 1);
	/* On x86 these entries have another form. */
	SYS(mprotect(p, SIZE, PROT_NONE));
	kept_for(p, ZEROES, PTRECLAIM_KEPT_PRESENT);
	SYS(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	verify(p, SIZE, KIB(64), 1);
	/* One page after zero pages. */
	p = zero_pages();
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i + TABLE - PAGE, PAGE, PAGE, 3);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_PRESENT);
	for (i = 0; i < SIZE; i += TABLE)
		verify(p + i + TABLE - PAGE, PAGE, PAGE, 3);
}

static void kept_swap(void)
{
	char *p;

	if (!device_there())
		return;
	p = filled(PRIVATE, -1);
	swap_out(p, SIZE);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_SWAP);
	verify(p, SIZE, KIB(64), 1);
}

static void kept_guard(void)
{
	size_t i;
	char *p;

	if (!device_there())
		return;
	p = map_anon(SIZE);
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i + MIB(1), PAGE, MADV_GUARD_INSTALL);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_MARKERS);
	CHECK(pages_with(p, SIZE, PM_GUARD) == NR, "guard pages were lost");
}

static void kept_uffd_wp(void)
{
	size_t i;
	char *p;
	int fd;

	if (!device_there())
		return;
	fd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED);
	p = map_anon(SIZE);
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	for (i = 0; i < SIZE; i += TABLE)
		uffd_protect(fd, p + i + MIB(1), PAGE, true);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_MARKERS);
	CHECK(pages_with(p, SIZE, PM_UFFD_WP) == NR, "markers were lost");
}

static void kept_zero_pages(void)
{
	struct ptreclaim_request r;
	char *p;

	if (!device_there())
		return;
	p = zero_pages();
	kept_for(p, 0, PTRECLAIM_KEPT_ZERO_PAGES);
	r = ask(SELF, p, SIZE, DRY);
	CHECK(r.zero_only == NR && !r.empty, "%llu are of zero pages",
	      r.zero_only);
}

static void kept_mlocked(void)
{
	char *p;

	if (!device_there())
		return;
	p = zero_pages();
	SYS(mlock2(p, SIZE, MLOCK_ONFAULT));
	kept_for(p, ZEROES, PTRECLAIM_KEPT_MLOCKED);
	SYS(munlock(p, SIZE));
	CHECK(ask(SELF, p, SIZE, ZEROES).freed == NR, "not freed after all");
	/* Half of each table is. */
	p = straddling_zero_pages();
	for (char *half = p; half < p + SIZE; half += TABLE)
		SYS(mlock2(half + MIB(1), MIB(1), MLOCK_ONFAULT));
	kept_for(p, ZEROES, PTRECLAIM_KEPT_MLOCKED);
}

static void kept_uffd(void)
{
	char *p;
	int fd;

	if (!device_there())
		return;
	p = zero_pages();
	fd = uffd_open(0);
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_UFFD);
	uffd_unwatch(fd, p, SIZE);
	CHECK(ask(SELF, p, SIZE, ZEROES).freed == NR, "not freed after all");
}

/* In a mapping of a file only userfaultfd puts zero pages, if it is private. */
static void kept_shared(void)
{
	struct uffdio_zeropage zero = { };
	size_t i;
	char *p;
	int fd;

	if (!device_there())
		return;
	p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		   memfd(SIZE));
	fd = uffd_open(UFFD_FEATURE_MISSING_SHMEM);
	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING);
	for (i = 0; i < SIZE; i += TABLE) {
		zero.range.start = (uintptr_t)p + i;
		zero.range.len = PAGE;
		SYS(ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	}
	uffd_unwatch(fd, p, SIZE);
	kept_for(p, ZEROES, PTRECLAIM_KEPT_SHARED);
}

static void fullness(void)
{
	static const struct {
		int pages, class;
	} tables[] = {
		{ 0, 0 }, { 1, 1 }, { 2, 2 }, { 7, 2 }, { 8, 3 }, { 63, 3 },
		{ 64, 4 }, { 255, 4 }, { 256, 5 }, { 510, 5 }, { 511, 6 },
		{ 512, 7 },
	};
	const size_t n = sizeof(tables) / sizeof(*tables);
	uint64_t want[PTRECLAIM_FULLNESS_MAX] = { };
	struct ptreclaim_request r;
	size_t i;
	char *p;
	int k;

	if (!device_there())
		return;
	p = map_anon(SIZE);
	/* From the end of the table, and one entry is not of a page. */
	for (i = 0; i < n; i++) {
		char *end = p + (i + 1) * TABLE;
		int pages = tables[i].pages;

		if (pages)
			fill(end - pages * PAGE, pages * PAGE, PAGE, 1);
		if (pages > 1)
			advise(end - PAGE, PAGE, MADV_GUARD_INSTALL);
		want[tables[i].class]++;
	}
	/* The first is there, and empty. */
	advise(p, PAGE, MADV_GUARD_INSTALL);
	advise(p, PAGE, MADV_GUARD_REMOVE);
	r = foretold(SELF, p, n * TABLE, FULLNESS);
	for (k = 0; k < PTRECLAIM_FULLNESS_MAX; k++)
		CHECK(r.fullness[k] == want[k],
		      "%llu tables in class %d, not %lu", r.fullness[k], k,
		      want[k]);
	CHECK(r.freed == 1 && r.empty == 1, "%llu tables freed", r.freed);
	/* Zero pages are entries like others. */
	p = zero_pages();
	r = foretold(SELF, p, SIZE, FULLNESS | ZEROES);
	CHECK(r.fullness[3] == NR && r.freed == NR,
	      "%llu tables with 32 zero pages", r.fullness[3]);
}

/* Tables that a range meets in part are looked at; others are not. */
static void ranges(void)
{
	struct ptreclaim_request r;
	uint64_t top;
	char *p, *q;

	if (!device_there())
		return;
	p = map_anon(SIZE);
	q = map_anon(SIZE);
	r = ask(SELF, NULL, 0, ZEROES);
	top = r.next;
	CHECK(top >= (1UL << 47) - PAGE, "the end is %#lx", top);
	mark();
	guards_come_and_go(p);
	left(NR, NR, NR);
	/* One page in the middle of one table. */
	r = foretold(SELF, p + TABLE + 5 * PAGE, PAGE, 0);
	CHECK(r.tables == 1 && r.freed == 1, "%llu tables, %llu freed",
	      r.tables, r.freed);
	r = ask(SELF, p, 3 * TABLE, DRY);
	CHECK(r.tables == 2, "%llu tables", r.tables);
	/* The last page of one, the first of the next. */
	r = foretold(SELF, p + 4 * TABLE - PAGE, 2 * PAGE, 0);
	CHECK(r.freed == 2, "%llu freed", r.freed);
	left(NR, NR, NR - 3);
	/* In a hole, and in nothing at all. */
	r = ask(SELF, p + TABLE, TABLE, 0);
	CHECK(!r.tables, "%llu tables", r.tables);
	r = ask(SELF, p + SIZE + 4 * TABLE, 4 * TABLE, 0);
	CHECK(!r.tables, "%llu tables", r.tables);
	/* Up to the end: all the rest, and what comes after. */
	r = foretold(SELF, p + (NR - 2) * TABLE, 0, 0);
	CHECK(r.freed == 2 && r.next == top,
	      "%llu freed, next is %#llx", r.freed, r.next);
	/* Two PMD tables: the rest of this range, and another. */
	guards_come_and_go(q);
	r = foretold(SELF, p, q + SIZE - p, 0);
	CHECK(r.freed == 2 * NR - 5, "%llu freed", r.freed);
	left(NR, NR, 0);
}

static void huge_page(void)
{
	struct ptreclaim_request r;
	const size_t n = 8;
	size_t i;
	char *p;

	if (!device_there())
		return;
	p = map_anon((n + 2) * TABLE);
	thp(true);
	khugepaged(false);
	advise(p + TABLE, n * TABLE, MADV_HUGEPAGE);
	mark();
	fill(p + TABLE, n * TABLE, TABLE, 1);
	thp(false);
	i = read_number("/proc/self/smaps_rollup", "AnonHugePages") / 2048;
	CHECK(i == n, "%zu huge pages", i);
	/* Each has a table that it could be split with. */
	left(n, n, n);
	r = foretold(SELF, p, (n + 2) * TABLE, ZEROES | FULLNESS);
	CHECK(!r.tables, "%llu tables", r.tables);
	/* Empty ones on both sides of them. */
	advise(p, TABLE, MADV_GUARD_INSTALL);
	advise(p + (n + 1) * TABLE, TABLE, MADV_GUARD_INSTALL);
	advise(p, TABLE, MADV_GUARD_REMOVE);
	advise(p + (n + 1) * TABLE, TABLE, MADV_GUARD_REMOVE);
	left(n + 2, n + 2, n + 2);
	r = foretold(SELF, p, (n + 2) * TABLE, ZEROES);
	CHECK(r.tables == 2 && r.freed == 2, "%llu tables, %llu freed",
	      r.tables, r.freed);
	left(n, n, n);
	i = read_number("/proc/self/smaps_rollup", "AnonHugePages") / 2048;
	CHECK(i == n, "%zu huge pages", i);
	verify(p + TABLE, n * TABLE, TABLE, 1);
	verify_zero(p + TABLE + PAGE, n * TABLE - PAGE, TABLE);
}

const struct test_case device_cases[] = {
	{ "device.lazyfree", ASKED, case_lazyfree },
	{ "device.shmem_reclaim", ASKED, case_shmem_reclaim },
	{ "device.truncate_shared", ASKED, case_truncate_shared },
	{ "device.truncate_private", ASKED, case_truncate_private },
	{ "device.punch_hole", ASKED, case_punch_hole },
	{ "device.madv_remove", ASKED, case_madv_remove },
	{ "device.mremap_leftovers", ASKED, case_mremap_leftovers },
	{ "device.guard_removed", ASKED, case_guard_removed },
	{ "device.uffd_unregister", ASKED, case_uffd_unregister },
	{ "device.fork", ASKED, case_fork },
	{ "device.zero_pages", ASKED, case_zero_pages },
	{ "device.straddling", ASKED, case_straddling },
	{ "device.straddling_zero_pages", ASKED, case_straddling_zero_pages },
	{ "device.half_a_vma", ASKED, case_half_a_vma },
	{ "device.kept_present", NEEDED " (present)", kept_present },
	{ "device.kept_swap", NEEDED " (swap)", kept_swap },
	{ "device.kept_guard", NEEDED " (markers)", kept_guard },
	{ "device.kept_uffd_wp", NEEDED " (markers)", kept_uffd_wp },
	{ "device.kept_zero_pages", "kept: not asked for", kept_zero_pages },
	{ "device.kept_mlocked", NEEDED " (mlocked)", kept_mlocked },
	{ "device.kept_uffd", NEEDED " (uffd)", kept_uffd },
	{ "device.kept_shared", NEEDED " (shared)", kept_shared },
	{ "device.fullness", "tables counted by their entries", fullness },
	{ "device.ranges", ASKED ", those that the range meets", ranges },
	{ "device.huge_page", "huge pages and their tables untouched",
	  huge_page },
	{ }
};

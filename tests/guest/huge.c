// SPDX-License-Identifier: GPL-2.0
/* Huge pages, KSM and compaction: who else works on whole tables. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

#define KSM	"/sys/kernel/mm/ksm/"

/* Memory of the process in huge pages, in units of 2 MiB. */
static long huge(void)
{
	long kb = read_number("/proc/self/smaps_rollup", "AnonHugePages");

	CHECK(kb >= 0, "no AnonHugePages");
	return kb / 2048;
}

static char *huge_filled(size_t n)
{
	char *p = map_anon(n * TABLE);

	thp(true);
	khugepaged(false);
	advise(p, n * TABLE, MADV_HUGEPAGE);
	mark();
	fill(p, n * TABLE, TABLE, 1);
	CHECK(huge() == (long)n, "%ld huge pages, not %zu", huge(), n);
	/* Each keeps a table to be split with. */
	left(n, n, n);
	return p;
}

static void deposits(void)
{
	char *p = huge_filled(16);

	advise(p, 16 * TABLE, MADV_DONTNEED);
	left(0, 0, 0);
	thp(false);
	verify_zero(p, 16 * TABLE, TABLE);
}

static void split(void)
{
	char *p = huge_filled(8);
	size_t i;

	fill(p, 8 * TABLE, KIB(64), 2);
	for (i = 0; i < 8 * TABLE; i += TABLE)
		advise(p + i, MIB(1), MADV_DONTNEED);
	CHECK(!huge(), "%ld huge pages are left", huge());
	left(8, 8, 8);
	for (i = 0; i < 8 * TABLE; i += TABLE)
		verify(p + i + MIB(1), MIB(1), KIB(64), 2);
	for (i = 0; i < 8 * TABLE; i += TABLE)
		advise_pieces(p + i + MIB(1), MIB(1), KIB(64), MADV_DONTNEED);
	left(8, 8, 0);
}

/* Folios of 64 KiB, which a zap takes many entries of at a time. */
static void large_folios(void)
{
	static const char dir[] = "/sys/kernel/mm/transparent_hugepage/hugepages-";
	char small[96], large[96], *p = map_anon(8 * TABLE);
	size_t i;

	snprintf(small, sizeof(small), "%s64kB/enabled", dir);
	snprintf(large, sizeof(large), "%s2048kB/enabled", dir);
	write_text(large, "never");
	write_text(small, "madvise");
	thp(true);
	khugepaged(false);
	advise(p, 8 * TABLE, MADV_HUGEPAGE);
	mark();
	for (i = 0; i < 8 * TABLE; i += TABLE)
		fill(p + i, KIB(512), PAGE, 1);
	write_text(small, "never");
	write_text(large, "inherit");
	left(8, 8, 8);
	/* Halves of folios first, then all but one page, then that. */
	for (i = 0; i < 8 * TABLE; i += TABLE) {
		advise_pieces(p + i, KIB(256), KIB(32), MADV_DONTNEED);
		advise(p + i + KIB(256), KIB(256) - PAGE, MADV_DONTNEED);
		verify(p + i + KIB(512) - PAGE, PAGE, PAGE, 1);
	}
	left(8, 8, 8);
	for (i = 0; i < 8 * TABLE; i += TABLE)
		advise(p + i + KIB(512) - PAGE, PAGE, MADV_DONTNEED);
	left(8, 8, 0);
	thp(false);
	verify_zero(p, 8 * TABLE, KIB(64));
}

/* With the empty table gone the next fault takes a huge page again. */
static void refault(void)
{
	long want[] = { 0, 0, 8 };
	char *p = map_anon(8 * TABLE);

	mark();
	fill(p, 8 * TABLE, PAGE, 1);
	left(8, 8, 8);
	advise_pieces(p, 8 * TABLE, KIB(64), MADV_DONTNEED);
	left(8, 8, 0);
	thp(true);
	khugepaged(false);
	advise(p, 8 * TABLE, MADV_HUGEPAGE);
	fill(p, 8 * TABLE, TABLE, 2);
	left(8, 8, 8);
	CHECK(huge() == want[mode], "%ld huge pages, not %ld", huge(),
	      want[mode]);
	verify(p, 8 * TABLE, TABLE, 2);
	verify_zero(p + PAGE, PAGE, PAGE);
	advise(p, 8 * TABLE, MADV_DONTNEED);
	left(8, 0, 0);
}

/* Small and huge pages over the same table, again and again. */
static void collapse(void)
{
	char *p = map_anon(8 * TABLE);
	int round;

	thp(true);
	khugepaged(false);
	mark();
	for (round = 1; round < 4; round++) {
		advise(p, 8 * TABLE, MADV_NOHUGEPAGE);
		fill(p, 8 * TABLE, KIB(64), round);
		left(8, 8, 8);
		advise(p, 8 * TABLE, MADV_HUGEPAGE);
		advise(p, 8 * TABLE, MADV_COLLAPSE);
		CHECK(huge() == 8, "%ld huge pages, not 8", huge());
		verify(p, 8 * TABLE, KIB(64), round);
		advise_pieces(p, 8 * TABLE, KIB(256), MADV_DONTNEED);
		left(8, 8, 0);
		nap(2 * refill_ms());
	}
}

static void hugetlb(void)
{
	const char *file = "/proc/sys/vm/nr_hugepages";
	long had = read_number(file, NULL);
	char text[32], *p;

	snprintf(text, sizeof(text), "%ld", had + 8);
	write_text(file, text);
	p = map_at(fresh(8 * TABLE), 8 * TABLE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	mark();
	fill(p, 8 * TABLE, KIB(64), 1);
	left(0, 0, 0);
	advise(p, 4 * TABLE, MADV_DONTNEED);
	left(0, 0, 0);
	verify_zero(p, 4 * TABLE, KIB(64));
	verify(p + 4 * TABLE, 4 * TABLE, KIB(64), 1);
	SYS(munmap(p, 8 * TABLE));
	left(0, 0, 0);
	snprintf(text, sizeof(text), "%ld", had);
	write_text(file, text);
}

/* Waits until KSM has seen everything twice. */
static void merge(bool zero_pages)
{
	long scans;
	double end = now() + 60;

	write_text(KSM "use_zero_pages", zero_pages ? "1" : "0");
	write_text(KSM "pages_to_scan", "20000");
	write_text(KSM "sleep_millisecs", "1");
	if (!access(KSM "smart_scan", F_OK))
		write_text(KSM "smart_scan", "0");
	scans = read_number(KSM "full_scans", NULL);
	write_text(KSM "run", "1");
	while (read_number(KSM "full_scans", NULL) < scans + 4) {
		CHECK(now() < end, "KSM does not get on");
		nap(20);
	}
	write_text(KSM "run", "0");
}

static void same_pages(char *p, uint64_t value)
{
	size_t i;

	for (i = 0; i < SIZE; i += KIB(64)) {
		memset(p + i, 0, PAGE);
		*(volatile uint64_t *)(p + i) = value;
	}
}

static void ksm(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	same_pages(p, 42);
	advise(p, SIZE, MADV_MERGEABLE);
	merge(false);
	CHECK(read_number("/proc/self/ksm_stat", "ksm_rmap_items") > 0,
	      "KSM did not look here");
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += KIB(64))
		CHECK(*(volatile uint64_t *)(p + i) == 42, "wrong contents");
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

static void ksm_zero_pages(void)
{
	char *p = map_anon(SIZE);

	mark();
	same_pages(p, 0);
	advise(p, SIZE, MADV_MERGEABLE);
	merge(true);
	CHECK(read_number("/proc/self/ksm_stat", "ksm_zero_pages") ==
	      (long)(SIZE / KIB(64)), "%ld zero pages by KSM",
	      read_number("/proc/self/ksm_stat", "ksm_zero_pages"));
	left(NR, NR, NR);
	background(0);
	CHECK(mode != MODE_MODULE ||
	      !read_number("/proc/self/ksm_stat", "ksm_zero_pages"),
	      "KSM still counts zero pages");
	verify_zero(p, SIZE, KIB(64));
	nap(2 * refill_ms());
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
}

/*
 * KSM's zero pages are soft-dirty when what they stand for was written since
 * /proc/PID/clear_refs, and pagemap is to go on saying so.
 */
static void ksm_soft_dirty(void)
{
	struct ptreclaim_request r;
	char *p = map_anon(SIZE);

	if (!device_there())
		return;
	write_text("/proc/self/clear_refs", "4");
	same_pages(p, 0);
	advise(p, SIZE, MADV_MERGEABLE);
	merge(true);
	CHECK(pages_with(p, SIZE, PM_SOFT_DIRTY) == SIZE / KIB(64),
	      "%zu soft-dirty pages", pages_with(p, SIZE, PM_SOFT_DIRTY));
	r = foretold(SELF, p, SIZE, ZEROES);
	CHECK(r.kept[PTRECLAIM_KEPT_SOFT_DIRTY] == NR && !r.freed,
	      "%llu tables kept, %llu freed",
	      r.kept[PTRECLAIM_KEPT_SOFT_DIRTY], r.freed);
	CHECK(pages_with(p, SIZE, PM_SOFT_DIRTY) == SIZE / KIB(64),
	      "%zu soft-dirty pages", pages_with(p, SIZE, PM_SOFT_DIRTY));
	write_text("/proc/self/clear_refs", "4");
	r = ask(SELF, p, SIZE, ZEROES);
	CHECK(r.freed == NR, "%llu tables freed", r.freed);
}

static void compaction(void)
{
	char *p = map_anon(SIZE);
	int i;

	mark();
	fill(p, SIZE, KIB(16), 1);
	for (i = 0; i < 3; i++)
		write_text("/proc/sys/vm/compact_memory", "1");
	left(NR, NR, NR);
	verify(p, SIZE, KIB(16), 1);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	write_text("/proc/sys/vm/compact_memory", "1");
	verify_zero(p, SIZE, KIB(16));
}

const struct test_case huge_cases[] = {
	{ "huge.deposits", "freed with the huge page", deposits },
	{ "huge.split", FREED, split },
	{ "huge.large_folios", FREED, large_folios },
	{ "huge.refault", FREED ", then huge pages again", refault },
	{ "huge.collapse", FREED ", each time", collapse },
	{ "huge.hugetlb", "has no PTE tables", hugetlb },
	{ "huge.ksm", FREED, ksm },
	{ "huge.ksm_zero_pages", LATER ", or by DONTNEED", ksm_zero_pages },
	{ "huge.ksm_soft_dirty", NEEDED " (soft-dirty)", ksm_soft_dirty },
	{ "huge.compaction", FREED, compaction },
	{ }
};

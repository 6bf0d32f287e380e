// SPDX-License-Identifier: GPL-2.0
/*
 * A decision of a scan goes the other way, for as long as one likes: nothing is
 * freed that must not be, nothing is forgotten, and afterwards it catches up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "request.h"

/* Switched on until it has failed so often. */
static void scanned_in_vain(long times, long want)
{
	double end = now() + patience;

	write_text(SCAN, "Y");
	while (forced_so_far() < times) {
		CHECK(now() < end, "it failed only %ld times", forced_so_far());
		nap(20);
	}
	write_text(SCAN, "N");
	CHECK(tables() == want, "%ld tables are left, not %ld", tables(), want);
}

/* NR tables with nothing in them; those above them count, too, and stay. */
static char *leftover(char *(*make)(void))
{
	char *p = make();
	struct ptreclaim_request r = ask(SELF, p, SIZE, DRY | ZEROES);

	CHECK(r.empty + r.zero_only == NR, "%llu are empty, %llu have zero pages", r.empty,
	      r.zero_only);
	mark();
	counters_mark();
	return p;
}

/* Without VMA locks there is mmap_lock. */
static void vma_lock(void)
{
	char *p = leftover(truncate_shared);

	force("ptr_shim_may_lock_vma", 100);
	background(-NR);
	CHECK(unforce() >= NR, "it hardly failed");
	grew("scan_freed", NR);
	verify_zero(p, SIZE, KIB(64));
}

/* Without either they wait; those who may wait themselves do. */
static void both_locks(void)
{
	char *p = leftover(truncate_shared), *q;
	struct ptreclaim_request r;

	force("ptr_shim_may_lock_vma", 100);
	force("ptr_shim_may_try_mmap", 100);
	scanned_in_vain(4 * NR, 0);
	grew("scan_busy", NR);
	r = ask(SELF, p, SIZE, 0);
	CHECK(r.freed == NR, "%llu freed on request", r.freed);
	CHECK(tables() == -NR, "%ld tables are left", tables() + NR);

	q = leftover(zero_pages);
	r = ask(SELF, q, SIZE, ZEROES | DRY);
	CHECK(r.zero_only == NR && r.kept[PTRECLAIM_KEPT_BUSY] == NR,
	      "a look that may not wait says %llu of %llu are busy",
	      r.kept[PTRECLAIM_KEPT_BUSY], r.zero_only);
	unforce();
	background(-NR);
	verify_zero(q, SIZE, KIB(64));
}

/* Some of the time: it takes more rounds. */
static void sometimes(void)
{
	char *q = zero_pages(), *p = leftover(straddling);
	const char *const *d;

	for (d = decisions; *d; d++)
		force(*d, 30);
	/* Not patience(): who lost his slot is back after ten seconds at most. */
	patience += 10;
	background(-2 * NR);
	CHECK(unforce() > NR, "it hardly failed");
	verify_zero(p, SIZE, KIB(64));
	verify_zero(q, SIZE, KIB(64));
}

static void not_joined(const char *function)
{
	char *p = leftover(truncate_shared);

	force(function, 100);
	scanned_in_vain(5, 0);
	unforce();
	background(-NR);
	verify_zero(p, SIZE, KIB(64));
}

static void join(void)
{
	not_joined("ptr_shim_may_join");
}

/* As if fork() were at work: joined, and left at once. */
static void incomplete(void)
{
	not_joined("ptr_shim_mm_complete");
}

/* Seen without a lock, and gone when it is locked. */
static char *gone(const char *function, char *(*make)(void), const char *reason)
{
	char *p = leftover(make);
	struct ptreclaim_request r;

	force(function, 100);
	scanned_in_vain(NR, 0);
	grew(reason, 1);
	r = ask(SELF, p, SIZE, 0);
	CHECK(!r.freed && r.empty == NR && r.kept[PTRECLAIM_KEPT_BUSY] +
	      r.kept[PTRECLAIM_KEPT_NO_VMA] == NR, "%llu freed, %llu busy, %llu without a VMA",
	      r.freed, r.kept[PTRECLAIM_KEPT_BUSY], r.kept[PTRECLAIM_KEPT_NO_VMA]);
	unforce();
	return p;
}

static void gone_for_now(const char *function)
{
	char *p = gone(function, truncate_shared, "scan_busy");

	background(-NR);
	verify_zero(p, SIZE, KIB(64));
}

static void no_table(void)
{
	gone_for_now("ptr_shim_pte_table");
}

static void no_pmd(void)
{
	gone_for_now("ptr_shim_find_pmd");
}

/*
 * A munmap() is about to free it, so nobody waits for it; if that were not so, the
 * next hint would bring it back.
 */
static void no_vma(void)
{
	char *p = gone("ptr_shim_vma_meets", straddling, "scan_no_vma"), *q;

	q = leftover(truncate_shared);
	background(-2 * NR);
	verify_zero(p, SIZE, KIB(64));
	verify_zero(q, SIZE, KIB(64));
}

/* No slot is free: all processes are looked at, when ten seconds have passed. */
static void no_slot(void)
{
	char *p;

	/* What is known of this process is done with, and it has no slot any more. */
	write_text(SCAN, "Y");
	nap(1000);
	write_text(SCAN, "N");
	force("ptr_shim_may_have_slot", 100);
	p = leftover(truncate_shared);
	scanned_in_vain(1, 0);
	CHECK(unforce() > 0, "there was no hint");
	patience += 10;
	background(-NR);
	verify_zero(p, SIZE, KIB(64));
}

/* On its way out it is left alone, and what was done until then is told. */
static void dying(void)
{
	char *p = leftover(truncate_shared), *q;
	struct ptreclaim_request r = {
		.pidfd = SELF, .start = (uintptr_t)p, .len = SIZE,
	};
	int ret;

	force("ptr_shim_mm_dying", 100);
	ret = request(&r);
	CHECK(ret == -ESRCH && !r.freed && r.next == r.start, "%s, %llu freed, next %#llx",
	      strerror(-ret), r.freed, r.next);
	scanned_in_vain(2, 0);
	unforce();
	/* Who has gone is forgotten; this one says something again. */
	q = leftover(truncate_shared);
	background(-2 * NR);
	verify_zero(p, SIZE, KIB(64));
	verify_zero(q, SIZE, KIB(64));
}

#define CATCHES_UP	"kept meanwhile, then freed by the background scan"

const struct test_case forced_scan_cases[] = {
	{ "faults.forced.scan_vma_lock", LATER ", under mmap_lock", vma_lock },
	{ "faults.forced.scan_both_locks", CATCHES_UP ", scan_busy", both_locks },
	{ "faults.forced.scan_join", CATCHES_UP, join },
	{ "faults.forced.scan_incomplete", CATCHES_UP, incomplete },
	{ "faults.forced.scan_no_table", CATCHES_UP ", scan_busy", no_table },
	{ "faults.forced.scan_no_pmd", CATCHES_UP ", scan_busy", no_pmd },
	{ "faults.forced.scan_no_vma", "scan_no_vma; freed after the next hint", no_vma },
	{ "faults.forced.scan_no_slot", CATCHES_UP, no_slot },
	{ "faults.forced.scan_dying", "ESRCH; freed after the next hint", dying },
	{ "faults.forced.scan_sometimes", LATER ", in more rounds", sometimes },
	{ }
};

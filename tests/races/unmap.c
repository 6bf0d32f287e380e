// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges that are on their way out: a munmap() that has downgraded mmap_lock, and
 * a process that the OOM reaper or its sibling, process_mrelease(), reaps.
 *
 * munmap() stands at free_pgtables(): mmap_lock for reading, its VMAs detached, the
 * entries zapped, the tables still linked; it is going to free them without a page
 * table lock ("munmap() downgraded to reading", Documentation/locking.md). What
 * must hold: nobody else frees a table that no attached VMA meets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "beside.h"
#include "races.h"

static struct ptreclaim_request answer;

static void munmap_table(void)
{
	SYS(munmap(table, TABLE));
}

/* All of its mapping, which ends before the table does: the hook is asked. */
static void munmap_but_last_page(void)
{
	SYS(munmap(table, TABLE - PAGE));
}

static void request_table(void)
{
	answer = ask(SELF, table, TABLE, 0);
}

static void unmap_met(const char *place, void (*unmap)(void), void (*beside)(void),
		      enum conduct conduct)
{
	actors();
	anon_area();
	ask(SELF, area, TABLE, DRY);
	mark();
	fill_rest();
	if (unmap == munmap_but_last_page)
		SYS(munmap(table + TABLE - PAGE, PAGE));
	meet(&(struct meeting) {
		.place = place,
		.first = unmap,
		.beside = beside,
		.conduct = conduct,
	});
}

static void munmap_met(const char *place, void (*beside)(void),
		       enum conduct conduct)
{
	unmap_met(place, munmap_table, beside, conduct);
}

static void munmaps_own(long left)
{
	CHECK(tables() == left, "%ld tables left, not %ld", tables(), left);
	verify(area, PAGE, PAGE, 1);
}

static void requested(void)
{
	CHECK(!answer.freed, "the request freed a table that is munmap's");
	CHECK(answer.kept[PTRECLAIM_KEPT_NO_VMA] == 1,
	      "the request kept %llu of %llu tables for munmap",
	      answer.kept[PTRECLAIM_KEPT_NO_VMA], answer.tables);
	munmaps_own(0);
}

static void request_at_free(void)
{
	munmap_met("free_pgtables", request_table, GOES);
	requested();
}

/* Before that, in the hook, with the PTE lock: the look takes no lock. */
static void request_at_hook(void)
{
	unmap_met("ptreclaim_zap", munmap_but_last_page, request_table, GOES);
	requested();
}

/* In the background. */
static void scan_until_kept(void)
{
	long kept = counter("scan_no_vma");
	double start = now();

	write_text("/sys/module/ptreclaim/parameters/scan_age_ms", "0");
	write_text("/sys/module/ptreclaim/parameters/scan_interval_ms", "10");
	write_text(SCAN, "Y");
	while (counter("scan_no_vma") == kept && now() - start < 30)
		nap(10);
	write_text(SCAN, "N");
	CHECK(counter("scan_no_vma") > kept, "the scanner does not keep it");
}

static void scanner_at_free(void)
{
	munmap_met("free_pgtables", scan_until_kept, GOES);
	munmaps_own(0);
}

/* Wants mmap_lock for writing, and gets the range afterwards. */
static void map_again(void)
{
	map_at(table, TABLE, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fill(spot, PAGE, PAGE, 3);
}

static void mapped_again(void)
{
	munmap_met("free_pgtables", map_again, WAITS);
	munmaps_own(1);
	verify(spot, PAGE, PAGE, 3);
	verify_zero(rest, REST, PAGE);
}

static void write_beside(void)
{
	fill(table + TABLE, PAGE, PAGE, 3);
}

static void neighbour_filled(void)
{
	munmap_met("free_pgtables", write_beside, GOES);
	munmaps_own(1);
	verify(table + TABLE, PAGE, PAGE, 3);
}

/*
 * munmap() of the half of a table, and a zap of the other half, which belongs to
 * a VMA that stays: the zap frees the table, munmap() keeps away from it.
 */
static void munmap_half(void)
{
	SYS(munmap(table, MIB(1)));
}

static void zap_rest(void)
{
	advise(rest, REST, MADV_DONTNEED);
}

static void neighbour_zapped(void)
{
	long freed = counter("freed");

	actors();
	anon_area();
	mark();
	fill_rest();
	fill(table, PAGE, PAGE, 6);
	meet(&(struct meeting) {
		.place = "free_pgtables",
		.first = munmap_half,
		.beside = zap_rest,
		.conduct = GOES,
	});
	CHECK(counter("freed") - freed == 1, "%ld tables freed",
	      counter("freed") - freed);
	munmaps_own(0);
	verify_zero(rest, REST, PAGE);
}

/*
 * process_mrelease(), or the OOM reaper, stands with a zap of a process that is
 * killed, mmap_lock for reading, while that goes through its exit. At the hook
 * mm_users is zero when it goes on: exit_mmap() is at work, and the table stays for
 * it (kept_exiting). Behind it the table has gone into the gather, once.
 */
#define GROUP	"/sys/fs/cgroup/races"

static pid_t child;
static int pidfd, down[2];
static long mrelease_error;

struct killer {
	void (*ready)(void);		/* in the child, before it has anything */
	void (*kill)(void);
	void (*reap)(void);		/* NULL: the OOM reaper does, by itself */
};

static void kill_child(void)
{
	SYS(kill(child, SIGKILL));
}

static void mrelease(void)
{
	mrelease_error = syscall(SYS_process_mrelease, pidfd, 0) ? errno : 0;
}

static const struct killer by_call = { NULL, kill_child, mrelease };

static void join_small_group(void)
{
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	SYS(mkdir(GROUP, 0755));
	write_text(GROUP "/memory.max", "8M");
	write_text(GROUP "/memory.swap.max", "0");
	write_text(GROUP "/cgroup.procs", "0");
}

/* It wants more than there is. The reaper follows two seconds later. */
static void have_it_grow(void)
{
	pin_kthread("oom_reaper", STANDING);
	CHECK(write(down[1], "x", 1) == 1, "no word to the child: %m");
}

static const struct killer by_oom = { join_small_group, have_it_grow, NULL };

static void wait_for_child(void)
{
	int status;

	SYS(waitpid(child, &status, 0));
	CHECK(WIFSIGNALED(status), "the child ended with %#x", status);
}

static void let_child_go(void)
{
	let_go(READER);
}

static void released_at(const char *place, const struct killer *killer)
{
	int up[2];
	char c;

	actors();
	SYS(pipe(up));
	SYS(pipe(down));
	child = SYS(fork());
	if (!child) {
		pin(READER);
		if (killer->ready)
			killer->ready();
		anon_area();
		fill_rest();
		SYS(write(up[1], "x", 1));
		SYS(read(down[0], &c, 1));
		fill(map_anon(MIB(64)), MIB(64), PAGE, 1);
		FAIL("there is memory without end");
	}
	CHECK(read(up[0], &c, 1) == 1, "the child does not come up");
	pidfd = pidfd_of(child);
	/* It is killed, and stands before it drops its address space. */
	stop_at(READER, "do_exit", true, NULL);
	stop_at(STANDING, place, true, NULL);
	killer->kill();
	while (!standing(READER))
		nap(1);
	if (killer->reap)
		begin(&standing_one, killer->reap);
	until_standing(killer->reap ? &standing_one : NULL);
	let_child_go();
	begin(&one_beside, wait_for_child);
	CHECK(!ends_beside(&one_beside),
	      "the exit did not wait for the one who reaps");
	let_go(STANDING);
	if (killer->reap)
		end(&standing_one);
	end(&one_beside);
	CHECK(!mrelease_error, "process_mrelease: %s", strerror(mrelease_error));
}

static void at_hook(const struct killer *killer)
{
	long exiting = counter("kept_exiting");

	released_at("ptreclaim_zap", killer);
	CHECK(counter("kept_exiting") > exiting, "not kept for the exit");
}

static void released_at_hook(void)
{
	at_hook(&by_call);
}

static void released_unlinked(void)
{
	released_at("___pte_free_tlb", &by_call);
}

/* What the child had goes a little later than the child. */
static void group_goes(void)
{
	int i;

	for (i = 0; i < 500 && rmdir(GROUP); i++)
		nap(20);
	CHECK(i < 500, "the cgroup of the child stays: %m");
}

static void reaped_at_hook(void)
{
	at_hook(&by_oom);
	group_goes();
}

static void reaped_unlinked(void)
{
	released_at("___pte_free_tlb", &by_oom);
	group_goes();
}

const struct race unmap_races[] = {
	{ "munmap.free.request", request_at_free },
	{ "munmap.hook.request", request_at_hook },
	{ "munmap.free.scanner", scanner_at_free },
	{ "munmap.free.mmap", mapped_again },
	{ "munmap.free.write_beside", neighbour_filled },
	{ "munmap.free.zap_neighbour", neighbour_zapped },
	{ "mrelease.hook.exit", released_at_hook },
	{ "mrelease.unlinked.exit", released_unlinked },
	{ "oom_reaper.hook.exit", reaped_at_hook },
	{ "oom_reaper.unlinked.exit", reaped_unlinked },
	{ }
};

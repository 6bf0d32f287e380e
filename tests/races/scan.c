// SPDX-License-Identifier: GPL-2.0
/*
 * A look at an address space stands at one of six places, and somebody else comes
 * to the table that it has found empty: /dev/ptreclaim, which does all that the
 * background scanner does and is pinned to a CPU; and the scanner itself, as far
 * as it differs ("A scan", Documentation/locking.md). Where it stands:
 *
 *   looked     lock_vma_under_rcu(): it has seen an empty table; a reference to
 *              mm_users, and no lock
 *   covered    ptr_shim_find_pmd(): the VMA lock for reading ("Cover")
 *   pmd        ptr_shim_pte_table(): + the PMD lock ("PmdSlot")
 *   locked     ptr_shim_pmd_clear(): + the PTE lock, looked again ("PteTable")
 *   unflushed  ptr_shim_flush_range(): the pmd is none, the PMD lock is held, other
 *              CPUs may cache the pmd ("UnlinkedBatch")
 *   flushed    ptr_shim_pte_free_defer(): the VMA lock only ("FlushedPteTables")
 *
 * What must hold: what is filled before the second look keeps the table; who
 * fills the pmd waits for the flush; who changes the address space waits for the
 * VMA lock, or comes first, and then nothing that he took is touched.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "beside.h"
#include "races.h"

#define LOCK_VMA	"lock_vma_under_rcu"

static const struct stop stops[] = {
	{ "looked", LOCK_VMA },
	{ "covered", "ptr_shim_find_pmd" },
	{ "pmd", "ptr_shim_pte_table" },
	{ "locked", "ptr_shim_pmd_clear" },
	{ "unflushed", "ptr_shim_flush_range" },
	{ "flushed", "ptr_shim_pte_free_defer" },
};

#define LOCKED		3

static void request_table(void)
{
	ask(SELF, table, TABLE, 0);
}

/* Guard markers come and go, and no zap has a look at the table. */
static void empty_table(void)
{
	advise(rest, REST, MADV_GUARD_INSTALL);
	advise(rest, REST, MADV_GUARD_REMOVE);
	CHECK(tables() == 1, "%ld tables made, not one", tables());
}

static long freed_so_far(void)
{
	return counter("freed") + counter("scan_freed");
}

static void prepared(const struct peer *peer)
{
	actors();
	peer->setup();
	if (peer->ready)
		peer->ready();
	/* It is not to fault where a lock is looked for. */
	ask(SELF, area, TABLE, DRY);
	mark();
	empty_table();
	if (peer->made)
		peer->made();
}

static void came_out(const struct peer *peer, bool early, long freed)
{
	int left = early ? peer->early_tables : peer->tables;
	int gone = early ? peer->early_freed : peer->freed;

	freed = freed_so_far() - freed;
	CHECK(freed == gone, "%ld tables freed, not %d", freed, gone);
	CHECK(tables() == left, "%ld tables left, not %d", tables(), left);
	peer->check();
	if (!peer->rest_gone)
		verify_zero(rest, REST, PAGE);
}

static void request_beside(void)
{
	const struct pair *pair = this_race->arg;
	const struct peer *peer = pair->peer;
	char conduct = peer->conduct[LOOK][pair->stop];
	long freed;

	prepared(peer);
	freed = freed_so_far();
	meet(&(struct meeting) {
		.place = stops[pair->stop].symbol,
		.in_table = pair->stop ? NULL : table,
		.first = request_table,
		.beside = peer->act,
		.conduct = conduct == 'g' ? GOES : WAITS,
	});
	came_out(peer, conduct == 'g' && pair->stop < LOCKED, freed);
}

/* The background scanner, on the CPU where it is to stand. */

#define PARAMETERS	"/sys/module/ptreclaim/parameters/"
#define WORKQUEUE	"/sys/devices/virtual/workqueue/ptreclaim/cpumask"

static void wake_scanner(void)
{
	write_text(WORKQUEUE, "2");
	write_text(PARAMETERS "scan_age_ms", "0");
	write_text(PARAMETERS "scan_interval_ms", "10");
	write_text(SCAN, "Y");
}

/* When it has done what it was at, and again when there is nothing left to do. */
static void scanner_sleeps(long left)
{
	double start = now();

	while (tables() != left && now() - start < 60)
		nap(10);
	nap(100);
	write_text(SCAN, "N");
	nap(100);
}

static void scanner_beside(const char *symbol, bool early)
{
	const char *name = strrchr(this_race->name, '.') + 1;
	const struct peer *peer = peer_named(name);
	long freed;

	prepared(peer);
	freed = freed_so_far();
	meet(&(struct meeting) {
		.place = symbol,
		.any = true,
		.in_table = strcmp(symbol, LOCK_VMA) ? NULL : table,
		.start = wake_scanner,
		.beside = peer->act,
		.conduct = GOES,
	});
	scanner_sleeps(early ? peer->early_tables : peer->tables);
	came_out(peer, early, freed);
}

static void scanner_looked(void)
{
	scanner_beside(LOCK_VMA, true);
}

/* It is still empty where it is now, and the next round comes there too. */
static void scanner_looked_moved(void)
{
	scanner_beside(LOCK_VMA, false);
}

static void scanner_flushed(void)
{
	scanner_beside("ptr_shim_pte_free_defer", false);
}

/*
 * A process ends while the scanner stands with a reference to its mm_users, and
 * locks: the exit must not wait, and the address space goes with the scanner's
 * reference, by a worker (mmput_async()).
 */
static pid_t child;

static void reap_child(void)
{
	int status;

	kill(child, SIGKILL);
	SYS(waitpid(child, &status, 0));
}

static void child_with_empty_table(void)
{
	int ready[2];
	char c;

	anon_area();
	SYS(pipe(ready));
	child = SYS(fork());
	if (!child) {
		pin(CONTROL);
		mark();
		empty_table();
		SYS(write(ready[1], "x", 1));
		while (1)
			pause();
	}
	CHECK(read(ready[0], &c, 1) == 1, "the child does not come up");
}

static void exit_beside(const char *symbol)
{
	actors();
	child_with_empty_table();
	meet(&(struct meeting) {
		.place = symbol,
		.any = true,
		.in_table = strcmp(symbol, LOCK_VMA) ? NULL : table,
		.start = wake_scanner,
		.beside = reap_child,
		.conduct = GOES,
	});
	scanner_sleeps(tables());
}

static void exit_looked(void)
{
	exit_beside(LOCK_VMA);
}

static void exit_locked(void)
{
	exit_beside("ptr_shim_pmd_clear");
}

static void exit_flushed(void)
{
	exit_beside("ptr_shim_pte_free_defer");
}

static const struct race others[] = {
	{ "scanner.looked.write", scanner_looked },
	{ "scanner.looked.munmap", scanner_looked },
	{ "scanner.looked.mremap_out", scanner_looked_moved },
	{ "scanner.flushed.write", scanner_flushed },
	{ "scanner.flushed.huge_page", scanner_flushed },
	{ "scanner.looked.exit", exit_looked },
	{ "scanner.locked.exit", exit_locked },
	{ "scanner.flushed.exit", exit_flushed },
};

const struct race *scan_race_list(void)
{
	static struct race races[256];
	size_t n = pair_up(races, "request", LOOK, stops, request_beside);

	memcpy(races + n, others, sizeof(others));
	return races;
}

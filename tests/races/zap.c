// SPDX-License-Identifier: GPL-2.0
/*
 * A zap that frees a table stands at one of four places, and somebody else comes
 * to the same table. madvise(MADV_DONTNEED) of what is left of it, under the VMA
 * lock for reading (mmap_lock if userfaultfd is armed). Where it stands:
 *
 *   hook       ptreclaim_zap(): the entries are none, the pmd points to the table;
 *              the PTE lock is held ("ZappedTable" of Documentation/locking.md)
 *   locked     ptr_shim_pmd_clear(): + the PMD lock ("EmptyPteTable")
 *   unlinked   ___pte_free_tlb(): the pmd is none, no page table lock; the zap has
 *              the only pointer, walkers may have others ("ForGather")
 *   unflushed  flush_tlb_mm_range(): the table is in the gather; other CPUs may
 *              have translations from it and cache the pmd; no lock is held,
 *              madvise_finish_tlb() comes after vma_end_read()
 *
 * What must hold, whoever comes: what he writes is there in the end, what was
 * zapped reads zero, the table is freed once, nothing else is; and he waits for
 * what is held above, and for nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "beside.h"
#include "races.h"

static const struct stop stops[] = {
	{ "hook", "ptreclaim_zap" },
	{ "locked", "ptr_shim_pmd_clear" },
	{ "unlinked", "___pte_free_tlb" },
	{ "unflushed", "flush_tlb_mm_range" },
};

static void zap_rest(void)
{
	advise(rest, REST, MADV_DONTNEED);
}

static enum conduct conduct_of(char c)
{
	return c == 'g' ? GOES : c == 'w' ? WAITS : MAY;
}

static void zap_beside(void)
{
	const struct pair *pair = this_race->arg;
	const struct peer *peer = pair->peer;
	long freed;

	actors();
	peer->setup();
	if (peer->ready)
		peer->ready();
	mark();
	fill_rest();
	if (peer->made)
		peer->made();
	freed = counter("freed") + counter("scan_freed");
	meet(&(struct meeting) {
		.place = stops[pair->stop].symbol,
		.first = zap_rest,
		.beside = peer->act,
		.conduct = conduct_of(peer->conduct[ZAP][pair->stop]),
	});
	freed = counter("freed") + counter("scan_freed") - freed;
	CHECK(freed == peer->freed, "%ld tables freed, not %d", freed,
	      peer->freed);
	CHECK(tables() == peer->tables, "%ld tables left, not %d", tables(),
	      peer->tables);
	peer->check();
	if (!peer->rest_gone)
		verify_zero(rest, REST, PAGE);
}

const struct race *zap_race_list(void)
{
	static struct race races[256];

	pair_up(races, "zap", ZAP, stops, zap_beside);
	return races;
}

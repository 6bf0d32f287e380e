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

static const struct {
	const char *name, *symbol;
} stops[] = {
	{ "hook", "ptreclaim_zap" },
	{ "locked", "ptr_shim_pmd_clear" },
	{ "unlinked", "___pte_free_tlb" },
	{ "unflushed", "flush_tlb_mm_range" },
};

#define STOPS	(sizeof(stops) / sizeof(stops[0]))

/* How a peer behaves at each of them: as enum conduct, '-' if there is no race. */
struct pair {
	const struct peer *peer;
	unsigned int stop;
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
		.conduct = conduct_of(peer->zap[pair->stop]),
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
	static struct pair pairs[256];
	static char text[256][40];
	const struct peer *peer = NULL;
	size_t n = 0, i;

	while ((peer = each_peer(peer))) {
		for (i = 0; peer->zap[i]; i++) {
			if (peer->zap[i] == '-')
				continue;
			pairs[n] = (struct pair) { peer, i };
			snprintf(text[n], sizeof(text[n]), "zap.%s.%s",
				 stops[i].name, peer->name);
			races[n] = (struct race) { text[n], zap_beside,
				&pairs[n], .rare = !stands_for_others(peer) };
			n++;
		}
	}
	return races;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The window that patch 1 closes (Documentation/tlb-ordering.md, deadline 2): a
 * zap has cleared the pmd and stands before its flush; another thread fills the
 * pmd and writes. A third CPU, which has the old page in its TLB and does not
 * enter the kernel, must read what was written, not the old page.
 *
 * At the stop: the zap holds no lock any more (madvise_walk_vmas() gives the VMA
 * lock back before madvise_finish_tlb()); the unlinked table is in its gather,
 * tlb_flush_pending is 1. The reader's CPU holds a translation that came from the
 * table.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "races.h"

#define OLD	0x1111111111111111ULL
#define NEW	0x2222222222222222ULL

static char *table;
static volatile uint64_t *word_read;
static _Atomic uint64_t reads, stale, after;
static _Atomic bool stop;

/* In user space all the time. */
static void *read_on(void *arg)
{
	(void)arg;
	pin(READER);
	while (!stop) {
		bool written = one_beside.done;
		uint64_t got = *word_read;

		reads++;
		if (written) {
			after++;
			stale += got == OLD;
		}
	}
	return NULL;
}

static void zap(void)
{
	advise(table, TABLE, MADV_DONTNEED);
}

static void write_new(void)
{
	*word_read = NEW;
}

/* Fills the pmd; reads zeroes, which are not the old page either. */
static void read_zero(void)
{
	CHECK(*word_read == 0, "the new page is not zero");
}

static bool without_shim;

/* Whether the reader sees the old page after the other has filled the pmd. */
static bool old_page_read(bool huge, void (*fill_pmd)(void), bool *held_up)
{
	pthread_t reader;
	uint64_t so_far;

	actors();
	table = map_anon(TABLE);
	word_read = (volatile uint64_t *)(table + 300 * PAGE);
	advise(table, TABLE, MADV_NOHUGEPAGE);
	*word_read = OLD;
	if (huge)
		advise(table, TABLE, MADV_HUGEPAGE);
	CHECK(!pthread_create(&reader, NULL, read_on, NULL), "no thread");
	while (reads < 1000)
		nap(1);

	stop_at(STANDING, "flush_tlb_mm_range", false, NULL);
	begin(&standing_one, zap);
	until_standing(&standing_one);
	if (without_shim)
		leave_out(BESIDE, "arch_flush_tlb_before_set_pmd");
	begin(&one_beside, fill_pmd);
	*held_up = !goes_beside(&one_beside);
	if (!*held_up) {
		/* The reader has all the time to see what it must not. */
		so_far = after;
		while (after - so_far < 20000)
			nap(1);
	}
	let_go(STANDING);
	end(&standing_one);
	end(&one_beside);
	so_far = after;
	while (after - so_far < 1000)
		nap(1);
	stop = true;
	pthread_join(reader, NULL);
	CHECK(*word_read == (fill_pmd == write_new ? NEW : 0),
	      "it holds %#lx in the end", *word_read);
	note("%lu reads, %lu after the pmd was filled, %lu of the old page",
	     reads, after, stale);
	return stale;
}

static void filled_by_huge_page(void)
{
	bool held_up, old = old_page_read(true, write_new, &held_up);

	CHECK(!held_up, "the fault does not come to an end");
	CHECK(smaps_kb(table, "AnonHugePages") == 2048, "no huge page came");
	CHECK(!old, "another CPU reads the old page");
}

/* That the above can fail, on the kernel at hand: the shim does nothing. */
static void shim_left_out(void)
{
	bool held_up, old;

	without_shim = true;
	old = old_page_read(true, write_new, &held_up);
	CHECK(!held_up, "the fault does not come to an end");
	CHECK(smaps_kb(table, "AnonHugePages") == 2048, "no huge page came");
	CHECK(old, "without the shim nobody reads the old page");
}

static void filled_by_huge_zero_page(void)
{
	bool held_up, old = old_page_read(true, read_zero, &held_up);

	CHECK(!held_up, "the fault does not come to an end");
	CHECK(!old, "another CPU reads the old page");
}

/* A new table: the same frame twice would be no matter, another one is. */
static void filled_by_table(void)
{
	bool held_up, old = old_page_read(false, write_new, &held_up);

	CHECK(!held_up, "the fault does not come to an end");
	CHECK(!old, "another CPU reads the old page");
}

const struct race window_races[] = {
	{ "window.huge_page", filled_by_huge_page, .everywhere = true },
	{ "window.shim_left_out", shim_left_out },
	{ "window.huge_zero_page", filled_by_huge_zero_page, .everywhere = true },
	{ "window.table", filled_by_table, .everywhere = true },
	{ }
};

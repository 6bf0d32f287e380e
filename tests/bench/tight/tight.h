/* SPDX-License-Identifier: GPL-2.0 */
/* What tight.c leaves to others: nothing of it runs when all goes as usual. */
#ifndef TIGHT_H
#define TIGHT_H

#include <linux/mm.h>
#include <linux/pt_reclaim.h>

/* As in rust/outcome.rs. */
enum outcome {
	FREED, RETRIED, PRESENT, SWAP, MARKERS, MIGRATION, REFILLED, STRADDLES, PMD_BUSY,
	RMAP_LOCK, UNKNOWN_LOCK, UNMAPPED, EXITING, NOT_COPIED, LOOKED, SCAN_FREED,
	SCAN_FREED_ZERO, REFAULTED, YOUNG, BUSY, NO_VMA, ZERO_MLOCKED, ZERO_UFFD, ZERO_SHARED,
	ZERO_SOFT_DIRTY, ZERO_PAGES, OUTCOMES,
};

extern const char *const tight_names[OUTCOMES];
extern unsigned long tight_refill;

/* An address space that was hinted at, with the lowest bit set until somebody looks. */
struct tight_slot {
	unsigned long mm;
	unsigned long announced;
	unsigned long other[14];
};

extern struct tight_slot tight_slots[1024];

void tight_find_slot(struct mm_struct *mm, unsigned int first);
enum outcome tight_why_not_present(u64 value);

/* A look at the tables under one PMD table. */
struct tight_look {
	struct mm_struct *mm;
	unsigned long now;
	bool zero_pages;
	int node;			/* or NUMA_NO_NODE */
	bool aged;
	unsigned long least;
	u16 round;
	bool closer;
	u64 looked, empty, zero_only, waiting;
	u64 kept[OUTCOMES];
};

void tight_look_closer(struct tight_look *look, unsigned long addr, u64 *table);
pmd_t *tight_next_pmd_table(struct mm_struct *mm, unsigned long *addr);

/* What the entries of a table amount to; @entry is what it is needed for. */
enum contents { NOTHING, ONLY_ZERO_PAGES, USED };
enum contents tight_contents(u64 *table, u64 *entry);

/* What is looked at. */
pt_reclaim_zap_t tight_zap;
pt_reclaim_hint_t tight_hint;
pt_reclaim_fork_t tight_fork;
unsigned long tight_look_at(struct tight_look *look, unsigned long addr, unsigned long end,
			    unsigned long *empty, unsigned long *zero_only);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mistakes that a build for tests can make on purpose (PTRECLAIM_SEEDED_BUGS=y),
 * each switched on by its bit of the parameter seeded_bugs. tests/bugs/table says
 * which rule each breaks, and which test must notice.
 */
#ifndef _PTRECLAIM_SEEDED_H
#define _PTRECLAIM_SEEDED_H

#include <linux/bits.h>
#include <linux/compiler.h>

enum ptr_bug {
	/* "Empty" survives the PTE lock: what Linux 6.14-rc did. */
	PTR_BUG_LOCK_DROPPED,
	/* The flush is for an address beyond the table: CVE-2026-74674. */
	PTR_BUG_FLUSH_ADDRESS,
	/* Nothing is flushed before a pmd is filled; or only on this CPU; or one page. */
	PTR_BUG_NO_SHIM,
	PTR_BUG_LOCAL_SHIM,
	PTR_BUG_SHIM_ONE_PAGE,
	/* Freed without waiting for RCU. */
	PTR_BUG_NO_RCU,
	/* Freed first, and flushed when the PMD lock is gone; or not flushed at all. */
	PTR_BUG_FREE_FIRST,
	PTR_BUG_NO_FLUSH,
	/* CPUs in lazy TLB mode are not told. */
	PTR_BUG_NOT_FREED_TABLES,
	/* A flush for each table, all with the PMD lock held. */
	PTR_BUG_FLUSH_EACH,
	/* The counters: mm_struct's, and NR_PAGETABLE with the cgroup's. */
	PTR_BUG_NR_PTES_KEPT,
	PTR_BUG_NR_PTES_TWICE,
	PTR_BUG_STATS_KEPT,
	/* The last entries are not looked at; what is not present is taken for none. */
	PTR_BUG_SCAN_SHORT,
	PTR_BUG_NOT_PRESENT,
	/* What the look without locks found is believed. */
	PTR_BUG_NO_SECOND_LOOK,
	/* A walker does not compare the pmd after it has the PTE lock. */
	PTR_BUG_NO_PMD_RECHECK,
	/* The PMD lock is waited for with the PTE lock held; the hook sleeps. */
	PTR_BUG_LOCK_ORDER,
	PTR_BUG_SLEEPS,
	/* One VMA's lock is enough for a table that two meet. */
	PTR_BUG_SECOND_VMA,
	/* A table goes that no VMA meets, and that a munmap() is freeing. */
	PTR_BUG_NO_VMA,
	/* An address space without users is joined. */
	PTR_BUG_NO_USERS,
	/* Zero pages of others go: of files and drivers, watched by userfaultfd. */
	PTR_BUG_SHARED,
	PTR_BUG_UFFD,
	/* Zero pages marked soft-dirty go. */
	PTR_BUG_SOFT_DIRTY,
	/* Secondary MMUs are not told; KSM is not. */
	PTR_BUG_NO_NOTIFIER,
	PTR_BUG_KSM_ZERO,
	/* The scanner's work is left queued when the module goes. */
	PTR_BUG_WORK_LEFT,
	/* A table is forgotten when its PMD lock is taken. */
	PTR_BUG_TRYLOCK_LOST,
	/* An address space that fork() is filling is joined, and not left again. */
	PTR_BUG_JOIN_LEAK,
	PTR_BUGS,
};

#ifdef PTRECLAIM_SEEDED_BUGS
extern unsigned long ptr_seeded_bugs;

static inline bool ptr_seeded(enum ptr_bug bug)
{
	return READ_ONCE(ptr_seeded_bugs) & BIT(bug);
}
#else
static inline bool ptr_seeded(enum ptr_bug bug)
{
	return false;
}
#endif

#endif /* _PTRECLAIM_SEEDED_H */

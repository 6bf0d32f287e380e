// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions of mm, and functions that only a patched kernel exports, for
 * rust/pgtable/.
 *
 * The exports are weak: on a kernel without them the module must get as far as
 * saying so. ptr_shim_hook_start() refuses before any of them is called.
 *
 * Tests have what is marked by ALLOW_ERROR_INJECTION() say no.
 */
#include <linux/delay.h>
#include <linux/error-injection.h>
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <linux/leafops.h>

#include <asm/pgalloc.h>

#include <ptreclaim/shim.h>

/* asm/tlbflush.h hides it from modules. */
void __weak flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end,
			       unsigned int stride_shift, bool freed_tables);
extern typeof(pte_free_defer) pte_free_defer __weak;

spinlock_t *ptr_shim_pmd_lockptr(struct mm_struct *mm, pmd_t *pmd)
{
	return pmd_lockptr(mm, pmd);
}

spinlock_t *ptr_shim_pte_lockptr(struct mm_struct *mm, pmd_t *pmd)
{
	return pte_lockptr(mm, pmd);
}

bool ptr_shim_trylock(spinlock_t *lock)
{
	if (ptr_seeded(PTR_BUG_SLEEPS))
		might_sleep();
	if (ptr_seeded(PTR_BUG_LOCK_ORDER)) {
		spin_lock(lock);
		return true;
	}
	return spin_trylock(lock);
}
ALLOW_ERROR_INJECTION(ptr_shim_trylock, NULL);

void ptr_shim_lock(spinlock_t *lock)
{
	spin_lock(lock);
}

/* For a PTE lock under the PMD lock. */
void ptr_shim_lock_nested(spinlock_t *lock)
{
	spin_lock_nested(lock, SINGLE_DEPTH_NESTING);
}

void ptr_shim_unlock(spinlock_t *lock)
{
	spin_unlock(lock);
}

/*
 * The entry for @addr; NULL if there is no PMD table. The mmap or VMA lock is
 * held: PMD tables stay. As mm_find_pmd(), which takes a huge PUD for a table:
 * one may be there by now, and its memory is no page table.
 */
pmd_t *ptr_shim_find_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgdp = pgd_offset(mm, addr);
	p4d_t *p4dp;
	pud_t *pudp, pud;

	if (!pgd_present(pgdp_get(pgdp)))
		return NULL;
	p4dp = p4d_offset(pgdp, addr);
	if (!p4d_present(p4dp_get(p4dp)))
		return NULL;
	pudp = pud_offset(p4dp, addr);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud) || pud_leaf(pud) || pud_bad(pud))
		return NULL;
	return pmd_offset_lockless(pudp, pud, addr);
}
ALLOW_ERROR_INJECTION(ptr_shim_find_pmd, NULL);

/* Whether a VMA does, and none of hugetlb. mmap_lock is held, so that stays so. */
bool ptr_shim_vma_meets(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;
	bool meets = false;

	for_each_vma_range(vmi, vma, end) {
		if (is_vm_hugetlb_page(vma))
			return false;
		meets = true;
	}
	return meets;
}
ALLOW_ERROR_INJECTION(ptr_shim_vma_meets, NULL);

/*
 * The PMD lock is held: what @pmd points to stays. NULL if that is no PTE
 * table. As pte_offset_map_rw_nolock(), without the RCU that the lock replaces.
 */
pte_t *ptr_shim_pte_table(struct mm_struct *mm, pmd_t *pmd, spinlock_t **ptl)
{
	pmd_t pmdval = pmdp_get(pmd);

	if (pmd_none(pmdval) || !pmd_present(pmdval) || pmd_leaf(pmdval) || pmd_bad(pmdval))
		return NULL;
	*ptl = pte_lockptr(mm, &pmdval);
	return (pte_t *)pmd_page_vaddr(pmdval);
}
ALLOW_ERROR_INJECTION(ptr_shim_pte_table, NULL);

/* Both locks are held and the table is empty. */
void ptr_shim_pmd_clear(pmd_t *pmd)
{
	pmd_clear(pmd);
}

/*
 * With freed_tables set, so that CPUs in lazy TLB mode drop their paging
 * structure caches as well. Waits for other CPUs; a PMD lock may be held.
 */
void ptr_shim_flush_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	if (ptr_seeded(PTR_BUG_NO_FLUSH) || ptr_seeded(PTR_BUG_FREE_FIRST))
		return;
	if (ptr_seeded(PTR_BUG_FLUSH_EACH))
		for (; start + PMD_SIZE < end; start += PMD_SIZE)
			flush_tlb_mm_range(mm, start, start + PMD_SIZE, PAGE_SHIFT, true);
	flush_tlb_mm_range(mm, start, end, PAGE_SHIFT, !ptr_seeded(PTR_BUG_NOT_FREED_TABLES));
}

/*
 * After the flush. No allocation: the RCU head is in the table's ptdesc.
 * pte_free_defer() was made for tables that go on being used for something else,
 * so that a hypervisor is told here, as ___pte_free_tlb() does.
 */
void ptr_shim_pte_free_defer(struct mm_struct *mm, pmd_t pmdval)
{
	pgtable_t table = pmd_pgtable(pmdval);

	if (!ptr_seeded(PTR_BUG_NR_PTES_KEPT))
		mm_dec_nr_ptes(mm);
	if (ptr_seeded(PTR_BUG_NR_PTES_TWICE))
		mm_dec_nr_ptes(mm);
	if (ptr_seeded(PTR_BUG_STATS_KEPT))
		lruvec_stat_add_folio(page_folio(table), NR_PAGETABLE);
	paravirt_release_pte(page_to_pfn(table));
	pte_free_defer(mm, table);
	if (ptr_seeded(PTR_BUG_FREE_FIRST)) {
		mdelay(100);
		flush_tlb_mm_range(mm, 0, TLB_FLUSH_ALL, PAGE_SHIFT, true);
	}
}

enum ptr_pte_kind ptr_shim_pte_kind(pte_t pte)
{
	softleaf_t entry;

	if (pte_present(pte))
		return PTR_PTE_PRESENT;

	entry = softleaf_from_pte(pte);
	if (softleaf_is_swap(entry))
		return PTR_PTE_SWAP;
	if (softleaf_is_marker(entry))
		return PTR_PTE_MARKER;
	return PTR_PTE_MIGRATION;
}

bool ptr_shim_mm_exiting(struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users);
}

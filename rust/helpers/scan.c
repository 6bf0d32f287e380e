// SPDX-License-Identifier: GPL-2.0
/*
 * What scans need of mm beside rust/helpers/pgtable.c: page tables looked at
 * without locks, zero pages, and which address spaces there are.
 */
#include <linux/error-injection.h>
#include <linux/irqflags.h>
#include <linux/ksm.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/userfaultfd_k.h>

#include <ptreclaim/shim.h>

#ifdef CONFIG_MMU_NOTIFIER
extern typeof(__mmu_notifier_invalidate_range_start) __mmu_notifier_invalidate_range_start __weak;
extern typeof(__mmu_notifier_invalidate_range_end) __mmu_notifier_invalidate_range_end __weak;
#endif

/* A present entry of the zero page: the bits that say so. */
u64 ptr_zero_pte __ro_after_init;

void ptr_shim_scan_init(void)
{
	ptr_zero_pte = pte_val(pfn_pte(zero_pfn(0), PAGE_READONLY)) & PTR_PTE_PAGE;
}

/*
 * The first PMD table for *@addr or after it, and its address. RCU keeps the
 * upper tables, @mm has users. As gup_fast_pgd_range() walks, with interrupts
 * off instead.
 */
pmd_t *ptr_shim_next_pmd_table(struct mm_struct *mm, unsigned long *addr)
{
	unsigned long at = *addr;

	while (at < TASK_SIZE_MAX) {
		pgd_t pgd = pgdp_get(pgd_offset(mm, at));
		p4d_t p4d;
		pud_t pud;

		if (pgd_none(pgd) || pgd_bad(pgd)) {
			at = ALIGN_DOWN(at, PGDIR_SIZE) + PGDIR_SIZE;
			continue;
		}
		p4d = p4dp_get(p4d_offset_lockless(pgd_offset(mm, at), pgd, at));
		if (p4d_none(p4d) || p4d_bad(p4d)) {
			at = ALIGN_DOWN(at, P4D_SIZE) + P4D_SIZE;
			continue;
		}
		pud = READ_ONCE(*pud_offset_lockless(NULL, p4d, at));
		if (!pud_none(pud) && pud_present(pud) && !pud_leaf(pud) && !pud_bad(pud)) {
			*addr = at;
			return pud_pgtable(pud);
		}
		at = ALIGN_DOWN(at, PUD_SIZE) + PUD_SIZE;
	}
	return NULL;
}

/* The table that @pmd points to; NULL for anything else. */
pte_t *ptr_shim_pte_base(pmd_t pmd)
{
	if (pmd_none(pmd) || !pmd_present(pmd) || pmd_leaf(pmd) || pmd_bad(pmd))
		return NULL;
	return (pte_t *)pmd_page_vaddr(pmd);
}

int ptr_shim_table_node(pmd_t pmd)
{
	return page_to_nid(pmd_page(pmd));
}

/* Unused on x86 for PTE tables, and in no union with what is used of them. */
unsigned long *ptr_shim_table_word(pmd_t pmd)
{
	return &page_ptdesc(pmd_page(pmd))->pt_index;
}

/* Where the VMA itself is soft-dirty, pagemap says so of a hole as well. */
static bool shows_soft_dirty(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			     pte_t *pte)
{
	unsigned long addr;

	if (vma->vm_flags & VM_SOFTDIRTY)
		return false;
	for (addr = max(start, vma->vm_start); addr < min(end, vma->vm_end); addr += PAGE_SIZE)
		if (pte_soft_dirty(ptep_get(pte + pte_index(addr))))
			return true;
	return false;
}

static enum ptr_zero_keep keeps_zero_pages(struct vm_area_struct *vma, unsigned long start,
					   unsigned long end, pte_t *pte)
{
	if ((!vma_is_anonymous(vma) || vma->vm_flags & (VM_SHARED | VM_MAYSHARE | VM_SPECIAL)) &&
	    !ptr_seeded(PTR_BUG_SHARED))
		return PTR_ZERO_SHARED;
	if (vma->vm_flags & VM_LOCKED)
		return PTR_ZERO_MLOCKED;
	if (userfaultfd_armed(vma) && !ptr_seeded(PTR_BUG_UFFD))
		return PTR_ZERO_UFFD;
	if (pte && shows_soft_dirty(vma, start, end, pte) && !ptr_seeded(PTR_BUG_SOFT_DIRTY))
		return PTR_ZERO_SOFT_DIRTY;
	return PTR_ZERO_DROP;
}

/*
 * mmap_lock is held, or the lock of @vma, which then has all of the range. The PTE
 * lock of the table at @pte is held, which maps the range; or NULL: entries are
 * not looked at.
 */
enum ptr_zero_keep ptr_shim_keeps_zero_pages(struct mm_struct *mm, struct vm_area_struct *vma,
					     unsigned long start, unsigned long end, pte_t *pte)
{
	VMA_ITERATOR(vmi, mm, start);
	enum ptr_zero_keep why;

	if (vma)
		return keeps_zero_pages(vma, start, end, pte);
	for_each_vma_range(vmi, vma, end) {
		why = keeps_zero_pages(vma, start, end, pte);
		if (why != PTR_ZERO_DROP)
			return why;
	}
	return PTR_ZERO_DROP;
}

/*
 * Both locks are held, and the table holds zero pages and nothing else. As
 * zap_pte_range() takes them away; they are in no counter but KSM's.
 */
void ptr_shim_clear_zero_pages(struct mm_struct *mm, unsigned long addr, pte_t *pte)
{
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++, addr += PAGE_SIZE) {
		pte_t was;

		if (pte_none(ptep_get(pte + i)))
			continue;
		was = ptep_get_and_clear(mm, addr, pte + i);
		if (!ptr_seeded(PTR_BUG_KSM_ZERO))
			ksm_might_unmap_zero_page(mm, was);
	}
}

void ptr_shim_invalidate_start(struct mmu_notifier_range *range, struct mm_struct *mm,
			       unsigned long start, unsigned long end)
{
	mmu_notifier_range_init(range, MMU_NOTIFY_CLEAR, 0, mm, start, end);
	if (ptr_seeded(PTR_BUG_NO_NOTIFIER))
		return;
	mmu_notifier_invalidate_range_start(range);
}

void ptr_shim_invalidate_end(struct mmu_notifier_range *range)
{
	if (ptr_seeded(PTR_BUG_NO_NOTIFIER))
		return;
	mmu_notifier_invalidate_range_end(range);
}

/*
 * Whether @mm, of which the caller is one user, is about to be torn down: that
 * must not wait for a scan.
 */
bool ptr_shim_mm_dying(struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users) == 1 || mm_flags_test(MMF_OOM_SKIP, mm) ||
	       mm_flags_test(MMF_UNSTABLE, mm);
}
ALLOW_ERROR_INJECTION(ptr_shim_mm_dying, TRUE);

/* Off until ptr_shim_irq_restore(). */
unsigned long ptr_shim_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

void ptr_shim_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}

/*
 * Whether it can be walked: between fork()'s beginning and end, and after its
 * failure, readers of its maple tree are not waited for. Nobody knows @mm before
 * dup_mmap() says so.
 */
bool ptr_shim_mm_complete(struct mm_struct *mm)
{
	return mt_in_rcu(&mm->mm_mt);
}
ALLOW_ERROR_INJECTION(ptr_shim_mm_complete, NULL);

/* About as many threads may be in a fault. */
unsigned int ptr_shim_mm_users(struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users);
}

void ptr_shim_cond_resched(void)
{
	cond_resched();
}

/*
 * Offers the address space of each process to the scanner, from those on that were
 * started at @from (start_boottime, in which order they are listed). Returns where
 * it found no room, to go on there when there is; 0 at the end. Who finds none
 * there again is left out.
 */
u64 ptr_shim_each_mm(u64 from)
{
	struct task_struct *process, *thread;

	guard(rcu)();
	for_each_process(process) {
		u64 started = process->start_boottime;

		if (process->flags & PF_KTHREAD || started < from)
			continue;
		/* for_each_thread() wants tasklist_lock with PROVE_RCU_LIST: not exported. */
		list_for_each_entry_rcu(thread, &process->signal->thread_head, thread_node) {
			bool found, room = true;

			task_lock(thread);
			found = thread->mm;
			if (found)
				room = ptreclaim_offer(thread->mm, started == from);
			task_unlock(thread);
			if (!room)
				return started;
			if (found)
				break;
		}
	}
	return 0;
}

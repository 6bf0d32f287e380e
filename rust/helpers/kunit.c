// SPDX-License-Identifier: GPL-2.0
/*
 * The KUnit suites' hands on a real address space: the one that
 * kunit_attach_mm() gives the test thread.
 */
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/leafops.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <ptreclaim/shim.h>

#define TEST_MAP	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* A private anonymous mapping, aligned to PMD_SIZE; 0 if there is none. */
unsigned long ptr_test_mmap(unsigned long len)
{
	unsigned long addr = kunit_vm_mmap(kunit_get_current_test(), NULL, 0, len + PMD_SIZE,
					   PROT_READ | PROT_WRITE, TEST_MAP, 0);

	return ALIGN(addr, PMD_SIZE);
}

/* Makes another VMA of a part of a mapping: read-only, so that it stays one. */
int ptr_test_mmap_fixed(unsigned long addr, unsigned long len)
{
	unsigned long at = vm_mmap(NULL, addr, len, PROT_READ, TEST_MAP | MAP_FIXED, 0);

	return at == addr ? 0 : -ENOMEM;
}

int ptr_test_put(unsigned long addr, u8 value)
{
	return put_user(value, (u8 __user *)addr);
}

int ptr_test_get(unsigned long addr)
{
	u8 value;
	int ret = get_user(value, (u8 __user *)addr);

	return ret ? ret : value;
}

/* Zaps like a driver, which no reclaimer touches: leaves empty tables. */
int ptr_test_zap(unsigned long addr, unsigned long len)
{
	struct vm_area_struct *vma;
	int ret = -EINVAL;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, addr);
	if (vma && vma->vm_start <= addr && addr + len <= vma->vm_end) {
		zap_vma_range(vma, addr, len);
		ret = 0;
	}
	mmap_read_unlock(current->mm);
	return ret;
}

/* Locks mmap_lock, the PTE lock, and with @pmd_too the PMD lock around it. */
static pte_t *lock_pte(unsigned long addr, pmd_t **pmd, spinlock_t **ptl, bool pmd_too)
{
	spinlock_t *pml;
	pte_t *pte;

	mmap_read_lock(current->mm);
	*pmd = ptr_shim_find_pmd(current->mm, addr);
	if (!*pmd)
		goto none;
	pml = pmd_lock(current->mm, *pmd);
	pte = ptr_shim_pte_table(current->mm, *pmd, ptl);
	if (pte && *ptl != pml)
		spin_lock_nested(*ptl, SINGLE_DEPTH_NESTING);
	if (!pte || (*ptl != pml && !pmd_too))
		spin_unlock(pml);
	if (pte)
		return pte + pte_index(addr);
none:
	mmap_read_unlock(current->mm);
	return NULL;
}

/*
 * Puts an entry of the kind into a table that exists; PTR_PTE_PRESENT takes it
 * out again. The address space must not be used with it inside.
 */
int ptr_test_set_pte(unsigned long addr, enum ptr_pte_kind kind)
{
	spinlock_t *ptl;
	pmd_t *pmd;
	pte_t *pte = lock_pte(addr, &pmd, &ptl, false);
	softleaf_t entry = {};

	if (!pte)
		return -EINVAL;

	switch (kind) {
	case PTR_PTE_PRESENT:
		WRITE_ONCE(pte->pte, 0);
		goto out;
	case PTR_PTE_SWAP:
		entry = swp_entry(0, 1);
		break;
	case PTR_PTE_MARKER:
		entry = make_guard_swp_entry();
		break;
	case PTR_PTE_MIGRATION:
		entry = make_readable_migration_entry(1);
		break;
	}
	WRITE_ONCE(pte->pte, swp_entry_to_pte(entry).pte);
out:
	spin_unlock(ptl);
	mmap_read_unlock(current->mm);
	return 0;
}

struct fork_question {
	struct work_struct work;
	struct mm_struct *mm;
	pmd_t *pmd;
	unsigned long addr;
	bool asked;
	bool nothing;
};

static void ask(struct work_struct *work)
{
	struct fork_question *q = container_of(work, struct fork_question, work);

	WRITE_ONCE(q->asked, true);
	q->nothing = ptreclaim_fork(q->mm, q->pmd, q->addr, q->addr + PAGE_SIZE);
}

/*
 * Whether fork() is told that there is nothing to copy while somebody replaces
 * the entry, as try_to_unmap_one() does: cleared at first, under the PTE lock.
 */
int ptr_test_fork_beside_unmap(unsigned long addr)
{
	struct fork_question q = { .mm = current->mm, .addr = addr };
	spinlock_t *ptl;
	pte_t *pte = lock_pte(addr, &q.pmd, &ptl, false), was;
	int cpu, ms;

	if (!pte)
		return -EINVAL;
	was = ptep_get(pte);
	WRITE_ONCE(pte->pte, 0);
	INIT_WORK_ONSTACK(&q.work, ask);
	cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	if (cpu < nr_cpu_ids) {
		queue_work_on(cpu, system_percpu_wq, &q.work);
		for (ms = 0; ms < 1000 && !READ_ONCE(q.asked); ms++)
			mdelay(1);
		mdelay(2);
	}
	WRITE_ONCE(pte->pte, was.pte);
	spin_unlock(ptl);
	flush_work(&q.work);
	destroy_work_on_stack(&q.work);
	mmap_read_unlock(current->mm);
	return q.asked ? q.nothing : -EBUSY;
}

/* Who walks the page tables under RCU, on another CPU, while the table goes. */
static struct walker {
	struct work_struct work;
	struct page *table;
	bool inside;
	bool gone;
	bool kept;
} walker;

static void walk(struct work_struct *work)
{
	int ms;

	rcu_read_lock();
	WRITE_ONCE(walker.inside, true);
	for (ms = 0; ms < 5000 && !READ_ONCE(walker.gone); ms++)
		mdelay(1);
	mdelay(20);
	walker.kept = PageTable(walker.table);
	rcu_read_unlock();
}

int ptr_test_walk_begin(unsigned long addr)
{
	int cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	pmd_t *pmd = ptr_shim_find_pmd(current->mm, addr);

	if (cpu >= nr_cpu_ids || !pmd || !pmd_present(pmdp_get(pmd)))
		return -EINVAL;
	walker = (struct walker){ .table = pmd_page(pmdp_get(pmd)) };
	INIT_WORK(&walker.work, walk);
	queue_work_on(cpu, system_percpu_wq, &walker.work);
	while (!READ_ONCE(walker.inside))
		cond_resched();
	return 0;
}

/* Whether the table was one until the walk ended. */
bool ptr_test_walk_end(void)
{
	WRITE_ONCE(walker.gone, true);
	flush_work(&walker.work);
	return walker.kept;
}

/* Asks for huge pages in the mapping at @addr, as MADV_HUGEPAGE does. */
int ptr_test_want_huge(unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_write_lock(current->mm);
	vma = find_vma(current->mm, addr);
	if (vma) {
		vma_start_write(vma);
		vm_flags_set(vma, VM_HUGEPAGE);
	}
	mmap_write_unlock(current->mm);
	return vma ? 0 : -EINVAL;
}

unsigned long ptr_test_pte_tables(void)
{
	return mm_pgtables_bytes(current->mm) / PAGE_SIZE;
}

/* How often the TLB of the address space was to be flushed. */
u64 ptr_test_flushes(void)
{
	return atomic64_read(&current->mm->context.tlb_gen);
}

/* As a thread between its first pmd_clear() and the end of its gather. */
void ptr_test_flush_pending(bool pending)
{
	if (pending)
		inc_tlb_flush_pending(current->mm);
	else
		dec_tlb_flush_pending(current->mm);
}

int ptr_test_register(unsigned int abi)
{
	const struct pt_reclaim_ops ops = {
		.abi = abi,
		.owner = THIS_MODULE,
		.zap = ptreclaim_zap,
	};
	int ret = pt_reclaim_register(&ops);

	if (!ret)
		pt_reclaim_unregister(&ops);
	return ret;
}

int ptr_test_zap_begin(struct ptr_test_zap *zap, unsigned long start, unsigned long end,
		       bool pmd_taken)
{
	spinlock_t *ptl;

	zap->pte = lock_pte(start, &zap->pmd, &ptl, pmd_taken);
	if (!zap->pte)
		return -EINVAL;
	zap->vma = find_vma(current->mm, start);
	zap->start = start;
	zap->end = end;
	return 0;
}

void ptr_test_zap_end(struct ptr_test_zap *zap, pmd_t unlinked, bool pmd_taken)
{
	spinlock_t *ptl = pte_lockptr(current->mm, pmd_none(unlinked) ? zap->pmd : &unlinked);
	spinlock_t *pml = pmd_lockptr(current->mm, zap->pmd);

	spin_unlock(ptl);
	if (pmd_taken && ptl != pml)
		spin_unlock(pml);
	if (!pmd_none(unlinked)) {
		ptr_shim_flush_range(current->mm, zap->start & PMD_MASK,
				     (zap->start & PMD_MASK) + PMD_SIZE);
		ptr_shim_pte_free_defer(current->mm, unlinked);
	}
	mmap_read_unlock(current->mm);
}

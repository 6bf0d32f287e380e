// SPDX-License-Identifier: GPL-2.0
/*
 * The module's hot paths once more, step by step the same, as one writes them in C: `make bench`
 * holds what the compilers make of both against each other. Never linked, never loaded.
 */
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>

#include <ptreclaim/shim.h>
#include <trace/events/ptreclaim.h>

#include "tight.h"

#define LINE		8	/* entries of a cache line */
#define OVERLOOKED	(_PAGE_ACCESSED | _PAGE_DIRTY)
#define MAPS_PAGE	(_PAGE_PRESENT | _PAGE_PROTNONE)
#define GOLDEN		0x9e3779b97f4a7c15UL

static bool is_none(u64 value)
{
	return !(value & ~OVERLOOKED);
}

static bool maps_zero_page(u64 value)
{
	return (value & PTR_PTE_PAGE) == ptr_zero_pte;
}

static enum outcome why_kept(u64 value)
{
	return value & MAPS_PAGE ? PRESENT : tight_why_not_present(value);
}

/* rust/scan/hints.rs */

static void hint(struct mm_struct *mm)
{
	unsigned int first = ((unsigned long)mm * GOLDEN) >> 54;
	struct tight_slot *slot = &tight_slots[first];

	smp_mb(); /* what was cleared is seen before the hint is taken */
	if (READ_ONCE(slot->mm) == ((unsigned long)mm | 1) &&
	    READ_ONCE(slot->announced) == jiffies)
		return;
	tight_find_slot(mm, first);
}

void tight_hint(struct mm_struct *mm)
{
	if (atomic_read(&mm->mm_users))
		hint(mm);
}

/* rust/policy.rs and rust/memory.rs */

#define TAG		GENMASK_ULL(28, 0)
#define SLOT_SHIFT	29
#define HAS_SLOT	BIT_ULL(38)
#define TIME_SHIFT	39
#define TIME		GENMASK_ULL(22, 0)
#define WAS_FREED	BIT_ULL(62)
#define BY_SCAN		BIT_ULL(63)

static u64 memories[4096];

static u64 key_of(struct mm_struct *mm, unsigned long addr)
{
	return (mm->context.ctx_id << 12 ^ rol64(addr >> 21, 40)) * GOLDEN;
}

static u64 tag_of(u64 key)
{
	return key >> 23 & TAG;
}

static u64 occupied(u64 word, u64 key, unsigned int index)
{
	u64 kept = 0;

	if ((word & TAG) == tag_of(key))
		kept = word & (BY_SCAN | WAS_FREED | TIME << TIME_SHIFT);
	return tag_of(key) | kept | (u64)index << SLOT_SHIFT | HAS_SLOT;
}

/* rust/reclaim.rs */

static pmd_t keep(struct mm_struct *mm, unsigned long addr, enum outcome why)
{
	this_cpu_inc(ptr_counters[why]);
	trace_ptreclaim_kept(mm, addr, tight_names[why]);
	return __pmd(0);
}

static pmd_t leave(struct mm_struct *mm, unsigned long addr, enum outcome why)
{
	hint(mm);
	return keep(mm, addr, why);
}

static pmd_t keep_for(struct mm_struct *mm, unsigned long addr, u64 value)
{
	if (maps_zero_page(value))
		hint(mm);
	return keep(mm, addr, why_kept(value));
}

/* The first entry of @table from @from to @to that is not none; @to if there is none. */
static unsigned int find_occupied(u64 *table, unsigned int from, unsigned int to)
{
	while (from < to) {
		if (!(from % LINE) && from + LINE <= to) {
			u64 any = 0;
			int i;

			for (i = 0; i < LINE; i++)
				any |= READ_ONCE(table[from + i]);
			if (is_none(any)) {
				from += LINE;
				continue;
			}
		}
		if (!is_none(READ_ONCE(table[from])))
			return from;
		from++;
	}
	return to;
}

/* From the zapped entries @first to @last outward, and then these; -1 if there is none. */
static int find_outward(u64 *table, unsigned int first, unsigned int last)
{
	unsigned int at;

	at = find_occupied(table, last + 1, PTRS_PER_PTE);
	if (at < PTRS_PER_PTE)
		return at;
	at = find_occupied(table, 0, first);
	if (at < first)
		return at;
	at = find_occupied(table, first, last + 1);
	return at <= last ? at : -1;
}

pmd_t tight_zap(struct mmu_gather *tlb, struct vm_area_struct *vma, pmd_t *pmd, pte_t *pte,
		unsigned long start, unsigned long end, const struct zap_details *details,
		bool empty)
{
	u64 *table = (u64 *)((unsigned long)pte & PAGE_MASK);
	unsigned int flags = details ? details->reclaim_flags : 0;
	unsigned long addr = start & PMD_MASK, now = jiffies;
	struct mm_struct *mm = vma->vm_mm;
	bool unlock_mmap = false;
	spinlock_t *pml;
	u64 key, word, *memory;
	pmd_t pmdval;

	if (!(flags & (PT_RECLAIM_MMAP_LOCK | PT_RECLAIM_VMA_LOCK)))
		return leave(mm, addr, flags & PT_RECLAIM_RMAP ? RMAP_LOCK : UNKNOWN_LOCK);
	if (flags & PT_RECLAIM_MUNMAP && addr >= details->pg_start &&
	    addr + (PMD_SIZE - 1) <= details->pg_end - 1)
		return keep(mm, addr, UNMAPPED);
	if (flags & PT_RECLAIM_REAPER && !atomic_read(&mm->mm_users))
		return keep(mm, addr, EXITING);

	key = key_of(mm, addr);
	memory = &memories[key >> 52];
	word = READ_ONCE(*memory);
	if ((word & TAG) == tag_of(key)) {
		if (word & WAS_FREED &&
		    ((now - (word >> TIME_SHIFT)) & TIME) < READ_ONCE(tight_refill))
			return leave(mm, addr, REFILLED);
		if (word & HAS_SLOT) {
			u64 value = READ_ONCE(table[word >> SLOT_SHIFT & 511]);

			if (!is_none(value))
				return keep_for(mm, addr, value);
		}
	}

	if (!empty) {
		int found = find_outward(table, pte_index(start), pte_index(end - 1));

		if (found >= 0) {
			u64 is = occupied(word, key, found);

			if (is != word)
				WRITE_ONCE(*memory, is);
			return keep_for(mm, addr, READ_ONCE(table[found]));
		}
	}

	if (!(flags & PT_RECLAIM_MMAP_LOCK) &&
	    (vma->vm_start > addr || vma->vm_end < addr + PMD_SIZE)) {
		if (!mmap_read_trylock(mm))
			return leave(mm, addr, STRADDLES);
		unlock_mmap = true;
	}

	pml = pmd_lockptr(mm, pmd);
	if (pml != pte_lockptr(mm, pmd) && !spin_trylock(pml)) {
		if (unlock_mmap) {
			mmap_read_unlock(mm);
			return leave(mm, addr, PMD_BUSY);
		}
		this_cpu_inc(ptr_counters[RETRIED]);
		return PT_RECLAIM_RETRY;
	}
	pmdval = pmdp_get(pmd);
	pmd_clear(pmd);
	if (pml != pte_lockptr(mm, &pmdval))
		spin_unlock(pml);
	if (unlock_mmap)
		mmap_read_unlock(mm);

	WRITE_ONCE(*memory, tag_of(key) | (now & TIME) << TIME_SHIFT | WAS_FREED);
	this_cpu_inc(ptr_counters[FREED]);
	trace_ptreclaim_freed(mm, addr, tight_names[FREED]);
	return pmdval;
}

/* rust/pgtable/region.rs */

static u64 *table_of(pmd_t pmd)
{
	if (pmd_none(pmd) || !pmd_present(pmd) || pmd_leaf(pmd) || pmd_bad(pmd))
		return NULL;
	return (u64 *)pmd_page_vaddr(pmd);
}

/* The last one first: then the first one, where a live table ends it. */
static bool all_none(u64 *table, unsigned int first, unsigned int last)
{
	if (!is_none(READ_ONCE(table[last])))
		return false;
	for (; first < last; first++)
		if (!is_none(READ_ONCE(table[first])))
			return false;
	return true;
}

bool tight_fork(struct mm_struct *src_mm, pmd_t *src_pmd, unsigned long addr, unsigned long end)
{
	unsigned int first = pte_index(addr), last = pte_index(end - 1);
	bool nothing = false;
	spinlock_t *ptl;
	pmd_t pmdval;
	u64 *table;

	rcu_read_lock();
	pmdval = pmdp_get_lockless(src_pmd);
	table = table_of(pmdval);
	if (table && all_none(table, first, last)) {
		ptl = pte_lockptr(src_mm, &pmdval);
		spin_lock(ptl);
		nothing = pmd_val(pmdp_get_lockless(src_pmd)) == pmd_val(pmdval) &&
			  all_none(table, first, last);
		spin_unlock(ptl);
	}
	rcu_read_unlock();
	if (nothing)
		this_cpu_inc(ptr_counters[NOT_COPIED]);
	return nothing;
}

/* rust/pgtable/pte.rs */

enum contents tight_contents(u64 *table, u64 *entry)
{
	bool zero = false;
	int at, i;

	for (at = 0; at < PTRS_PER_PTE; at += LINE) {
		u64 any = 0;

		for (i = 0; i < LINE; i++)
			any |= READ_ONCE(table[at + i]);
		if (likely(is_none(any)))
			continue;
		for (i = 0; i < LINE; i++) {
			u64 value = READ_ONCE(table[at + i]);

			if (maps_zero_page(value)) {
				zero = true;
			} else if (!is_none(value)) {
				*entry = value;
				return USED;
			}
		}
	}
	return zero ? ONLY_ZERO_PAGES : NOTHING;
}

/* rust/scan/sweep.rs and rust/scan/stamp.rs */

static void look_keep(struct tight_look *look, enum outcome why)
{
	look->kept[why]++;
	if (why == YOUNG || why == BUSY)
		look->waiting++;
}

/* Since when it has been empty is in a word of the table's own. */
static unsigned int empty_for(struct tight_look *look, pmd_t pmd)
{
	unsigned long *word = &page_ptdesc(pmd_page(pmd))->pt_index, was = READ_ONCE(*word);
	u64 mm = look->mm->context.ctx_id, tag = ((mm ^ mm >> 16) & 0xffff) ^ 0x7ab1;
	u32 now = look->now, first = now;
	u16 before = was >> 32;

	if (was >> 48 == tag && (before == look->round || before == (u16)(look->round - 1)))
		first = was;
	WRITE_ONCE(*word, tag << 48 | (u64)look->round << 32 | first);
	return now - first;
}

static bool is_due(struct tight_look *look, pmd_t pmd)
{
	if (look->node != NUMA_NO_NODE && look->node != page_to_nid(pmd_page(pmd)))
		return false;
	if (look->aged && empty_for(look, pmd) < look->least) {
		look_keep(look, YOUNG);
		return false;
	}
	return true;
}

static void look_through(struct tight_look *look, u64 *table, pmd_t pmd, unsigned int index,
			 unsigned long *empty, unsigned long *zero_only)
{
	unsigned long *due = empty;
	u64 entry;

	switch (tight_contents(table, &entry)) {
	case USED:
		look_keep(look, why_kept(entry));
		return;
	case NOTHING:
		look->empty++;
		break;
	case ONLY_ZERO_PAGES:
		look->zero_only++;
		if (!look->zero_pages) {
			look_keep(look, ZERO_PAGES);
			return;
		}
		due = zero_only;
	}
	if (is_due(look, pmd))
		__set_bit(index, due);
}

static bool is_live(u64 *table)
{
	u64 value = READ_ONCE(*table);

	return value & MAPS_PAGE && !maps_zero_page(value);
}

/* Gives where the PMD table begins, @end if there is none. */
unsigned long tight_look_at(struct tight_look *look, unsigned long addr, unsigned long end,
			    unsigned long *empty, unsigned long *zero_only)
{
	unsigned long start = addr & PUD_MASK, flags;
	unsigned int index, last;
	pmd_t *pmds;

	guard(rcu)();
	pmds = tight_next_pmd_table(look->mm, &start);
	if (!pmds || start >= end)
		return end;
	index = addr > start ? (addr - start) / PMD_SIZE : 0;
	last = min(DIV_ROUND_UP(end - start, PMD_SIZE), PTRS_PER_PMD);
	while (index < last) {
		unsigned int enough = 0;

		local_irq_save(flags);
		for (; index < last && enough < 16; index++) {
			pmd_t pmd = pmdp_get_lockless(pmds + index);
			u64 *table = table_of(pmd);

			if (!table)
				continue;
			look->looked++;
			if (unlikely(look->closer))
				tight_look_closer(look, start + index * PMD_SIZE, table);
			enough++;
			if (is_live(table)) {
				look->kept[PRESENT]++;
				continue;
			}
			look_through(look, table, pmd, index, empty, zero_only);
			enough += 3;
		}
		local_irq_restore(flags);
	}
	return start;
}

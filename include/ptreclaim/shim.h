/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the C and the Rust part of ptreclaim: bindgen reads this
 * file, the C compiler checks it against rust/helpers/.
 */
#ifndef _PTRECLAIM_SHIM_H
#define _PTRECLAIM_SHIM_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/percpu.h>
#include <linux/pt_reclaim.h>

#include <ptreclaim/seeded.h>
#include <uapi/linux/ptreclaim.h>

#define PTR_ABI			PT_RECLAIM_ABI
#define PTR_MAX_OUTCOMES	48

/* zap_details.reclaim_flags, for bindgen, which does not see through BIT(). */
enum ptr_flags {
	PTR_DONTNEED	= PT_RECLAIM_DONTNEED,
	PTR_MUNMAP	= PT_RECLAIM_MUNMAP,
	PTR_REAPER	= PT_RECLAIM_REAPER,
	PTR_RMAP	= PT_RECLAIM_RMAP,
	PTR_VMA_LOCK	= PT_RECLAIM_VMA_LOCK,
	PTR_MMAP_LOCK	= PT_RECLAIM_MMAP_LOCK,
};

/* What a non-none PTE holds. */
enum ptr_pte_kind {
	PTR_PTE_PRESENT,
	PTR_PTE_SWAP,
	PTR_PTE_MARKER,
	PTR_PTE_MIGRATION,
};

/* The tracepoints, as CREATE_RUST_TRACE_POINTS makes them (helpers/events.c). */
#ifdef __BINDGEN__
#include <trace/events/ptreclaim.h>
void rust_do_trace_ptreclaim_freed(struct mm_struct *mm, unsigned long addr, const char *why);
void rust_do_trace_ptreclaim_kept(struct mm_struct *mm, unsigned long addr, const char *why);
void rust_do_trace_ptreclaim_scan_begin(struct mm_struct *mm, unsigned long addr, const char *by);
void rust_do_trace_ptreclaim_scan_end(struct mm_struct *mm, const char *by, u64 looked, u64 empty,
				      u64 zero_only, u64 freed, u64 ns);
#endif

/* Whether zero pages may be taken away from a mapping. */
enum ptr_zero_keep {
	PTR_ZERO_DROP,
	PTR_ZERO_MLOCKED,
	PTR_ZERO_UFFD,
	PTR_ZERO_SOFT_DIRTY,
	PTR_ZERO_SHARED,
};

/* helpers/hook.c: registration; may sleep. And PT_RECLAIM_RETRY. */
pmd_t ptr_shim_retry(void);
int ptr_shim_hook_start(void);
void ptr_shim_hook_stop(void);
unsigned long ptr_shim_refill_jiffies(void);

/* helpers/counters.c: one counter per outcome and CPU; any context. */
DECLARE_PER_CPU(u64[PTR_MAX_OUTCOMES], ptr_counters);
u64 ptr_shim_counted(unsigned int outcome);

/* helpers/pgtable.c: inline functions of mm; locks as stated there. */
spinlock_t *ptr_shim_pmd_lockptr(struct mm_struct *mm, pmd_t *pmd);
spinlock_t *ptr_shim_pte_lockptr(struct mm_struct *mm, pmd_t *pmd);
bool ptr_shim_trylock(spinlock_t *lock);
void ptr_shim_lock(spinlock_t *lock);
void ptr_shim_lock_nested(spinlock_t *lock);
void ptr_shim_unlock(spinlock_t *lock);
pmd_t *ptr_shim_find_pmd(struct mm_struct *mm, unsigned long addr);
bool ptr_shim_vma_meets(struct mm_struct *mm, unsigned long start, unsigned long end);
pte_t *ptr_shim_pte_table(struct mm_struct *mm, pmd_t *pmd, spinlock_t **ptl);
void ptr_shim_pmd_clear(pmd_t *pmd);
void ptr_shim_flush_range(struct mm_struct *mm, unsigned long start, unsigned long end);
void ptr_shim_pte_free_defer(struct mm_struct *mm, pmd_t pmdval);
enum ptr_pte_kind ptr_shim_pte_kind(pte_t pte);
bool ptr_shim_mm_exiting(struct mm_struct *mm);

/* helpers/scan.c: what scans need of mm; locks as stated there. */
/* As PAGE in rust/pgtable/pte.rs. */
#define PTR_PTE_PAGE	(GENMASK_ULL(51, 12) | _PAGE_PRESENT)
extern u64 ptr_zero_pte;
void ptr_shim_scan_init(void);
pmd_t *ptr_shim_next_pmd_table(struct mm_struct *mm, unsigned long *addr);
pte_t *ptr_shim_pte_base(pmd_t pmd);
int ptr_shim_table_node(pmd_t pmd);
unsigned long *ptr_shim_table_word(pmd_t pmd);
enum ptr_zero_keep ptr_shim_keeps_zero_pages(struct mm_struct *mm, struct vm_area_struct *vma,
					     unsigned long start, unsigned long end, pte_t *pte);
void ptr_shim_clear_zero_pages(struct mm_struct *mm, unsigned long addr, pte_t *pte);
void ptr_shim_invalidate_start(struct mmu_notifier_range *range, struct mm_struct *mm,
			       unsigned long start, unsigned long end);
void ptr_shim_invalidate_end(struct mmu_notifier_range *range);
unsigned long ptr_shim_irq_save(void);
void ptr_shim_irq_restore(unsigned long flags);
void ptr_shim_cond_resched(void);
bool ptr_shim_mm_complete(struct mm_struct *mm);
unsigned int ptr_shim_mm_users(struct mm_struct *mm);
bool ptr_shim_mm_dying(struct mm_struct *mm);
u64 ptr_shim_each_mm(u64 from);

/* helpers/work.c: when the scanner runs, and its parameters. */
int ptr_shim_work_start(void);
void ptr_shim_work_stop(void);
void ptr_shim_work_arm(void);
unsigned long ptr_shim_scan_interval(void);
unsigned long ptr_shim_scan_age(void);
unsigned int ptr_shim_scan_budget_us(void);
bool ptr_shim_scan_zero_pages(void);

/* helpers/device.c: /dev/ptreclaim; may sleep. */
int ptr_shim_device_start(void);
void ptr_shim_device_stop(void);
struct mm_struct *ptr_shim_request_mm(int pidfd, bool dry_run);
unsigned long ptr_shim_task_size(void);

/* helpers/pressure.c: the shrinker and the OOM notifier. */
int ptr_shim_pressure_start(void);
void ptr_shim_pressure_stop(void);
void ptr_shim_has_tables(struct mm_struct *mm);
bool ptr_shim_mm_in_memcg(struct mm_struct *mm, struct mem_cgroup *memcg);
unsigned long ptr_shim_spare_tables(struct mm_struct *mm);
unsigned int ptr_shim_nodes(void);

/* rust/sys/: called by the kernel through pt_reclaim_ops, and by helpers/. */
pt_reclaim_zap_t ptreclaim_zap;
pt_reclaim_hint_t ptreclaim_hint;
bool ptreclaim_offer(struct mm_struct *mm, bool last_try);
void ptreclaim_offer_all(void);
pt_reclaim_fork_t ptreclaim_fork;
bool ptreclaim_scan(void);
bool ptreclaim_forget_dead(void);
unsigned long ptreclaim_count(int nid, struct mem_cgroup *memcg);
unsigned long ptreclaim_shrink(int nid, struct mem_cgroup *memcg, unsigned long most);
unsigned long ptreclaim_before_oom(void);
long ptreclaim_ioctl(unsigned int cmd, unsigned long arg);

#ifdef CONFIG_FAIL_FUNCTION
/* helpers/forced.c: true, unless a test has it go the other way; any context. */
bool ptr_shim_may_try_mmap(void);
bool ptr_shim_may_lock_vma(void);
bool ptr_shim_may_join(void);
bool ptr_shim_may_have_slot(void);
#endif

#ifdef PTRECLAIM_SEEDED_BUGS
/* helpers/seeded.c: when the module goes; may sleep. */
void ptr_shim_unseed(void);
#endif

#ifdef PTRECLAIM_KUNIT
/* helpers/kunit.c: the address space of the running KUnit test; may sleep. */
unsigned long ptr_test_mmap(unsigned long len);
int ptr_test_mmap_fixed(unsigned long addr, unsigned long len);
int ptr_test_put(unsigned long addr, u8 value);
int ptr_test_get(unsigned long addr);
int ptr_test_zap(unsigned long addr, unsigned long len);
int ptr_test_set_pte(unsigned long addr, enum ptr_pte_kind kind);
int ptr_test_fork_beside_unmap(unsigned long addr);
int ptr_test_walk_begin(unsigned long addr);
bool ptr_test_walk_end(void);
int ptr_test_want_huge(unsigned long addr);
unsigned long ptr_test_pte_tables(void);
u64 ptr_test_flushes(void);
void ptr_test_flush_pending(bool pending);
int ptr_test_register(unsigned int abi);

/* A table as zap_pte_range() has it when it calls its hook. */
struct ptr_test_zap {
	struct vm_area_struct *vma;
	pmd_t *pmd;
	pte_t *pte;
	unsigned long start;
	unsigned long end;
	struct zap_details details;
};

/* Between these the PTE lock is held, and if @pmd_taken the PMD lock too. */
int ptr_test_zap_begin(struct ptr_test_zap *zap, unsigned long start, unsigned long end,
		       bool pmd_taken);
void ptr_test_zap_end(struct ptr_test_zap *zap, pmd_t unlinked, bool pmd_taken);
#endif

#endif /* _PTRECLAIM_SHIM_H */

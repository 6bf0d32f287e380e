// SPDX-License-Identifier: GPL-2.0

//! A first look at page tables, without any lock: RCU keeps PMD tables from being freed, interrupts
//! that are off keep PTE tables, as in `gup_fast()`.
//!
//! What is seen may be outdated the moment after. It decides which tables are worth locking, no
//! more: a table is freed only after a second look, by [`super::slot`].

use super::{
    lock::PteLock,
    pte::{
        self,
        Contents, //
    },
    PMD_SIZE,
    PTRS_PER_PMD,
    PUD_SIZE, //
};
use crate::sys::bindings::{
    self,
    mm_struct,
    pmd_t, //
};
use core::{
    marker::PhantomData,
    ops::Range,
    ptr, //
};
use kernel::{
    mm::MmWithUser,
    sync::rcu,
    types::NotThreadSafe, //
};

/// Interrupts are off on this CPU as long as this lives.
///
/// RCU is not enough for PTE tables: `khugepaged` deposits one for the huge page that replaces it,
/// and when that page goes the table is freed at once (`zap_deposited_table()`). What it does wait
/// for in between, for the sake of `gup_fast()`, is that each CPU in the system answers an interrupt
/// (`tlb_remove_table_sync_one()`). Those that use the address space would not do: this one may not.
pub(crate) struct IrqsOff {
    flags: usize,
    _cpu: NotThreadSafe,
}

impl IrqsOff {
    /// Switches them off.
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            // SAFETY: Any context.
            flags: unsafe { bindings::ptr_shim_irq_save() },
            _cpu: NotThreadSafe,
        }
    }
}

impl Drop for IrqsOff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: As `new` found them, on the same CPU.
        unsafe { bindings::ptr_shim_irq_restore(self.flags) }
    }
}

/// A PMD table of an address space, and the PTE tables that it points to.
///
/// # Invariants
///
/// `pmds` is the PMD table for `start`, or was a moment ago. The RCU guard keeps it from being freed:
/// with `CONFIG_PT_RECLAIM` x86 frees PMD tables by RCU only (`tlb_remove_table()`,
/// `mm/mmu_gather.c`).
pub(crate) struct Region<'r> {
    pmds: *const pmd_t,
    start: usize,
    _rcu: PhantomData<&'r rcu::Guard>,
}

impl<'r> Region<'r> {
    /// The first PMD table at or after `addr`, `None` if there is none up to the end of the address
    /// space.
    pub(crate) fn next(mm: &MmWithUser, addr: usize, _rcu: &'r rcu::Guard) -> Option<Self> {
        let mut start = addr & !(PUD_SIZE - 1);
        // SAFETY: `mm` has users, so its topmost table is there; RCU keeps the others.
        let pmds = unsafe { bindings::ptr_shim_next_pmd_table(mm.as_raw(), &mut start) };
        // INVARIANT: As found just now, under RCU.
        (!pmds.is_null()).then_some(Self {
            pmds,
            start,
            _rcu: PhantomData,
        })
    }

    /// The first address that its tables map.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The table `index`; `None` if there is none, or a huge page.
    #[inline]
    pub(crate) fn table<'i>(&self, index: usize, _irqs: &'i IrqsOff) -> Option<SeenTable<'i>> {
        if index >= PTRS_PER_PMD {
            return None;
        }
        // SAFETY: An entry of the table, by the type invariant; interrupts are off for `'i`.
        unsafe { SeenTable::of(self.pmds.add(index)) }
    }
}

/// A PTE table, seen without a lock.
///
/// # Invariants
///
/// `base` is the first entry of a PTE table that was linked when interrupts were off already, and
/// `pmdval` pointed to it. They are off for `'i`, and so the table stays: whoever frees it waits for
/// RCU, or first for an interrupt on each CPU.
pub(crate) struct SeenTable<'i> {
    base: *const u64,
    pmdval: pmd_t,
    _irqs: PhantomData<&'i IrqsOff>,
}

impl SeenTable<'_> {
    /// # Safety
    ///
    /// `pmd` must be an entry of a PMD table that stays, and interrupts must be off as long as the
    /// value lives, or the table that `pmd` points to stay for another reason.
    #[inline]
    pub(super) unsafe fn of(pmd: *const pmd_t) -> Option<Self> {
        // SAFETY: By the safety contract. Volatile, as `pmdp_get_lockless()`.
        let pmdval = unsafe { ptr::read_volatile(pmd) };
        // SAFETY: Only decodes the value.
        let base = unsafe { bindings::ptr_shim_pte_base(pmdval) };
        // INVARIANT: By the safety contract. CAST: `pte_t` is transparent over its value.
        (!base.is_null()).then_some(Self {
            base: base.cast(),
            pmdval,
            _irqs: PhantomData,
        })
    }

    /// Whether its first entry maps a page: then it is needed.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        // SAFETY: By the type invariant the table stays.
        unsafe { pte::is_live(self.base) }
    }

    /// What it seems to hold.
    #[inline]
    pub(crate) fn contents(&self) -> Contents {
        // SAFETY: By the type invariant the table stays.
        unsafe { pte::contents(self.base) }
    }

    /// How many entries seem to be in use.
    pub(crate) fn used(&self) -> usize {
        // SAFETY: By the type invariant the table stays.
        unsafe { pte::used(self.base) }
    }

    /// The NUMA node of the table itself.
    pub(crate) fn node(&self) -> i32 {
        // SAFETY: By the type invariant `pmdval` points to a table.
        unsafe { bindings::ptr_shim_table_node(self.pmdval) }
    }

    /// Replaces a word that belongs to the table and that only scans use; gives what `f` gives
    /// beside the new word. Garbage at first, and what one of two scans at once writes is lost.
    ///
    /// It is `ptdesc.pt_index`, which x86 has no use for in tables of this level.
    pub(crate) fn update_word<T>(&self, f: impl FnOnce(u64) -> (u64, T)) -> T {
        // SAFETY: By the type invariant `pmdval` points to a table, whose `ptdesc` stays with it.
        let word = unsafe { bindings::ptr_shim_table_word(self.pmdval) }.cast::<u64>();
        // SAFETY: As above; volatile, since others read and write it too.
        let (new, ret) = f(unsafe { ptr::read_volatile(word) });
        // SAFETY: As above.
        unsafe { ptr::write_volatile(word, new) };
        ret
    }
}

/// The question of `fork()`: whether nothing is mapped in a part of a table.
///
/// The look without a lock is a filter. None is final only under the PTE lock: who comes by the rmap
/// clears an entry and then puts another one in its place, that of a page in swap or in migration
/// (`try_to_unmap_one()`, `try_to_migrate_one()`), and takes neither `mmap_lock` nor the VMA lock.
///
/// # Safety
///
/// `pmd` must be an entry of a PMD table of `mm` that stays. `range` must be within what it maps, and
/// `mmap_lock` and the lock of the VMA there held for writing. No page table lock may be held.
pub(crate) unsafe fn nothing_to_copy(
    mm: *mut mm_struct,
    pmd: *const pmd_t,
    range: Range<usize>,
) -> bool {
    let _rcu = rcu::read_lock();
    // SAFETY: By the safety contract. With `mmap_lock` held for writing only who waits for RCU takes
    // a table away (`retract_page_tables()`, `mm/khugepaged.c`).
    let Some(table) = (unsafe { SeenTable::of(pmd) }) else {
        return false;
    };
    // SAFETY: By the type invariant the table stays.
    let all_none = || unsafe { pte::all_none(table.base, range.clone()) };
    if !all_none() {
        return false;
    }
    let mut pmdval = table.pmdval;
    // SAFETY: Points to a table that stays, and so does its lock.
    let lock = unsafe { bindings::ptr_shim_pte_lockptr(mm, &mut pmdval) };
    // SAFETY: As above; no other is held.
    unsafe { bindings::ptr_shim_lock(lock) };
    // SAFETY: Locked just now.
    let _lock = unsafe { PteLock::held(lock) };
    // SAFETY: As for the first read of it. The table may have gone before it was locked.
    let now = unsafe { ptr::read_volatile(pmd) };
    now.pmd == pmdval.pmd && all_none()
}

const _: () = assert!(PTRS_PER_PMD * PMD_SIZE == PUD_SIZE);

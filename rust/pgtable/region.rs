// SPDX-License-Identifier: GPL-2.0

//! A first look at page tables, without any lock: RCU alone keeps them from being freed.
//!
//! What is seen may be outdated the moment after. It decides which tables are worth locking, no
//! more: a table is freed only after a second look, by [`super::slot`].

use super::{
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
    pmd_t, //
};
use core::{
    marker::PhantomData,
    ops::Range,
    ptr, //
};
use kernel::{
    mm::MmWithUser,
    sync::rcu, //
};

/// A PMD table of an address space, and the PTE tables that it points to.
///
/// # Invariants
///
/// `pmds` is the PMD table for `start`, or was a moment ago. The RCU guard keeps it and its PTE
/// tables from being freed: with `CONFIG_PT_RECLAIM` x86 frees all levels by RCU
/// (`tlb_remove_table()`, `mm/mmu_gather.c`; `pte_free_defer()`, `mm/pgtable-generic.c`).
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
    pub(crate) fn table(&self, index: usize) -> Option<SeenTable<'_>> {
        if index >= PTRS_PER_PMD {
            return None;
        }
        // SAFETY: An entry of the table, by the type invariant.
        unsafe { SeenTable::of(self.pmds.add(index)) }
    }
}

/// A PTE table, seen without a lock.
///
/// # Invariants
///
/// `base` is the first entry of a PTE table that was linked a moment ago, and `pmdval` pointed to
/// it; RCU keeps it for `'r`.
pub(crate) struct SeenTable<'r> {
    base: *const u64,
    pmdval: pmd_t,
    _rcu: PhantomData<&'r rcu::Guard>,
}

impl SeenTable<'_> {
    /// # Safety
    ///
    /// `pmd` must be an entry of a PMD table, and RCU must keep that and what it points to as long
    /// as the value lives.
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
            _rcu: PhantomData,
        })
    }

    /// What it seems to hold. A live table takes one look at its first entries.
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

/// The question of `fork()`: whether nothing is mapped in a part of a table. A look without a
/// lock is final here, since nothing can be filled in.
///
/// # Safety
///
/// `pmd` must be an entry of a PMD table that stays. `range` must be within what it maps, and
/// `mmap_lock` and the lock of the VMA there held for writing.
pub(crate) unsafe fn nothing_to_copy(pmd: *const pmd_t, range: Range<usize>) -> bool {
    let _rcu = rcu::read_lock();
    // SAFETY: By the safety contract, and under RCU.
    let Some(table) = (unsafe { SeenTable::of(pmd) }) else {
        return false;
    };
    // SAFETY: By the type invariant the table stays.
    unsafe { pte::all_none(table.base, range) }
}

const _: () = assert!(PTRS_PER_PMD * PMD_SIZE == PUD_SIZE);

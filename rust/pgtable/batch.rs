// SPDX-License-Identifier: GPL-2.0

//! Unlinked tables flushed together, with the PMD lock still held, and then freed by RCU.

use super::{
    lock::PmdLock,
    unlinked::UnlinkedPteTable,
    PMD_SIZE, //
};
use crate::sys::bindings::{
    self,
    mm_struct,
    pmd_t, //
};
use kernel::mm::MmWithUser;

/// So many tables are flushed at once: one IPI, and a bounded time with the lock held.
pub(crate) const BATCH: usize = 32;

/// Tables of one PMD table, unlinked and waiting for one flush.
pub(crate) struct UnlinkedBatch<'l> {
    tables: [Option<UnlinkedPteTable<'l>>; BATCH],
    len: usize,
    lock: &'l PmdLock<'l>,
}

impl<'l> UnlinkedBatch<'l> {
    /// An empty batch of tables unlinked under `lock`.
    pub(crate) fn new(lock: &'l PmdLock<'_>) -> Self {
        Self {
            tables: [const { None }; BATCH],
            len: 0,
            lock,
        }
    }

    /// Adds a table unlinked under the lock of this batch; there must be room.
    pub(crate) fn add(&mut self, table: UnlinkedPteTable<'l>) {
        debug_assert!(table.is_under(self.lock));
        match self.tables.get_mut(self.len) {
            Some(slot) => {
                *slot = Some(table);
                self.len += 1;
            }
            // Lost, which its drop reports: better than freed without a flush.
            None => drop(table),
        }
    }

    /// Flushes what any CPU caches of the tables: their translations, and the upper levels that
    /// lead to them. Waits for other CPUs, with the PMD lock held.
    ///
    /// The whole 2 MiB of each: another thread's clear of a PTE may still wait for its flush.
    pub(crate) fn flush(mut self) -> FlushedPteTables {
        let mut flushed = FlushedPteTables {
            pmdvals: [None; BATCH],
            mm: self.lock.mm(),
        };
        let mut start = usize::MAX;
        let mut end = 0;
        for (slot, pmdval) in self.tables.iter_mut().zip(flushed.pmdvals.iter_mut()) {
            if let Some(table) = slot.take() {
                let (was, addr) = table.into_parts();
                start = start.min(addr);
                end = end.max(addr + PMD_SIZE);
                *pmdval = Some(was);
            }
        }
        if start < end {
            // SAFETY: The address space is valid as long as its PMD lock is held; the range has
            // the addresses of all tables inside.
            unsafe { bindings::ptr_shim_flush_range(flushed.mm, start, end) };
        }
        flushed
    }
}

/// Tables that no TLB caches any more.
///
/// # Invariants
///
/// *unlinked* and flushed from the TLBs of `mm`, since when no pmd pointed to them.
#[must_use = "flushed tables that are not freed are lost"]
pub(crate) struct FlushedPteTables {
    pmdvals: [Option<pmd_t>; BATCH],
    mm: *mut mm_struct,
}

impl FlushedPteTables {
    /// Frees the tables after an RCU grace period, by `pte_free_defer()`
    /// (`mm/pgtable-generic.c`); returns how many. Allocates nothing, never sleeps.
    pub(crate) fn defer_free(self, mm: &MmWithUser) -> usize {
        debug_assert!(core::ptr::eq(mm.as_raw(), self.mm));
        let mut freed = 0;
        for pmdval in self.pmdvals.into_iter().flatten() {
            // SAFETY: By the type invariant; each table is taken out once.
            unsafe { bindings::ptr_shim_pte_free_defer(mm.as_raw(), pmdval) };
            freed += 1;
        }
        freed
    }
}

// SPDX-License-Identifier: GPL-2.0

//! An empty PTE table under both locks, whether a zap or a scan found it: it may be unlinked.

use super::{
    lock::{
        PmdLock,
        PteLock, //
    },
    unlinked::UnlinkedPteTable, //
};
use crate::sys::bindings::{
    self,
    pmd_t, //
};
use core::ptr;

/// An empty PTE table: the proof that it may be unlinked.
///
/// # Invariants
///
/// *pte-lock*, *pmd-lock*, *covered* and *all-none* for the table that `pmd` points to, which maps
/// `addr`.
#[must_use = "an empty table is only freed if it is unlinked"]
pub(crate) struct EmptyPteTable<'l> {
    lock: &'l PmdLock<'l>,
    _pte_lock: PteLock,
    pmd: *mut pmd_t,
    addr: usize,
}

impl<'l> EmptyPteTable<'l> {
    /// # Safety
    ///
    /// *pte-lock* must be held, by `pte_lock` or else by somebody for longer than the value lives;
    /// *covered* and *all-none* must hold, and `lock` be the lock of `pmd`, which points to the
    /// table for `addr`.
    #[inline]
    pub(super) unsafe fn new(
        lock: &'l PmdLock<'_>,
        pte_lock: PteLock,
        pmd: *mut pmd_t,
        addr: usize,
    ) -> Self {
        // INVARIANT: By the safety contract, and *pmd-lock* by the invariant of `lock`.
        Self {
            lock,
            _pte_lock: pte_lock,
            pmd,
            addr,
        }
    }

    /// Clears the pmd. From here on only lockless walkers can reach the table, and find it empty.
    #[inline]
    pub(crate) fn unlink(self) -> UnlinkedPteTable<'l> {
        // SAFETY: *pmd-lock*: nobody else writes to the pmd. Volatile, as `pmdp_get()`.
        let pmdval = unsafe { ptr::read_volatile(self.pmd) };
        // SAFETY: The type invariants are what unlinking a table takes.
        unsafe { bindings::ptr_shim_pmd_clear(self.pmd) };
        // SAFETY: *unlinked* now. The PTE lock goes; the PMD lock stays borrowed.
        unsafe { UnlinkedPteTable::new(self.lock, pmdval, self.addr) }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The PMD lock, and the proof that a table under both locks is empty.
//!
//! Lock order: PMD lock, then PTE lock, nested. At the end of a zap the PTE lock is held already,
//! so there the PMD lock is only ever tried. Without split PTE locks they are one and the same.

use super::{
    unlinked::UnlinkedPteTable,
    zapped::ZappedTable, //
};
use crate::sys::bindings::{
    self,
    mm_struct,
    pmd_t,
    spinlock_t, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::types::NotThreadSafe;

/// The lock of the entries of one PMD table.
///
/// # Invariants
///
/// *pmd-lock* holds for the entries of one PMD table of `mm` as long as the value lives: `lock` is
/// held by it, or is null and the PTE lock that the zap holds is the same lock.
#[must_use = "the lock unlocks immediately when the guard is unused"]
pub(crate) struct PmdLock<'a> {
    mm: *mut mm_struct,
    lock: *mut spinlock_t,
    _held: PhantomData<&'a ()>,
    _cpu: NotThreadSafe,
}

impl<'a> PmdLock<'a> {
    /// # Safety
    ///
    /// `lock` must be held for the entries of a PMD table of `mm`, by the new value, or be null and
    /// held by somebody else longer than `'a`.
    #[inline]
    pub(super) unsafe fn held(mm: *mut mm_struct, lock: *mut spinlock_t) -> Self {
        // INVARIANT: By the safety contract.
        Self {
            mm,
            lock,
            _held: PhantomData,
            _cpu: NotThreadSafe,
        }
    }

    /// Tries to lock the pmd of a zapped table; never waits.
    #[inline]
    pub(crate) fn trylock(zapped: &'a ZappedTable<'_>) -> Option<Self> {
        let mm = zapped.mm();
        // SAFETY: The zap holds the table, so its pmd is valid and points to it.
        let mut lock = unsafe { bindings::ptr_shim_pmd_lockptr(mm, zapped.pmd()) };
        if lock == zapped.pte_lock() {
            lock = ptr::null_mut();
        // SAFETY: The lock is valid as its pmd is.
        } else if !unsafe { bindings::ptr_shim_trylock(lock) } {
            return None;
        }
        // SAFETY: Locked just now, or by the zap, which `'a` borrows.
        Some(unsafe { Self::held(mm, lock) })
    }

    #[inline]
    pub(super) fn mm(&self) -> *mut mm_struct {
        self.mm
    }

    /// The lock itself; null if it is the PTE lock that the zap holds.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut spinlock_t {
        self.lock
    }
}

impl Drop for PmdLock<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.lock.is_null() {
            // SAFETY: Held, by the type invariant.
            unsafe { bindings::ptr_shim_unlock(self.lock) }
        }
    }
}

/// A PTE lock held, or null if the PMD lock is the same one.
pub(super) struct PteLock(*mut spinlock_t);

impl PteLock {
    /// # Safety
    ///
    /// `lock` must be held by the new value, or be null.
    #[inline]
    pub(super) unsafe fn held(lock: *mut spinlock_t) -> Self {
        Self(lock)
    }
}

impl Drop for PteLock {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: Made only with the lock held.
            unsafe { bindings::ptr_shim_unlock(self.0) }
        }
    }
}

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

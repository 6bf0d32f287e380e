// SPDX-License-Identifier: GPL-2.0

//! The PMD lock and the PTE lock.
//!
//! Lock order: PMD lock, then PTE lock, nested. At the end of a zap the PTE lock is held already,
//! so there the PMD lock is only ever tried. Without split PTE locks they are one and the same.

use crate::sys::bindings::{
    self,
    mm_struct,
    spinlock_t, //
};
use core::marker::PhantomData;
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

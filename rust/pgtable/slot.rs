// SPDX-License-Identifier: GPL-2.0

//! A PTE table found by walking: first its pmd is locked, then the table itself.

use super::{
    cover::Cover,
    empty::EmptyPteTable,
    lock::{
        PmdLock,
        PteLock, //
    },
    pte::{
        PteValue,
        Ptes, //
    },
    PMD_SIZE,
    PTRS_PER_PTE,
    PUD_SIZE, //
};
use crate::sys::{
    bindings::{
        self,
        mm_struct,
        pmd_t,
        ptr_bug, //
    },
    seeded::seeded,
};
use core::ptr;

/// A locked pmd, found by walking the page tables of an address space.
///
/// # Invariants
///
/// `pmd` is the entry for `addr`, which lies in what `cover` covers, so its PMD table stays; `lock`
/// is its lock.
#[must_use = "the lock unlocks immediately when the slot is unused"]
pub(crate) struct PmdSlot<'a> {
    lock: PmdLock<'a>,
    pmd: *mut pmd_t,
    addr: usize,
    cover: &'a Cover<'a>,
}

impl<'a> PmdSlot<'a> {
    /// Locks the entry for `addr`, and with it the other entries of its PMD table; spins. `None` if
    /// there is no PMD table, or a page of 1 GiB.
    pub(crate) fn new(cover: &'a Cover<'_>, addr: usize) -> Option<Self> {
        let mm = cover.mm().as_raw();
        if !cover.has(addr & !(PMD_SIZE - 1)) {
            return None;
        }
        // SAFETY: `mm` has users, and a locked VMA meets the range of the PMD table, so that stays.
        let pmd = unsafe { bindings::ptr_shim_find_pmd(mm, addr) };
        if pmd.is_null() {
            return None;
        }
        // SAFETY: `pmd` is valid, as above.
        let lock = unsafe { bindings::ptr_shim_pmd_lockptr(mm, pmd) };
        // SAFETY: As above; no lock is held yet.
        unsafe { bindings::ptr_shim_lock(lock) };
        Some(PmdSlot {
            // SAFETY: Locked just now.
            lock: unsafe { PmdLock::held(mm, lock) },
            pmd,
            addr: addr & !(PMD_SIZE - 1),
            cover,
        })
    }

    /// The lock, and with it all that is unlinked under it.
    pub(crate) fn pmd_lock(&self) -> &PmdLock<'a> {
        &self.lock
    }

    /// The PTE table `nth` tables from this one, locked; `None` if none is there, it belongs to
    /// another PMD table, or it is not *covered*.
    pub(crate) fn table(&self, nth: usize) -> Option<PteTable<'_>> {
        let addr = self.addr.checked_add(nth.checked_mul(PMD_SIZE)?)?;
        if addr / PUD_SIZE != self.addr / PUD_SIZE {
            return None;
        }
        if !self.cover.has(addr) {
            return None;
        }
        let pmd = self.pmd.wrapping_add(nth);
        let mut pte_lock = ptr::null_mut();
        // SAFETY: `pmd` is an entry of the same PMD table; *pmd-lock* by the type invariant.
        let base = unsafe { bindings::ptr_shim_pte_table(self.lock.mm(), pmd, &mut pte_lock) };
        if base.is_null() {
            return None;
        }
        if pte_lock == self.lock.as_ptr() {
            pte_lock = ptr::null_mut();
        } else {
            // SAFETY: The lock belongs to a table that *pmd-lock* keeps linked.
            unsafe { bindings::ptr_shim_lock_nested(pte_lock) };
        }
        // SAFETY: Locked just now.
        let pte_lock = unsafe { PteLock::held(pte_lock) };
        // INVARIANT: Both locks are held now, and the table is *covered*, as was checked above.
        Some(PteTable {
            lock: &self.lock,
            pte_lock,
            pmd,
            addr,
            // SAFETY: *pte-lock*, as long as `pte_lock` lives.
            ptes: unsafe { Ptes::new(base) },
        })
    }
}

/// A PTE table with both locks held.
///
/// # Invariants
///
/// *pte-lock*, *pmd-lock* and *covered* for the table that `pmd` points to, which maps `addr`.
#[must_use = "the locks unlock immediately when the table is unused"]
pub(crate) struct PteTable<'l> {
    lock: &'l PmdLock<'l>,
    pte_lock: PteLock,
    pmd: *mut pmd_t,
    addr: usize,
    ptes: Ptes<'l>,
}

impl<'l> PteTable<'l> {
    /// The address space.
    pub(super) fn mm(&self) -> *mut mm_struct {
        self.lock.mm()
    }

    /// The first address that the table maps.
    pub(crate) fn addr(&self) -> usize {
        self.addr
    }

    /// The entries.
    pub(crate) fn ptes(&self) -> Ptes<'_> {
        self.ptes
    }

    /// # Safety
    ///
    /// *all-none* must hold.
    pub(super) unsafe fn assume_empty(self) -> EmptyPteTable<'l> {
        // SAFETY: The type invariants and the safety contract; the locks move along.
        unsafe { EmptyPteTable::new(self.lock, self.pte_lock, self.pmd, self.addr) }
    }

    /// The proof that the table is empty, or an entry that is not none and its index; then the
    /// table is unlocked.
    pub(crate) fn empty(self) -> Result<EmptyPteTable<'l>, (usize, PteValue)> {
        if !seeded(ptr_bug::PTR_BUG_NO_SECOND_LOOK) {
            if let Some(found) = self.ptes.find_occupied(0..PTRS_PER_PTE) {
                return Err(found);
            }
        }
        // SAFETY: *all-none* was just seen.
        Ok(unsafe { self.assume_empty() })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A PTE table found by walking: first its pmd is locked, then the table itself.

use super::{
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
    PTRS_PER_PTE, //
};
use crate::sys::bindings::{
    self,
    pmd_t, //
};
use core::ptr;
use kernel::mm::{
    MmWithUser,
    MmapReadGuard, //
};

/// Bytes that a PMD table maps: its entries share one PMD lock.
const PUD_SIZE: usize = 1 << 30;

/// A locked pmd, found by walking the page tables of an address space.
///
/// # Invariants
///
/// `pmd` is the entry for `addr`; `lock` is its lock; `mmap_lock` is held.
#[must_use = "the lock unlocks immediately when the slot is unused"]
pub(crate) struct PmdSlot<'a> {
    lock: PmdLock<'a>,
    pmd: *mut pmd_t,
    addr: usize,
}

impl<'a> PmdSlot<'a> {
    /// Locks the entry for `addr`, and with it the other entries of its PMD table; spins. `None` if
    /// there is no PMD table, or a huge page, as `mm_find_pmd()` (`mm/rmap.c`) finds it.
    pub(crate) fn new(
        mm: &'a MmWithUser,
        _mmap: &'a MmapReadGuard<'_>,
        addr: usize,
    ) -> Option<Self> {
        let mm = mm.as_raw();
        // SAFETY: `mm` has users, and with `mmap_lock` held its PMD tables stay.
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
        })
    }

    /// The lock, and with it all that is unlinked under it.
    pub(crate) fn pmd_lock(&self) -> &PmdLock<'a> {
        &self.lock
    }

    /// The PTE table `nth` tables from this one, locked; `None` if none is there, it belongs to
    /// another PMD table, or no VMA meets it: a `munmap()` that has downgraded `mmap_lock` may be
    /// freeing it, without a lock (`vms_clear_ptes()`, `mm/vma.c`).
    pub(crate) fn table(&self, nth: usize) -> Option<PteTable<'_>> {
        let addr = self.addr.checked_add(nth.checked_mul(PMD_SIZE)?)?;
        if addr / PUD_SIZE != self.addr / PUD_SIZE {
            return None;
        }
        // SAFETY: `mmap_lock` is held, by the type invariant.
        if !unsafe { bindings::ptr_shim_vma_meets(self.lock.mm(), addr, addr + PMD_SIZE) } {
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
        // INVARIANT: Both locks are held now, `mmap_lock` is, and a VMA meets the table: *covered*.
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
    /// The proof that the table is empty, or an entry that is not none and its index; then the
    /// table is unlocked.
    pub(crate) fn empty(self) -> Result<EmptyPteTable<'l>, (usize, PteValue)> {
        if let Some(found) = self.ptes.find_occupied(0..PTRS_PER_PTE) {
            return Err(found);
        }
        // SAFETY: The type invariants; *all-none* was just seen, and the locks move along.
        Ok(unsafe { EmptyPteTable::new(self.lock, self.pte_lock, self.pmd, self.addr) })
    }
}

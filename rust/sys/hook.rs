// SPDX-License-Identifier: GPL-2.0

//! The hook at the end of `zap_pte_range()` (`mm/memory.c`), and the registration for it.

use super::{
    bindings::{
        self,
        mm_struct,
        mmu_gather,
        pmd_t,
        pte_t,
        vm_area_struct,
        zap_details, //
    },
    mm,
};
use crate::{
    outcome::Outcome,
    pgtable::{
        region::nothing_to_copy,
        zapped::{
            Verdict,
            ZappedTable, //
        },
    },
    reclaim,
    scan::hints, //
};
use kernel::{
    error::to_result,
    ffi::c_ulong,
    mm::Mm,
    prelude::*, //
};

/// The number of the hook ABI this module is for.
pub(crate) const ABI: u32 = bindings::PTR_ABI;

/// The interval of `refill_ms`, in jiffies.
pub(crate) fn refill_jiffies() -> u64 {
    // SAFETY: Reads a parameter that does not change after the module is loaded.
    unsafe { bindings::ptr_shim_refill_jiffies() as u64 }
}

/// The registration with `pt_reclaim_register()` (`mm/pt_reclaim.c`).
///
/// # Invariants
///
/// While a value lives, and until [`drop`] returns, [`ptreclaim_zap`] may be called; not before and
/// not afterwards.
pub(crate) struct Hook(());

impl Hook {
    /// Registers, unless the parameter `enabled` is off. May sleep.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` on a kernel without the hooks, `EPROTO` if its hook ABI has another number,
    /// `EBUSY` if another reclaimer is registered. Each has been explained in the log.
    pub(crate) fn start() -> Result<Self> {
        // SAFETY: May be called once, in a context that may sleep: `init` of the module.
        to_result(unsafe { bindings::ptr_shim_hook_start() })?;
        // INVARIANT: Registered.
        Ok(Self(()))
    }
}

impl Drop for Hook {
    /// Unregisters, and waits for an RCU grace period: hooks run under RCU or with preemption off, so
    /// none runs when this returns. No callback of this module is queued either: tables are freed by
    /// code of the kernel.
    fn drop(&mut self) {
        // SAFETY: By the type invariant `ptr_shim_hook_start` succeeded; may sleep here.
        unsafe { bindings::ptr_shim_hook_stop() }
    }
}

/// Called by `zap_pte_range()` when it is done with a PTE table, unless a page right beside what was
/// zapped, or the first or last one of the table, says that it is needed, or all of it is unmapped:
/// `pt_reclaim_zap_t` (`include/linux/pt_reclaim.h`).
///
/// # Safety
///
/// As documented there: the pointers are valid but for `details`, which may be null, and the PTE
/// lock of the table that `pte` is in and that `pmd` points to is held during the call.
#[no_mangle]
unsafe extern "C" fn ptreclaim_zap(
    _tlb: *mut mmu_gather,
    vma: *mut vm_area_struct,
    pmd: *mut pmd_t,
    pte: *mut pte_t,
    start: c_ulong,
    end: c_ulong,
    details: *const zap_details,
    empty: bool,
) -> pmd_t {
    // SAFETY: By the contract above, which is that of `new`, for the time of this call.
    let zapped = unsafe { ZappedTable::new(vma, pmd, pte, start..end, details, empty) };
    if reclaim::ends_early(&zapped) {
        return pmd_t::default();
    }
    // SAFETY: By the contract above.
    unsafe { zap_end(vma, pmd, pte, start, end, details, empty) }
}

/// The rest of it. Out of line, and with a table of its own, so that the above has all in registers.
///
/// # Safety
///
/// As [`ptreclaim_zap`].
#[inline(never)]
unsafe extern "C" fn zap_end(
    vma: *mut vm_area_struct,
    pmd: *mut pmd_t,
    pte: *mut pte_t,
    start: c_ulong,
    end: c_ulong,
    details: *const zap_details,
    empty: bool,
) -> pmd_t {
    // SAFETY: By the contract above, which is that of `new`, for the time of this call.
    let zapped = unsafe { ZappedTable::new(vma, pmd, pte, start..end, details, empty) };
    match reclaim::zap_end(zapped) {
        Verdict::Keep => pmd_t::default(),
        Verdict::Unlinked(table) => table.into_pmdval(),
        // SAFETY: Returns a constant.
        Verdict::Retry => unsafe { bindings::ptr_shim_retry() },
    }
}

/// Called where page tables may have become empty otherwise: `pt_reclaim_hint_t`.
///
/// # Safety
///
/// As documented there: `mm` is valid; it may have no users any more.
#[no_mangle]
unsafe extern "C" fn ptreclaim_hint(mm: *mut mm_struct) {
    // SAFETY: By the contract above, for the time of this call.
    hints::hint(unsafe { Mm::from_raw(mm) });
}

/// Called for each process in turn: `ptr_shim_each_mm()`. Whether to go on with the next.
///
/// # Safety
///
/// `mm` is valid; it may have no users any more.
#[no_mangle]
unsafe extern "C" fn ptreclaim_offer(mm: *mut mm_struct, last_try: bool) -> bool {
    // SAFETY: By the contract above, for the time of this call.
    let mm = unsafe { Mm::from_raw(mm) };
    !mm::has_users(mm) || hints::offer(mm, last_try)
}

/// Called when hints begin to come: there may have been something before.
#[no_mangle]
extern "C" fn ptreclaim_offer_all() {
    if mm::offer_all(0) != 0 {
        hints::overflow();
    }
}

/// Called before `fork()` copies a PTE table: `pt_reclaim_fork_t`.
///
/// # Safety
///
/// As documented there: `src_pmd` is an entry of a PMD table of the parent, whose `mmap_lock` and VMA
/// lock are held for writing, and no page table lock; `addr` and `end` are in the range of one table.
#[no_mangle]
unsafe extern "C" fn ptreclaim_fork(
    src_mm: *mut mm_struct,
    src_pmd: *mut pmd_t,
    addr: c_ulong,
    end: c_ulong,
) -> bool {
    // SAFETY: By the contract above.
    let nothing = unsafe { nothing_to_copy(src_mm, src_pmd, addr..end) };
    if nothing {
        Outcome::NotCopied.count();
    }
    nothing
}

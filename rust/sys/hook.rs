// SPDX-License-Identifier: GPL-2.0

//! The hook at the end of `zap_pte_range()` (`mm/memory.c`), and the registration for it.

use super::bindings::{
    self,
    mmu_gather,
    pmd_t,
    pte_t,
    vm_area_struct,
    zap_details, //
};
use crate::{
    pgtable::zapped::{
        Verdict,
        ZappedTable, //
    },
    reclaim,
};
use kernel::{
    error::to_result,
    ffi::c_ulong,
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
    /// Unregisters, and waits for an RCU grace period: hooks run under the PTE lock, so none runs
    /// when this returns. No callback of this module is queued either: tables are freed by code of
    /// the kernel.
    fn drop(&mut self) {
        // SAFETY: By the type invariant `ptr_shim_hook_start` succeeded; may sleep here.
        unsafe { bindings::ptr_shim_hook_stop() }
    }
}

/// Called by `zap_pte_range()` when it is done with a PTE table: `pt_reclaim_zap_t`
/// (`include/linux/pt_reclaim.h`).
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
    match reclaim::zap_end(zapped) {
        Verdict::Keep => pmd_t::default(),
        Verdict::Unlinked(table) => table.into_pmdval(),
        // SAFETY: Returns a constant.
        Verdict::Retry => unsafe { bindings::ptr_shim_retry() },
    }
}

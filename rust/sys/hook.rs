// SPDX-License-Identifier: GPL-2.0

//! The hook at the end of `zap_pte_range()` (`mm/memory.c`), and the registration for it.

use super::bindings::{
    self,
    pt_reclaim_verdict,
    pt_zap, //
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

/// Called by `zap_pte_range()` when it is done with a PTE table.
///
/// # Safety
///
/// As the documentation of `struct pt_zap` says: its pointers are valid, and the PTE lock of the
/// table that `start_pte` is in and that `pmd` points to is held during the call.
#[no_mangle]
unsafe extern "C" fn ptreclaim_zap(zap: *mut pt_zap) -> pt_reclaim_verdict::Type {
    // SAFETY: By the contract above, which is that of `from_raw`, for the time of this call.
    let mut zapped = unsafe { ZappedTable::from_raw(&mut *zap) };
    match reclaim::zap_end(&mut zapped) {
        Verdict::Keep => pt_reclaim_verdict::PT_RECLAIM_KEEP,
        Verdict::Unlinked => pt_reclaim_verdict::PT_RECLAIM_UNLINKED,
        Verdict::Retry => pt_reclaim_verdict::PT_RECLAIM_RETRY,
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A table out of the page tables: it must be flushed from the TLB before it is freed, and freed
//! by RCU. There are two ways on, and dropping it is none of them.
//!
//! - Into the gather of the zap. The PMD lock is released before the gather flushes, so somebody
//!   may fill the pmd while other CPUs still cache translations of the old table;
//!   `flush_tlb_before_set_pmd()` of the patch series flushes first.
//! - In a batch, flushed with the PMD lock still held: then nobody can fill the pmd before the
//!   flush. This is the order of `pmdp_collapse_flush()` (`mm/khugepaged.c`).

use super::lock::PmdLock;
use crate::sys::bindings::pmd_t;
use core::{
    mem,
    ptr, //
};

/// A PTE table that no pmd points to any more.
///
/// # Invariants
///
/// *unlinked*; `pmdval` pointed to the table, which mapped `addr`. The borrow of the PMD lock makes
/// sure that it is still held.
#[must_use = "an unlinked table that is not handed on is lost"]
pub(crate) struct UnlinkedPteTable<'l> {
    pmdval: pmd_t,
    addr: usize,
    lock: &'l PmdLock<'l>,
}

impl<'l> UnlinkedPteTable<'l> {
    /// # Safety
    ///
    /// *unlinked* must hold for the table that `pmdval` points to, by the caller and only once;
    /// `lock` is the lock of its pmd.
    #[inline]
    pub(super) unsafe fn new(lock: &'l PmdLock<'_>, pmdval: pmd_t, addr: usize) -> Self {
        // INVARIANT: By the safety contract.
        Self { pmdval, addr, lock }
    }

    /// The way into the gather of the zap: see [`super::zapped::Verdict::Unlinked`].
    #[inline]
    pub(crate) fn into_gather(self) -> ForGather {
        ForGather(self.into_parts().0)
    }

    /// Whether it was unlinked under this very lock.
    #[inline]
    pub(super) fn is_under(&self, lock: &PmdLock<'_>) -> bool {
        ptr::eq(self.lock, lock)
    }

    /// The pmd as it was and the address, for whoever takes care of the table now.
    #[inline]
    pub(super) fn into_parts(self) -> (pmd_t, usize) {
        let parts = (self.pmdval, self.addr);
        mem::forget(self);
        parts
    }
}

impl Drop for UnlinkedPteTable<'_> {
    fn drop(&mut self) {
        // Not freed: without a flush that would be a use after free.
        kernel::warn_on!(true);
    }
}

/// An unlinked table on its way into the gather of the zap that emptied it.
#[must_use = "an unlinked table that is not handed on is lost"]
pub(crate) struct ForGather(pmd_t);

impl ForGather {
    /// What the pmd was, for `pte_free_tlb()`.
    #[inline]
    pub(crate) fn into_pmdval(self) -> pmd_t {
        let pmdval = self.0;
        mem::forget(self);
        pmdval
    }
}

impl Drop for ForGather {
    fn drop(&mut self) {
        kernel::warn_on!(true);
    }
}

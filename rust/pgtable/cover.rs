// SPDX-License-Identifier: GPL-2.0

//! What a scan holds of an address space while it frees tables: the invariant *covered*.

use super::{
    pte::Ptes,
    PMD_SIZE, //
};
use crate::{
    outcome::Outcome,
    sys::{
        bindings::{
            self,
            ptr_bug, //
        },
        forced,
        seeded::seeded,
    },
};
use kernel::mm::{
    virt::{
        flags,
        VmaRef, //
    },
    MmWithUser,
    MmapReadGuard,
    VmaReadGuard, //
};

/// A lock that keeps an address space, or one VMA of it, as it is.
pub(crate) enum Cover<'a> {
    /// `mmap_lock`, for reading: covers each table that a VMA meets.
    Mmap {
        /// Whose it is.
        mm: &'a MmWithUser,
        /// Held as long as the value lives.
        _guard: MmapReadGuard<'a>,
    },
    /// A VMA lock, for reading: covers each table that lies inside the VMA.
    Vma {
        /// Whose it is.
        mm: &'a MmWithUser,
        /// Held as long as the value lives.
        vma: VmaReadGuard<'a>,
    },
}

impl<'a> Cover<'a> {
    /// The lock of the VMA that the table at `addr` lies in entirely. `None` if there is none, or
    /// it is locked for writing. Never waits.
    pub(crate) fn vma(mm: &'a MmWithUser, addr: usize) -> Option<Self> {
        if !forced::may_lock_vma() {
            return None;
        }
        let cover = Self::Vma {
            mm,
            vma: mm.lock_vma_under_rcu(addr)?,
        };
        cover.has(addr).then_some(cover)
    }

    /// `mmap_lock`, if nobody has it for writing. Never waits.
    pub(crate) fn try_mmap(mm: &'a MmWithUser) -> Option<Self> {
        if !forced::may_try_mmap() {
            return None;
        }
        let guard = mm.mmap_read_trylock()?;
        Some(Self::Mmap { mm, _guard: guard })
    }

    /// `mmap_lock`, waiting for it. May sleep.
    pub(crate) fn mmap(mm: &'a MmWithUser) -> Self {
        Self::Mmap {
            mm,
            _guard: mm.mmap_read_lock(),
        }
    }

    /// The address space.
    pub(crate) fn mm(&self) -> &'a MmWithUser {
        match self {
            Self::Mmap { mm, .. } | Self::Vma { mm, .. } => mm,
        }
    }

    /// Whether the table at `addr` is *covered*. With `mmap_lock` alone a table that no VMA meets
    /// is not: a `munmap()` that has downgraded the lock may be freeing it, without a lock
    /// (`vms_clear_ptes()`, `mm/vma.c`). In hugetlb nothing is: processes share its PMD tables.
    pub(crate) fn has(&self, addr: usize) -> bool {
        match self {
            Self::Mmap { mm, .. } => {
                // SAFETY: `mmap_lock` is held.
                seeded(ptr_bug::PTR_BUG_NO_VMA)
                    || unsafe { bindings::ptr_shim_vma_meets(mm.as_raw(), addr, addr + PMD_SIZE) }
            }
            Self::Vma { vma, .. } => {
                let inside = vma.start() <= addr && addr + PMD_SIZE <= vma.end();
                (inside || seeded(ptr_bug::PTR_BUG_SECOND_VMA)) && vma.flags() & flags::HUGETLB == 0
            }
        }
    }

    /// Why no table is there to be locked at `addr`, where one was seen: somebody was faster, unless it
    /// was none of ours.
    pub(crate) fn why_gone(&self, addr: usize) -> Outcome {
        if self.has(addr) {
            Outcome::Busy
        } else {
            Outcome::NoVma
        }
    }

    /// How many tables from that at `addr` on it covers, at most `most`.
    pub(crate) fn tables(&self, addr: usize, most: usize) -> usize {
        match self {
            Self::Mmap { .. } => most,
            Self::Vma { vma, .. } => (vma.end().saturating_sub(addr) / PMD_SIZE).min(most),
        }
    }

    /// `None` if zero pages may be taken away from the table at `addr`; else why not. A private
    /// anonymous mapping reads zeroes with them and without. Without its entries, `ptes`, as far as
    /// the mappings tell.
    pub(crate) fn keeps_zero_pages(&self, addr: usize, ptes: Option<Ptes<'_>>) -> Option<Outcome> {
        let vma = match self {
            Self::Mmap { .. } => core::ptr::null_mut(),
            Self::Vma { vma, .. } => VmaRef::as_ptr(vma),
        };
        let ptes = ptes.map_or(core::ptr::null(), |ptes| ptes.as_ptr());
        // SAFETY: `mmap_lock` is held, or the lock of the VMA; *pte-lock*, if there are entries.
        let why = unsafe {
            bindings::ptr_shim_keeps_zero_pages(
                self.mm().as_raw(),
                vma,
                addr,
                addr + PMD_SIZE,
                ptes.cast_mut().cast(),
            )
        };
        match why {
            bindings::ptr_zero_keep::PTR_ZERO_DROP => None,
            bindings::ptr_zero_keep::PTR_ZERO_MLOCKED => Some(Outcome::ZeroMlocked),
            bindings::ptr_zero_keep::PTR_ZERO_UFFD => Some(Outcome::ZeroUffd),
            bindings::ptr_zero_keep::PTR_ZERO_SOFT_DIRTY => Some(Outcome::ZeroSoftDirty),
            _ => Some(Outcome::ZeroShared),
        }
    }
}

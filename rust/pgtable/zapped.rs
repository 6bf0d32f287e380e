// SPDX-License-Identifier: GPL-2.0

//! A PTE table as `zap_pte_range()` (`mm/memory.c`) leaves it: its lock still held, some entries
//! just cleared.

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
    unlinked::ForGather,
    PMD_SIZE,
    PTRS_PER_PTE, //
};
use crate::sys::{
    bindings::{
        self,
        mm_struct,
        pmd_t,
        pte_t,
        ptr_bug,
        ptr_flags,
        spinlock_t,
        vm_area_struct,
        zap_details, //
    },
    forced::may_try_mmap,
    mm,
    seeded::seeded, //
};
use core::{
    marker::PhantomData,
    mem::size_of,
    ops::Range,
    ptr, //
};
use kernel::{
    mm::{
        Mm,
        MmWithUser,
        MmapReadGuard, //
    },
    page::PAGE_SIZE,
    types::NotThreadSafe, //
};

/// What `zap_pte_range()` is to do with the table.
#[must_use = "zap_pte_range() must be told"]
pub(crate) enum Verdict {
    /// Nothing.
    Keep,
    /// Give it to the gather, which flushes, waits for RCU and frees it.
    ///
    /// `zap_pte_range()` does that with `pte_free_tlb()` and the first address of the table, when it
    /// has dropped the PTE lock.
    Unlinked(ForGather),
    /// Look again with both locks: it was empty, but the PMD lock taken.
    Retry,
}

/// The lock that the zap runs under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZapLock {
    /// `mmap_lock`, for reading or writing.
    Mmap,
    /// The VMA lock, for reading.
    Vma,
    /// An rmap lock (`i_mmap`).
    Rmap,
    /// A driver's affair.
    Unknown,
}

/// A PTE table at the end of a zap.
///
/// # Invariants
///
/// *pte-lock* holds as long as the value lives, for the table that `pmd` points to. `vma` is valid,
/// and the zap has it locked, or is the rmap's or a driver's affair. `details` is valid or null.
pub(crate) struct ZappedTable<'z> {
    vma: *mut vm_area_struct,
    pmd: *mut pmd_t,
    ptes: Ptes<'z>,
    zapped: Range<usize>,
    details: *const zap_details,
    empty: bool,
    _cpu: NotThreadSafe,
}

/// The proof that all 512 entries of a zapped table are none: *all-none*.
pub(crate) struct NonePtes<'t>(PhantomData<&'t ZappedTable<'t>>);

/// The proof that the table may go: *covered*.
pub(crate) enum Covered<'t> {
    /// By the lock that the zap holds anyway.
    ByZap,
    /// By `mmap_lock`.
    ByMmapLock {
        /// Held for the moment of unlinking.
        _guard: MmapReadGuard<'t>,
    },
}

impl ZappedTable<'_> {
    /// # Safety
    ///
    /// While the value lives the pointers must be valid, but for `details`, which may be null; and the
    /// PTE lock of the table that `pte` is in and that `pmd` points to must be held. `zapped` is a
    /// range of addresses that the table maps; `empty` says that no entry is left.
    #[inline]
    pub(crate) unsafe fn new(
        vma: *mut vm_area_struct,
        pmd: *mut pmd_t,
        pte: *mut pte_t,
        zapped: Range<usize>,
        details: *const zap_details,
        empty: bool,
    ) -> Self {
        const TABLE_MASK: usize = PTRS_PER_PTE * size_of::<pte_t>() - 1;
        // INVARIANT: By the safety contract.
        Self {
            vma,
            pmd,
            // SAFETY: *pte-lock*; a table is aligned to its size.
            ptes: unsafe { Ptes::new(pte.map_addr(|addr| addr & !TABLE_MASK)) },
            zapped,
            details,
            empty,
            _cpu: NotThreadSafe,
        }
    }

    #[inline]
    fn details(&self) -> Option<&zap_details> {
        // SAFETY: By the type invariant.
        unsafe { self.details.as_ref() }
    }

    #[inline]
    fn has(&self, flags: ptr_flags::Type) -> bool {
        self.details()
            .is_some_and(|details| ptr_flags::Type::from(details.reclaim_flags) & flags != 0)
    }

    /// The lock that the zap holds on the address space.
    #[inline]
    pub(crate) fn zap_lock(&self) -> ZapLock {
        if self.has(ptr_flags::PTR_MMAP_LOCK) {
            ZapLock::Mmap
        } else if self.has(ptr_flags::PTR_VMA_LOCK) {
            ZapLock::Vma
        } else if self.has(ptr_flags::PTR_RMAP) {
            ZapLock::Rmap
        } else {
            ZapLock::Unknown
        }
    }

    /// Whether what zaps leaves the mapping as it is.
    #[inline]
    pub(crate) fn stays_mapped(&self) -> bool {
        !self.has(ptr_flags::PTR_MUNMAP | ptr_flags::PTR_REAPER)
    }

    /// Whether a `munmap()` or an exit is at work, and its `free_pgtables()` frees the table a moment
    /// later: no neighbour reaches into it.
    ///
    /// This also keeps *covered* true. Only a table that an attached VMA meets goes on from here.
    #[inline]
    pub(crate) fn unmapped(&self) -> bool {
        let Some(details) = self.details() else {
            return false;
        };
        // As `free_pgd_range()`: an end of 0 is the top of the address space.
        self.has(ptr_flags::PTR_MUNMAP)
            && self.start() >= details.pg_start
            && self.start() + (PMD_SIZE - 1) <= details.pg_end.wrapping_sub(1)
    }

    /// Whether the reaper found the address space without users: `exit_mmap()` is at work.
    #[inline]
    pub(crate) fn exiting(&self) -> bool {
        // SAFETY: The address space of a zap is valid.
        self.has(ptr_flags::PTR_REAPER) && unsafe { bindings::ptr_shim_mm_exiting(self.mm()) }
    }

    #[inline]
    fn mm(&self) -> *mut mm_struct {
        // SAFETY: By the type invariant the VMA is valid; its `vm_mm` never changes.
        unsafe { (*self.vma).vm_mm }
    }

    /// The PTE lock, which the zap holds.
    #[inline]
    fn pte_lock(&self) -> *mut spinlock_t {
        // SAFETY: *pte-lock*: the pmd points to the table.
        unsafe { bindings::ptr_shim_pte_lockptr(self.mm(), self.pmd) }
    }

    /// The address space. It may have no users any more.
    #[inline]
    pub(crate) fn address_space(&self) -> &Mm {
        // SAFETY: The VMA is valid, and its address space with it.
        unsafe { Mm::from_raw(self.mm()) }
    }

    /// A number for the address space, and the first address of the table: what identifies it.
    #[inline]
    pub(crate) fn id(&self) -> (u64, usize) {
        (mm::id(self.address_space()), self.start())
    }

    /// The first address that the table maps.
    #[inline]
    pub(crate) fn start(&self) -> usize {
        self.zapped.start & !(PMD_SIZE - 1)
    }

    /// The entries.
    #[inline]
    pub(crate) fn ptes(&self) -> Ptes<'_> {
        self.ptes
    }

    /// The indices of the entries zapped. If the PTE lock was dropped meanwhile, some may be
    /// occupied again.
    #[inline]
    fn zapped(&self) -> Range<usize> {
        let index = |addr: usize| addr / PAGE_SIZE % PTRS_PER_PTE;
        // From the last address: the one after it may be in the next table.
        index(self.zapped.start)..index(self.zapped.end.wrapping_sub(1)) + 1
    }

    /// The proof that no entry is left, or one that is.
    ///
    /// Without a look at the table if the zap covered all of it, skipped nothing and never dropped
    /// the lock; else from the zapped entries outward, and then these: one may have been skipped.
    pub(crate) fn none(&self) -> Result<NonePtes<'_>, (usize, PteValue)> {
        let zapped = self.zapped();
        let whole = zapped.len() == PTRS_PER_PTE;
        let empty = self.empty || whole && seeded(ptr_bug::PTR_BUG_LOCK_DROPPED);
        if !empty {
            let ptes = self.ptes();
            for range in [zapped.end..PTRS_PER_PTE, 0..zapped.start, zapped] {
                if let Some(found) = ptes.find_occupied(range) {
                    return Err(found);
                }
            }
        }
        Ok(NonePtes(PhantomData))
    }

    /// The proof that the locks cover the table, or `None`: then it reaches beyond the only VMA
    /// locked, and `mmap_lock` is not to be had at once.
    ///
    /// `mmap_lock` is above the VMA lock in the lock order; a trylock never waits, so it is legal
    /// here, as it is under the PTE lock.
    pub(crate) fn covered(&self) -> Option<Covered<'_>> {
        if self.zap_lock() == ZapLock::Mmap || seeded(ptr_bug::PTR_BUG_SECOND_VMA) {
            return Some(Covered::ByZap);
        }
        // SAFETY: By the type invariant the VMA is valid and locked.
        let (start, end) = unsafe {
            let range = &(*self.vma).__bindgen_anon_1.__bindgen_anon_1;
            (range.vm_start, range.vm_end)
        };
        if start <= self.start() && end.saturating_sub(self.start()) >= PMD_SIZE {
            return Some(Covered::ByZap);
        }
        if !may_try_mmap() {
            return None;
        }
        // SAFETY: Only `madvise()` zaps under a VMA lock, and whoever calls that has a reference to
        // `mm_users`.
        let mm = unsafe { MmWithUser::from_raw(self.mm()) };
        mm.mmap_read_trylock()
            .map(|guard| Covered::ByMmapLock { _guard: guard })
    }

    /// Tries to lock the pmd; never waits.
    #[inline]
    pub(crate) fn try_lock_pmd(&self) -> Option<PmdLock<'_>> {
        let mm = self.mm();
        // SAFETY: *pte-lock*: the pmd is valid and points to the table.
        let mut lock = unsafe { bindings::ptr_shim_pmd_lockptr(mm, self.pmd) };
        if lock == self.pte_lock() {
            lock = ptr::null_mut();
        // SAFETY: The lock is valid as its pmd is.
        } else if !unsafe { bindings::ptr_shim_trylock(lock) } {
            return None;
        }
        // SAFETY: Locked just now, or by the zap, which is borrowed.
        Some(unsafe { PmdLock::held(mm, lock) })
    }

    /// The table as an empty one: `none` and `covered` are the proofs, `lock` its PMD lock.
    #[inline]
    pub(crate) fn empty<'l>(
        &self,
        _none: &NonePtes<'_>,
        _covered: &Covered<'_>,
        lock: &'l PmdLock<'_>,
    ) -> EmptyPteTable<'l> {
        // SAFETY: *pte-lock* by the type invariant: the zap holds it beyond this call; *all-none*
        // and *covered* by the proofs; `lock` was made for this table.
        unsafe { EmptyPteTable::new(lock, PteLock::held(ptr::null_mut()), self.pmd, self.start()) }
    }
}

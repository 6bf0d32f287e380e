// SPDX-License-Identifier: GPL-2.0

//! Safe access to the address space of the running KUnit test: `helpers/kunit.c`.

use super::bindings::{
    self,
    pmd_t,
    ptr_pte_kind,
    ptr_test_zap, //
};
use crate::pgtable::{
    zapped::{
        Verdict,
        ZappedTable, //
    },
    PMD_SIZE,
};
use kernel::{
    current,
    error::to_result,
    mm::MmWithUser,
    page::PAGE_SIZE,
    prelude::*, //
};

/// What a PTE can be made to hold.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Nothing.
    None,
    /// A swap entry.
    Swap,
    /// A guard marker.
    Marker,
    /// A migration entry.
    Migration,
}

/// How a zap comes to its end.
#[derive(Clone, Copy, Default)]
pub(crate) struct How {
    /// `zap_details.reclaim_flags`.
    pub(crate) flags: u32,
    /// The table is known to be empty.
    pub(crate) empty: bool,
    /// Somebody else has the PMD lock.
    pub(crate) pmd_taken: bool,
}

/// A private anonymous mapping of whole tables, which the test unmaps when it ends.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    start: usize,
}

impl Mapping {
    /// A mapping of `tables` times 2 MiB. May sleep.
    pub(crate) fn new(tables: usize) -> Result<Self> {
        // SAFETY: Runs in a KUnit test.
        let start = unsafe { bindings::ptr_test_mmap(tables * PMD_SIZE) };
        if start == 0 {
            return Err(ENOMEM);
        }
        Ok(Self { start })
    }

    /// The address of page `page` of table `table`.
    pub(crate) fn addr(self, table: usize, page: usize) -> usize {
        self.start + table * PMD_SIZE + page * PAGE_SIZE
    }

    /// Writes to a page; that allocates it.
    pub(crate) fn put(self, table: usize, page: usize, value: u8) -> Result {
        // SAFETY: Runs in a KUnit test; a bad address is an error.
        to_result(unsafe { bindings::ptr_test_put(self.addr(table, page), value) })
    }

    /// Reads from a page.
    pub(crate) fn get(self, table: usize, page: usize) -> Result<u8> {
        // SAFETY: As above.
        let ret = unsafe { bindings::ptr_test_get(self.addr(table, page)) };
        u8::try_from(ret).map_err(|_| EFAULT)
    }

    /// Zaps pages like a driver does, which leaves empty tables.
    pub(crate) fn zap(self, table: usize, page: usize, pages: usize) -> Result {
        let addr = self.addr(table, page);
        // SAFETY: As above.
        to_result(unsafe { bindings::ptr_test_zap(addr, pages * PAGE_SIZE) })
    }

    /// Leaves `table` in place, and empty.
    pub(crate) fn make_empty(self, table: usize) -> Result {
        self.put(table, 0, 1)?;
        self.zap(table, 0, 1)
    }

    /// Makes a VMA of its own of some pages.
    pub(crate) fn split(self, table: usize, page: usize, pages: usize) -> Result {
        let addr = self.addr(table, page);
        // SAFETY: As above.
        to_result(unsafe { bindings::ptr_test_mmap_fixed(addr, pages * PAGE_SIZE) })
    }

    /// Puts an entry of the kind into the table.
    pub(crate) fn set_pte(self, table: usize, page: usize, kind: Kind) -> Result {
        let kind = match kind {
            Kind::None => ptr_pte_kind::PTR_PTE_PRESENT,
            Kind::Swap => ptr_pte_kind::PTR_PTE_SWAP,
            Kind::Marker => ptr_pte_kind::PTR_PTE_MARKER,
            Kind::Migration => ptr_pte_kind::PTR_PTE_MIGRATION,
        };
        // SAFETY: As above; tests take it out again before anybody uses it.
        to_result(unsafe { bindings::ptr_test_set_pte(self.addr(table, page), kind) })
    }

    /// Whether `fork()` is told that a page is none while somebody replaces its entry.
    pub(crate) fn is_lost_by_fork(self, table: usize, page: usize) -> Result<bool> {
        // SAFETY: As above.
        let ret = unsafe { bindings::ptr_test_fork_beside_unmap(self.addr(table, page)) };
        to_result(ret)?;
        Ok(ret != 0)
    }

    /// Calls `f` while another CPU walks `table` under RCU; whether the memory still was a page table
    /// when the walk ended.
    pub(crate) fn with_walker(self, table: usize, f: impl FnOnce() -> Result) -> Result<bool> {
        // SAFETY: As above; ended below.
        to_result(unsafe { bindings::ptr_test_walk_begin(self.addr(table, 0)) })?;
        let ret = f();
        // SAFETY: Pairs with the one above.
        let kept = unsafe { bindings::ptr_test_walk_end() };
        ret.map(|()| kept)
    }

    /// Asks for huge pages.
    pub(crate) fn want_huge(self) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::ptr_test_want_huge(self.start) })
    }

    /// Calls `f` with a table as `zap_pte_range()` leaves it after zapping the pages, and does with
    /// its verdict what that would do; returns its name.
    pub(crate) fn zapped(
        self,
        table: usize,
        page: usize,
        pages: usize,
        how: How,
        f: impl FnOnce(ZappedTable<'_>) -> Verdict,
    ) -> Result<&'static str> {
        let start = self.addr(table, page);
        let end = start + pages * PAGE_SIZE;
        let mut zap = ptr_test_zap::default();
        // CAST: There are six flags.
        zap.details.reclaim_flags = how.flags as u8;
        // SAFETY: As above.
        to_result(unsafe { bindings::ptr_test_zap_begin(&mut zap, start, end, how.pmd_taken) })?;
        // SAFETY: The PTE lock is held until `ptr_test_zap_end`.
        let verdict = f(unsafe {
            ZappedTable::new(
                zap.vma,
                zap.pmd,
                zap.pte,
                start..end,
                &zap.details,
                how.empty,
            )
        });
        let (name, unlinked) = match verdict {
            Verdict::Keep => ("keep", pmd_t::default()),
            Verdict::Retry => ("retry", pmd_t::default()),
            Verdict::Unlinked(table) => ("unlinked", table.into_pmdval()),
        };
        // SAFETY: Pairs with the one above; an unlinked table is ours now.
        unsafe { bindings::ptr_test_zap_end(&mut zap, unlinked, how.pmd_taken) };
        Ok(name)
    }
}

/// The page tables of the address space, of all levels.
pub(crate) fn page_tables() -> usize {
    // SAFETY: Runs in a KUnit test with an address space.
    unsafe { bindings::ptr_test_pte_tables() }
}

/// How often the TLB of the address space was to be flushed.
pub(crate) fn flushes() -> u64 {
    // SAFETY: As above.
    unsafe { bindings::ptr_test_flushes() }
}

/// Calls `f` while a flush of the address space is pending.
pub(crate) fn with_flush_pending<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: As above; balanced below.
    unsafe { bindings::ptr_test_flush_pending(true) };
    let ret = f();
    // SAFETY: As above.
    unsafe { bindings::ptr_test_flush_pending(false) };
    ret
}

/// Registers a reclaimer for the hook ABI `abi` for a moment.
pub(crate) fn register(abi: u32) -> Result {
    // SAFETY: Unregisters by itself.
    to_result(unsafe { bindings::ptr_test_register(abi) })
}

/// The address space of the test.
pub(crate) fn mm() -> Result<&'static MmWithUser> {
    let current = current!();
    let mm = current.mm().ok_or(EINVAL)?;
    // SAFETY: KUnit keeps the address space of the thread until the test case ends, and it is only
    // used in it.
    Ok(unsafe { MmWithUser::from_raw(mm.as_raw()) })
}

/// Sleeps for so many milliseconds, or a bit longer.
pub(crate) fn pause(milliseconds: u32) {
    kernel::time::delay::fsleep(kernel::time::Delta::from_millis(i64::from(milliseconds)));
}

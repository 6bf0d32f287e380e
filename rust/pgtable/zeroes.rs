// SPDX-License-Identifier: GPL-2.0

//! Tables with nothing but zero pages: these are taken out first, and who mirrors the page tables
//! is told.

use super::{
    cover::Cover,
    empty::EmptyPteTable,
    pte::Contents,
    slot::PteTable, //
};
use crate::{
    outcome::Outcome,
    sys::bindings::{
        self,
        mmu_notifier_range, //
    },
};
use core::ops::Range;

/// Between start and end of an invalidation, secondary MMUs map nothing of a range.
///
/// # Invariants
///
/// `mmu_notifier_invalidate_range_start()` has returned for `range`, and its end is yet to come.
/// The cover lives longer, so nobody can register a notifier in between.
pub(crate) struct Invalidation<'a> {
    range: mmu_notifier_range,
    addrs: Range<usize>,
    _cover: &'a Cover<'a>,
}

impl<'a> Invalidation<'a> {
    /// Tells the notifiers of the address space that something goes from `range`. May sleep; no page
    /// table lock may be held.
    pub(crate) fn new(cover: &'a Cover<'_>, range: Range<usize>) -> Self {
        let mut raw = mmu_notifier_range::default();
        // SAFETY: The address space has users, and `mmap_lock` or a VMA lock is held, as `madvise()`
        // does it (`madvise_dontneed_free()`).
        unsafe {
            bindings::ptr_shim_invalidate_start(
                &mut raw,
                cover.mm().as_raw(),
                range.start,
                range.end,
            )
        };
        // INVARIANT: Started just now.
        Self {
            range: raw,
            addrs: range,
            _cover: cover,
        }
    }
}

impl Drop for Invalidation<'_> {
    fn drop(&mut self) {
        // SAFETY: Pairs with the start, by the type invariant.
        unsafe { bindings::ptr_shim_invalidate_end(&mut self.range) }
    }
}

impl<'l> PteTable<'l> {
    /// Why the table must stay, if it must: it has not only zero pages any more, or whose they are.
    pub(crate) fn keeps_zero_pages(&self, cover: &Cover<'_>) -> Option<Outcome> {
        match self.ptes().contents() {
            Contents::Used(_) => Some(Outcome::Busy),
            Contents::Nothing => None,
            Contents::ZeroPages => cover.keeps_zero_pages(self.addr(), Some(self.ptes())),
        }
    }

    /// Takes out the zero pages, if there is nothing else; or why that cannot be.
    ///
    /// The table must be unlinked and flushed like any other before its locks go: until then CPUs may
    /// still cache the entries.
    pub(crate) fn without_zero_pages(
        self,
        cover: &Cover<'_>,
        invalidation: &Invalidation<'_>,
    ) -> Result<EmptyPteTable<'l>, Outcome> {
        let addr = self.addr();
        if !invalidation.addrs.contains(&addr) {
            return Err(Outcome::Busy);
        }
        if let Some(why) = self.keeps_zero_pages(cover) {
            return Err(why);
        }
        // SAFETY: *pte-lock*, and the table holds zero pages only, if anything.
        unsafe {
            bindings::ptr_shim_clear_zero_pages(
                self.mm(),
                addr,
                self.ptes().as_ptr().cast_mut().cast(),
            )
        };
        // SAFETY: Nothing was in it, or is any more.
        Ok(unsafe { self.assume_empty() })
    }
}

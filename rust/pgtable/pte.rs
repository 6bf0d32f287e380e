// SPDX-License-Identifier: GPL-2.0

//! PTEs: read once, as values. The hardware writes to them, so there is never a reference to one.

use super::PTRS_PER_PTE;
use crate::{
    outcome::Outcome,
    sys::bindings::{
        self,
        pte_t,
        ptr_pte_kind, //
    },
};
use core::{
    marker::PhantomData,
    ops::Range, //
};

/// `_PAGE_KNL_ERRATUM_MASK`: some CPUs set these in entries that are not present; `pte_none()`
/// (`arch/x86/include/asm/pgtable.h`) overlooks them, and so must we.
const ACCESSED_DIRTY: u64 = 1 << 5 | 1 << 6;

/// `_PAGE_PRESENT | _PAGE_PROTNONE`.
const PRESENT: u64 = 1 << 0 | 1 << 8;

/// Entries read and tested together: one cache line.
const LINE: usize = 8;

/// A PTE that is not none.
#[derive(Clone, Copy)]
pub(crate) struct PteValue(u64);

impl PteValue {
    #[inline]
    fn new(value: u64) -> Option<Self> {
        (value & !ACCESSED_DIRTY != 0).then_some(Self(value))
    }

    /// The reason to keep a table that has this entry.
    #[inline]
    pub(crate) fn why_kept(self) -> Outcome {
        if self.0 & PRESENT != 0 {
            return Outcome::Present;
        }
        self.why_kept_not_present()
    }

    #[cold]
    fn why_kept_not_present(self) -> Outcome {
        // SAFETY: Only decodes the value.
        match unsafe {
            bindings::ptr_shim_pte_kind(pte_t {
                pte: self.0 as usize,
            })
        } {
            ptr_pte_kind::PTR_PTE_SWAP => Outcome::Swap,
            ptr_pte_kind::PTR_PTE_MARKER => Outcome::Markers,
            ptr_pte_kind::PTR_PTE_MIGRATION => Outcome::Migration,
            _ => Outcome::Present,
        }
    }
}

/// The 512 entries of a table.
///
/// # Invariants
///
/// `base` is the address of a PTE table whose *pte-lock* is held for `'t`.
#[derive(Clone, Copy)]
pub(crate) struct Ptes<'t> {
    base: *const u64,
    _locked: PhantomData<&'t ()>,
}

impl Ptes<'_> {
    /// # Safety
    ///
    /// `base` must be the first entry of a PTE table whose lock is held as long as the value lives.
    #[inline]
    pub(super) unsafe fn new(base: *const pte_t) -> Self {
        // INVARIANT: By the safety contract. CAST: `pte_t` is transparent over its value.
        Self {
            base: base.cast(),
            _locked: PhantomData,
        }
    }

    #[inline]
    fn load(self, index: usize) -> u64 {
        debug_assert!(index < PTRS_PER_PTE);
        // SAFETY: By the type invariant the table is there, and callers stay within it. Volatile:
        // as `ptep_get()`, since the hardware may set bits meanwhile.
        unsafe { core::ptr::read_volatile(self.base.add(index)) }
    }

    /// The entry `index`, `None` if it is none or there is no such entry.
    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<PteValue> {
        if index >= PTRS_PER_PTE {
            return None;
        }
        PteValue::new(self.load(index))
    }

    /// The first entry in `range` that is not none, and its index.
    pub(crate) fn find_occupied(self, range: Range<usize>) -> Option<(usize, PteValue)> {
        let end = range.end.min(PTRS_PER_PTE);
        let mut index = range.start;
        while index < end {
            // A whole line at once where that is possible: the test of one entry costs more than
            // its load.
            if index % LINE == 0 && index + LINE <= end {
                let any = (0..LINE).fold(0, |any, i| any | self.load(index + i));
                if any & !ACCESSED_DIRTY == 0 {
                    index += LINE;
                    continue;
                }
            }
            if let Some(pte) = self.get(index) {
                return Some((index, pte));
            }
            index += 1;
        }
        None
    }
}

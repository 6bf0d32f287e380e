// SPDX-License-Identifier: GPL-2.0

//! PTEs: read once, as values. The hardware writes to them, so there is never a reference to one.

use super::PTRS_PER_PTE;
use crate::{
    outcome::Outcome,
    sys::{
        bindings::{
            self,
            pte_t,
            ptr_bug,
            ptr_pte_kind, //
        },
        seeded::seeded,
    },
};
use core::{
    marker::PhantomData,
    ops::Range, //
};
use kernel::page::PAGE_SIZE;

/// `_PAGE_KNL_ERRATUM_MASK`: some CPUs set these in entries that are not present; `pte_none()`
/// (`arch/x86/include/asm/pgtable.h`) overlooks them, and so must we.
const ACCESSED_DIRTY: u64 = 1 << 5 | 1 << 6;

/// `_PAGE_PRESENT | _PAGE_PROTNONE`.
const PRESENT: u64 = 1 << 0 | 1 << 8;

/// `_PAGE_SPECIAL`.
const SPECIAL: u64 = 1 << 9;

/// Entries read and tested together: one cache line.
const LINE: usize = 8;

/// What the entries of a table amount to.
#[derive(Clone, Copy)]
pub(crate) enum Contents {
    /// All none.
    Nothing,
    /// Entries of the zero page, and none.
    ZeroPages,
    /// An entry that the table is needed for.
    Used(PteValue),
}

/// The frame of an entry, wherever the encryption bit is, and `_PAGE_PRESENT`: what
/// `ptr_zero_pte` has.
const PAGE: u64 = ((1 << 52) - (1 << 12)) | (1 << 0);

/// How many entries a search looks at: all.
#[inline(always)]
fn searched() -> usize {
    if seeded(ptr_bug::PTR_BUG_SCAN_SHORT) {
        return PTRS_PER_PTE - LINE;
    }
    PTRS_PER_PTE
}

/// Whether the value maps the zero page. Not if that is `PROT_NONE`: on x86 its frame is inverted.
#[inline]
fn is_zero_page(value: u64) -> bool {
    // SAFETY: Written once, before any table is looked at (`ptr_shim_scan_init()`).
    value & PAGE == unsafe { bindings::ptr_zero_pte }
}

/// What the entries of the table at `base` amount to. Ends with the first one that is needed.
///
/// # Safety
///
/// `base` must be the first entry of a PTE table that stays; its entries may change.
#[inline]
pub(super) unsafe fn contents(base: *const u64) -> Contents {
    let end = base.wrapping_add(searched());
    let mut zero = false;
    let mut line = base;
    // By pointers, so that a line without entries is its loads and three instructions.
    while line != end {
        // SAFETY: Within the table, by the safety contract: its size is a multiple of a line's.
        // Volatile: as `ptep_get_lockless()`.
        let load = |index: usize| unsafe { core::ptr::read_volatile(line.add(index)) };
        if (0..LINE).fold(0, |any, index| any | load(index)) & !ACCESSED_DIRTY != 0 {
            for value in (0..LINE).map(load) {
                if is_zero_page(value) {
                    zero = true;
                } else if let Some(pte) = PteValue::new(value) {
                    return Contents::Used(pte);
                }
            }
        }
        line = line.wrapping_add(LINE);
    }
    if zero {
        Contents::ZeroPages
    } else {
        Contents::Nothing
    }
}

/// Whether the first entry of the table at `base` maps a page, as it does in most.
///
/// # Safety
///
/// As [`contents`].
#[inline]
pub(super) unsafe fn is_live(base: *const u64) -> bool {
    // SAFETY: As above.
    let value = unsafe { core::ptr::read_volatile(base) };
    value & PRESENT != 0 && !is_zero_page(value)
}

/// What `found` makes of the first entry with an index of `range` that it makes something of. It is
/// asked about entries that are not none, and only about these where eight can be read together: the
/// test of one costs more than its load.
///
/// # Safety
///
/// As [`contents`]; `range` must be within the table.
#[inline(always)]
unsafe fn find<T>(
    base: *const u64,
    range: Range<usize>,
    found: impl Fn(usize, u64) -> Option<T>,
) -> Option<T> {
    // SAFETY: By the safety contract. Volatile: as `ptep_get_lockless()`, since the hardware may set
    // bits meanwhile.
    let load = |index: usize| unsafe { core::ptr::read_volatile(base.wrapping_add(index)) };
    let mut index = range.start;
    while index < range.end {
        if index % LINE == 0 && index + LINE <= range.end {
            let any = (0..LINE).fold(0, |any, i| any | load(index + i));
            if any & !ACCESSED_DIRTY == 0 {
                index += LINE;
                continue;
            }
        }
        if let Some(found) = found(index, load(index)) {
            return Some(found);
        }
        index += 1;
    }
    None
}

/// Whether the entries for the addresses of `range` are none, all in the table at `base`.
///
/// # Safety
///
/// As [`contents`].
pub(super) unsafe fn all_none(base: *const u64, range: Range<usize>) -> bool {
    let first = range.start / PAGE_SIZE % PTRS_PER_PTE;
    let last = range.end.wrapping_sub(1) / PAGE_SIZE % PTRS_PER_PTE;
    let used = |_, value: u64| (value & !ACCESSED_DIRTY != 0).then_some(());
    // The last entry first, then the first one: in a live table one of them ends it.
    // SAFETY: As above; both are within the table.
    unsafe { find(base, last..last + 1, used).is_none() && find(base, first..last, used).is_none() }
}

/// How many entries of the table at `base` are not none.
///
/// # Safety
///
/// As [`contents`].
pub(super) unsafe fn used(base: *const u64) -> usize {
    (0..PTRS_PER_PTE)
        .filter(|index| {
            // SAFETY: As above.
            PteValue::new(unsafe { core::ptr::read_volatile(base.add(*index)) }).is_some()
        })
        .count()
}

/// A PTE that is not none.
#[derive(Clone, Copy)]
pub(crate) struct PteValue(u64);

impl PteValue {
    #[inline]
    fn new(value: u64) -> Option<Self> {
        if seeded(ptr_bug::PTR_BUG_NOT_PRESENT) && value & PRESENT == 0 {
            return None;
        }
        (value & !ACCESSED_DIRTY != 0).then_some(Self(value))
    }

    /// Whether it maps a page.
    #[inline]
    pub(crate) fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// The reason to keep a table that has this entry.
    #[inline]
    pub(crate) fn why_kept(self) -> Outcome {
        if self.is_present() {
            return Outcome::Present;
        }
        self.why_kept_not_present()
    }

    /// Whether it maps the zero page.
    #[inline]
    pub(crate) fn is_zero_page(self) -> bool {
        is_zero_page(self.0)
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

    /// Whether the entry `index` maps a page; not the zero page, whose entries are special.
    #[inline]
    pub(crate) fn maps_page(self, index: usize) -> bool {
        if index >= PTRS_PER_PTE {
            return false;
        }
        let value = self.load(index);
        value & PRESENT != 0 && value & SPECIAL == 0
    }

    /// What they amount to; stays true as long as the lock is held.
    pub(crate) fn contents(self) -> Contents {
        // SAFETY: By the type invariant.
        unsafe { contents(self.base) }
    }

    /// The address of the first entry.
    #[inline]
    pub(super) fn as_ptr(self) -> *const u64 {
        self.base
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
        let end = range.end.min(searched());
        // SAFETY: By the type invariant; the range ends within the table.
        unsafe {
            find(self.base, range.start..end, |index, value| {
                Some((index, PteValue::new(value)?))
            })
        }
    }
}

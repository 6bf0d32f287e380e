// SPDX-License-Identifier: GPL-2.0

//! What became of a table, and why. One list: it makes the counters and their names, and the
//! documentation of each name is here.

use crate::sys::{
    bindings::PTR_MAX_OUTCOMES,
    counters, //
};
use kernel::prelude::*;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// What became of a table.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Outcome {
            $($(#[$doc])* $variant,)*
        }

        impl Outcome {
            /// All outcomes, in the order they are shown.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name of the counter, as shown in debugfs and by the tracepoints.
            pub(crate) const fn name(self) -> &'static CStr {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

outcomes! {
    /// Empty: unlinked, and freed by the gather of the zap.
    Freed => c"freed",
    /// Empty, but its PMD lock was taken: `zap_pte_table_if_empty()` looked again.
    Retried => c"retried",
    /// A present PTE was found.
    Present => c"kept_present",
    /// A swap entry was found, which the table is needed for.
    Swap => c"kept_swap",
    /// A marker was found: guard, uffd-wp or poison.
    Markers => c"kept_markers",
    /// A migration or device entry was found.
    Migration => c"kept_migration",
    /// Empty, but it was freed and filled again a moment ago: left, in order not to thrash.
    Refilled => c"kept_refilled",
    /// Empty, but it reaches beyond the VMA, only the VMA was locked, and `mmap_lock` was taken.
    Straddles => c"kept_straddles",
    /// The same, and `mmap_lock` could be had, but not the PMD lock.
    PmdBusy => c"kept_pmd_busy",
    /// Zapped under the rmap lock only: truncate, hole punch, `MADV_REMOVE`.
    RmapLock => c"kept_rmap_lock",
    /// Zapped by a driver, under a lock not known here.
    UnknownLock => c"kept_unknown_lock",
    /// Unmapped in pieces, or by the exit: the `free_pgtables()` that follows frees it.
    Unmapped => c"kept_unmapped",
    /// The reaper zapped an address space that is being torn down: `exit_mmap()` frees it.
    Exiting => c"kept_exiting",
    /// `fork()` found nothing to copy, and made no table for the child.
    NotCopied => c"not_copied",

    /// Looked at by the background scanner, on request or under memory pressure.
    Looked => c"looked",
    /// Found empty, and freed by a scan.
    ScanFreed => c"scan_freed",
    /// The same, with nothing but zero pages in it.
    ScanFreedZero => c"scan_freed_zero",
    /// Found again soon after a scan had freed it: the free was not worth it.
    Refaulted => c"refaulted",
    /// Empty, but not for long enough.
    Young => c"scan_young",
    /// Empty when it was looked at, and not any more when it was locked; or a lock was taken.
    Busy => c"scan_busy",
    /// Empty, but no VMA meets it: a `munmap()` is at work.
    NoVma => c"scan_no_vma",
    /// Zero pages of an mlocked mapping.
    ZeroMlocked => c"scan_zero_mlocked",
    /// Zero pages of a mapping that userfaultfd watches.
    ZeroUffd => c"scan_zero_uffd",
    /// Zero pages of a shared or a file's mapping.
    ZeroShared => c"scan_zero_shared",
    /// Zero pages, and one is marked soft-dirty.
    ZeroSoftDirty => c"scan_zero_soft_dirty",
    /// Zero pages, which are not to be touched.
    ZeroPages => c"scan_zero_pages",
}

const _: () = assert!(Outcome::ALL.len() <= PTR_MAX_OUTCOMES as usize);

impl Outcome {
    /// Adds one to the counter of this outcome on this CPU. Any context.
    #[inline]
    pub(crate) fn count(self) {
        counters::count(self as u32);
    }

    /// The same for `times` at once. Any context.
    pub(crate) fn count_many(self, times: u64) {
        counters::add(self as u32, times);
    }

    /// How often this was the outcome since the module was loaded, on all CPUs.
    pub(crate) fn counted(self) -> u64 {
        counters::counted(self as u32)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Page tables as types: each step of freeing a PTE table takes the one before, so that the wrong
//! order does not compile.
//!
//! ```text
//!  zap_pte_range()                    a scan
//!  ZappedTable  PTE lock held         PmdSlot  PMD lock held
//!    | none()                           | table()
//!  NonePtes     all 512 none          PteTable both locks held
//!    | try_lock_pmd()                   | empty()
//!    `---------> EmptyPteTable <--------'   all 512 none, both locks held
//!                     | unlink()
//!                UnlinkedPteTable           pmd cleared, PMD lock still held
//!    ,----------------+----------------.
//!  Verdict::Unlinked: into the        UnlinkedBatch::flush() with the
//!  gather of the zap: flush and       PMD lock still held
//!  RCU free when that ends              |
//!                                     FlushedPteTables::defer_free(): call_rcu()
//! ```
//!
//! # Invariants
//!
//! The names that SAFETY comments cite:
//!
//! - *pte-lock*: the PTE lock of the table is held, so its entries change only by hardware setting
//!   accessed and dirty bits of present ones, and nobody else unlinks the table.
//! - *pmd-lock*: the PMD lock is held, so nobody else changes the pmd.
//! - *covered*: the mmap lock is held, or the VMA lock of a VMA that the table's 2 MiB lie in
//!   entirely. So no `move_ptes()` (`mm/mremap.c`) and no `copy_pte_range()` relies on the table
//!   staying, and at least one attached VMA meets it: no `free_pgtables()` frees it meanwhile.
//! - *all-none*: all 512 entries were none at a moment since which *pte-lock* held.
//! - *unlinked*: the pmd was cleared under *pte-lock*, *pmd-lock*, *covered* and *all-none*.
//!   Lockless walkers may still read the table until a grace period after the flush, and find it
//!   empty.
//!
//! `Documentation/mm/process_addrs.rst` of the kernel, "Page table freeing", has the rules;
//! `Documentation/locking.md` has who else can hold a pointer to the table at each step.

pub(crate) mod batch;
pub(crate) mod cover;
pub(crate) mod empty;
pub(crate) mod lock;
pub(crate) mod pte;
pub(crate) mod region;
pub(crate) mod slot;
pub(crate) mod unlinked;
pub(crate) mod zapped;
pub(crate) mod zeroes;

/// Entries of a PTE table.
pub(crate) const PTRS_PER_PTE: usize = 512;

/// Bytes that a PTE table maps.
pub(crate) const PMD_SIZE: usize = 1 << 21;

/// Entries of a PMD table.
pub(crate) const PTRS_PER_PMD: usize = 512;

/// Bytes that a PMD table maps: its entries share one PMD lock.
pub(crate) const PUD_SIZE: usize = 1 << 30;

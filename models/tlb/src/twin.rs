// SPDX-License-Identifier: GPL-2.0

//! The ways in which it can be wrong. Each must be found: `tests/model/twins.rs` says which claim it
//! breaks, and `cargo test TEST -- --nocapture` shows how, step by step.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// Nothing.
    Right,
    /// The gather ends without a flush.
    NoFlush,
    /// The gather frees its tables and flushes then.
    FreeBeforeFlush,
    /// The gather gives its pages back and flushes then.
    PagesBeforeFlush,
    /// The gather flushes an address outside of the table: the cached pmd stays (CVE-2026-74674).
    FlushOutsideTable,
    /// The gather flushes without `freed_tables`: CPUs in lazy TLB mode keep the pmd
    /// (CVE-2025-22045).
    NotFreedTables,
    /// Tables are freed after the flush, without an RCU grace period.
    NoRcu,
    /// Whoever fills an empty pmd does not ask for pending flushes: Linux without patch 1.
    NoShim,
    /// The shim flushes the CPU that it runs on.
    ShimFlushesLocally,
    /// The shim flushes without `freed_tables`.
    ShimSkipsLazy,
    /// A fault does not look at the pmd again after it took the PTE lock.
    NoRecheck,
    /// A zap that had to drop the PTE lock believes what it saw before (Linux 6.14-rc).
    NoSecondLook,
    /// A scan believes what it saw without a lock.
    ScanNoSecondLook,
    /// A scan drops the PMD lock before it flushes.
    ScanUnlocksEarly,
    /// A scan flushes without `freed_tables`.
    ScanSkipsLazy,
    /// A scan frees its table without an RCU grace period.
    ScanNoRcu,
    /// A zap holds the lock of a VMA that has a part of the table only.
    ZapNotCovered,
    /// The same of a scan.
    ScanNotCovered,
    /// The zap of a huge page flushes without `freed_tables`. This is Linux: no table goes, so a CPU
    /// in lazy TLB mode is left out, and may walk to a small page meanwhile.
    HugeSkipsLazy,
}

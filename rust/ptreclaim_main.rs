// SPDX-License-Identifier: GPL-2.0

//! Reclaim of empty user page tables.
//!
//! A PTE table's life from zap to free, in the order to read it:
//!
//! 1. [`sys::hook`]: `zap_pte_range()` has emptied some PTEs and calls here.
//! 2. [`reclaim`]: whether the table is freed, or why it is kept.
//! 3. [`pgtable::zapped`]: the table as the zap leaves it, and the look for what it still holds.
//! 4. [`pgtable::empty`]: with both locks held and no entry left, it may be unlinked.
//! 5. [`pgtable::unlinked`]: out of the page tables, flushed from the TLB, freed after RCU.
#![crate_name = "ptreclaim"]

#[deny(unsafe_code)]
mod device;
#[deny(unsafe_code)]
mod memory;
#[deny(unsafe_code)]
mod outcome;
mod pgtable;
#[deny(unsafe_code)]
mod policy;
#[deny(unsafe_code)]
mod pressure;
#[deny(unsafe_code)]
mod reclaim;
#[deny(unsafe_code)]
mod scan;
#[deny(unsafe_code)]
mod stats;
mod sys;
#[cfg(CONFIG_PTRECLAIM_KUNIT_TEST)]
mod tests;

use kernel::prelude::*;

#[cfg(all(CONFIG_PTRECLAIM_KUNIT_TEST, not(CONFIG_KUNIT = "y")))]
compile_error!("without CONFIG_KUNIT=y the KUnit suites would silently not be there");

module! {
    type: PtReclaim,
    name: "ptreclaim",
    authors: ["The ptreclaim authors"],
    description: "Reclaim of empty user page tables",
    license: "GPL",
}

/// What lives as long as the module is loaded.
///
/// Fields are dropped in order: first the kernel may not call in any more, then the scanner ends,
/// then what it was to look at is forgotten.
struct PtReclaim {
    _device: sys::device::Device,
    _hook: sys::hook::Hook,
    _pressure: sys::pressure::Pressure,
    _work: sys::work::Work,
    _hints: scan::hints::Hints,
    _stats: stats::Files,
    #[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
    _seeds: sys::seeded::Seeds,
}

impl kernel::Module for PtReclaim {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        #[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
        let seeds = sys::seeded::Seeds;
        reclaim::set_refill_interval(sys::hook::refill_jiffies());
        let stats = stats::Files::new()?;
        let hints = scan::hints::Hints::new();
        let work = sys::work::Work::start()?;
        let pressure = sys::pressure::Pressure::new()?;
        let hook = sys::hook::Hook::start()?;
        let device = sys::device::Device::new()?;
        pr_info!(
            "hook ABI {}: deciding about emptied page tables\n",
            sys::hook::ABI
        );
        Ok(Self {
            _device: device,
            _hook: hook,
            _pressure: pressure,
            _work: work,
            _hints: hints,
            _stats: stats,
            #[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
            _seeds: seeds,
        })
    }
}

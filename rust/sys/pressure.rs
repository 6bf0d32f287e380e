// SPDX-License-Identifier: GPL-2.0

//! The shrinker and the OOM notifier: `helpers/pressure.c`.

use super::bindings::{
    self,
    mem_cgroup, //
};
use crate::pressure;
use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_ulong, //
    },
    mm::Mm,
    prelude::*, //
};

/// Both of them, as long as this lives.
pub(crate) struct Pressure(());

impl Pressure {
    /// Registers them. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once; may sleep here.
        to_result(unsafe { bindings::ptr_shim_pressure_start() })?;
        Ok(Self(()))
    }
}

impl Drop for Pressure {
    /// Waits until neither runs any more.
    fn drop(&mut self) {
        // SAFETY: They were registered, and no hint comes any more: the hook goes first.
        unsafe { bindings::ptr_shim_pressure_stop() }
    }
}

/// The memory cgroup that is short of memory; null is all of the system.
///
/// # Invariants
///
/// Valid or null.
pub(crate) struct MemCgroup(*mut mem_cgroup);

impl MemCgroup {
    /// Whether the page tables of `mm` count for it.
    pub(crate) fn has(&self, mm: &Mm) -> bool {
        // SAFETY: By the type invariant; only compares.
        unsafe { bindings::ptr_shim_mm_in_memcg(mm.as_raw(), self.0) }
    }
}

/// Reclaim in the memory cgroup of `mm` is to ask the shrinker from now on. Any context.
pub(crate) fn has_tables(mm: &Mm) {
    // SAFETY: Any context.
    unsafe { bindings::ptr_shim_has_tables(mm.as_raw()) }
}

/// How many tables `mm` has beyond those that its pages would fill.
pub(crate) fn spare_tables(mm: &Mm) -> u64 {
    // SAFETY: Reads counters.
    unsafe { bindings::ptr_shim_spare_tables(mm.as_raw()) as u64 }
}

/// The number of NUMA nodes with memory.
pub(crate) fn nodes() -> u32 {
    // SAFETY: Reads a counter.
    unsafe { bindings::ptr_shim_nodes() }
}

/// Called by `helpers/pressure.c`, as the functions of `struct shrinker` are: may sleep, but any lock
/// may be held.
#[no_mangle]
extern "C" fn ptreclaim_count(nid: c_int, memcg: *mut mem_cgroup) -> c_ulong {
    // INVARIANT: Reclaim has a reference to it.
    pressure::count(&MemCgroup(memcg), nid) as c_ulong
}

/// The same. `ULONG_MAX` is `SHRINK_STOP`.
#[no_mangle]
extern "C" fn ptreclaim_shrink(nid: c_int, memcg: *mut mem_cgroup, most: c_ulong) -> c_ulong {
    // INVARIANT: Reclaim has a reference to it.
    let freed = pressure::shrink(&MemCgroup(memcg), nid, most as u64);
    freed.map_or(c_ulong::MAX, |freed| freed as c_ulong)
}

/// Called before the OOM killer looks for a victim, with `oom_lock` held.
#[no_mangle]
extern "C" fn ptreclaim_before_oom() -> c_ulong {
    pressure::before_oom() as c_ulong
}

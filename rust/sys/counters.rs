// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters, which the `kernel` crate has no abstraction for.

use super::bindings;

/// Adds one to counter `nr` on this CPU. Any context.
#[inline]
pub(crate) fn count(nr: u32) {
    debug_assert!(nr < bindings::PTR_MAX_OUTCOMES);
    // SAFETY: `nr` is below PTR_MAX_OUTCOMES, which `outcome.rs` asserts for all it passes.
    unsafe { bindings::ptr_shim_count(nr) }
}

/// The sum of counter `nr` over all CPUs.
pub(crate) fn counted(nr: u32) -> u64 {
    debug_assert!(nr < bindings::PTR_MAX_OUTCOMES);
    // SAFETY: As above.
    unsafe { bindings::ptr_shim_counted(nr) }
}

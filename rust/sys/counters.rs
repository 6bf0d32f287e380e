// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters, which the `kernel` crate has no abstraction for.

use super::bindings;
use core::arch::asm;

/// Adds one to counter `nr` on this CPU. Any context: it is one instruction, so neither preemption
/// nor an interrupt comes between. As `this_cpu_inc()`, which would be a call from here.
#[inline]
pub(crate) fn count(nr: u32) {
    debug_assert!(nr < bindings::PTR_MAX_OUTCOMES);
    // SAFETY: `nr` is below PTR_MAX_OUTCOMES, which `outcome.rs` asserts for all it passes, so this
    // is an element of this CPU's array.
    unsafe {
        asm!(
            "inc qword ptr gs:[{counters} + {nr} * 8]",
            counters = sym bindings::ptr_counters,
            nr = in(reg) u64::from(nr),
            options(nostack),
        )
    }
}

/// Adds `times` to counter `nr` on this CPU. As [`count`].
pub(crate) fn add(nr: u32, times: u64) {
    debug_assert!(nr < bindings::PTR_MAX_OUTCOMES);
    // SAFETY: As in `count`.
    unsafe {
        asm!(
            "add qword ptr gs:[{counters} + {nr} * 8], {times}",
            counters = sym bindings::ptr_counters,
            nr = in(reg) u64::from(nr),
            times = in(reg) times,
            options(nostack),
        )
    }
}

/// The sum of counter `nr` over all CPUs.
pub(crate) fn counted(nr: u32) -> u64 {
    debug_assert!(nr < bindings::PTR_MAX_OUTCOMES);
    // SAFETY: `nr` is below PTR_MAX_OUTCOMES, as above.
    unsafe { bindings::ptr_shim_counted(nr) }
}

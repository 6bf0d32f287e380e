// SPDX-License-Identifier: GPL-2.0

//! The time, as cheap as it gets.

/// The value of `jiffies` now.
#[inline]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: `jiffies` is written by the timer interrupt and read everywhere as volatile.
    unsafe { core::ptr::read_volatile(&raw const kernel::bindings::jiffies) as u64 }
}

/// So many seconds, in jiffies.
pub(crate) fn seconds(seconds: u64) -> u64 {
    seconds * u64::from(kernel::bindings::HZ)
}

/// So many milliseconds, in jiffies.
pub(crate) fn milliseconds(milliseconds: u64) -> u64 {
    (milliseconds * u64::from(kernel::bindings::HZ)).div_ceil(1000)
}

/// Lets others run. May sleep.
pub(crate) fn yield_if_needed() {
    // SAFETY: No lock is held: callers may sleep.
    unsafe { super::bindings::ptr_shim_cond_resched() }
}

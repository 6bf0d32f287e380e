// SPDX-License-Identifier: GPL-2.0

//! The time, as cheap as it gets.

/// The value of `jiffies` now.
#[inline]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: `jiffies` is written by the timer interrupt and read everywhere as volatile.
    unsafe { core::ptr::read_volatile(&raw const kernel::bindings::jiffies) as u64 }
}

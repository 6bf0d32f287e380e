// SPDX-License-Identifier: GPL-2.0

//! Relaxed atomics without a call: those of the `kernel` crate are functions in C.

use kernel::sync::atomic::{
    Atomic,
    AtomicType, //
};

/// As `READ_ONCE()`: a relaxed load.
#[inline]
pub(crate) fn read_once<T: AtomicType + Copy>(atomic: &Atomic<T>) -> T {
    // SAFETY: The pointer is valid, and a volatile load of a word is what a relaxed one is on x86
    // (`arch_atomic64_read()`).
    unsafe { atomic.as_ptr().read_volatile() }
}

/// As `WRITE_ONCE()`: a relaxed store.
#[inline]
pub(crate) fn write_once<T: AtomicType + Copy>(atomic: &Atomic<T>, value: T) {
    // SAFETY: As above; others use atomic accesses too, or volatile ones.
    unsafe { atomic.as_ptr().write_volatile(value) }
}

// SPDX-License-Identifier: GPL-2.0

//! Relaxed atomics and a barrier without a call: those of the `kernel` crate are functions in C, and
//! a call on a rare way costs the usual one the registers that it saves.

use core::arch::asm;
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

/// As `smp_mb()`: what `__smp_mb()` (`arch/x86/include/asm/barrier.h`) is.
#[inline(always)]
pub(crate) fn smp_mb() {
    // SAFETY: Adds nothing to a word below the stack, which nobody uses: kernels are built without a
    // red zone. Memory is not excluded, so the compiler moves no access across it either.
    unsafe { asm!("lock add dword ptr [rsp - 4], 0", options(nostack)) }
}

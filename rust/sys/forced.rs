// SPDX-License-Identifier: GPL-2.0

//! Decisions that a test has go the other way: `helpers/forced.c`. Without `CONFIG_FAIL_FUNCTION`
//! these are constants, and nothing is left of them.

#[cfg(CONFIG_FAIL_FUNCTION)]
use super::bindings;

macro_rules! decisions {
    ($($(#[$doc:meta])* $name:ident => $shim:ident,)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub(crate) fn $name() -> bool {
                #[cfg(CONFIG_FAIL_FUNCTION)]
                // SAFETY: Has no requirements.
                return unsafe { bindings::$shim() };
                #[cfg(not(CONFIG_FAIL_FUNCTION))]
                true
            }
        )*
    };
}

decisions! {
    /// Whether `mmap_lock` may be tried.
    may_try_mmap => ptr_shim_may_try_mmap,
    /// Whether a VMA lock may be tried.
    may_lock_vma => ptr_shim_may_lock_vma,
    /// Whether an address space may be joined.
    may_join => ptr_shim_may_join,
    /// Whether an address space may have a slot.
    may_have_slot => ptr_shim_may_have_slot,
}

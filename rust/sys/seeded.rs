// SPDX-License-Identifier: GPL-2.0

//! Mistakes that a build for tests can make on purpose: `include/ptreclaim/seeded.h` lists them.

#[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
use super::bindings;
use super::bindings::ptr_bug;

/// Whether the module is to make this mistake; never, but in a build for tests.
#[inline(always)]
pub(crate) fn seeded(bug: ptr_bug::Type) -> bool {
    #[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
    // SAFETY: A word that is only ever read and written as a whole.
    return unsafe { core::ptr::read_volatile(&raw const bindings::ptr_seeded_bugs) } >> bug & 1
        != 0;
    #[cfg(not(CONFIG_PTRECLAIM_SEEDED_BUGS))]
    {
        let _ = bug;
        false
    }
}

/// Takes the mistakes out of the kernel again when the module goes.
#[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
pub(crate) struct Seeds;

#[cfg(CONFIG_PTRECLAIM_SEEDED_BUGS)]
impl Drop for Seeds {
    fn drop(&mut self) {
        // SAFETY: Has no requirements.
        unsafe { bindings::ptr_shim_unseed() }
    }
}

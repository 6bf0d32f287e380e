// SPDX-License-Identifier: GPL-2.0

//! What the module needs of C and the `kernel` crate does not have. Only this folder and
//! [`crate::pgtable`] contain `unsafe`.

pub(crate) mod counters;
pub(crate) mod device;
pub(crate) mod events;
pub(crate) mod forced;
pub(crate) mod hook;
pub(crate) mod mm;
pub(crate) mod once;
pub(crate) mod pressure;
pub(crate) mod seeded;
#[cfg(CONFIG_PTRECLAIM_KUNIT_TEST)]
pub(crate) mod testing;
pub(crate) mod time;
pub(crate) mod work;

/// Generated from `include/ptreclaim/shim.h`.
#[allow(
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
pub(crate) mod bindings {
    include!(env!("PTRECLAIM_BINDINGS"));
}

// SPDX-License-Identifier: GPL-2.0

//! The background scanner's work and its parameters: `helpers/work.c`.

use super::bindings;
use crate::scan::{
    hints,
    scanner, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// The workqueue of the scanner.
pub(crate) struct Work(());

impl Work {
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn start() -> Result<Self> {
        // SAFETY: May sleep here; called once.
        to_result(unsafe { bindings::ptr_shim_work_start() })?;
        Ok(Self(()))
    }
}

impl Drop for Work {
    /// Waits until the scanner is through.
    fn drop(&mut self) {
        // SAFETY: It was started, and no hint comes any more: the hook goes first.
        unsafe { bindings::ptr_shim_work_stop() }
    }
}

/// Has the scanner run an interval from now, unless it will before. Any context.
#[inline]
pub(crate) fn arm() {
    // SAFETY: Any context.
    unsafe { bindings::ptr_shim_work_arm() }
}

/// Called by `helpers/work.c`; may sleep. Whether it is to be called again.
#[no_mangle]
extern "C" fn ptreclaim_scan() -> bool {
    scanner::run()
}

/// Called by `helpers/work.c` while the scanner is off; may sleep. Whether it is to be called again.
#[no_mangle]
extern "C" fn ptreclaim_forget_dead() -> bool {
    hints::forget_dead()
}

/// How the scanner is set up at the moment.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// `scan_age_ms`, in jiffies.
    pub(crate) age: u64,
    /// `scan_budget_us`.
    pub(crate) budget_us: i64,
    /// `zero_pages`.
    pub(crate) zero_pages: bool,
}

impl Settings {
    /// As they are now.
    pub(crate) fn now() -> Self {
        // SAFETY: They read parameters.
        unsafe {
            Self {
                age: bindings::ptr_shim_scan_age() as u64,
                budget_us: i64::from(bindings::ptr_shim_scan_budget_us()),
                zero_pages: bindings::ptr_shim_scan_zero_pages(),
            }
        }
    }
}

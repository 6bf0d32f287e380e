// SPDX-License-Identifier: GPL-2.0

//! Numbers that the guest's code adds to, or looks at, without calling anybody.

use qemu_plugin::api::*;
use std::ffi::c_uint;

/// Blocks are for all CPUs, and with one thread for all of them QEMU 10 does not know which of them
/// executes one: the index that it uses and gives to callbacks is that of the CPU for which it has
/// translated the block, and it is multiplied by the size of a scoreboard's elements in place,
/// again with each use. So the elements have one byte, which leaves it as it is, and the numbers
/// lie over each other. Only one of them is used at a time: what the instructions of a block
/// add is read by the index of the block's callback, and is set to zero before the next.
#[derive(Clone, Copy)]
pub struct Score(pub PerCpu);

// SAFETY: QEMU's scoreboards are for all threads.
unsafe impl Sync for Score {}
// SAFETY: So are they.
unsafe impl Send for Score {}

/// With elements of one byte there is room for a number of eight in sixteen, as many as QEMU has at
/// least.
pub const MOST_CPUS: usize = 8;

impl Score {
    pub fn new() -> Self {
        // SAFETY: For the life of the process.
        let score = unsafe { qemu_plugin_scoreboard_new(1) };
        Self(PerCpu { score, offset: 0 })
    }

    pub fn get(self, index: c_uint) -> u64 {
        // SAFETY: A scoreboard of ours, and an index of QEMU's.
        unsafe { qemu_plugin_u64_get(self.0, index) }
    }

    pub fn set(self, index: c_uint, value: u64) {
        // SAFETY: As above.
        unsafe { qemu_plugin_u64_set(self.0, index, value) }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The guest's RAM where QEMU has it in its own memory. A walk by QEMU's own reading of the guest
//! would cost a walk for each level; five loads cost nothing beside the access they check.
//!
//! Where it is, QEMU says of each instruction it translates. Of a machine that has more memory
//! than fits below the hole for devices (q35: 2.75 GiB), the rest begins at 4 GiB.

use crate::walk::Memory;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub const FOUR_GIB: u64 = 1 << 32;
const FITS: u64 = 0xb000_0000;
const LOW: u64 = 0x8000_0000;

/// Where QEMU has it: zeroes as long as that is not known.
#[derive(Default)]
pub struct Ram {
    start: AtomicU64,
    end: AtomicU64,
    /// How much of it is below the hole.
    low: AtomicU64,
}

impl Ram {
    /// Learns from an address of which both are known.
    pub fn learn(&self, host: u64, phys: u64) {
        let start = host - phys;
        let Some(end) = end_of_mapping(host) else {
            return;
        };
        let size = end - start;
        self.low
            .store(if size > FITS { LOW } else { size }, Relaxed);
        self.end.store(end, Relaxed);
        self.start.store(start, Relaxed);
    }

    pub fn known(&self) -> bool {
        self.start.load(Relaxed) != 0
    }

    pub fn has_high(&self) -> bool {
        self.start.load(Relaxed) + self.low.load(Relaxed) < self.end.load(Relaxed)
    }
}

impl Memory for Ram {
    #[inline]
    fn read(&self, phys: u64) -> Option<u64> {
        let low = self.low.load(Relaxed);
        let offset = match phys {
            _ if phys < low => phys,
            FOUR_GIB.. => phys - FOUR_GIB + low,
            _ => return None,
        };
        let host = self.start.load(Relaxed) + offset;
        if host >= self.end.load(Relaxed) {
            return None;
        }
        // SAFETY: Inside of QEMU's mapping of the guest's RAM, which stays; the address is a
        // multiple of eight. The guest writes to it meanwhile, so it is read as an atomic.
        Some(unsafe { &*(host as *const AtomicU64) }.load(Relaxed))
    }
}

/// Of the mapping of this process that has the address.
fn end_of_mapping(addr: u64) -> Option<u64> {
    std::fs::read_to_string("/proc/self/maps")
        .ok()?
        .lines()
        .filter_map(|line| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            Some((hex(start)?, hex(end)?))
        })
        .find(|&(start, end)| (start..end).contains(&addr))
        .map(|(_, end)| end)
}

// SPDX-License-Identifier: GPL-2.0

//! Frames: how often each was freed, and which were page tables given to RCU.

use crate::{
    grace::{Quiet, all_quiet},
    judge::Frames,
};
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

/// 64 GiB of them; the rest is not looked at. Never touched, they cost nothing.
const FRAMES: usize = 1 << 24;
/// The lowest bit: unlinked, and not yet freed. The others count.
const UNLINKED: u32 = 1;

pub struct Tables {
    frames: Box<[AtomicU32]>,
    unlinked: Mutex<HashMap<u64, Quiet>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self::of(FRAMES)
    }
}

impl Tables {
    pub fn of(frames: usize) -> Self {
        // Zero is what the allocator has anyway: no page is touched.
        let zeroes: Box<[u32]> = vec![0; frames].into();
        let raw = Box::into_raw(zeroes) as *mut [AtomicU32];
        Self {
            // SAFETY: AtomicU32 has the layout of u32 (its documentation says so).
            frames: unsafe { Box::from_raw(raw) },
            unlinked: Mutex::default(),
        }
    }

    /// A table goes to RCU; `quiet` is how often each CPU has been quiet.
    pub fn unlink(&self, frame: u64, quiet: Quiet) {
        if let Some(state) = self.frames.get(frame as usize) {
            self.unlinked.lock().unwrap().insert(frame, quiet);
            state.fetch_or(UNLINKED, SeqCst);
        }
    }

    /// Frames are freed; returns one that was unlinked and not every CPU was quiet since.
    pub fn free(&self, first: u64, order: u32, quiet: impl Fn() -> Quiet) -> Option<u64> {
        let mut early = None;
        for frame in first..first + (1 << order) {
            let Some(state) = self.frames.get(frame as usize) else {
                continue;
            };
            if state.fetch_add(2, SeqCst) & UNLINKED != 0 {
                state.fetch_and(!UNLINKED, SeqCst);
                let then = self.unlinked.lock().unwrap().remove(&frame);
                if then.is_some_and(|then| !all_quiet(&then, &quiet(), None)) {
                    early = Some(frame);
                }
            }
        }
        early
    }

    /// Those whose grace period has not ended.
    pub fn waiting(&self) -> usize {
        self.unlinked.lock().unwrap().len()
    }
}

impl Frames for Tables {
    #[inline]
    fn freed(&self, frame: u64) -> u32 {
        self.frames
            .get(frame as usize)
            .map_or(0, |state| state.load(SeqCst) >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grace::IDLE;

    #[test]
    fn counts_frees_of_all_of_a_block() {
        let tables = Tables::of(16);
        assert_eq!(tables.free(4, 2, || [].into()), None);
        assert_eq!(
            (3..9).map(|n| tables.freed(n)).collect::<Vec<_>>(),
            [0, 1, 1, 1, 1, 0]
        );
        tables.free(5, 0, || [].into());
        assert_eq!(tables.freed(5), 2);
        // Beyond the end is nothing.
        tables.free(15, 2, || [].into());
        assert_eq!(tables.freed(17), 0);
    }

    #[test]
    fn a_table_freed_before_all_were_quiet() {
        let tables = Tables::of(16);
        tables.unlink(3, [1, 5].into());
        assert_eq!(tables.waiting(), 1);
        assert_eq!(tables.freed(3), 0);
        assert_eq!(tables.free(3, 0, || [2, 5].into()), Some(3));
        assert_eq!((tables.waiting(), tables.freed(3)), (0, 1));
        // Then it is a frame like others.
        assert_eq!(tables.free(3, 0, || [2, 5].into()), None);
    }

    #[test]
    fn a_table_freed_by_rcu() {
        let tables = Tables::of(16);
        tables.unlink(3, [1, 5].into());
        assert_eq!(tables.free(3, 0, || [2, 6].into()), None);
        tables.unlink(3, [1, IDLE].into());
        assert_eq!(tables.free(2, 1, || [2, IDLE].into()), None);
    }
}

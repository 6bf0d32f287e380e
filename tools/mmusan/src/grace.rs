// SPDX-License-Identifier: GPL-2.0

//! When a flush that was still to come must be over: a grace period of TLBs.
//!
//! The kernel may clear an entry first and flush later; in between, a use of the old translation is
//! legal. How long? Either the page table lock is held from the one to the other; then the CPU that
//! holds it can neither switch to another task, nor idle, nor run a program. Or the kernel is
//! inside a *window*, a stretch of code that is known to flush at its end (an mmu_gather, a batch
//! of reclaim), which may sleep. A use that is stale now must not be seen again when
//!
//! 1. every other CPU has been outside of the kernel, in another task, or idle, and then
//! 2. every window that was open at that time has been closed.
//!
//! Windows opened later cannot excuse it. In this order, because a window may open between the
//! clearing of the entry and the release of the lock.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// In place of a count, of a CPU that idles.
pub const IDLE: u64 = u64::MAX;

/// How often each CPU has been where it holds no page table lock; those that idle are [`IDLE`].
pub type Quiet = Box<[u64]>;

/// Whether each CPU, but `except`, has been quiet since `then`.
pub fn all_quiet(then: &[u64], now: &[u64], except: Option<usize>) -> bool {
    then.iter()
        .zip(now)
        .enumerate()
        .all(|(cpu, (&then, &now))| {
            Some(cpu) == except || then == IDLE || now == IDLE || now != then
        })
}

/// What is inside of windows.
pub struct Windows<Key> {
    open: Mutex<HashMap<Key, u64>>,
    next: AtomicU64,
    oldest: AtomicU64,
}

impl<Key: Eq + Hash> Default for Windows<Key> {
    fn default() -> Self {
        Self {
            open: Mutex::new(HashMap::new()),
            next: AtomicU64::new(1),
            oldest: AtomicU64::new(u64::MAX),
        }
    }
}

impl<Key: Eq + Hash> Windows<Key> {
    pub fn open(&self, key: Key) {
        let mut open = self.open.lock().unwrap();
        let number = self.next.fetch_add(1, SeqCst);
        open.entry(key).or_insert(number);
        self.renew(&open);
    }

    /// False if it was not open.
    pub fn close(&self, key: &Key) -> bool {
        let mut open = self.open.lock().unwrap();
        let was = open.remove(key).is_some();
        self.renew(&open);
        was
    }

    fn renew(&self, open: &HashMap<Key, u64>) {
        self.oldest
            .store(open.values().copied().min().unwrap_or(u64::MAX), SeqCst);
    }

    pub fn count(&self) -> usize {
        self.open.lock().unwrap().len()
    }
}

/// A grace period under way.
#[derive(Debug)]
pub enum Grace {
    Quiet(Quiet),
    Windows(u64),
    Over,
}

impl Grace {
    pub fn begin(now: Quiet) -> Self {
        Grace::Quiet(now)
    }

    /// Whether it is over. `cpu` asks, which runs a program just now.
    pub fn over<Key: Eq + Hash>(
        &mut self,
        windows: &Windows<Key>,
        now: impl FnOnce() -> Quiet,
        cpu: usize,
    ) -> bool {
        if let Grace::Quiet(then) = self {
            if !all_quiet(then, &now(), Some(cpu)) {
                return false;
            }
            *self = Grace::Windows(windows.next.load(SeqCst));
        }
        if let Grace::Windows(before) = self {
            if windows.oldest.load(SeqCst) < *before {
                return false;
            }
            *self = Grace::Over;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(counts: &[u64]) -> Quiet {
        counts.into()
    }

    #[test]
    fn each_other_cpu_must_have_been_quiet() {
        let windows = Windows::<u64>::default();
        let mut grace = Grace::begin(quiet(&[5, 7, 9]));
        assert!(!grace.over(&windows, || quiet(&[5, 7, 10]), 0));
        assert!(!grace.over(&windows, || quiet(&[5, 8, 9]), 0));
        assert!(grace.over(&windows, || quiet(&[5, 8, 10]), 0));
    }

    #[test]
    fn who_idles_is_quiet() {
        let windows = Windows::<u64>::default();
        assert!(Grace::begin(quiet(&[0, IDLE])).over(&windows, || quiet(&[0, 3]), 0));
        assert!(Grace::begin(quiet(&[0, 3])).over(&windows, || quiet(&[0, IDLE]), 0));
        assert!(!Grace::begin(quiet(&[0, 3])).over(&windows, || quiet(&[0, 3]), 0));
    }

    #[test]
    fn a_window_that_was_open_must_be_closed() {
        let windows = Windows::default();
        windows.open("gather");
        let mut grace = Grace::begin(quiet(&[0, 1]));
        assert!(!grace.over(&windows, || quiet(&[0, 2]), 0));
        // One that opens later is no excuse.
        windows.open("another");
        assert!(windows.close(&"gather"));
        assert!(grace.over(&windows, || quiet(&[0, 2]), 0));
        assert_eq!(windows.count(), 1);
    }

    #[test]
    fn a_window_opened_under_the_lock_counts() {
        let windows = Windows::default();
        // The entry is cleared and seen stale, then the window opens, then the lock is released.
        let mut grace = Grace::begin(quiet(&[0, 1]));
        assert!(!grace.over(&windows, || quiet(&[0, 1]), 0));
        windows.open("batch");
        assert!(!grace.over(&windows, || quiet(&[0, 2]), 0));
        windows.close(&"batch");
        assert!(grace.over(&windows, || quiet(&[0, 2]), 0));
    }

    #[test]
    fn opened_twice_is_open_since_the_first_time() {
        let windows = Windows::default();
        windows.open(1);
        let mut grace = Grace::begin(quiet(&[0]));
        windows.open(1);
        assert!(!grace.over(&windows, || quiet(&[0]), 0));
        assert!(windows.close(&1));
        assert!(!windows.close(&1));
        assert!(grace.over(&windows, || quiet(&[0]), 0));
    }
}

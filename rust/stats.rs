// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/ptreclaim/`: `counters`, one line per outcome, its name and its number;
//! `processes`, what the background has made of each; and `scan_latency`, how long scans took.

use crate::{
    outcome::Outcome,
    scan::{
        hints,
        ledger,
        patience::Patience, //
    },
};
use kernel::{
    debugfs::{
        Dir,
        File,
        Writer, //
    },
    fmt,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Classes of latency: below 1 µs, 2 µs, 4 µs and so on; the last one has all above.
const CLASSES: usize = 24;

static LATENCY: [Atomic<u64>; CLASSES] = [const { Atomic::new(0) }; CLASSES];

/// A scan of one address space, or of as much of it as the budget allowed, took so many nanoseconds.
pub(crate) fn scan_took(ns: u64) {
    let class = (u64::BITS - (ns / 1000).leading_zeros()) as usize;
    if let Some(count) = LATENCY.get(class.min(CLASSES - 1)) {
        count.fetch_add(1u64, Relaxed);
    }
}

/// All counters, as they are when the file is read.
struct Counters;

impl Writer for Counters {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in Outcome::ALL {
            f.write_fmt(fmt!("{} {}\n", outcome.name(), outcome.counted()))?;
        }
        Ok(())
    }
}

/// A line for each address space that was scanned; also of those that have gone, until others take
/// their place.
struct Processes;

impl Writer for Processes {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{}\n", ledger::COLUMNS))?;
        for slot in hints::slots() {
            if slot.ledger.write(f)? {
                let patience = Patience::from_word(slot.patience.load(Relaxed)).age(1);
                f.write_fmt(fmt!(" {} {}\n", slot.waiting.load(Relaxed), patience))?;
            }
        }
        Ok(())
    }
}

/// Upper bounds in microseconds, and how many scans were below; classes without any are left out.
struct Latency;

impl Writer for Latency {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (class, count) in LATENCY.iter().enumerate() {
            let count = count.load(Relaxed);
            match class {
                _ if count == 0 => {}
                _ if class == CLASSES - 1 => f.write_fmt(fmt!("more {}\n", count))?,
                _ => f.write_fmt(fmt!("{} {}\n", 1u64 << class, count))?,
            }
        }
        Ok(())
    }
}

/// The files in debugfs; they go when this is dropped.
pub(crate) struct Files {
    _counters: Pin<KBox<File<Counters>>>,
    _latency: Pin<KBox<File<Latency>>>,
    _processes: Pin<KBox<File<Processes>>>,
    _dir: Dir,
}

impl Files {
    /// Creates them. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. A kernel without debugfs is none.
    pub(crate) fn new() -> Result<Self> {
        let dir = Dir::new(c"ptreclaim");
        let counters = KBox::pin_init(dir.read_only_file(c"counters", Counters), GFP_KERNEL)?;
        let latency = KBox::pin_init(dir.read_only_file(c"scan_latency", Latency), GFP_KERNEL)?;
        let processes = KBox::pin_init(dir.read_only_file(c"processes", Processes), GFP_KERNEL)?;
        Ok(Self {
            _counters: counters,
            _latency: latency,
            _processes: processes,
            _dir: dir,
        })
    }
}

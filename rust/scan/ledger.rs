// SPDX-License-Identifier: GPL-2.0

//! What the background has made of one address space: a line of `processes` in debugfs.

use super::found::Found;
use crate::sys::{
    mm,
    once::{
        read_once,
        write_once, //
    },
};
use kernel::{
    fmt,
    mm::Mm,
    prelude::*,
    sync::atomic::Atomic, //
};

/// The names of the columns.
pub(crate) const COLUMNS: &str = "pid looked freed freed_zero refaulted waiting patience";

/// Numbers of tables, since the address space was met. Only the scanner writes.
pub(crate) struct Ledger {
    pid: Atomic<i32>,
    looked: Atomic<u64>,
    freed: Atomic<u64>,
    freed_zero: Atomic<u64>,
    back: Atomic<u64>,
}

impl Ledger {
    /// One without an entry.
    pub(crate) const fn new() -> Self {
        Self {
            pid: Atomic::new(0),
            looked: Atomic::new(0),
            freed: Atomic::new(0),
            freed_zero: Atomic::new(0),
            back: Atomic::new(0),
        }
    }

    fn columns(&self) -> [&Atomic<u64>; 4] {
        [&self.looked, &self.freed, &self.freed_zero, &self.back]
    }

    /// Begins anew.
    pub(crate) fn clear(&self) {
        write_once(&self.pid, 0);
        self.columns().into_iter().for_each(|n| write_once(n, 0));
    }

    /// Adds what a scan of `mm` has found.
    pub(crate) fn add(&self, mm: &Mm, found: &Found) {
        write_once(&self.pid, mm::pid(mm));
        let new = [found.looked, found.freed, found.freed_zero, found.back];
        for (sum, new) in self.columns().into_iter().zip(new) {
            write_once(sum, read_once(sum).wrapping_add(new));
        }
    }

    /// Writes the first columns of the line; none, and false, if there was no scan yet.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>) -> Result<bool, fmt::Error> {
        let pid = read_once(&self.pid);
        if pid == 0 {
            return Ok(false);
        }
        f.write_fmt(fmt!("{}", pid))?;
        for n in self.columns() {
            f.write_fmt(fmt!(" {}", read_once(n)))?;
        }
        Ok(true)
    }
}

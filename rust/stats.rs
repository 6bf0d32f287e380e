// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/ptreclaim/counters`: one line per outcome, its name and its number.

use crate::outcome::Outcome;
use kernel::{
    debugfs::{
        Dir,
        File,
        Writer, //
    },
    fmt,
    prelude::*, //
};

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

/// The files in debugfs; they go when this is dropped.
pub(crate) struct Files {
    _counters: Pin<KBox<File<Counters>>>,
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
        Ok(Self {
            _counters: counters,
            _dir: dir,
        })
    }
}

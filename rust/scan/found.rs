// SPDX-License-Identifier: GPL-2.0

//! What a sweep finds, in numbers.

use crate::outcome::Outcome;

/// How many classes of fullness there are: `PTRECLAIM_FULLNESS_MAX`.
pub(crate) const FULLNESS: usize = 8;

/// What came of a sweep: numbers of tables.
#[derive(Default)]
pub(crate) struct Found {
    /// Looked at.
    pub(crate) looked: u64,
    /// Seen empty.
    pub(crate) empty: u64,
    /// Seen with nothing but zero pages.
    pub(crate) zero_only: u64,
    /// Freed, and those of them that had zero pages.
    pub(crate) freed: u64,
    pub(crate) freed_zero: u64,
    /// Empty, and worth another look later.
    pub(crate) waiting: u64,
    /// Come back since they were freed.
    pub(crate) back: u64,
    /// By [`FULLNESS`] class.
    pub(crate) fullness: [u64; FULLNESS],
    kept: [u64; Outcome::ALL.len()],
}

impl Found {
    /// One more table was looked at.
    #[inline]
    pub(crate) fn look(&mut self) {
        self.looked = self.looked.wrapping_add(1);
    }

    /// One more maps a page.
    #[inline]
    pub(crate) fn keep_live(&mut self) {
        let present = &mut self.kept[Outcome::Present as usize];
        *present = present.wrapping_add(1);
    }

    /// One more, kept for this reason.
    pub(crate) fn keep(&mut self, why: Outcome) {
        if let Some(kept) = self.kept.get_mut(why as usize) {
            *kept += 1;
        }
        if matches!(why, Outcome::Young | Outcome::Busy) {
            self.waiting += 1;
        }
    }

    /// How many were kept for this reason.
    pub(crate) fn kept(&self, why: Outcome) -> u64 {
        self.kept.get(why as usize).copied().unwrap_or(0)
    }

    /// Adds all of it to the counters.
    pub(crate) fn count(&self) {
        for (what, n) in [
            (Outcome::Looked, self.looked),
            (Outcome::ScanFreed, self.freed - self.freed_zero),
            (Outcome::ScanFreedZero, self.freed_zero),
            (Outcome::Refaulted, self.back),
        ] {
            what.count_many(n);
        }
        // What a live table holds is counted for zaps only.
        for why in Outcome::ALL.iter().skip(Outcome::Young as usize) {
            why.count_many(self.kept(*why));
        }
    }
}

/// The class of a table with so many entries in use.
pub(crate) fn fullness(used: usize) -> usize {
    match used {
        0 => 0,
        1 => 1,
        2..=7 => 2,
        8..=63 => 3,
        64..=255 => 4,
        256..=510 => 5,
        511 => 6,
        _ => 7,
    }
}

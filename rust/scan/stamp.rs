// SPDX-License-Identifier: GPL-2.0

//! Since when a table has been empty, in one word that belongs to the table. Pure: `tests/host`
//! compiles this file too.
//!
//! The word is garbage when the table is new, and may be left over from an earlier use of its page.
//! The worst that follows is that a table is freed at the first look.

/// When a table was first seen empty, by which round, and that it was we who wrote this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(u64);

/// Sets our words apart from garbage, together with the address space.
const MARK: u64 = 0x7ab1;

impl Stamp {
    /// From a stored word.
    pub(crate) fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word to store.
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// The stamp of a table of `mm` that is seen empty in this round, and for how long it has been.
    /// `now` in jiffies. It counts from now on if the round before did not see it empty.
    pub(crate) fn seen(self, mm: u64, round: u16, now: u64) -> (Self, u64) {
        let tag = (mm ^ mm >> 16) & 0xffff ^ MARK;
        let before = (self.0 >> 32) as u16;
        let known = self.0 >> 48 == tag && (before == round || before == round.wrapping_sub(1));
        let first = if known { self.0 as u32 } else { now as u32 };
        let stamp = tag << 48 | u64::from(round) << 32 | u64::from(first);
        (Self(stamp), u64::from((now as u32).wrapping_sub(first)))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A set of the tables under one PMD table, without an allocation. Pure: `tests/host` compiles this
//! file too.

use core::{
    iter::successors,
    ops::Range, //
};

const WORDS: usize = 8;

/// Some of 512 indices.
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    /// None of them.
    pub(crate) fn new() -> Self {
        Self([0; WORDS])
    }

    /// Adds `index`, if there is such a one.
    pub(crate) fn set(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// The first one from `from` on.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        for (nth, word) in self.0.iter().enumerate().skip(from / 64) {
            if word & mask != 0 {
                return Some(nth * 64 + (word & mask).trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    /// Those in `range`, in order.
    pub(crate) fn within(&self, range: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let first = self.next(range.start);
        successors(first, |index| self.next(index + 1)).take_while(move |index| *index < range.end)
    }

    /// The first `most` of them from `from` on: from the first one to the last one.
    pub(crate) fn span(&self, from: usize, most: usize) -> Option<Range<usize>> {
        let first = self.next(from)?;
        let mut last = first;
        for _ in 1..most {
            let Some(next) = self.next(last + 1) else {
                break;
            };
            last = next;
        }
        Some(first..last + 1)
    }

    /// The first `most` of them from `from` on that follow each other without a gap.
    pub(crate) fn run(&self, from: usize, most: usize) -> Option<Range<usize>> {
        let first = self.next(from)?;
        let mut end = first + 1;
        while end - first < most && self.next(end) == Some(end) {
            end += 1;
        }
        Some(first..end)
    }

    /// How many.
    pub(crate) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What is remembered of a table, in one word, and what follows from it at the next zap. Pure:
//! `tests/host` compiles this file too.
//!
//! Two things are worth remembering. *When it was freed*: freeing a table that is filled again at
//! once costs more than it gives, so within an interval it is left, and within one twice as long
//! each time that it has come back soon. And *one slot that was occupied* (a witness): if it still
//! is, the other 511 need no look.
//!
//! The word is a hint. Its tag may belong to another table, and what it says may be outdated; the
//! worst that follows is that an empty table stays until its next zap.

/// Identifies a table: its address space and its 2 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

/// log2 of the number of words kept.
pub(crate) const MEMORY_BITS: u32 = 12;

impl Key {
    /// The table at `addr` of the address space identified by `mm`, a number that counts up.
    #[inline]
    pub(crate) fn new(mm: u64, addr: usize) -> Self {
        // Side by side, up to 57 bits of address: the highest come out lowest.
        let table = (addr as u64 >> 21).rotate_left(40);
        // Fibonacci hashing: the high bits are well mixed.
        Self((mm << 12 ^ table).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Which of the `1 << MEMORY_BITS` words is for this table.
    #[inline]
    pub(crate) fn index(self) -> usize {
        (self.0 >> (64 - MEMORY_BITS)) as usize
    }

    #[inline]
    fn tag(self) -> u64 {
        (self.0 >> (64 - MEMORY_BITS - TAG_BITS)) & ((1 << TAG_BITS) - 1)
    }
}

const TAG_BITS: u32 = 26;
const SLOT_SHIFT: u32 = TAG_BITS;
const HAS_SLOT: u64 = 1 << (SLOT_SHIFT + 9);
const TIME_SHIFT: u32 = SLOT_SHIFT + 10;
const TIME_BITS: u32 = 23;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const WAS_FREED: u64 = 1 << (TIME_SHIFT + TIME_BITS);
const BY_SCAN: u64 = WAS_FREED << 1;
const LEVEL_SHIFT: u32 = TIME_SHIFT + TIME_BITS + 2;
const LEVEL_MASK: u64 = (1 << (64 - LEVEL_SHIFT)) - 1;
/// log2 of the longest interval, in intervals.
const MAX_LEVEL: u64 = 4;
/// A table that is emptied again within four times as long as it was left has come back soon.
const SOON: u64 = 2;

/// The memory of one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Memory(u64);

/// What the memory of a table suggests for a zap now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Advice {
    /// Nothing is known: look at the whole table.
    Look,
    /// Look at this slot first: it was occupied.
    LookAt(usize),
    /// It was freed within the interval and is here again: leave it.
    Leave,
}

impl Memory {
    /// From a stored word; zero is an empty one.
    #[inline]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word to store.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    #[inline]
    fn is_of(self, key: Key) -> bool {
        self.0 & ((1 << TAG_BITS) - 1) == key.tag()
    }

    /// How long ago it was freed. Wraps with the stored bits, like jiffies does.
    #[inline]
    fn age(self, now: u64) -> u64 {
        now.wrapping_sub(self.0 >> TIME_SHIFT) & TIME_MASK
    }

    /// log2 of how many intervals the table is left.
    #[inline]
    fn level(self) -> u64 {
        self.0 >> LEVEL_SHIFT & LEVEL_MASK
    }

    /// The slot of the table `key` that was occupied.
    #[inline]
    pub(crate) fn witness(self, key: Key) -> Option<usize> {
        let known = self.is_of(key) && self.0 & HAS_SLOT != 0;
        known.then_some((self.0 >> SLOT_SHIFT) as usize & 511)
    }

    /// Whether the table `key` is to be left at `now`, if tables freed less than `interval` ago are.
    /// Both in jiffies.
    #[inline]
    pub(crate) fn is_left(self, key: Key, now: u64, interval: u64) -> bool {
        self.is_of(key) && self.0 & WAS_FREED != 0 && self.age(now) < interval << self.level()
    }

    /// What to do with the table `key` at `now`: see [`is_left`](Self::is_left).
    #[inline]
    pub(crate) fn advice(self, key: Key, now: u64, interval: u64) -> Advice {
        if self.is_left(key, now, interval) {
            return Advice::Leave;
        }
        self.witness(key).map_or(Advice::Look, Advice::LookAt)
    }

    fn freed_at(key: Key, now: u64, level: u64) -> Self {
        Self(key.tag() | (now & TIME_MASK) << TIME_SHIFT | WAS_FREED | level << LEVEL_SHIFT)
    }

    /// The table `key` was freed at `now`. In jiffies, as `interval`, by which it was not to be left.
    #[inline]
    pub(crate) fn freed(self, key: Key, now: u64, interval: u64) -> Self {
        let came_back = self.is_of(key)
            && self.0 & WAS_FREED != 0
            && self.age(now) < interval << (self.level() + SOON);
        let level = if came_back {
            (self.level() + 1).min(MAX_LEVEL)
        } else {
            0
        };
        Self::freed_at(key, now, level)
    }

    /// The table `key` was freed at `now` by a scan, which has a patience of its own.
    pub(crate) fn freed_by_scan(self, key: Key, now: u64) -> Self {
        let level = if self.is_of(key) { self.level() } else { 0 };
        Self(Self::freed_at(key, now, level).0 | BY_SCAN)
    }

    /// Whether a scan freed the table `key` less than `window` ago. In jiffies.
    pub(crate) fn is_back(self, key: Key, now: u64, window: u64) -> bool {
        self.is_of(key) && self.0 & BY_SCAN != 0 && self.age(now) < window
    }

    /// The same, but not freed by a scan any more: each return counts once.
    pub(crate) fn counted(self) -> Self {
        Self(self.0 & !BY_SCAN)
    }

    /// The slot `index` of the table `key` is occupied. Keeps when it was freed.
    #[inline]
    pub(crate) fn occupied(self, key: Key, index: usize) -> Self {
        let kept = if self.is_of(key) {
            self.0 & (LEVEL_MASK << LEVEL_SHIFT | BY_SCAN | WAS_FREED | TIME_MASK << TIME_SHIFT)
        } else {
            0
        };
        Self(key.tag() | kept | (index as u64 & 511) << SLOT_SHIFT | HAS_SLOT)
    }
}

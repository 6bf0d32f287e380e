// SPDX-License-Identifier: GPL-2.0

//! How long a table must have been empty before it is freed, by what earlier frees were worth.
//! Pure: `tests/host` compiles this file too.
//!
//! A table that comes back soon after it was freed cost two allocations for nothing. Each time that
//! a fourth of what was freed comes back, the address space is given twice the time, up to 64 times
//! the age asked for; when sixteen times as long passes without, half of it again.

/// What is known of one address space. All times in jiffies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    /// log2 of how often the age asked for.
    level: u32,
    /// Tables freed since the level changed the last time.
    freed: u32,
    /// When that was, or when the last table was freed.
    since: u32,
}

const MAX_LEVEL: u32 = 6;
/// How many times its age a table counts as freed a moment ago, and nothing must come back.
const WATCHED: u64 = 4;
const FORGIVEN: u64 = 16;
const FREED_BITS: u32 = 28;
const MAX_FREED: u32 = (1 << FREED_BITS) - 1;

impl Patience {
    /// From a stored word; zero is one without a past.
    pub(crate) fn from_word(word: u64) -> Self {
        Self {
            level: ((word >> 60) as u32).min(MAX_LEVEL),
            freed: (word >> 32) as u32 & MAX_FREED,
            since: word as u32,
        }
    }

    /// The word to store.
    pub(crate) fn word(self) -> u64 {
        u64::from(self.level) << 60 | u64::from(self.freed) << 32 | u64::from(self.since)
    }

    /// How long a table must have been empty, if `age` is asked for.
    pub(crate) fn age(self, age: u64) -> u64 {
        age << self.level
    }

    /// How long a table counts as freed a moment ago.
    pub(crate) fn window(self, age: u64) -> u64 {
        self.age(age).max(1) * WATCHED
    }

    /// Whether tables that come back are of interest.
    pub(crate) fn is_watching(self, now: u64, age: u64) -> bool {
        self.freed > 0 && self.elapsed(now) < self.window(age)
    }

    fn elapsed(self, now: u64) -> u64 {
        u64::from((now as u32).wrapping_sub(self.since))
    }

    /// After a look that freed so many tables, and found so many back that had been freed.
    pub(crate) fn after(self, freed: u64, back: u64, now: u64, age: u64) -> Self {
        let mut new = self;
        let stamp = now as u32;
        if back > 0 && back * 4 >= u64::from(self.freed) {
            new = Self {
                level: (self.level + 1).min(MAX_LEVEL),
                freed: 0,
                since: stamp,
            };
        } else if self.elapsed(now) >= self.age(age).max(1) * FORGIVEN {
            new = Self {
                level: self.level.saturating_sub(1),
                freed: 0,
                since: stamp,
            };
        }
        if freed > 0 {
            let sum = u64::from(new.freed) + freed;
            new.freed = u32::try_from(sum).unwrap_or(MAX_FREED).min(MAX_FREED);
            new.since = stamp;
        }
        new
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How long page table locks are held, in instructions of their CPU outside of interrupts. Who
//! holds one cannot be preempted.

use crate::names::Name;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub instructions: u64,
    /// Who took it.
    pub taken: Name,
    /// Who let go of it.
    pub released: Name,
}

struct Taking {
    lock: u64,
    rsp: u64,
    by: Name,
}

struct Held {
    lock: u64,
    by: Name,
    since: u64,
}

/// Of one CPU.
#[derive(Default)]
pub struct Holds {
    taking: Option<Taking>,
    held: Vec<Held>,
    longest: Option<Hold>,
}

/// The lock of a page table is in its struct page: the arrays of these, with tables of four and
/// of five levels, without KASLR. No other spinlock is there.
pub fn is_of_a_table(lock: u64) -> bool {
    matches!(
        lock,
        0xffff_ea00_0000_0000..=0xffff_eaff_ffff_ffff
            | 0xffd4_0000_0000_0000..=0xffd5_ffff_ffff_ffff
    )
}

impl Holds {
    /// A function that takes a lock is called, with this stack pointer.
    pub fn wants(&mut self, lock: u64, rsp: u64, by: Name) {
        if is_of_a_table(lock) {
            self.taking = Some(Taking { lock, rsp, by });
        }
    }

    /// A function that takes a lock returns. Meanwhile there may have been an interrupt with locks
    /// of its own.
    pub fn got(&mut self, rsp: u64, success: bool, now: u64) {
        let Some(taking) = self.taking.take_if(|taking| taking.rsp == rsp) else {
            return;
        };
        if success {
            self.held.push(Held {
                lock: taking.lock,
                by: taking.by,
                since: now,
            });
        }
    }

    pub fn released(&mut self, lock: u64, by: Name, now: u64) {
        let Some(n) = self.held.iter().rposition(|held| held.lock == lock) else {
            return;
        };
        let held = self.held.remove(n);
        let hold = Hold {
            instructions: now - held.since,
            taken: held.by,
            released: by,
        };
        self.longest = longer(self.longest, Some(hold));
    }

    /// What is held when a phase begins is not known.
    pub fn restart(&mut self) -> Option<Hold> {
        std::mem::take(self).longest
    }
}

/// The earlier one if both are as long.
pub fn longer(a: Option<Hold>, b: Option<Hold>) -> Option<Hold> {
    match (a, b) {
        (Some(a), Some(b)) if b.instructions > a.instructions => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTE: u64 = 0xffff_ea00_0001_0028;
    const PMD: u64 = 0xffd4_0000_0001_0028;

    fn hold(instructions: u64, taken: Name, released: Name) -> Option<Hold> {
        Some(Hold {
            instructions,
            taken,
            released,
        })
    }

    #[test]
    fn the_longest() {
        let mut holds = Holds::default();
        for (lock, from, to, by) in [(PTE, 10, 30, 1), (PTE, 40, 90, 2), (PTE, 100, 150, 3)] {
            holds.wants(lock, 0x700, by);
            holds.got(0x700, true, from);
            holds.released(lock, by + 10, to);
        }
        assert_eq!(holds.restart(), hold(50, 2, 12));
        assert_eq!(holds.restart(), None);
    }

    #[test]
    fn one_inside_of_another() {
        let mut holds = Holds::default();
        holds.wants(PMD, 0x700, 1);
        holds.got(0x700, true, 10);
        holds.wants(PTE, 0x680, 2);
        holds.got(0x680, true, 20);
        holds.released(PMD, 1, 30);
        holds.released(PTE, 2, 35);
        assert_eq!(holds.restart(), hold(20, 1, 1));
    }

    #[test]
    fn what_is_no_hold() {
        let mut holds = Holds::default();
        holds.wants(PTE, 0x700, 1);
        holds.got(0x700, false, 10); // the try failed
        holds.released(PTE, 1, 20);
        holds.wants(0xffff_8880_0000_0000, 0x700, 1);
        holds.got(0x700, true, 30);
        holds.released(0xffff_8880_0000_0000, 1, 40);
        assert_eq!(holds.restart(), None);
    }

    #[test]
    fn an_interrupt_takes_another_meanwhile() {
        let mut holds = Holds::default();
        holds.wants(PTE, 0x700, 1);
        holds.wants(0xffff_8880_0000_0000, 0x500, 9);
        holds.got(0x500, true, 10);
        holds.got(0x700, true, 15);
        holds.released(PTE, 2, 20);
        assert_eq!(holds.restart(), hold(5, 1, 2));
    }

    #[test]
    fn ties_and_nothing() {
        assert_eq!(longer(hold(5, 1, 1), hold(5, 2, 2)), hold(5, 1, 1));
        assert_eq!(longer(hold(5, 1, 1), hold(6, 2, 2)), hold(6, 2, 2));
        assert_eq!(longer(None, hold(6, 2, 2)), hold(6, 2, 2));
        assert_eq!(longer(hold(5, 1, 1), None), hold(5, 1, 1));
    }
}

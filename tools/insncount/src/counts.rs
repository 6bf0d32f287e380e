// SPDX-License-Identifier: GPL-2.0

//! What is counted of a phase: on each CPU for itself, and then of all together.

use crate::{
    context::{CLASSES, Class},
    holds::{Hold, longer},
    names::Name,
};

/// What is counted by the times it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    PageCleared,
    PageCopied,
    PageAllocated,
    Invlpg,
    Invpcid,
    Cr3,
    CallFunction,
    CallFunctionSingle,
    Reschedule,
    Callback,
    FlushRange,
    CpuFlush,
    /// A system call that began inside of an interrupt: then the interrupt's end was missed.
    Unpaired,
}

pub const EVENTS: usize = Event::ALL.len();

impl Event {
    pub const ALL: [Self; 13] = [
        Self::PageCleared,
        Self::PageCopied,
        Self::PageAllocated,
        Self::Invlpg,
        Self::Invpcid,
        Self::Cr3,
        Self::CallFunction,
        Self::CallFunctionSingle,
        Self::Reschedule,
        Self::Callback,
        Self::FlushRange,
        Self::CpuFlush,
        Self::Unpaired,
    ];
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    by_name: Vec<[u64; CLASSES]>,
    sums: [u64; CLASSES],
    events: [u64; EVENTS],
    pub longest: Option<Hold>,
}

impl Counts {
    pub fn run(&mut self, class: Class, name: Name, instructions: u64) {
        let name = name as usize;
        if self.by_name.len() <= name {
            self.by_name.resize(name + 1, [0; CLASSES]);
        }
        self.by_name[name][class as usize] += instructions;
        self.sums[class as usize] += instructions;
    }

    pub fn happened(&mut self, event: Event, times: u64) {
        self.events[event as usize] += times;
    }

    pub fn sum(&self, class: Class) -> u64 {
        self.sums[class as usize]
    }

    pub fn outside_of_interrupts(&self) -> u64 {
        let all: u64 = self.sums.iter().sum();
        all - self.sum(Class::Interrupt) - self.sum(Class::Rcu)
    }

    pub fn events(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// Functions that ran for any of these.
    pub fn names(&self, classes: &[Class]) -> impl Iterator<Item = (Name, u64)> {
        self.by_name
            .iter()
            .enumerate()
            .map(|(name, counts)| {
                let sum = classes.iter().map(|&class| counts[class as usize]).sum();
                (name as Name, sum)
            })
            .filter(|&(_, sum)| sum > 0)
    }

    pub fn add(&mut self, other: &Self) {
        if self.by_name.len() < other.by_name.len() {
            self.by_name.resize(other.by_name.len(), [0; CLASSES]);
        }
        for (to, from) in self.by_name.iter_mut().zip(&other.by_name) {
            add(to, from);
        }
        add(&mut self.sums, &other.sums);
        add(&mut self.events, &other.events);
        self.longest = longer(self.longest, other.longest);
    }
}

fn add(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_class_and_name() {
        let mut counts = Counts::default();
        counts.run(Class::Program, 3, 5);
        counts.run(Class::Program, 3, 2);
        counts.run(Class::Interrupt, 3, 11);
        counts.run(Class::Rcu, 1, 13);
        counts.run(Class::Idle, 0, 17);
        assert_eq!(counts.sum(Class::Program), 7);
        assert_eq!(counts.outside_of_interrupts(), 24);
        let names = |classes: &[Class]| counts.names(classes).collect::<Vec<_>>();
        assert_eq!(names(&[Class::Program]), [(3, 7)]);
        assert_eq!(names(&[Class::Rcu, Class::Interrupt]), [(1, 13), (3, 11)]);
        assert_eq!(names(&[Class::OtherTasks]), []);
    }

    #[test]
    fn events_have_their_places() {
        for (n, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, n);
        }
    }

    #[test]
    fn of_two_cpus() {
        let hold = |instructions| Hold {
            instructions,
            taken: 1,
            released: 1,
        };
        let (mut a, mut b) = (Counts::default(), Counts::default());
        a.run(Class::Program, 0, 1);
        a.happened(Event::Invlpg, 2);
        a.longest = Some(hold(7));
        b.run(Class::Program, 5, 10);
        b.happened(Event::Invlpg, 1);
        b.happened(Event::Unpaired, 1);
        b.longest = Some(hold(9));
        a.add(&b);
        assert_eq!(a.sum(Class::Program), 11);
        assert_eq!(
            a.names(&[Class::Program]).collect::<Vec<_>>(),
            [(0, 1), (5, 10)]
        );
        assert_eq!((a.events(Event::Invlpg), a.events(Event::Unpaired)), (3, 1));
        assert_eq!(a.longest, Some(hold(9)));
    }
}

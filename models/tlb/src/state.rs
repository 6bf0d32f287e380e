// SPDX-License-Identifier: GPL-2.0

//! One state of everything, and one step from it.

use crate::{
    cpu::Cpu,
    fault::Fault,
    memory::{Memory, Page, Who},
    mremap::Mremap,
    scan::Scan,
    walker::Walker,
    zap::Zap,
};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub memory: Memory,
    pub cpus: [Cpu; 2],
    pub zaps: [Zap; 2],
    pub scan: Scan,
    pub fault: Fault,
    pub walker: Walker,
    pub mremap: Mremap,
}

impl State {
    /// Nobody has begun, and this is mapped.
    pub fn new(page: Option<Page>) -> Self {
        Self {
            memory: Memory::new(page),
            cpus: [Cpu::default(); 2],
            zaps: [Zap::Idle; 2],
            scan: Scan::Idle,
            fault: Fault::Idle,
            walker: Walker::Idle,
            mremap: Mremap::Idle,
        }
    }

    pub fn zap(&self, who: Who) -> Zap {
        self.zaps[usize::from(who == Who::OtherZap)]
    }

    pub fn zap_mut(&mut self, who: Who) -> &mut Zap {
        &mut self.zaps[usize::from(who == Who::OtherZap)]
    }
}

/// Who makes a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Software(Who),
    Cpu(usize),
    Rcu,
}

/// A step that may be made, and what comes of it.
#[derive(Clone, PartialEq)]
pub struct Step {
    by: By,
    what: &'static str,
    pub then: State,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            By::Software(who) => write!(f, "{who:?} {}", self.what),
            By::Cpu(nth) => write!(f, "CPU {nth} {}", self.what),
            By::Rcu => write!(f, "RCU {}", self.what),
        }
    }
}

/// The steps that may be made.
pub struct Steps<'a>(pub &'a mut Vec<Step>);

impl Steps<'_> {
    /// One more, of software.
    pub fn push(
        &mut self,
        who: Who,
        what: &'static str,
        state: &State,
        change: impl FnOnce(&mut State),
    ) {
        self.push_by(By::Software(who), what, state, change);
    }

    /// One more.
    pub fn push_by(
        &mut self,
        by: By,
        what: &'static str,
        state: &State,
        change: impl FnOnce(&mut State),
    ) {
        let mut then = state.clone();
        change(&mut then);
        self.0.push(Step { by, what, then });
    }
}

// SPDX-License-Identifier: GPL-2.0

//! One CPU's counting. QEMU tells when a block begins, and counts the instructions that are executed
//! of it: a block can be left midway, by a fault, or by a device that wants to be asked alone.

use crate::{
    block::Block,
    context::Context,
    counts::{Counts, Event},
    holds::{Holds, longer},
    names::Name,
};
use qemu_plugin::decode::Repeated;

const PAGE: u64 = 4096;

#[derive(Default)]
pub struct Cpu {
    pub context: Context,
    pub holds: Holds,
    counts: Counts,
    /// The address space of the program.
    program: u64,
    block: Option<&'static Block>,
    /// How many of its instructions are counted.
    done: usize,
    /// Its first instruction was counted before: it is tried again, or repeated.
    again: bool,
    /// The last instruction, and whose it is.
    last: Option<(u64, Name)>,
    /// An interrupt or exception has just ended.
    resumed: bool,
    /// The last function before the block.
    pub before: Name,
}

impl Cpu {
    /// A phase begins, or goes on: what there is of counts stays, what ran meanwhile is none of it.
    pub fn begin(&mut self, program: u64) {
        (self.block, self.last, self.resumed) = (None, None, false);
        self.counts.longest = longer(self.counts.longest, self.holds.restart());
        self.program = program;
    }

    pub fn end(&mut self) -> Counts {
        self.begin(self.program);
        std::mem::take(&mut self.counts)
    }

    /// So many of the block's instructions are executed: for whom it has been until now.
    pub fn settle(&mut self, executed: u64) {
        let Some(block) = self.block else { return };
        let to = (executed as usize).min(block.len());
        if to <= self.done {
            return;
        }
        let from = self.done + usize::from(self.done == 0 && self.again);
        let class = self.context.class(self.program);
        for (name, instructions) in block.count(from, to) {
            self.counts.run(class, name, instructions);
        }
        self.done = to;
        self.last = Some((block.pc(to - 1), block.name(to - 1)));
    }

    /// The block before is settled.
    pub fn enters(&mut self, block: &'static Block) {
        let last = self.last.map(|(pc, _)| pc);
        self.again = last.is_some() && block.start() == last && (block.repeats || self.resumed);
        self.resumed = false;
        self.block = Some(block);
        self.done = 0;
        if let Some((_, name)) = self.last {
            self.before = name;
        }
    }

    /// Of the instruction that an interrupt comes after, or which is tried.
    pub fn last_pc(&self) -> u64 {
        self.last.map_or(0, |(pc, _)| pc)
    }

    /// An IRET to the kernel, with this stack pointer.
    pub fn iret(&mut self, rsp: u64) {
        if let Some(after) = self.context.iret(rsp) {
            let name = self.last.map_or(0, |(_, name)| name);
            self.last = Some((after, name));
            self.resumed = true;
        }
    }

    pub fn happened(&mut self, event: Event, times: u64) {
        self.counts.happened(event, times);
    }

    /// The time in which holds are told.
    pub fn now(&self) -> u64 {
        self.counts.outside_of_interrupts()
    }

    /// The instruction that is about to be executed has begun before.
    pub fn goes_on(&self) -> bool {
        self.done == 0 && self.again
    }

    /// A repeated instruction is about to be executed, all before it is settled: whole pages are counted when it begins.
    pub fn repeats(&mut self, what: Repeated, times: u64, to: u64, from: u64) {
        if self.goes_on() {
            return;
        }
        let (size, event, aligned) = match what {
            Repeated::Stos(size) => (size, Event::PageCleared, to % PAGE == 0),
            Repeated::Movs(size) => (size, Event::PageCopied, (to | from) % PAGE == 0),
            Repeated::Other => return,
        };
        let bytes = times.saturating_mul(size.into());
        if aligned && bytes % PAGE == 0 {
            self.counts.happened(event, bytes / PAGE);
        }
    }
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::context::{Class, Kind, Tasks};

const MM: u64 = 0x1000;
const TASK: u64 = 0x10;

/// A CPU that runs the program, and how much QEMU has executed of the block.
struct Machine {
    cpu: Cpu,
    executed: u64,
}

/// Instructions of one byte each.
fn block(start: u64, len: u64, name: Name) -> &'static Block {
    let insns = (start..start + len).map(|pc| (pc, name));
    Box::leak(Box::new(Block::new(insns, false)))
}

fn rep(pc: u64, name: Name) -> &'static Block {
    Box::leak(Box::new(Block::new([(pc, name)], true)))
}

impl Machine {
    fn new() -> Self {
        let mut cpu = Cpu::default();
        cpu.context.loads(MM, TASK);
        cpu.context.switch(0, TASK, &mut Tasks::new());
        cpu.begin(MM);
        Self { cpu, executed: 0 }
    }

    /// A block of which so many instructions are executed.
    fn runs(&mut self, block: &'static Block, executed: u64) {
        self.cpu.settle(self.executed);
        self.cpu.enters(block);
        self.executed = executed;
    }

    /// An interrupt or exception comes, whose first block is this.
    fn enters(&mut self, kind: Kind, rsp: u64, block: &'static Block) {
        self.runs(block, 0);
        let after = self.cpu.last_pc();
        self.cpu.context.enter(kind, rsp, after);
        self.executed = block.len() as u64;
    }

    fn iret(&mut self, rsp: u64) {
        self.cpu.settle(self.executed);
        self.cpu.iret(rsp);
    }

    fn end(&mut self) -> Counts {
        self.cpu.settle(self.executed);
        self.cpu.end()
    }
}

fn sums(counts: &Counts) -> (u64, u64) {
    (counts.sum(Class::Program), counts.sum(Class::Interrupt))
}

#[test]
fn whole_blocks() {
    let mut machine = Machine::new();
    machine.runs(block(100, 5, 1), 5);
    machine.runs(block(200, 3, 2), 3);
    machine.runs(block(100, 5, 1), 5);
    let counts = machine.end();
    assert_eq!(sums(&counts), (13, 0));
    let names: Vec<_> = counts.names(&[Class::Program]).collect();
    assert_eq!(names, [(1, 10), (2, 3)]);
    assert_eq!(machine.end(), Counts::default());
}

#[test]
fn what_ran_before_the_phase_is_not_its() {
    let mut machine = Machine::new();
    machine.runs(block(100, 5, 1), 5);
    machine.end();
    machine.cpu.settle(77);
    machine.cpu.begin(MM);
    machine.executed = 3;
    machine.runs(block(200, 3, 2), 3);
    assert_eq!(sums(&machine.end()), (3, 0));
}

#[test]
fn a_block_that_was_left_midway() {
    let mut machine = Machine::new();
    machine.runs(block(100, 5, 1), 2);
    machine.runs(block(102, 3, 1), 3);
    assert_eq!(sums(&machine.end()), (5, 0));
}

#[test]
fn a_fault_counts_once() {
    let mut machine = Machine::new();
    machine.runs(block(100, 5, 1), 3); // 102 faults
    machine.enters(Kind::Exception, 0x700, block(500, 4, 7));
    machine.iret(0x708);
    machine.runs(block(102, 3, 1), 3); // is tried again
    let counts = machine.end();
    assert_eq!(sums(&counts), (5 + 4, 0));
    let names: Vec<_> = counts.names(&[Class::Program]).collect();
    assert_eq!(names, [(1, 5), (7, 4)]);
}

#[test]
fn a_loop_of_one_block_is_no_fault() {
    let mut machine = Machine::new();
    let one = block(100, 1, 1);
    machine.runs(one, 1);
    machine.runs(one, 1);
    assert_eq!(sums(&machine.end()), (2, 0));
}

#[test]
fn an_interrupt_between_blocks() {
    let mut machine = Machine::new();
    machine.runs(block(100, 5, 1), 5);
    machine.enters(Kind::Interrupt, 0x700, block(500, 4, 7));
    machine.runs(block(600, 6, 8), 6);
    machine.iret(0x700);
    machine.runs(block(105, 2, 1), 2);
    assert_eq!(sums(&machine.end()), (7, 10));
}

#[test]
fn the_part_of_a_block_before_a_change() {
    let mut machine = Machine::new();
    machine.cpu.context.enter(Kind::Rcu, 0x700, 0);
    machine.runs(block(100, 5, 1), 2);
    machine.cpu.settle(2);
    machine.cpu.context.leave_rcu(0x700);
    machine.executed = 5;
    let counts = machine.end();
    assert_eq!((counts.sum(Class::Rcu), counts.sum(Class::Program)), (2, 3));
}

#[test]
fn a_page_is_cleared_by_one_instruction() {
    let mut machine = Machine::new();
    let clear = rep(102, 1);
    machine.runs(block(100, 2, 1), 2);
    for left in (0..=512).rev() {
        machine.runs(clear, 0);
        let to = 0x5000 - left * 8;
        machine.cpu.repeats(Repeated::Stos(8), left, to, 0);
        machine.executed = 1;
        if left == 100 {
            // In the midst of it there is an interrupt.
            machine.enters(Kind::Interrupt, 0x700, block(500, 4, 7));
            machine.iret(0x700);
        }
    }
    machine.runs(block(104, 2, 1), 2);
    let counts = machine.end();
    assert_eq!(sums(&counts), (5, 4));
    assert_eq!(counts.events(Event::PageCleared), 1);
}

#[test]
fn pages_of_one_instruction_count_once() {
    let mut machine = Machine::new();
    let clear = rep(102, 1);
    for left in (0..=1024).rev() {
        machine.runs(clear, 0);
        let to = 0x6000 - left * 8;
        machine.cpu.repeats(Repeated::Stos(8), left, to, 0);
        machine.executed = 1;
        if left == 513 {
            machine.enters(Kind::Interrupt, 0x700, block(500, 4, 7));
            machine.iret(0x700);
        }
    }
    assert_eq!(machine.end().events(Event::PageCleared), 2);
}

#[test]
fn the_same_twice_is_two() {
    let mut machine = Machine::new();
    for _ in 0..2 {
        machine.runs(block(100, 2, 1), 2);
        machine.runs(rep(102, 1), 1);
        machine.runs(rep(102, 1), 1);
    }
    assert_eq!(sums(&machine.end()), (6, 0));
}

#[test]
fn pages_and_what_is_none() {
    let mut machine = Machine::new();
    let mut repeats = |what, times, to, from| {
        machine.runs(rep(102, 1), 0);
        machine.cpu.repeats(what, times, to, from);
        machine.executed = 1;
        machine.runs(block(104, 1, 1), 1);
    };
    repeats(Repeated::Stos(1), 8192, 0x5000, 1);
    repeats(Repeated::Movs(8), 512, 0x5000, 0x9000);
    repeats(Repeated::Movs(8), 512, 0x5000, 0x9008);
    repeats(Repeated::Stos(8), 511, 0x5000, 0);
    repeats(Repeated::Stos(8), 512, 0x5008, 0);
    repeats(Repeated::Other, 4096, 0x5000, 0);
    let counts = machine.end();
    assert_eq!(counts.events(Event::PageCleared), 2);
    assert_eq!(counts.events(Event::PageCopied), 1);
}

#[test]
fn holds_leave_out_interrupts() {
    const LOCK: u64 = 0xffff_ea00_0000_0028;
    let mut machine = Machine::new();
    machine.runs(block(100, 5, 1), 5);
    machine.runs(block(200, 5, 2), 5);
    let before = machine.cpu.before;
    machine.cpu.holds.wants(LOCK, 0x700, before);
    machine.cpu.settle(machine.executed);
    machine.cpu.holds.got(0x700, true, machine.cpu.now());
    machine.runs(block(105, 5, 1), 5);
    machine.enters(Kind::Interrupt, 0x600, block(500, 40, 7));
    machine.iret(0x600);
    machine.runs(block(110, 3, 1), 3);
    machine.runs(block(300, 4, 3), 0);
    let (before, now) = (machine.cpu.before, machine.cpu.now());
    machine.cpu.holds.released(LOCK, before, now);
    let longest = machine.end().longest.unwrap();
    assert_eq!(
        (longest.instructions, longest.taken, longest.released),
        (8, 1, 1)
    );
}

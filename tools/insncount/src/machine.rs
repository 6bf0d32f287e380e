// SPDX-License-Identifier: GPL-2.0

//! All CPUs, of which one runs at a time.

use crate::{context::Tasks, counts::Counts, cpu::Cpu};

pub struct Machine {
    /// By what they are known.
    cpus: Vec<(u64, Cpu)>,
    running: usize,
    tasks: Tasks,
    /// The address space of the program of the phase.
    program: u64,
    /// QEMU's index of the block that runs.
    pub index: u32,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            cpus: vec![(0, Cpu::default())],
            running: 0,
            tasks: Tasks::new(),
            program: 0,
            index: 0,
        }
    }
}

impl Machine {
    /// The one that runs.
    pub fn cpu(&mut self) -> &mut Cpu {
        &mut self.cpus[self.running].1
    }

    /// While it boots, the kernel moves a CPU's variables: then it is another CPU from there on.
    pub fn switch_to(&mut self, key: u64) {
        if self.cpus[self.running].0 == key {
            return;
        }
        let known = self.cpus.iter().position(|&(known, _)| known == key);
        self.running = known.unwrap_or_else(|| {
            let mut cpu = Cpu::default();
            cpu.begin(self.program);
            self.cpus.push((key, cpu));
            self.cpus.len() - 1
        });
    }

    pub fn switch_task(&mut self, from: u64, to: u64) {
        let context = &mut self.cpus[self.running].1.context;
        context.switch(from, to, &mut self.tasks);
    }

    /// A phase, of the program that runs; or it goes on.
    pub fn begin(&mut self) {
        self.program = self.cpu().context.mm();
        for (_, cpu) in &mut self.cpus {
            cpu.begin(self.program);
        }
    }

    pub fn end(&mut self) -> Counts {
        let mut counts = Counts::default();
        for (_, cpu) in &mut self.cpus {
            counts.add(&cpu.end());
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::Block, context::Class};

    fn block(start: u64, len: u64) -> &'static Block {
        Box::leak(Box::new(Block::new(
            (start..start + len).map(|pc| (pc, 0)),
            false,
        )))
    }

    #[test]
    fn cpus_take_turns() {
        let mut machine = Machine::default();
        for (cpu, mm, task) in [(10, 0x1000, 1), (20, 0x2000, 2), (30, 0x1000, 3)] {
            machine.switch_to(cpu);
            machine.cpu().context.loads(mm, task);
            machine.switch_task(9, task);
        }
        machine.switch_to(10);
        machine.begin();
        for (cpu, len) in [(10, 3), (20, 5), (10, 7), (30, 11)] {
            machine.switch_to(cpu);
            machine.cpu().enters(block(0x100, len));
            machine.cpu().settle(len);
        }
        let counts = machine.end();
        assert_eq!(counts.sum(Class::Program), 3 + 7 + 11);
        assert_eq!(counts.sum(Class::OtherTasks), 5);
        assert_eq!(machine.end(), Counts::default());
    }

    #[test]
    fn a_cpu_that_comes_later() {
        let mut machine = Machine::default();
        machine.cpu().context.loads(0x1000, 1);
        machine.switch_task(9, 1);
        machine.begin();
        machine.switch_to(10);
        machine.cpu().context.loads(0x1000, 2);
        machine.switch_task(9, 2);
        machine.cpu().enters(block(0x100, 3));
        machine.cpu().settle(3);
        assert_eq!(machine.end().sum(Class::Program), 3);
    }

    #[test]
    fn a_task_goes_on_elsewhere() {
        use crate::context::Kind;
        let mut machine = Machine::default();
        machine.switch_to(10);
        machine.cpu().context.enter(Kind::Interrupt, 0x700, 0);
        machine.switch_task(1, 2);
        assert_eq!(machine.cpu().context.class(5), Class::KernelThreads);
        machine.switch_to(20);
        machine.switch_task(3, 1);
        assert_eq!(machine.cpu().context.class(5), Class::Interrupt);
    }
}

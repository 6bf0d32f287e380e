// SPDX-License-Identifier: GPL-2.0

//! What a CPU runs, and for whom: the task, and the interrupts and exceptions that it is in.

use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Tasks with the address space of whoever made the mark.
    Program,
    Interrupt,
    /// RCU's callbacks, wherever they are run.
    Rcu,
    OtherTasks,
    KernelThreads,
    Idle,
}

pub const CLASSES: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Interrupt,
    /// Is for whoever runs.
    Exception,
    Rcu,
}

/// What has begun on a task's stacks and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    kind: Kind,
    /// The stack pointer at its beginning.
    rsp: u64,
    /// The instruction that was executed last, or tried, when it came.
    after: u64,
}

/// Of tasks that do not run just now.
pub type Tasks = HashMap<u64, Away>;

#[derive(Default)]
pub struct Away {
    /// What it was preempted in.
    frames: Vec<Frame>,
    mm: u64,
}

#[derive(Default)]
pub struct Context {
    task: u64,
    /// The task's own address space, even when it has given that up, because it exits; 0 of a
    /// kernel thread.
    mm: u64,
    /// The task that halts this CPU.
    idle: u64,
    /// A task and its address space, which is loaded before a switch to it.
    loaded: Option<(u64, u64)>,
    /// So it was, for the task that runs.
    is_loaded: bool,
    frames: Vec<Frame>,
}

/// Between the beginning of an interrupt and its IRET's stack pointer there can be a number that
/// the CPU or the kernel has pushed.
const PUSHED: u64 = 16;

impl Context {
    pub fn class(&self, program: u64) -> Class {
        let inner = self.frames.iter().rev().find_map(|frame| match frame.kind {
            Kind::Interrupt => Some(Class::Interrupt),
            Kind::Rcu => Some(Class::Rcu),
            Kind::Exception => None,
        });
        inner.unwrap_or(match self.mm {
            _ if self.task == self.idle && self.task != 0 => Class::Idle,
            0 => Class::KernelThreads,
            mm if mm == program => Class::Program,
            _ => Class::OtherTasks,
        })
    }

    pub fn mm(&self) -> u64 {
        self.mm
    }

    pub fn enter(&mut self, kind: Kind, rsp: u64, after: u64) {
        self.frames.push(Frame { kind, rsp, after });
    }

    /// To the kernel, which goes on after the instruction that is returned, or tries it again;
    /// unless nothing ends: the kernel executes IRET to itself to serialize, too.
    pub fn iret(&mut self, rsp: u64) -> Option<u64> {
        let top = *self.frames.last()?;
        let ends = rsp.wrapping_sub(top.rsp) <= PUSHED && top.kind != Kind::Rcu;
        ends.then(|| self.frames.pop().map(|frame| frame.after))?
    }

    pub fn leave_rcu(&mut self, rsp: u64) {
        let ends = |top: &&Frame| top.kind == Kind::Rcu && top.rsp == rsp;
        if self.frames.last().filter(ends).is_some() {
            self.frames.pop();
        }
    }

    /// A program runs, or a task begins or ends: nothing is open. True if something was.
    pub fn clear(&mut self) -> bool {
        let open = !self.frames.is_empty();
        self.frames.clear();
        open
    }

    /// An address space is loaded: for a task that is switched to, or by the one that runs, for a
    /// moment; or, without a task, for the one that runs, whose own it then is (exec).
    pub fn loads(&mut self, mm: u64, task: u64) {
        if task == 0 {
            self.mm = mm;
        } else {
            self.loaded = Some((task, mm));
        }
    }

    /// For kernel threads, and for tasks that exit, nothing is loaded: they go on with what is there.
    pub fn switch(&mut self, from: u64, to: u64, tasks: &mut Tasks) {
        let frames = std::mem::take(&mut self.frames);
        tasks.insert(
            from,
            Away {
                frames,
                mm: self.mm,
            },
        );
        let away = tasks.remove(&to).unwrap_or_default();
        self.frames = away.frames;
        let loaded = self.loaded.take().filter(|&(task, _)| task == to);
        self.is_loaded = loaded.is_some();
        self.mm = loaded.map_or(away.mm, |(_, mm)| mm);
        self.task = to;
    }

    /// A task runs for the first time. What there was to know of it was of an earlier one.
    pub fn begins(&mut self) {
        self.clear();
        if !self.is_loaded {
            self.mm = 0;
        }
    }

    /// Only the idle task does.
    pub fn halts(&mut self) {
        self.idle = self.task;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MM: u64 = 0x1000;
    const TASK: u64 = 0x10;
    const OTHER: u64 = 0x20;
    const THREAD: u64 = 0x30;

    fn running() -> (Context, Tasks) {
        let (mut context, mut tasks) = (Context::default(), Tasks::new());
        context.loads(MM, TASK);
        context.switch(THREAD, TASK, &mut tasks);
        (context, tasks)
    }

    #[test]
    fn whose_a_task_is() {
        let (mut context, mut tasks) = running();
        assert_eq!(context.class(MM), Class::Program);
        assert_eq!(context.class(MM + 1), Class::OtherTasks);
        // A kernel thread keeps what is loaded; it is not its own.
        context.switch(TASK, THREAD, &mut tasks);
        assert_eq!(context.class(MM), Class::KernelThreads);
        // Another thread of the program.
        context.loads(MM, OTHER);
        context.switch(THREAD, OTHER, &mut tasks);
        assert_eq!(context.class(MM), Class::Program);
        // What was loaded for one is not the next one's.
        context.loads(MM, TASK);
        context.switch(OTHER, THREAD, &mut tasks);
        assert_eq!(context.class(MM), Class::KernelThreads);
    }

    #[test]
    fn who_exits_has_nothing_that_is_loaded() {
        let (mut context, mut tasks) = running();
        context.switch(TASK, THREAD, &mut tasks);
        context.switch(THREAD, TASK, &mut tasks);
        assert_eq!(context.class(MM), Class::Program);
        // Its memory is used again, for a kernel thread; and then for another program's task.
        context.switch(TASK, THREAD, &mut tasks);
        context.switch(THREAD, TASK, &mut tasks);
        context.begins();
        assert_eq!(context.class(MM), Class::KernelThreads);
        context.switch(TASK, THREAD, &mut tasks);
        context.loads(MM + 1, TASK);
        context.switch(THREAD, TASK, &mut tasks);
        context.begins();
        assert_eq!(context.class(MM), Class::OtherTasks);
    }

    #[test]
    fn exec_and_borrowed_address_spaces() {
        let (mut context, _) = running();
        context.loads(0x2000, TASK); // to patch code, for a moment
        assert_eq!(context.class(MM), Class::Program);
        context.loads(0x3000, 0);
        assert_eq!(context.class(MM), Class::OtherTasks);
        assert_eq!(
            (context.class(0x3000), context.mm()),
            (Class::Program, 0x3000)
        );
    }

    #[test]
    fn idle_is_who_halts() {
        let mut context = Context::default();
        assert_eq!(context.class(MM), Class::KernelThreads);
        let mut tasks = Tasks::new();
        context.switch(TASK, THREAD, &mut tasks);
        context.halts();
        assert_eq!(context.class(MM), Class::Idle);
        context.loads(MM, TASK);
        context.switch(THREAD, TASK, &mut tasks);
        assert_eq!(context.class(MM), Class::Program);
        context.switch(TASK, THREAD, &mut tasks);
        assert_eq!(context.class(MM), Class::Idle);
    }

    #[test]
    fn interrupts_and_exceptions_nest() {
        let (mut context, _) = running();
        context.enter(Kind::Exception, 0x800, 1);
        assert_eq!(context.class(MM), Class::Program);
        context.enter(Kind::Interrupt, 0x700, 2);
        assert_eq!(context.class(MM), Class::Interrupt);
        context.enter(Kind::Exception, 0x600, 3);
        assert_eq!(context.class(MM), Class::Interrupt);
        assert_eq!(context.iret(0x608), Some(3)); // with an error code
        assert_eq!(context.iret(0x500), None); // to itself
        assert_eq!(context.class(MM), Class::Interrupt);
        assert_eq!(context.iret(0x700), Some(2));
        assert_eq!(context.class(MM), Class::Program);
        assert_eq!(context.iret(0x800), Some(1));
        assert_eq!(context.iret(0x900), None);
    }

    #[test]
    fn callbacks_of_rcu_in_an_interrupt_and_an_interrupt_in_them() {
        let (mut context, _) = running();
        context.enter(Kind::Interrupt, 0x700, 1);
        context.enter(Kind::Rcu, 0x600, 0);
        assert_eq!(context.class(MM), Class::Rcu);
        context.enter(Kind::Interrupt, 0x500, 2);
        assert_eq!(context.class(MM), Class::Interrupt);
        context.leave_rcu(0x500);
        assert_eq!(context.iret(0x500), Some(2));
        assert_eq!(context.iret(0x600), None);
        context.leave_rcu(0x5f8);
        assert_eq!(context.class(MM), Class::Rcu);
        context.leave_rcu(0x600);
        assert_eq!(context.class(MM), Class::Interrupt);
        assert!(context.clear());
        assert_eq!(context.class(MM), Class::Program);
        assert!(!context.clear());
    }

    #[test]
    fn preempted_in_an_interrupt() {
        let (mut context, mut tasks) = running();
        context.enter(Kind::Interrupt, 0x700, 1);
        context.switch(TASK, THREAD, &mut tasks);
        assert_eq!(context.class(MM), Class::KernelThreads);
        // On another CPU, too.
        let mut second = Context::default();
        second.loads(MM, TASK);
        second.switch(OTHER, TASK, &mut tasks);
        assert_eq!(second.class(MM), Class::Interrupt);
        assert_eq!(second.iret(0x700), Some(1));
        assert_eq!(second.class(MM), Class::Program);
        assert!(!tasks.contains_key(&TASK));
    }
}

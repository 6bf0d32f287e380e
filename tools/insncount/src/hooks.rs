// SPDX-License-Identifier: GPL-2.0

//! The kernel's functions whose calls or returns matter. They are known by name and by the order
//! of their parameters in Linux 7.2.

use crate::{context::Kind, counts::Event};
use qemu_plugin::{
    decode::Insn,
    symbols::{Function, Symbols},
};
use std::collections::HashMap;

/// At a function's first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Enter(Kind),
    /// A system call: the program ran before.
    Syscall,
    /// A task's first function.
    Begins,
    /// And its last.
    Exits,
    Switch,
    LoadMm,
    Lock,
    Unlock,
    Allocate,
    Happens(Event),
}

/// At its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Rcu,
    Lock,
    TryLock,
}

/// Of each line the first that the map has: the compiler puts functions into others.
const BEGINS: [(Hook, &[&str]); 16] = [
    (Hook::Syscall, &["entry_SYSCALL_64"]),
    (Hook::Begins, &["ret_from_fork_asm"]),
    (Hook::Exits, &["do_exit"]),
    (Hook::Switch, &["__switch_to_asm"]),
    (Hook::LoadMm, &["switch_mm_irqs_off"]),
    (Hook::Enter(Kind::Rcu), RCU),
    (Hook::Lock, &["_raw_spin_lock"]),
    (Hook::Lock, &["_raw_spin_trylock"]),
    (Hook::Unlock, &["_raw_spin_unlock"]),
    (Hook::Allocate, &["__alloc_frozen_pages_noprof"]),
    (
        Hook::Happens(Event::CallFunction),
        &["asm_sysvec_call_function"],
    ),
    (
        Hook::Happens(Event::CallFunctionSingle),
        &["asm_sysvec_call_function_single"],
    ),
    (
        Hook::Happens(Event::Reschedule),
        &["asm_sysvec_reschedule_ipi"],
    ),
    (
        Hook::Happens(Event::Callback),
        &["__call_rcu_common", "call_rcu"],
    ),
    (Hook::Happens(Event::FlushRange), &["flush_tlb_mm_range"]),
    (Hook::Happens(Event::CpuFlush), &["flush_tlb_func"]),
];
const ENDS: [(End, &[&str]); 3] = [
    (End::Rcu, RCU),
    (End::Lock, &["_raw_spin_lock"]),
    (End::TryLock, &["_raw_spin_trylock"]),
];
const RCU: &[&str] = &["rcu_do_batch", "rcu_core"];
/// Where the CPU begins at an interrupt of a device: short pieces of code, one for each vector.
const STUBS: [&str; 2] = ["irq_entries_start", "spurious_entries_start"];
/// Their size is a multiple of this, and only the first instruction is at one.
const STUB: u64 = 8;

pub struct Hooks {
    begins: HashMap<u64, Vec<Hook>>,
    ends: Vec<(Function, End)>,
    stubs: Vec<Function>,
}

impl Hooks {
    pub fn new(symbols: &Symbols) -> Result<Self, String> {
        let find = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| symbols.function(name))
                .ok_or(format!("the map has no function {}", names.join(" or ")))
        };
        let mut begins = HashMap::<_, Vec<_>>::new();
        for (hook, names) in BEGINS {
            begins.entry(find(names)?.start).or_default().push(hook);
        }
        // Where the compiler has put the common part into both.
        let hurry = symbols.function("call_rcu_hurry");
        let hurry = hurry.filter(|_| symbols.function("__call_rcu_common").is_none());
        if let Some(hurry) = hurry {
            let hooks = begins.entry(hurry.start).or_default();
            hooks.push(Hook::Happens(Event::Callback));
        }
        for (name, function) in symbols.functions() {
            let kind = match name {
                _ if name.starts_with("asm_sysvec_") => Kind::Interrupt,
                _ if name.starts_with("asm_exc_") => Kind::Exception,
                _ => continue,
            };
            let hooks = begins.entry(function.start).or_default();
            hooks.push(Hook::Enter(kind));
        }
        let mut ends = Vec::new();
        for (end, names) in ENDS {
            ends.push((find(names)?, end));
        }
        let stubs = STUBS
            .iter()
            .map(|name| find(&[name]))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            begins,
            ends,
            stubs,
        })
    }

    pub fn begins(&self, pc: u64) -> impl Iterator<Item = Hook> {
        let stub = self.stubs.iter().any(|stubs| {
            let into = pc.wrapping_sub(stubs.start);
            stubs.has(pc) && into % STUB == 0
        });
        let here = self.begins.get(&pc).into_iter().flatten().copied();
        here.chain(stub.then_some(Hook::Enter(Kind::Interrupt)))
    }

    /// What ends with this instruction: it returns, or jumps to the thunk that does.
    pub fn ends(&self, insn: Insn, pc: u64) -> Option<End> {
        let &(_, end) = self.ends.iter().find(|(function, _)| {
            let leaves = match insn {
                Insn::Ret => true,
                Insn::Jump(to) => !function.has(to),
                _ => false,
            };
            leaves && function.has(pc)
        })?;
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is needed, 0x100 bytes each, and some others.
    fn map(without: &str) -> String {
        let others = [
            "asm_sysvec_apic_timer_interrupt",
            "asm_exc_page_fault",
            "call_rcu_hurry",
        ];
        BEGINS
            .iter()
            .map(|(_, names)| names[0])
            .chain(["_raw_spin_lock_irq", "asm_load_gs_index"])
            .chain(STUBS)
            .chain(others)
            .enumerate()
            .filter(|&(_, name)| name != without)
            .map(|(n, name)| format!("{:x} t {name}\n", 0x1000 + n * 0x100))
            .collect()
    }

    fn hooks(without: &str) -> Result<(Hooks, Symbols), String> {
        let symbols = Symbols::parse(&map(without));
        Ok((Hooks::new(&symbols)?, symbols))
    }

    fn at(hooks: &Hooks, symbols: &Symbols, name: &str) -> Vec<Hook> {
        hooks.begins(symbols.address(name).unwrap()).collect()
    }

    #[test]
    fn beginnings() {
        let (hooks, symbols) = hooks("").unwrap();
        let interrupt = Hook::Enter(Kind::Interrupt);
        assert_eq!(
            at(&hooks, &symbols, "asm_sysvec_apic_timer_interrupt"),
            [interrupt]
        );
        let ipi = at(&hooks, &symbols, "asm_sysvec_call_function");
        assert_eq!(ipi, [Hook::Happens(Event::CallFunction), interrupt]);
        let fault = Hook::Enter(Kind::Exception);
        assert_eq!(at(&hooks, &symbols, "asm_exc_page_fault"), [fault]);
        assert_eq!(
            at(&hooks, &symbols, "rcu_do_batch"),
            [Hook::Enter(Kind::Rcu)]
        );
        for nothing in ["_raw_spin_lock_irq", "asm_load_gs_index", "call_rcu_hurry"] {
            assert_eq!(at(&hooks, &symbols, nothing), []);
        }
    }

    #[test]
    fn stubs() {
        let (hooks, symbols) = hooks("").unwrap();
        let start = symbols.address("irq_entries_start").unwrap();
        let interrupt = [Hook::Enter(Kind::Interrupt)];
        for (into, expected) in [(0, &interrupt[..]), (16, &interrupt), (6, &[]), (25, &[])] {
            let found: Vec<_> = hooks.begins(start + into).collect();
            assert_eq!(found, expected, "{into}");
        }
    }

    #[test]
    fn ends() {
        let (hooks, symbols) = hooks("").unwrap();
        let lock = symbols.function("_raw_spin_lock").unwrap();
        let at = lock.start + 9;
        assert_eq!(hooks.ends(Insn::Ret, at), Some(End::Lock));
        assert_eq!(hooks.ends(Insn::Jump(0x20), at), Some(End::Lock));
        assert_eq!(hooks.ends(Insn::Jump(lock.start), at), None);
        assert_eq!(hooks.ends(Insn::Other, at), None);
        assert_eq!(hooks.ends(Insn::Ret, lock.start - 0x100), Some(End::Rcu));
        assert_eq!(hooks.ends(Insn::Ret, 0x20), None);
    }

    #[test]
    fn what_the_compiler_has_inlined() {
        let map = map("__call_rcu_common").replace("rcu_do_batch", "rcu_core");
        let symbols = Symbols::parse(&(map + "9000 t call_rcu\n"));
        let hooks = Hooks::new(&symbols).unwrap();
        let callback = [Hook::Happens(Event::Callback)];
        assert_eq!(at(&hooks, &symbols, "call_rcu"), callback);
        assert_eq!(at(&hooks, &symbols, "call_rcu_hurry"), callback);
        assert_eq!(at(&hooks, &symbols, "rcu_core"), [Hook::Enter(Kind::Rcu)]);
    }

    #[test]
    fn what_is_missing_is_said() {
        for name in ["_raw_spin_unlock", "irq_entries_start", "flush_tlb_func"] {
            assert!(hooks(name).err().unwrap().contains(name));
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The plugin, and what it has the guest's code do: each instruction of the kernel is counted
//! inline; what changes for whom a CPU runs is followed all the time; the rest is called in a phase
//! only.

use crate::{
    block::Block,
    calls,
    counts::Event,
    hooks::{End, Hook, Hooks},
    machine::Machine,
    names::Names,
    options::Options,
    phases::Phases,
    score::{MOST_CPUS, Score},
};
use qemu_plugin::{
    api::*,
    cpu::{Buffer, Registers},
    decode::{Insn as Code, Repeated, decode},
    install::arguments,
    symbols::Symbols,
};
use std::{
    ffi::{c_char, c_int, c_uint, c_void},
    fs::File,
    io::{self, Write},
    ptr,
    sync::{Mutex, OnceLock},
    thread::{self, ThreadId},
};

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 4;

/// What of a machine changes, and what is used to read it.
pub struct State {
    pub machine: Machine,
    pub buffer: Buffer,
    pub phases: Phases,
}

pub struct Plugin {
    pub cpus: usize,
    pub state: Mutex<State>,
    pub names: Mutex<Names>,
    hooks: Hooks,
    pub registers: Registers,
    /// How much is executed of a block.
    pub executed: Score,
    /// Whether there is a phase.
    pub active: Score,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

pub fn plugin() -> &'static Plugin {
    PLUGIN.get().expect("installed")
}

/// An instruction that is translated.
struct Hooked {
    insn: *mut Insn,
    active: PerCpu,
}

impl Hooked {
    /// Also when there is no phase.
    fn always(&self, callback: UdataCallback, data: usize) {
        let data = data as *mut c_void;
        // SAFETY: In the translation of the instruction.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(self.insn, callback, R_REGS, data) }
    }

    fn active(&self, callback: UdataCallback, data: usize) {
        let data = data as *mut c_void;
        // SAFETY: In the translation of the instruction.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cond_cb(
                self.insn,
                callback,
                R_REGS,
                COND_NE,
                self.active,
                0,
                data,
            )
        }
    }

    fn begins(&self, hook: Hook) {
        match hook {
            Hook::Enter(kind) => self.always(calls::enters, kind as usize),
            Hook::Syscall => self.always(calls::system_call, 0),
            Hook::Begins => self.always(calls::begins, 0),
            Hook::Exits => self.always(calls::exits, 0),
            Hook::Switch => self.always(calls::switches, 0),
            Hook::LoadMm => self.always(calls::loads_mm, 0),
            Hook::Lock => self.active(calls::locks, 0),
            Hook::Unlock => self.active(calls::unlocks, 0),
            Hook::Allocate => self.active(calls::allocates, 0),
            Hook::Happens(event) => self.active(calls::happens, event as usize),
        }
    }

    fn executes(&self, code: Code) {
        match code {
            Code::Hlt => self.always(calls::halts, 0),
            Code::LoadCr3(_) => self.active(calls::happens, Event::Cr3 as usize),
            Code::Invpcid => self.active(calls::happens, Event::Invpcid as usize),
            Code::Invlpg(..) | Code::InvlpgSomewhere => {
                self.active(calls::happens, Event::Invlpg as usize)
            }
            Code::Rep(Repeated::Stos(size)) => self.active(calls::stores, size.into()),
            Code::Rep(Repeated::Movs(size)) => self.active(calls::copies, size.into()),
            _ => (),
        }
    }

    /// Behind the addition: what ends is still counted for itself.
    fn ends(&self, code: Code, end: Option<End>) {
        if code == Code::Iret {
            self.always(calls::irets, 0);
        }
        match end {
            Some(End::Rcu) => self.always(calls::rcu_returns, 0),
            Some(End::Lock) => self.active(calls::lock_returns, 0),
            Some(End::TryLock) => self.active(calls::lock_returns, 1),
            None => (),
        }
    }
}

extern "C" fn translated(_: Id, tb: *mut Tb) {
    // SAFETY: In the callback of a translation, whose block and instructions live as long.
    let insns = unsafe {
        let translated = |n| {
            let insn = qemu_plugin_tb_get_insn(tb, n);
            let pc = qemu_plugin_insn_vaddr(insn);
            let mut code = [0; 16];
            let len = qemu_plugin_insn_data(insn, code.as_mut_ptr().cast(), code.len());
            (insn, pc, decode(&code[..len.min(code.len())], pc))
        };
        (0..qemu_plugin_tb_n_insns(tb))
            .map(translated)
            .collect::<Vec<_>>()
    };
    match insns.first() {
        Some(&(_, pc, first)) if pc >> 63 == 1 => kernel(tb, pc, first, &insns),
        _ => program(&insns),
    }
}

fn program(insns: &[(*mut Insn, u64, Code)]) {
    let active = plugin().active.0;
    for &(insn, _, code) in insns {
        if code == Code::Marker {
            Hooked { insn, active }.always(calls::marked, 0);
        }
    }
}

fn kernel(tb: *mut Tb, start: u64, first: Code, insns: &[(*mut Insn, u64, Code)]) {
    let plugin = plugin();
    let block = {
        let mut names = plugin.names.lock().unwrap();
        let named = insns.iter().map(|&(_, pc, _)| (pc, names.at(pc, start)));
        // QEMU keeps a block for as long as it likes, and does not say when it goes.
        Box::leak(Box::new(Block::new(named, matches!(first, Code::Rep(_)))))
    };
    let (active, executed) = (plugin.active.0, plugin.executed.0);
    // SAFETY: In the translation of the block.
    unsafe {
        let data = ptr::from_mut(block).cast();
        qemu_plugin_register_vcpu_tb_exec_cond_cb(
            tb,
            calls::runs,
            R_REGS,
            COND_NE,
            active,
            0,
            data,
        );
    }
    for &(insn, pc, code) in insns {
        let hooked = Hooked { insn, active };
        for hook in plugin.hooks.begins(pc) {
            hooked.begins(hook);
        }
        hooked.executes(code);
        // SAFETY: In the translation of the instruction.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, INLINE_ADD_U64, executed, 1)
        };
        hooked.ends(code, plugin.hooks.ends(code, pc));
    }
}

/// In the thread that will run it.
extern "C" fn cpu_made(_: Id, _: c_uint) {
    static THREAD: OnceLock<ThreadId> = OnceLock::new();
    let this = thread::current().id();
    if *THREAD.get_or_init(|| this) != this {
        give_up("all CPUs must be run by one thread: with -icount, or -accel tcg,thread=single");
    }
    // SAFETY: In the callback in which QEMU tells of its registers.
    if !unsafe { plugin().registers.learn() } {
        give_up("QEMU does not tell of all registers");
    }
}

/// No CPU runs any more.
extern "C" fn at_exit(_: Id, _: *mut c_void) {
    let plugin = plugin();
    let names = plugin.names.lock().unwrap();
    let State {
        machine, phases, ..
    } = &mut *plugin.state.lock().unwrap();
    phases.write(|| machine.end(), &names);
}

fn give_up(why: &str) -> ! {
    eprintln!("insncount: {why}");
    std::process::exit(1)
}

fn install(id: Id, cpus: usize, words: &[String]) -> Result<(), String> {
    if cpus > MOST_CPUS {
        return Err(format!("there can be {MOST_CPUS} CPUs at most"));
    }
    let options = Options::parse(words.iter().map(String::as_str))?;
    let map = std::fs::read_to_string(&options.map)
        .map_err(|error| format!("{}: {error}", options.map.display()))?;
    let out: Box<dyn Write + Send> = match &options.out {
        Some(path) => {
            Box::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => Box::new(io::stderr()),
    };
    let plugin = Plugin {
        cpus,
        state: Mutex::new(State {
            machine: Machine::default(),
            buffer: Buffer::new(),
            phases: Phases::new(out),
        }),
        names: Mutex::new(Names::parse(&map)),
        hooks: Hooks::new(&Symbols::parse(&map))?,
        registers: Registers::default(),
        executed: Score::new(),
        active: Score::new(),
    };
    assert!(PLUGIN.set(plugin).is_ok(), "loaded twice");
    // SAFETY: During installation.
    unsafe {
        qemu_plugin_register_vcpu_init_cb(id, cpu_made);
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, at_exit, ptr::null_mut());
    }
    Ok(())
}

/// # Safety
///
/// Called by QEMU.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: As QEMU promises for this call.
    let installed =
        unsafe { arguments(info, argc, argv) }.and_then(|(cpus, words)| install(id, cpus, &words));
    match installed {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("insncount: {error}");
            1
        }
    }
}

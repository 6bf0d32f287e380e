// SPDX-License-Identifier: GPL-2.0

//! What QEMU calls. Each instruction of the kernel is counted inline. What changes for whom a CPU
//! runs is followed all the time; the rest is called in a phase only.

use crate::{
    block::Block,
    context::Kind,
    counts::Event,
    cpu::Cpu,
    hooks::{End, Hook, Hooks},
    machine::Machine,
    names::Names,
    options::Options,
    report,
};
use qemu_plugin::{
    api::*,
    cpu::{Buffer, GS_BASE, KERNEL_GS_BASE, R14, RAX, RCX, RDI, RDX, RSI, RSP, Registers},
    decode::{Insn as Code, Reg, Repeated, decode},
    install::arguments,
    symbols::Symbols,
};
use std::{
    ffi::{c_char, c_int, c_uint, c_void},
    fs::File,
    io::{self, Write},
    ptr,
    sync::{Mutex, MutexGuard, OnceLock},
    thread::{self, ThreadId},
};

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 4;

/// What of a machine changes, and what is used to read it.
struct State {
    machine: Machine,
    buffer: Buffer,
    phases: Phases,
}

struct Phases {
    out: Box<dyn Write + Send>,
    /// 0 is none.
    running: u64,
}

/// A number that code of the guest adds to, inline, or looks at.
///
/// Blocks are for all CPUs, and with one thread for all of them QEMU 10 does not know which of them
/// executes one: the index that it uses and gives to callbacks is that of the CPU for which it has
/// translated the block, and it is multiplied by the size of a scoreboard's elements in place,
/// again with each use. So the elements have one byte, which leaves it as it is, and the numbers
/// lie over each other. Only one of them is used at a time: what the instructions of a block
/// add is read by the index of the block's callback, and is set to zero before the next.
#[derive(Clone, Copy)]
struct Score(PerCpu);

// SAFETY: QEMU's scoreboards are for all threads.
unsafe impl Sync for Score {}
// SAFETY: So are they.
unsafe impl Send for Score {}

/// With elements of one byte there is room for a number of eight in sixteen, as many as QEMU has at
/// least.
const MOST_CPUS: usize = 8;

impl Score {
    fn new() -> Self {
        // SAFETY: For the life of the process.
        let score = unsafe { qemu_plugin_scoreboard_new(1) };
        Self(PerCpu { score, offset: 0 })
    }

    fn get(self, index: c_uint) -> u64 {
        // SAFETY: A scoreboard of ours, and an index of QEMU's.
        unsafe { qemu_plugin_u64_get(self.0, index) }
    }

    fn set(self, index: c_uint, value: u64) {
        // SAFETY: As above.
        unsafe { qemu_plugin_u64_set(self.0, index, value) }
    }
}

struct Plugin {
    cpus: usize,
    state: Mutex<State>,
    names: Mutex<Names>,
    hooks: Hooks,
    registers: Registers,
    /// How much is executed of a block.
    executed: Score,
    /// Whether there is a phase.
    active: Score,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

fn plugin() -> &'static Plugin {
    PLUGIN.get().expect("installed")
}

/// A CPU in a callback of its own.
struct Now {
    state: MutexGuard<'static, State>,
}

impl Now {
    /// In a block: what is executed of it is counted. Callbacks read registers, all of them.
    fn of(index: c_uint) -> Self {
        let plugin = plugin();
        let mut now = Self {
            state: plugin.state.lock().unwrap(),
        };
        if now.state.phases.running == 0 {
            let key = now.key();
            now.state.machine.switch_to(key);
        } else {
            now.cpu().settle(plugin.executed.get(index));
        }
        now
    }

    fn register(&mut self, register: Reg) -> u64 {
        // SAFETY: As the callback said.
        unsafe { plugin().registers.read(&mut self.state.buffer, register) }
    }

    /// CPUs are known by where the kernel has their variables: see `Score`.
    fn key(&mut self) -> u64 {
        if plugin().cpus == 1 {
            return 0;
        }
        match self.register(GS_BASE) {
            kernel if kernel >> 63 == 1 => kernel,
            _ => self.register(KERNEL_GS_BASE),
        }
    }

    fn cpu(&mut self) -> &mut Cpu {
        self.state.machine.cpu()
    }
}

extern "C" fn runs(index: c_uint, block: *mut c_void) {
    let plugin = plugin();
    // SAFETY: `kernel` has leaked it.
    let block = unsafe { &*block.cast_const().cast::<Block>() };
    let mut now = Now {
        state: plugin.state.lock().unwrap(),
    };
    let before = std::mem::replace(&mut now.state.machine.index, index);
    now.cpu().settle(plugin.executed.get(before));
    plugin.executed.set(before, 0);
    let key = now.key();
    now.state.machine.switch_to(key);
    now.cpu().enters(block);
}

extern "C" fn enters(index: c_uint, kind: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    let kind = [Kind::Interrupt, Kind::Exception, Kind::Rcu][kind as usize];
    let after = now.cpu().last_pc();
    now.cpu().context.enter(kind, rsp, after);
}

extern "C" fn irets(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    // The code segment that it loads is above the address.
    // SAFETY: In a callback of this CPU.
    let segment = unsafe { now.state.buffer.memory(rsp.wrapping_add(8)) };
    match segment {
        Some(segment) if segment & 3 == 0 => now.cpu().iret(rsp),
        _ => {
            now.cpu().context.clear();
        }
    }
}

extern "C" fn system_call(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    if now.cpu().context.clear() {
        now.cpu().happened(Event::Unpaired, 1);
    }
}

extern "C" fn alone(index: c_uint, _: *mut c_void) {
    Now::of(index).cpu().context.clear();
}

/// (prev, next)
extern "C" fn switches(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let (from, to) = (now.register(RDI), now.register(RSI));
    now.state.machine.switch_task(from, to);
}

/// (unused, mm, task)
extern "C" fn loads_mm(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let (mm, task) = (now.register(RSI), now.register(RDX));
    now.cpu().context.loads(mm, task);
}

extern "C" fn halts(index: c_uint, _: *mut c_void) {
    Now::of(index).cpu().context.halts();
}

extern "C" fn rcu_returns(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    now.cpu().context.leave_rcu(rsp);
}

/// (lock)
extern "C" fn locks(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let (lock, rsp) = (now.register(RDI), now.register(RSP));
    let by = now.cpu().before;
    now.cpu().holds.wants(lock, rsp, by);
}

extern "C" fn lock_returns(index: c_uint, tried: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    let success = tried.is_null() || now.register(RAX) as u32 != 0;
    let time = now.cpu().now();
    now.cpu().holds.got(rsp, success, time);
}

/// (lock)
extern "C" fn unlocks(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let lock = now.register(RDI);
    let (by, time) = (now.cpu().before, now.cpu().now());
    now.cpu().holds.released(lock, by, time);
}

/// (flags, order, ...)
extern "C" fn allocates(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let order = now.register(RSI) as u32;
    let pages = 1_u64.checked_shl(order).unwrap_or(0);
    now.cpu().happened(Event::PageAllocated, pages);
}

extern "C" fn happens(index: c_uint, event: *mut c_void) {
    Now::of(index).cpu().happened(Event::ALL[event as usize], 1);
}

extern "C" fn stores(index: c_uint, size: *mut c_void) {
    repeats(index, Repeated::Stos(size as usize as u8));
}

extern "C" fn copies(index: c_uint, size: *mut c_void) {
    repeats(index, Repeated::Movs(size as usize as u8));
}

fn repeats(index: c_uint, what: Repeated) {
    let mut now = Now::of(index);
    let (times, to, from) = (now.register(RCX), now.register(RDI), now.register(RSI));
    now.cpu().repeats(what, times, to, from);
}

/// All CPUs end the phase that there is, and begin the next.
extern "C" fn marked(_: c_uint, _: *mut c_void) {
    let plugin = plugin();
    let mut now = Now {
        state: plugin.state.lock().unwrap(),
    };
    // The program's own instructions are in no block of the kernel's.
    let before = now.state.machine.index;
    now.cpu().settle(plugin.executed.get(before));
    let (number, key) = (now.register(R14), now.key());
    let State {
        machine, phases, ..
    } = &mut *now.state;
    let counts = machine.end();
    if phases.running != 0 {
        let names = plugin.names.lock().unwrap();
        let line = report::line(phases.running, &counts, &names) + "\n";
        // One write for each; whoever reads it may kill us at any time.
        let _ = phases.out.write_all(line.as_bytes());
    }
    phases.running = number;
    machine.switch_to(key);
    machine.begin();
    for index in 0..plugin.cpus as c_uint {
        plugin.executed.set(index, 0);
    }
    for index in 0..plugin.cpus as c_uint {
        plugin.active.set(index, (number != 0).into());
    }
}

/// An instruction that is translated.
struct Hooked {
    insn: *mut Insn,
    active: PerCpu,
}

impl Hooked {
    /// Also when there is no phase.
    fn always(&self, callback: UdataCallback, flags: c_int, data: usize) {
        let data = data as *mut c_void;
        // SAFETY: In the translation of the instruction.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(self.insn, callback, flags, data) }
    }

    fn active(&self, callback: UdataCallback, flags: c_int, data: usize) {
        let data = data as *mut c_void;
        // SAFETY: In the translation of the instruction.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cond_cb(
                self.insn,
                callback,
                flags,
                COND_NE,
                self.active,
                0,
                data,
            )
        }
    }

    fn begins(&self, hook: Hook) {
        match hook {
            Hook::Enter(kind) => self.always(enters, R_REGS, kind as usize),
            Hook::Syscall => self.always(system_call, R_REGS, 0),
            Hook::Alone => self.always(alone, R_REGS, 0),
            Hook::Switch => self.always(switches, R_REGS, 0),
            Hook::LoadMm => self.always(loads_mm, R_REGS, 0),
            Hook::Lock => self.active(locks, R_REGS, 0),
            Hook::Unlock => self.active(unlocks, R_REGS, 0),
            Hook::Allocate => self.active(allocates, R_REGS, 0),
            Hook::Happens(event) => self.active(happens, R_REGS, event as usize),
        }
    }

    fn executes(&self, code: Code) {
        match code {
            Code::Hlt => self.always(halts, R_REGS, 0),
            Code::LoadCr3(_) => self.active(happens, R_REGS, Event::Cr3 as usize),
            Code::Invpcid => self.active(happens, R_REGS, Event::Invpcid as usize),
            Code::Invlpg(..) | Code::InvlpgSomewhere => {
                self.active(happens, R_REGS, Event::Invlpg as usize)
            }
            Code::Rep(Repeated::Stos(size)) => self.active(stores, R_REGS, size.into()),
            Code::Rep(Repeated::Movs(size)) => self.active(copies, R_REGS, size.into()),
            _ => (),
        }
    }

    /// Behind the addition: what ends is still counted for itself.
    fn ends(&self, code: Code, end: Option<End>) {
        if code == Code::Iret {
            self.always(irets, R_REGS, 0);
        }
        match end {
            Some(End::Rcu) => self.always(rcu_returns, R_REGS, 0),
            Some(End::Lock) => self.active(lock_returns, R_REGS, 0),
            Some(End::TryLock) => self.active(lock_returns, R_REGS, 1),
            None => (),
        }
    }
}

extern "C" fn translated(_: Id, tb: *mut Tb) {
    // SAFETY: In the callback of a translation, whose block and instructions live as long.
    let insns: Vec<_> = (0..unsafe { qemu_plugin_tb_n_insns(tb) })
        .map(|n| unsafe {
            let insn = qemu_plugin_tb_get_insn(tb, n);
            let pc = qemu_plugin_insn_vaddr(insn);
            let mut code = [0; 16];
            let len = qemu_plugin_insn_data(insn, code.as_mut_ptr().cast(), code.len());
            (insn, pc, decode(&code[..len.min(code.len())], pc))
        })
        .collect();
    match insns.first() {
        Some(&(_, pc, first)) if pc >> 63 == 1 => kernel(tb, pc, first, &insns),
        _ => program(&insns),
    }
}

fn program(insns: &[(*mut Insn, u64, Code)]) {
    let active = plugin().active.0;
    for &(insn, _, code) in insns {
        if code == Code::Marker {
            Hooked { insn, active }.always(marked, R_REGS, 0);
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
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, runs, R_REGS, COND_NE, active, 0, data);
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
            phases: Phases { out, running: 0 },
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

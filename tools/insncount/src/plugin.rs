// SPDX-License-Identifier: GPL-2.0

//! What QEMU calls. Each instruction of the kernel adds to its CPU's progress, inline. What changes
//! for whom a CPU runs is followed all the time; the rest is called in a phase only.

use crate::{
    block::Block,
    context::{Kind, Preempted},
    counts::{Counts, Event},
    cpu::Cpu,
    hooks::{End, Hook, Hooks},
    names::Names,
    options::Options,
    report,
};
use qemu_plugin::{
    api::*,
    cpu::{Buffer, R14, RAX, RCX, RDI, RDX, RSI, RSP, Registers},
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
};

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 4;

struct Slot {
    cpu: Cpu,
    buffer: Buffer,
}

struct Phases {
    out: Box<dyn Write + Send>,
    /// 0 is none.
    running: u64,
}

/// On a scoreboard that lives as long as QEMU.
#[derive(Clone, Copy)]
struct Score(PerCpu);

// SAFETY: QEMU's scoreboards are for all threads.
unsafe impl Sync for Score {}
// SAFETY: So are they.
unsafe impl Send for Score {}

impl Score {
    fn get(self, cpu: usize) -> u64 {
        // SAFETY: A scoreboard of ours, which has all CPUs.
        unsafe { qemu_plugin_u64_get(self.0, cpu as c_uint) }
    }

    fn set(self, cpu: usize, value: u64) {
        // SAFETY: As above.
        unsafe { qemu_plugin_u64_set(self.0, cpu as c_uint, value) }
    }
}

struct Plugin {
    cpus: Vec<Mutex<Slot>>,
    preempted: Mutex<Preempted>,
    names: Mutex<Names>,
    phases: Mutex<Phases>,
    hooks: Hooks,
    registers: Registers,
    progress: Score,
    /// Whether there is a phase.
    active: Score,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

fn plugin() -> &'static Plugin {
    PLUGIN.get().expect("installed")
}

/// A CPU in a callback of its own, with what it has executed counted.
struct Now {
    slot: MutexGuard<'static, Slot>,
    progress: u64,
}

impl Now {
    fn of(index: c_uint) -> Self {
        let plugin = plugin();
        let progress = plugin.progress.get(index as usize);
        let mut slot = plugin.cpus[index as usize].lock().unwrap();
        slot.cpu.settle(progress);
        Self { slot, progress }
    }

    /// In callbacks that said that they read registers.
    fn register(&mut self, register: Reg) -> u64 {
        // SAFETY: As the callback said.
        unsafe { plugin().registers.read(&mut self.slot.buffer, register) }
    }

    fn cpu(&mut self) -> &mut Cpu {
        &mut self.slot.cpu
    }
}

extern "C" fn runs(index: c_uint, block: *mut c_void) {
    let plugin = plugin();
    // SAFETY: `translated` has leaked it.
    let block = unsafe { &*block.cast_const().cast::<Block>() };
    let progress = plugin.progress.get(index as usize);
    let mut slot = plugin.cpus[index as usize].lock().unwrap();
    slot.cpu.enters(block, progress);
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
    let segment = unsafe { now.slot.buffer.memory(rsp.wrapping_add(8)) };
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
    let mut preempted = plugin().preempted.lock().unwrap();
    now.cpu().context.switch(from, to, &mut preempted);
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
    let progress = now.progress;
    now.cpu().repeats(what, times, to, from, progress);
}

/// All CPUs end the phase that there is, and begin the next.
extern "C" fn marked(index: c_uint, _: *mut c_void) {
    let plugin = plugin();
    let (number, mm) = {
        let mut now = Now::of(index);
        (now.register(R14), now.cpu().context.mm())
    };
    let mut phases = plugin.phases.lock().unwrap();
    let mut counts = Counts::default();
    for (index, slot) in plugin.cpus.iter().enumerate() {
        let progress = plugin.progress.get(index);
        let mut slot = slot.lock().unwrap();
        counts.add(&slot.cpu.end(progress));
        slot.cpu.begin(mm, progress);
        plugin.active.set(index, (number != 0).into());
    }
    if phases.running != 0 {
        let names = plugin.names.lock().unwrap();
        let line = report::line(phases.running, &counts, &names) + "\n";
        // One write for each; whoever reads it may kill us at any time.
        let _ = phases.out.write_all(line.as_bytes());
    }
    phases.running = number;
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
            Hook::Syscall => self.always(system_call, NO_REGS, 0),
            Hook::Alone => self.always(alone, NO_REGS, 0),
            Hook::Switch => self.always(switches, R_REGS, 0),
            Hook::LoadMm => self.always(loads_mm, R_REGS, 0),
            Hook::Lock => self.active(locks, R_REGS, 0),
            Hook::Unlock => self.active(unlocks, R_REGS, 0),
            Hook::Allocate => self.active(allocates, R_REGS, 0),
            Hook::Happens(event) => self.active(happens, NO_REGS, event as usize),
        }
    }

    fn executes(&self, code: Code) {
        match code {
            Code::Hlt => self.always(halts, NO_REGS, 0),
            Code::LoadCr3(_) => self.active(happens, NO_REGS, Event::Cr3 as usize),
            Code::Invpcid => self.active(happens, NO_REGS, Event::Invpcid as usize),
            Code::Invlpg(..) | Code::InvlpgSomewhere => {
                self.active(happens, NO_REGS, Event::Invlpg as usize)
            }
            Code::Rep(Repeated::Stos(size)) => self.active(stores, R_REGS, size.into()),
            Code::Rep(Repeated::Movs(size)) => self.active(copies, R_REGS, size.into()),
            _ => (),
        }
    }

    /// Behind the addition to the progress: what ends is still counted for itself.
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
    let (active, progress) = (plugin.active.0, plugin.progress.0);
    // SAFETY: In the translation of the block.
    unsafe {
        let data = ptr::from_mut(block).cast();
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, runs, NO_REGS, COND_NE, active, 0, data);
    }
    for &(insn, pc, code) in insns {
        let hooked = Hooked { insn, active };
        for hook in plugin.hooks.begins(pc) {
            hooked.begins(hook);
        }
        hooked.executes(code);
        // SAFETY: In the translation of the instruction.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, INLINE_ADD_U64, progress, 1)
        };
        hooked.ends(code, plugin.hooks.ends(code, pc));
    }
}

extern "C" fn cpu_made(_: Id, _: c_uint) {
    // SAFETY: In the callback in which QEMU tells of its registers.
    if !unsafe { plugin().registers.learn() } {
        eprintln!("insncount: QEMU does not tell of all registers");
        std::process::abort();
    }
}

fn install(id: Id, cpus: usize, words: &[String]) -> Result<(), String> {
    let options = Options::parse(words.iter().map(String::as_str))?;
    let map = std::fs::read_to_string(&options.map)
        .map_err(|error| format!("{}: {error}", options.map.display()))?;
    let out: Box<dyn Write + Send> = match &options.out {
        Some(path) => {
            Box::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => Box::new(io::stderr()),
    };
    // SAFETY: For the life of the process.
    let score = unsafe { qemu_plugin_scoreboard_new(16) };
    let slot = || Slot {
        cpu: Cpu::default(),
        buffer: Buffer::new(),
    };
    let plugin = Plugin {
        cpus: (0..cpus).map(|_| Mutex::new(slot())).collect(),
        preempted: Mutex::default(),
        names: Mutex::new(Names::parse(&map)),
        phases: Mutex::new(Phases { out, running: 0 }),
        hooks: Hooks::new(&Symbols::parse(&map))?,
        registers: Registers::default(),
        progress: Score(PerCpu { score, offset: 0 }),
        active: Score(PerCpu { score, offset: 8 }),
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

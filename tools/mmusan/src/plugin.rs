// SPDX-License-Identifier: GPL-2.0

//! What QEMU calls: the instructions of programs are instrumented where they access memory, those
//! of the kernel where `hooks` wants to know of them.

use crate::{
    grace::{Grace, IDLE, Quiet, Windows},
    hooks::{self, Hooks},
    judge::{Class, Graces, Judge, Verdict},
    options::Options,
    ram::Ram,
    report::Report,
    tables::Tables,
    walk::{Walk, walk},
};
use qemu_plugin::{
    api::*,
    cpu::{Buffer, CR3, CR4, Registers},
    decode::Reg,
    install::arguments,
    symbols::Symbols,
};
use std::{
    cell::UnsafeCell,
    ffi::{c_char, c_int, c_uint, c_void},
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 4;

/// Of the CPU alone that runs it.
pub struct Cpu {
    pub judge: Judge<Grace>,
    pub cr3: u64,
    five_levels: bool,
    registers_known: bool,
    countdown: u32,
    buffer: Buffer,
    pub switching_to: u64,
    pub flush_call: hooks::FlushCall,
    count: Counts,
}

#[derive(Default)]
struct Counts {
    accesses: u64,
    looked_at: u64,
    pending: u64,
    no_address: u64,
}

/// What others may ask of a CPU.
#[derive(Default)]
pub struct Shared {
    idle: AtomicBool,
    woken: AtomicU64,
    pub loaded_mm: AtomicU64,
    pub flushed: AtomicU64,
}

struct Slot(UnsafeCell<Cpu>);

// SAFETY: Only the thread that runs the CPU uses it, in callbacks that do not nest; and
// `at_exit`, when none runs any more.
unsafe impl Sync for Slot {}

pub struct Plugin {
    cpus: Vec<Slot>,
    pub shared: Vec<Shared>,
    pub ram: Ram,
    pub tables: Tables,
    pub windows: Windows<hooks::Window>,
    pub report: Report,
    pub hooks: Hooks,
    rate: u32,
    /// A program runs: what is executed at low addresses is not the boot any more.
    pub armed: AtomicBool,
    /// Each event has its time.
    pub clock: AtomicU64,
    /// How often each CPU was quiet; and how often RCU may have taken it for quiet.
    quiet: PerCpu,
    ticks: PerCpu,
    registers: Registers,
}

// SAFETY: QEMU's scoreboards are for all threads.
unsafe impl Sync for Plugin {}
unsafe impl Send for Plugin {}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

pub fn plugin() -> &'static Plugin {
    PLUGIN.get().expect("installed")
}

impl Plugin {
    /// Of the CPU that runs this thread, in a callback.
    #[expect(clippy::mut_from_ref)]
    pub fn cpu(&self, index: u32) -> &mut Cpu {
        // SAFETY: See Slot.
        unsafe { &mut *self.cpus[index as usize].0.get() }
    }

    /// The value now; in a callback that said that it reads registers.
    pub fn register(&self, cpu: &mut Cpu, number: Reg) -> u64 {
        // SAFETY: As the callback said.
        unsafe { self.registers.read(&mut cpu.buffer, number) }
    }

    fn count(&self, entry: PerCpu, cpu: usize) -> u64 {
        // SAFETY: A scoreboard of ours.
        unsafe { qemu_plugin_u64_get(entry, cpu as c_uint) }
    }

    pub fn quiet_of(&self, cpu: usize) -> u64 {
        let shared = &self.shared[cpu];
        match shared.idle.load(SeqCst) {
            true => IDLE,
            false => self.count(self.quiet, cpu) + shared.woken.load(SeqCst),
        }
    }

    /// Of all CPUs, see `grace.rs`.
    pub fn quiet(&self) -> Quiet {
        (0..self.shared.len())
            .map(|cpu| self.quiet_of(cpu))
            .collect()
    }

    /// The same, with interrupts at which RCU looks around: it needs no other task if nothing was
    /// being read.
    pub fn quiet_for_rcu(&self) -> Quiet {
        let one = |cpu| match self.quiet_of(cpu) {
            IDLE => IDLE,
            count => count + self.count(self.ticks, cpu),
        };
        (0..self.shared.len()).map(one).collect()
    }

    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    pub fn flush_all(&self, index: u32) {
        self.cpu(index).judge.flushed_all();
        self.shared[index as usize]
            .flushed
            .store(self.now(), SeqCst);
    }

    pub fn flush_page(&self, index: u32, addr: u64) {
        self.cpu(index).judge.flushed(addr >> 12);
        self.shared[index as usize]
            .flushed
            .store(self.now(), SeqCst);
    }

    fn know_registers(&self, cpu: &mut Cpu) {
        if !cpu.registers_known {
            cpu.registers_known = true;
            cpu.cr3 = self.register(cpu, CR3);
            cpu.five_levels = self.register(cpu, CR4) >> 12 & 1 == 1;
        }
    }

    pub fn walk(&self, cpu: &mut Cpu, addr: u64) -> Walk {
        self.know_registers(cpu);
        walk(&self.ram, cpu.cr3, cpu.five_levels, addr)
    }

    pub fn five_levels(&self, cpu: &mut Cpu) -> bool {
        self.know_registers(cpu);
        cpu.five_levels
    }

    /// Whether the guest's memory is where it was learned to be: by QEMU's own reading of it.
    pub fn check_ram(&self, cpu: &mut Cpu, addr: u64, phys: u64) -> bool {
        use crate::walk::Memory;
        (0..8).all(|word| {
            // SAFETY: In a callback of this CPU.
            let read = unsafe { cpu.buffer.memory(addr + word * 8) };
            read.is_some() && read == self.ram.read(phys + word * 8)
        })
    }
}

struct OfCpu<'p> {
    plugin: &'p Plugin,
    index: usize,
}

impl Graces for OfCpu<'_> {
    type Grace = Grace;

    fn begin(&self) -> Grace {
        Grace::begin(self.plugin.quiet())
    }

    fn over(&self, grace: &mut Grace) -> bool {
        let plugin = self.plugin;
        grace.over(&plugin.windows, || plugin.quiet(), self.index)
    }
}

/// A program's access is over; `pc` is the instruction.
extern "C" fn accessed(index: c_uint, info: MemInfo, vaddr: u64, pc: *mut c_void) {
    let plugin = plugin();
    let cpu = plugin.cpu(index);
    cpu.count.accesses += 1;
    cpu.countdown -= 1;
    if cpu.countdown > 0 {
        return;
    }
    cpu.countdown = plugin.rate;
    // SAFETY: In the callback of an access; the address is used before it returns.
    let phys = unsafe {
        let hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
        if hwaddr.is_null() || qemu_plugin_hwaddr_is_io(hwaddr) {
            cpu.count.no_address += 1;
            return;
        }
        qemu_plugin_hwaddr_phys_addr(hwaddr)
    };
    cpu.count.looked_at += 1;
    let walk = plugin.walk(cpu, vaddr);
    let graces = OfCpu {
        plugin,
        index: index as usize,
    };
    let (page, frame) = (vaddr >> 12, phys >> 12);
    let known = cpu.judge.known(page);
    match cpu.judge.judge(page, frame, walk, &plugin.tables, &graces) {
        Verdict::Right => (),
        Verdict::Pending | Verdict::Known => cpu.count.pending += 1,
        Verdict::Wrong(class) => {
            // SAFETY: As above.
            let store = unsafe { qemu_plugin_mem_is_store(info) };
            let verb = if store { "writes" } else { "reads" };
            let from = known
                .filter(|known| known.frame == frame)
                .map_or("not seen before".to_string(), |known| {
                    format!("{}, {}", known.size.name(), table(known.table))
                });
            plugin.report.wrong(class, format_args!(
                "cpu {index} at {:#x} {verb} {vaddr:#x}, cr3 {:#x}: the TLB has frame {frame:#x} ({from}), the tables have {}",
                pc as u64, cpu.cr3, tables_have(walk)));
        }
    }
}

fn table(table: Option<u64>) -> String {
    table.map_or("no table".into(), |table| format!("table {table:#x}"))
}

fn tables_have(walk: Walk) -> String {
    match walk {
        Walk::Leaf {
            frame,
            size,
            table: of,
        } => format!("frame {frame:#x} ({}, {})", size.name(), table(of)),
        Walk::None { table: of } => format!("nothing ({})", table(of)),
        Walk::Lost { phys } => format!("an entry at {phys:#x}, where no RAM is"),
    }
}

extern "C" fn translated(_: Id, tb: *mut Tb) {
    let plugin = plugin();
    // SAFETY: In the callback of a translation, whose block and instructions live as long.
    unsafe {
        let first = qemu_plugin_tb_get_insn(tb, 0);
        let user = qemu_plugin_insn_vaddr(first) >> 63 == 0;
        if user && !plugin.armed.load(SeqCst) {
            return;
        }
        if user {
            qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD_U64, plugin.quiet, 1);
        }
        for n in 0..qemu_plugin_tb_n_insns(tb) {
            let insn = qemu_plugin_tb_get_insn(tb, n);
            let pc = qemu_plugin_insn_vaddr(insn);
            let mut code = [0; 16];
            let len = qemu_plugin_insn_data(insn, code.as_mut_ptr().cast(), code.len());
            let code = &code[..len.min(code.len())];
            if user {
                qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGS, MEM_RW, pc as *mut _);
                hooks::program(insn, code, pc);
            } else {
                hooks::kernel(insn, code, pc, plugin.quiet, plugin.ticks);
            }
        }
    }
}

extern "C" fn cpu_made(_: Id, _: c_uint) {
    let plugin = plugin();
    // SAFETY: In the callback in which QEMU tells of its registers.
    if !unsafe { plugin.registers.learn() } {
        plugin
            .report
            .say(format_args!("broken: QEMU does not tell of all registers"));
    }
}

extern "C" fn idles(_: Id, index: c_uint) {
    plugin().shared[index as usize].idle.store(true, SeqCst);
}

extern "C" fn resumes(_: Id, index: c_uint) {
    let shared = &plugin().shared[index as usize];
    shared.woken.fetch_add(1, SeqCst);
    shared.idle.store(false, SeqCst);
}

extern "C" fn at_exit(_: Id, _: *mut c_void) {
    let plugin = plugin();
    let sum = |of: fn(&Counts) -> u64| -> u64 {
        (0..plugin.cpus.len() as u32)
            .map(|cpu| of(&plugin.cpu(cpu).count))
            .sum()
    };
    plugin.report.say(format_args!(
        "end: accesses {}, looked at {}, no address {}, flush pending {}, windows open {}, tables waiting {}",
        sum(|count| count.accesses),
        sum(|count| count.looked_at),
        sum(|count| count.no_address),
        sum(|count| count.pending),
        plugin.windows.count(),
        plugin.tables.waiting(),
    ));
    plugin
        .report
        .say(format_args!("hooks: {}", plugin.hooks.counts()));
    plugin
        .report
        .say(format_args!("reports: {}", plugin.report.counts()));
}

fn install(id: Id, cpus: usize, words: &[String]) -> Result<(), String> {
    let options = Options::parse(words.iter().map(String::as_str))?;
    let map = std::fs::read_to_string(&options.map)
        .map_err(|error| format!("{}: {error}", options.map.display()))?;
    let hooks = Hooks::new(&Symbols::parse(&map))?;
    let report = Report::new(options.out.as_deref(), options.most)
        .map_err(|error| format!("{:?}: {error}", options.out))?;
    // SAFETY: For the life of the process.
    let score = unsafe { qemu_plugin_scoreboard_new(16) };
    let cpu = || {
        Slot(UnsafeCell::new(Cpu {
            judge: Judge::new(options.lax),
            cr3: 0,
            five_levels: false,
            registers_known: false,
            countdown: options.rate,
            buffer: Buffer::new(),
            switching_to: 0,
            flush_call: Default::default(),
            count: Counts::default(),
        }))
    };
    let plugin = Plugin {
        cpus: (0..cpus).map(|_| cpu()).collect(),
        shared: (0..cpus).map(|_| Shared::default()).collect(),
        ram: Ram::default(),
        tables: Tables::default(),
        windows: Windows::default(),
        report,
        hooks,
        rate: options.rate,
        armed: AtomicBool::new(false),
        clock: AtomicU64::new(0),
        quiet: PerCpu { score, offset: 0 },
        ticks: PerCpu { score, offset: 8 },
        registers: Registers::default(),
    };
    assert!(PLUGIN.set(plugin).is_ok(), "loaded twice");
    // SAFETY: During installation.
    unsafe {
        qemu_plugin_register_vcpu_init_cb(id, cpu_made);
        qemu_plugin_register_vcpu_idle_cb(id, idles);
        qemu_plugin_register_vcpu_resume_cb(id, resumes);
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
            eprintln!("mmusan: {error}");
            1
        }
    }
}

/// Says what is wrong of the page tables themselves.
pub fn wrong(class: Class, what: std::fmt::Arguments) {
    plugin().report.wrong(class, what);
}

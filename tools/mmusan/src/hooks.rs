// SPDX-License-Identifier: GPL-2.0

//! What the kernel does: its flushes, the windows in which it may flush later, the frames and
//! tables that it frees. Functions are hooked where they begin, by System.map.

use crate::{
    judge::Class,
    plugin::{Cpu, plugin, wrong},
    ram,
};
use qemu_plugin::{
    api::*,
    cpu::{R8, R14, RCX, RDI, RDX, RSI, RSP},
    decode::{self, Reg, decode},
    symbols::{Function, Symbols},
};
use std::{
    collections::HashMap,
    ffi::{c_uint, c_void},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Hook {
    Arm,
    Gather,
    Finish,
    FreeCommit,
    FreeOne,
    RemoveTable,
    FreeDefer,
    SwitchMm,
    FlushRange,
    Quiet,
    Tick,
}

const HOOKS: [(Hook, &[&str]); 11] = [
    // The first program, or a helper before it; all CPUs are up by then.
    (Hook::Arm, &["kernel_execve"]),
    (
        Hook::Gather,
        &[
            "tlb_gather_mmu",
            "tlb_gather_mmu_fullmm",
            "tlb_gather_mmu_vma",
        ],
    ),
    (Hook::Finish, &["tlb_finish_mmu"]),
    // All pages that are freed pass one of these.
    (Hook::FreeCommit, &["free_frozen_page_commit"]),
    (Hook::FreeOne, &["free_one_page"]),
    (Hook::RemoveTable, &["tlb_remove_table"]),
    (Hook::FreeDefer, &["pte_free_defer"]),
    (Hook::SwitchMm, &["switch_mm_irqs_off"]),
    (Hook::FlushRange, &["flush_tlb_mm_range"]),
    (Hook::Quiet, &["__switch_to_asm"]),
    // RCU looks whether anything is being read just now, or takes it for quiet.
    (
        Hook::Tick,
        &[
            "rcu_sched_clock_irq",
            "rcu_exp_handler",
            "rcu_note_context_switch",
            "rcu_all_qs",
        ],
    ),
];

/// From its call to its return such a function may have cleared what it flushes later, and have
/// let go of the page table lock in between: of each line one. Any Linux has them, under one of
/// the names, unless its compiler has put the function into another.
const WINDOWS: [&[&str]; 5] = [
    &["shrink_folio_list"],
    &["migrate_pages_batch", "migrate_pages"],
    &["unmap_folio", "__folio_split"],
    &[
        "collapse_file",
        "hpage_collapse_scan_file",
        "collapse_single_pmd",
    ],
    &["try_collapse_pte_mapped_thp", "collapse_pte_mapped_thp"],
];
/// Exits, by number: that of tlb_finish_mmu, and of the windows.
const FINISH: usize = WINDOWS.len();

/// What a window is known by: a gather, or which function and its stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    Gather(u64),
    Function(usize, u64),
}

/// The latest call of flush_tlb_mm_range() on a CPU.
#[derive(Default)]
pub struct FlushCall {
    mm: u64,
    at: u64,
    quiet: u64,
}

pub struct Hooks {
    begin: HashMap<u64, Hook>,
    window: HashMap<u64, usize>,
    /// Whose returns are wanted.
    ends: Vec<(Function, usize)>,
    text: Function,
    banner: u64,
    /// tlb_finish_mmu() that has not returned: by its stack pointer, of which gather.
    finishing: Mutex<HashMap<u64, u64>>,
    calls: [AtomicU64; HOOKS.len()],
    windows: AtomicU64,
    strange: AtomicU64,
}

impl Hooks {
    pub fn new(symbols: &Symbols) -> Result<Self, String> {
        let mut hooks = Self {
            begin: HashMap::new(),
            window: HashMap::new(),
            ends: Vec::new(),
            text: Function {
                start: symbols.address("_text").ok_or("no _text in the map")?,
                end: symbols.address("_etext").ok_or("no _etext in the map")?,
            },
            banner: symbols
                .address("linux_banner")
                .ok_or("no linux_banner in the map")?,
            finishing: Mutex::default(),
            calls: Default::default(),
            windows: AtomicU64::new(0),
            strange: AtomicU64::new(0),
        };
        for (hook, names) in HOOKS {
            let found: Vec<_> = names
                .iter()
                .filter_map(|name| symbols.function(name))
                .collect();
            // Of an optional one there is at least another.
            if found.is_empty() {
                return Err(format!("the map has no function {}", names.join(" or ")));
            }
            for function in &found {
                hooks.begin.insert(function.start, hook);
            }
            if hook == Hook::Finish {
                hooks.ends.push((found[0], FINISH));
            }
        }
        for (number, names) in WINDOWS.iter().enumerate() {
            let function = names
                .iter()
                .find_map(|name| symbols.function(name))
                .ok_or(format!("the map has no function {}", names.join(" or ")))?;
            hooks.window.insert(function.start, number);
            hooks.ends.push((function, number));
        }
        Ok(hooks)
    }

    pub fn counts(&self) -> String {
        let mut words: Vec<_> = HOOKS
            .iter()
            .zip(&self.calls)
            .filter(|((hook, _), _)| !matches!(hook, Hook::Quiet | Hook::Tick))
            .map(|((_, names), calls)| format!("{} {}", names[0], calls.load(SeqCst)))
            .collect();
        words.push(format!("windows {}", self.windows.load(SeqCst)));
        words.push(format!("not understood {}", self.strange.load(SeqCst)));
        words.join(", ")
    }
}

/// Where the kernel's text is in physical memory, without KASLR.
const TEXT: u64 = 0xffff_ffff_8000_0000;

/// # Safety
///
/// In the translation of the instruction, which is a program's.
pub unsafe fn program(insn: *mut Insn, code: &[u8], pc: u64) {
    if decode(code, pc) == decode::Insn::Marker {
        // SAFETY: By the contract.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, R_REGS, std::ptr::null_mut())
        };
    }
}

/// # Safety
///
/// In the translation of the instruction, which is the kernel's.
pub unsafe fn kernel(insn: *mut Insn, code: &[u8], pc: u64, quiet: PerCpu, ticks: PerCpu) {
    let plugin = plugin();
    let hooks = &plugin.hooks;
    let call = |cb: UdataCallback, data: usize| {
        // SAFETY: By the contract.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, R_REGS, data as *mut c_void) }
    };
    let add = |entry: PerCpu| {
        // SAFETY: By the contract.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, INLINE_ADD_U64, entry, 1)
        }
    };
    if hooks.text.has(pc) && !plugin.ram.known() {
        // SAFETY: By the contract.
        let host = unsafe { qemu_plugin_insn_haddr(insn) } as u64;
        if host != 0 {
            plugin.ram.learn(host, pc - TEXT);
        }
    }
    match hooks.begin.get(&pc) {
        Some(Hook::Quiet) => add(quiet),
        Some(Hook::Tick) => add(ticks),
        Some(&hook) => call(begins, hook as usize),
        None => (),
    }
    if let Some(&number) = hooks.window.get(&pc) {
        call(window_opens, number);
    }
    let decoded = decode(code, pc);
    for &(function, number) in &hooks.ends {
        let leaves = match decoded {
            decode::Insn::Ret => true,
            decode::Insn::Jump(to) => !function.has(to),
            _ => false,
        };
        if leaves && function.has(pc) {
            call(ends, number);
        }
    }
    match decoded {
        decode::Insn::LoadCr3(from) => call(loads_cr3, from.into()),
        decode::Insn::LoadCr0Or4 | decode::Insn::Invpcid | decode::Insn::InvlpgSomewhere => {
            call(flushes_all, 0)
        }
        decode::Insn::Invlpg(base, by) => {
            call(flushes_page, base as usize | (by as u32 as usize) << 8)
        }
        decode::Insn::Swapgs => add(quiet),
        _ => (),
    }
}

extern "C" fn marked(index: c_uint, _: *mut c_void) {
    let plugin = plugin();
    let number = plugin.register(plugin.cpu(index), R14);
    plugin.report.mark(number);
}

extern "C" fn loads_cr3(index: c_uint, from: *mut c_void) {
    let plugin = plugin();
    let cpu = plugin.cpu(index);
    cpu.cr3 = plugin.register(cpu, from as usize as Reg);
    plugin.flush_all(index);
    if cpu.switching_to != 0 {
        plugin.shared[index as usize]
            .loaded_mm
            .store(cpu.switching_to, SeqCst);
        cpu.switching_to = 0;
    }
}

extern "C" fn flushes_all(index: c_uint, _: *mut c_void) {
    plugin().flush_all(index);
}

extern "C" fn flushes_page(index: c_uint, how: *mut c_void) {
    let plugin = plugin();
    let (base, by) = (how as usize as Reg, (how as usize >> 8) as u32 as i32);
    let base = plugin.register(plugin.cpu(index), base);
    plugin.flush_page(index, base.wrapping_add_signed(by.into()));
}

extern "C" fn window_opens(index: c_uint, number: *mut c_void) {
    let plugin = plugin();
    let rsp = plugin.register(plugin.cpu(index), RSP);
    plugin.hooks.windows.fetch_add(1, SeqCst);
    plugin.windows.open(Window::Function(number as usize, rsp));
}

/// A function returns, or jumps to another that will: its stack pointer is what it was at first.
extern "C" fn ends(index: c_uint, number: *mut c_void) {
    let plugin = plugin();
    let rsp = plugin.register(plugin.cpu(index), RSP);
    if number as usize != FINISH {
        plugin
            .windows
            .close(&Window::Function(number as usize, rsp));
        return;
    }
    let gather = plugin.hooks.finishing.lock().unwrap().remove(&rsp);
    if let Some(gather) = gather {
        plugin.windows.close(&Window::Gather(gather));
    }
}

extern "C" fn begins(index: c_uint, hook: *mut c_void) {
    let plugin = plugin();
    let cpu = plugin.cpu(index);
    let (hook, _) = HOOKS[hook as usize];
    plugin.hooks.calls[hook as usize].fetch_add(1, SeqCst);
    match hook {
        Hook::Arm => arm(cpu),
        Hook::Gather => {
            let gather = plugin.register(cpu, RDI);
            plugin.windows.open(Window::Gather(gather));
        }
        Hook::Finish => {
            let (gather, rsp) = (plugin.register(cpu, RDI), plugin.register(cpu, RSP));
            plugin.hooks.finishing.lock().unwrap().insert(rsp, gather);
        }
        Hook::FreeCommit => {
            // (zone, pcp, page, migratetype, order, ...)
            let (page, order) = (plugin.register(cpu, RDX), plugin.register(cpu, R8));
            frees(cpu, page, order as u32, None);
        }
        Hook::FreeOne => {
            // (zone, page, pfn, order, ...)
            let (page, frame) = (plugin.register(cpu, RSI), plugin.register(cpu, RDX));
            let order = plugin.register(cpu, RCX);
            frees(cpu, page, order as u32, Some(frame));
        }
        Hook::RemoveTable => {
            let page = plugin.register(cpu, RSI);
            unlinks(cpu, page);
        }
        Hook::FreeDefer => {
            let (mm, page) = (plugin.register(cpu, RDI), plugin.register(cpu, RSI));
            unlinks(cpu, page);
            all_flushed(cpu, index as usize, mm, page);
        }
        Hook::SwitchMm => cpu.switching_to = plugin.register(cpu, RSI),
        Hook::FlushRange => {
            cpu.flush_call = FlushCall {
                mm: plugin.register(cpu, RDI),
                at: plugin.now(),
                quiet: plugin.quiet_of(index as usize),
            }
        }
        Hook::Quiet | Hook::Tick => unreachable!("counted inline"),
    }
}

fn arm(cpu: &mut Cpu) {
    let plugin = plugin();
    if plugin.armed.load(SeqCst) {
        return;
    }
    let direct_map = match plugin.five_levels(cpu) {
        true => 0xff11_0000_0000_0000,
        false => 0xffff_8880_0000_0000,
    };
    let banner = plugin.hooks.banner;
    let right = plugin.check_ram(cpu, banner, banner - TEXT)
        && plugin.check_ram(cpu, direct_map + banner - TEXT, banner - TEXT)
        && (!plugin.ram.has_high()
            || plugin.check_ram(cpu, direct_map + ram::FOUR_GIB, ram::FOUR_GIB));
    if right {
        plugin.report.say(format_args!("begins"));
        plugin.armed.store(true, SeqCst);
    } else {
        plugin.report.say(format_args!(
            "broken: the guest's memory is not where it should be: is it booted with nokaslr?"
        ));
    }
}

/// The frame number of a struct page, without KASLR; they have 64 bytes.
fn frame_of(cpu: &mut Cpu, page: u64) -> Option<u64> {
    let map = match plugin().five_levels(cpu) {
        true => 0xffd4_0000_0000_0000,
        false => 0xffff_ea00_0000_0000,
    };
    let frame = page.wrapping_sub(map) >> 6;
    if page & 63 == 0 && frame < 1 << 40 {
        return Some(frame);
    }
    plugin().hooks.strange.fetch_add(1, SeqCst);
    None
}

fn frees(cpu: &mut Cpu, page: u64, order: u32, frame: Option<u64>) {
    let plugin = plugin();
    let Some(first) = frame_of(cpu, page) else {
        return;
    };
    if order > 20 || frame.is_some_and(|frame| frame != first) {
        plugin.hooks.strange.fetch_add(1, SeqCst);
        return;
    }
    if let Some(table) = plugin.tables.free(first, order, || plugin.quiet_for_rcu()) {
        wrong(
            Class::EarlyFree,
            format_args!(
                "table {table:#x} is freed, and not every CPU was quiet since it was given to RCU"
            ),
        );
    }
}

fn unlinks(cpu: &mut Cpu, page: u64) {
    let plugin = plugin();
    if let Some(frame) = frame_of(cpu, page) {
        plugin.tables.unlink(frame, plugin.quiet_for_rcu());
    }
}

/// The task has flushed just now, before it gives the table to RCU; whoever has the address space
/// loaded, lazily too, must have heard of it. If the task may have changed its CPU since, there is
/// nothing to compare with.
fn all_flushed(cpu: &mut Cpu, index: usize, mm: u64, page: u64) {
    let plugin = plugin();
    let call = &cpu.flush_call;
    if call.mm != mm || call.quiet != plugin.quiet_of(index) {
        return;
    }
    for (other, shared) in plugin.shared.iter().enumerate() {
        if other != index
            && shared.loaded_mm.load(SeqCst) == mm
            && shared.flushed.load(SeqCst) < call.at
        {
            wrong(
                Class::Unflushed,
                format_args!(
                    "cpu {other} has the address space {mm:#x} loaded, and was not flushed before the table of page {page:#x} is given to RCU"
                ),
            );
        }
    }
}

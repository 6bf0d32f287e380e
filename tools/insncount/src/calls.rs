// SPDX-License-Identifier: GPL-2.0

//! What QEMU calls while the guest runs. All of it is said to read registers: which CPU it is, too,
//! only they tell.

use crate::{
    block::Block,
    context::Kind,
    counts::Event,
    cpu::Cpu,
    plugin::{State, plugin},
};
use qemu_plugin::{
    cpu::{GS_BASE, KERNEL_GS_BASE, R14, RAX, RCX, RDI, RDX, RSI, RSP},
    decode::{Reg, Repeated},
};
use std::{
    ffi::{c_uint, c_void},
    sync::MutexGuard,
};

/// A CPU in a callback of its own.
struct Now {
    state: MutexGuard<'static, State>,
}

impl Now {
    /// In a block of the kernel's: what is executed of it is counted.
    fn of(index: c_uint) -> Self {
        let plugin = plugin();
        let mut now = Self {
            state: plugin.state.lock().unwrap(),
        };
        if !now.state.phases.are_running() {
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

pub extern "C" fn runs(index: c_uint, block: *mut c_void) {
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

pub extern "C" fn enters(index: c_uint, kind: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    let kind = [Kind::Interrupt, Kind::Exception, Kind::Rcu][kind as usize];
    let after = now.cpu().last_pc();
    now.cpu().context.enter(kind, rsp, after);
}

pub extern "C" fn irets(index: c_uint, _: *mut c_void) {
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

pub extern "C" fn system_call(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    if now.cpu().context.clear() {
        now.cpu().happened(Event::Unpaired, 1);
    }
}

pub extern "C" fn begins(index: c_uint, _: *mut c_void) {
    Now::of(index).cpu().context.begins();
}

pub extern "C" fn exits(index: c_uint, _: *mut c_void) {
    Now::of(index).cpu().context.clear();
}

/// (prev, next)
pub extern "C" fn switches(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let (from, to) = (now.register(RDI), now.register(RSI));
    now.state.machine.switch_task(from, to);
}

/// (unused, mm, task)
pub extern "C" fn loads_mm(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let (mm, task) = (now.register(RSI), now.register(RDX));
    now.cpu().context.loads(mm, task);
}

pub extern "C" fn halts(index: c_uint, _: *mut c_void) {
    Now::of(index).cpu().context.halts();
}

pub extern "C" fn rcu_returns(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    now.cpu().context.leave_rcu(rsp);
}

/// (lock)
pub extern "C" fn locks(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let (lock, rsp) = (now.register(RDI), now.register(RSP));
    let by = now.cpu().before;
    now.cpu().holds.wants(lock, rsp, by);
}

pub extern "C" fn lock_returns(index: c_uint, tried: *mut c_void) {
    let mut now = Now::of(index);
    let rsp = now.register(RSP);
    let success = tried.is_null() || now.register(RAX) as u32 != 0;
    let time = now.cpu().now();
    now.cpu().holds.got(rsp, success, time);
}

/// (lock)
pub extern "C" fn unlocks(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let lock = now.register(RDI);
    let (by, time) = (now.cpu().before, now.cpu().now());
    now.cpu().holds.released(lock, by, time);
}

/// (flags, order, ...)
pub extern "C" fn allocates(index: c_uint, _: *mut c_void) {
    let mut now = Now::of(index);
    let order = now.register(RSI) as u32;
    let pages = 1_u64.checked_shl(order).unwrap_or(0);
    now.cpu().happened(Event::PageAllocated, pages);
}

pub extern "C" fn happens(index: c_uint, event: *mut c_void) {
    Now::of(index).cpu().happened(Event::ALL[event as usize], 1);
}

pub extern "C" fn stores(index: c_uint, size: *mut c_void) {
    repeats(index, Repeated::Stos(size as usize as u8));
}

pub extern "C" fn copies(index: c_uint, size: *mut c_void) {
    repeats(index, Repeated::Movs(size as usize as u8));
}

fn repeats(index: c_uint, what: Repeated) {
    let mut now = Now::of(index);
    // Hundreds of times for each page: nothing is read for them.
    if now.cpu().goes_on() {
        return;
    }
    let (times, to, from) = (now.register(RCX), now.register(RDI), now.register(RSI));
    now.cpu().repeats(what, times, to, from);
}

/// All CPUs end the phase that there is, and begin the next.
pub extern "C" fn marked(_: c_uint, _: *mut c_void) {
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
    phases.mark(number, || machine.end(), &plugin.names.lock().unwrap());
    machine.switch_to(key);
    machine.begin();
    for index in 0..plugin.cpus as c_uint {
        plugin.executed.set(index, 0);
    }
    for index in 0..plugin.cpus as c_uint {
        plugin.active.set(index, (number != 0).into());
    }
}

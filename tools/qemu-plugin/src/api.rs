// SPDX-License-Identifier: GPL-2.0

//! What is used of QEMU's plugin interface, version 4 (QEMU 10), and of the GLib that comes with
//! it. Debian ships no header for it.

use std::ffi::{c_char, c_int, c_uint, c_void};

pub type Id = u64;
pub type MemInfo = u32;

/// Which registers a callback reads.
pub const NO_REGS: c_int = 0;
pub const R_REGS: c_int = 1;
pub const MEM_RW: c_int = 3;
pub const INLINE_ADD_U64: c_int = 0;
/// When a conditional callback is called.
pub const COND_NE: c_int = 3;

#[repr(C)]
pub struct Info {
    pub target_name: *const c_char,
    pub version_min: c_int,
    pub version_cur: c_int,
    pub system_emulation: bool,
    pub smp_vcpus: c_int,
    pub max_vcpus: c_int,
}

macro_rules! opaque {
    ($($name:ident),*) => { $(
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )* };
}
opaque!(Tb, Insn, HwAddr, Register, Scoreboard);

#[repr(C)]
pub struct RegDescriptor {
    pub handle: *mut Register,
    pub name: *const c_char,
    pub feature: *const c_char,
}

/// GArray; GByteArray has the same fields.
#[repr(C)]
pub struct Array {
    pub data: *mut u8,
    pub len: c_uint,
}

/// A number of each CPU, on a scoreboard.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PerCpu {
    pub score: *mut Scoreboard,
    pub offset: usize,
}

pub type CpuCallback = extern "C" fn(Id, c_uint);
pub type UdataCallback = extern "C" fn(c_uint, *mut c_void);
pub type MemCallback = extern "C" fn(c_uint, MemInfo, u64, *mut c_void);

unsafe extern "C" {
    pub fn qemu_plugin_register_vcpu_init_cb(id: Id, cb: CpuCallback);
    pub fn qemu_plugin_register_vcpu_idle_cb(id: Id, cb: CpuCallback);
    pub fn qemu_plugin_register_vcpu_resume_cb(id: Id, cb: CpuCallback);
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, cb: extern "C" fn(Id, *mut Tb));
    pub fn qemu_plugin_register_atexit_cb(
        id: Id,
        cb: extern "C" fn(Id, *mut c_void),
        data: *mut c_void,
    );

    pub fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    pub fn qemu_plugin_tb_get_insn(tb: *const Tb, index: usize) -> *mut Insn;
    pub fn qemu_plugin_insn_vaddr(insn: *const Insn) -> u64;
    pub fn qemu_plugin_insn_haddr(insn: *const Insn) -> *mut c_void;
    pub fn qemu_plugin_insn_data(insn: *const Insn, to: *mut c_void, len: usize) -> usize;

    pub fn qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
        tb: *mut Tb,
        op: c_int,
        entry: PerCpu,
        by: u64,
    );
    pub fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
        insn: *mut Insn,
        op: c_int,
        entry: PerCpu,
        by: u64,
    );
    pub fn qemu_plugin_register_vcpu_tb_exec_cond_cb(
        tb: *mut Tb,
        cb: UdataCallback,
        flags: c_int,
        cond: c_int,
        entry: PerCpu,
        imm: u64,
        data: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_insn_exec_cond_cb(
        insn: *mut Insn,
        cb: UdataCallback,
        flags: c_int,
        cond: c_int,
        entry: PerCpu,
        imm: u64,
        data: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Insn,
        cb: UdataCallback,
        flags: c_int,
        data: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_mem_cb(
        insn: *mut Insn,
        cb: MemCallback,
        flags: c_int,
        rw: c_int,
        data: *mut c_void,
    );

    pub fn qemu_plugin_mem_is_store(info: MemInfo) -> bool;
    pub fn qemu_plugin_get_hwaddr(info: MemInfo, vaddr: u64) -> *mut HwAddr;
    pub fn qemu_plugin_hwaddr_is_io(addr: *const HwAddr) -> bool;
    pub fn qemu_plugin_hwaddr_phys_addr(addr: *const HwAddr) -> u64;

    pub fn qemu_plugin_get_registers() -> *mut Array;
    pub fn qemu_plugin_read_register(handle: *mut Register, to: *mut Array) -> c_int;
    pub fn qemu_plugin_read_memory_vaddr(addr: u64, to: *mut Array, len: usize) -> bool;

    pub fn qemu_plugin_scoreboard_new(size: usize) -> *mut Scoreboard;
    pub fn qemu_plugin_u64_get(entry: PerCpu, cpu: c_uint) -> u64;
    pub fn qemu_plugin_u64_set(entry: PerCpu, cpu: c_uint, value: u64);

    pub fn g_byte_array_new() -> *mut Array;
    pub fn g_byte_array_set_size(array: *mut Array, len: c_uint) -> *mut Array;
    pub fn g_array_get_element_size(array: *mut Array) -> c_uint;
}

// SPDX-License-Identifier: GPL-2.0

//! A CPU's registers, and the memory as it sees it.

use crate::{api::*, decode::Reg};
use std::{ffi::CStr, ptr, sync::OnceLock};

pub const RAX: Reg = 0;
pub const RCX: Reg = 1;
pub const RDX: Reg = 2;
pub const RSP: Reg = 4;
pub const RSI: Reg = 6;
pub const RDI: Reg = 7;
pub const R8: Reg = 8;
pub const R14: Reg = 14;
/// After the general ones.
pub const CR3: Reg = 16;
pub const CR4: Reg = 17;
pub const GS_BASE: Reg = 18;
/// What SWAPGS swaps it with.
pub const KERNEL_GS_BASE: Reg = 19;

const NAMES: [&CStr; 20] = [
    c"rax",
    c"rcx",
    c"rdx",
    c"rbx",
    c"rsp",
    c"rbp",
    c"rsi",
    c"rdi",
    c"r8",
    c"r9",
    c"r10",
    c"r11",
    c"r12",
    c"r13",
    c"r14",
    c"r15",
    c"cr3",
    c"cr4",
    c"gs_base",
    c"k_gs_base",
];

/// QEMU's handles, which are the same for all CPUs.
#[derive(Default)]
pub struct Registers(OnceLock<[usize; NAMES.len()]>);

impl Registers {
    /// False if QEMU does not tell of all of them.
    ///
    /// # Safety
    ///
    /// In the callback in which a CPU is made.
    #[inline]
    pub unsafe fn learn(&self) -> bool {
        // SAFETY: By the contract; an array of descriptors, each of the size that it says.
        let found = unsafe {
            let all = qemu_plugin_get_registers();
            let size = g_array_get_element_size(all) as usize;
            NAMES.map(|name| {
                (0..(*all).len as usize)
                    .map(|n| &*(*all).data.add(n * size).cast::<RegDescriptor>())
                    .find(|register| CStr::from_ptr(register.name) == name)
                    .map_or(0, |register| register.handle as usize)
            })
        };
        let _ = self.0.set(found);
        !found.contains(&0)
    }

    /// The value now.
    ///
    /// # Safety
    ///
    /// In a callback of the CPU that said that it reads registers.
    #[inline]
    pub unsafe fn read(&self, buffer: &mut Buffer, register: Reg) -> u64 {
        let handle = self.0.get().expect("a CPU was made")[register as usize] as *mut Register;
        // SAFETY: A handle of QEMU's; the rest is the contract.
        unsafe {
            g_byte_array_set_size(buffer.0, 0);
            if qemu_plugin_read_register(handle, buffer.0) < 8 {
                return 0;
            }
            ptr::read_unaligned((*buffer.0).data.cast())
        }
    }
}

/// What QEMU writes values to.
pub struct Buffer(*mut Array);

// SAFETY: It is used by whoever has it, and belongs to no thread.
unsafe impl Send for Buffer {}

impl Buffer {
    #[expect(clippy::new_without_default)]
    #[inline]
    pub fn new() -> Self {
        // SAFETY: It wants nothing, and the array is never freed.
        Self(unsafe { g_byte_array_new() })
    }

    /// Eight bytes of the kernel's memory.
    ///
    /// # Safety
    ///
    /// In a callback of the CPU whose page tables are meant.
    #[inline]
    pub unsafe fn memory(&mut self, addr: u64) -> Option<u64> {
        // SAFETY: By the contract, and the array is this buffer's.
        unsafe {
            g_byte_array_set_size(self.0, 0);
            qemu_plugin_read_memory_vaddr(addr, self.0, 8)
                .then(|| ptr::read_unaligned((*self.0).data.cast()))
        }
    }
}

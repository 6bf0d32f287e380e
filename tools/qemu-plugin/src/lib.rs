// SPDX-License-Identifier: GPL-2.0

//! What plugins for QEMU that look at a Linux guest have in common: `api` is the part of QEMU's
//! interface that is used, `cpu` reads a CPU's registers and memory by it, `install` takes what
//! QEMU hands to a plugin. `symbols`, `decode` and `options` are pure.
//!
//! What calls QEMU is `#[inline]`: it is compiled into plugins only, which QEMU loads, and not
//! into what is linked without it, as unit tests are.

pub mod api;
pub mod cpu;
pub mod decode;
pub mod install;
pub mod options;
pub mod symbols;

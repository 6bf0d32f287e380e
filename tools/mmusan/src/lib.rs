// SPDX-License-Identifier: GPL-2.0

//! A sanitizer of page tables: a QEMU plugin that compares, at accesses of programs in the guest,
//! the page that the TLB used with what the page tables say, and reports what Linux may never let
//! happen. README.md has what it finds, and what it cannot.
//!
//! `walk`, `judge`, `grace`, `tables`, `options` are pure; `plugin` and `hooks` have the rest, on
//! what `qemu_plugin` has of QEMU and of the kernel's functions, and `ram` of the guest's memory.

// With cargo test there is no QEMU, and what only QEMU calls is dead.
#![cfg_attr(test, allow(dead_code))]

mod grace;
mod judge;
mod options;
mod tables;
mod walk;

#[cfg(not(test))]
mod hooks;
#[cfg(not(test))]
mod plugin;
#[cfg(not(test))]
mod ram;
#[cfg(not(test))]
mod report;

// SPDX-License-Identifier: GPL-2.0

//! A QEMU plugin that counts the instructions of the guest's kernel between two marks of a
//! program, by function and by what they are run for. README.md has what is counted, and what
//! cannot be told.
//!
//! `plugin`, `calls` and `score` have to do with QEMU, on what `qemu_plugin` has of its interface;
//! all else is pure.

// With cargo test there is no QEMU, and what only QEMU calls is dead.
#![cfg_attr(test, allow(dead_code))]

mod block;
mod context;
mod counts;
mod cpu;
mod holds;
mod hooks;
mod machine;
mod names;
mod options;
mod phases;
mod report;

#[cfg(not(test))]
mod calls;
#[cfg(not(test))]
mod plugin;
#[cfg(not(test))]
mod score;

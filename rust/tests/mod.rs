// SPDX-License-Identifier: GPL-2.0

//! KUnit suites, on the page tables of a real address space. They run when the kernel boots or the
//! module is loaded; `/sys/kernel/debug/kunit/<suite>/results` has what came out.

mod pgtable;
mod reclaim;
mod shim;
mod sweep;

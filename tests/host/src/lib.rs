// SPDX-License-Identifier: GPL-2.0

//! `rust/policy.rs` as it is in the module, and what must be true of it.

#[path = "../../../rust/policy.rs"]
#[allow(dead_code)]
mod policy;

#[cfg(test)]
mod tests;

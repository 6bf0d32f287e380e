// SPDX-License-Identifier: GPL-2.0

//! The module's pure logic as it is in the module, and what must be true of it.

#[path = "../../../rust/scan/bits.rs"]
#[allow(dead_code)]
mod bits;
#[path = "../../../rust/scan/patience.rs"]
#[allow(dead_code)]
mod patience;
#[path = "../../../rust/policy.rs"]
#[allow(dead_code)]
mod policy;
#[path = "../../../rust/scan/stamp.rs"]
#[allow(dead_code)]
mod stamp;

#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod tests;

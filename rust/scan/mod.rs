// SPDX-License-Identifier: GPL-2.0

//! Finding what no zap could free: who is worth a look, when, and what is freed of it.
//! `Documentation/scanning.md` has the way through these files.

pub(crate) mod bits;
pub(crate) mod found;
pub(crate) mod hints;
pub(crate) mod ledger;
pub(crate) mod patience;
pub(crate) mod scanner;
pub(crate) mod stamp;
pub(crate) mod sweep;

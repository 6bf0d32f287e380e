// SPDX-License-Identifier: GPL-2.0

//! `cargo test`: the right model has nothing wrong in any state, and each broken twin is found.

mod right;
mod twins;

// SPDX-License-Identifier: GPL-2.0

//! What is compared.

use serde::{
    Deserialize,
    Serialize, //
};

/// A kernel, and what reclaims page tables there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Linux without the patches, and its own reclaim.
    Stock,
    /// The patched kernel without the module: the same reclaim.
    Patched,
    /// The module is loaded and switched off: the same again.
    Loaded,
    /// The module.
    On,
    /// The patched kernel, and no reclaim.
    Off,
}

impl Mode {
    pub const ALL: [Self; 5] = [Self::Stock, Self::Patched, Self::Loaded, Self::On, Self::Off];

    /// As in names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Patched => "patched",
            Self::Loaded => "loaded",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

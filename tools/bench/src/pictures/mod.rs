// SPDX-License-Identifier: GPL-2.0

//! Pictures of a report, as SVG.

pub mod chart;
mod curves;
mod dots;
mod growth;
mod latency;
mod svg;

use std::{
    fs,
    path::Path, //
};

use anyhow::{
    Context as _,
    Result, //
};

use crate::{
    mode::Mode,
    report::Report, //
};
use svg::Colour;

// Told apart by everyone, whatever colours they see.
const NONE: Colour = "#8c8c8c";
const OWN: Colour = "#0072b2";
const MODULE: Colour = "#d55e00";
const NEEDED: Colour = "#00866a";
const NEEDED_AREA: Colour = "#d9f0e8";

/// In the order in which they are drawn, one over the other.
const PROGRAM_MODES: [(Mode, Colour, &str); 3] = [
    (Mode::Off, NONE, "no reclaim"),
    (Mode::Patched, OWN, "Linux's own"),
    (Mode::On, MODULE, "module"),
];

/// Those that the report has something for: the names of their files, and the pictures.
pub fn all(report: &Report) -> Vec<(&'static str, String)> {
    [
        ("programs.svg", curves::programs(report)),
        ("system.svg", curves::system(report)),
        ("cost.svg", dots::dots(report)),
        ("growth.svg", growth::growth(report)),
        ("latency.svg", latency::latency(report)),
    ]
    .into_iter()
    .filter_map(|(name, svg)| Some((name, svg?)))
    .collect()
}

/// Into a folder that is there.
pub fn write(report: &Report, folder: &Path) -> Result<()> {
    for (name, svg) in all(report) {
        let path = folder.join(name);
        fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

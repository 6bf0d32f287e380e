// SPDX-License-Identifier: GPL-2.0

//! VmPTE over time: a small picture for each program, all on one page.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::{
    MODULE,
    OFF,
    OWN,
    said, //
};
use crate::{
    mode::Mode,
    programs::{
        Moment,
        Program, //
    },
    report::{
        Report, //
    },
};

const COLUMNS: usize = 3;
const WIDTH: u32 = 340;
const HEIGHT: u32 = 240;
const LEGEND: u32 = 30;
/// In the order in which they are drawn, one over the other.
const LINES: [(Mode, RGBColor, &str); 3] = [
    (Mode::Off, OFF, "no reclaim"),
    (Mode::Patched, OWN, "Linux's own"),
    (Mode::On, MODULE, "the module"),
];
const LEAST: RGBColor = RGBColor(40, 150, 60);

/// All programs of the report; nothing is drawn if it has none.
pub fn curves(report: &Report, path: &Path) -> Result<()> {
    if report.programs.is_empty() {
        return Ok(());
    }
    let rows = report.programs.len().div_ceil(COLUMNS);
    let size = (WIDTH * COLUMNS as u32, HEIGHT * rows as u32 + LEGEND);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(said)?;
    let (legend, all) = root.split_vertically(LEGEND);
    draw_legend(&legend)?;
    for (area, program) in all.split_evenly((rows, COLUMNS)).iter().zip(&report.programs) {
        draw(area, program)?;
    }
    root.present().map_err(said)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_legend(area: &Area<'_>) -> Result<()> {
    let names = LINES.iter().map(|(_, colour, name)| (*colour, *name));
    let names = names.chain([(LEAST, "needed, with the module")]);
    for (n, (colour, name)) in names.enumerate() {
        let x = 20 + n as i32 * 200;
        area.draw(&PathElement::new([(x, 15), (x + 24, 15)], colour.stroke_width(3)))
            .map_err(said)?;
        area.draw(&Text::new(name, (x + 32, 9), ("sans-serif", 14))).map_err(said)?;
    }
    Ok(())
}

fn seconds(moment: &Moment) -> f64 {
    moment.ms as f64 / 1000.0
}

fn draw(area: &Area<'_>, program: &Program) -> Result<()> {
    let moments = || program.runs.values().flat_map(|run| &run.curve);
    let last = moments().map(seconds).fold(1.0, f64::max);
    let most = moments().map(|m| m.footprint.vmpte as f64).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(&program.name, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last, 0.0..most * 1.05)
        .map_err(said)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(5)
        .y_labels(4)
        .x_label_formatter(&|s| format!("{s:.0} s"))
        .y_label_formatter(&|kb| format!("{kb:.0} kB"))
        .label_style(("sans-serif", 11))
        .draw()
        .map_err(said)?;
    if let Some(run) = program.runs.get(&Mode::On) {
        let least = run.curve.iter().map(|m| (seconds(m), m.footprint.least as f64));
        chart.draw_series(LineSeries::new(least, LEAST.stroke_width(1))).map_err(said)?;
    }
    for (mode, colour, _) in LINES {
        let Some(run) = program.runs.get(&mode) else {
            continue;
        };
        let line = run.curve.iter().map(|m| (seconds(m), m.footprint.vmpte as f64));
        chart.draw_series(LineSeries::new(line, colour.stroke_width(2))).map_err(said)?;
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! Page tables over time: a small picture for each program, all on one page; a large one of the
//! whole system.

use super::{
    NEEDED,
    NEEDED_AREA,
    PROGRAM_MODES,
    chart::{
        Chart,
        FAINT,
        Scale,
        TEXT,
        round_numbers,
        round_sizes,
        size, //
    },
    svg::{
        Font,
        Pen,
        Svg, //
    }, //
};
use crate::{
    mode::Mode,
    programs::{
        Moment,
        Program,
        SYSTEM,
        title, //
    },
    report::Report,
};

const COLUMNS: usize = 2;
const WIDTH: f64 = 490.0;
const HEIGHT: f64 = 210.0;
/// Beside the lines, for their names.
const NAMES: f64 = 172.0;

/// All programs of the report; `None` if it has none.
pub fn programs(report: &Report) -> Option<String> {
    let programs: Vec<&Program> = report.programs.iter().filter(|p| p.name != SYSTEM).collect();
    if programs.is_empty() {
        return None;
    }
    let rows = programs.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(WIDTH * COLUMNS as f64, 56.0 + HEIGHT * rows as f64);
    svg.text((16.0, 20.0), "Page tables of a program over time", Font::new(17.0, TEXT).bold());
    svg.text(
        (16.0, 41.0),
        "VmPTE; at the right, what is left in the end. Green is what the memory in use needs.",
        Font::new(12.0, FAINT),
    );
    for (n, program) in programs.into_iter().enumerate() {
        let left = (n % COLUMNS) as f64 * WIDTH;
        let top = 56.0 + (n / COLUMNS) as f64 * HEIGHT;
        svg.text((left + 64.0, top + 14.0), title(&program.name), Font::new(13.0, TEXT).bold());
        let area = (left + 64.0, top + 28.0, WIDTH - 64.0 - NAMES, HEIGHT - 60.0);
        draw(&mut svg, area, program, |m| m.footprint.vmpte);
    }
    Some(svg.finish())
}

/// What /proc/vmstat says while several programs run at once; `None` if that was not run.
pub fn system(report: &Report) -> Option<String> {
    let program = report.programs.iter().find(|p| p.name == SYSTEM)?;
    if !program.runs.values().flat_map(|run| &run.curve).any(|m| m.tables.is_some()) {
        return None;
    }
    let mut svg = Svg::new(900.0, 420.0);
    svg.text(
        (16.0, 20.0),
        "Page tables of the whole system, several programs at once",
        Font::new(17.0, TEXT).bold(),
    );
    svg.text(
        (16.0, 41.0),
        "nr_page_table_pages; at the right, what is left in the end. Green is what these programs need of it.",
        Font::new(12.0, FAINT),
    );
    let area = (70.0, 62.0, 900.0 - 70.0 - NAMES, 315.0);
    draw(&mut svg, area, program, |m| m.tables.unwrap_or(0));
    Some(svg.finish())
}

fn seconds(moment: &Moment) -> f64 {
    moment.ms as f64 / 1000.0
}

fn draw(
    svg: &mut Svg,
    (left, top, width, height): (f64, f64, f64, f64),
    program: &Program,
    kb: impl Fn(&Moment) -> u64,
) {
    let moments = || program.runs.values().flat_map(|run| &run.curve);
    let last = moments().map(seconds).fold(1.0, f64::max);
    let most = moments().map(|m| kb(m) as f64).fold(1.0, f64::max) * 1.05;
    let chart = Chart {
        left,
        top,
        width,
        height,
        x: Scale::Linear { from: 0.0, to: last },
        y: Scale::Linear { from: 0.0, to: most },
    };
    chart.y_ticks(svg, &round_sizes(most, (height / 36.0) as usize));
    let mut names = Vec::new();
    if let Some(run) = program.runs.get(&Mode::On) {
        let least: Vec<_> =
            run.curve.iter().map(|m| (seconds(m), m.footprint.least as f64)).collect();
        chart.area(svg, &least, NEEDED_AREA);
        chart.line(svg, &least, Pen::new(NEEDED, 1.0));
        if let Some((_, kb)) = least.last() {
            names.push((*kb, format!("needed {}", size(*kb)), NEEDED));
        }
    }
    for (mode, colour, name) in PROGRAM_MODES {
        let Some(run) = program.runs.get(&mode) else {
            continue;
        };
        let line: Vec<_> = run.curve.iter().map(|m| (seconds(m), kb(m) as f64)).collect();
        chart.line(svg, &line, Pen::new(colour, 2.0));
        if let Some((_, kb)) = line.last() {
            names.push((*kb, format!("{name} {}", size(*kb)), colour));
        }
    }
    let ticks: Vec<_> = round_numbers(last, (width / 60.0) as usize)
        .into_iter()
        .map(|s| (s, format!("{s:.0} s")))
        .collect();
    chart.x_ticks(svg, &ticks);
    chart.names(svg, &names);
}

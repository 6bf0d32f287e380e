// SPDX-License-Identifier: GPL-2.0

//! Each row as a dot, by what it costs with the module over what it costs with Linux's own reclaim.

use super::{
    MODULE,
    NEEDED,
    chart::{
        Chart,
        FAINT,
        Scale,
        TEXT, //
    },
    svg::{
        Colour,
        Font,
        Pen,
        Svg, //
    }, //
};
use crate::{
    mode::Mode,
    report::{
        Gain,
        Report,
        Row, //
    }, //
};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 250.0;
/// Beside the dots, for the numbers.
const NUMBERS: f64 = 80.0;
const LINE: f64 = 16.0;
/// What is farther from 1 is at the edge, with an arrow.
const FROM: f64 = 0.90;
const TO: f64 = 1.12;

/// `None` if no row has both.
pub fn dots(report: &Report) -> Option<String> {
    let of = |gain| -> Vec<(&Row, f64)> {
        let rows = report.rows.iter().filter(|row| row.gain == gain);
        rows.filter_map(|row| Some((row, row.ratio(Mode::On, Mode::Patched)?))).collect()
    };
    let sections = [
        ("Nothing is to be freed", of(Gain::Nothing), MODULE),
        ("Tables become empty, and the module frees them", of(Gain::Frees), NEEDED),
    ];
    let rows: usize = sections.iter().map(|(_, rows, _)| rows.len()).sum();
    if rows == 0 {
        return None;
    }
    let top = 84.0;
    let height = LINE * rows as f64 + 2.0 * 30.0;
    let mut svg = Svg::new(WIDTH, top + height + 40.0);
    head(&mut svg);
    let chart = Chart {
        left: LEFT,
        top,
        width: WIDTH - LEFT - NUMBERS,
        height,
        x: Scale::Linear { from: FROM, to: TO },
        y: Scale::Linear { from: 0.0, to: 1.0 },
    };
    let ticks: Vec<(f64, String)> =
        (0..=11).map(|n| FROM + 0.02 * f64::from(n)).map(|n| (n, format!("{n:.2}"))).collect();
    chart.x_grid(&mut svg, &ticks);
    chart.x_ticks(&mut svg, &ticks);
    let one = chart.across(1.0);
    svg.line((one, chart.top), (one, chart.bottom()), Pen::new(TEXT, 1.5));
    let mut y = top;
    for (title, rows, colour) in sections {
        svg.text((16.0, y + 16.0), title, Font::new(13.0, TEXT).bold());
        y += 30.0;
        for (row, ratio) in rows {
            // Where no arrow comes.
            svg.text((LEFT - 16.0, y + 4.0), &row.name, Font::new(11.5, TEXT).end());
            if let Some(patches) = row.ratio(Mode::Patched, Mode::Stock) {
                let x = chart.across(patches.clamp(FROM, TO));
                svg.ring((x, y + 4.0), 4.0, Pen::new("#57606a", 1.2));
            }
            dot(&mut svg, &chart, ratio, y + 4.0, colour);
            let number = Font::new(11.5, colour).end();
            svg.text((WIDTH - 20.0, y + 4.0), &format!("{ratio:.3}"), number);
            y += LINE;
        }
    }
    Some(svg.finish())
}

fn head(svg: &mut Svg) {
    svg.text(
        (16.0, 20.0),
        "What a call costs, in instructions of the kernel",
        Font::new(17.0, TEXT).bold(),
    );
    let y = 46.0;
    svg.dot((24.0, y), 4.5, MODULE);
    svg.dot((38.0, y), 4.5, NEEDED);
    let font = Font::new(12.0, FAINT);
    svg.text((50.0, y), "the module / Linux's own reclaim: 1.00 is the same, more is dearer", font);
    svg.ring((556.0, y), 4.0, Pen::new("#57606a", 1.2));
    svg.text((566.0, y), "the patches without the module / unpatched", font);
    svg.text((WIDTH - 20.0, 70.0), "module", Font::new(11.5, FAINT).end());
}

fn dot(svg: &mut Svg, chart: &Chart, ratio: f64, y: f64, colour: Colour) {
    let x = chart.across(ratio.clamp(FROM, TO));
    let arrow = |tip: f64| [(x + tip, y), (x, y - 5.0), (x, y + 5.0)];
    match ratio {
        r if r < FROM => svg.area(&arrow(-10.0), colour),
        r if r > TO => svg.area(&arrow(10.0), colour),
        _ => svg.dot((x, y), 4.5, colour),
    }
}

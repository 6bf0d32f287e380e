// SPDX-License-Identifier: GPL-2.0

//! Pictures of a report, as SVG.

mod curves;

pub use curves::curves;

use std::path::Path;

use anyhow::{
    Result,
    anyhow, //
};
use plotters::{
    coord::CoordTranslate,
    prelude::*, //
};

use crate::{
    mode::Mode,
    report::{
        Gain,
        Report,
        Row, //
    }, //
};

const OWN: RGBColor = RGBColor(120, 120, 120);
const OFF: RGBColor = RGBColor(190, 190, 190);
const MODULE: RGBColor = RGBColor(200, 60, 30);
const FREES: RGBColor = RGBColor(30, 100, 190);

/// Each row as a dot, by what it costs with the module over what it costs with Linux's own reclaim.
pub fn dots(report: &Report, path: &Path) -> Result<()> {
    let rows: Vec<(&Row, f64)> = report
        .rows
        .iter()
        .rev()
        .filter_map(|row| Some((row, row.ratio(Mode::On, Mode::Patched)?)))
        .collect();
    let names: Vec<&str> = rows.iter().map(|(row, _)| row.name.as_str()).collect();
    let height = 90 + 17 * rows.len() as u32;
    let root = SVGBackend::new(path, (900, height)).into_drawing_area();
    root.fill(&WHITE).map_err(said)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Instructions with the module / with Linux's own reclaim", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(250)
        .build_cartesian_2d(0.0f64..2.0, (0..rows.len() as u32).into_segmented())
        .map_err(said)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_labels(11)
        .y_labels(rows.len())
        .y_label_formatter(&|at| match at {
            SegmentValue::CenterOf(n) => names.get(*n as usize).copied().unwrap_or("").to_owned(),
            _ => String::new(),
        })
        .x_desc("1.0 is the same")
        .label_style(("sans-serif", 12))
        .draw()
        .map_err(said)?;
    let line = |x: f64| [(x, SegmentValue::Exact(0)), (x, SegmentValue::Exact(rows.len() as u32))];
    chart.draw_series(LineSeries::new(line(1.0), BLACK)).map_err(said)?;
    for (gain, colour, title) in
        [(Gain::Nothing, MODULE, "nothing to free"), (Gain::Frees, FREES, "tables become empty")]
    {
        let of = rows.iter().enumerate().filter(|(_, (row, _))| row.gain == gain);
        let dots = of.map(|(n, (_, ratio))| {
            Circle::new((ratio.min(2.0), SegmentValue::CenterOf(n as u32)), 4, colour.filled())
        });
        chart
            .draw_series(dots)
            .map_err(said)?
            .label(title)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    legend(&mut chart)?;
    root.present().map_err(said)
}

/// What a table costs when there are ten of them, and when there are a hundred thousand.
pub fn growth(report: &Report, path: &Path) -> Result<()> {
    let series = [
        ("one madvise(), Linux's own reclaim", "growth.zap.", Mode::Patched, OWN),
        ("one madvise(), the module", "growth.zap.", Mode::On, MODULE),
        ("one request to the module", "module.growth.request.", Mode::On, FREES),
    ];
    let points = |prefix: &str, mode| -> Vec<(f64, f64)> {
        let of = report.rows.iter().filter_map(|row| {
            let tables: f64 = row.name.strip_prefix(prefix)?.parse().ok()?;
            Some((tables, row.each(mode)?))
        });
        of.collect()
    };
    let most = series
        .iter()
        .flat_map(|(_, prefix, mode, _)| points(prefix, *mode))
        .fold(1.0, |most: f64, (_, each)| most.max(each));
    let root = SVGBackend::new(path, (900, 480)).into_drawing_area();
    root.fill(&WHITE).map_err(said)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Instructions to free one table, by how many there are", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((10.0f64..100_000.0).log_scale(), 0.0..most * 1.1)
        .map_err(said)?;
    chart
        .configure_mesh()
        .x_desc("tables freed by one call")
        .y_desc("instructions per table")
        .x_label_formatter(&|tables| format!("{tables:.0}"))
        .y_label_formatter(&|n| format!("{n:.0}"))
        .label_style(("sans-serif", 12))
        .draw()
        .map_err(said)?;
    for (title, prefix, mode, colour) in series {
        let points = points(prefix, mode);
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
            .map_err(said)?
            .label(title)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart
            .draw_series(points.into_iter().map(|at| Circle::new(at, 4, colour.filled())))
            .map_err(said)?;
    }
    legend(&mut chart)?;
    root.present().map_err(said)
}

fn legend<'a, Backend, Coordinates>(
    chart: &mut ChartContext<'a, Backend, Coordinates>,
) -> Result<()>
where
    Backend: DrawingBackend + 'a,
    Coordinates: CoordTranslate,
{
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .label_font(("sans-serif", 13))
        .position(SeriesLabelPosition::UpperRight)
        .draw()
        .map_err(said)
}

/// Their errors live no longer than the drawing.
fn said(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

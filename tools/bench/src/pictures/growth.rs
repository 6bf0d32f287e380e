// SPDX-License-Identifier: GPL-2.0

//! What a table costs when there are ten of them, and when there are a hundred thousand.

use super::{
    MODULE,
    NEEDED,
    OWN,
    chart::{
        Chart,
        FAINT,
        Scale,
        TEXT,
        grouped,
        round_numbers, //
    },
    svg::{
        Colour,
        Font,
        Pen,
        Point,
        Svg, //
    }, //
};
use crate::{
    mode::Mode,
    report::Report, //
};

const SERIES: [(&str, &str, Mode, Colour); 3] = [
    ("one madvise(), Linux's own", "growth.zap.", Mode::Patched, OWN),
    ("one madvise(), module", "growth.zap.", Mode::On, MODULE),
    ("one request to the module", "module.growth.request.", Mode::On, NEEDED),
];

/// `None` if no row is of that kind.
pub fn growth(report: &Report) -> Option<String> {
    let lines: Vec<(&str, Colour, Vec<Point>)> = SERIES
        .iter()
        .map(|(title, prefix, mode, colour)| (*title, *colour, points(report, prefix, *mode)))
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    if lines.is_empty() {
        return None;
    }
    let all = lines.iter().flat_map(|(_, _, points)| points);
    let most = all.fold(1.0, |most: f64, (_, each)| most.max(*each)) * 1.1;
    let mut svg = Svg::new(900.0, 400.0);
    svg.text((16.0, 20.0), "Does it get dearer with many?", Font::new(17.0, TEXT).bold());
    let about = "Instructions to free one table, by how many are freed by one call. Level lines: each costs the same.";
    svg.text((16.0, 41.0), about, Font::new(12.0, FAINT));
    let chart = Chart {
        left: 70.0,
        top: 62.0,
        width: 900.0 - 70.0 - 270.0,
        height: 270.0,
        x: Scale::Log { from: 10.0, to: 100_000.0 },
        y: Scale::Linear { from: 0.0, to: most },
    };
    let ticks = round_numbers(most, 5).into_iter().map(|n| (n, grouped(n))).collect::<Vec<_>>();
    chart.y_ticks(&mut svg, &ticks);
    let tables = [10.0, 100.0, 1000.0, 10_000.0, 100_000.0];
    chart.x_ticks(&mut svg, &tables.map(|n| (n, grouped(n))));
    let below = (chart.left + chart.width / 2.0, chart.bottom() + 34.0);
    svg.text(below, "tables freed by one call", Font::new(12.0, FAINT).middle());
    let mut names = Vec::new();
    for (title, colour, points) in lines {
        chart.line(&mut svg, &points, Pen::new(colour, 2.0));
        for (x, y) in &points {
            svg.dot(chart.at(*x, *y), 4.0, colour);
        }
        if let Some((_, each)) = points.last() {
            names.push((*each, format!("{title} {}", grouped(*each)), colour));
        }
    }
    chart.names(&mut svg, &names);
    Some(svg.finish())
}

fn points(report: &Report, prefix: &str, mode: Mode) -> Vec<Point> {
    let rows = report.rows.iter();
    rows.filter_map(|row| {
        let tables = row.name.strip_prefix(prefix)?.parse().ok()?;
        Some((tables, row.each(mode)?))
    })
    .collect()
}

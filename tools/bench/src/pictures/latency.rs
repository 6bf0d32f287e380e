// SPDX-License-Identifier: GPL-2.0

//! How long calls take, from the shortest to the longest: a small picture for each pattern.

use super::{
    MODULE,
    NONE,
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
    latency::{
        Latency,
        title, //
    },
    mode::Mode,
    report::Report, //
};

const COLUMNS: usize = 2;
const WIDTH: f64 = 490.0;
const HEIGHT: f64 = 230.0;
const HEAD: f64 = 76.0;
/// Beside the lines, for their names.
const NAMES: f64 = 160.0;
/// The longest of all are often those in which a timer's interrupt came.
const LAST: f64 = 99.9;
const MODES: [(Mode, Colour, &str); 3] = [
    (Mode::Off, NONE, "no reclaim"),
    (Mode::Stock, OWN, "unpatched"),
    (Mode::On, MODULE, "module"),
];

/// `None` if the report has nothing of that.
pub fn latency(report: &Report) -> Option<String> {
    if report.latency.is_empty() {
        return None;
    }
    let rows = report.latency.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(WIDTH * COLUMNS as f64, HEAD + HEIGHT * rows as f64);
    svg.text(
        (16.0, 20.0),
        "How long one madvise(MADV_DONTNEED) takes",
        Font::new(17.0, TEXT).bold(),
    );
    let font = Font::new(12.0, FAINT);
    svg.text((16.0, 41.0), "Instructions, interrupts included. From left to right the calls, the shortest first: at 99, one in a hundred takes longer.", font);
    svg.text((16.0, 58.0), "The numbers at the right are the medians.", font);
    for (n, latency) in report.latency.iter().enumerate() {
        let left = (n % COLUMNS) as f64 * WIDTH;
        let top = HEAD + (n / COLUMNS) as f64 * HEIGHT;
        draw(&mut svg, left, top, latency);
    }
    Some(svg.finish())
}

fn draw(svg: &mut Svg, left: f64, top: f64, latency: &Latency) {
    svg.text((left + 64.0, top + 12.0), title(&latency.name), Font::new(13.0, TEXT).bold());
    let highest = latency.runs.values().filter_map(|spread| spread.at(LAST));
    let most = highest.max().unwrap_or(1) as f64 * 1.15;
    let chart = Chart {
        left: left + 64.0,
        top: top + 28.0,
        width: WIDTH - 64.0 - NAMES,
        height: HEIGHT - 62.0,
        x: Scale::Tail { last: LAST },
        y: Scale::Linear { from: 0.0, to: most },
    };
    let ticks = round_numbers(most, 4).into_iter().map(|n| (n, grouped(n))).collect::<Vec<_>>();
    chart.y_ticks(svg, &ticks);
    let percents = [("50", 50.0), ("90", 90.0), ("99", 99.0), ("99.9", LAST)];
    chart.x_ticks(svg, &percents.map(|(text, p)| (p, format!("{text} %"))));
    let mut names = Vec::new();
    for (mode, colour, name) in MODES {
        let Some(spread) = latency.runs.get(&mode) else {
            continue;
        };
        let line: Vec<Point> = steps(&spread.percentiles);
        chart.line(svg, &line, Pen::new(colour, 2.0));
        let (Some(median), Some((_, end))) = (spread.at(50.0), line.last()) else {
            continue;
        };
        names.push((*end, format!("{name} {}", grouped(median as f64)), colour));
    }
    chart.names(svg, &names);
}

/// Up to LAST. Between two percentiles nothing is known, so they are joined.
fn steps(percentiles: &[(f64, u64)]) -> Vec<Point> {
    let shown = percentiles.iter().filter(|(p, _)| *p <= LAST);
    shown.map(|(p, ticks)| (*p, *ticks as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Spread;
    use std::collections::BTreeMap;

    fn report(modes: &[Mode]) -> Report {
        let spread = Spread {
            calls: 1000,
            sum: 1_000_000,
            percentiles: vec![
                (0.0, 900),
                (50.0, 1000),
                (99.0, 1100),
                (99.9, 1500),
                (100.0, 90_000),
            ],
        };
        let runs: BTreeMap<_, _> = modes.iter().map(|mode| (*mode, spread.clone())).collect();
        let latency = vec![Latency { name: "4k.full".to_owned(), runs }];
        Report { latency, ..Report::default() }
    }

    #[test]
    fn each_mode_has_a_line_and_its_median() {
        let svg = latency(&report(&[Mode::Stock, Mode::On])).unwrap();
        assert!(svg.contains("unpatched 1,000") && svg.contains("module 1,000"));
        assert!(!svg.contains("no reclaim"));
    }

    #[test]
    fn one_long_call_does_not_make_the_others_small() {
        let svg = latency(&report(&[Mode::On])).unwrap();
        assert!(svg.contains(">1,500<") && !svg.contains("90,000"));
        assert!(latency(&Report::default()).is_none());
    }
}

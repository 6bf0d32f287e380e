// SPDX-License-Identifier: GPL-2.0

//! The page's tables.

use std::collections::BTreeMap;

use crate::{
    latency::{
        Spread,
        title as pattern, //
    },
    mode::Mode,
    pictures::chart::{
        grouped,
        size, //
    },
    programs::{
        Footprint,
        title, //
    },
    report::{
        Report,
        Row, //
    }, //
};

/// What a program has, and over what it needs.
fn left(footprint: Option<Footprint>) -> String {
    match footprint {
        Some(f) if f.least > 0 => {
            format!("{} ({:.2})", size(f.vmpte as f64), f.vmpte as f64 / f.least as f64)
        }
        _ => "-".to_owned(),
    }
}

pub fn programs(report: &Report) -> String {
    let mut out = "| | no reclaim | `CONFIG_PT_RECLAIM` | module, at once | module, 5 s later |\n\
                   |---|--:|--:|--:|--:|\n"
        .to_owned();
    for program in &report.programs {
        let run = |mode| program.runs.get(&mode);
        let cells = [
            left(run(Mode::Off).and_then(|run| run.later)),
            left(run(Mode::Patched).and_then(|run| run.later)),
            left(run(Mode::On).and_then(|run| run.once)),
            left(run(Mode::On).and_then(|run| run.later)),
        ];
        out += &format!("| {} | {} |\n", title(&program.name), cells.join(" | "));
    }
    out
}

/// What the rows of one group have in common.
const GROUPS: [(&str, &str); 14] = [
    ("dontneed", "`MADV_DONTNEED`, of 4 KiB to 1 GiB"),
    ("fault", "page faults"),
    ("munmap", "`munmap()`"),
    ("mmap_fixed", "`mmap(MAP_FIXED)`"),
    ("mremap", "`mremap()`"),
    ("madv_free", "`MADV_FREE`"),
    ("truncate", "`ftruncate()`"),
    ("thp", "huge pages"),
    ("fork", "`fork()`"),
    ("exec", "`execve()`"),
    ("loop", "touch and give back, in a loop"),
    ("adverse", "made to have the module look in vain"),
    ("free", "tables emptied, and freed"),
    ("growth", "10 to 100000 tables by one call"),
];

pub fn groups(report: &Report) -> String {
    let mut groups: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in report.rows.iter().filter(|row| row.ratio(Mode::On, Mode::Patched).is_some()) {
        let name = row.name.split('.').next().unwrap_or(&row.name);
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((name, vec![row])),
        }
    }
    let mut out = "| calls | rows | patched / unpatched | loaded, switched off / unpatched | module / Linux's own |\n\
                   |---|--:|--:|--:|--:|\n"
        .to_owned();
    for (name, rows) in groups {
        let title = GROUPS.iter().find(|(group, _)| *group == name).map(|(_, title)| *title);
        out += &format!(
            "| {} | {} | {} | {} | {} |\n",
            title.map_or_else(|| format!("`{name}`"), str::to_owned),
            rows.len(),
            range(&rows, Mode::Patched, Mode::Stock),
            range(&rows, Mode::Loaded, Mode::Stock),
            range(&rows, Mode::On, Mode::Patched),
        );
    }
    out
}

/// The cheapest and the dearest.
fn range(rows: &[&Row], mode: Mode, over: Mode) -> String {
    let ratios: Vec<f64> = rows.iter().filter_map(|row| row.ratio(mode, over)).collect();
    let (Some(least), Some(most)) =
        (ratios.iter().copied().reduce(f64::min), ratios.iter().copied().reduce(f64::max))
    else {
        return "-".to_owned();
    };
    let (least, most) = (format!("{least:.3}"), format!("{most:.3}"));
    if least == most { least } else { format!("{least} - {most}") }
}

const PERCENTS: [f64; 3] = [50.0, 99.0, 99.9];

pub fn latency(report: &Report) -> String {
    let mut out = "| `MADV_DONTNEED` of | median | 99 of 100 | 999 of 1000 | mean |\n\
                   |---|--:|--:|--:|--:|\n"
        .to_owned();
    for latency in &report.latency {
        let cell = |of: &dyn Fn(&Spread) -> Option<f64>| pair(&latency.runs, of);
        let mut cells: Vec<String> =
            PERCENTS.iter().map(|p| cell(&|spread| percentile(spread, *p))).collect();
        cells.push(cell(&|spread| Some(spread.mean())));
        out += &format!("| {} | {} |\n", pattern(&latency.name), cells.join(" | "));
    }
    out
}

/// Of fewer than ten calls that take longer nothing could be said.
fn percentile(spread: &Spread, percent: f64) -> Option<f64> {
    let longer = spread.calls as f64 * (1.0 - percent / 100.0);
    spread.at(percent).filter(|_| longer > 9.99).map(|n| n as f64)
}

/// Unpatched Linux, and the module.
fn pair(runs: &BTreeMap<Mode, Spread>, of: &dyn Fn(&Spread) -> Option<f64>) -> String {
    let number = |mode| runs.get(&mode).and_then(of);
    match (number(Mode::Stock), number(Mode::On)) {
        (Some(own), Some(on)) => {
            format!("{}, {} ({:.3})", grouped(own), grouped(on), on / own)
        }
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latency::Latency,
        programs::{
            Program,
            Run, //
        },
        report::{
            Cost,
            Counts,
            Gain, //
        }, //
    };

    fn row(name: &str, own: u64, on: u64) -> Row {
        let cost = |instructions| Cost {
            units: 1,
            freed: 0,
            counts: Counts { instructions, ..Counts::default() },
        };
        Row {
            name: name.to_owned(),
            gain: Gain::Nothing,
            unit: "call".to_owned(),
            costs: BTreeMap::from([(Mode::Patched, cost(own)), (Mode::On, cost(on))]),
        }
    }

    #[test]
    fn a_group_has_its_cheapest_and_its_dearest() {
        let rows = vec![row("fork.a", 100, 50), row("fork.b", 100, 101), row("new.c", 10, 10)];
        let text = groups(&Report { rows, ..Report::default() });
        assert!(text.contains("| `fork()` | 2 | - | - | 0.500 - 1.010 |"), "{text}");
        assert!(text.contains("| `new` | 1 | - | - | 1.000 |"), "{text}");
    }

    #[test]
    fn what_a_program_has_is_told_with_what_it_needs() {
        let footprint = |vmpte| Some(Footprint { rss: 0, vmpte, least: 100 });
        let run =
            |once, later| Run { once: footprint(once), later: footprint(later), ..Run::default() };
        let runs = BTreeMap::from([(Mode::Off, run(500, 400)), (Mode::On, run(200, 100))]);
        let programs = vec![Program { name: "go".to_owned(), runs }];
        let text = programs_of(programs);
        assert!(
            text.ends_with("| Go | 400 KiB (4.00) | - | 200 KiB (2.00) | 100 KiB (1.00) |\n"),
            "{text}"
        );
    }

    fn programs_of(programs: Vec<Program>) -> String {
        super::programs(&Report { programs, ..Report::default() })
    }

    #[test]
    fn latency_is_compared_with_unpatched_linux() {
        let spread = |n| Spread {
            calls: 1000,
            sum: 1500 * n,
            percentiles: vec![(0.0, n), (50.0, n), (99.0, 2 * n), (99.9, 2 * n), (100.0, 2 * n)],
        };
        let runs = BTreeMap::from([(Mode::Stock, spread(1000)), (Mode::On, spread(1010))]);
        let latency = vec![Latency { name: "4k.full".to_owned(), runs }];
        let text = super::latency(&Report { latency, ..Report::default() });
        let cells = "| 1,000, 1,010 (1.010) | 2,000, 2,020 (1.010) | - | 1,500, 1,515 (1.010) |";
        assert!(text.contains(cells), "{text}");
    }
}

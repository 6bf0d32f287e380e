// SPDX-License-Identifier: GPL-2.0

//! The page's first sentences, with their numbers.

use crate::{
    mode::Mode,
    pictures::chart::{
        grouped,
        size, //
    },
    programs::{
        Footprint,
        Program,
        Run,
        SYSTEM, //
    },
    report::{
        Gain,
        Report, //
    }, //
};

/// What is left of page tables; empty without programs.
pub fn gives(report: &Report) -> String {
    let mut out = String::new();
    let real: Vec<&Program> = report
        .programs
        .iter()
        .filter(|p| p.name != SYSTEM && !p.name.starts_with("loop") && p.is_complete())
        .collect();
    let sum = |mode, kb: fn(Footprint) -> u64| {
        let of = real.iter().filter_map(|p| Some(kb(p.runs.get(&mode)?.later?)));
        size(of.sum::<u64>() as f64)
    };
    if !real.is_empty() {
        out += &format!(
            "* {} programs grow and then give memory back, each in a guest of its own. Five seconds later their page tables are {} \
             without any reclaim, {} with Linux's `CONFIG_PT_RECLAIM`, and **{}** with the module. What they still use needs {}.\n",
            real.len(),
            sum(Mode::Off, |f| f.vmpte),
            sum(Mode::Patched, |f| f.vmpte),
            sum(Mode::On, |f| f.vmpte),
            sum(Mode::On, |f| f.least),
        );
    }
    if let Some([off, own, on]) = report.programs.iter().find_map(system) {
        out += &format!(
            "* Several of them at once: the page tables of the whole system, the kernel's own included, end at {off}, {own}, and **{on}**.\n"
        );
    }
    if let Some([off, own, on]) = report.programs.iter().find_map(loop_by_64k) {
        out += &format!(
            "* 50 GiB, touched and discarded in pieces of 64 KiB, leave page tables of {off}, {own}, and **{on}**.\n"
        );
    }
    out
}

/// What the loop by 64 KiB has left, in the same order.
fn loop_by_64k(program: &Program) -> Option<[String; 3]> {
    if program.name != "loop64k" {
        return None;
    }
    let left = |mode| Some(size(program.runs.get(&mode)?.later?.vmpte as f64));
    Some([left(Mode::Off)?, left(Mode::Patched)?, left(Mode::On)?])
}

/// What the system has in the end: without reclaim, with Linux's own, with the module.
fn system(program: &Program) -> Option<[String; 3]> {
    if program.name != SYSTEM {
        return None;
    }
    let end = |mode| {
        let run: &Run = program.runs.get(&mode)?;
        Some(size(run.curve.last()?.tables? as f64))
    };
    Some([end(Mode::Off)?, end(Mode::Patched)?, end(Mode::On)?])
}

/// Instructions; empty without rows.
pub fn costs(report: &Report) -> String {
    let mut out = String::new();
    for (gain, when) in [
        (Gain::Nothing, "Where nothing is to be freed"),
        (Gain::Frees, "Where tables become empty, and the module frees them"),
    ] {
        if let Some((n, median, dearest)) = patterns(report, gain) {
            out += &format!(
                "* {when}: of {n} patterns of calls, half cost no more than {median:.3} times the instructions that they cost with \
                 Linux's own reclaim. The dearest is {dearest}.\n"
            );
        }
    }
    for latency in report.latency.iter().filter(|l| l.name == "4k.full") {
        let at = |mode, percent| latency.runs.get(&mode)?.at(percent).map(|n| grouped(n as f64));
        if let (Some(half), Some(most), Some(own), Some(own_most)) =
            (at(Mode::On, 50.0), at(Mode::On, 99.0), at(Mode::Stock, 50.0), at(Mode::Stock, 99.0))
        {
            out += &format!(
                "* One `madvise(MADV_DONTNEED)` of 4 KiB takes {half} instructions, and 99 of 100 no more than {most}. On unpatched \
                 Linux these are {own} and {own_most}.\n"
            );
        }
    }
    out
}

/// Of all rows of a kind, by what they cost with the module over what they cost with Linux's own
/// reclaim: how many there are, the median, and the dearest one.
fn patterns(report: &Report, gain: Gain) -> Option<(usize, f64, String)> {
    let of = report.rows.iter().filter(|row| row.gain == gain);
    let mut rows: Vec<(f64, &str)> = of
        .filter_map(|row| Some((row.ratio(Mode::On, Mode::Patched)?, row.name.as_str())))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, name) = rows.last()?;
    let median = rows[(rows.len() - 1) / 2].0;
    Some((rows.len(), median, format!("`{name}`, {ratio:.3}")))
}

pub fn measured(report: &Report) -> String {
    format!("Measured on Linux {}, at `{}`.\n", report.kernel, report.revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latency::{
            Latency,
            Spread, //
        },
        programs::Moment,
        report::{
            Cost,
            Counts,
            Row, //
        }, //
    };
    use std::collections::BTreeMap;

    fn program(name: &str, kb: [u64; 3]) -> Program {
        let run = |vmpte| {
            let footprint = Footprint { rss: 1, vmpte, least: 100 };
            let curve = vec![Moment { ms: 0, footprint, tables: Some(vmpte + 1024) }];
            Run { curve, once: Some(footprint), later: Some(footprint) }
        };
        let runs = [(Mode::Off, kb[0]), (Mode::Patched, kb[1]), (Mode::On, kb[2])];
        Program {
            name: name.to_owned(),
            runs: runs.into_iter().map(|(mode, kb)| (mode, run(kb))).collect(),
        }
    }

    #[test]
    fn programs_are_added_up_and_loops_are_none() {
        let programs = vec![
            program("go", [500, 400, 200]),
            program("node", [400, 300, 100]),
            program("loop64k", [9216, 8192, 7168]),
            program("system", [1024, 512, 0]),
        ];
        let text = gives(&Report { programs, ..Report::default() });
        assert!(text.contains("2 programs grow"), "{text}");
        assert!(text.contains("900 KiB without") && text.contains("**300 KiB**"), "{text}");
        assert!(text.contains("needs 200 KiB"), "{text}");
        assert!(text.contains("tables of 9.0 MiB, 8.0 MiB, and **7.0 MiB**"), "{text}");
        assert!(text.contains("end at 2.0 MiB, 1.5 MiB, and **1.0 MiB**"), "{text}");
    }

    #[test]
    fn the_dearest_is_named() {
        let row = |name: &str, own, on| {
            let cost = |instructions| Cost {
                units: 1,
                freed: 0,
                counts: Counts { instructions, ..Counts::default() },
            };
            let costs = BTreeMap::from([(Mode::Patched, cost(own)), (Mode::On, cost(on))]);
            Row { name: name.to_owned(), gain: Gain::Nothing, unit: "call".to_owned(), costs }
        };
        let rows = vec![row("dear", 100, 121), row("cheap", 1000, 990), row("same", 9, 9)];
        let text = costs(&Report { rows, ..Report::default() });
        assert!(
            text.contains("of 3 patterns of calls, half cost no more than 1.000 times"),
            "{text}"
        );
        assert!(text.contains("`dear`, 1.210"), "{text}");
        assert!(!text.contains("become empty"), "there are none of these");
    }

    #[test]
    fn latency_is_told_if_both_have_it() {
        let spread = |n| Spread { calls: 9, sum: 9, percentiles: vec![(50.0, n), (99.0, n + 1)] };
        let mut runs = BTreeMap::from([(Mode::On, spread(2000))]);
        let report = |runs: &BTreeMap<Mode, Spread>| {
            let latency = vec![Latency { name: "4k.full".to_owned(), runs: runs.clone() }];
            costs(&Report { latency, ..Report::default() })
        };
        assert!(report(&runs).is_empty());
        runs.insert(Mode::Stock, spread(1000));
        assert!(report(&runs).contains("these are 1,000 and 1,001"));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The report to be read: `build/bench/report.md`.

use std::fmt::{
    self,
    Write as _, //
};

use crate::{
    compare::Change,
    machine_code,
    mode::Mode,
    page::tables,
    report::{
        Counts,
        Gain,
        Report,
        Row, //
    },
    split,
    symbols::{
        self,
        Symbols, //
    },
    targets::verdicts,
};

/// How many functions of a row are told.
const FUNCTIONS: usize = 6;
/// How many of the worst rows have their functions told.
const WORST: usize = 5;

/// All of it.
pub fn report(report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "# What it costs\n")?;
    writeln!(
        out,
        "Linux {}, {}. Instructions of the kernel, counted under emulation: the same each time. A page that is cleared or \
         copied is in none of them. Ratios of what frees the same in both are without what Linux does in batches for many calls.\n",
        report.kernel, report.revision
    )?;
    targets(&mut out, report)?;
    costs(&mut out, report, Gain::Nothing, "Nothing is to be freed")?;
    costs(&mut out, report, Gain::Frees, "Tables become empty")?;
    module(&mut out, report)?;
    split::show(&mut out, report)?;
    latency(&mut out, report)?;
    events(&mut out, report)?;
    functions(&mut out, report)?;
    if let Some(code) = &report.machine_code {
        machine_code::show(&mut out, code)?;
    }
    Ok(out)
}

fn targets(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "| target | limit | worst | of | |\n|---|---|---|---|---|")?;
    for v in verdicts(report) {
        let met = match v.misses {
            0 => "met".to_owned(),
            n => format!("**missed** in {n}"),
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {met} |",
            v.target,
            short(v.limit),
            short(v.number),
            v.row
        )?;
    }
    writeln!(out)
}

/// Ratios with two digits, counts without.
fn short(number: f64) -> String {
    if number.abs() < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") }
}

fn instructions(each: Option<f64>) -> String {
    match each {
        Some(each) if each < 100.0 => format!("{each:.1}"),
        Some(each) => format!("{each:.0}"),
        None => "-".to_owned(),
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))
}

fn is_of_module(row: &Row) -> bool {
    row.name.starts_with("module.")
}

fn costs(out: &mut String, report: &Report, gain: Gain, title: &str) -> fmt::Result {
    writeln!(out, "## {title}\n")?;
    writeln!(
        out,
        "| | stock | patched | loaded, off | on | no reclaim | patched / stock | loaded / stock | on / patched |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for row in report.rows.iter().filter(|row| row.gain == gain && !is_of_module(row)) {
        write!(out, "| {} |", row.name)?;
        for mode in Mode::ALL {
            write!(out, " {} |", instructions(row.each(mode)))?;
        }
        for (mode, over) in
            [(Mode::Patched, Mode::Stock), (Mode::Loaded, Mode::Stock), (Mode::On, Mode::Patched)]
        {
            write!(out, " {} |", ratio(row.ratio(mode, over)))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// What only the module does.
fn module(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## Looks, requests, the scanner\n")?;
    writeln!(out, "| | instructions per table |\n|---|--:|")?;
    for row in report.rows.iter().filter(|row| is_of_module(row)) {
        writeln!(out, "| {} | {} |", row.name, instructions(row.each(Mode::On)))?;
    }
    writeln!(out)
}

/// Of each call by itself: unpatched, and with the module.
fn latency(out: &mut String, report: &Report) -> fmt::Result {
    if report.latency.is_empty() {
        return Ok(());
    }
    writeln!(out, "## How long one call takes\n\n{}", tables::latency(report))
}

type Event = (&'static str, fn(&Counts) -> u64);

const EVENTS: [Event; 6] = [
    ("INVLPG", |c| c.invlpg),
    ("CR3", |c| c.cr3),
    ("IPIs", |c| c.ipis),
    ("flushes", |c| c.flushes),
    ("RCU callbacks", |c| c.callbacks),
    ("pages cleared", |c| c.pages_cleared),
];

/// What instructions do not tell: of 1000 units, with the kernel's own reclaim and with the module.
fn events(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## Flushes, interrupts, callbacks, locks\n")?;
    writeln!(
        out,
        "Of 1000 calls; patched kernel, then with the module on. The longest hold of a page table lock is in instructions.\n"
    )?;
    write!(out, "| |")?;
    for (name, _) in EVENTS {
        write!(out, " {name} |")?;
    }
    writeln!(out, " longest hold |\n|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for row in &report.rows {
        let pair = [row.cost(Mode::Patched), row.cost(Mode::On)];
        write!(out, "| {} |", row.name)?;
        for (_, count) in EVENTS {
            let of = pair.map(|cost| match cost {
                Some(cost) => {
                    format!("{:.0}", count(&cost.counts) as f64 * 1000.0 / cost.units as f64)
                }
                None => "-".to_owned(),
            });
            write!(out, " {} |", of.join(", "))?;
        }
        let holds = pair.map(|cost| {
            cost.map_or("-".to_owned(), |c| {
                c.counts.longest_hold.as_ref().map_or(0, |hold| hold.instructions).to_string()
            })
        });
        writeln!(out, " {} |", holds.join(", "))?;
    }
    writeln!(out)
}

/// Where the instructions of the rows go that are the worst with the module.
fn functions(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## By function\n")?;
    let mut rows: Vec<(&Row, f64)> = report
        .rows
        .iter()
        .filter_map(|row| Some((row, row.ratio(Mode::On, Mode::Patched)?)))
        .collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (row, ratio) in rows.into_iter().take(WORST) {
        writeln!(out, "{}, {ratio:.3}:\n", row.name)?;
        writeln!(out, "| | patched | on | difference |\n|---|--:|--:|--:|")?;
        for (name, own, on) in greatest(row) {
            writeln!(out, "| `{name}` | {own:.1} | {on:.1} | {:+.1} |", on - own)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The functions with the greatest differences, and what they take of one unit.
fn greatest(row: &Row) -> Vec<(String, f64, f64)> {
    let each = |mode| symbols::each(row, mode);
    let (Some(own), Some(on)) = (each(Mode::Patched), each(Mode::On)) else {
        return Vec::new();
    };
    let of = |symbols: &Symbols, name: &str| symbols.get(name).copied().unwrap_or(0.0);
    symbols::greatest(symbols::difference(&on, &own))
        .into_iter()
        .take(FUNCTIONS)
        .map(|(name, _)| {
            let (own, on) = (of(&own, &name), of(&on, &name));
            (name, own, on)
        })
        .collect()
}

/// What has changed between two reports, the worst first, and whether something is worse.
pub fn comparison(
    changes: &[Change],
    alone: &[String],
    tolerance: f64,
) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
    writeln!(
        out,
        "| row | mode | before | after | ratio | verdict | most by |\n|---|---|--:|--:|--:|---|---|"
    )?;
    for change in sorted {
        let function = match &change.function {
            Some((name, by)) => format!("`{name}` {by:+.1}"),
            None => String::new(),
        };
        writeln!(
            out,
            "| {} | {} | {:.1} | {:.1} | {:.4} | {} | {function} |",
            change.row,
            change.mode.name(),
            change.before,
            change.after,
            change.ratio(),
            change.verdict(tolerance)
        )?;
    }
    for row in alone {
        writeln!(out, "\n{row}")?;
    }
    Ok(out)
}

// SPDX-License-Identifier: GPL-2.0

//! What is kept of a report for good: without what no picture, no table and no comparison shows.

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use anyhow::Result;
use serde_json::Value;

use crate::{
    programs::{
        Moment,
        Program,
        SYSTEM, //
    },
    report::{
        Cost,
        Counts,
        Report,
        Row, //
    }, //
};

/// Of a row's instructions. A function that has less of them in each mode is not kept.
const SHARE: f64 = 0.01;
const LICENSE: &str = "SPDX-License-Identifier: GPL-2.0";
/// What is nested deeper is on one line.
const DEPTH: usize = 4;

pub fn trimmed(mut report: Report) -> Report {
    report.rows.iter_mut().for_each(functions);
    report.programs.iter_mut().for_each(curves);
    report
}

/// Instructions by function, of whoever it is.
type Of = fn(&mut Counts) -> &mut BTreeMap<String, u64>;

/// The same of all modes, or a comparison would take what is missing in one for a difference.
fn functions(row: &mut Row) {
    let of: [Of; 3] = [|c| &mut c.symbols, |c| &mut c.other_symbols, |c| &mut c.thread_symbols];
    for symbols in of {
        let mut kept = BTreeSet::new();
        for Cost { counts, .. } in row.costs.values_mut() {
            let all = counts.instructions + counts.other_tasks + counts.kernel_threads;
            let least = all as f64 * SHARE;
            let many = symbols(counts).iter().filter(|(_, n)| **n as f64 >= least);
            kept.extend(many.map(|(name, _)| name.clone()));
        }
        for cost in row.costs.values_mut() {
            symbols(&mut cost.counts).retain(|name, _| kept.contains(name));
        }
    }
}

fn curves(program: &mut Program) {
    for run in program.runs.values_mut() {
        if program.name != SYSTEM {
            run.curve.iter_mut().for_each(|moment| moment.tables = None);
        }
        let shown = |m: &Moment| (m.footprint.vmpte, m.footprint.least, m.tables);
        // In the middle of a level line there is nothing to see.
        let level: Vec<bool> = (0..run.curve.len())
            .map(|i| {
                let beside = i.checked_sub(1).and_then(|before| run.curve.get(before..=i + 1));
                beside.is_some_and(|three| three.iter().all(|m| shown(m) == shown(&run.curve[i])))
            })
            .collect();
        let mut level = level.into_iter();
        run.curve.retain(|_| level.next() == Some(false));
    }
}

/// One row in one mode, and one run of a program, are a line.
pub fn json(report: &Report) -> Result<String> {
    let mut out = String::new();
    let mut value = serde_json::to_value(report)?;
    // There are no comments.
    value["license"] = Value::from(LICENSE);
    put(&mut out, &value, 0)?;
    out.push('\n');
    Ok(out)
}

fn put(out: &mut String, value: &Value, depth: usize) -> Result<()> {
    let indent = |out: &mut String, depth| {
        out.push('\n');
        out.push_str(&" ".repeat(depth));
    };
    match value {
        Value::Array(items) if depth < DEPTH && !items.is_empty() => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                indent(out, depth + 1);
                put(out, item, depth + 1)?;
            }
            indent(out, depth);
            out.push(']');
        }
        Value::Object(items) if depth < DEPTH && !items.is_empty() => {
            out.push('{');
            for (n, (name, item)) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                indent(out, depth + 1);
                out.push_str(&serde_json::to_string(name)?);
                out.push_str(": ");
                put(out, item, depth + 1)?;
            }
            indent(out, depth);
            out.push('}');
        }
        _ => out.push_str(&serde_json::to_string(value)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mode::Mode,
        programs::{
            Footprint,
            Run, //
        },
        report::Gain, //
    };

    fn program(name: &str, kb: &[u64]) -> Program {
        let moment = |(n, kb): (usize, &u64)| Moment {
            ms: n as u64 * 250,
            footprint: Footprint { rss: n as u64, vmpte: *kb, least: 8 },
            tables: Some(4096),
        };
        let curve = kb.iter().enumerate().map(moment).collect();
        let runs = BTreeMap::from([(Mode::On, Run { curve, ..Run::default() })]);
        Program { name: name.to_owned(), runs }
    }

    #[test]
    fn a_level_line_needs_its_ends_only() {
        let programs = vec![program("go", &[8, 8, 8, 8, 20, 20, 12])];
        let report = trimmed(Report { programs, ..Report::default() });
        let curve = &report.programs[0].runs[&Mode::On].curve;
        let ms: Vec<u64> = curve.iter().map(|m| m.ms).collect();
        assert_eq!(ms, [0, 750, 1000, 1250, 1500]);
    }

    #[test]
    fn only_the_system_keeps_all_its_tables() {
        let programs = vec![program("go", &[8]), program(SYSTEM, &[8])];
        let report = trimmed(Report { programs, ..Report::default() });
        let tables = |n: usize| report.programs[n].runs[&Mode::On].curve[0].tables;
        assert_eq!((tables(0), tables(1)), (None, Some(4096)));
    }

    #[test]
    fn a_function_that_counts_in_one_mode_is_kept_of_all() {
        let cost = |look: u64| Cost {
            units: 1,
            freed: 0,
            counts: Counts {
                instructions: 1000,
                symbols: BTreeMap::from([
                    ("look".to_owned(), look),
                    ("rare".to_owned(), 1),
                    ("zap".to_owned(), 900),
                ]),
                thread_symbols: BTreeMap::from([("scan".to_owned(), look), ("tick".to_owned(), 1)]),
                ..Counts::default()
            },
        };
        let row = Row {
            name: "a".to_owned(),
            gain: Gain::Nothing,
            unit: "call".to_owned(),
            costs: BTreeMap::from([(Mode::Patched, cost(1)), (Mode::On, cost(50))]),
        };
        let report = trimmed(Report { rows: vec![row], ..Report::default() });
        for mode in [Mode::Patched, Mode::On] {
            let names: Vec<&String> = report.rows[0].costs[&mode].counts.symbols.keys().collect();
            assert_eq!(names, ["look", "zap"]);
            let names = &report.rows[0].costs[&mode].counts.thread_symbols;
            assert!(names.contains_key("scan") && !names.contains_key("tick"));
        }
    }

    #[test]
    fn it_is_the_same_report() {
        let report = Report { programs: vec![program("go", &[8, 9])], ..Report::default() };
        let text = json(&report).unwrap();
        let again: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(json(&again).unwrap(), text);
        assert!(text.contains(LICENSE));
        assert!(text.lines().any(|line| line.contains("\"on\": {\"curve\":[{")), "{text}");
    }
}

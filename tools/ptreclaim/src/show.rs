// SPDX-License-Identifier: GPL-2.0

//! `ptreclaim show`.

use crate::{
    cli,
    error::Result,
    fold::{Run, fold_by},
    map, output,
    pagemap::Method,
    survey::{Seen, Survey, Surveyor},
    tables::{State, TableCounts, TableIndex, TableMap},
    top::wrapped,
    uapi::{self, Counts},
    units::{Kib, grouped},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write};

/// All about one process.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    survey: Survey,
    used: u64,
    huge: u64,
    deposited: u64,
    pmd_tables_least: u64,
    pud_tables_least: u64,
    unseen_kib: Kib,
    kept: Option<BTreeMap<String, u64>>,
    fullness: Option<BTreeMap<&'static str, u64>>,
    map_shows_empty: bool,
    runs: Vec<Stretch>,
}

/// Neighbouring tables that are alike.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Stretch {
    start: String,
    tables: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<&'static str>,
}

pub fn run(args: &cli::Show) -> Result<()> {
    let surveyor = Surveyor::new();
    // First, so that what is wrong with the process is said of it and not of a file.
    let process = surveyor.proc.process(args.pid)?;
    let seen = surveyor.see(args.pid)?;
    let exact = surveyor.exact(args.pid, uapi::DRY_RUN | uapi::FULLNESS)?;
    let survey = match &exact {
        Some(counts) => surveyor.of_counts(&process, counts),
        None => surveyor.estimated(&process, &seen)?,
    };
    let report = report(survey, &seen, exact.as_ref());
    if args.json {
        return output::json(&report);
    }
    let mut text = totals(&report, surveyor.why_estimates());
    if !args.no_map {
        let glyphs = match args.ascii || !output::is_utf8() {
            true => &map::ASCII,
            false => &map::BLOCKS,
        };
        text.push('\n');
        text.push_str(&map::render(&seen.map, &seen.vmas, glyphs));
    }
    output::text(&text)
}

fn report(survey: Survey, seen: &Seen, exact: Option<&Counts>) -> Report {
    let counts = seen.map.counts();
    Report {
        used: counts.used,
        huge: counts.huge,
        deposited: counts.deposited,
        pmd_tables_least: counts.pmd_tables,
        pud_tables_least: counts.pud_tables,
        unseen_kib: unseen(&survey, &counts),
        kept: exact.map(kept),
        fullness: exact.map(fullness),
        map_shows_empty: seen.method == Method::Scan,
        runs: stretches(&seen.map),
        survey,
    }
}

/// What VmPTE has beyond the tables counted.
fn unseen(survey: &Survey, counts: &TableCounts) -> Kib {
    let beyond_pte = counts.deposited + counts.pmd_tables + counts.pud_tables;
    survey.vmpte_kib - Kib::of_tables(survey.tables + beyond_pte)
}

pub fn kept(counts: &Counts) -> BTreeMap<String, u64> {
    let reasons = counts.kept.iter().enumerate();
    reasons
        .filter(|(_, tables)| **tables > 0)
        .map(|(reason, tables)| (uapi::kept_name(reason), *tables))
        .collect()
}

fn fullness(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let names = uapi::FULLNESS_NAMES.into_iter();
    names.zip(counts.fullness).collect()
}

/// What a state is called, and the class of how full it is.
fn names(state: State) -> (&'static str, Option<&'static str>) {
    match state {
        State::Empty => ("empty", None),
        State::ZeroOnly => ("zero_only", None),
        State::Huge { .. } => ("huge", None),
        State::Used(entries) => {
            let class = uapi::fullness_class(entries);
            ("used", Some(uapi::FULLNESS_NAMES[class]))
        }
    }
}

fn stretches(map: &TableMap) -> Vec<Stretch> {
    let named = map.iter().map(|(index, state)| (index, names(state)));
    let runs = fold_by(named, |first, number, next| {
        first.1 == next.1 && first.0.0 + number == next.0.0
    });
    let stretch = |run: Run<(TableIndex, (&'static str, Option<&'static str>))>| {
        let (index, (state, entries)) = run.first;
        Stretch {
            start: format!("{:#x}", index.address()),
            tables: run.number,
            state,
            entries,
        }
    };
    runs.into_iter().map(stretch).collect()
}

fn totals(report: &Report, why_estimates: Option<String>) -> String {
    let survey = &report.survey;
    let mut text = format!("Process {}: {}\n\n", survey.pid, survey.command);
    let mut line = |name: &str, value: &str, meaning: &str| {
        let line = format!("  {name:12}{value:>9}  {meaning}");
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    };
    let share = survey.reclaimable_kib.percent_of(survey.vmpte_kib);
    let empty = format!("{share}%: the empty tables");
    let zero_only = survey.zero_only.map_or("unknown".into(), grouped);
    let used = survey.tables - survey.empty.min(survey.tables);
    let used = used.saturating_sub(survey.zero_only.unwrap_or(0));
    line(
        "VmPTE",
        &survey.vmpte_kib.to_string(),
        "page tables of all levels",
    );
    line("reclaimable", &survey.reclaimable_kib.to_string(), &empty);
    line("PTE tables", &grouped(survey.tables), "");
    line("  empty", &grouped(survey.empty), "");
    line("  zero only", &zero_only, "freed with --zero-pages");
    line("  in use", &grouped(used), "");
    line(
        "deposited",
        &grouped(report.deposited),
        "PTE tables kept in reserve behind huge pages",
    );
    line("PMD tables", &grouped(report.pmd_tables_least), "at least");
    line("PUD tables", &grouped(report.pud_tables_least), "at least");
    line(
        "not seen",
        &report.unseen_kib.to_string(),
        "the rest of VmPTE",
    );
    for (reason, tables) in report.kept.iter().flatten() {
        line("kept", &grouped(*tables), reason);
    }
    text.push('\n');
    let mut notes: Vec<String> = why_estimates.into_iter().collect();
    notes.push(survey.source.explanation().into());
    if !report.map_shows_empty {
        notes.push("Empty tables are not on the map.".into());
    }
    text.push_str(&wrapped(&notes, 80).join("\n"));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{help, process::Pid, survey::Source, tables::tests::any_map};
    use proptest::prelude::*;

    fn example(map: TableMap) -> Report {
        let survey = Survey {
            pid: Pid::new(7).unwrap(),
            name: "java".into(),
            command: "java -jar".into(),
            source: Source::Scan,
            vmpte_kib: Kib(400),
            tables: 90,
            empty: 30,
            zero_only: Some(2),
            reclaimable_kib: Kib(120),
        };
        let seen = Seen {
            vmas: Vec::new(),
            map,
            method: Method::Scan,
        };
        report(survey, &seen, Some(&Counts::default()))
    }

    #[test]
    fn every_field_is_documented() {
        let tables = [(TableIndex(0), State::Used(1))];
        let json = serde_json::to_value(example(tables.into_iter().collect())).unwrap();
        let stretch = json["runs"][0].as_object().unwrap().keys();
        for field in json.as_object().unwrap().keys().chain(stretch) {
            assert!(help::documents("show", field), "{field}");
        }
    }

    #[test]
    fn what_is_not_seen_is_the_rest() {
        let tables = [(TableIndex(0), State::Used(1))];
        // 100 tables: 90, one PMD, one PUD.
        assert_eq!(example(tables.into_iter().collect()).unseen_kib, Kib(32));
    }

    proptest! {
        /// No table is lost in folding.
        #[test]
        fn stretches_are_all_tables(map in any_map()) {
            let mut unfolded = Vec::new();
            for stretch in stretches(&map) {
                let start = u64::from_str_radix(&stretch.start[2..], 16).unwrap();
                let first = TableIndex::of(start).0;
                let names = (stretch.state, stretch.entries);
                unfolded.extend((first..first + stretch.tables).map(|i| (TableIndex(i), names)));
            }
            let all: Vec<_> = map.iter().map(|(index, state)| (index, names(state))).collect();
            prop_assert_eq!(unfolded, all);
        }
    }
}

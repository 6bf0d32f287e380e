// SPDX-License-Identifier: GPL-2.0

//! What the module is to keep to, and whether it does.

use crate::{
    mode::Mode,
    report::{
        Gain,
        Report,
        Row, //
    }, //
};

/// One target, and the row that is farthest from it.
pub struct Verdict {
    pub target: &'static str,
    /// The worst row, and what it has.
    pub row: String,
    pub number: f64,
    pub limit: f64,
    /// How many rows miss it.
    pub misses: usize,
}

impl Verdict {
    pub fn is_met(&self) -> bool {
        self.misses == 0
    }
}

/// Instructions for a look at an empty table. Linux's own takes 3801: 512 entries one by one.
const LOOK: f64 = 1300.0;

/// As a ratio is printed: 1.004 keeps to 1.00.
fn exceeds(number: f64, limit: f64) -> bool {
    (number * 100.0).round() > (limit * 100.0).round()
}

/// The worst of `rows` by what `number` says of each; `None` where no row has it.
fn worst<'r>(
    target: &'static str,
    limit: f64,
    rows: impl Iterator<Item = &'r Row>,
    number: impl Fn(&Row) -> Option<f64>,
) -> Option<Verdict> {
    let numbers: Vec<(&str, f64)> =
        rows.filter_map(|row| Some((row.name.as_str(), number(row)?))).collect();
    let (row, worst) = numbers.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Verdict {
        target,
        row: row.to_owned(),
        number: worst,
        limit,
        misses: numbers.iter().filter(|(_, n)| exceeds(*n, limit)).count(),
    })
}

/// More of something than with the kernel's own reclaim, of one unit.
fn more(row: &Row, what: impl Fn(&crate::report::Counts) -> u64) -> Option<f64> {
    let each = |mode| {
        let cost = row.cost(mode)?;
        Some(what(&cost.counts) as f64 / cost.units as f64)
    };
    Some(each(Mode::On)? - each(Mode::Patched)?)
}

/// All targets that the report has rows for.
pub fn verdicts(report: &Report) -> Vec<Verdict> {
    let rows = || report.rows.iter();
    let plain = || rows().filter(|row| row.gain == Gain::Nothing && !is_adverse(row));
    let on = |row: &Row| row.ratio(Mode::On, Mode::Patched);
    [
        worst("patched without module / stock", 1.0, rows(), |row| {
            row.ratio(Mode::Patched, Mode::Stock)
        }),
        worst("loaded, switched off / stock", 1.0, rows(), |row| {
            row.ratio(Mode::Loaded, Mode::Stock)
        }),
        worst("on / built-in, nothing to free", 1.01, plain(), on),
        sum(plain()),
        worst("on / built-in, adverse", 1.05, rows().filter(|row| is_adverse(row)), on),
        worst(
            "instructions of a look at an empty table",
            LOOK,
            rows().filter(|row| row.name == "module.look.empty"),
            |row| row.each(Mode::On),
        ),
        worst("more IPIs than built-in, each call", 0.0, rows(), |row| {
            more(row, |counts| counts.ipis)
        }),
        worst("more flushes than built-in, each call", 0.0, rows(), |row| {
            more(row, |counts| counts.flushes)
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_adverse(row: &Row) -> bool {
    row.name.starts_with("adverse.")
}

/// One call of each.
fn sum<'r>(rows: impl Iterator<Item = &'r Row>) -> Option<Verdict> {
    let (on, own) = rows
        .filter_map(|row| Some((row.steady(Mode::On)?, row.steady(Mode::Patched)?)))
        .fold((0.0, 0.0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
    let number = on / own;
    (own > 0.0).then(|| Verdict {
        target: "on / built-in, nothing to free",
        row: "the sum of all".to_owned(),
        number,
        limit: 1.0,
        misses: usize::from(exceeds(number, 1.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Cost,
        Counts, //
    };

    fn row(name: &str, gain: Gain, costs: &[(Mode, u64, u64)]) -> Row {
        let cost = |instructions, ipis| Cost {
            units: 10,
            freed: 0,
            counts: Counts { instructions, ipis, ..Counts::default() },
        };
        Row {
            name: name.to_owned(),
            gain,
            unit: "call".to_owned(),
            costs: costs.iter().map(|&(mode, n, ipis)| (mode, cost(n, ipis))).collect(),
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        Report { rows, ..Report::default() }
    }

    fn verdict(report: &Report, target: &str) -> Verdict {
        verdicts(report).into_iter().find(|v| v.target.starts_with(target)).unwrap()
    }

    #[test]
    fn the_worst_row_is_told() {
        let report = report(vec![
            row("a", Gain::Nothing, &[(Mode::Stock, 1000, 0), (Mode::Patched, 1004, 0)]),
            row("b", Gain::Nothing, &[(Mode::Stock, 1000, 0), (Mode::Patched, 1006, 0)]),
        ]);
        let v = verdict(&report, "patched");
        assert_eq!(v.row, "b");
        assert_eq!(v.misses, 1, "1.004 keeps to 1.00, 1.006 does not");
    }

    #[test]
    fn what_frees_may_cost_and_adverse_rows_have_their_own_limit() {
        let costs = [(Mode::Patched, 1000, 0), (Mode::On, 1040, 0)];
        let frees = report(vec![
            row("frees", Gain::Frees, &costs),
            row("adverse.a", Gain::Nothing, &costs),
            row("plain", Gain::Nothing, &[(Mode::Patched, 1000, 0), (Mode::On, 1000, 0)]),
        ]);
        assert!(verdicts(&frees).iter().all(Verdict::is_met));
        let plain = report(vec![row("plain", Gain::Nothing, &costs)]);
        assert!(!verdict(&plain, "on / built-in, nothing").is_met());
    }

    #[test]
    fn one_ipi_more_is_too_many() {
        let report =
            report(vec![row("a", Gain::Frees, &[(Mode::Patched, 1000, 0), (Mode::On, 1000, 1)])]);
        assert!(!verdict(&report, "more IPIs").is_met());
    }
}

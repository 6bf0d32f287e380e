// SPDX-License-Identifier: GPL-2.0

//! Two reports, row by row.

use crate::{
    batches::is_in_batches,
    mode::Mode,
    report::{
        Report,
        Row, //
    },
    symbols, //
};

/// One row in one mode.
pub struct Change {
    pub row: String,
    pub mode: Mode,
    /// Instructions of one unit, without what is done in batches.
    pub before: f64,
    pub after: f64,
    /// The function with the greatest difference, and that, of one unit.
    pub function: Option<(String, f64)>,
}

impl Change {
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }

    pub fn verdict(&self, tolerance: f64) -> &'static str {
        match self.ratio() {
            r if r > 1.0 + tolerance => "worse",
            r if r < 1.0 - tolerance => "better",
            _ => "same",
        }
    }
}

/// All rows that both have, and the names of those that only one has.
pub fn changes(before: &Report, after: &Report) -> (Vec<Change>, Vec<String>) {
    let mut changes = Vec::new();
    let mut alone = Vec::new();
    for row in &after.rows {
        let Some(base) = before.row(&row.name) else {
            alone.push(format!("{}: new", row.name));
            continue;
        };
        for &mode in row.costs.keys() {
            let (Some(before), Some(after)) = (base.steady(mode), row.steady(mode)) else {
                continue;
            };
            changes.push(Change {
                row: row.name.clone(),
                mode,
                before,
                after,
                function: greatest(base, row, mode),
            });
        }
    }
    let gone = before.rows.iter().filter(|row| after.row(&row.name).is_none());
    alone.extend(gone.map(|row| format!("{}: gone", row.name)));
    (changes, alone)
}

fn greatest(was: &Row, is: &Row, mode: Mode) -> Option<(String, f64)> {
    let mut difference = symbols::difference(&symbols::each(is, mode)?, &symbols::each(was, mode)?);
    difference.retain(|name, _| !is_in_batches(name));
    symbols::greatest(difference).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Cost,
        Counts,
        Gain, //
    };
    use std::collections::BTreeMap;

    fn report(rows: &[(&str, u64, u64)]) -> Report {
        let row = |&(name, zap, look): &(&str, u64, u64)| Row {
            name: name.to_owned(),
            gain: Gain::Nothing,
            unit: "call".to_owned(),
            costs: BTreeMap::from([(
                Mode::On,
                Cost {
                    units: 10,
                    freed: 0,
                    counts: Counts {
                        instructions: zap + look,
                        symbols: BTreeMap::from([
                            ("zap".to_owned(), zap),
                            ("look".to_owned(), look),
                        ]),
                        ..Counts::default()
                    },
                },
            )]),
        };
        Report { rows: rows.iter().map(row).collect(), ..Report::default() }
    }

    #[test]
    fn the_function_that_has_changed_most_is_told() {
        let (changes, alone) = changes(&report(&[("a", 900, 100)]), &report(&[("a", 890, 200)]));
        assert!(alone.is_empty());
        assert_eq!(changes[0].function, Some(("look".to_owned(), 10.0)));
        assert_eq!(changes[0].verdict(0.002), "worse");
        assert_eq!(changes[0].verdict(0.1), "same");
    }

    #[test]
    fn what_is_done_in_batches_is_not_told() {
        let with = |n: u64| {
            let mut report = report(&[("a", 900, 100)]);
            let cost = report.rows[0].costs.get_mut(&Mode::On).unwrap();
            cost.counts.instructions += n;
            cost.counts.batches += n;
            cost.counts.symbols.insert("__rmqueue_pcplist".to_owned(), n);
            report
        };
        let (changes, _) = changes(&with(0), &with(500));
        assert!(changes[0].function.is_none());
        assert_eq!(changes[0].ratio(), 1.0);
    }

    #[test]
    fn rows_that_only_one_has_are_told() {
        let (changes, alone) =
            changes(&report(&[("a", 1, 1), ("b", 1, 1)]), &report(&[("a", 1, 1), ("c", 1, 1)]));
        assert_eq!(changes.len(), 1);
        assert_eq!(alone, ["c: new", "b: gone"]);
    }
}

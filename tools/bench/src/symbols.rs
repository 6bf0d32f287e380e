// SPDX-License-Identifier: GPL-2.0

//! Instructions of one unit, by function.

use std::collections::BTreeMap;

use crate::{
    mode::Mode,
    report::Row, //
};

pub type Symbols = BTreeMap<String, f64>;

/// What a row takes in a mode: of the same tasks as [`Row::each`].
pub fn each(row: &Row, mode: Mode) -> Option<Symbols> {
    let cost = row.cost(mode)?;
    let mut sum = Symbols::new();
    for (name, n) in cost.counts.functions(row.beside()) {
        *sum.entry(name.clone()).or_default() += *n as f64 / cost.units as f64;
    }
    Some(sum)
}

/// What `is` has more than `was`, or less.
pub fn difference(is: &Symbols, was: &Symbols) -> Symbols {
    let mut difference = is.clone();
    for (name, n) in was {
        *difference.entry(name.clone()).or_default() -= n;
    }
    difference.retain(|_, n| *n != 0.0);
    difference
}

/// By how much, the most first.
pub fn greatest(symbols: Symbols) -> Vec<(String, f64)> {
    let mut sorted: Vec<(String, f64)> = symbols.into_iter().collect();
    sorted.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Cost,
        Counts,
        Gain, //
    };

    fn row(name: &str) -> Row {
        let symbols = |n: u64| BTreeMap::from([("f".to_owned(), n)]);
        let counts = Counts {
            symbols: symbols(10),
            other_symbols: symbols(20),
            thread_symbols: symbols(40),
            ..Counts::default()
        };
        Row {
            name: name.to_owned(),
            gain: Gain::Frees,
            unit: "call".to_owned(),
            costs: BTreeMap::from([(Mode::On, Cost { units: 10, freed: 0, counts })]),
        }
    }

    #[test]
    fn children_count_and_the_scanner_where_it_is_the_row() {
        let of = |row: &Row| each(row, Mode::On).unwrap()["f"];
        assert_eq!(of(&row("zap")), 1.0);
        assert_eq!(of(&row("fork.small")), 3.0);
        assert_eq!(of(&row("module.background.empty")), 5.0);
    }

    #[test]
    fn differences_both_ways_the_greatest_first() {
        let is = Symbols::from([("a".to_owned(), 5.0), ("b".to_owned(), 2.0)]);
        let was =
            Symbols::from([("a".to_owned(), 4.0), ("b".to_owned(), 2.0), ("c".to_owned(), 3.0)]);
        let sorted = greatest(difference(&is, &was));
        assert_eq!(sorted, [("c".to_owned(), -3.0), ("a".to_owned(), 1.0)]);
    }
}

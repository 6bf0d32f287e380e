// SPDX-License-Identifier: GPL-2.0

//! How long each call takes by itself: percentiles, in instructions of the whole machine.
//!
//! From the lines of `tests/bench/latency.c`: `latency NAME calls N sum TICKS PERCENT:TICKS...`.

use std::{
    collections::BTreeMap,
    fs,
    path::Path, //
};

use anyhow::{
    Context as _,
    Result,
    bail,
    ensure, //
};
use serde::{
    Deserialize,
    Serialize, //
};

use crate::mode::Mode;

/// One pattern of calls.
#[derive(Default, Serialize, Deserialize)]
pub struct Latency {
    pub name: String,
    pub runs: BTreeMap<Mode, Spread>,
}

/// Of all calls in one mode.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Spread {
    pub calls: u64,
    pub sum: u64,
    /// So many percent took no more than so many instructions; 0 is the shortest, 100 the longest.
    pub percentiles: Vec<(f64, u64)>,
}

impl Spread {
    /// What PERCENT of the calls took no longer than, if that was said.
    pub fn at(&self, percent: f64) -> Option<u64> {
        self.percentiles.iter().find(|(p, _)| *p == percent).map(|(_, ticks)| *ticks)
    }

    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.calls as f64
    }
}

/// What the pattern of that name does.
pub fn title(name: &str) -> &str {
    match name {
        "4k.full" => "4 KiB of a full table",
        "64k.full" => "64 KiB of a full table",
        "64k.emptying" => "64 KiB; each 32nd call empties a table",
        "2m.emptying" => "2 MiB: each call empties a full table",
        "4k.half_empty" => "4 KiB at random, a heap half empty",
        "4k.few_left" => "4 KiB at random, few pages in a table",
        other => other,
    }
}

/// Of the files MODE.rows, in the order of the first one.
pub fn read(folder: &Path, modes: &[Mode]) -> Result<Vec<Latency>> {
    let mut all = Vec::new();
    for &mode in modes {
        let path = folder.join(format!("{}.rows", mode.name()));
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        parse(&text, mode, &mut all).with_context(|| format!("in {}", path.display()))?;
    }
    Ok(all)
}

fn parse(text: &str, mode: Mode, all: &mut Vec<Latency>) -> Result<()> {
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match &words[..] {
            ["latency", name, "calls", calls, "sum", sum, percentiles @ ..] => {
                let spread =
                    spread(calls, sum, percentiles).with_context(|| format!("in: {line}"))?;
                let at = all.iter().position(|l| l.name == *name).unwrap_or_else(|| {
                    all.push(Latency { name: (*name).to_owned(), ..Latency::default() });
                    all.len() - 1
                });
                all[at].runs.insert(mode, spread);
            }
            ["latency", ..] => bail!("not understood: {line}"),
            _ => {}
        }
    }
    Ok(())
}

fn spread(calls: &str, sum: &str, percentiles: &[&str]) -> Result<Spread> {
    let pair = |word: &&str| -> Result<(f64, u64)> {
        let (percent, ticks) = word.split_once(':').with_context(|| format!("no pair: {word}"))?;
        Ok((percent.parse()?, ticks.parse()?))
    };
    let spread = Spread {
        calls: calls.parse()?,
        sum: sum.parse()?,
        percentiles: percentiles.iter().map(pair).collect::<Result<_>>()?,
    };
    let rises = spread.percentiles.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
    ensure!(spread.calls > 0 && rises, "these are no percentiles");
    ensure!(
        spread.at(0.0).is_some() && spread.at(100.0).is_some(),
        "the shortest or the longest is missing"
    );
    Ok(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_both_modes() {
        let mut all = Vec::new();
        let text = "row 1 a nothing 1 call freed 0\nlatency b calls 4 sum 100 0:10 50:20 100:50\n";
        parse(text, Mode::Stock, &mut all).unwrap();
        parse(text, Mode::On, &mut all).unwrap();
        assert_eq!(all.len(), 1);
        let spread = &all[0].runs[&Mode::On];
        assert_eq!(
            (spread.at(50.0), spread.at(99.0), spread.at(100.0)),
            (Some(20), None, Some(50))
        );
        assert_eq!(spread.mean(), 25.0);
    }

    #[test]
    fn what_are_no_percentiles_is_an_error() {
        for text in [
            "latency b calls 4",
            "latency b calls 4 sum x 0:1 100:2",
            "latency b calls 4 sum 9 0:1 50 100:2",
            "latency b calls 4 sum 9 0:3 100:2",
            "latency b calls 4 sum 9 50:1 0:1 100:2",
            "latency b calls 4 sum 9 0:1 50:1",
            "latency b calls 0 sum 9 0:1 100:1",
        ] {
            assert!(parse(text, Mode::On, &mut Vec::new()).is_err(), "{text}");
        }
    }
}

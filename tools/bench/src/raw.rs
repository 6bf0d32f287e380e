// SPDX-License-Identifier: GPL-2.0

//! What the guests and the plugin have written, joined: a folder with MODE.rows and MODE.counts.
//!
//! The program's lines: `row NUMBER NAME nothing|frees UNITS UNIT freed N`. The guest's lines:
//! `symbol ADDRESS NAME`, of the module.

use std::{
    collections::BTreeMap,
    fs,
    path::Path, //
};

use anyhow::{
    Context as _,
    Result,
    bail, //
};
use serde::Deserialize;

use crate::{
    mode::Mode,
    report::{
        Beside,
        Cost,
        Counts,
        Gain,
        Row, //
    }, //
};

/// A line of the plugin.
#[derive(Deserialize)]
struct Phase {
    mark: u64,
    #[serde(flatten)]
    counts: Counts,
}

/// What the guest's program said of a row.
struct Said {
    name: String,
    gain: Gain,
    units: u64,
    unit: String,
    freed: u64,
}

/// The names of the module's functions, by address.
#[derive(Default)]
struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    /// A function's name without what the compiler has added; of an address, the function it is in.
    fn name(&self, key: &str) -> String {
        let at = key.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let Some(at) = at else {
            return readable(key);
        };
        match self.0.range(..=at).next_back() {
            Some((_, name)) => readable(name),
            None => key.to_owned(),
        }
    }
}

/// Without Rust's mangling, and without the hash.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// All rows, in the order in which the first mode has them.
pub fn read(folder: &Path, modes: &[Mode]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for &mode in modes {
        let file = |kind: &str| folder.join(format!("{}.{kind}", mode.name()));
        let text = |kind| {
            let path = file(kind);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (said, symbols) =
            guest(&text("rows")?).with_context(|| format!("in {}", file("rows").display()))?;
        let mut counts = plugin(&text("counts")?, &symbols)
            .with_context(|| format!("in {}", file("counts").display()))?;
        for (mark, said) in said {
            let Some(mut counts) = counts.remove(&mark) else {
                bail!("{}: nothing was counted of {}", mode.name(), said.name);
            };
            counts.batches = counts.in_batches(Beside::of(&said.name));
            let cost = Cost { units: said.units, freed: said.freed, counts };
            match rows.iter_mut().find(|row| row.name == said.name) {
                Some(row) => {
                    row.costs.insert(mode, cost);
                }
                None => rows.push(Row {
                    name: said.name,
                    gain: said.gain,
                    unit: said.unit,
                    costs: BTreeMap::from([(mode, cost)]),
                }),
            }
        }
    }
    Ok(rows)
}

fn guest(text: &str) -> Result<(BTreeMap<u64, Said>, Symbols)> {
    let mut rows = BTreeMap::new();
    let mut symbols = Symbols::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["row", number, name, gain, units, unit, "freed", freed] => {
                let said = Said {
                    name: name.to_owned(),
                    gain: match gain {
                        "nothing" => Gain::Nothing,
                        "frees" => Gain::Frees,
                        _ => bail!("neither nothing nor frees: {line}"),
                    },
                    units: units.parse().with_context(|| format!("units: {line}"))?,
                    unit: unit.to_owned(),
                    freed: freed.parse().with_context(|| format!("freed: {line}"))?,
                };
                rows.insert(number.parse().with_context(|| format!("number: {line}"))?, said);
            }
            ["row", ..] => bail!("not understood: {line}"),
            ["symbol", address, name] => {
                let address =
                    u64::from_str_radix(address, 16).with_context(|| format!("address: {line}"))?;
                symbols.0.insert(address, name.to_owned());
            }
            _ => {}
        }
    }
    Ok((rows, symbols))
}

fn plugin(text: &str, symbols: &Symbols) -> Result<BTreeMap<u64, Counts>> {
    let mut phases = BTreeMap::new();
    for line in text.lines() {
        let mut phase: Phase =
            serde_json::from_str(line).with_context(|| format!("not understood: {line}"))?;
        let counts = &mut phase.counts;
        for by in [&mut counts.symbols, &mut counts.other_symbols, &mut counts.thread_symbols] {
            let mut named = BTreeMap::new();
            for (key, n) in &*by {
                *named.entry(symbols.name(key)).or_default() += n;
            }
            *by = named;
        }
        phases.insert(phase.mark, phase.counts);
    }
    Ok(phases)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "symbol ffffffffc0001000 _RNvCs1234_4demo3foo\n\
        symbol ffffffffc0002000 ptr_shim_bar\n\
        row 3 dontneed.4k.full nothing 100 call freed 0\n";

    #[test]
    fn rows_and_counts_are_joined_by_number() {
        let (said, symbols) = guest(ROWS).unwrap();
        assert_eq!(said[&3].name, "dontneed.4k.full");
        assert_eq!(said[&3].units, 100);
        let counts = plugin(
            r#"{"mark":3,"instructions":70,"symbols":{"0xffffffffc0002010":50,"zap_pte_range":20},"rcu_symbols":{"kfree":7},"thread_symbols":{"0xffffffffc0001000":9}}"#,
            &symbols,
        )
        .unwrap();
        assert_eq!(counts[&3].instructions, 70);
        assert_eq!(counts[&3].symbols["ptr_shim_bar"], 50);
        assert_eq!(counts[&3].symbols["zap_pte_range"], 20);
        assert_eq!(counts[&3].thread_symbols["demo::foo"], 9);
    }

    #[test]
    fn addresses_are_of_the_function_before_them() {
        let (_, symbols) = guest(ROWS).unwrap();
        assert_eq!(symbols.name("0xffffffffc0001fff"), "demo::foo");
        assert_eq!(symbols.name("0xffffffffc0000fff"), "0xffffffffc0000fff");
        assert_eq!(symbols.name("kfree"), "kfree");
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        assert!(guest("row 1 two").is_err());
        assert!(guest("row 1 a perhaps 1 call freed 0").is_err());
        assert!(plugin("{}", &Symbols::default()).is_err());
    }
}

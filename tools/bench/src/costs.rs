// SPDX-License-Identifier: GPL-2.0

//! What the project costs must stay what it is: some rows, held against counts that are kept with the
//! sources (`tests/bench/expected.json`).
//!
//! Compared is what is added: by the patches to the stock kernel, by the module to the patched one. The
//! rest is Linux's affair, and another one with each of its releases.

use std::{
    collections::BTreeMap,
    fmt::{
        self,
        Write as _, //
    },
    fs,
    path::Path,
    process::ExitCode, //
};

use anyhow::{
    Context as _,
    Result, //
};
use serde::{
    Deserialize,
    Serialize, //
};

use crate::{
    batches::is_in_batches,
    machine_code::MachineCode,
    mode::Mode,
    report::Row,
    symbols::{
        self,
        Symbols, //
    }, //
};

/// As much as two runs of the same may differ, of what a call costs.
const TOLERANCE: f64 = 0.001;
/// The same in instructions, where a call costs little.
const LEAST: f64 = 1.0;
/// Functions told of a row that fails.
const TOLD: usize = 4;

/// Whose instructions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// Of the patched kernel, more than of the stock one.
    Patches,
    /// With the module, more than without.
    Module,
    /// All of a row that only the module has.
    Alone,
}

impl Part {
    fn of(row: &str) -> &'static [Self] {
        if row.starts_with("module.") { &[Self::Alone] } else { &[Self::Patches, Self::Module] }
    }

    fn modes(self) -> (Mode, Option<Mode>) {
        match self {
            Self::Patches => (Mode::Patched, Some(Mode::Stock)),
            Self::Module => (Mode::On, Some(Mode::Patched)),
            Self::Alone => (Mode::On, None),
        }
    }

    fn base(self) -> Mode {
        if self == Self::Alone { Mode::On } else { Mode::Stock }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Patches => "what the patches add",
            Self::Module => "what the module adds",
            Self::Alone => "the module's own",
        }
    }
}

/// Instructions of one unit, and the functions that have most of them.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Count {
    instructions: f64,
    by: Symbols,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct Expected {
    license: String,
    /// Who compiled what was counted.
    built: String,
    rows: BTreeMap<String, BTreeMap<Part, Count>>,
}

impl Expected {
    fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The same rows, as counted now.
    fn accept(&self, counted: &[Row], built: &str) -> Result<Self> {
        let mut rows = BTreeMap::new();
        for name in self.rows.keys() {
            let row = find(counted, name).with_context(|| format!("{name} was not counted"))?;
            let mut parts = BTreeMap::new();
            for &part in Part::of(name) {
                let count =
                    count(row, part).with_context(|| format!("{name}: a mode is missing"))?;
                parts.insert(part, count.rounded(tolerance(row, part)));
            }
            rows.insert(name.clone(), parts);
        }
        Ok(Self { license: self.license.clone(), built: built.to_owned(), rows })
    }
}

impl Count {
    /// As it is kept: a tenth of an instruction, and without functions that make no difference.
    fn rounded(&self, tolerance: f64) -> Self {
        let tenth = |n: f64| (n * 10.0).round() / 10.0;
        let by = self.by.iter().map(|(name, n)| (name.clone(), tenth(*n)));
        Self {
            instructions: tenth(self.instructions),
            by: by.filter(|(_, n)| n.abs() >= tolerance).collect(),
        }
    }
}

fn find<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    rows.iter().find(|row| row.name == name)
}

/// What a unit costs, of which the tolerance is a share.
fn base(row: &Row, part: Part) -> Option<f64> {
    own(row, part.base()).map(|count| count.instructions)
}

fn tolerance(row: &Row, part: Part) -> f64 {
    base(row, part).map_or(LEAST, |base| LEAST.max(TOLERANCE * base))
}

/// The program's own: what RCU has to free meanwhile, and who else runs, is chance.
fn own(row: &Row, mode: Mode) -> Option<Count> {
    let cost = row.cost(mode)?;
    let symbols = cost.counts.symbols.iter().filter(|(name, _)| !is_in_batches(name));
    let by: Symbols =
        symbols.map(|(name, n)| (name.clone(), *n as f64 / cost.units as f64)).collect();
    Some(Count { instructions: by.values().sum(), by })
}

fn count(row: &Row, part: Part) -> Option<Count> {
    let (mode, over) = part.modes();
    let mut count = own(row, mode)?;
    if let Some(over) = over {
        let over = own(row, over)?;
        count.instructions -= over.instructions;
        count.by = symbols::difference(&count.by, &over.by);
    }
    Some(count)
}

/// One row and part of it.
struct Case {
    row: String,
    part: Part,
    expected: f64,
    /// `None` if it was not counted.
    found: Option<Found>,
}

struct Found {
    instructions: f64,
    tolerance: f64,
    /// What a unit costs on the stock kernel; of the module's own all of it.
    base: f64,
    /// Where it differs, the most first.
    by: Vec<(String, f64)>,
}

impl Case {
    /// Instructions more than expected.
    fn more(&self) -> Option<f64> {
        self.found.as_ref().map(|found| found.instructions - self.expected)
    }

    fn is_met(&self) -> bool {
        let found = self.found.as_ref().zip(self.more());
        found.is_some_and(|(found, more)| more.abs() <= found.tolerance)
    }
}

/// All that is expected, and what was found of it.
fn cases(expected: &Expected, counted: &[Row]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, parts) in &expected.rows {
        for &part in Part::of(name) {
            // A row that was only named has nothing that it could meet.
            let was = parts.get(&part);
            let found = was.zip(find(counted, name)).and_then(|(was, row)| {
                let (mut is, tolerance) = (count(row, part)?, tolerance(row, part));
                // What is not in the file was as small as that.
                is.by.retain(|name, n| was.by.contains_key(name) || n.abs() >= tolerance);
                Some(Found {
                    instructions: is.instructions,
                    tolerance,
                    base: base(row, part)?,
                    by: symbols::greatest(symbols::difference(&is.by, &was.by)),
                })
            });
            let expected = was.map_or(0.0, |was| was.instructions);
            cases.push(Case { row: name.clone(), part, expected, found });
        }
    }
    cases
}

/// As the test suites print it, and how many failed.
fn show(cases: &[Case], code: &MachineCode) -> Result<(String, usize), fmt::Error> {
    let mut out = String::new();
    let hot: Vec<_> = code.paths.iter().filter(|path| path.is_hot).collect();
    for path in &hot {
        match path.fault() {
            None => writeln!(out, "ok no panic in {}", path.name)?,
            Some(fault) => writeln!(out, "# {fault}\nnot ok no panic in {}", path.name)?,
        }
    }
    for case in cases {
        let Case { row, part, expected, .. } = case;
        let name = format!("{row}: {}", part.name());
        let Some((found, more)) = case.found.as_ref().zip(case.more()) else {
            writeln!(out, "not ok {name}: nothing was counted, or nothing is expected")?;
            continue;
        };
        let is = found.instructions;
        if case.is_met() {
            writeln!(out, "ok {name}: {is:.1} instructions, expected {expected:.1}")?;
            continue;
        }
        for (function, n) in found.by.iter().filter(|(_, n)| n.abs() >= 0.5).take(TOLD) {
            writeln!(out, "# {n:+.1} in {function}")?;
        }
        if more < 0.0 {
            writeln!(out, "# cheaper: commit what tests/suites/costs --accept writes")?;
        }
        writeln!(
            out,
            "not ok {name}: {is:.1} instructions, expected {expected:.1}: {more:+.1}, {:+.2} %; up to {:.1} is noise",
            more / found.base * 100.0,
            found.tolerance
        )?;
    }
    let failed = cases.iter().filter(|case| !case.is_met()).count()
        + hot.iter().filter(|path| path.fault().is_some()).count();
    let ran = cases.len() + hot.len();
    writeln!(out, "Ran {ran} tests: passed: {}, failed: {failed}", ran - failed)?;
    Ok((out, failed))
}

/// What `bench costs` does.
pub fn run(
    path: &Path,
    counted: &[Row],
    code: &MachineCode,
    built: &str,
    accept: bool,
) -> Result<ExitCode> {
    let expected = Expected::read(path)?;
    if accept {
        let accepted = expected.accept(counted, built)?;
        accepted.write(path)?;
        println!("{} has the new counts", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut cases = cases(&expected, counted);
    if built != expected.built {
        // Other code is made of the same source, or of another one.
        println!("# counts are not compared: they are of {}, and this is {built}", expected.built);
        cases.clear();
    }
    let (text, failed) = show(&cases, code)?;
    print!("{text}");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine_code::HotPath,
        report::{
            Cost,
            Counts,
            Gain, //
        },
    };

    /// A row whose zap and look take so many instructions in each mode.
    fn row(name: &str, costs: &[(Mode, u64, u64)]) -> Row {
        let cost = |zap: u64, look: u64| Cost {
            units: 10,
            freed: 0,
            counts: Counts {
                instructions: 10 * (zap + look),
                symbols: BTreeMap::from([
                    ("zap".to_owned(), 10 * zap),
                    ("look".to_owned(), 10 * look),
                ]),
                ..Counts::default()
            },
        };
        Row {
            name: name.to_owned(),
            gain: Gain::Nothing,
            unit: "call".to_owned(),
            costs: costs.iter().map(|&(mode, zap, look)| (mode, cost(zap, look))).collect(),
        }
    }

    fn zap(patched: u64, on: u64) -> Row {
        let modes = [(Mode::Stock, 1000, 0), (Mode::Patched, patched, 0), (Mode::On, patched, on)];
        row("dontneed.4k.full", &modes)
    }

    fn expected(rows: &[Row]) -> Expected {
        let named = rows.iter().map(|row| (row.name.clone(), BTreeMap::new())).collect();
        Expected { rows: named, ..Expected::default() }.accept(rows, "cc").unwrap()
    }

    fn text(expected: &Expected, counted: &[Row]) -> String {
        show(&cases(expected, counted), &MachineCode::default()).unwrap().0
    }

    #[test]
    fn what_is_accepted_is_met() {
        let rows = [zap(1003, 20), row("module.look.empty", &[(Mode::On, 0, 900)])];
        let expected = expected(&rows);
        assert_eq!(expected.rows["dontneed.4k.full"][&Part::Module].instructions, 20.0);
        assert_eq!(expected.rows["module.look.empty"][&Part::Alone].by["look"], 900.0);
        assert!(text(&expected, &rows).ends_with("Ran 3 tests: passed: 3, failed: 0\n"));
    }

    #[test]
    fn another_release_of_linux_makes_no_difference() {
        let modes = [(Mode::Stock, 1900, 0), (Mode::Patched, 1903, 0), (Mode::On, 1903, 20)];
        let other = row("dontneed.4k.full", &modes);
        assert!(cases(&expected(&[zap(1003, 20)]), &[other]).iter().all(Case::is_met));
    }

    #[test]
    fn a_call_that_costs_more_fails_with_the_function() {
        let text = text(&expected(&[zap(1003, 20)]), &[zap(1003, 40)]);
        assert!(
            text.contains(
                "# +20.0 in look\nnot ok dontneed.4k.full: what the module adds: 40.0 instructions, \
                 expected 20.0: +20.0, +2.00 %"
            ),
            "{text}"
        );
        assert!(text.ends_with("passed: 1, failed: 1\n"), "{text}");
        assert!(!text.contains("--accept"), "{text}");
    }

    #[test]
    fn a_patch_that_costs_more_is_not_the_modules() {
        let text = text(&expected(&[zap(1003, 20)]), &[zap(1009, 20)]);
        assert!(text.contains("# +6.0 in zap\nnot ok dontneed.4k.full: what the patches add"));
        assert!(text.ends_with("passed: 1, failed: 1\n"), "{text}");
    }

    #[test]
    fn what_costs_less_is_to_be_accepted() {
        let text = text(&expected(&[zap(1003, 20)]), &[zap(1003, 10)]);
        assert!(text.contains("# -10.0 in look\n# cheaper: commit"), "{text}");
        assert!(text.ends_with("passed: 1, failed: 1\n"), "{text}");
    }

    #[test]
    fn noise_is_a_share_of_what_the_call_costs() {
        let dear = |zap, on| {
            row("a", &[(Mode::Stock, 100_000, 0), (Mode::Patched, zap, 0), (Mode::On, zap, on)])
        };
        let expected = expected(&[dear(100_000, 50)]);
        assert!(cases(&expected, &[dear(100_090, 50)]).iter().all(Case::is_met));
        assert!(!cases(&expected, &[dear(100_110, 50)]).iter().all(Case::is_met));
    }

    #[test]
    fn a_hot_path_without_a_function_or_with_a_panic_fails() {
        let hot = HotPath { name: "a zap".to_owned(), is_hot: true, ..HotPath::default() };
        let cold = HotPath { is_hot: false, ..hot.clone() };
        let (text, failed) = show(&[], &MachineCode { paths: vec![hot, cold] }).unwrap();
        assert_eq!(failed, 1);
        assert!(text.contains("not ok no panic in a zap\nRan 1 tests: passed: 0"), "{text}");
    }

    #[test]
    fn functions_that_make_no_difference_are_not_kept_nor_told() {
        let small = |n: u64| {
            let mut row = zap(1003, 20 + n);
            for cost in row.costs.values_mut() {
                cost.counts.symbols.insert("small".to_owned(), 9);
            }
            row.costs.get_mut(&Mode::Stock).unwrap().counts.symbols.remove("small");
            row
        };
        let expected = expected(&[small(0)]);
        assert!(!expected.rows["dontneed.4k.full"][&Part::Patches].by.contains_key("small"));
        let text = text(&expected, &[small(30)]);
        assert!(text.contains("# +30.0 in look\nnot ok") && !text.contains("in small"), "{text}");
    }

    #[test]
    fn what_comes_in_batches_is_left_out() {
        let mut row = zap(1003, 20);
        for (&mode, cost) in &mut row.costs {
            let n = if mode == Mode::Stock { 7 } else { 900 };
            cost.counts.instructions += n;
            cost.counts.symbols.insert("__rmqueue_pcplist".to_owned(), n);
        }
        assert!(cases(&expected(&[zap(1003, 20)]), &[row]).iter().all(Case::is_met));
    }

    #[test]
    fn what_was_not_counted_fails() {
        let rows = [zap(1003, 20)];
        assert!(text(&expected(&rows), &[]).ends_with("passed: 0, failed: 2\n"));
        let named = Expected {
            rows: BTreeMap::from([(rows[0].name.clone(), BTreeMap::new())]),
            ..Expected::default()
        };
        assert!(text(&named, &rows).ends_with("passed: 0, failed: 2\n"));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What was counted, as it is kept in JSON: `build/bench/report.json`.

use std::{
    collections::BTreeMap,
    fs,
    path::Path, //
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
    latency::Latency,
    machine_code::MachineCode,
    mode::Mode,
    programs::Program, //
};

/// All of one run of the bench.
#[derive(Default, Serialize, Deserialize)]
pub struct Report {
    /// Of the sources, as `git describe` has it.
    pub revision: String,
    /// Of Linux.
    pub kernel: String,
    pub rows: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<Latency>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_code: Option<MachineCode>,
}

/// One pattern of calls, on each kernel.
#[derive(Clone, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub gain: Gain,
    /// What is counted: calls, faults, tables.
    pub unit: String,
    pub costs: BTreeMap<Mode, Cost>,
}

/// Whether there is something to free.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gain {
    Nothing,
    Frees,
}

/// What a row has cost in one mode: all of it, not of one unit.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Cost {
    pub units: u64,
    /// Tables that the module says it has freed.
    pub freed: u64,
    #[serde(flatten)]
    pub counts: Counts,
}

/// What tools/insncount says of one phase.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Instructions of the kernel for the program, and for its children.
    pub instructions: u64,
    pub other_tasks: u64,
    /// Of these, what is done in batches ([`crate::batches`]).
    pub batches: u64,
    /// In interrupts, and in RCU callbacks.
    pub interrupt: u64,
    pub rcu: u64,
    pub kernel_threads: u64,
    pub pages_allocated: u64,
    pub pages_cleared: u64,
    pub pages_copied: u64,
    pub invlpg: u64,
    pub cr3: u64,
    pub ipis: u64,
    /// Callbacks given to RCU.
    pub callbacks: u64,
    pub flushes: u64,
    /// Of a page table lock.
    pub longest_hold: Option<Hold>,
    /// The program's instructions, by function; those in RCU callbacks; and those of other tasks and
    /// of kernel threads.
    pub symbols: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rcu_symbols: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other_symbols: BTreeMap<String, u64>,
}

/// A lock was held for so many instructions.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Hold {
    pub instructions: u64,
    pub function: String,
}

impl Counts {
    /// The functions of the children, not those of kernel threads: the plugin does not tell them.
    pub fn with_children(&self) -> bool {
        self.other_tasks > self.kernel_threads
    }

    /// Sum of [`Self::batches`], from the functions.
    pub fn in_batches(&self) -> u64 {
        let children = self.with_children().then_some(&self.other_symbols);
        let symbols = [&self.symbols].into_iter().chain(children).flatten();
        symbols.filter(|(name, _)| is_in_batches(name)).map(|(_, n)| n).sum()
    }
}

impl Row {
    pub fn cost(&self, mode: Mode) -> Option<&Cost> {
        self.costs.get(&mode)
    }

    /// Instructions of one unit: for the program and its children; of the scanner its own. None of what
    /// RCU does: that is for whoever freed something a grace period ago.
    pub fn each(&self, mode: Mode) -> Option<f64> {
        let cost = self.cost(mode)?;
        let counts = &cost.counts;
        let threads = if self.is_background() { counts.kernel_threads } else { 0 };
        let sum = counts.instructions + counts.other_tasks + threads;
        Some(sum as f64 / cost.units as f64)
    }

    /// The same without what is done in batches. Whether a unit has to pay for one is chance, and more
    /// than the module costs; over many units it is the same, unless other pages are freed.
    pub fn steady(&self, mode: Mode) -> Option<f64> {
        let cost = self.cost(mode)?;
        Some(self.each(mode)? - cost.counts.batches as f64 / cost.units as f64)
    }

    /// A kernel thread does it.
    pub fn is_background(&self) -> bool {
        self.name.starts_with("module.background.")
    }

    /// What a unit costs in one mode over what it costs in another: all of it where they do not free
    /// the same.
    pub fn ratio(&self, mode: Mode, over: Mode) -> Option<f64> {
        let own = |mode| matches!(mode, Mode::Stock | Mode::Patched | Mode::Loaded);
        let alike = self.gain == Gain::Nothing || own(mode) && own(over);
        let of = |mode| if alike { self.steady(mode) } else { self.each(mode) };
        Some(of(mode)? / of(over)?)
    }
}

impl Report {
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is no report of the bench", path.display()))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rcu_does_is_of_no_row() {
        let counts = Counts { instructions: 1000, rcu: 500, ..Counts::default() };
        let row = Row {
            name: "a".to_owned(),
            gain: Gain::Frees,
            unit: "call".to_owned(),
            costs: [(Mode::On, Cost { units: 10, freed: 0, counts })].into(),
        };
        assert_eq!(row.each(Mode::On), Some(100.0));
    }

    #[test]
    fn batches_count_where_other_tables_are_freed() {
        let cost = |batches| {
            let counts = Counts { instructions: 1000 + batches, batches, ..Counts::default() };
            Cost { units: 1, freed: 0, counts }
        };
        let row = |gain| Row {
            name: "a".to_owned(),
            gain,
            unit: "call".to_owned(),
            costs: [(Mode::Stock, cost(0)), (Mode::Patched, cost(1000)), (Mode::On, cost(3000))]
                .into(),
        };
        assert_eq!(row(Gain::Nothing).ratio(Mode::On, Mode::Patched), Some(1.0));
        assert_eq!(row(Gain::Frees).ratio(Mode::On, Mode::Patched), Some(2.0));
        assert_eq!(row(Gain::Frees).ratio(Mode::Patched, Mode::Stock), Some(1.0));
    }
}

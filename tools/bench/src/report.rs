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
    /// Instructions of the kernel for the program, and for all other tasks that are no kernel threads.
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
    /// The program's instructions, by function; those of other tasks; and those of kernel threads.
    pub symbols: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other_symbols: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub thread_symbols: BTreeMap<String, u64>,
}

/// A lock was held for so many instructions.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Hold {
    pub instructions: u64,
    pub function: String,
}

/// Whose instructions a row has: the program's, and of one other kind those that the row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
    Nobody,
    /// Child processes.
    OtherTasks,
    /// The scanner.
    KernelThreads,
}

impl Beside {
    pub fn of(row: &str) -> Self {
        if row.starts_with("module.background.") {
            Self::KernelThreads
        } else if row.starts_with("fork.") || row.starts_with("exec.") {
            Self::OtherTasks
        } else {
            Self::Nobody
        }
    }
}

impl Counts {
    /// Of all whose they are.
    fn sum(&self, beside: Beside) -> u64 {
        self.instructions
            + match beside {
                Beside::Nobody => 0,
                Beside::OtherTasks => self.other_tasks,
                Beside::KernelThreads => self.kernel_threads,
            }
    }

    /// The same by function.
    pub fn functions(&self, beside: Beside) -> impl Iterator<Item = (&String, &u64)> {
        let others = match beside {
            Beside::Nobody => None,
            Beside::OtherTasks => Some(&self.other_symbols),
            Beside::KernelThreads => Some(&self.thread_symbols),
        };
        [&self.symbols].into_iter().chain(others).flatten()
    }

    /// Sum of [`Self::batches`], from the functions.
    pub fn in_batches(&self, beside: Beside) -> u64 {
        self.functions(beside).filter(|(name, _)| is_in_batches(name)).map(|(_, n)| n).sum()
    }
}

impl Row {
    pub fn cost(&self, mode: Mode) -> Option<&Cost> {
        self.costs.get(&mode)
    }

    /// Instructions of one unit. None of what RCU does: that is for whoever freed something a grace
    /// period ago.
    pub fn each(&self, mode: Mode) -> Option<f64> {
        let cost = self.cost(mode)?;
        Some(cost.counts.sum(self.beside()) as f64 / cost.units as f64)
    }

    /// The same without what is done in batches. Whether a unit has to pay for one is chance, and more
    /// than the module costs; over many units it is the same, unless other pages are freed.
    pub fn steady(&self, mode: Mode) -> Option<f64> {
        let cost = self.cost(mode)?;
        Some(self.each(mode)? - cost.counts.batches as f64 / cost.units as f64)
    }

    pub fn beside(&self) -> Beside {
        Beside::of(&self.name)
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
    fn a_row_has_what_it_is_about() {
        let of = |name: &str| {
            let counts = Counts {
                instructions: 1000,
                other_tasks: 200,
                kernel_threads: 30,
                rcu: 4,
                ..Counts::default()
            };
            let costs = [(Mode::On, Cost { units: 1, freed: 0, counts })].into();
            let (gain, unit) = (Gain::Frees, "call".to_owned());
            Row { name: name.to_owned(), gain, unit, costs }.each(Mode::On)
        };
        assert_eq!(of("munmap.2m"), Some(1000.0));
        assert_eq!(of("fork.small"), Some(1200.0));
        assert_eq!(of("exec.1g.one_page"), Some(1200.0));
        assert_eq!(of("module.background.empty"), Some(1030.0));
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

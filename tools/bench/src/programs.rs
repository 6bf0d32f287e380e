// SPDX-License-Identifier: GPL-2.0

//! Real programs: their page tables over time, without reclaim, with Linux's own and with the module.
//!
//! From the lines of `tests/workloads/all`: `curve NAME MS RSS VMPTE LEAST TABLES` and
//! `result once|later NAME RSS VMPTE LEAST ...`, all in kB. TABLES are the whole system's.

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
use serde::{
    Deserialize,
    Serialize, //
};

use crate::mode::Mode;

/// Those that are run, by the names that scripts/run has for them.
const MODES: [(&str, Mode); 3] =
    [("off", Mode::Off), ("builtin", Mode::Patched), ("module", Mode::On)];

/// Several of them at once.
pub const SYSTEM: &str = "system";

/// One program in each mode.
#[derive(Default, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub runs: BTreeMap<Mode, Run>,
}

impl Program {
    /// All modes have come to an end.
    pub fn is_complete(&self) -> bool {
        MODES.iter().all(|(_, mode)| self.runs.get(mode).is_some_and(|run| run.later.is_some()))
    }
}

/// One run of it.
#[derive(Default, Serialize, Deserialize)]
pub struct Run {
    pub curve: Vec<Moment>,
    /// When it has given back what it will; and five seconds later.
    pub once: Option<Footprint>,
    pub later: Option<Footprint>,
}

/// At so many milliseconds from its start.
#[derive(Serialize, Deserialize)]
pub struct Moment {
    pub ms: u64,
    #[serde(flatten)]
    pub footprint: Footprint,
    /// All page tables of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<u64>,
}

/// In kB.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Footprint {
    pub rss: u64,
    pub vmpte: u64,
    /// What its page tables would be if each held something.
    pub least: u64,
}

/// As scripts/run calls it.
pub fn title(name: &str) -> &str {
    match name {
        "shenandoah" => "OpenJDK, Shenandoah",
        "g1" => "OpenJDK, G1",
        "jemalloc" => "Python on jemalloc",
        "jemalloc0" => "Python, jemalloc decay 0",
        "tcmalloc" => "Python on tcmalloc",
        "mimalloc" => "Python on mimalloc",
        "go" => "Go",
        "node" => "Node.js",
        "redis" => "Redis, flushed and purged",
        "postgres" => "PostgreSQL, 16 backends",
        "loop2m" => "50 GiB, touched and discarded by 2 MiB",
        "loop64k" => "50 GiB, touched and discarded by 64 KiB",
        SYSTEM => "Six programs at once",
        other => other,
    }
}

/// Of the files MODE.programs, in the order of the first one. None, if nothing was run.
pub fn read(folder: &Path) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for (name, mode) in MODES {
        let path = folder.join(format!("{name}.programs"));
        if !path.exists() {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        parse(&text, mode, &mut programs).with_context(|| format!("in {}", path.display()))?;
    }
    Ok(programs)
}

fn parse(text: &str, mode: Mode, programs: &mut Vec<Program>) -> Result<()> {
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["curve", name, ms, rss, vmpte, least, ref tables @ ..] if tables.len() <= 1 => {
                let number = |text: &str| text.parse().with_context(|| line.to_owned());
                let footprint = footprint([rss, vmpte, least], line)?;
                let tables = tables.first().map(|kb| number(kb)).transpose()?;
                let run = run(programs, name, mode);
                // After the last look at it a program ends.
                if run.later.is_none() {
                    run.curve.push(Moment { ms: number(ms)?, footprint, tables });
                }
            }
            ["result", when, name, rss, vmpte, least, ..] => {
                let footprint = Some(footprint([rss, vmpte, least], line)?);
                let run = run(programs, name, mode);
                match when {
                    "once" => run.once = footprint,
                    "later" => run.later = footprint,
                    _ => bail!("neither once nor later: {line}"),
                }
            }
            ["curve" | "result", ..] => bail!("not understood: {line}"),
            _ => {}
        }
    }
    Ok(())
}

fn footprint(kb: [&str; 3], line: &str) -> Result<Footprint> {
    let [rss, vmpte, least] = kb.map(str::parse);
    let all = || -> Result<Footprint, std::num::ParseIntError> {
        Ok(Footprint { rss: rss?, vmpte: vmpte?, least: least? })
    };
    all().with_context(|| line.to_owned())
}

fn run<'p>(programs: &'p mut Vec<Program>, name: &str, mode: Mode) -> &'p mut Run {
    let at = programs.iter().position(|program| program.name == name).unwrap_or_else(|| {
        programs.push(Program { name: name.to_owned(), ..Program::default() });
        programs.len() - 1
    });
    programs[at].runs.entry(mode).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_results() {
        let mut programs = Vec::new();
        let text = "progress go\ncurve go 0 100 8 8\ncurve go 250 900 60 20 400\n\
            result once go 50 60 12 1 1 1 9\nresult later go 50 12 12 1 1 1 1\n\
            curve go 500 2 4 4 300\n";
        parse(text, Mode::On, &mut programs).unwrap();
        let run = &programs[0].runs[&Mode::On];
        assert_eq!(run.curve.len(), 2);
        assert_eq!((run.curve[1].ms, run.curve[1].tables), (250, Some(400)));
        assert_eq!(run.curve[0].tables, None);
        assert_eq!(run.once.unwrap().vmpte, 60);
        assert_eq!(run.later, Some(Footprint { rss: 50, vmpte: 12, least: 12 }));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for text in [
            "curve go 0 100 8",
            "curve go 0 x 8 8",
            "curve go 0 100 8 8 x",
            "curve go 0 100 8 8 9 9",
            "result soon go 1 2 3",
        ] {
            assert!(parse(text, Mode::On, &mut Vec::new()).is_err(), "{text}");
        }
    }
}

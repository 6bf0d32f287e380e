// SPDX-License-Identifier: GPL-2.0

//! Real programs: their page tables over time, without reclaim, with Linux's own and with the module.
//!
//! From the lines of `tests/workloads/all`: `curve NAME MS RSS VMPTE LEAST` and
//! `result once|later NAME RSS VMPTE LEAST ...`, all in kB.

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

/// One program in each mode.
#[derive(Default, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub runs: BTreeMap<Mode, Run>,
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
}

/// In kB.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Footprint {
    pub rss: u64,
    pub vmpte: u64,
    /// What its page tables would be if each held something.
    pub least: u64,
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
            ["curve", name, ms, rss, vmpte, least] => {
                let ms = ms.parse().with_context(|| line.to_owned())?;
                let footprint = footprint([rss, vmpte, least], line)?;
                run(programs, name, mode).curve.push(Moment { ms, footprint });
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
        let text = "progress go\ncurve go 0 100 8 8\ncurve go 250 900 60 20\n\
            result once go 50 60 12 1 1 1 9\nresult later go 50 12 12 1 1 1 1\n";
        parse(text, Mode::On, &mut programs).unwrap();
        let run = &programs[0].runs[&Mode::On];
        assert_eq!(run.curve.len(), 2);
        assert_eq!(run.curve[1].ms, 250);
        assert_eq!(run.once.unwrap().vmpte, 60);
        assert_eq!(run.later, Some(Footprint { rss: 50, vmpte: 12, least: 12 }));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for text in ["curve go 0 100 8", "curve go 0 x 8 8", "result soon go 1 2 3"] {
            assert!(parse(text, Mode::On, &mut Vec::new()).is_err(), "{text}");
        }
    }
}

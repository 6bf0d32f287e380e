// SPDX-License-Identifier: GPL-2.0

//! The module's hot paths as machine code, and beside them the same steps in C (`tests/bench/tight`).
//!
//! From what `llvm-objdump -d -r` says: which functions a path is made of, how long they are, what
//! they call, and whether a panic can be reached.

use std::{
    collections::BTreeMap,
    fmt::{
        self,
        Write as _, //
    },
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

use crate::disassembly::{
    Function,
    parse, //
};

/// A path, where it begins in the module and in C, and whether it is one that no panic may be in.
const PATHS: [(&str, &str, &str, bool); 5] = [
    ("the end of a zap", "ptreclaim_zap", "tight_zap", true),
    ("a hint", "ptreclaim_hint", "tight_hint", true),
    ("a table in `fork()`", "ptreclaim_fork", "tight_fork", true),
    (
        "a look at the entries of a table",
        "ptreclaim::pgtable::pte::contents",
        "tight_contents",
        true,
    ),
    // With `look()` in it, and what follows a look that is not to free anything.
    ("the scanner's step", "<ptreclaim::scan::sweep::Sweep>::step", "tight_look_at", false),
];

/// Where a path ends, for the comparison: in C these are elsewhere, too. Panics are looked for behind
/// them as well.
const ASIDE: [&str; 12] = [
    // Once per jiffy and address space.
    "ptreclaim::scan::hints::find_room",
    "ptr_shim_work_arm",
    // If somebody listens.
    "rust_do_trace_",
    "<ptreclaim::outcome::Outcome>::name",
    // Entries of pages in swap, markers.
    "ptr_shim_pte_kind",
    // If more is asked of a table than what it holds.
    "look_closer",
    // The upper levels: the same C in both.
    "ptr_shim_next_pmd_table",
    // What is done about the tables that were seen empty.
    "<ptreclaim::scan::sweep::Sweep>::free",
    "<ptreclaim::scan::bits::Bits>::next",
    "<ptreclaim::pgtable::slot::PmdSlot>::",
    "ptr_shim_keeps_zero_pages",
    "ptr_shim_vma_meets",
];

/// What the compilers have made of the hot paths.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct MachineCode {
    pub paths: Vec<HotPath>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct HotPath {
    pub name: String,
    /// Run at each zap, hint and `fork()`, or for each table.
    pub is_hot: bool,
    /// The functions it is made of, the first one first.
    pub module: Vec<Function>,
    pub in_c: Vec<Function>,
    /// Of the module, behind what is aside as well.
    pub panics: Vec<Panic>,
}

/// A function that may panic.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Panic {
    /// The functions that lead to it, and it.
    pub way: Vec<String>,
    pub how: Vec<String>,
    pub is_aside: bool,
}

fn is_aside(name: &str) -> bool {
    ASIDE.iter().any(|aside| name.contains(aside))
}

/// What core has for them, and what ends in one: its names say so.
fn is_panic(name: &str) -> bool {
    let of_core =
        ["core::", "alloc::", "<core::", "<alloc::"].iter().any(|at| name.starts_with(at));
    of_core && ["panic", "_fail", "overflow"].iter().any(|word| name.contains(word))
        || name.contains("rust_begin_unwind")
        || name.contains("rust_build_error")
}

/// The functions of an object, by name.
struct Object(BTreeMap<String, Function>);

impl Object {
    fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::new(&text).with_context(|| format!("in {}", path.display()))
    }

    fn new(text: &str) -> Result<Self> {
        let functions = parse(text)?;
        if functions.is_empty() {
            bail!("no function: is it the output of llvm-objdump -d -r?");
        }
        Ok(Self(functions.into_iter().map(|f| (f.name.clone(), f)).collect()))
    }

    /// Whatever `first` leads to, nearest first, and from where; not on from what `through` says no of.
    fn reached<'o>(
        &'o self,
        first: &'o str,
        through: impl Fn(&str) -> bool,
    ) -> Vec<(&'o str, Option<usize>)> {
        let mut all: Vec<(&str, Option<usize>)> = vec![(first, None)];
        let mut at = 0;
        while at < all.len() {
            let (name, _) = all[at];
            if let Some(function) = self.0.get(name).filter(|_| through(name)) {
                for call in &function.calls {
                    if !all.iter().any(|(known, _)| known == call) {
                        all.push((call, Some(at)));
                    }
                }
            }
            at += 1;
        }
        all
    }

    /// What `first` is made of.
    fn path(&self, first: &str) -> Vec<Function> {
        let reached = self.reached(first, |name| !is_aside(name));
        let on_path = reached.into_iter().filter(|(name, _)| !is_aside(name));
        on_path.filter_map(|(name, _)| self.0.get(name).cloned()).collect()
    }

    fn panics(&self, first: &str) -> Vec<Panic> {
        let all = self.reached(first, |_| true);
        let way = |mut at: usize| {
            let mut names = vec![all[at].0.to_owned()];
            while let Some(before) = all[at].1 {
                names.push(all[before].0.to_owned());
                at = before;
            }
            names.reverse();
            names
        };
        let panic = |at: usize| {
            let function = self.0.get(all[at].0)?;
            let how: Vec<String> =
                function.calls.iter().filter(|name| is_panic(name)).cloned().collect();
            let way = way(at);
            let is_aside = way.iter().any(|name| is_aside(name));
            (!how.is_empty()).then_some(Panic { way, how, is_aside })
        };
        (0..all.len()).filter_map(panic).collect()
    }
}

/// Of the files module.objdump and tight.objdump; `None` if they were not made.
pub fn read(folder: &Path) -> Result<Option<MachineCode>> {
    let [module, tight] = ["module", "tight"].map(|name| folder.join(format!("{name}.objdump")));
    if !module.exists() {
        return Ok(None);
    }
    let (module, tight) = (Object::read(&module)?, Object::read(&tight)?);
    Ok(Some(compared(&module, &tight)))
}

fn compared(module: &Object, tight: &Object) -> MachineCode {
    let path = |(name, ours, theirs, is_hot): (&str, &str, &str, bool)| HotPath {
        name: name.to_owned(),
        is_hot,
        module: module.path(ours),
        in_c: tight.path(theirs),
        panics: module.panics(ours),
    };
    MachineCode { paths: PATHS.map(path).into() }
}

impl HotPath {
    /// What is wrong with a hot path, if anything is.
    pub fn fault(&self) -> Option<String> {
        if self.module.is_empty() {
            return Some("there is no such function any more".to_owned());
        }
        let panic = self.panics.first()?;
        Some(format!("it may panic: {}, by {}", panic.way.join(" → "), panic.how.join(", ")))
    }
}

/// The section of the report.
pub fn show(out: &mut String, code: &MachineCode) -> fmt::Result {
    writeln!(out, "## Machine code\n")?;
    writeln!(
        out,
        "Of the release module, and of `tests/bench/tight`: the same steps in C, by the kernel's own compiler and flags. What \
         is inline in the kernel is a helper for Rust (`ptr_shim_*`), which is counted with it. This is how long the code is, \
         not how much of it runs. Behind what is left aside here panics are looked for, too.\n"
    )?;
    writeln!(
        out,
        "| | functions | in C | bytes | in C | instructions | in C | panics | aside |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for path in &code.paths {
        write!(out, "| {} |", path.name)?;
        for what in [|_: &Function| 1, |f: &Function| f.bytes, |f: &Function| f.instructions] {
            let sum = |code: &[Function]| code.iter().map(what).sum::<u64>();
            write!(out, " {} | {} |", sum(&path.module), sum(&path.in_c))?;
        }
        let panics = |aside| match path.panics.iter().filter(|p| p.is_aside == aside).count() {
            // The compiler has made it part of another one, or it has another name.
            _ if path.module.is_empty() => "no such function".to_owned(),
            0 => "none".to_owned(),
            n => format!("**{n}**"),
        };
        writeln!(out, " {} | {} |", panics(false), panics(true))?;
    }
    writeln!(out)?;
    for panic in code.paths.iter().flat_map(|path| &path.panics) {
        writeln!(out, "* may panic: `{}`, by {}", panic.way.join("` → `"), panic.how.join(", "))?;
    }
    for path in &code.paths {
        functions(out, path)?;
    }
    writeln!(out)
}

/// What a path is made of.
fn functions(out: &mut String, path: &HotPath) -> fmt::Result {
    writeln!(out, "\nIn {}:\n", path.name.replace('`', ""))?;
    writeln!(
        out,
        "| function | bytes | instructions | shortest loop | calls |\n|---|--:|--:|--:|---|"
    )?;
    for function in path.module.iter().chain(&path.in_c) {
        let calls: Vec<String> = function.calls.iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            function.name,
            function.bytes,
            function.instructions,
            function.loops.first().map_or(String::new(), u64::to_string),
            calls.join(" ")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object of functions that call others.
    fn object(functions: &[(&str, &[&str])]) -> Object {
        let function = |&(name, calls): &(&str, &[&str])| {
            let calls = calls.iter().map(|&call| call.to_owned()).collect();
            let function = Function {
                name: name.to_owned(),
                bytes: 10,
                instructions: 4,
                calls,
                loops: Vec::new(),
            };
            (name.to_owned(), function)
        };
        Object(functions.iter().map(function).collect())
    }

    #[test]
    fn a_path_is_what_is_reached_and_not_aside() {
        let module = object(&[
            ("ptreclaim_zap", &["none", "ptreclaim::scan::hints::find_room", "kfree"]),
            ("none", &["find", "none"]),
            ("find", &[]),
            ("ptreclaim::scan::hints::find_room", &["offer"]),
            ("offer", &[]),
        ]);
        let path = module.path("ptreclaim_zap");
        let names: Vec<&str> = path.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["ptreclaim_zap", "none", "find"]);
    }

    #[test]
    fn a_panic_is_found_behind_what_is_aside_and_told_with_the_way_to_it() {
        let panic = "core::panicking::panic_bounds_check";
        let module = object(&[
            ("ptreclaim_zap", &["ptreclaim::scan::hints::find_room", "none"]),
            ("ptreclaim::scan::hints::find_room", &["offer"]),
            ("offer", &["kfree", panic]),
            ("none", &[panic]),
            ("apart", &[panic]),
        ]);
        let panics = module.panics("ptreclaim_zap");
        let said: Vec<(String, bool)> =
            panics.iter().map(|p| (p.way.join(" "), p.is_aside)).collect();
        assert_eq!(
            said,
            [
                ("ptreclaim_zap none".to_owned(), false),
                ("ptreclaim_zap ptreclaim::scan::hints::find_room offer".to_owned(), true),
            ]
        );
        assert!(panics.iter().all(|p| p.how == [panic]));
    }

    #[test]
    fn what_is_a_panic() {
        for name in [
            "core::panicking::panic_const::panic_const_add_overflow",
            "core::option::unwrap_failed",
            "core::slice::index::slice_index_fail",
            "core::cell::panic_already_borrowed",
        ] {
            assert!(is_panic(name), "{name}");
        }
        for name in ["ptreclaim::scan::hints::overflow", "memset", "core::fmt::write"] {
            assert!(!is_panic(name), "{name}");
        }
    }

    #[test]
    fn a_path_that_has_gone_has_no_panics_that_could_be_seen() {
        let both = object(&[("ptreclaim_zap", &[]), ("tight_zap", &[])]);
        let mut text = String::new();
        show(&mut text, &compared(&both, &both)).unwrap();
        let row = |begin: &str| text.lines().find(|line| line.starts_with(begin)).unwrap();
        assert_eq!(
            row("| the end of a zap"),
            "| the end of a zap | 1 | 1 | 10 | 10 | 4 | 4 | none | none |"
        );
        assert!(row("| a hint").ends_with("| no such function | no such function |"));
    }
}

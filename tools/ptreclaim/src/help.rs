// SPDX-License-Identifier: GPL-2.0

//! What --help and the man pages say beyond the options: exit codes, and the fields of --json.

use crate::{error::EXIT_CODES, uapi};
use std::fmt::Write;

/// A section with a list of names and what they mean.
pub struct Section {
    pub title: &'static str,
    pub intro: &'static str,
    pub rows: Vec<(&'static str, &'static str)>,
}

const SURVEY_FIELDS: [(&str, &str); 9] = [
    ("pid", "the process"),
    ("name", "its name, as in /proc/PID/status"),
    ("command", "its command line"),
    (
        "source",
        "\"module\": exact; \"scan\", \"vmpte\": estimates, by PAGEMAP_SCAN or by VmPTE",
    ),
    ("vmpte_kib", "page tables of all levels, in KiB"),
    (
        "tables",
        "PTE tables, without those kept in reserve behind huge pages",
    ),
    ("empty", "of these, tables with no entry"),
    (
        "zero_only",
        "tables with nothing but zero pages; null if not known",
    ),
    ("reclaimable_kib", "what the empty tables take, in KiB"),
];

const TOP_FIELDS: [(&str, &str); 4] = [
    (
        "processes",
        "a list of objects, see below, the most reclaimable first",
    ),
    (
        "skipped",
        "numbers of processes: permission, ended; reasons: unreadable",
    ),
    ("reclaimable_kib", "of all processes, also those not listed"),
    (
        "system_page_tables_kib",
        "PageTables of /proc/meminfo; null if not known",
    ),
];

const SHOW_FIELDS: [(&str, &str); 9] = [
    ("used", "tables with entries other than zero pages"),
    ("huge", "huge pages, in units of 2 MiB"),
    ("deposited", "tables kept in reserve behind huge pages"),
    (
        "pmd_tables_least, pud_tables_least",
        "the fewest PMD and PUD tables that these need",
    ),
    (
        "unseen_kib",
        "the rest of VmPTE: upper tables with nothing below, and device mappings",
    ),
    (
        "kept",
        "why tables are not freed, by reason; null without the module",
    ),
    (
        "fullness",
        "tables by entries in use; null without the module",
    ),
    (
        "map_shows_empty",
        "false if this kernel does not show empty tables and zero pages",
    ),
    (
        "runs",
        "a list of objects: start (an address, hexadecimal), tables, state: \"empty\", \
         \"zero_only\", \"huge\", or \"used\" with entries (a class such as \"8-63\")",
    ),
];

const RECLAIM_FIELDS: [(&str, &str); 9] = [
    ("dry_run, zero_pages", "whether the options were given"),
    (
        "interrupted",
        "true after ctrl-C: the numbers are of what was done",
    ),
    (
        "processes",
        "a list of objects: pid, name, and the numbers:",
    ),
    ("tables", "PTE tables looked at"),
    ("empty, zero_only", "of these"),
    (
        "freed, freeable",
        "tables freed; tables that a dry run would have freed",
    ),
    ("kept", "the others, by reason"),
    ("total", "an object with the same numbers, of all processes"),
    (
        "skipped, errors",
        "with --all, numbers of processes: permission, ended, and a list of other reasons, \
         unreadable; otherwise a list of objects: pid, message, exit_code",
    ),
];

const STAT_FIELDS: [(&str, &str); 6] = [
    ("loaded", "whether the module is loaded"),
    (
        "hooks_mode",
        "who reclaims: off, builtin or module; null on a kernel without the patches",
    ),
    ("counters", "an object; null if they cannot be read"),
    ("parameters", "an object, of strings; null if not loaded"),
    (
        "system",
        "an object: page_tables_kib, sec_page_tables_kib of /proc/meminfo",
    ),
    (
        "changes",
        "with --watch: counters and page_tables_kib, less those of the line before",
    ),
];

/// The sections of a subcommand, or of the program itself.
pub fn sections(command: &str) -> Vec<Section> {
    let json = |rows: Vec<_>| Section {
        title: "JSON",
        intro: "The object that --json prints. Fields may be added; those here stay.",
        rows,
    };
    let each = Section {
        title: "JSON OF A PROCESS",
        intro: "What each object in the list \"processes\" has:",
        rows: SURVEY_FIELDS.to_vec(),
    };
    let keys = Section {
        title: "KEYS",
        intro: "On a terminal:",
        rows: vec![("q, Esc, ctrl-C", "end"), ("r, space", "refresh now")],
    };
    let kept = Section {
        title: "REASONS",
        intro: "Why a table is kept:",
        rows: uapi::KEPT.to_vec(),
    };
    match command {
        "top" => vec![keys, json(TOP_FIELDS.to_vec()), each],
        "show" => vec![kept, json([&SURVEY_FIELDS[..], &SHOW_FIELDS].concat())],
        "reclaim" => vec![kept, json(RECLAIM_FIELDS.to_vec())],
        "stat" => vec![json(STAT_FIELDS.to_vec())],
        _ => vec![Section {
            title: "EXIT STATUS",
            intro: "",
            rows: EXIT_CODES.to_vec(),
        }],
    }
}

/// Adds the sections to the command's --help.
pub fn describe(command: clap::Command) -> clap::Command {
    let mut text = String::new();
    for section in sections(command.get_name()) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}:", title_case(section.title));
        if !section.intro.is_empty() {
            let _ = writeln!(text, "  {}\n", section.intro);
        }
        for (name, meaning) in section.rows {
            let _ = writeln!(text, "  {name}\n          {meaning}");
        }
        text.push('\n');
    }
    match text.trim_end() {
        "" => command,
        text => command.after_long_help(text.to_owned()),
    }
}

/// As clap writes its own headings.
fn title_case(title: &str) -> String {
    match title {
        "JSON" => title.into(),
        "JSON OF A PROCESS" => "JSON of a process".into(),
        _ => title[..1].to_owned() + &title[1..].to_lowercase(),
    }
}

/// Whether a field is documented for the command, for the tests of what prints them.
#[cfg(test)]
pub fn documents(command: &str, field: &str) -> bool {
    let sections = sections(command);
    let mut rows = sections.iter().flat_map(|section| &section.rows);
    let is_word = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|w| w == field)
    };
    rows.any(|(name, meaning)| is_word(name) || is_word(meaning))
}

// SPDX-License-Identifier: GPL-2.0

//! `top` and `show` on this machine, whose kernel need not have the module.

mod common;

use common::{EMPTY, Leaver, assert_about_all, json, ptreclaim, run, stdout};
use serde_json::Value;
use std::process::Stdio;

/// Not a test: what the child does that the others look at.
#[test]
#[ignore = "the child of the other tests"]
fn leave_empty_tables() {
    common::leave();
}

#[test]
fn show_finds_the_empty_tables() {
    let child = Leaver::start();
    let report = json(&["show", "--json", &child.pid()]);
    assert_about_all(report["empty"].as_u64(), "show --json");
    assert_eq!(
        report["reclaimable_kib"].as_u64(),
        report["empty"].as_u64().map(|empty| 4 * empty)
    );
    assert!(report["vmpte_kib"].as_u64() >= report["reclaimable_kib"].as_u64());
    // Whoever cannot see empty tables has them as the difference to VmPTE only.
    if report["map_shows_empty"] == Value::Bool(true) {
        let runs = report["runs"].as_array().expect("runs");
        let longest = runs
            .iter()
            .filter(|run| run["state"] == "empty")
            .filter_map(|run| run["tables"].as_u64())
            .max();
        assert!(longest >= Some(EMPTY), "{longest:?} in {runs:?}");
    }
}

/// VmPTE is what was counted, and nothing else: no table is missed. But for [vvar], which is not
/// scanned: rarely it has a table, and a PMD table above, that [vdso] has not.
#[test]
fn every_table_of_the_child_is_accounted_for() {
    let child = Leaver::start();
    let report = json(&["show", "--json", &child.pid()]);
    if report["source"] == "scan" {
        assert!(report["unseen_kib"].as_u64() <= Some(8), "{report}");
    } else {
        eprintln!(
            "not looked at: this kernel has no PAGEMAP_SCAN ({})",
            report["source"]
        );
    }
}

#[test]
fn top_finds_the_process() {
    let child = Leaver::start();
    let snapshot = json(&["top", "--json"]);
    let processes = snapshot["processes"].as_array().expect("processes");
    let pid: u64 = child.pid().parse().expect("a number");
    let ours = processes.iter().find(|process| process["pid"] == pid);
    let ours = ours.expect("the child is listed");
    assert_about_all(ours["empty"].as_u64(), "top --json");
    let reclaimable = |process: &Value| process["reclaimable_kib"].as_u64();
    assert!(
        processes
            .windows(2)
            .all(|w| reclaimable(&w[0]) >= reclaimable(&w[1]))
    );
}

#[test]
fn top_is_one_table_where_there_is_no_terminal() {
    let child = Leaver::start();
    let text = stdout(&run(&["top"]));
    let of_child = |line: &&str| line.split_whitespace().next() == Some(&child.pid());
    assert_eq!(text.lines().filter(of_child).count(), 1, "{text}");
    assert!(text.contains("stimate") || text.contains("Exact"), "{text}");
    let one = stdout(&run(&["top", "-n", "1", "--once"]));
    let rows = one.lines().skip(2).take_while(|line| !line.is_empty());
    assert_eq!(rows.count(), 1, "{one}");
}

#[test]
fn the_map_is_drawn_in_the_locale_s_characters() {
    let child = Leaver::start();
    let with = |locale: &str| {
        let mut command = ptreclaim(&["show", &child.pid()]);
        stdout(&command.env("LC_ALL", locale).output().expect("starts"))
    };
    let ascii = with("C");
    assert!(ascii.is_ascii(), "{ascii}");
    assert!(!with("C.UTF-8").is_ascii());
    // The second column; the first is an address.
    let cells = ascii.lines().filter_map(|line| {
        let (address, rest) = line.split_once("  ")?;
        let is_address = address.len() == 16 && u64::from_str_radix(address, 16).is_ok();
        is_address.then(|| rest.split(' ').next().unwrap_or_default())
    });
    let empty: usize = cells.map(|cells| cells.matches('o').count()).sum();
    assert!(
        empty as u64 >= EMPTY || ascii.contains("not on the map"),
        "{ascii}"
    );
    let plain = stdout(&run(&["show", "--no-map", &child.pid()]));
    assert!(!plain.contains("One character"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = ptreclaim(&["top"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn json_is_one_object_per_line() {
    let mut child = ptreclaim(&["top", "--json", "--interval", "0.1", "-n", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(
        child.stdout.take().expect("a pipe"),
    ));
    for line in lines.take(2) {
        let snapshot: Value = serde_json::from_str(&line.expect("a line")).expect("an object");
        assert_eq!(snapshot["processes"].as_array().map(Vec::len), Some(1));
    }
    child.kill().expect("it runs until it is ended");
    child.wait().expect("it ends");
}

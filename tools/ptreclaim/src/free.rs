// SPDX-License-Identifier: GPL-2.0

//! `ptreclaim reclaim`.

use crate::{
    cli,
    device::{Device, ModuleDevice},
    error::{Error, Result},
    interrupt::Interrupt,
    output,
    process::{Pid, ProcFs, Process},
    progress::Progress,
    reclaim::reclaim,
    show::kept,
    slices::slices,
    top::{Skipped, count_of_processes},
    uapi::{self, Counts},
    units::{Kib, count_of, grouped},
};
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap};

/// What is mapped in one slice: a quarter of a million pages take about a millisecond.
const SLICE_BYTES: u64 = 4 << 30;

/// What was done.
#[derive(Debug, Serialize)]
struct Summary {
    dry_run: bool,
    zero_pages: bool,
    interrupted: bool,
    processes: Vec<Freed>,
    total: Numbers,
    skipped: Skipped,
    errors: Vec<Failure>,
}

#[derive(Debug, Serialize)]
struct Freed {
    pid: Pid,
    name: String,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Numbers {
    tables: u64,
    empty: u64,
    zero_only: u64,
    freed: u64,
    freeable: u64,
    kept: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Failure {
    pid: Pid,
    message: String,
    exit_code: u8,
}

impl Numbers {
    fn of(counts: &Counts, dry_run: bool) -> Self {
        Self {
            tables: counts.tables,
            empty: counts.empty,
            zero_only: counts.zero_only,
            freed: counts.freed,
            freeable: if dry_run { counts.freeable() } else { 0 },
            kept: kept(counts),
        }
    }
}

pub fn run(args: &cli::Reclaim) -> Result<()> {
    let device = ModuleDevice::open()?;
    let interrupt = Interrupt::catch()?;
    let (summary, error) = reclaim_all(&device, &ProcFs::default(), args, &interrupt)?;
    match args.json {
        true => output::json(&summary)?,
        false => output::text(&text(&summary))?,
    }
    error.map_or(Ok(()), Err)
}

/// What was done, and the first error, which is for the exit code.
fn reclaim_all(
    device: &dyn Device,
    proc: &ProcFs,
    args: &cli::Reclaim,
    interrupt: &Interrupt,
) -> Result<(Summary, Option<Error>)> {
    let mut skipped = Skipped::default();
    let (processes, mut failed) = match args.all {
        true => (all(proc, &mut skipped)?, Vec::new()),
        false => named(proc, &args.pids),
    };
    let mut freed = Vec::new();
    let mut total = Counts::default();
    let mut interrupted = false;
    let mut progress = Progress::new();
    let number = processes.len();
    for (at, process) in processes.into_iter().enumerate() {
        let done = reclaim(
            device,
            process.pid,
            // Without maps in one piece; the device will say whether it may.
            &slices(&proc.maps(process.pid).unwrap_or_default(), SLICE_BYTES),
            flags(args),
            interrupt,
            |counts| progress.tell(|| line(at, number, &process, &total, counts)),
        );
        let (counts, error) = match done {
            Ok(done) => (done.counts, done.ended_by),
            Err(error) => (Counts::default(), Some(error)),
        };
        total += &counts;
        if error.is_none() || counts.tables > 0 {
            freed.push(Freed {
                pid: process.pid,
                name: process.name,
                numbers: Numbers::of(&counts, args.dry_run),
            });
        }
        match error {
            Some(Error::Interrupted) => {
                interrupted = true;
                break;
            }
            Some(error) if args.all => skipped.note(&error),
            Some(error) => failed.push((process.pid, error)),
            None => {}
        }
    }
    drop(progress);
    let failure = |(pid, error): &(Pid, Error)| Failure {
        pid: *pid,
        message: error.to_string(),
        exit_code: error.exit_code(),
    };
    let summary = Summary {
        dry_run: args.dry_run,
        zero_pages: args.zero_pages,
        interrupted,
        total: Numbers::of(&total, args.dry_run),
        errors: failed.iter().map(failure).collect(),
        processes: freed,
        skipped,
    };
    let error = exit_error(&summary, failed);
    Ok((summary, error))
}

fn flags(args: &cli::Reclaim) -> u32 {
    let flag = |given, flag| if given { flag } else { 0 };
    flag(args.dry_run, uapi::DRY_RUN) | flag(args.zero_pages, uapi::ZERO_PAGES)
}

/// All processes, those with the most page tables first.
fn all(proc: &ProcFs, skipped: &mut Skipped) -> Result<Vec<Process>> {
    let mut processes = Vec::new();
    for pid in proc.pids()? {
        match proc.process(pid) {
            Ok(process) => processes.push(process),
            Err(error) => skipped.note(&error),
        }
    }
    processes.sort_by_key(|process| Reverse(process.vmpte));
    Ok(processes)
}

/// The processes of these ids, and what is wrong with the others.
fn named(proc: &ProcFs, pids: &[Pid]) -> (Vec<Process>, Vec<(Pid, Error)>) {
    let mut processes = Vec::new();
    let mut failed = Vec::new();
    for pid in pids {
        match proc.process(*pid) {
            Ok(process) => processes.push(process),
            Err(error) => failed.push((*pid, error)),
        }
    }
    (processes, failed)
}

fn exit_error(summary: &Summary, failed: Vec<(Pid, Error)>) -> Option<Error> {
    if summary.interrupted {
        return Some(Error::Interrupted);
    }
    if let Some((_, error)) = failed.into_iter().next() {
        return Some(error);
    }
    let skipped = &summary.skipped;
    match (summary.processes.is_empty(), &skipped.unreadable[..]) {
        (true, [why, ..]) => Some(Error::Unsupported(why.clone())),
        (true, []) if skipped.permission > 0 => Some(Error::NotPermitted(
            "look at the page tables of any process".into(),
        )),
        _ => None,
    }
}

fn line(at: usize, number: usize, process: &Process, total: &Counts, counts: &Counts) -> String {
    format!(
        "process {} of {number}: {} ({}); {}, {} freed",
        at + 1,
        process.pid,
        process.name,
        count_of(total.tables + counts.tables, "table"),
        grouped(total.freed + counts.freed)
    )
}

fn text(summary: &Summary) -> String {
    let total = &summary.total;
    let mut lines = vec![format!(
        "{}: {}, {} empty, {} zero-only",
        count_of_processes(summary.processes.len() as u64),
        count_of(total.tables, "PTE table"),
        grouped(total.empty),
        grouped(total.zero_only)
    )];
    lines.push(match summary.dry_run {
        true => format!(
            "would free {}: {} (nothing was freed: --dry-run)",
            count_of(total.freeable, "table"),
            Kib::of_tables(total.freeable)
        ),
        false => format!(
            "freed {}: {}",
            count_of(total.freed, "table"),
            Kib::of_tables(total.freed)
        ),
    });
    let width = total.kept.keys().map(String::len).max().unwrap_or(0);
    for (reason, tables) in &total.kept {
        let known = uapi::KEPT.iter().find(|(name, _)| name == reason);
        let meaning = known.map_or("", |(_, meaning)| meaning);
        let tables = grouped(*tables);
        lines.push(format!("kept {tables:>9}  {reason:width$}  {meaning}"));
    }
    let skipped = &summary.skipped;
    for (number, why) in [
        (skipped.permission, "no permission"),
        (skipped.ended, "ended meanwhile"),
    ] {
        if number > 0 {
            lines.push(format!("skipped {}: {why}", count_of_processes(number)));
        }
    }
    lines.extend(
        skipped
            .unreadable
            .iter()
            .map(|why| format!("skipped: {why}")),
    );
    // The first is what the program ends with.
    let others = summary.errors.iter().skip(1);
    lines.extend(others.map(|failure| format!("not done: {}", failure.message)));
    if summary.interrupted {
        lines.push("interrupted: that is what was done so far".into());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::fake::FakeDevice,
        help,
        tables::{State, TableIndex, TableMap},
    };
    use std::fs;

    fn pid(number: u32) -> Pid {
        Pid::new(number).unwrap()
    }

    /// Four processes and a kernel thread: the device knows of 1, refuses 2, and 3 is gone.
    fn machine() -> (tempfile::TempDir, ProcFs, FakeDevice) {
        let root = tempfile::tempdir().unwrap();
        for (number, rest) in [
            (1, "VmPTE: 40 kB"),
            (2, "VmPTE: 80 kB"),
            (3, "VmPTE: 20 kB"),
            (4, "State: Z (zombie)"),
            (5, "Kthread: 1"),
        ] {
            let folder = root.path().join(number.to_string());
            fs::create_dir(&folder).unwrap();
            let status = format!("Name: p{number}\nTgid: {number}\n{rest}\n");
            fs::write(folder.join("status"), status).unwrap();
        }
        let proc = ProcFs::new(root.path());
        let states = [State::Empty, State::Empty, State::ZeroOnly, State::Used(9)];
        let numbered = states.into_iter().enumerate();
        let tables: TableMap = numbered
            .map(|(i, state)| (TableIndex(i as u64), state))
            .collect();
        let device = FakeDevice::default().with(pid(1), tables);
        (
            root,
            proc,
            device.with(pid(2), TableMap::default()).refusing(pid(2)),
        )
    }

    fn args(pids: &[u32], dry_run: bool) -> cli::Reclaim {
        cli::Reclaim {
            pids: pids.iter().map(|number| pid(*number)).collect(),
            all: pids.is_empty(),
            dry_run,
            zero_pages: false,
            json: false,
        }
    }

    fn reclaimed(args: &cli::Reclaim) -> (Summary, Option<Error>) {
        let (_root, proc, device) = machine();
        reclaim_all(&device, &proc, args, &Interrupt::default()).unwrap()
    }

    #[test]
    fn all_processes_but_those_that_cannot_be() {
        let (summary, error) = reclaimed(&args(&[], false));
        assert!(error.is_none());
        assert_eq!((summary.total.tables, summary.total.freed), (4, 2));
        assert_eq!((summary.skipped.permission, summary.skipped.ended), (1, 2));
        let expected = "1 process: 4 PTE tables, 2 empty, 1 zero-only\n\
            freed 2 tables: 8 KiB\n\
            kept         1  present     maps a page\n\
            kept         1  zero_pages  zero pages, and --zero-pages was not given\n\
            skipped 1 process: no permission\n\
            skipped 2 processes: ended meanwhile\n";
        assert_eq!(text(&summary), expected);
    }

    #[test]
    fn a_dry_run_says_what_would_be() {
        let (summary, _) = reclaimed(&args(&[1], true));
        assert_eq!((summary.total.freed, summary.total.freeable), (0, 2));
        assert!(text(&summary).contains("would free 2 tables: 8 KiB"));
    }

    #[test]
    fn one_error_does_not_end_the_others() {
        let (summary, error) = reclaimed(&args(&[9, 2, 5, 1], false));
        assert!(matches!(error, Some(Error::NoSuchProcess(_))));
        assert_eq!(summary.total.freed, 2);
        let codes: Vec<u8> = summary.errors.iter().map(|e| e.exit_code).collect();
        assert_eq!(codes, [5, 7, 4]);
    }

    #[test]
    fn nobody_is_told_that_nothing_was_allowed() {
        let (_root, proc, device) = machine();
        let device = device.refusing(pid(1));
        let args = args(&[], false);
        let (_, error) = reclaim_all(&device, &proc, &args, &Interrupt::default()).unwrap();
        assert_eq!(error.map(|e| e.exit_code()), Some(4));
    }

    #[test]
    fn ctrl_c_is_told() {
        let (_root, proc, device) = machine();
        let interrupt = Interrupt::default();
        interrupt.raise();
        let (summary, error) = reclaim_all(&device, &proc, &args(&[1], false), &interrupt).unwrap();
        assert_eq!(error.map(|e| e.exit_code()), Some(130));
        assert!(summary.interrupted && summary.total.tables == 0);
        assert!(text(&summary).ends_with("what was done so far\n"));
    }

    #[test]
    fn every_field_is_documented() {
        let json = serde_json::to_value(reclaimed(&args(&[9, 1], false)).0).unwrap();
        let inner = [&json["processes"][0], &json["skipped"], &json["errors"][0]];
        let objects = inner.into_iter().chain([&json]);
        for field in objects.flat_map(|object| object.as_object().unwrap().keys()) {
            assert!(help::documents("reclaim", field), "{field}");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `ptreclaim top`.

use crate::{
    cli,
    error::Error,
    error::Result,
    live, output,
    survey::{Source, Survey, Surveyor},
    system::System,
    units::{Kib, grouped},
};
use serde::Serialize;
use std::{
    io::{self, IsTerminal},
    path::Path,
    time::Duration,
};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// What a command may take where no terminal says.
const COMMAND_WIDTH: usize = 60;

/// All processes at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    processes: Vec<Survey>,
    skipped: Skipped,
    reclaimable_kib: Kib,
    system_page_tables_kib: Option<Kib>,
    /// For the text only: what the numbers of all processes came from.
    #[serde(skip)]
    footer: Vec<String>,
    #[serde(skip)]
    looked_at: u64,
}

/// Processes without numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub permission: u64,
    pub ended: u64,
    /// Why others could not be looked at: no two the same.
    pub unreadable: Vec<String>,
}

impl Skipped {
    /// Takes note of an error, unless it is one of the whole machine.
    pub fn note(&mut self, error: &Error) {
        match error {
            Error::NotPermitted(_) => self.permission += 1,
            Error::Gone(_) | Error::NoSuchProcess(_) => self.ended += 1,
            Error::KernelThread(_) | Error::Thread(..) => {}
            other => {
                let why = other.to_string();
                if !self.unreadable.contains(&why) {
                    self.unreadable.push(why);
                }
            }
        }
    }
}

pub fn run(args: &cli::Top) -> Result<()> {
    let surveyor = Surveyor::new();
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let snapshot = || take(&surveyor, args.rows);
    match args.interval {
        _ if args.once => show(&snapshot()?, args),
        interval if is_terminal && !args.json => {
            live::run(interval.unwrap_or(DEFAULT_INTERVAL), snapshot, screen)
        }
        None => show(&snapshot()?, args),
        Some(interval) => loop {
            show(&snapshot()?, args)?;
            std::thread::sleep(interval);
        },
    }
}

fn show(snapshot: &Snapshot, args: &cli::Top) -> Result<()> {
    if args.json {
        return output::json(snapshot);
    }
    let width = output::terminal_size().map(|(columns, _)| columns);
    output::text(&text(snapshot, width))
}

fn take(surveyor: &Surveyor, rows: Option<usize>) -> Result<Snapshot> {
    let mut skipped = Skipped::default();
    let mut processes = Vec::new();
    for pid in surveyor.proc.pids()? {
        match surveyor.survey(pid) {
            Ok(survey) => processes.push(survey),
            Err(error) => skipped.note(&error),
        }
    }
    // Where not one process can be looked at, there is one reason, and no empty table to show.
    if let (true, [why, ..]) = (processes.is_empty(), &skipped.unreadable[..]) {
        return Err(Error::Unsupported(why.clone()));
    }
    sort(&mut processes);
    let system = System::read(Path::new("/proc"));
    let snapshot = Snapshot {
        reclaimable_kib: processes.iter().map(|p| p.reclaimable_kib).sum(),
        footer: footer(&processes, &skipped, surveyor.why_estimates()),
        looked_at: processes.len() as u64,
        system_page_tables_kib: system.page_tables_kib,
        skipped,
        processes,
    };
    Ok(limited(snapshot, rows))
}

/// The most reclaimable first, then the largest.
fn sort(processes: &mut [Survey]) {
    let key = |survey: &Survey| (survey.reclaimable_kib, survey.vmpte_kib);
    processes.sort_by(|a, b| key(b).cmp(&key(a)).then(a.pid.cmp(&b.pid)));
}

fn limited(mut snapshot: Snapshot, rows: Option<usize>) -> Snapshot {
    snapshot.processes.truncate(rows.unwrap_or(usize::MAX));
    snapshot
}

fn footer(processes: &[Survey], skipped: &Skipped, why: Option<String>) -> Vec<String> {
    let mut lines: Vec<String> = why.into_iter().collect();
    let sources: Vec<Source> = [Source::Module, Source::Scan, Source::Vmpte]
        .into_iter()
        .filter(|source| processes.iter().any(|p| p.source == *source))
        .collect();
    for source in &sources {
        let processes = processes.iter().filter(|p| p.source == *source).count();
        lines.push(match sources.len() {
            1 => source.explanation().into(),
            _ => format!(
                "{}: {}",
                count_of_processes(processes as u64),
                source.explanation()
            ),
        });
    }
    if skipped.permission > 0 {
        let is_root = rustix::process::geteuid().is_root();
        lines.push(format!(
            "{} not shown: no permission{}.",
            count_of_processes(skipped.permission),
            if is_root {
                ""
            } else {
                "; root may look at all"
            }
        ));
    }
    lines.extend(
        skipped
            .unreadable
            .iter()
            .map(|why| format!("Not shown: {why}.")),
    );
    lines
}

pub fn count_of_processes(number: u64) -> String {
    match number {
        1 => "1 process".into(),
        _ => format!("{} processes", grouped(number)),
    }
}

/// What fits on a screen.
fn screen(snapshot: &Snapshot, columns: u16, lines: u16) -> String {
    // Two lines above the rows, an empty one below.
    let around = 3 + wrapped(&snapshot.footer, columns).len();
    let rows = usize::from(lines).saturating_sub(around).max(1);
    text(&limited(snapshot.clone(), Some(rows)), Some(columns))
}

fn text(snapshot: &Snapshot, width: Option<u16>) -> String {
    let total = match snapshot.system_page_tables_kib {
        Some(kib) => format!(" of {kib} in page tables system-wide"),
        None => String::new(),
    };
    let head = format!(
        "{}: {} reclaimable{total}",
        count_of_processes(snapshot.looked_at),
        snapshot.reclaimable_kib
    );
    let rows: Vec<_> = snapshot.processes.iter().map(row).collect();
    let header = [
        "PID",
        "VmPTE",
        "TABLES",
        "EMPTY",
        "ZERO-ONLY",
        "RECLAIM",
        "%",
        "COMMAND",
    ];
    let table: String = output::table(&header, rows)
        .lines()
        .map(|line| match width {
            Some(width) => output::truncated(line, width.into()) + "\n",
            None => line.to_owned() + "\n",
        })
        .collect();
    let footer = wrapped(&snapshot.footer, width.unwrap_or(80)).join("\n");
    let head = output::truncated(&head, width.unwrap_or(u16::MAX).into());
    format!("{head}\n{table}\n{footer}\n")
}

fn row(survey: &Survey) -> Vec<String> {
    vec![
        survey.pid.to_string(),
        survey.vmpte_kib.to_string(),
        grouped(survey.tables),
        grouped(survey.empty),
        survey.zero_only.map_or("-".into(), grouped),
        survey.reclaimable_kib.to_string(),
        survey
            .reclaimable_kib
            .percent_of(survey.vmpte_kib)
            .to_string(),
        output::truncated(&survey.command, COMMAND_WIDTH),
    ]
}

/// Breaks lines between words.
pub fn wrapped(lines: &[String], width: u16) -> Vec<String> {
    let mut all = Vec::new();
    for line in lines {
        let mut current = String::new();
        for word in line.split(' ') {
            let would_be = current.chars().count() + 1 + word.chars().count();
            if !current.is_empty() && would_be > width.into() {
                all.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        all.push(current);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{help, process::Pid};

    fn survey(number: u32, vmpte: u64, empty: u64, source: Source) -> Survey {
        Survey {
            pid: Pid::new(number).unwrap(),
            name: "java".into(),
            command: "java ".repeat(40),
            source,
            vmpte_kib: Kib(vmpte),
            tables: empty + 2,
            empty,
            zero_only: None,
            reclaimable_kib: Kib::of_tables(empty),
        }
    }

    fn snapshot() -> Snapshot {
        let processes = vec![
            survey(1, 400, 10, Source::Module),
            survey(2, 800, 90, Source::Scan),
            survey(3, 900, 10, Source::Scan),
        ];
        let mut skipped = Skipped::default();
        skipped.note(&Error::Gone(processes[0].pid));
        let mut snapshot = Snapshot {
            footer: footer(&processes, &skipped, None),
            reclaimable_kib: Kib(440),
            system_page_tables_kib: Some(Kib(6000)),
            looked_at: 3,
            skipped,
            processes,
        };
        sort(&mut snapshot.processes);
        snapshot
    }

    #[test]
    fn the_most_reclaimable_is_first_then_the_largest() {
        let snapshot = snapshot();
        let pids: Vec<String> = snapshot
            .processes
            .iter()
            .map(|p| p.pid.to_string())
            .collect();
        assert_eq!(pids, ["2", "3", "1"]);
    }

    #[test]
    fn estimates_are_said_to_be_so() {
        let footer = snapshot().footer;
        assert!(footer[0].starts_with("1 process: Exact"), "{footer:?}");
        assert!(
            footer[1].starts_with("2 processes: An estimate"),
            "{footer:?}"
        );
        assert!(footer[1].contains("PMD and PUD tables"));
    }

    #[test]
    fn a_screen_is_not_overfull() {
        for (columns, lines) in [(80, 24), (40, 12), (20, 8)] {
            let text = screen(&snapshot(), columns, lines);
            let wide = text.lines().map(|line| line.chars().count()).max();
            // A word may be longer than a very narrow screen.
            assert!(
                wide <= Some(usize::from(columns).max(20)),
                "{columns}: {text}"
            );
        }
        assert!(screen(&snapshot(), 80, 24).lines().count() <= 24);
    }

    #[test]
    fn every_field_is_documented() {
        let json = serde_json::to_value(snapshot()).unwrap();
        let inner = [&json, &json["skipped"], &json["processes"][0]];
        for field in inner
            .into_iter()
            .flat_map(|object| object.as_object().unwrap().keys())
        {
            assert!(help::documents("top", field), "{field}");
        }
    }
}

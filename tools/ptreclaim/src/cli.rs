// SPDX-License-Identifier: GPL-2.0

//! The command line.

use crate::process::Pid;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// Show and free page tables that map nothing
///
/// A page table of 4 KiB maps 2 MiB of a process. Programs that give memory back in pieces leave
/// the tables behind, empty. This command shows how many, and frees them with the module
/// ptreclaim. 'top' and 'show' work without the module: they estimate.
#[derive(Debug, Parser)]
#[command(name = "ptreclaim", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Top(Top),
    Show(Show),
    Reclaim(Reclaim),
    Stat(Stat),
    /// Write man pages and shell completions into a folder
    #[command(hide = true)]
    Generate {
        /// The folder; made if it is not there
        dir: PathBuf,
    },
}

/// Show the processes with the most page tables to free
///
/// On a terminal, a view that is refreshed until q or ctrl-C is pressed. Otherwise, or with
/// --once, one table.
#[derive(Args, Clone, Debug)]
pub struct Top {
    /// Show once, and end
    #[arg(long)]
    pub once: bool,
    /// Show at most so many processes [default: what fits, or all]
    #[arg(short = 'n', long, value_name = "ROWS")]
    pub rows: Option<usize>,
    /// Refresh every so many seconds [default: 5]; also without a terminal
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "once")]
    pub interval: Option<Duration>,
    /// Print one JSON object; with --interval one per line and refresh
    #[arg(long)]
    pub json: bool,
}

/// Show a map of the page tables of a process
///
/// One character stands for one table, or for several if there are very many. Lines that repeat
/// are folded, stretches without tables left out.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// The process
    pub pid: Pid,
    /// Draw with ASCII characters [default: unless the locale is UTF-8]
    #[arg(long)]
    pub ascii: bool,
    /// Only the totals, no map
    #[arg(long)]
    pub no_map: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Free the empty page tables of processes
///
/// Needs the module, and the rights that process_madvise(2) asks for: root, as a rule. Ctrl-C ends
/// it after the table at hand, and shows what was done.
#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "ptreclaim reclaim [OPTIONS] <PID>...\n       ptreclaim reclaim [OPTIONS] --all"
)]
pub struct Reclaim {
    /// The processes
    #[arg(value_name = "PID", required_unless_present = "all")]
    pub pids: Vec<Pid>,
    /// All processes, those with the most page tables first
    #[arg(long, conflicts_with = "pids")]
    pub all: bool,
    /// Look, free nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also free tables that hold only zero pages, as reading untouched memory leaves them
    #[arg(long)]
    pub zero_pages: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Show what the module counts, its parameters, and the system's page tables
#[derive(Args, Clone, Debug)]
pub struct Stat {
    /// Show what changes, every so many seconds, until ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub watch: Option<Duration>,
    /// Print one JSON object; with --watch one per line
    #[arg(long)]
    pub json: bool,
}

/// `2` or `0.5`, within what makes sense.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("between 0.1 and 86400 seconds".into())
    }
}

/// The command line with all of its help, without what is hidden.
pub fn documented() -> clap::Command {
    let described = Cli::command().mut_subcommands(crate::help::describe);
    crate::help::describe(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        documented().debug_assert();
    }

    #[test]
    fn seconds_are_checked() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "x", "inf", "NaN", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        for wrong in [
            "reclaim",
            "reclaim --all 1",
            "top --once -i 1",
            "show",
            "show 0",
        ] {
            let words = ["ptreclaim"].into_iter().chain(wrong.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{wrong}");
        }
    }
}

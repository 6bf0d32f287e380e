// SPDX-License-Identifier: GPL-2.0

//! Joins what scripts/bench has counted, and shows it.

mod batches;
mod compare;
mod costs;
mod disassembly;
mod latency;
mod machine_code;
mod markdown;
mod mode;
mod page;
mod pictures;
mod programs;
mod raw;
mod report;
mod split;
mod symbols;
mod targets;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode, //
};

use anyhow::{
    Context as _,
    Result, //
};
use clap::{
    Parser,
    Subcommand, //
};

use mode::Mode;
use report::{
    Report, //
};

/// Makes a report, pictures and verdicts of what scripts/bench has counted.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Joins the counts of all modes: report.json, report.md and pictures.
    Report {
        /// With MODE.rows and MODE.counts.
        raw: PathBuf,
        /// Where the report goes.
        out: PathBuf,
        /// What was measured.
        #[arg(long)]
        revision: String,
        /// The version of Linux.
        #[arg(long)]
        kernel: String,
    },
    /// Two reports, row by row; ends with 1 if a row is worse.
    Compare {
        before: PathBuf,
        after: PathBuf,
        /// Percent that count as the same.
        #[arg(long, default_value_t = 0.2)]
        tolerance: f64,
    },
    /// The page of a report that is kept: its pictures, and its numbers.
    Performance {
        /// With report.json and README.md.
        folder: PathBuf,
        /// Keep what the page needs of this report.json first.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Only tell what is not as report.json has it, and end with 1 if there is something.
        #[arg(long, conflicts_with = "from")]
        check: bool,
    },
    /// The counts of stock, patched and on against those expected, as the test suites print it; ends
    /// with 1 if one is not as expected.
    Costs {
        raw: PathBuf,
        expected: PathBuf,
        /// Which kernel, by which compilers; counts of others are not compared.
        #[arg(long)]
        built: String,
        /// Write down what was counted instead.
        #[arg(long)]
        accept: bool,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Report { raw, out, revision, kernel } => {
            let report = Report {
                revision,
                kernel,
                rows: raw::read(&raw, &Mode::ALL)?,
                latency: latency::read(&raw, &Mode::ALL)?,
                programs: programs::read(&raw)?,
                machine_code: machine_code::read(&raw)?,
            };
            fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
            report.write(&out.join("report.json"))?;
            let path = out.join("report.md");
            fs::write(&path, markdown::report(&report)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            pictures::write(&report, &out)?;
            let missed = targets::verdicts(&report).iter().any(|v| !v.is_met());
            Ok(ExitCode::from(u8::from(missed)))
        }
        Command::Compare { before, after, tolerance } => {
            let tolerance = tolerance / 100.0;
            let (changes, alone) =
                compare::changes(&Report::read(&before)?, &Report::read(&after)?);
            print!("{}", markdown::comparison(&changes, &alone, tolerance)?);
            let worse = changes.iter().any(|c| c.verdict(tolerance) == "worse");
            Ok(ExitCode::from(u8::from(worse)))
        }
        Command::Performance { folder, check: true, .. } => {
            let stale = page::stale(&folder)?;
            for name in &stale {
                eprintln!(
                    "{}: not as report.json has it: make performance",
                    folder.join(name).display()
                );
            }
            Ok(ExitCode::from(u8::from(!stale.is_empty())))
        }
        Command::Performance { folder, from, .. } => {
            if let Some(from) = from {
                page::take(&from, &folder)?;
            }
            page::draw(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Costs { raw, expected, built, accept } => {
            let counted = raw::read(&raw, &[Mode::Stock, Mode::Patched, Mode::On])?;
            let code = machine_code::read(&raw)?.context("there is no machine code")?;
            costs::run(&expected, &counted, &code, &built, accept)
        }
    }
}

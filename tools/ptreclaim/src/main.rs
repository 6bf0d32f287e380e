// SPDX-License-Identifier: GPL-2.0

//! `ptreclaim`: shows and frees page tables that map nothing.
//!
//! From the pages of a process to what can be freed: `pagemap`, `tables`, `survey`. From there to
//! the user: `top`, `show`. `reclaim` is about freeing, with a `device`, and `free` its command.

#![deny(unsafe_code)]

mod cli;
mod device;
mod error;
mod fold;
mod free;
mod generate;
mod help;
mod interrupt;
mod live;
mod map;
mod maps;
mod output;
mod pagemap;
mod process;
mod progress;
mod reclaim;
mod show;
mod slices;
mod stat;
mod survey;
mod sys;
mod system;
mod tables;
mod top;
mod uapi;
mod units;

use clap::FromArgMatches;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = cli::documented().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match &cli.command {
        Command::Top(args) => top::run(args),
        Command::Show(args) => show::run(args),
        Command::Reclaim(args) => free::run(args),
        Command::Stat(args) => stat::run(args),
        Command::Generate { dir } => generate::run(dir),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ptreclaim: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Man pages and shell completions, from the command line's own description.

use crate::{
    cli,
    error::{Error, Result},
    help::{Section, sections},
};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::{fs, io::Write, path::Path};

const PROGRAM: &str = "ptreclaim";
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes `man/*.1` and `completions/*` below `dir`.
pub fn run(dir: &Path) -> Result<()> {
    let failed = |error| Error::Io(dir.display().to_string(), error);
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man).map_err(failed)?;
    fs::create_dir_all(&completions).map_err(failed)?;
    for (name, page) in pages()? {
        fs::write(man.join(name + ".1"), page).map_err(failed)?;
    }
    for shell in SHELLS {
        generate_to(shell, &mut visible(), PROGRAM, &completions).map_err(failed)?;
    }
    Ok(())
}

/// The command line without the subcommand that is for packagers.
fn visible() -> Command {
    let all = cli::Cli::command();
    let shown: Vec<Command> = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    // clap has no way to take one out.
    Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .long_about(all.get_long_about().cloned().unwrap_or_default())
        .subcommand_required(true)
        .subcommands(shown)
}

/// All man pages: names without the section, and text.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut program = visible().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![(PROGRAM.to_owned(), page(&program, PROGRAM)?)];
    for command in program.get_subcommands() {
        let name = format!("{PROGRAM}-{}", command.get_name());
        pages.push((name.clone(), page(command, &name)?));
    }
    Ok(pages)
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>> {
    let extra = sections(command.get_name());
    let has_subcommands = command.has_subcommands();
    let command = command.clone().name(name.to_owned()).display_name(name);
    let man = Man::new(command);
    let mut page = title(name).into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    for section in extra {
        render(&section, &mut page)?;
    }
    if name != PROGRAM {
        see_also(&mut page)?;
    }
    // clap leaves blanks at the ends of lines, which man page checkers do not like.
    let page = String::from_utf8_lossy(&page);
    let lines = page.lines().map(|line| line.trim_end().to_owned() + "\n");
    Ok(lines.collect::<String>().into_bytes())
}

/// Without a date: what is built of the same sources is to be the same.
fn title(name: &str) -> String {
    format!(
        ".\\\" SPDX-License-Identifier: GPL-2.0\n\
         .TH {} 1 \"\" \"{PROGRAM} {}\" \"User Commands\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    )
}

fn render(section: &Section, page: &mut impl Write) -> Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [section.title]);
    if !section.intro.is_empty() {
        roff.text([roman(section.intro)]);
    }
    for (name, meaning) in &section.rows {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*meaning)]);
    }
    Ok(roff.to_writer(page)?)
}

/// Exit codes are the same for all, and on the program's own page.
fn see_also(page: &mut impl Write) -> Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold(PROGRAM), roman("(1), for the exit status")]);
    Ok(roff.to_writer(page)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EXIT_CODES;

    /// Requests of man(7) that the pages may use.
    const REQUESTS: [&str; 13] = [
        ".TH", ".SH", ".TP", ".PP", ".RS", ".RE", ".ie", ".el", ".br", ".nf", ".fi", ".sp", ".\\\"",
    ];

    #[test]
    fn there_is_a_page_for_each_subcommand() {
        let names: Vec<String> = pages().unwrap().into_iter().map(|(name, _)| name).collect();
        let expected = ["", "-top", "-show", "-reclaim", "-stat"].map(|n| format!("ptreclaim{n}"));
        assert_eq!(names, expected);
    }

    #[test]
    fn the_roff_is_sound() {
        for (name, page) in pages().unwrap() {
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains("\n.TH PTRECLAIM"), "{name}");
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"] {
                assert_eq!(
                    page.matches(&format!("\n.SH {section}\n")).count(),
                    1,
                    "{name}: {section}"
                );
            }
            for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line.split(' ').next().unwrap();
                assert!(REQUESTS.contains(&request), "{name}: {line}");
            }
            assert!(!page.lines().any(|line| line.trim_end() != line), "{name}");
        }
    }

    #[test]
    fn exit_codes_are_in_the_manual() {
        let (_, page) = pages().unwrap().swap_remove(0);
        let page = String::from_utf8(page).unwrap();
        for (code, _) in EXIT_CODES {
            assert!(page.contains(&format!("\\fB{code}\\fR")), "{code}");
        }
    }
}

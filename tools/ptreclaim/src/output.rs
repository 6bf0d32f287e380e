// SPDX-License-Identifier: GPL-2.0

//! What goes to standard output.

use crate::error::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// One object on one line.
pub fn json(value: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

pub fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// A table without lines; all columns but the last to the right.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    let last = header.len().saturating_sub(1);
    for column in table.column_iter_mut().take(last) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt() + "\n"
}

/// Cuts what does not fit.
pub fn truncated(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(3)).collect();
    kept + "..."
}

/// The terminal that standard output is, if it is one: columns and lines.
pub fn terminal_size() -> Option<(u16, u16)> {
    io::stdout()
        .is_terminal()
        .then(crossterm::terminal::size)?
        .ok()
}

/// Whether the locale's characters are Unicode's.
pub fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_to_the_right() {
        let rows = vec![vec!["1".into(), "a".into()], vec!["100".into(), "b".into()]];
        let text = table(&["PID", "COMMAND"], rows);
        let expected = " PID  COMMAND\n   1  a\n 100  b\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(truncated("command", 7), "command");
        assert_eq!(truncated("command", 6), "com...");
        assert_eq!(truncated("köche", 5), "köche");
    }
}

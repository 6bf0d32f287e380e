// SPDX-License-Identifier: GPL-2.0

//! A view of the whole terminal that is refreshed.

use crate::error::Result;
use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read},
    execute, queue,
    style::Print,
    terminal::{
        Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode, size,
    },
};
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    End,
    Refresh,
    Redraw,
}

/// Takes and draws snapshots, until the user ends it.
pub fn run<T>(
    interval: Duration,
    mut take: impl FnMut() -> Result<T>,
    draw: impl Fn(&T, u16, u16) -> String,
) -> Result<()> {
    let mut snapshot = take()?;
    let _screen = Screen::enter()?;
    let mut taken = Instant::now();
    loop {
        let (columns, lines) = size()?;
        paint(&draw(&snapshot, columns, lines), lines)?;
        match wish(interval.saturating_sub(taken.elapsed()))? {
            Wish::End => return Ok(()),
            Wish::Redraw => {}
            Wish::Refresh => {
                snapshot = take()?;
                taken = Instant::now();
            }
        }
    }
}

/// Waits for a key, or for the time to refresh.
fn wish(wait: Duration) -> Result<Wish> {
    let until = Instant::now() + wait;
    while poll(until.saturating_duration_since(Instant::now()))? {
        if let Some(wish) = wish_of(&read()?) {
            return Ok(wish);
        }
    }
    Ok(Wish::Refresh)
}

fn wish_of(event: &Event) -> Option<Wish> {
    match event {
        Event::Resize(..) => Some(Wish::Redraw),
        Event::Key(KeyEvent {
            kind: KeyEventKind::Press,
            code,
            modifiers,
            ..
        }) => match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::End),
            KeyCode::Char('q') | KeyCode::Esc => Some(Wish::End),
            KeyCode::Char('r' | ' ') => Some(Wish::Refresh),
            _ => None,
        },
        _ => None,
    }
}

/// Over what was there, so that nothing flickers.
fn paint(text: &str, lines: u16) -> Result<()> {
    let mut out = io::stdout().lock();
    for (row, line) in (0..lines).zip(text.lines()) {
        queue!(
            out,
            MoveTo(0, row),
            Print(line),
            Clear(ClearType::UntilNewLine)
        )?;
    }
    queue!(out, Clear(ClearType::FromCursorDown))?;
    Ok(out.flush()?)
}

/// The terminal's other screen; dropped, the first one is back.
struct Screen;

impl Screen {
    fn enter() -> Result<Self> {
        enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is no better place to say that it failed than this very terminal.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let of = |code, modifiers| wish_of(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = KeyModifiers::NONE;
        assert_eq!(of(KeyCode::Char('q'), plain), Some(Wish::End));
        assert_eq!(of(KeyCode::Char('c'), plain), None);
        let ctrl_c = of(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(ctrl_c, Some(Wish::End));
        assert_eq!(of(KeyCode::Char(' '), plain), Some(Wish::Refresh));
        assert_eq!(wish_of(&Event::Resize(1, 1)), Some(Wish::Redraw));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How far it is, on standard error: one line kept up to date on a terminal, otherwise a line
//! now and then.

use crate::output;
use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

const ON_TERMINAL: Duration = Duration::from_millis(100);
const ELSEWHERE: Duration = Duration::from_secs(20);

pub struct Progress {
    is_terminal: bool,
    next: Instant,
    drawn: bool,
}

impl Progress {
    pub fn new() -> Self {
        let is_terminal = io::stderr().is_terminal();
        let first = if is_terminal { ON_TERMINAL } else { ELSEWHERE };
        Self {
            is_terminal,
            next: Instant::now() + first,
            drawn: false,
        }
    }

    /// Shows the line, if it is time. Progress that cannot be shown is no error.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let mut err = io::stderr().lock();
        if self.is_terminal {
            let columns = crossterm::terminal::size().map_or(80, |(columns, _)| columns);
            let line = output::truncated(&line(), usize::from(columns).saturating_sub(1));
            let _ = write!(err, "\r\x1b[K{line}");
            let _ = err.flush();
            self.drawn = true;
            self.next = now + ON_TERMINAL;
        } else {
            let _ = writeln!(err, "{}", line());
            self.next = now + ELSEWHERE;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Amounts of memory.

use serde::Serialize;
use std::{
    fmt,
    iter::Sum,
    ops::{Add, Sub},
};

/// A number of KiB, which /proc calls kB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Kib(pub u64);

/// The size of a page table.
const TABLE: u64 = 4;

impl Kib {
    /// What so many page tables take.
    pub fn of_tables(tables: u64) -> Self {
        Self(tables * TABLE)
    }

    /// How many page tables take that much.
    pub fn tables(self) -> u64 {
        self.0 / TABLE
    }

    /// Which part of `whole` that is, in percent.
    pub fn percent_of(self, whole: Self) -> u64 {
        (self.0 * 100).checked_div(whole.0).unwrap_or(0)
    }
}

impl Add for Kib {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// Never below nothing: what is subtracted may have been read a moment later.
impl Sub for Kib {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Kib {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self(0), Add::add)
    }
}

/// For people: three digits at most, and a unit.
impl fmt::Display for Kib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 999.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = if value.fract() == 0.0 || value >= 99.95 {
            0
        } else if value >= 9.995 {
            1
        } else {
            2
        };
        f.pad(&format!("{value:.digits$} {}", UNITS[unit]))
    }
}

/// `1 table`, `2 tables`; thousands apart.
pub fn count_of(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        let shown = [0, 4, 999, 1000, 1024, 20 * 1024 + 512, 102_640, 1 << 30].map(Kib);
        let expected = [
            "0 KiB", "4 KiB", "999 KiB", "0.98 MiB", "1 MiB", "20.5 MiB", "100 MiB", "1 TiB",
        ];
        assert_eq!(shown.map(|kib| kib.to_string()), expected);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(count_of(1, "table"), "1 table");
        assert_eq!(count_of(0, "table"), "0 tables");
    }

    #[test]
    fn nothing_is_less_than_nothing() {
        assert_eq!(Kib(4) - Kib(8), Kib(0));
        assert_eq!(Kib(4).percent_of(Kib(0)), 0);
        assert_eq!(Kib(4).percent_of(Kib(16)), 25);
    }
}

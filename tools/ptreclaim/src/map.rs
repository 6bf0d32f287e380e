// SPDX-License-Identifier: GPL-2.0

//! The map of a process's tables, as text: a line for each stretch of address space that has any,
//! a character for each table, or for several where there are too many.

use crate::{
    fold::fold_by,
    maps::Vma,
    tables::{State, TABLE_BYTES, TableIndex, TableMap},
    uapi::{FULLNESS_MAX, FULLNESS_NAMES, fullness_class},
    units::{Kib, grouped},
};
use std::fmt::Write;

/// Characters in a line.
const COLUMNS: u64 = 64;
/// More lines than that are too many to read.
const MOST_LINES: usize = 60;
/// Tables per character.
const SCALES: [u64; 5] = [1, 8, 64, 512, 4096];

/// The characters.
pub struct Glyphs {
    none: char,
    empty: char,
    zero_only: char,
    huge: char,
    /// By class of fullness; the first is not used.
    used: [char; FULLNESS_MAX],
}

pub const BLOCKS: Glyphs = Glyphs {
    none: '·',
    empty: 'o',
    zero_only: 'z',
    huge: 'H',
    used: [' ', '▁', '▂', '▃', '▄', '▆', '▇', '█'],
};

pub const ASCII: Glyphs = Glyphs {
    none: '.',
    empty: 'o',
    zero_only: 'z',
    huge: 'H',
    used: [' ', '_', ',', '-', '=', '+', '*', '#'],
};

/// What one character stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    None,
    Empty,
    ZeroOnly,
    /// So many tenths of its tables are empty: 1 to 9.
    Mixed(u8),
    Huge,
    Used(u16),
}

/// A line of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line<'a> {
    /// Which line of all that the address space has.
    number: u64,
    cells: Vec<Cell>,
    label: &'a str,
}

/// The map, and its legend.
pub fn render(map: &TableMap, vmas: &[Vma], glyphs: &Glyphs) -> String {
    let (scale, lines) = lines(map, vmas);
    let mut text = legend(glyphs, scale);
    let runs = fold_by(lines, |first, number, line| {
        first.number + number == line.number
            && (&first.cells, first.label) == (&line.cells, line.label)
    });
    let mut next = None;
    for run in runs {
        let line = run.first;
        if next.is_some_and(|next| next != line.number) {
            text.push_str("     ...\n");
        }
        next = Some(line.number + run.number);
        let text_of = |number: u64| {
            let address = number * COLUMNS * scale * TABLE_BYTES;
            let cells: String = line.cells.iter().map(|cell| glyphs.of(*cell)).collect();
            let text = format!("{address:016x}  {cells}  {}", line.label);
            text.trim_end().to_owned() + "\n"
        };
        text.push_str(&text_of(line.number));
        match run.number - 1 {
            0 => {}
            // To say so would take as much room.
            1 => text.push_str(&text_of(line.number + 1)),
            // Writing to a String does not fail.
            more => {
                let more = grouped(more);
                let _ = writeln!(text, "{:18}the same in the next {more} lines", "");
            }
        }
    }
    text
}

/// The lines, with as many tables per character as make them few enough.
fn lines<'a>(map: &TableMap, vmas: &'a [Vma]) -> (u64, Vec<Line<'a>>) {
    let mut last = (1, Vec::new());
    for scale in SCALES {
        let lines = lines_at(map, vmas, scale);
        let folded = fold_by(&lines, |first, _, line| {
            (&first.cells, first.label) == (&line.cells, line.label)
        });
        let few = folded.len() <= MOST_LINES;
        last = (scale, lines);
        if few {
            break;
        }
    }
    last
}

fn lines_at<'a>(map: &TableMap, vmas: &'a [Vma], scale: u64) -> Vec<Line<'a>> {
    let mut numbers: Vec<u64> = map
        .iter()
        .map(|(index, _)| index.0 / scale / COLUMNS)
        .collect();
    numbers.dedup();
    let line = |number: u64| {
        let first = number * COLUMNS * scale;
        let cell = |column| cell(map.range(TableIndex(first + column * scale), scale));
        Line {
            number,
            cells: (0..COLUMNS).map(cell).collect(),
            label: label(vmas, TableIndex(first), COLUMNS * scale),
        }
    };
    numbers.into_iter().map(line).collect()
}

fn cell(states: impl Iterator<Item = State>) -> Cell {
    let (mut tables, mut empty, mut zero_only, mut huge, mut entries) = (0, 0, 0, 0, 0u32);
    for state in states {
        tables += 1;
        match state {
            State::Empty => empty += 1,
            State::ZeroOnly => zero_only += 1,
            State::Huge { .. } => huge += 1,
            State::Used(used) => entries += u32::from(used),
        }
    }
    match tables {
        0 => Cell::None,
        n if n == empty => Cell::Empty,
        n if empty > 0 => Cell::Mixed((empty * 10 / n).clamp(1, 9) as u8),
        n if n == zero_only => Cell::ZeroOnly,
        n if 2 * huge >= n => Cell::Huge,
        // Their mean; of those with entries, so at least 1.
        n => Cell::Used((entries.div_ceil(n - huge)).clamp(1, 512) as u16),
    }
}

/// Whose addresses these are, mostly.
fn label(vmas: &[Vma], first: TableIndex, tables: u64) -> &str {
    let range = first.address()..TableIndex(first.0 + tables).address();
    let from = vmas.partition_point(|vma| vma.range.end <= range.start);
    let within = vmas[from..]
        .iter()
        .take_while(|vma| vma.range.start < range.end);
    within
        .max_by_key(|vma| vma.overlap(&range))
        .map_or("", Vma::short_name)
}

impl Glyphs {
    fn of(&self, cell: Cell) -> char {
        match cell {
            Cell::None => self.none,
            Cell::Empty => self.empty,
            Cell::ZeroOnly => self.zero_only,
            Cell::Mixed(tenths) => char::from(b'0' + tenths),
            Cell::Huge => self.huge,
            Cell::Used(entries) => self.used[fullness_class(entries)],
        }
    }
}

fn legend(glyphs: &Glyphs, scale: u64) -> String {
    let each = Kib(scale * TABLE_BYTES / 1024);
    let mut text = match scale {
        1 => format!("One character is one table: {each} of address space.\n"),
        _ => format!("One character is {scale} tables: {each} of address space.\n"),
    };
    let classes = FULLNESS_NAMES.iter().zip(glyphs.used).skip(1);
    let used: Vec<String> = classes.map(|(name, c)| format!("{c} {name}")).collect();
    let mixed = match scale {
        1 => "",
        _ => "   1-9 tenths empty",
    };
    let _ = writeln!(
        text,
        "  {} empty   {} zero pages only{mixed}   {} huge page   {} no table\n  \
         entries in use, of 512{}:  {}\n",
        glyphs.empty,
        glyphs.zero_only,
        glyphs.huge,
        glyphs.none,
        if scale == 1 { "" } else { ", on average" },
        used.join("  ")
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::tests::any_map;
    use proptest::prelude::*;

    fn map_lines(text: &str) -> Vec<&str> {
        text.split_once("\n\n").unwrap().1.lines().collect()
    }

    #[test]
    fn runs_of_lines_are_folded() {
        let tables = (0..640).map(|i| (TableIndex(i), State::Empty));
        // Two lines, a hole of one, and the same line again.
        let more = [6400, 6401, 6464, 6465, 6592, 6593].map(|i| (TableIndex(i), State::Used(512)));
        let vma = Vma {
            range: 0..2 * TABLE_BYTES,
            has_file: false,
            name: "[heap]".into(),
        };
        let text = render(&tables.chain(more).collect(), &[vma], &ASCII);
        let o = "o".repeat(64);
        let dots = ".".repeat(62);
        let expected = [
            format!("0000000000000000  {o}  [heap]"),
            format!("0000000008000000  {o}"),
            "                  the same in the next 8 lines".into(),
            "     ...".into(),
            format!("0000000320000000  ##{dots}"),
            format!("0000000328000000  ##{dots}"),
            "     ...".into(),
            format!("0000000338000000  ##{dots}"),
        ];
        assert_eq!(map_lines(&text), expected);
    }

    #[test]
    fn characters_of_several_tables() {
        let of = |states: &[State]| cell(states.iter().copied());
        let huge = State::Huge { deposited: true };
        assert_eq!(of(&[]), Cell::None);
        assert_eq!(of(&[State::Empty; 3]), Cell::Empty);
        assert_eq!(of(&[State::Empty, State::Used(512)]), Cell::Mixed(5));
        assert_eq!(of(&[State::ZeroOnly; 2]), Cell::ZeroOnly);
        assert_eq!(of(&[State::ZeroOnly, State::Used(9)]), Cell::Used(5));
        assert_eq!(of(&[huge, State::Used(9)]), Cell::Huge);
        assert_eq!(of(&[huge, State::Used(9), State::Used(11)]), Cell::Used(10));
    }

    #[test]
    fn tens_of_thousands_of_tables_stay_readable() {
        let state = |i: u64| match i * i % 7 {
            0 | 1 => State::Empty,
            2 => State::ZeroOnly,
            rest => State::Used(rest as u16 * 100),
        };
        let map = (0..100_000).map(|i| (TableIndex(i), state(i))).collect();
        let text = render(&map, &[], &BLOCKS);
        assert!(map_lines(&text).len() <= 2 * MOST_LINES, "{text}");
        assert!(text.contains("tenths empty"));
    }

    proptest! {
        /// At one table per character, what is drawn is what there is.
        #[test]
        fn all_empty_tables_are_drawn(map in any_map()) {
            let lines = lines_at(&map, &[], 1);
            let drawn = lines.iter().flat_map(|l| &l.cells).filter(|c| **c == Cell::Empty).count();
            prop_assert_eq!(drawn as u64, map.counts().empty);
            let none = lines.iter().flat_map(|l| &l.cells).filter(|c| **c == Cell::None).count();
            prop_assert_eq!(lines.len() * 64 - none, map.iter().count());
        }

        #[test]
        fn every_map_can_be_drawn(map in any_map()) {
            for glyphs in [&ASCII, &BLOCKS] {
                let text = render(&map, &[], glyphs);
                prop_assert!(text.lines().all(|line| line.chars().count() < 120));
            }
        }
    }
}

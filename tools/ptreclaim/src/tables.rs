// SPDX-License-Identifier: GPL-2.0

//! The tables of an address space, put together from what is known of its pages.

use crate::units::Kib;
use std::{collections::BTreeMap, ops::Range};

/// log2 of what a PTE table maps.
pub const TABLE_SHIFT: u32 = 21;
/// What a PTE table maps.
pub const TABLE_BYTES: u64 = 1 << TABLE_SHIFT;
const PAGE_BYTES: u64 = 4096;
/// log2 of how many tables there are below one table of the next level.
const LEVEL_SHIFT: u32 = 9;

/// Which 2 MiB of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableIndex(pub u64);

impl TableIndex {
    pub fn of(address: u64) -> Self {
        Self(address >> TABLE_SHIFT)
    }

    pub fn address(self) -> u64 {
        self.0 << TABLE_SHIFT
    }
}

/// What is in 2 MiB of address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A table without entries.
    Empty,
    /// A table with nothing but zero pages.
    ZeroOnly,
    /// A table with so many entries.
    Used(u16),
    /// A huge page. Behind one of anonymous memory a table waits for the day it is split.
    Huge { deposited: bool },
}

/// A range of pages that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    pub range: Range<u64>,
    pub kind: PageKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// An entry of a table: a page, a swap entry or a marker.
    Entry,
    /// An entry that maps the zero page.
    Zero,
    /// Part of a huge page.
    Huge { deposited: bool },
}

/// The tables of an address space by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableMap(BTreeMap<TableIndex, State>);

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    pub empty: u64,
    pub zero_only: u64,
    pub used: u64,
    /// Huge pages, of 2 MiB each.
    pub huge: u64,
    /// Tables that wait behind huge pages.
    pub deposited: u64,
    /// The least number of PMD tables.
    pub pmd_tables: u64,
    /// The least number of PUD tables.
    pub pud_tables: u64,
}

impl TableCounts {
    /// PTE tables that are linked.
    pub fn tables(&self) -> u64 {
        self.empty + self.zero_only + self.used
    }

    /// Tables of all levels that are there for certain.
    pub fn seen(&self) -> u64 {
        self.tables() + self.deposited + self.pmd_tables + self.pud_tables
    }

    /// What the tables take that are needed, those of upper levels included.
    pub fn needed(&self) -> Kib {
        Kib::of_tables(self.seen() - self.empty)
    }
}

#[derive(Default)]
struct Found {
    entries: u16,
    zero: u16,
    huge: Option<bool>,
}

/// Collects what is known, in any order; nothing twice.
#[derive(Default)]
pub struct Collector(BTreeMap<TableIndex, Found>);

impl Collector {
    /// Here there are tables, or huge pages.
    pub fn tables(&mut self, range: Range<u64>) {
        self.each(range, |_, _| {});
    }

    pub fn pages(&mut self, pages: Pages) {
        self.each(pages.range, |found, number| match pages.kind {
            PageKind::Entry => found.entries += number,
            PageKind::Zero => {
                found.entries += number;
                found.zero += number;
            }
            PageKind::Huge { deposited } => found.huge = Some(deposited),
        });
    }

    pub fn finish(self) -> TableMap {
        let state = |found: Found| match found {
            Found {
                huge: Some(deposited),
                ..
            } => State::Huge { deposited },
            Found { entries: 0, .. } => State::Empty,
            Found { entries, zero, .. } if entries == zero => State::ZeroOnly,
            Found { entries, .. } => State::Used(entries),
        };
        let all = self.0.into_iter();
        TableMap(all.map(|(index, found)| (index, state(found))).collect())
    }

    fn each(&mut self, range: Range<u64>, mut add: impl FnMut(&mut Found, u16)) {
        let mut at = range.start;
        while at < range.end {
            let index = TableIndex::of(at);
            let end = range.end.min(index.address() + TABLE_BYTES);
            // At most 512.
            let pages = ((end - at) / PAGE_BYTES) as u16;
            add(self.0.entry(index).or_default(), pages);
            at = end;
        }
    }
}

impl TableMap {
    pub fn iter(&self) -> impl Iterator<Item = (TableIndex, State)> + '_ {
        self.0.iter().map(|(index, state)| (*index, *state))
    }

    /// What is in `tables` tables from `first` on.
    pub fn range(&self, first: TableIndex, tables: u64) -> impl Iterator<Item = State> + '_ {
        let end = TableIndex(first.0 + tables);
        self.0.range(first..end).map(|(_, state)| *state)
    }

    pub fn counts(&self) -> TableCounts {
        let mut counts = TableCounts {
            pmd_tables: self.parents(LEVEL_SHIFT),
            pud_tables: self.parents(2 * LEVEL_SHIFT),
            ..TableCounts::default()
        };
        for (_, state) in self.iter() {
            match state {
                State::Empty => counts.empty += 1,
                State::ZeroOnly => counts.zero_only += 1,
                State::Used(_) => counts.used += 1,
                State::Huge { deposited } => {
                    counts.huge += 1;
                    counts.deposited += u64::from(deposited);
                }
            }
        }
        counts
    }

    /// How many ranges of `1 << shift` tables have something in them.
    fn parents(&self, shift: u32) -> u64 {
        let mut last = None;
        let mut parents = 0;
        for index in self.0.keys() {
            let parent = Some(index.0 >> shift);
            parents += u64::from(parent != last);
            last = parent;
        }
        parents
    }
}

impl FromIterator<(TableIndex, State)> for TableMap {
    fn from_iter<I: IntoIterator<Item = (TableIndex, State)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn any_state() -> impl Strategy<Value = State> {
        prop_oneof![
            3 => Just(State::Empty),
            1 => Just(State::ZeroOnly),
            3 => (1u16..=512).prop_map(State::Used),
            1 => any::<bool>().prop_map(|deposited| State::Huge { deposited }),
        ]
    }

    /// Dense here and there, as address spaces are.
    pub fn any_map() -> impl Strategy<Value = TableMap> {
        let run = (0u64..1 << 26, 1u64..200, any_state());
        proptest::collection::vec(run, 0..30).prop_map(|runs| {
            let tables = |(first, number, state): (u64, u64, State)| {
                (first..first + number).map(move |index| (TableIndex(index), state))
            };
            runs.into_iter().flat_map(tables).collect()
        })
    }

    fn entries(range: Range<u64>, kind: PageKind) -> Pages {
        Pages { range, kind }
    }

    #[test]
    fn pages_make_tables() {
        let mut collector = Collector::default();
        collector.tables(0..5 * TABLE_BYTES);
        collector.pages(entries(0x1000..0x3000, PageKind::Entry));
        collector.pages(entries(
            TABLE_BYTES - 0x1000..TABLE_BYTES + 0x1000,
            PageKind::Zero,
        ));
        let huge = PageKind::Huge { deposited: true };
        collector.pages(entries(3 * TABLE_BYTES..4 * TABLE_BYTES, huge));
        let states: Vec<State> = collector.finish().iter().map(|(_, state)| state).collect();
        let expected = [
            State::Used(3),
            State::ZeroOnly,
            State::Empty,
            State::Huge { deposited: true },
            State::Empty,
        ];
        assert_eq!(states, expected);
    }

    #[test]
    fn upper_levels_are_counted() {
        let gib = 1 << LEVEL_SHIFT;
        let indices = [0, 1, gib, 511 * gib, 512 * gib];
        let map: TableMap = indices
            .map(|i| (TableIndex(i), State::Empty))
            .into_iter()
            .collect();
        let counts = map.counts();
        assert_eq!((counts.pmd_tables, counts.pud_tables), (4, 2));
        assert_eq!(counts.needed(), Kib(4 * 6));
    }

    proptest! {
        #[test]
        fn all_tables_are_counted_once(map in any_map()) {
            let counts = map.counts();
            prop_assert_eq!(counts.tables() + counts.huge, map.iter().count() as u64);
            prop_assert!(counts.deposited <= counts.huge);
            prop_assert!(counts.pud_tables <= counts.pmd_tables);
            prop_assert!(counts.pmd_tables <= counts.tables() + counts.huge);
        }

        #[test]
        fn what_is_needed_is_not_more_than_there_is(map in any_map()) {
            let counts = map.counts();
            prop_assert!(counts.needed() <= Kib::of_tables(counts.seen()));
        }

        #[test]
        fn the_order_of_what_is_collected_does_not_matter(
            pages in proptest::collection::vec((0u64..4096, any::<bool>()), 0..60),
        ) {
            let collect = |pages: &mut dyn Iterator<Item = &(u64, bool)>| {
                let mut collector = Collector::default();
                for (page, zero) in pages {
                    let kind = if *zero { PageKind::Zero } else { PageKind::Entry };
                    collector.pages(entries(page * 4096..(page + 1) * 4096, kind));
                }
                collector.finish()
            };
            prop_assert_eq!(collect(&mut pages.iter()), collect(&mut pages.iter().rev()));
        }
    }
}

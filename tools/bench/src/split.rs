// SPDX-License-Identifier: GPL-2.0

//! What it takes to free a table, by what it is done for.

use std::{
    collections::BTreeMap,
    fmt::{
        self,
        Write as _, //
    }, //
};

use crate::{
    mode::Mode,
    report::{
        Beside,
        Report,
        Row, //
    },
    symbols::{
        self,
        Symbols, //
    }, //
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    /// To find out that it is empty.
    Look,
    /// To lock it, to look again, and to take it out of the page tables.
    Unlink,
    /// Of the TLBs.
    Flush,
    /// To give it to RCU, and to take it out of the counters.
    Free,
    Rest,
}

impl Part {
    const ALL: [Self; 5] = [Self::Look, Self::Unlink, Self::Flush, Self::Free, Self::Rest];

    fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Unlink => "unlink",
            Self::Flush => "flush",
            Self::Free => "free",
            Self::Rest => "rest",
        }
    }

    fn of(symbol: &str) -> Self {
        let named = SYMBOLS.iter().find(|(_, symbols)| symbols.contains(&symbol));
        named.map_or(Self::Rest, |(part, _)| *part)
    }
}

/// Which function is part of what. Whatever is not here is rest.
const SYMBOLS: [(Part, &[&str]); 4] = [
    (
        Part::Look,
        &[
            // All of the decision, and the unlinking at its end, which is inlined: a dozen instructions.
            "ptreclaim_zap",
            "ptreclaim::sys::hook::zap_end",
            "ptr_shim_mm_exiting",
            // The first look of a scan, without locks: `look()` is in `step()`.
            "<ptreclaim::scan::sweep::Sweep>::step",
            "ptreclaim::pgtable::pte::contents",
            "ptr_shim_next_pmd_table",
            "ptr_shim_pte_base",
            "ptr_shim_irq_save",
            "ptr_shim_irq_restore",
            "rust_helper_rcu_read_lock",
            "rust_helper_rcu_read_unlock",
            // How long it has been empty.
            "ptr_shim_table_word",
            "ptr_shim_table_node",
            // Whose tables are looked at.
            "ptreclaim_scan",
            "ptreclaim_ioctl",
        ],
    ),
    (
        Part::Unlink,
        &[
            // With the second look, which is most of it.
            "<ptreclaim::scan::sweep::Sweep>::free_covered",
            "<ptreclaim::scan::sweep::Sweep>::free",
            "<ptreclaim::pgtable::slot::PmdSlot>::new",
            "<ptreclaim::pgtable::slot::PmdSlot>::table",
            // Which of those seen empty is next; `nth()` is called by nobody else.
            "<ptreclaim::scan::bits::Bits>::next",
            "<core::iter::adapters::enumerate::Enumerate<core::slice::iter::Iter<u64>> as core::iter::traits::iterator::Iterator>::nth",
            "lock_vma_under_rcu",
            "ptr_shim_vma_meets",
            "ptr_shim_find_pmd",
            "ptr_shim_pte_table",
            "ptr_shim_pmd_lockptr",
            "ptr_shim_pte_lockptr",
            "ptr_shim_trylock",
            "ptr_shim_lock",
            "ptr_shim_lock_nested",
            "ptr_shim_unlock",
            "_raw_spin_trylock",
            "_raw_spin_lock",
            "_raw_spin_unlock",
            "ptr_shim_pmd_clear",
        ],
    ),
    (
        Part::Flush,
        &[
            "ptr_shim_flush_range",
            "flush_tlb_mm_range",
            "flush_tlb_func",
            "tlb_flush_mmu_tlbonly",
            "__tlb_reset_range",
        ],
    ),
    (
        Part::Free,
        &[
            // What a scan frees.
            "ptr_shim_pte_free_defer",
            "pte_free_defer",
            "call_rcu",
            "rcu_segcblist_enqueue",
            // What a zap gives to its gather.
            "___pte_free_tlb",
            "tlb_remove_table",
            "tlb_table_flush",
            "lruvec_stat_mod_folio",
            "mod_memcg_lruvec_state",
            "mod_node_page_state",
            // A page for the gather's list of tables.
            "alloc_pages_noprof",
            "alloc_pages_mpol",
            "__alloc_frozen_pages_noprof",
            "get_page_from_freelist",
            "__rmqueue_pcplist",
            "__mod_zone_page_state",
        ],
    ),
];

/// Rows where each unit is a table that goes. Others zap pages as well, whose noise is greater.
const ROWS: [&str; 3] = ["free.zap.", "module.request.", "module.background."];

/// Functions told of each part.
const TOLD: usize = 6;

/// One row: instructions for one table.
struct Split<'r> {
    row: &'r Row,
    parts: BTreeMap<Part, Symbols>,
}

impl<'r> Split<'r> {
    /// `None` if nothing was freed, or nobody knows what the same would cost without.
    fn new(row: &'r Row) -> Option<Self> {
        let cost = row.cost(Mode::On).filter(|cost| cost.freed > 0)?;
        let tables = cost.freed as f64 / cost.units as f64;
        let mut by = tasks(row, Mode::On)?;
        if !row.name.starts_with("module.") {
            by = symbols::difference(&by, &tasks(row, Mode::Off)?);
        }
        let mut parts: BTreeMap<Part, Symbols> = BTreeMap::new();
        for (name, n) in by {
            parts.entry(Part::of(&name)).or_default().insert(name, n / tables);
        }
        Some(Self { row, parts })
    }

    fn part(&self, part: Part) -> f64 {
        self.parts.get(&part).map_or(0.0, |symbols| symbols.values().sum())
    }

    fn sum(&self) -> f64 {
        Part::ALL.iter().map(|part| self.part(*part)).sum()
    }

    /// A part's functions, the greatest first.
    fn told(&self, part: Part) -> String {
        let symbols = self.parts.get(&part).cloned().unwrap_or_default();
        let mut words: Vec<String> = symbols::greatest(symbols)
            .into_iter()
            .filter(|(_, n)| n.abs() >= 0.5)
            .map(|(name, n)| format!("`{name}` {n:.0}"))
            .collect();
        if words.len() > TOLD {
            let others = words.len() - TOLD;
            words.truncate(TOLD);
            words.push(format!("{others} others"));
        }
        words.join(", ")
    }
}

/// What RCU does is none of it: its callbacks run when they run.
fn tasks(row: &Row, mode: Mode) -> Option<Symbols> {
    let cost = row.cost(mode)?;
    let scanner = row.beside() == Beside::KernelThreads;
    let of = if scanner { &cost.counts.thread_symbols } else { &cost.counts.symbols };
    Some(of.iter().map(|(name, n)| (name.clone(), *n as f64 / cost.units as f64)).collect())
}

/// The section of the report.
pub fn show(out: &mut String, report: &Report) -> fmt::Result {
    let named = |row: &&Row| ROWS.iter().any(|name| row.name.starts_with(name));
    let splits: Vec<Split<'_>> = report.rows.iter().filter(named).filter_map(Split::new).collect();
    if splits.is_empty() {
        return Ok(());
    }
    writeln!(out, "## What it takes to free a table\n")?;
    writeln!(
        out,
        "Instructions of one table, by function; of a zap what it has more than without any reclaim: less than nothing, where \
         later calls find no table any more. Not in it: some 350 for each table when RCU frees it, a grace period later.\n"
    )?;
    write!(out, "| |")?;
    for part in Part::ALL {
        write!(out, " {} |", part.name())?;
    }
    writeln!(out, " sum |\n|---|--:|--:|--:|--:|--:|--:|")?;
    for split in &splits {
        write!(out, "| {} |", split.row.name)?;
        for part in Part::ALL {
            write!(out, " {:.0} |", split.part(part))?;
        }
        writeln!(out, " {:.0} |", split.sum())?;
    }
    for split in &splits {
        writeln!(out, "\n{}:\n", split.row.name)?;
        for part in Part::ALL {
            let told = split.told(part);
            if !told.is_empty() {
                writeln!(out, "* {}: {told}", part.name())?;
            }
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        Cost,
        Counts,
        Gain, //
    };

    fn cost(freed: u64, symbols: &[(&str, u64)], threads: &[(&str, u64)]) -> Cost {
        let map = |symbols: &[(&str, u64)]| {
            symbols.iter().map(|&(name, n)| (name.to_owned(), n)).collect::<BTreeMap<_, _>>()
        };
        let counts =
            Counts { symbols: map(symbols), thread_symbols: map(threads), ..Counts::default() };
        Cost { units: 10, freed, counts }
    }

    fn row(name: &str, costs: Vec<(Mode, Cost)>) -> Row {
        Row {
            name: name.to_owned(),
            gain: Gain::Frees,
            unit: "table".to_owned(),
            costs: costs.into_iter().collect(),
        }
    }

    #[test]
    fn a_zap_is_what_it_has_more_than_without_reclaim() {
        let on = cost(10, &[("do_madvise", 700), ("ptreclaim_zap", 300), ("call_rcu", 40)], &[]);
        let off = cost(0, &[("do_madvise", 680)], &[]);
        let row = row("free.zap.2m", vec![(Mode::On, on), (Mode::Off, off)]);
        let split = Split::new(&row).unwrap();
        assert_eq!(split.part(Part::Look), 30.0);
        assert_eq!(split.part(Part::Free), 4.0);
        assert_eq!(split.part(Part::Rest), 2.0);
        assert_eq!(split.sum(), 36.0);
        assert_eq!(split.told(Part::Rest), "`do_madvise` 2");
    }

    #[test]
    fn the_scanners_work_is_a_kernel_threads() {
        let zap = ("ptreclaim_zap", 1000);
        let scan = ("ptreclaim::pgtable::pte::contents", 100);
        let row = row("module.background.empty", vec![(Mode::On, cost(5, &[zap], &[scan]))]);
        let split = Split::new(&row).unwrap();
        assert_eq!(split.sum(), 20.0, "of half as many tables as units");
    }

    #[test]
    fn without_a_table_freed_there_is_nothing_to_split() {
        let costs = || vec![(Mode::On, cost(0, &[], &[])), (Mode::Off, cost(0, &[], &[]))];
        assert!(Split::new(&row("free.zap.2m", costs())).is_none());
        let alone = vec![(Mode::On, cost(10, &[], &[]))];
        assert!(Split::new(&row("free.zap.2m", alone)).is_none(), "zaps want the mode off");
    }

    #[test]
    fn each_function_is_part_of_one_thing_and_unknown_ones_are_rest() {
        let mut all: Vec<&str> = SYMBOLS.iter().flat_map(|(_, names)| *names).copied().collect();
        let named = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), named);
        assert_eq!(Part::of("flush_tlb_mm_range"), Part::Flush);
        assert_eq!(Part::of("no_such_function"), Part::Rest);
    }

    #[test]
    fn only_the_greatest_are_told() {
        let many: Vec<(String, u64)> = (1..=9).map(|n| (format!("f{n}"), n * 100)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        let row = row("module.request.empty", vec![(Mode::On, cost(10, &many, &[]))]);
        let told = Split::new(&row).unwrap().told(Part::Rest);
        assert!(told.starts_with("`f9` 90, `f8` 80"), "{told}");
        assert!(told.ends_with("3 others"), "{told}");
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A zap that unlinks the table that it left empty, and gives it to its gather: `zap_pte_range()`
//! and `zap_pte_table_if_empty()` (`mm/memory.c`), `zap_end()` (`rust/reclaim.rs`),
//! `tlb_finish_mmu()` (`mm/mmu_gather.c`). Or it clears a huge page. Again and again.

use crate::{
    flush::{Flush, Reach, Which},
    memory::{Page, Pmd, Table, Who},
    state::{State, Steps},
    twin::Twin,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zap {
    Idle,
    /// `tlb_gather_mmu()` is through.
    Begun,
    /// The PTE lock is held.
    Locked(Table),
    /// And the entry is none.
    Cleared(Table, Option<Page>),
    /// The PTE lock was dropped: both locks are to be taken.
    Retry(Option<Page>),
    /// The PMD lock is held.
    PmdLocked(Option<Page>),
    /// No page table lock is held any more; what was gathered is to be flushed.
    Gathered(Gather),
    Flushing(Gather, Flush),
    Flushed(Gather),
}

/// What a gather has: a table that was unlinked, a page that was unmapped, or the huge one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Gather {
    table: Option<Table>,
    page: Option<Page>,
    huge: bool,
}

impl Gather {
    /// What `tlb_finish_mmu()` flushes: the page, or else the first address of the table.
    /// `mm_tlb_flush_nested()`: all, if another gather is at work.
    fn flush(self, pending: u8, twin: Twin) -> Option<(Reach, Which)> {
        if twin == Twin::NoFlush {
            return None;
        }
        if pending > 1 {
            return Some((Reach::All, Which::All));
        }
        let reach = match self {
            Self { page: Some(_), .. } | Self { huge: true, .. } => Reach::All,
            Self { table: None, .. } => return None,
            _ if twin == Twin::FlushOutsideTable => Reach::Elsewhere,
            _ => Reach::Table,
        };
        let freed_tables = match self {
            Self { huge: true, .. } => twin != Twin::HugeSkipsLazy,
            Self { table, .. } => table.is_some() && twin != Twin::NotFreedTables,
        };
        let which = if freed_tables { Which::All } else { Which::NotLazy };
        Some((reach, which))
    }
}

/// All that the zap may do next.
pub fn steps(state: &State, me: Who, twin: Twin, steps: &mut Steps) {
    let memory = &state.memory;
    let mut go = |what, to: Zap, change: &dyn Fn(&mut State)| {
        steps.push(me, what, state, |next| {
            change(next);
            *next.zap_mut(me) = to;
        });
    };
    match state.zap(me) {
        Zap::Idle => {
            if !memory.writing {
                go("begins: a flush is pending", Zap::Begun, &|next| {
                    next.memory.pending += 1;
                    if twin != Twin::ZapNotCovered {
                        next.memory.reading.add(me);
                    }
                });
            }
        }
        Zap::Begun => match memory.pmd {
            Pmd::Table(table) if !memory.is_pte_locked(table) => {
                go("locks the table", Zap::Locked(table), &|next| {
                    *next.memory.pte_lock(table) = Some(me);
                });
            }
            Pmd::Huge if memory.pmd_lock.is_none() => {
                let gathered = Gather { huge: true, ..Gather::default() };
                go("clears the huge page", Zap::Gathered(gathered), &|next| {
                    next.memory.pmd = Pmd::None;
                });
            }
            Pmd::Table(_) | Pmd::Huge => {}
            Pmd::None => go("finds nothing", Zap::Gathered(Gather::default()), &|_| {}),
        },
        Zap::Locked(table) => {
            let page = memory.pte(table);
            go("clears the entry", Zap::Cleared(table, page), &|next| {
                next.memory.set_pte(table, None);
            });
        }
        Zap::Cleared(table, page) => {
            let kept = Gather { page, ..Gather::default() };
            go("keeps the table", Zap::Gathered(kept), &|next| {
                *next.memory.pte_lock(table) = None;
            });
            go("drops the PTE lock", Zap::Retry(page), &|next| {
                *next.memory.pte_lock(table) = None;
            });
            if memory.pmd_lock.is_none() {
                let gathered = Gather { table: Some(table), page, huge: false };
                go("unlinks the table", Zap::Gathered(gathered), &|next| {
                    next.memory.pmd = Pmd::None;
                    *next.memory.pte_lock(table) = None;
                });
            }
        }
        Zap::Retry(page) => {
            if memory.pmd_lock.is_none() {
                go("locks the pmd", Zap::PmdLocked(page), &|next| {
                    next.memory.pmd_lock = Some(me);
                });
            }
        }
        Zap::PmdLocked(page) => match memory.pmd {
            Pmd::Table(table) if memory.is_pte_locked(table) => {}
            Pmd::Table(table) if memory.pte(table).is_none() || twin == Twin::NoSecondLook => {
                let gathered = Gather { table: Some(table), page, huge: false };
                go("unlinks the table", Zap::Gathered(gathered), &|next| {
                    next.memory.pmd = Pmd::None;
                    next.memory.pmd_lock = None;
                });
            }
            _ => {
                let kept = Gather { page, ..Gather::default() };
                go("finds no empty table", Zap::Gathered(kept), &|next| {
                    next.memory.pmd_lock = None;
                });
            }
        },
        Zap::Gathered(gather) => {
            let Some((reach, which)) = gather.flush(memory.pending, twin) else {
                go("has nothing to flush", Zap::Flushed(gather), &|_| {});
                return;
            };
            steps.push(me, "begins to flush", state, |next| {
                let mut left = gather;
                if twin == Twin::FreeBeforeFlush {
                    free_table(next, left.table.take(), twin);
                }
                if twin == Twin::PagesBeforeFlush {
                    free_page(next, left.page.take());
                }
                let flush = Flush::begin(&mut next.cpus, reach, which);
                *next.zap_mut(me) = Zap::Flushing(left, flush);
            });
        }
        Zap::Flushing(gather, flush) => {
            if flush.is_over() {
                go("has flushed", Zap::Flushed(gather), &|_| {});
            }
            for (rest, cpus) in flush.answers(&state.cpus) {
                go("is answered by a CPU", Zap::Flushing(gather, rest), &|next| next.cpus = cpus);
            }
        }
        Zap::Flushed(gather) => go("frees, and returns", Zap::Idle, &|next| {
            free_table(next, gather.table, twin);
            free_page(next, gather.page);
            next.memory.pending -= 1;
            next.memory.reading.remove(me);
        }),
    }
}

fn free_table(state: &mut State, table: Option<Table>, twin: Twin) {
    match table {
        Some(table) if twin == Twin::NoRcu => state.memory.free_now(table),
        Some(table) => state.memory.call_rcu(table),
        None => {}
    }
}

fn free_page(state: &mut State, page: Option<Page>) {
    if let Some(page) = page {
        state.memory.use_page(page, false);
    }
}

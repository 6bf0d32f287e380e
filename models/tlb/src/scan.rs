// SPDX-License-Identifier: GPL-2.0

//! A scan that unlinks a table which is empty or has only zero pages, and flushes with the PMD lock
//! held: `free_batch()` (`rust/scan/sweep.rs`), `UnlinkedBatch::flush()` (`rust/pgtable/batch.rs`).

use crate::{
    flush::{Flush, Reach, Which},
    memory::{Page, Pmd, Table, Who},
    state::{State, Steps},
    twin::Twin,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scan {
    Idle,
    /// A look without locks found it empty, or with zero pages only.
    Seen,
    /// The PMD lock is held, and `Cover`.
    PmdLocked,
    /// The pmd is cleared.
    Flushing(Table, Flush),
}

fn is_empty(page: Option<Page>) -> bool {
    matches!(page, None | Some(Page::Zero))
}

/// All that the scan may do next.
pub fn steps(state: &State, twin: Twin, steps: &mut Steps) {
    let memory = &state.memory;
    let mut go = |what, to: Scan, change: &dyn Fn(&mut State)| {
        steps.push(Who::Scan, what, state, |next| {
            change(next);
            next.scan = to;
        });
    };
    match state.scan {
        Scan::Idle => {
            if matches!(memory.pmd, Pmd::Table(table) if is_empty(memory.pte(table))) {
                go("sees an empty table", Scan::Seen, &|_| {});
            }
        }
        Scan::Seen => {
            if !memory.writing && memory.pmd_lock.is_none() {
                go("locks the pmd", Scan::PmdLocked, &|next| {
                    next.memory.pmd_lock = Some(Who::Scan);
                    if twin != Twin::ScanNotCovered {
                        next.memory.reading.add(Who::Scan);
                    }
                });
            }
        }
        Scan::PmdLocked => match memory.pmd {
            Pmd::Table(table) if memory.is_pte_locked(table) => {}
            Pmd::Table(table) if is_empty(memory.pte(table)) || twin == Twin::ScanNoSecondLook => {
                steps.push(Who::Scan, "unlinks the table, begins to flush", state, |next| {
                    if is_empty(memory.pte(table)) {
                        next.memory.set_pte(table, None);
                    }
                    next.memory.pmd = Pmd::None;
                    if twin == Twin::ScanUnlocksEarly {
                        next.memory.pmd_lock = None;
                    }
                    let which = match twin {
                        Twin::ScanSkipsLazy => Which::NotLazy,
                        _ => Which::All,
                    };
                    let flush = Flush::begin(&mut next.cpus, Reach::All, which);
                    next.scan = Scan::Flushing(table, flush);
                });
            }
            _ => go("finds no empty table", Scan::Idle, &|next| {
                next.memory.pmd_lock = None;
                next.memory.reading.remove(Who::Scan);
            }),
        },
        Scan::Flushing(table, flush) => {
            if flush.is_over() {
                go("has flushed, unlocks the pmd, frees", Scan::Idle, &|next| {
                    if twin != Twin::ScanUnlocksEarly {
                        next.memory.pmd_lock = None;
                    }
                    next.memory.reading.remove(Who::Scan);
                    if twin == Twin::ScanNoRcu {
                        next.memory.free_now(table);
                    } else {
                        next.memory.call_rcu(table);
                    }
                });
            }
            for (rest, cpus) in flush.answers(&state.cpus) {
                go("is answered by a CPU", Scan::Flushing(table, rest), &|next| next.cpus = cpus);
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A thread that faults at the address, on the first CPU: it fills the entry, or the pmd with a new
//! table or a huge page. `do_anonymous_page()`, `pmd_install()`, `do_set_pmd()` (`mm/memory.c`),
//! `pte_offset_map_lock()` (`mm/pgtable-generic.c`), `flush_tlb_before_set_pmd()` of patch 1.

use crate::{
    flush::{Flush, Reach, Which},
    memory::{Life, Page, Pmd, Table, Who},
    state::{State, Steps},
    twin::Twin,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    Idle,
    /// Mapped, in a read-side critical section of RCU; the PTE lock is still to come.
    Mapped(Table),
    /// The PTE lock is held, and the pmd was the same as before.
    Locked(Table),
    /// The PMD lock is held, and the pmd is none.
    Fill(New),
    /// The shim waits for other CPUs.
    Flushing(New, Flush),
}

/// What comes into the pmd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum New {
    Table(Table),
    Huge,
}

/// All that the fault may do next.
pub fn steps(state: &State, twin: Twin, steps: &mut Steps) {
    let memory = &state.memory;
    let mut go = |what, to: Fault, change: &dyn Fn(&mut State)| {
        steps.push(Who::Fault, what, state, |next| {
            change(next);
            next.fault = to;
        });
    };
    match state.fault {
        Fault::Idle if memory.writing => {}
        Fault::Idle => match memory.pmd {
            Pmd::Huge => {}
            Pmd::Table(table) => go("maps the table", Fault::Mapped(table), &|next| {
                next.memory.reading.add(Who::Fault);
                next.memory.rcu.add(Who::Fault);
            }),
            Pmd::None if memory.pmd_lock.is_some() => {}
            Pmd::None => {
                let lock = |next: &mut State| {
                    next.memory.reading.add(Who::Fault);
                    next.memory.pmd_lock = Some(Who::Fault);
                };
                go("locks the none pmd, for a huge page", Fault::Fill(New::Huge), &lock);
                if let Some(table) = memory.free_table() {
                    go(
                        "locks the none pmd, for a table",
                        Fault::Fill(New::Table(table)),
                        &|next| {
                            lock(next);
                            next.memory.lives[table as usize] = Life::Table;
                            next.memory.set_pte(table, None);
                        },
                    );
                }
            }
        },
        Fault::Mapped(table) => {
            if memory.is_pte_locked(table) {
                return;
            }
            if memory.is_linked(table) || twin == Twin::NoRecheck {
                go("locks the table", Fault::Locked(table), &|next| {
                    *next.memory.pte_lock(table) = Some(Who::Fault);
                });
            } else {
                go("finds the pmd changed", Fault::Idle, &|next| unmap(next));
            }
        }
        Fault::Locked(table) => {
            let unlock = |next: &mut State| {
                *next.memory.pte_lock(table) = None;
                unmap(next);
            };
            if memory.pte(table).is_some() {
                go("finds the entry filled", Fault::Idle, &unlock);
                return;
            }
            go("maps the zero page", Fault::Idle, &|next| {
                next.memory.set_pte(table, Some(Page::Zero));
                unlock(next);
            });
            if let Some(page) = memory.free_page() {
                go("maps a page", Fault::Idle, &|next| {
                    next.memory.use_page(page, true);
                    next.memory.set_pte(table, Some(page));
                    unlock(next);
                });
            }
        }
        Fault::Fill(new) => {
            if memory.pending == 0 || twin == Twin::NoShim {
                go("fills the pmd", Fault::Idle, &|next| fill(next, new));
                return;
            }
            steps.push(Who::Fault, "sees a pending flush, begins to flush", state, |next| {
                let which = match twin {
                    Twin::ShimFlushesLocally => Which::Local,
                    Twin::ShimSkipsLazy => Which::NotLazy,
                    _ => Which::All,
                };
                let flush = Flush::begin(&mut next.cpus, Reach::All, which);
                next.fault = Fault::Flushing(new, flush);
            });
        }
        Fault::Flushing(new, flush) => {
            if flush.is_over() {
                go("has flushed, fills the pmd", Fault::Idle, &|next| fill(next, new));
            }
            for (rest, cpus) in flush.answers(&state.cpus) {
                go("is answered by a CPU", Fault::Flushing(new, rest), &|next| next.cpus = cpus);
            }
        }
    }
}

fn unmap(state: &mut State) {
    state.memory.rcu_read_unlock(Who::Fault);
    state.memory.reading.remove(Who::Fault);
}

fn fill(state: &mut State, new: New) {
    state.memory.pmd = match new {
        New::Table(table) => Pmd::Table(table),
        New::Huge => Pmd::Huge,
    };
    state.memory.pmd_lock = None;
    state.memory.reading.remove(Who::Fault);
}

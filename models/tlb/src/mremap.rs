// SPDX-License-Identifier: GPL-2.0

//! `mremap()` with the address in its destination: `move_ptes()` (`mm/mremap.c`) does not look at
//! the pmd of its destination again. It has `mmap_lock` and the VMA locks for writing.

use crate::{
    memory::{Pmd, Table, Who},
    state::{State, Steps},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mremap {
    Idle,
    /// The locks are held for writing.
    Locked,
    /// `pte_offset_map_rw_nolock()` gave the table; its PTE lock is still to come.
    Found(Table),
}

/// All that it may do next.
pub fn steps(state: &State, steps: &mut Steps) {
    let memory = &state.memory;
    let mut go = |what, to: Mremap, change: &dyn Fn(&mut State)| {
        steps.push(Who::Mremap, what, state, |next| {
            change(next);
            next.mremap = to;
        });
    };
    match state.mremap {
        Mremap::Idle => {
            if memory.reading.is_empty() {
                go("locks for writing", Mremap::Locked, &|next| next.memory.writing = true);
            }
        }
        Mremap::Locked => match memory.pmd {
            Pmd::Table(table) => go("finds the table", Mremap::Found(table), &|_| {}),
            Pmd::None | Pmd::Huge => {
                go("finds no table", Mremap::Idle, &|next| next.memory.writing = false);
            }
        },
        Mremap::Found(table) => {
            if memory.is_pte_locked(table) {
                return;
            }
            go("moves an entry, if there is room", Mremap::Idle, &|next| {
                if let (None, Some(page)) = (memory.pte(table), memory.free_page()) {
                    next.memory.use_page(page, true);
                    next.memory.set_pte(table, Some(page));
                }
                next.memory.writing = false;
            });
        }
    }
}

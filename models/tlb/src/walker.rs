// SPDX-License-Identifier: GPL-2.0

//! Software that walks without locks, on a CPU that no flush of this address space interrupts:
//! `SeenTable` (`rust/pgtable/region.rs`), `pte_offset_map()`. GUP-fast does the same, on a CPU
//! that might be interrupted.

use crate::{
    memory::{Pmd, Table, Who},
    state::{State, Steps},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Walker {
    Idle,
    /// The pmd was read, in a read-side critical section of RCU; the entries are still to come.
    Holds(Table),
}

/// All that the walker may do next.
pub fn steps(state: &State, steps: &mut Steps) {
    match state.walker {
        Walker::Idle => {
            if let Pmd::Table(table) = state.memory.pmd {
                steps.push(Who::Walker, "reads the pmd", state, |next| {
                    next.memory.rcu.add(Who::Walker);
                    next.walker = Walker::Holds(table);
                });
            }
        }
        Walker::Holds(_) => steps.push(Who::Walker, "has read the table", state, |next| {
            next.memory.rcu_read_unlock(Who::Walker);
            next.walker = Walker::Idle;
        }),
    }
}

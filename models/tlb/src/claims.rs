// SPDX-License-Identifier: GPL-2.0

//! What must never be, and what must come up for the search to be worth anything.

use crate::{
    cpu::Mode,
    fault::Fault,
    memory::{Life, Page, Pmd, Table},
    state::State,
    walker::Walker,
    Model,
};
use stateright::Property;

/// A CPU, or somebody in software, holds on to the memory of a table that was freed.
pub const FREED_TABLE: &str = "no freed table is used";
/// Intel's application note 317080, AMD's erratum 383.
pub const ONE_SIZE: &str = "no address is cached with two page sizes";
/// A page in a table that no pmd points to is lost, and what was stored in it.
pub const LOST_PAGE: &str = "no page is left in an unlinked table";
/// When the call that clears an entry returns, the page belongs to somebody else.
pub const GIVEN_BACK: &str = "no page is used that was given back";
/// What one thread stores every other one reads; while a zap is under way it may be either.
pub const LOST_STORE: &str = "no store goes elsewhere than the tables lead";

const TABLES: [Table; 2] = [Table::A, Table::B];

fn no_freed_table_is_used(state: &State) -> bool {
    TABLES.into_iter().filter(|table| state.memory.is_free(*table)).all(|table| {
        state.cpus.iter().all(|cpu| !cpu.uses(table))
            && state.walker != Walker::Holds(table)
            && state.fault != Fault::Mapped(table)
            && state.fault != Fault::Locked(table)
            && !state.memory.is_linked(table)
    })
}

fn one_page_size(state: &State) -> bool {
    state.cpus.iter().all(|cpu| cpu.small.is_none() || !cpu.huge)
}

/// But for one that was made and not installed yet, which is empty.
fn no_page_is_lost(state: &State) -> bool {
    TABLES
        .into_iter()
        .all(|table| state.memory.is_linked(table) || state.memory.pte(table).is_none())
}

/// A CPU in lazy TLB mode has no use for what it caches.
fn small_translations(state: &State) -> impl Iterator<Item = Page> + '_ {
    let running = state.cpus.iter().filter(|cpu| cpu.mode == Mode::Running);
    running.filter_map(|cpu| cpu.small)
}

fn no_page_given_back_is_used(state: &State) -> bool {
    small_translations(state).all(|page| state.memory.is_used(page))
}

fn no_store_is_lost(state: &State) -> bool {
    let memory = &state.memory;
    memory.pending != 0
        || small_translations(state).all(|page| match memory.pmd {
            Pmd::Table(table) if memory.pte(table).is_some() => memory.pte(table) == Some(page),
            Pmd::Huge => false,
            // A zero page that a scan takes away reads as before, until there is something else.
            _ => page == Page::Zero,
        })
}

/// All of them.
pub fn never() -> Vec<Property<Model>> {
    vec![
        Property::always(FREED_TABLE, |_, state| no_freed_table_is_used(state)),
        Property::always(ONE_SIZE, |_, state| one_page_size(state)),
        Property::always(LOST_PAGE, |_, state| no_page_is_lost(state)),
        Property::always(GIVEN_BACK, |_, state| no_page_given_back_is_used(state)),
        Property::always(LOST_STORE, |_, state| no_store_is_lost(state)),
    ]
}

/// What each search must come across, whoever takes part.
pub fn reached() -> Vec<Property<Model>> {
    vec![
        Property::sometimes(
            "a huge page comes while an old table waits for RCU",
            |_, state: &State| {
                state.memory.pmd == Pmd::Huge
                    && state.memory.lives.iter().any(|life| matches!(life, Life::Waiting(_)))
            },
        ),
        Property::sometimes("the second table is in use", |_, state: &State| {
            matches!(state.memory.pmd, Pmd::Table(Table::B))
        }),
        Property::sometimes("a CPU caches an unlinked table", |_, state: &State| {
            TABLES.into_iter().any(|table| {
                !state.memory.is_linked(table) && state.cpus.iter().any(|cpu| cpu.uses(table))
            })
        }),
    ]
}

// SPDX-License-Identifier: GPL-2.0

//! A model of what no emulator has: what CPUs cache of page tables while a PTE table is unlinked,
//! flushed and freed. All interleavings are searched, with `stateright`.
//!
//! - [`memory`]: the pmd, two PTE tables, two pages, the locks, RCU
//! - [`cpu`]: translations, the paging structure cache, walks under way, lazy TLB mode
//! - [`flush`]: interrupts, one answer after the other
//! - [`zap`], [`scan`]: who unlinks
//! - [`fault`], [`walker`], [`mremap`]: who is in the way
//! - [`claims`]: what must never be
//! - [`twin`]: how it can be wrong

pub mod claims;
pub mod cpu;
pub mod fault;
pub mod flush;
pub mod memory;
pub mod mremap;
pub mod scan;
pub mod state;
pub mod twin;
pub mod walker;
pub mod zap;

use memory::{Page, Who};
use state::{By, State, Step, Steps};
use stateright::Property;
use twin::Twin;

/// Who takes part, and what is broken.
#[derive(Clone, Debug)]
pub struct Model {
    pub who: &'static [Who],
    /// The second CPU, which may be lazy, takes part.
    pub two_cpus: bool,
    pub twin: Twin,
}

impl stateright::Model for Model {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        [None, Some(Page::Zero), Some(Page::P)].map(State::new).to_vec()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        let mut steps = Steps(actions);
        for who in self.who {
            match who {
                Who::Zap | Who::OtherZap => zap::steps(state, *who, self.twin, &mut steps),
                Who::Scan => scan::steps(state, self.twin, &mut steps),
                Who::Fault => fault::steps(state, self.twin, &mut steps),
                Who::Walker => walker::steps(state, &mut steps),
                Who::Mremap => mremap::steps(state, &mut steps),
            }
        }
        for nth in 0..1 + usize::from(self.two_cpus) {
            state.cpus[nth].steps(&state.memory, nth == 1, |what, cpu| {
                steps.push_by(By::Cpu(nth), what, state, |next| next.cpus[nth] = cpu);
            });
        }
        if let Some(table) = state.memory.free_waiting() {
            steps.push_by(By::Rcu, "frees a table", state, |next| next.memory.free_now(table));
        }
    }

    fn next_state(&self, _state: &State, step: Step) -> Option<State> {
        Some(step.then)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = claims::never();
        if self.twin == Twin::Right {
            properties.extend(claims::reached());
        }
        properties
    }
}

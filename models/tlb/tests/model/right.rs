// SPDX-License-Identifier: GPL-2.0

//! The right model: all states there are, and none that must not be.

use ptreclaim_tlb_model::{
    memory::Who::{self, *},
    twin::Twin,
    Model,
};
use stateright::{Checker, Model as _};

/// `at_least` so many states, or the model no longer does what it did.
fn all_states(who: &'static [Who], two_cpus: bool, at_least: usize) {
    let model = Model { who, two_cpus, twin: Twin::Right };
    let search = model.checker().threads(2).spawn_bfs().join();
    assert!(search.is_done());
    search.assert_properties();
    let states = search.unique_state_count();
    println!("{who:?}, {} CPUs: {states} states", 1 + usize::from(two_cpus));
    assert!(states >= at_least, "only {states} states");
}

#[test]
fn a_zap_among_faults_and_walkers() {
    all_states(&[Zap, Fault, Walker], true, 1_000_000);
}

#[test]
fn a_scan_among_faults_and_walkers() {
    all_states(&[Scan, Fault, Walker], true, 20_000);
}

#[test]
fn a_zap_and_a_scan() {
    all_states(&[Zap, Scan, Fault], true, 1_000_000);
}

#[test]
fn two_zaps() {
    all_states(&[Zap, OtherZap, Fault], false, 900_000);
}

#[test]
fn all_with_one_cpu() {
    all_states(&[Zap, Scan, Fault, Walker, Mremap], false, 150_000);
}

/// Whoever flushes before the PMD lock goes needs no help from those who fill the pmd.
#[test]
fn a_scan_needs_no_shim() {
    let model = Model { who: &[Scan, Fault, Walker], two_cpus: true, twin: Twin::NoShim };
    let search = model.checker().spawn_bfs().join();
    assert!(search.is_done());
    search.assert_properties();
}

/// The largest: `tests/suites/models long`.
#[test]
#[ignore]
fn all_with_two_cpus() {
    all_states(&[Zap, Scan, Fault, Walker, Mremap], true, 3_000_000);
}

// SPDX-License-Identifier: GPL-2.0

use super::policy::{Advice, Key, Memory, MEMORY_BITS};
use proptest::prelude::*;
use std::collections::HashMap;

const TABLE: usize = 2 << 20;
const UNKNOWN: Memory = Memory::from_word(0);

fn keys() -> impl Strategy<Value = Key> {
    (any::<u64>(), 0usize..1 << 26).prop_map(|(mm, table)| Key::new(mm, table * TABLE))
}

#[test]
fn nothing_is_known_of_an_empty_word() {
    let key = Key::new(7, 5 * TABLE);
    assert_eq!(Memory::from_word(0).advice(key, 0, 1000), Advice::Look);
}

#[test]
fn neighbouring_tables_of_one_mm_do_not_share_a_word() {
    // 25600 tables in a row, as a 50 GiB mapping has them: as even as a hash can be.
    let mut used = vec![0u32; 1 << MEMORY_BITS];
    for table in 0..25600 {
        used[Key::new(1234, 0x7f00_0000_0000 + table * TABLE).index()] += 1;
    }
    assert!(used.iter().all(|n| *n > 0), "a word is never used");
    assert!(used.iter().all(|n| *n < 20), "a word is used too often");
}

/// Touch and zap every so many jiffies, as `reclaim.rs` acts on the advice: when it is freed, in
/// intervals.
fn frees(every: usize, intervals: u64) -> Vec<u64> {
    let (key, interval, begin) = (Key::new(64, TABLE), 25, 1_000_000);
    let mut memory = UNKNOWN;
    let mut freed = Vec::new();
    for now in (begin..begin + intervals * interval).step_by(every) {
        if memory.advice(key, now, interval) != Advice::Leave {
            memory = memory.freed(key, now, interval);
            freed.push((now - begin) / interval);
        }
    }
    freed
}

#[test]
fn what_a_loop_costs_grows_rarer() {
    // Each time it is left for twice as long, up to 16 intervals.
    assert_eq!(frees(1, 80), [0, 1, 3, 7, 15, 31, 47, 63, 79]);
}

#[test]
fn who_comes_back_late_is_not_left_for_longer() {
    // Five intervals: always freed at once.
    assert_eq!(frees(125, 50), [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
}

#[test]
fn leaving_for_longer_is_forgotten() {
    let (key, interval) = (Key::new(64, TABLE), 25);
    let mut memory = UNKNOWN.freed(key, 1000, interval).freed(key, 1025, interval);
    assert_eq!(memory.advice(key, 1025 + 49, interval), Advice::Leave);
    memory = memory.occupied(key, 3);
    assert_eq!(memory.advice(key, 1025 + 49, interval), Advice::Leave, "a witness changes that");
    memory = memory.freed_by_scan(key, 1100);
    assert_eq!(memory.advice(key, 1100 + 49, interval), Advice::Leave, "a scan changes that");
    memory = memory.freed(key, 1100 + 200, interval);
    assert_eq!(memory.advice(key, 1300 + 24, interval), Advice::Leave);
    assert_eq!(memory.advice(key, 1300 + 25, interval), Advice::Look);
}

proptest! {
    #[test]
    fn no_two_tables_have_one_key(
        mm in 1u64..1 << 28, other in prop_oneof![1u64..1 << 28, 1u64..64],
        table in 0usize..1 << 36, second in 0usize..1 << 36, top in 0usize..1 << 12,
    ) {
        for (other, second) in [
            (other, second),
            (mm, table ^ top << 24),
            (mm ^ top as u64, table ^ top << 24),
            (other, table ^ top << 24),
        ] {
            let same = (mm, table) == (other, second);
            prop_assert_eq!(Key::new(mm, table * TABLE) == Key::new(other, second * TABLE), same);
        }
    }

    #[test]
    fn a_freed_table_is_left_for_the_interval(
        key in keys(), freed in any::<u64>(), age in 0u64..100_000, interval in 0u64..60_000,
    ) {
        let memory = UNKNOWN.freed(key, freed, interval);
        let advice = memory.advice(key, freed.wrapping_add(age), interval);
        prop_assert_eq!(advice == Advice::Leave, age < interval);
    }

    #[test]
    fn a_witness_is_found_again(
        key in keys(), index in 0usize..512, now in any::<u64>(), word in any::<u64>(),
    ) {
        let memory = Memory::from_word(word).occupied(key, index);
        prop_assert_eq!(memory.advice(key, now, 0), Advice::LookAt(index));
    }

    #[test]
    fn a_witness_does_not_hide_when_it_was_freed(
        key in keys(), index in 0usize..512, now in any::<u64>(), interval in 1u64..60_000,
    ) {
        let memory = UNKNOWN.freed(key, now, interval).occupied(key, index);
        prop_assert_eq!(memory.advice(key, now, interval), Advice::Leave);
        prop_assert_eq!(memory.advice(key, now.wrapping_add(interval), interval),
                        Advice::LookAt(index));
    }

    #[test]
    fn another_table_learns_nothing(
        a in keys(), b in keys(), index in 0usize..512, now in any::<u64>(),
    ) {
        prop_assume!(a != b);
        let memory = UNKNOWN.freed(a, now, 20).occupied(a, index);
        // Tags may collide, but not once in the runs of this test.
        prop_assert_eq!(memory.advice(b, now, 60_000), Advice::Look);
        // And what is remembered for b afterwards has nothing of a.
        prop_assert_eq!(memory.occupied(b, index).advice(b, now, 60_000), Advice::LookAt(index));
    }

    #[test]
    fn every_word_survives_storing(word in any::<u64>()) {
        prop_assert_eq!(Memory::from_word(word).word(), word);
    }

    /// Against the obvious model: a map without bounds from table to what happened last, where
    /// nobody comes back soon.
    #[test]
    fn agrees_with_a_map(ops in prop::collection::vec((0usize..8, 0u8..3, 0u64..40), 1..200)) {
        let mut now = 1u64 << 40;
        let mut words = vec![0u64; 1 << MEMORY_BITS];
        let mut model: HashMap<usize, (Option<u64>, Option<usize>)> = HashMap::new();
        let interval = 25;
        for (table, op, pause) in ops {
            now += pause;
            let key = Key::new(4096, table * TABLE);
            let word = &mut words[key.index()];
            let (freed, slot) = model.entry(table).or_default();
            let expected = match (*freed, *slot) {
                (Some(at), _) if now - at < interval => Advice::Leave,
                (_, Some(slot)) => Advice::LookAt(slot),
                _ => Advice::Look,
            };
            prop_assert_eq!(Memory::from_word(*word).advice(key, now, interval), expected);
            match op {
                0 => {
                    *word = UNKNOWN.freed(key, now, interval).word();
                    (*freed, *slot) = (Some(now), None);
                }
                1 => {
                    *word = Memory::from_word(*word).occupied(key, table * 60).word();
                    *slot = Some(table * 60);
                }
                _ => {}
            }
        }
    }
}

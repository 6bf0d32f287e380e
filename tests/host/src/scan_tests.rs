// SPDX-License-Identifier: GPL-2.0

//! What the background scanner decides by.

use super::{
    bits::Bits,
    patience::Patience,
    policy::{Key, Memory},
    stamp::Stamp,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const TABLE: usize = 2 << 20;
const AGE: u64 = 50;

proptest! {
    #[test]
    fn bits_are_a_set(
        indices in prop::collection::btree_set(0usize..512, 0..80),
        start in 0usize..=512,
        len in 0usize..=512,
    ) {
        let mut bits = Bits::new();
        indices.iter().for_each(|index| bits.set(*index));
        prop_assert_eq!(bits.len() as usize, indices.len());
        prop_assert_eq!(bits.is_empty(), indices.is_empty());

        let mut got = BTreeSet::new();
        let mut from = 0;
        while let Some(index) = bits.next(from) {
            prop_assert!(index >= from);
            got.insert(index);
            from = index + 1;
        }
        let range = start..(start + len).min(512);
        let within: Vec<_> = bits.within(range.clone()).collect();
        prop_assert_eq!(within, got.iter().copied().filter(|index| range.contains(index)).collect::<Vec<_>>());
        prop_assert_eq!(got, indices);
        prop_assert_eq!(bits.next(512), None);
    }

    #[test]
    fn spans_split_a_set_into_parts_of_a_size(
        indices in prop::collection::btree_set(0usize..512, 0..80),
        most in 1usize..40,
    ) {
        let mut bits = Bits::new();
        indices.iter().for_each(|index| bits.set(*index));
        let mut from = 0;
        for part in indices.iter().collect::<Vec<_>>().chunks(most) {
            let span = bits.span(from, most).unwrap();
            prop_assert_eq!(&span, &(*part[0]..part[part.len() - 1] + 1));
            from = span.end;
        }
        prop_assert_eq!(bits.span(from, most), None);
    }

    #[test]
    fn runs_have_no_gap_and_no_more_than_they_may(
        indices in prop::collection::btree_set(0usize..512, 0..400),
        most in 1usize..40,
    ) {
        let mut bits = Bits::new();
        indices.iter().for_each(|index| bits.set(*index));
        let mut got = Vec::new();
        let mut from = 0;
        while let Some(run) = bits.run(from, most) {
            prop_assert!(run.len() <= most);
            prop_assert!(run.len() == most || !indices.contains(&run.end));
            from = run.end;
            got.extend(run);
        }
        prop_assert_eq!(got, indices.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_stamp_counts_from_the_first_of_a_row_of_looks(
        mm in any::<u64>(),
        garbage in any::<u64>(),
        round in any::<u16>(),
        start in any::<u64>(),
        gaps in prop::collection::vec(0u64..1000, 1..20),
    ) {
        // Garbage that looks like a stamp of this table is taken for one: not here.
        let (mut stamp, age) = Stamp::from_word(garbage).seen(mm, round, start);
        prop_assume!(age == 0);
        let (mut now, mut sum, mut round) = (start, 0, round);
        for gap in gaps {
            now = now.wrapping_add(gap);
            sum += gap;
            round = round.wrapping_add(1);
            let (next, age) = Stamp::from_word(stamp.word()).seen(mm, round, now);
            prop_assert_eq!(age, sum);
            stamp = next;
        }
        // Not seen empty in one round: it starts anew.
        prop_assert_eq!(stamp.seen(mm, round.wrapping_add(2), now + 7).1, 0);
        // As it does for whoever uses the page next.
        prop_assert_eq!(stamp.seen(mm ^ 1 << 7, round.wrapping_add(1), now + 7).1, 0);
    }

    #[test]
    fn garbage_is_hardly_ever_a_stamp(words in prop::collection::vec(any::<u64>(), 1000)) {
        let old = words
            .iter()
            .filter(|word| Stamp::from_word(**word).seen(0xffff_8880_1234_5000, 9, 1 << 20).1 > 0)
            .count();
        prop_assert!(old <= 1);
    }

    #[test]
    fn patience_survives_its_word(freed in 0u64..1 << 30, back in 0u64..10, now in any::<u64>()) {
        let patience = Patience::from_word(0)
            .after(freed, 0, now, AGE)
            .after(0, back, now + 1, AGE);
        prop_assert_eq!(Patience::from_word(patience.word()), patience);
        prop_assert!((AGE..=AGE << 6).contains(&patience.age(AGE)));
    }

    #[test]
    fn patience_never_gives_less_than_was_asked_for(
        steps in prop::collection::vec((0u64..100, 0u64..100, 0u64..5000), 0..100)
    ) {
        let mut patience = Patience::from_word(0);
        let mut now = 1_000_000;
        for (freed, back, gap) in steps {
            now += gap;
            patience = patience.after(freed, back, now, AGE);
            prop_assert!(patience.age(AGE) >= AGE);
            prop_assert!(patience.age(AGE) <= 64 * AGE);
        }
    }
}

/// A program that empties `tables` tables, leaves them so for `rest` and fills them again for
/// `work`, for `total`; how often a table is freed. All in jiffies, a look every `AGE`.
fn frees_of_a_loop(tables: u64, rest: u64, work: u64, total: u64) -> u64 {
    let mut patience = Patience::from_word(0);
    let (mut gone, mut frees, mut empty_since) = (false, 0, None);
    let mut pending_back = 0;
    for now in (1_000_000..1_000_000 + total).step_by(AGE as usize) {
        let phase = now % (rest + work);
        if phase < work {
            empty_since = None;
            if gone {
                gone = false;
                pending_back = tables;
            }
        } else if !gone && empty_since.is_none() {
            empty_since = Some(now);
        }
        let mut freed = 0;
        if let Some(since) = empty_since {
            if !gone && now - since >= patience.age(AGE) {
                gone = true;
                empty_since = None;
                freed = tables;
                frees += 1;
            }
        }
        let back = if patience.is_watching(now, AGE) {
            pending_back
        } else {
            0
        };
        pending_back = 0;
        patience = patience.after(freed, back, now, AGE);
    }
    frees
}

#[test]
fn a_loop_is_left_alone_soon() {
    // Twice the age empty, then in use for as long, 1000 times: freed each time if there were no
    // patience.
    let frees = frees_of_a_loop(100, 2 * AGE, 2 * AGE, 4 * AGE * 1000);
    assert!(frees < 200, "{frees} frees in 1000 rounds");
    assert!(frees > 0);
}

#[test]
fn what_does_not_come_back_is_freed_at_once_again() {
    let mut patience = Patience::from_word(0);
    let mut now = 1_000_000;
    for _ in 0..10 {
        patience = patience.after(100, 0, now, AGE);
        now += AGE;
        patience = patience.after(0, 100, now, AGE);
        now += AGE;
    }
    assert_eq!(patience.age(AGE), 64 * AGE);
    // Looks go on, nothing comes back: it is forgiven step by step.
    let angry = now;
    while patience.age(AGE) > AGE {
        now += AGE;
        patience = patience.after(0, 0, now, AGE);
        assert!(now - angry < 16 * 128 * AGE, "never forgiven");
    }
}

const UNKNOWN: Memory = Memory::from_word(0);

#[test]
fn a_table_counts_as_come_back_once() {
    let key = Key::new(64, TABLE);
    let memory = UNKNOWN.freed_by_scan(key, 1000);
    assert!(memory.is_back(key, 1000 + AGE, 4 * AGE));
    assert!(!memory.is_back(key, 1000 + 4 * AGE, 4 * AGE));
    assert!(!memory.is_back(Key::new(64, 2 * TABLE), 1000, 4 * AGE));
    assert!(!memory.counted().is_back(key, 1000, 4 * AGE));
    // A zap's own free is none of a scan's.
    assert!(!UNKNOWN.freed(key, 1000, 20).is_back(key, 1000, 4 * AGE));
    // What a zap learns of the table later does not change that.
    assert!(memory.occupied(key, 7).is_back(key, 1000, 4 * AGE));
}

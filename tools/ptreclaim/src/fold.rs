// SPDX-License-Identifier: GPL-2.0

//! Runs of things that are alike.

/// So many of the same, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<T> {
    pub first: T,
    pub number: u64,
}

/// Joins neighbours, each of which `continues` the run so far: the run, its length, the item.
pub fn fold_by<T>(
    items: impl IntoIterator<Item = T>,
    continues: impl Fn(&T, u64, &T) -> bool,
) -> Vec<Run<T>> {
    let mut runs: Vec<Run<T>> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some(run) if continues(&run.first, run.number, &item) => run.number += 1,
            _ => runs.push(Run {
                first: item,
                number: 1,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn folding_and_unfolding_is_the_identity(items in proptest::collection::vec(0u8..3, 0..200)) {
            let runs = fold_by(items.clone(), |first, _, item| first == item);
            prop_assert!(runs.windows(2).all(|w| w[0].first != w[1].first));
            let unfolded: Vec<u8> = runs
                .iter()
                .flat_map(|run| std::iter::repeat_n(run.first, run.number as usize))
                .collect();
            prop_assert_eq!(unfolded, items);
        }

        #[test]
        fn so_it_is_of_numbers_that_count_up(items in proptest::collection::vec(0u64..300, 0..200)) {
            let mut items = items;
            items.sort_unstable();
            items.dedup();
            let runs = fold_by(items.clone(), |first, number, item| first + number == *item);
            let unfolded: Vec<u64> = runs.iter().flat_map(|r| r.first..r.first + r.number).collect();
            prop_assert_eq!(unfolded, items);
        }
    }
}

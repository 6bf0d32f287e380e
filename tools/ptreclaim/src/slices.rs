// SPDX-License-Identifier: GPL-2.0

//! An address space in pieces, so that there is progress to show and a place to stop.

use crate::{
    maps::Vma,
    tables::{TABLE_BYTES, TableIndex},
};

/// A range: its start, and its length or 0 for all that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub start: u64,
    pub len: u64,
}

/// Slices with about `mapped` bytes of VMAs each, that together are all of the address space:
/// a VMA that is not among these is looked at all the same. They begin where tables begin, so
/// that no table is in two of them.
pub fn slices(vmas: &[Vma], mapped: u64) -> Vec<Slice> {
    let mut cuts = vec![0];
    let mut since_cut = 0;
    for vma in vmas {
        let mut at = vma.range.start;
        while since_cut + (vma.range.end - at) >= mapped {
            let cut = TableIndex::of(at + (mapped - since_cut)).address();
            if cut > cuts[cuts.len() - 1] {
                cuts.push(cut);
            }
            at += mapped - since_cut;
            since_cut = 0;
        }
        since_cut += vma.range.end - at;
    }
    let ends = cuts.iter().skip(1).map(Some).chain([None]);
    let slice = |(start, end): (&u64, Option<&u64>)| Slice {
        start: *start,
        len: end.map_or(0, |end| end - start),
    };
    cuts.iter().zip(ends).map(slice).collect()
}

const _: () = assert!(TABLE_BYTES.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::tests::any_vmas;
    use proptest::prelude::*;

    #[test]
    fn without_vmas_there_is_one() {
        assert_eq!(slices(&[], 1), [Slice { start: 0, len: 0 }]);
    }

    proptest! {
        #[test]
        fn slices_are_all_of_the_address_space(vmas in any_vmas(), tables in 1u64..100) {
            let slices = slices(&vmas, tables * TABLE_BYTES);
            prop_assert_eq!(slices[0].start, 0);
            for pair in slices.windows(2) {
                prop_assert!(pair[0].len > 0);
                prop_assert_eq!(pair[0].start + pair[0].len, pair[1].start);
                prop_assert_eq!(pair[1].start % TABLE_BYTES, 0);
            }
            prop_assert_eq!(slices[slices.len() - 1].len, 0);
            let mapped: u64 = vmas.iter().map(|v| v.range.end - v.range.start).sum();
            prop_assert!(slices.len() as u64 <= mapped / (tables * TABLE_BYTES) + 1);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The decision at the end of a zap, on tables as `zap_pte_range()` leaves them.

use kernel::prelude::*;

#[kunit_tests(ptreclaim_reclaim)]
mod tests {
    use super::*;
    use crate::{
        outcome::Outcome,
        pgtable::{
            zapped::Verdict,
            PTRS_PER_PTE, //
        },
        reclaim::{
            set_refill_interval,
            zap_end, //
        },
        sys::{
            bindings::ptr_flags,
            hook,
            testing::{
                page_tables,
                register,
                How,
                Kind,
                Mapping, //
            },
        },
    };

    /// By `MADV_DONTNEED`, under the VMA lock.
    const VMA_LOCKED: How = How {
        flags: ptr_flags::PTR_DONTNEED | ptr_flags::PTR_VMA_LOCK,
        empty: false,
        pmd_taken: false,
    };
    /// The same under `mmap_lock`.
    const MMAP_LOCKED: How = How {
        flags: ptr_flags::PTR_DONTNEED | ptr_flags::PTR_MMAP_LOCK,
        ..VMA_LOCKED
    };

    /// What became of a table after zapping these pages of it. Without memory of other tests, whose
    /// address space and addresses may have been the same.
    fn zap(map: Mapping, page: usize, pages: usize, how: How) -> Result<Outcome> {
        set_refill_interval(0);
        let outcome = zap_again(map, page, pages, how);
        set_refill_interval(hook::refill_jiffies());
        outcome
    }

    fn zap_again(map: Mapping, page: usize, pages: usize, how: How) -> Result<Outcome> {
        let mut counts = [0; Outcome::ALL.len()];
        for (count, outcome) in counts.iter_mut().zip(Outcome::ALL) {
            *count = outcome.counted();
        }
        let verdict = map.zapped(0, page, pages, how, zap_end)?;
        let mut grown = Outcome::ALL
            .iter()
            .zip(counts)
            .filter(|(outcome, count)| outcome.counted() != *count);
        let (outcome, _) = grown.next().ok_or(EINVAL)?;
        // Each zap is counted once, and the verdict is that of the outcome.
        if grown.next().is_some() || (verdict == "unlinked") != (*outcome == Outcome::Freed) {
            return Err(EINVAL);
        }
        Ok(*outcome)
    }

    #[test]
    fn an_empty_table_is_freed() -> Result {
        for (page, pages) in [(0, 1), (511, 1), (17, 16), (0, 256), (256, 256), (0, 512)] {
            let map = Mapping::new(1)?;
            map.make_empty(0)?;
            let tables = page_tables();
            assert!(zap(map, page, pages, VMA_LOCKED)? == Outcome::Freed);
            assert_eq!(page_tables(), tables - 1);
            map.put(0, page, 3)?;
            assert_eq!(map.get(0, page)?, 3);
        }
        Ok(())
    }

    #[test]
    fn a_table_known_to_be_empty_is_not_scanned() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let known = How {
            empty: true,
            ..MMAP_LOCKED
        };
        // A lie, and an entry that a scan would find.
        map.put(0, 9, 1)?;
        let verdict = map.zapped(0, 0, PTRS_PER_PTE, known, |zapped| {
            assert!(zapped.none().is_ok());
            Verdict::Keep
        })?;
        assert!(verdict == "keep");
        map.zap(0, 9, 1)?;
        assert!(zap(map, 0, PTRS_PER_PTE, known)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn any_entry_keeps_it() -> Result {
        let map = Mapping::new(1)?;
        for index in 0..PTRS_PER_PTE {
            map.put(0, index, 1)?;
            // Near and far, on both sides, and skipped inside the range.
            for page in [0, 100, 255, 511] {
                assert!(zap(map, page, 1, VMA_LOCKED)? == Outcome::Present);
            }
            assert!(zap(map, 0, PTRS_PER_PTE, VMA_LOCKED)? == Outcome::Present);
            map.zap(0, index, 1)?;
        }
        assert!(zap(map, 0, 1, VMA_LOCKED)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn what_is_not_present_keeps_it_too() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        for (kind, why) in [
            (Kind::Swap, Outcome::Swap),
            (Kind::Marker, Outcome::Markers),
            (Kind::Migration, Outcome::Migration),
        ] {
            for page in [99, 400] {
                map.set_pte(0, 100, kind)?;
                let outcome = zap(map, page, 1, VMA_LOCKED);
                map.set_pte(0, 100, Kind::None)?;
                assert!(outcome? == why);
            }
        }
        Ok(())
    }

    #[test]
    fn a_zero_page_is_no_page_that_keeps_it() -> Result {
        let map = Mapping::new(1)?;
        map.put(0, 9, 1)?;
        // Read, and never written to.
        assert_eq!(map.get(0, 7)?, 0);
        // What fails with a lock held leaves it held.
        let mut pages = [true; 3];
        let mut zero = false;
        let verdict = map.zapped(0, 0, 1, VMA_LOCKED, |zapped| {
            zero = zapped.ptes().get(7).is_some_and(|pte| pte.is_zero_page());
            pages = [7, 8, 9].map(|index| zapped.ptes().maps_page(index));
            Verdict::Keep
        })?;
        assert!(verdict == "keep");
        assert!(zero);
        assert!(pages == [false, false, true]);
        Ok(())
    }

    #[test]
    fn the_lock_decides() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let rmap = How {
            flags: ptr_flags::PTR_RMAP,
            ..VMA_LOCKED
        };
        assert!(zap(map, 0, 1, rmap)? == Outcome::RmapLock);
        assert!(zap(map, 0, 1, How::default())? == Outcome::UnknownLock);
        assert!(zap(map, 0, 1, MMAP_LOCKED)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn a_table_of_two_vmas_is_freed() -> Result {
        let map = Mapping::new(1)?;
        map.split(0, 256, 256)?;
        map.make_empty(0)?;
        // Under the VMA lock alone: the fixture holds mmap_lock for reading, so the trylock for
        // reading succeeds.
        assert!(zap(map, 0, 256, VMA_LOCKED)? == Outcome::Freed);
        let map = Mapping::new(1)?;
        map.split(0, 0, 1)?;
        map.put(0, 1, 1)?;
        map.zap(0, 1, 1)?;
        assert!(zap(map, 1, 511, MMAP_LOCKED)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn a_table_filled_again_is_left_for_a_while() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let first = zap(map, 0, 1, VMA_LOCKED);
        map.make_empty(0)?;
        set_refill_interval(u64::from(u32::MAX >> 10));
        let second = zap_again(map, 0, 1, VMA_LOCKED);
        let known = How {
            empty: true,
            ..VMA_LOCKED
        };
        let third = zap_again(map, 0, PTRS_PER_PTE, known);
        let fourth = zap(map, 0, 1, VMA_LOCKED);
        assert!(first? == Outcome::Freed);
        assert!(second? == Outcome::Refilled);
        assert!(third? == Outcome::Refilled);
        assert!(fourth? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn a_taken_pmd_lock_is_not_waited_for() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let taken = How {
            pmd_taken: true,
            ..VMA_LOCKED
        };
        assert!(map.zapped(0, 0, 1, taken, zap_end)? == "retry");
        Ok(())
    }

    #[test]
    fn what_munmap_frees_itself_is_left_to_it() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        // `pg_start` and `pg_end` are 0: from the bottom to the top, as in exit_mmap().
        let flags = ptr_flags::PTR_MUNMAP | ptr_flags::PTR_MMAP_LOCK;
        assert!(
            zap(
                map,
                0,
                1,
                How {
                    flags,
                    ..VMA_LOCKED
                }
            )? == Outcome::Unmapped
        );
        Ok(())
    }

    #[test]
    fn another_abi_is_refused() -> Result {
        assert!(register(hook::ABI + 1) == Err(Error::from_errno(-71)));
        Ok(())
    }
}

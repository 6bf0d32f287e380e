// SPDX-License-Identifier: GPL-2.0

//! The decision at the end of a zap, on tables as `zap_pte_range()` leaves them.

use kernel::prelude::*;

#[kunit_tests(ptreclaim_reclaim)]
mod tests {
    use super::*;
    use crate::{
        outcome::Outcome,
        pgtable::{zapped::Verdict, PTRS_PER_PTE},
        reclaim::{
            set_refill_interval,
            zap_end, //
        },
        sys::{
            hook,
            testing::{
                page_tables,
                register,
                Kind,
                Mapping,
                PmdLockIs, //
            },
        },
    };

    const DONTNEED: u32 = 1 << 0;
    const RMAP: u32 = 1 << 3;
    const VMA_LOCK: u32 = 1 << 8;
    const MMAP_LOCK: u32 = 1 << 9;
    const EMPTY: u32 = 1 << 16;

    /// What became of a table after zapping these pages of it.
    fn zap(map: Mapping, page: usize, pages: usize, flags: u32) -> Result<Outcome> {
        let before = Outcome::ALL.iter().map(|o| o.counted());
        let mut counts = [0; 16];
        for (slot, count) in counts.iter_mut().zip(before) {
            *slot = count;
        }
        let verdict = map.zapped(0, page, pages, flags, PmdLockIs::Free, zap_end)?;
        let mut grown = Outcome::ALL
            .iter()
            .zip(counts)
            .filter(|(outcome, count)| outcome.counted() != *count);
        let (outcome, _) = grown.next().ok_or(EINVAL)?;
        // Each zap is counted once, and the verdict is that of the outcome.
        if grown.next().is_some() || (verdict == Verdict::Unlinked) != (*outcome == Outcome::Freed)
        {
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
            assert!(zap(map, page, pages, DONTNEED | VMA_LOCK)? == Outcome::Freed);
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
        let flags = DONTNEED | MMAP_LOCK | EMPTY;
        let verdict = map.zapped(0, 0, PTRS_PER_PTE, flags, PmdLockIs::Free, |zapped| {
            assert!(zapped.none().is_ok());
            Verdict::Keep
        })?;
        assert!(verdict == Verdict::Keep);
        assert!(zap(map, 0, PTRS_PER_PTE, flags)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn any_entry_keeps_it() -> Result {
        let map = Mapping::new(1)?;
        for index in 0..PTRS_PER_PTE {
            map.put(0, index, 1)?;
            // Near and far, on both sides, and skipped inside the range.
            for page in [0, 100, 255, 511] {
                assert!(zap(map, page, 1, DONTNEED | VMA_LOCK)? == Outcome::Present);
            }
            assert!(zap(map, 0, PTRS_PER_PTE, DONTNEED | VMA_LOCK)? == Outcome::Present);
            map.zap(0, index, 1)?;
        }
        assert!(zap(map, 0, 1, DONTNEED | VMA_LOCK)? == Outcome::Freed);
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
                let outcome = zap(map, page, 1, DONTNEED | VMA_LOCK);
                map.set_pte(0, 100, Kind::None)?;
                assert!(outcome? == why);
            }
        }
        Ok(())
    }

    #[test]
    fn the_lock_decides() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        assert!(zap(map, 0, 1, RMAP)? == Outcome::RmapLock);
        assert!(zap(map, 0, 1, 0)? == Outcome::UnknownLock);
        assert!(zap(map, 0, 1, DONTNEED | MMAP_LOCK)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn a_table_of_two_vmas_is_freed() -> Result {
        let map = Mapping::new(1)?;
        map.split(0, 256, 256)?;
        map.make_empty(0)?;
        // Under the VMA lock alone: the fixture holds mmap_lock for reading, so the trylock for
        // reading succeeds.
        assert!(zap(map, 0, 256, DONTNEED | VMA_LOCK)? == Outcome::Freed);
        let map = Mapping::new(1)?;
        map.split(0, 0, 1)?;
        map.put(0, 1, 1)?;
        map.zap(0, 1, 1)?;
        assert!(zap(map, 1, 511, DONTNEED | MMAP_LOCK)? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn a_table_filled_again_is_left_for_a_while() -> Result {
        set_refill_interval(u64::from(u32::MAX >> 10));
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let first = zap(map, 0, 1, DONTNEED | VMA_LOCK);
        map.make_empty(0)?;
        let second = zap(map, 0, 1, DONTNEED | VMA_LOCK);
        let known = zap(map, 0, PTRS_PER_PTE, DONTNEED | VMA_LOCK | EMPTY);
        set_refill_interval(0);
        let third = zap(map, 0, 1, DONTNEED | VMA_LOCK);
        set_refill_interval(hook::refill_jiffies());
        assert!(first? == Outcome::Freed);
        assert!(second? == Outcome::Refilled);
        assert!(known? == Outcome::Refilled);
        assert!(third? == Outcome::Freed);
        Ok(())
    }

    #[test]
    fn a_taken_pmd_lock_is_not_waited_for() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let flags = DONTNEED | VMA_LOCK;
        let verdict = map.zapped(0, 0, 1, flags, PmdLockIs::Taken, zap_end)?;
        assert!(verdict == Verdict::Retry);
        Ok(())
    }

    #[test]
    fn another_abi_is_refused() -> Result {
        assert!(register(hook::ABI + 1) == Err(Error::from_errno(-71)));
        Ok(())
    }
}

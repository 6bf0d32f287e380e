// SPDX-License-Identifier: GPL-2.0

//! The typed page tables, along the way of a scan: find, lock, prove empty, unlink, flush, free.

use kernel::prelude::*;

#[kunit_tests(ptreclaim_pgtable)]
mod tests {
    use super::*;
    use crate::{
        outcome::Outcome,
        pgtable::{
            batch::{
                UnlinkedBatch,
                BATCH, //
            },
            cover::Cover,
            pte::PteValue,
            slot::PmdSlot,
            PTRS_PER_PTE,
        },
        sys::testing::{
            flushes,
            mm,
            page_tables,
            Kind,
            Mapping, //
        },
    };
    /// The first entry found in the table, as its index and why it keeps the table.
    fn occupied(map: Mapping, table: usize) -> Result<Option<(usize, Outcome)>> {
        let mm = mm()?;
        let cover = Cover::mmap(mm);
        let slot = PmdSlot::new(&cover, map.addr(table, 0)).ok_or(ENOENT)?;
        let found = slot.table(0).ok_or(ENOENT)?.empty().err();
        Ok(found.map(|(index, pte): (usize, PteValue)| (index, pte.why_kept())))
    }

    /// Frees up to `tables` empty tables from `first` on; returns how many.
    fn free(map: Mapping, first: usize, tables: usize) -> Result<usize> {
        let mm = mm()?;
        let cover = Cover::mmap(mm);
        let slot = PmdSlot::new(&cover, map.addr(first, 0)).ok_or(ENOENT)?;
        let mut batch = UnlinkedBatch::new(slot.pmd_lock());
        for table in (0..tables).filter_map(|nth| slot.table(nth)).take(BATCH) {
            if let Ok(empty) = table.empty() {
                batch.add(empty.unlink());
            }
        }
        Ok(batch.flush().defer_free(mm))
    }

    #[test]
    fn finds_the_first_occupied_entry() -> Result {
        let map = Mapping::new(1)?;
        for index in [0, 1, 7, 8, 9, 255, 256, 504, 510, PTRS_PER_PTE - 1] {
            map.put(0, index, 1)?;
            assert!(occupied(map, 0)? == Some((index, Outcome::Present)));
            map.zap(0, index, 1)?;
            assert!(occupied(map, 0)?.is_none());
        }
        Ok(())
    }

    #[test]
    fn names_what_it_finds() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        for (kind, why) in [
            (Kind::Swap, Outcome::Swap),
            (Kind::Marker, Outcome::Markers),
            (Kind::Migration, Outcome::Migration),
        ] {
            map.set_pte(0, 300, kind)?;
            let found = occupied(map, 0);
            map.set_pte(0, 300, Kind::None)?;
            assert!(found? == Some((300, why)));
        }
        Ok(())
    }

    #[test]
    fn a_hole_has_no_table() -> Result {
        let map = Mapping::new(2)?;
        map.make_empty(0)?;
        let mm = mm()?;
        let cover = Cover::mmap(mm);
        let slot = PmdSlot::new(&cover, map.addr(0, 0)).ok_or(ENOENT)?;
        assert!(slot.table(0).is_some());
        assert!(slot.table(1).is_none());
        // Beyond the PMD table, whose lock is the one held.
        assert!(slot.table(PTRS_PER_PTE).is_none());
        assert!(slot.table(usize::MAX).is_none());
        Ok(())
    }

    #[test]
    fn an_empty_table_is_freed_and_comes_back() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let tables = page_tables();
        let flushed = flushes();
        assert_eq!(free(map, 0, 1)?, 1);
        assert_eq!(page_tables(), tables - 1);
        assert_eq!(flushes(), flushed + 1);
        assert_eq!(free(map, 0, 1)?, 0);

        assert_eq!(map.get(0, 0)?, 0);
        map.put(0, 5, 7)?;
        assert_eq!(map.get(0, 5)?, 7);
        assert_eq!(page_tables(), tables);
        Ok(())
    }

    #[test]
    fn one_flush_serves_a_batch() -> Result {
        let map = Mapping::new(BATCH + 1)?;
        for table in 0..=BATCH {
            map.make_empty(table)?;
        }
        // The mapping may cross into the next PMD table: then there are two batches.
        let tables = page_tables();
        let flushed = flushes();
        let mut freed = free(map, 0, BATCH + 1)?;
        let mut batches = 1;
        while freed <= BATCH {
            freed += free(map, freed, BATCH + 1)?;
            batches += 1;
        }
        assert_eq!(freed, BATCH + 1);
        assert!(batches <= 3);
        assert_eq!(flushes(), flushed + batches);
        assert_eq!(page_tables(), tables - freed);
        Ok(())
    }

    #[test]
    fn a_walker_keeps_the_table() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let tables = page_tables();
        let kept = map.with_walker(0, || {
            assert_eq!(free(map, 0, 1)?, 1);
            Ok(())
        })?;
        assert!(kept);
        assert_eq!(page_tables(), tables - 1);
        Ok(())
    }

    #[test]
    fn an_occupied_table_stays() -> Result {
        let map = Mapping::new(3)?;
        for table in 0..3 {
            map.make_empty(table)?;
        }
        map.put(1, 511, 9)?;
        let tables = page_tables();
        let flushed = flushes();
        let mut freed = 0;
        for table in 0..3 {
            freed += free(map, table, 1)?;
        }
        assert_eq!(freed, 2);
        assert_eq!(page_tables(), tables - 2);
        assert_eq!(flushes(), flushed + 2);
        assert_eq!(map.get(1, 511)?, 9);
        Ok(())
    }

    #[test]
    fn nothing_to_free_flushes_nothing() -> Result {
        let map = Mapping::new(1)?;
        map.put(0, 0, 1)?;
        let flushed = flushes();
        assert_eq!(free(map, 0, 1)?, 0);
        assert_eq!(flushes(), flushed);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Scans: what a look without locks finds, and what is freed of it.

use kernel::prelude::*;

#[kunit_tests(ptreclaim_sweep)]
mod tests {
    use super::*;
    use kernel::time::{
        Delta,
        Instant,
        Monotonic, //
    };

    use crate::{
        outcome::Outcome,
        pressure,
        scan::{
            found::Found,
            hints, scanner,
            sweep::{
                Age,
                Aim,
                Sweep, //
            },
        },
        sys::testing::{
            mm,
            page_tables,
            pause,
            Kind,
            Mapping, //
        },
    };

    /// Free at once whatever can be.
    const ALL: Aim = Aim {
        free: true,
        wait: true,
        at_least: 0,
        zero_pages: true,
        fullness: false,
        node: None,
        age: None,
        by: c"test",
    };
    const LOOK: Aim = Aim { free: false, ..ALL };

    /// Sweeps through the tables of the mapping.
    fn sweep(map: Mapping, tables: usize, aim: Aim) -> Result<Found> {
        let mut sweep = Sweep::new(mm()?, map.addr(0, 0), aim);
        let mut next = Some(map.addr(0, 0));
        while let Some(addr) = next {
            next = sweep.step(addr..map.addr(tables, 0));
        }
        Ok(sweep.finish())
    }

    #[test]
    fn sees_what_there_is() -> Result {
        let map = Mapping::new(5)?;
        map.make_empty(0)?;
        map.get(1, 7)?;
        map.put(2, 511, 1)?;
        map.put(3, 0, 1)?;
        map.put(3, 1, 1)?;
        let tables = page_tables();
        let found = sweep(
            map,
            5,
            Aim {
                fullness: true,
                ..LOOK
            },
        )?;
        assert_eq!(found.looked, 4);
        assert_eq!(found.empty, 1);
        assert_eq!(found.zero_only, 1);
        assert_eq!(found.kept(Outcome::Present), 2);
        assert_eq!(found.fullness, [1, 2, 1, 0, 0, 0, 0, 0]);
        assert_eq!(found.freed, 0);
        assert_eq!(page_tables(), tables);
        Ok(())
    }

    #[test]
    fn frees_what_is_empty_and_nothing_else() -> Result {
        let map = Mapping::new(70)?;
        for table in 0..70 {
            map.put(table, 3, 1)?;
        }
        for table in (0..70).filter(|table| table % 7 != 3) {
            map.zap(table, 3, 1)?;
        }
        let tables = page_tables();
        let found = sweep(map, 70, ALL)?;
        assert_eq!(found.freed, 60);
        assert_eq!(found.kept(Outcome::Present), 10);
        assert_eq!(page_tables(), tables - 60);
        for table in (0..70).filter(|table| table % 7 == 3) {
            assert_eq!(map.get(table, 3)?, 1);
        }
        assert_eq!(sweep(map, 70, ALL)?.freed, 0);
        Ok(())
    }

    #[test]
    fn keeps_what_has_an_entry() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        for (kind, why) in [
            (Kind::Swap, Outcome::Swap),
            (Kind::Marker, Outcome::Markers),
            (Kind::Migration, Outcome::Migration),
        ] {
            map.set_pte(0, 300, kind)?;
            let found = sweep(map, 1, ALL);
            map.set_pte(0, 300, Kind::None)?;
            let found = found?;
            assert_eq!(found.kept(why), 1);
            assert_eq!(found.freed, 0);
        }
        Ok(())
    }

    #[test]
    fn frees_tables_of_several_mappings() -> Result {
        let map = Mapping::new(3)?;
        for table in 0..3 {
            map.put(table, 0, 1)?;
        }
        // The one in the middle has three VMAs, which only `mmap_lock` covers together.
        map.split(1, 100, 5)?;
        for table in 0..3 {
            map.zap(table, 0, 1)?;
        }
        let tables = page_tables();
        let found = sweep(map, 3, Aim { wait: false, ..ALL })?;
        assert_eq!(found.freed, 3);
        assert_eq!(page_tables(), tables - 3);
        Ok(())
    }

    #[test]
    fn zero_pages_only_go_if_asked_for() -> Result {
        let map = Mapping::new(1)?;
        map.get(0, 0)?;
        map.get(0, 511)?;
        let found = sweep(
            map,
            1,
            Aim {
                zero_pages: false,
                ..ALL
            },
        )?;
        assert_eq!(found.kept(Outcome::ZeroPages), 1);
        assert_eq!(found.freed, 0);

        let tables = page_tables();
        let found = sweep(map, 1, ALL)?;
        assert_eq!(found.freed_zero, 1);
        assert_eq!(page_tables(), tables - 1);
        assert_eq!(map.get(0, 511)?, 0);

        // One page that is none of them, and all stay.
        map.put(0, 12, 5)?;
        assert_eq!(sweep(map, 1, ALL)?.freed, 0);
        assert_eq!(map.get(0, 12)?, 5);
        Ok(())
    }

    #[test]
    fn looks_at_the_range_only() -> Result {
        let map = Mapping::new(3)?;
        for table in 0..3 {
            map.make_empty(table)?;
        }
        let mut sweep = Sweep::new(mm()?, map.addr(1, 0), ALL);
        let mut next = Some(map.addr(1, 0));
        while let Some(addr) = next {
            next = sweep.step(addr..map.addr(1, 1));
        }
        let found = sweep.finish();
        assert_eq!(found.looked, 1);
        assert_eq!(found.freed, 1);
        Ok(())
    }

    #[test]
    fn other_nodes_are_left() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let node = |node| Aim {
            node: Some(node),
            ..ALL
        };
        assert_eq!(sweep(map, 1, node(999))?.freed, 0);
        assert_eq!(sweep(map, 1, node(0))?.freed, 1);
        Ok(())
    }

    #[test]
    fn a_table_must_be_empty_in_two_looks() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let age = |round, least| Aim {
            age: Some(Age {
                least,
                round,
                window: 0,
            }),
            ..ALL
        };
        let found = sweep(map, 1, age(10, 1))?;
        assert_eq!(found.kept(Outcome::Young), 1);
        assert_eq!(found.waiting, 1);
        pause(20);
        // Not the round after: it counts from here again.
        assert_eq!(sweep(map, 1, age(12, 1))?.freed, 0);
        pause(20);
        assert_eq!(sweep(map, 1, age(13, 1))?.freed, 1);

        map.make_empty(0)?;
        assert_eq!(sweep(map, 1, age(14, 0))?.freed, 1);
        Ok(())
    }

    #[test]
    fn what_comes_back_is_noticed_once() -> Result {
        let map = Mapping::new(1)?;
        map.make_empty(0)?;
        let watch = Aim {
            age: Some(Age {
                least: 0,
                round: 1,
                window: 1000,
            }),
            ..ALL
        };
        assert_eq!(sweep(map, 1, watch)?.freed, 1);
        assert_eq!(sweep(map, 1, watch)?.back, 0);
        map.put(0, 0, 1)?;
        assert_eq!(sweep(map, 1, watch)?.back, 1);
        assert_eq!(sweep(map, 1, watch)?.back, 0);
        Ok(())
    }

    #[test]
    fn fork_waits_for_who_replaces_an_entry() -> Result {
        let map = Mapping::new(2)?;
        map.put(0, 5, 1)?;
        assert!(!map.is_lost_by_fork(0, 5)?);
        map.make_empty(1)?;
        assert!(map.is_lost_by_fork(1, 5)?);
        Ok(())
    }

    #[test]
    fn the_scanner_comes_to_rest() -> Result {
        let map = Mapping::new(4)?;
        for table in 0..4 {
            map.make_empty(table)?;
        }
        let tables = page_tables();
        hints::hint(mm()?);
        let mut rounds = 0;
        while scanner::run() {
            pause(20);
            rounds += 1;
            assert!(rounds < 500);
        }
        assert!(page_tables() <= tables - 4);
        Ok(())
    }

    #[test]
    fn the_last_call_before_the_oom_killer_frees_at_once() -> Result {
        const MANY: usize = 100;
        let map = Mapping::new(MANY)?;
        for table in 0..2 {
            map.make_empty(table)?;
        }
        let tables = page_tables();
        assert_eq!(pressure::before_oom(), 0);
        assert_eq!(page_tables(), tables);
        // A slow CPU may take longer than the interval to make so many.
        for _ in 0..10 {
            for table in 0..MANY {
                map.make_empty(table)?;
            }
            let tables = page_tables();
            pause(1100);
            let asked = Instant::<Monotonic>::now();
            assert!(pressure::before_oom() >= MANY as u64);
            assert!(page_tables() <= tables - MANY);
            for table in 0..MANY {
                map.make_empty(table)?;
            }
            let again = pressure::before_oom();
            if asked.elapsed() < Delta::from_secs(1) {
                assert_eq!(again, 0);
                return Ok(());
            }
        }
        Err(ETIMEDOUT)
    }
}

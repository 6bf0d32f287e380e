// SPDX-License-Identifier: GPL-2.0

//! `flush_tlb_before_set_pmd()` of the patch series: nothing is installed over a none pmd while a
//! flush is pending.

use kernel::prelude::*;

#[kunit_tests(ptreclaim_shim)]
mod tests {
    use super::*;
    use crate::sys::testing::{
        flushes,
        with_flush_pending,
        Mapping, //
    };

    /// How many flushes `f` causes while a flush is pending, and while none is.
    fn flushes_in(f: impl Fn(Mapping) -> Result, huge: bool) -> Result<(u64, u64)> {
        let count = |pending: bool| -> Result<u64> {
            let map = Mapping::new(1)?;
            if huge {
                map.want_huge()?;
            }
            // The PMD table is there already: only the pmd is filled.
            let before = flushes();
            if pending {
                with_flush_pending(|| f(map))?;
            } else {
                f(map)?;
            }
            Ok(flushes() - before)
        };
        Ok((count(true)?, count(false)?))
    }

    #[test]
    fn before_a_pte_table() -> Result {
        assert!(flushes_in(|map| map.put(0, 0, 1), false)? == (1, 0));
        Ok(())
    }

    #[test]
    fn before_a_huge_page() -> Result {
        let fill = |map: Mapping| {
            map.put(0, 0, 1)?;
            map.put(0, 511, 1)
        };
        assert!(flushes_in(fill, true)? == (1, 0));
        Ok(())
    }

    #[test]
    fn before_the_huge_zero_page() -> Result {
        assert!(flushes_in(|map| map.get(0, 3).map(|_| ()), true)? == (1, 0));
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Frees the tables of processes, with whatever device.

use crate::{
    device::{self, Device},
    error::{Error, Result},
    interrupt::Interrupt,
    process::Pid,
    slices::Slice,
    uapi::{Counts, Request},
};
use std::io;

/// How a process was left.
#[derive(Debug)]
pub struct Done {
    pub counts: Counts,
    /// What ended it early; the counts are of what was done before.
    pub ended_by: Option<Error>,
}

/// Looks at one process, slice by slice, until it is done or `interrupt` comes. `each` is told
/// about what has been counted so far.
pub fn reclaim(
    device: &dyn Device,
    pid: Pid,
    slices: &[Slice],
    flags: u32,
    interrupt: &Interrupt,
    mut each: impl FnMut(&Counts),
) -> Result<Done> {
    let target = device.target(pid).map_err(|e| device::explain(pid, e))?;
    let mut counts = Counts::default();
    for slice in slices {
        let mut left = Some(Request::new(flags, slice.start, slice.len));
        while let Some(mut request) = left {
            if interrupt.came() {
                let ended_by = Some(Error::Interrupted);
                return Ok(Done { counts, ended_by });
            }
            let ran = target.run(&mut request);
            counts += request.counts();
            each(&counts);
            left = match ran {
                Ok(()) => None,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => request.rest(),
                Err(e) => {
                    let ended_by = Some(device::explain(pid, e));
                    return Ok(Done { counts, ended_by });
                }
            };
        }
    }
    Ok(Done {
        counts,
        ended_by: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::fake::FakeDevice,
        maps::Vma,
        slices::slices,
        tables::{State, TABLE_BYTES, TableIndex, TableMap, tests::any_map},
        uapi::{DRY_RUN, ZERO_PAGES},
    };
    use proptest::prelude::*;

    fn pid() -> Pid {
        Pid::new(7).unwrap()
    }

    const ALL: [Slice; 1] = [Slice { start: 0, len: 0 }];

    fn mixed() -> TableMap {
        let states = [State::Empty, State::ZeroOnly, State::Used(9), State::Empty];
        let numbered = states.into_iter().enumerate();
        numbered
            .map(|(i, state)| (TableIndex(i as u64), state))
            .collect()
    }

    fn run(device: &FakeDevice, flags: u32) -> Done {
        reclaim(device, pid(), &ALL, flags, &Interrupt::default(), |_| {}).unwrap()
    }

    #[test]
    fn empty_tables_are_freed() {
        let device = FakeDevice::default().with(pid(), mixed());
        let done = run(&device, 0);
        assert_eq!((done.counts.tables, done.counts.freed), (4, 2));
        assert_eq!(device.tables(pid()).counts().empty, 0);
        assert_eq!(run(&device, ZERO_PAGES).counts.freed, 1);
        assert_eq!(device.tables(pid()).counts().tables(), 1);
    }

    #[test]
    fn a_dry_run_frees_nothing() {
        let device = FakeDevice::default().with(pid(), mixed());
        let done = run(&device, DRY_RUN);
        assert_eq!((done.counts.freed, done.counts.freeable()), (0, 2));
        assert_eq!(device.tables(pid()), mixed());
    }

    #[test]
    fn signals_that_are_no_ctrl_c_end_nothing() {
        let mut device = FakeDevice::default().with(pid(), mixed());
        device.interrupt_after = Some(1);
        let done = run(&device, 0);
        assert!(done.ended_by.is_none());
        assert_eq!((done.counts.tables, done.counts.freed), (4, 2));
    }

    #[test]
    fn ctrl_c_leaves_the_rest() {
        let mut device = FakeDevice::default().with(pid(), mixed());
        device.interrupt_after = Some(1);
        let interrupt = Interrupt::default();
        let raise = |_: &Counts| interrupt.raise();
        let done = reclaim(&device, pid(), &ALL, 0, &interrupt, raise).unwrap();
        assert!(matches!(done.ended_by, Some(Error::Interrupted)));
        assert_eq!((done.counts.tables, done.counts.freed), (1, 1));
        assert_eq!(device.tables(pid()).counts().empty, 1);
    }

    #[test]
    fn errors_are_named() {
        let refusing = FakeDevice::default().with(pid(), mixed()).refusing(pid());
        let ended_by = run(&refusing, 0).ended_by;
        assert!(matches!(ended_by, Some(Error::NotPermitted(_))));
        let gone = reclaim(
            &FakeDevice::default(),
            pid(),
            &ALL,
            0,
            &Interrupt::default(),
            |_| {},
        );
        assert!(matches!(gone, Err(Error::Gone(_))));
    }

    proptest! {
        /// However it is cut, and however often a signal comes: every table once.
        #[test]
        fn every_table_is_looked_at_once(
            map in any_map(), most in 1u64..5000, signal in proptest::option::of(1u64..50),
        ) {
            let before = map.counts();
            let tables = map.iter().map(|(index, _)| index);
            let vmas: Vec<Vma> = tables.map(|index| Vma {
                range: index.address()..index.address() + TABLE_BYTES,
                has_file: false,
                name: String::new(),
            }).collect();
            let cut = slices(&vmas, most * TABLE_BYTES);
            let mut device = FakeDevice::default().with(pid(), map);
            device.interrupt_after = signal;
            let done = reclaim(&device, pid(), &cut, 0, &Interrupt::default(), |_| {}).unwrap();
            prop_assert_eq!(done.counts.tables, before.tables());
            prop_assert_eq!(done.counts.freed, before.empty);
            prop_assert_eq!(done.counts.kept_all(), before.used + before.zero_only);
        }
    }
}

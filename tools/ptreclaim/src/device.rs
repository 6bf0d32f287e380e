// SPDX-License-Identifier: GPL-2.0

//! /dev/ptreclaim, behind traits: tests have one of their own.

use crate::{
    error::{Error, Result},
    process::Pid,
    sys,
    uapi::Request,
};
use rustix::{
    fd::{AsRawFd, OwnedFd},
    process::{PidfdFlags, pidfd_open},
};
use std::{fs::File, io};

const PATH: &str = "/dev/ptreclaim";

/// Looks for page tables that map nothing, and frees them.
pub trait Device {
    /// Takes hold of a process: from then on its id means no other.
    fn target(&self, pid: Pid) -> io::Result<Box<dyn Target + '_>>;
}

/// A process, seen by a device.
pub trait Target {
    /// Carries out one request. What was counted is in it, also after an error.
    fn run(&self, request: &mut Request) -> io::Result<()>;
}

/// The module's device.
#[derive(Debug)]
pub struct ModuleDevice(File);

impl ModuleDevice {
    pub fn open() -> Result<Self> {
        // ENODEV and ENXIO: a node that was left behind.
        const ENXIO: i32 = 6;
        const ENODEV: i32 = 19;
        let error = match File::options().read(true).write(true).open(PATH) {
            Ok(file) => return Ok(Self(file)),
            Err(error) => error,
        };
        Err(match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(ENXIO | ENODEV)) => Error::NotLoaded,
            (io::ErrorKind::PermissionDenied, _) => Error::NotPermitted(format!("open {PATH}")),
            _ => Error::Io(PATH.into(), error),
        })
    }
}

impl Device for ModuleDevice {
    fn target(&self, pid: Pid) -> io::Result<Box<dyn Target + '_>> {
        let pid = pid.as_rustix().ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Box::new(ModuleTarget {
            device: &self.0,
            pidfd,
        }))
    }
}

struct ModuleTarget<'a> {
    device: &'a File,
    pidfd: OwnedFd,
}

impl Target for ModuleTarget<'_> {
    fn run(&self, request: &mut Request) -> io::Result<()> {
        sys::reclaim(self.device, request.of(self.pidfd.as_raw_fd()))?;
        Ok(())
    }
}

/// What an error of the device means for this process.
pub fn explain(pid: Pid, error: io::Error) -> Error {
    const ESRCH: i32 = 3;
    const E2BIG: i32 = 7;
    const EINVAL: i32 = 22;
    const ENOTTY: i32 = 25;
    match error.raw_os_error() {
        Some(ESRCH) => Error::Gone(pid),
        Some(E2BIG | EINVAL | ENOTTY) => Error::Unsupported(format!(
            "{PATH} does not understand the request ({error}): the module and this program are \
             of different versions"
        )),
        _ if error.kind() == io::ErrorKind::PermissionDenied => {
            Error::NotPermitted(format!("look at the page tables of process {pid}"))
        }
        _ => Error::Io(PATH.into(), error),
    }
}

#[cfg(test)]
pub mod fake {
    //! A device whose processes are lists of tables.

    use super::*;
    use crate::{
        tables::{State, TableIndex, TableMap},
        uapi::{self, Counts},
    };
    use std::{cell::RefCell, collections::BTreeMap};

    #[derive(Default)]
    pub struct FakeDevice {
        processes: BTreeMap<Pid, RefCell<TableMap>>,
        refused: Vec<Pid>,
        /// A signal comes after so many tables, each time.
        pub interrupt_after: Option<u64>,
    }

    impl FakeDevice {
        pub fn with(mut self, pid: Pid, tables: TableMap) -> Self {
            self.processes.insert(pid, RefCell::new(tables));
            self
        }

        pub fn refusing(mut self, pid: Pid) -> Self {
            self.refused.push(pid);
            self
        }

        pub fn tables(&self, pid: Pid) -> TableMap {
            self.processes[&pid].borrow().clone()
        }
    }

    impl Device for FakeDevice {
        fn target(&self, pid: Pid) -> io::Result<Box<dyn Target + '_>> {
            let tables = self.processes.get(&pid);
            let tables = tables.ok_or_else(|| io::Error::from_raw_os_error(3))?;
            Ok(Box::new(FakeTarget {
                tables,
                refused: self.refused.contains(&pid),
                interrupt_after: self.interrupt_after,
            }))
        }
    }

    struct FakeTarget<'a> {
        tables: &'a RefCell<TableMap>,
        refused: bool,
        interrupt_after: Option<u64>,
    }

    impl Target for FakeTarget<'_> {
        fn run(&self, request: &mut Request) -> io::Result<()> {
            if self.refused {
                return Err(io::Error::from_raw_os_error(1));
            }
            let mut counts = Counts::default();
            let mut left = Vec::new();
            let mut stopped = None;
            let range = request.range();
            for (index, state) in self.tables.borrow().iter() {
                let asked = range.contains(&index.address()) && stopped.is_none();
                if asked && self.interrupt_after == Some(counts.tables) {
                    stopped = Some(index);
                }
                let freed = asked && stopped.is_none() && look(state, request.flags(), &mut counts);
                if !freed {
                    left.push((index, state));
                }
            }
            *self.tables.borrow_mut() = left.into_iter().collect();
            request.answer(stopped.map_or(range.end, TableIndex::address), counts);
            match stopped {
                Some(_) => Err(io::Error::from_raw_os_error(4)),
                None => Ok(()),
            }
        }
    }

    /// Counts the table, and says whether it is freed.
    fn look(state: State, flags: u32, counts: &mut Counts) -> bool {
        let entries = match state {
            State::Huge { .. } => return false,
            State::Empty => 0,
            State::ZeroOnly => 1,
            State::Used(entries) => entries,
        };
        counts.tables += 1;
        counts.empty += u64::from(state == State::Empty);
        counts.zero_only += u64::from(state == State::ZeroOnly);
        if flags & uapi::FULLNESS != 0 {
            counts.fullness[uapi::fullness_class(entries)] += 1;
        }
        let reason = match state {
            State::Used(_) => Some(0),
            State::ZeroOnly if flags & uapi::ZERO_PAGES == 0 => Some(6),
            _ => None,
        };
        if let Some(reason) = reason {
            counts.kept[reason] += 1;
        }
        let freed = reason.is_none() && flags & uapi::DRY_RUN == 0;
        counts.freed += u64::from(freed);
        freed
    }
}

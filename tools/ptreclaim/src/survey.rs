// SPDX-License-Identifier: GPL-2.0

//! What one process has, and what of it could be freed: told by the module, or estimated.

use crate::{
    device::{self, Device, ModuleDevice},
    error::{Error, Result},
    maps::Vma,
    pagemap::{self, Method},
    process::{Pid, ProcFs, Process},
    tables::{TableCounts, TableMap},
    uapi::{self, Counts, Request},
    units::Kib,
};
use serde::Serialize;

/// Where the numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A dry run of the module: exact.
    Module,
    /// `PAGEMAP_SCAN`: an estimate, of tables that were seen.
    Scan,
    /// VmPTE less what is needed: an estimate.
    Vmpte,
}

impl Source {
    /// Said below every table of numbers.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Module => "Exact: the module looked at every table.",
            Self::Scan => {
                "An estimate, by what PAGEMAP_SCAN shows of PTE tables. PMD and PUD tables are \
                 not among them."
            }
            Self::Vmpte => {
                "An estimate: VmPTE less the tables that /proc/PID/pagemap shows to be needed, \
                 and less the fewest PMD and PUD tables that these need. This kernel does not \
                 show which tables are empty."
            }
        }
    }
}

/// The numbers of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    pub pid: Pid,
    pub name: String,
    pub command: String,
    pub source: Source,
    pub vmpte_kib: Kib,
    /// PTE tables, without those that wait behind huge pages.
    pub tables: u64,
    pub empty: u64,
    /// Not known of old kernels.
    pub zero_only: Option<u64>,
    pub reclaimable_kib: Kib,
}

/// Tables as far as they can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    tables: u64,
    empty: u64,
    zero_only: Option<u64>,
}

/// What follows from the tables seen and VmPTE, which was read at another moment.
fn estimate(vmpte: Kib, counts: &TableCounts, method: Method) -> Figures {
    let spare = (vmpte - counts.needed()).tables();
    match method {
        Method::Scan => {
            // Where userfaultfd write-protects, Linux 7.2 reports holes like empty tables.
            let empty = counts.empty.min(spare);
            Figures {
                tables: counts.tables() - counts.empty + empty,
                empty,
                zero_only: Some(counts.zero_only),
            }
        }
        Method::Read => Figures {
            tables: counts.tables() + spare,
            empty: spare,
            zero_only: None,
        },
    }
}

/// What `/proc` shows of the tables of one process.
pub struct Seen {
    pub vmas: Vec<Vma>,
    pub map: TableMap,
    pub method: Method,
}

/// Looks at processes.
pub struct Surveyor {
    pub proc: ProcFs,
    device: Option<Box<dyn Device>>,
    why_no_device: Option<Error>,
}

impl Surveyor {
    /// With the module, if it is there.
    pub fn new() -> Self {
        let (device, why_no_device) = match ModuleDevice::open() {
            Ok(device) => (Some(Box::new(device) as Box<dyn Device>), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            proc: ProcFs::default(),
            device,
            why_no_device,
        }
    }

    /// Why there are only estimates.
    pub fn why_estimates(&self) -> Option<String> {
        self.why_no_device.as_ref().map(|error| match error {
            Error::NotLoaded => "The module is not loaded.".into(),
            error => format!("The module was not asked: {error}."),
        })
    }

    /// The numbers of a process.
    pub fn survey(&self, pid: Pid) -> Result<Survey> {
        let process = self.proc.process(pid)?;
        match self.exact(pid, uapi::DRY_RUN)? {
            Some(counts) => Ok(self.of_counts(&process, &counts)),
            None => self.estimated(&process, &self.see(pid)?),
        }
    }

    /// What a dry run counts; nothing without the module, or if it refuses.
    pub fn exact(&self, pid: Pid, flags: u32) -> Result<Option<Counts>> {
        let Some(device) = &self.device else {
            return Ok(None);
        };
        match dry_run(device.as_ref(), pid, flags) {
            Err(Error::NotPermitted(_)) => Ok(None),
            counts => counts.map(Some),
        }
    }

    /// What /proc shows of its tables.
    pub fn see(&self, pid: Pid) -> Result<Seen> {
        let vmas = self.proc.maps(pid)?;
        let (map, method) = pagemap::tables(&self.proc, pid, &vmas)?;
        Ok(Seen { vmas, map, method })
    }

    pub fn of_counts(&self, process: &Process, counts: &Counts) -> Survey {
        let figures = Figures {
            tables: counts.tables,
            empty: counts.empty,
            zero_only: Some(counts.zero_only),
        };
        self.report(process, Source::Module, figures)
    }

    pub fn estimated(&self, process: &Process, seen: &Seen) -> Result<Survey> {
        // Now, since VmPTE grows while one looks; and a process that ended shows nothing at all.
        let process = match self.proc.process(process.pid) {
            Err(Error::NoSuchProcess(pid)) => Err(Error::Gone(pid)),
            now => now,
        }?;
        let figures = estimate(process.vmpte, &seen.map.counts(), seen.method);
        let source = match seen.method {
            Method::Scan => Source::Scan,
            Method::Read => Source::Vmpte,
        };
        Ok(self.report(&process, source, figures))
    }

    fn report(&self, process: &Process, source: Source, figures: Figures) -> Survey {
        Survey {
            pid: process.pid,
            name: process.name.clone(),
            command: self.proc.command(process),
            source,
            vmpte_kib: process.vmpte,
            tables: figures.tables,
            empty: figures.empty,
            zero_only: figures.zero_only,
            reclaimable_kib: Kib::of_tables(figures.empty),
        }
    }
}

fn dry_run(device: &dyn Device, pid: Pid, flags: u32) -> Result<Counts> {
    let explained = |error| device::explain(pid, error);
    let target = device.target(pid).map_err(explained)?;
    let mut request = Request::new(flags, 0, 0);
    let mut counts = Counts::default();
    loop {
        let ran = target.run(&mut request);
        counts += request.counts();
        match ran {
            Ok(()) => return Ok(counts),
            // Such as the terminal's size changing: on with the rest.
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => match request.rest() {
                Some(rest) => request = rest,
                None => return Ok(counts),
            },
            Err(e) => return Err(explained(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::fake::FakeDevice,
        tables::{State, TableIndex, tests::any_map},
    };
    use proptest::prelude::*;

    fn pid() -> Pid {
        Pid::new(7).unwrap()
    }

    fn states(states: &[State]) -> TableMap {
        let numbered = states.iter().enumerate();
        numbered
            .map(|(i, state)| (TableIndex(i as u64), *state))
            .collect()
    }

    #[test]
    fn the_module_is_believed() {
        let map = states(&[State::Empty, State::ZeroOnly, State::Used(3), State::Empty]);
        let surveyor = Surveyor {
            proc: ProcFs::default(),
            device: Some(Box::new(FakeDevice::default().with(pid(), map))),
            why_no_device: None,
        };
        let counts = surveyor.exact(pid(), uapi::DRY_RUN).unwrap().unwrap();
        assert_eq!((counts.tables, counts.empty, counts.zero_only), (4, 2, 1));
        assert_eq!(counts.fullness, [0; 8]);
        let own = ProcFs::default();
        let process = own.process(Pid::new(std::process::id()).unwrap()).unwrap();
        let survey = surveyor.of_counts(&process, &counts);
        assert_eq!(survey.source, Source::Module);
        assert_eq!(survey.reclaimable_kib, Kib(8));
    }

    #[test]
    fn a_refused_process_is_estimated_and_one_that_ended_is_not() {
        let device = FakeDevice::default()
            .with(pid(), states(&[]))
            .refusing(pid());
        let surveyor = Surveyor {
            proc: ProcFs::default(),
            device: Some(Box::new(device)),
            why_no_device: None,
        };
        assert!(surveyor.exact(pid(), uapi::DRY_RUN).unwrap().is_none());
        let other = Pid::new(8).unwrap();
        assert!(matches!(
            surveyor.exact(other, uapi::DRY_RUN),
            Err(Error::Gone(_))
        ));
    }

    #[test]
    fn a_dry_run_goes_on_after_signals() {
        let map = states(&[State::Empty; 10]);
        let mut device = FakeDevice::default().with(pid(), map);
        device.interrupt_after = Some(3);
        let counts = dry_run(&device, pid(), uapi::DRY_RUN | uapi::FULLNESS).unwrap();
        assert_eq!((counts.tables, counts.fullness[0]), (10, 10));
    }

    proptest! {
        /// The two ways to estimate agree where there is nothing else in VmPTE.
        #[test]
        fn estimates_are_what_is_there(map in any_map(), spare_upper in 0u64..5) {
            let counts = map.counts();
            let vmpte = Kib::of_tables(counts.seen() + spare_upper);
            let scanned = estimate(vmpte, &counts, Method::Scan);
            prop_assert_eq!(scanned.empty, counts.empty);
            prop_assert_eq!(scanned.tables, counts.tables());
            let unseen = TableCounts { empty: 0, ..counts };
            let read = estimate(vmpte, &unseen, Method::Read);
            prop_assert_eq!(read.empty, counts.empty + spare_upper);
        }

        /// However old VmPTE is, no more is said to be free than it has.
        #[test]
        fn estimates_are_never_above_vmpte(map in any_map(), vmpte in 0u64..10_000) {
            let counts = map.counts();
            for method in [Method::Scan, Method::Read] {
                let figures = estimate(Kib(vmpte), &counts, method);
                prop_assert!(Kib::of_tables(figures.empty) <= Kib(vmpte));
                prop_assert!(figures.empty <= figures.tables);
            }
        }
    }
}

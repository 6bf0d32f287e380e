// SPDX-License-Identifier: GPL-2.0

//! Processes, as /proc shows them.

use crate::{
    error::{Error, Result},
    units::Kib,
};
use serde::Serialize;
use std::{fmt, fs, io, path::PathBuf, str::FromStr};

/// The id of a process: not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pid(u32);

impl Pid {
    pub fn new(pid: u32) -> Option<Self> {
        (pid != 0 && i32::try_from(pid).is_ok()).then_some(Self(pid))
    }

    pub fn as_rustix(self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(self.0.try_into().ok()?)
    }
}

impl FromStr for Pid {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = text.parse().map_err(|_| "not a process id".to_owned())?;
        Self::new(number).ok_or_else(|| "not a process id".to_owned())
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A process that has page tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    /// As the kernel has it, of at most 15 bytes.
    pub name: String,
    /// Page tables of all levels.
    pub vmpte: Kib,
}

/// What is of interest in /proc/PID/status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub name: String,
    pub tgid: Option<u32>,
    pub ended: bool,
    /// Since Linux 6.6.
    pub kernel_thread: Option<bool>,
    /// Only processes that have an address space have this line.
    pub vmpte: Option<Kib>,
}

pub fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Name" => status.name = printable(value),
            "State" => status.ended = value.starts_with(['Z', 'X']),
            "Tgid" => status.tgid = value.parse().ok(),
            "Kthread" => status.kernel_thread = Some(value == "1"),
            "VmPTE" => status.vmpte = parse_kib(value),
            _ => {}
        }
    }
    status
}

/// `12 kB`.
pub fn parse_kib(text: &str) -> Option<Kib> {
    let number = text.trim().strip_suffix("kB")?.trim_end();
    number.parse().ok().map(Kib)
}

/// Names come from programs: no escape sequence is to reach the terminal.
pub fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

/// Whether /proc/PID/stat has `PF_KTHREAD` among its flags.
pub fn stat_is_kernel_thread(stat: &str) -> bool {
    const PF_KTHREAD: u32 = 0x0020_0000;
    // The name is in parentheses and may have any character; the flags are the 7th field after it.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let flags = after_name.split_ascii_whitespace().nth(6);
    flags
        .and_then(|flags| flags.parse::<u32>().ok())
        .is_some_and(|flags| flags & PF_KTHREAD != 0)
}

/// The folder /proc.
#[derive(Clone, Debug)]
pub struct ProcFs {
    root: PathBuf,
}

impl Default for ProcFs {
    fn default() -> Self {
        Self::new("/proc")
    }
}

impl ProcFs {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn path(&self, pid: Pid, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    /// The ids of all processes.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        let entries =
            fs::read_dir(&self.root).map_err(|e| Error::Io(self.root.display().to_string(), e))?;
        let mut pids: Vec<Pid> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// The process, if it is one and has page tables.
    pub fn process(&self, pid: Pid) -> Result<Process> {
        let status = match fs::read(self.path(pid, "status")) {
            Ok(bytes) => parse_status(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoSuchProcess(pid));
            }
            Err(error) => return Err(Error::reading(pid, "status", error)),
        };
        match status.tgid.and_then(Pid::new) {
            Some(tgid) if tgid != pid => return Err(Error::Thread(pid, tgid)),
            _ => {}
        }
        if status.ended {
            return Err(Error::Gone(pid));
        }
        // A kernel thread may use the address space of a process for a while.
        if status
            .kernel_thread
            .unwrap_or_else(|| self.is_kernel_thread(pid))
        {
            return Err(Error::KernelThread(pid));
        }
        let Some(vmpte) = status.vmpte else {
            return Err(self.without_vmpte(pid));
        };
        Ok(Process {
            pid,
            name: status.name,
            vmpte,
        })
    }

    /// The command line, or the name where there is none.
    pub fn command(&self, process: &Process) -> String {
        let bytes = fs::read(self.path(process.pid, "cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        match printable(text.trim()) {
            empty if empty.is_empty() => format!("[{}]", process.name),
            command => command,
        }
    }

    fn is_kernel_thread(&self, pid: Pid) -> bool {
        fs::read(self.path(pid, "stat"))
            .is_ok_and(|stat| stat_is_kernel_thread(&String::from_utf8_lossy(&stat)))
    }

    /// Either it has just given back its address space, or this /proc never tells.
    fn without_vmpte(&self, pid: Pid) -> Error {
        let own = fs::read_to_string(self.root.join("self/status")).unwrap_or_default();
        if parse_status(&own).vmpte.is_some() {
            Error::Gone(pid)
        } else {
            Error::Unsupported(
                "/proc/PID/status has no VmPTE here: not Linux's own /proc, or built without it"
                    .into(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATUS: &str = "Name:\tjava\nState:\tS (sleeping)\nTgid:\t7\nKthread:\t0\n\
        VmPTE:\t    1724 kB\nVmSwap:\t 0 kB\n";

    fn proc_with(status: &str) -> (tempfile::TempDir, ProcFs) {
        let root = tempfile::tempdir().unwrap();
        for folder in ["7", "self"] {
            fs::create_dir(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("status"), status).unwrap();
        }
        let proc = ProcFs::new(root.path());
        (root, proc)
    }

    #[test]
    fn a_process_is_read() {
        let (_root, proc) = proc_with(STATUS);
        let process = proc.process(Pid(7)).unwrap();
        assert_eq!((process.name.as_str(), process.vmpte), ("java", Kib(1724)));
        assert_eq!(proc.pids().unwrap(), [Pid(7)]);
        assert_eq!(proc.command(&process), "[java]");
    }

    #[test]
    fn what_is_no_process_is_told_apart() {
        let of = |from, to| {
            let (_root, proc) = proc_with(&STATUS.replace(from, to));
            proc.process(Pid(7)).unwrap_err()
        };
        assert!(matches!(of("S (s", "Z (z"), Error::Gone(_)));
        assert!(matches!(
            of("Kthread:\t0", "Kthread:\t1"),
            Error::KernelThread(_)
        ));
        assert!(matches!(
            of("Tgid:\t7", "Tgid:\t6"),
            Error::Thread(_, Pid(6))
        ));
        assert!(matches!(of("VmPTE", "VmOther"), Error::Unsupported(_)));
        let (_root, proc) = proc_with(STATUS);
        assert!(matches!(
            proc.process(Pid(8)),
            Err(Error::NoSuchProcess(Pid(8)))
        ));
    }

    #[test]
    fn kernel_threads_of_older_kernels() {
        let stat = |flags: &str| format!("2 (a) b)) S 0 0 0 0 -1 {flags} 0 0");
        assert!(stat_is_kernel_thread(&stat("2129984")));
        assert!(!stat_is_kernel_thread(&stat("4194560")));
        assert!(!stat_is_kernel_thread(""));
    }

    #[test]
    fn ids() {
        assert_eq!("12".parse(), Ok(Pid(12)));
        for wrong in ["0", "-1", "x", "4294967295", ""] {
            assert!(wrong.parse::<Pid>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_status_is_too_odd(text in "(\\PC|\n|:|\t){0,200}") {
            let status = parse_status(&text);
            prop_assert!(!status.name.contains('\n'));
        }

        #[test]
        fn no_control_character_is_shown(text in "(?s).{0,50}") {
            prop_assert!(!printable(&text).contains(char::is_control));
        }
    }
}

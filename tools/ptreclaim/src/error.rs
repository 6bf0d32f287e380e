// SPDX-License-Identifier: GPL-2.0

//! What can go wrong, and the exit code of each.

use crate::process::Pid;
use std::io;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the module is not loaded: there is no /dev/ptreclaim ('modprobe ptreclaim'; \
         'ptreclaim top' and 'ptreclaim show' work without it)"
    )]
    NotLoaded,
    #[error("no permission to {0}")]
    NotPermitted(String),
    #[error("there is no process {0}")]
    NoSuchProcess(Pid),
    #[error("{0} is a thread of process {1}: page tables belong to the process")]
    Thread(Pid, Pid),
    #[error("process {0} ended meanwhile")]
    Gone(Pid),
    #[error("{0} is a kernel thread: it has no page tables of its own")]
    KernelThread(Pid),
    #[error("interrupted")]
    Interrupted,
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The exit codes, as the manual page has them.
pub const EXIT_CODES: [(&str, &str); 9] = [
    ("0", "Done."),
    ("1", "Another error."),
    ("2", "The command line was not understood."),
    ("3", "The module is not loaded."),
    (
        "4",
        "No permission: not root, or another user's process. With --all: for not one process.",
    ),
    ("5", "There is no such process."),
    ("6", "The process ended meanwhile."),
    ("7", "It is a kernel thread, which has no page tables."),
    (
        "130",
        "Interrupted by ctrl-C or SIGTERM; what was done so far was shown.",
    ),
];

impl Error {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unsupported(_) | Self::Io(..) | Self::Output(_) | Self::Json(_) => 1,
            Self::NotLoaded => 3,
            Self::NotPermitted(_) => 4,
            Self::NoSuchProcess(_) | Self::Thread(..) => 5,
            Self::Gone(_) => 6,
            Self::KernelThread(_) => 7,
            Self::Interrupted => 130,
        }
    }

    /// Whoever read our output went away, as `| head` does: nothing to complain about.
    pub fn is_closed_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Json(error) => error.io_error_kind() == Some(io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }

    /// A file of a process could not be read: by its error, what is the matter.
    pub fn reading(pid: Pid, file: &str, error: io::Error) -> Self {
        // ESRCH is what /proc says if the process ends while one of its files is open.
        const ESRCH: i32 = 3;
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Self::NotPermitted(format!("read /proc/{pid}/{file}"))
            }
            io::ErrorKind::NotFound => Self::Gone(pid),
            _ if error.raw_os_error() == Some(ESRCH) => Self::Gone(pid),
            _ => Self::Io(format!("/proc/{pid}/{file}"), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_documented() {
        let pid = Pid::new(1).unwrap();
        let errors = [
            Error::NotLoaded,
            Error::NotPermitted(String::new()),
            Error::NoSuchProcess(pid),
            Error::Thread(pid, pid),
            Error::Gone(pid),
            Error::KernelThread(pid),
            Error::Interrupted,
            Error::Unsupported(String::new()),
        ];
        for error in errors {
            let code = error.exit_code().to_string();
            assert!(EXIT_CODES.iter().any(|(known, _)| *known == code), "{code}");
        }
    }
}

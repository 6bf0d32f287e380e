// SPDX-License-Identifier: GPL-2.0

//! Runs the program, and a child whose page tables are known.
//!
//! The child is the test program itself, started anew for one test that is otherwise ignored.

#![allow(dead_code)] // each test program uses its part

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
    ptr::null_mut,
};

pub const MAPPED: usize = 64 << 20;
/// PTE tables that are left empty.
pub const EMPTY: u64 = (MAPPED >> 21) as u64;
const PIECE: usize = 64 << 10;
const PAGE: usize = 4096;

pub fn ptreclaim(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ptreclaim"));
    command.args(args).stdin(Stdio::null());
    command
}

pub fn run(args: &[&str]) -> Output {
    ptreclaim(args).output().expect("the program starts")
}

pub fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {errors}\nThis test needs Linux's own /proc: VmPTE in /proc/PID/status, and a \
         /proc/PID/pagemap that it may read.",
        output.status
    );
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub fn json(args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&stdout(&run(args))).expect("one JSON object")
}

/// The exit code, with a message that has all of `words`.
pub fn fails_with(args: &[&str], code: i32, words: &[&str]) {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    for word in words {
        assert!(errors.contains(word), "{args:?}: no '{word}' in: {errors}");
    }
}

/// A process with empty page tables, killed when this is dropped.
pub struct Leaver(Child);

impl Leaver {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("the test's own path");
        let mut child = Command::new(program)
            .args(["--exact", "leave_empty_tables", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.ends_with("ready"));
        assert!(ready, "the child ended before it had left its tables");
        Self(child)
    }

    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Leaver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child does: touches 64 MiB and gives them back in pieces of 64 KiB, which
/// `CONFIG_PT_RECLAIM` leaves alone. Ends with its standard input.
#[allow(unsafe_code)]
pub fn leave() {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // 2 MiB more, so that there is an aligned start.
    let len = MAPPED + (2 << 20);
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let mapped = unsafe { mmap_anonymous(null_mut(), len, protection, flags) }.expect("mmap");
    let start = mapped.map_addr(|address| address.next_multiple_of(2 << 20));
    // Huge pages would leave no table.
    // SAFETY: all of it is in the new mapping, which nothing else knows of.
    unsafe { madvise(start, MAPPED, Advice::LinuxNoHugepage) }.expect("MADV_NOHUGEPAGE");
    for at in (0..MAPPED).step_by(PAGE) {
        // SAFETY: as above.
        unsafe { start.cast::<u8>().add(at).write_volatile(1) };
    }
    for at in (0..MAPPED).step_by(PIECE) {
        // SAFETY: as above.
        unsafe { madvise(start.byte_add(at), PIECE, Advice::LinuxDontNeed) }.expect("madvise");
    }
    println!("ready");
    std::io::stdout().flush().expect("a pipe");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// About 32: the C library and the heap may leave one or two of their own.
pub fn assert_about_all(empty: Option<u64>, what: &str) {
    let empty = empty.unwrap_or_else(|| panic!("{what}: no number of empty tables"));
    assert!(
        (EMPTY..=EMPTY + 4).contains(&empty),
        "{what}: {empty} empty tables, and {EMPTY} were left"
    );
}

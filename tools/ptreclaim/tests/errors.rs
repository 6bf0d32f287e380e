// SPDX-License-Identifier: GPL-2.0

//! Each error has its exit code, and says what is wrong.

mod common;

use common::{fails_with, ptreclaim, run};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

const NOBODY: u32 = 65534;

fn has_module() -> bool {
    Path::new("/dev/ptreclaim").exists()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Above all ids that there may be.
fn no_process() -> String {
    let most = fs::read_to_string("/proc/sys/kernel/pid_max").expect("pid_max in /proc");
    (most.trim().parse::<u64>().expect("a number") + 1).to_string()
}

#[test]
fn no_such_process() {
    fails_with(&["show", &no_process()], 5, &["no process", &no_process()]);
}

#[test]
fn a_kernel_thread() {
    let status = fs::read_to_string("/proc/2/status").unwrap_or_default();
    assert!(
        status.contains("kthreadd"),
        "this test needs to see process 2, kthreadd: run it in the machine's first PID namespace"
    );
    fails_with(&["show", "2"], 7, &["kernel thread"]);
}

#[test]
fn a_process_that_has_ended() {
    let mut child = Command::new("true").spawn().expect("true starts");
    let pid = child.id().to_string();
    // It has ended when it is a zombie, which it is until it is waited for.
    let is_zombie = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains(") Z ")
    };
    while !is_zombie() {
        std::thread::yield_now();
    }
    fails_with(&["show", &pid], 6, &["ended"]);
    child.wait().expect("it ended");
}

#[test]
fn a_thread() {
    let (say, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        say.send(rustix::thread::gettid().as_raw_nonzero().to_string())
            .expect("told");
        let _ = ended.recv();
    });
    let own = std::process::id().to_string();
    fails_with(
        &["show", &told.recv().expect("an id")],
        5,
        &["thread of process", &own],
    );
    drop(end);
    thread.join().expect("it ends");
}

#[test]
fn another_user_s_process() {
    assert!(
        is_root(),
        "this test needs root, to be another user: run it as root, or with --skip another_user"
    );
    // Where nobody can get at it: not below a folder of root's.
    let folder = tempfile::Builder::new()
        .prefix("ptreclaim")
        .tempdir_in("/tmp")
        .expect("/tmp is writable");
    let program = folder.path().join("ptreclaim");
    // Not by this process: what a test beside starts meanwhile would inherit the file open for
    // writing, and such a file cannot be run.
    let copied = Command::new("cp")
        .args([Path::new(env!("CARGO_BIN_EXE_ptreclaim")), &program])
        .status();
    assert!(copied.expect("cp starts").success(), "copied");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), mode).expect("set");
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).stdin(Stdio::null()).current_dir("/");
        command.uid(NOBODY).gid(NOBODY).output().expect("starts")
    };
    let own = std::process::id().to_string();
    let show = as_nobody(&["show", &own]);
    let errors = String::from_utf8_lossy(&show.stderr);
    assert_eq!(show.status.code(), Some(4), "{errors}");
    assert!(errors.contains("no permission"), "{errors}");
    // What it may not look at it passes over, and says so.
    let top = as_nobody(&["top", "--json"]);
    let snapshot: serde_json::Value = serde_json::from_slice(&top.stdout).expect("an object");
    assert!(
        snapshot["skipped"]["permission"].as_u64() > Some(0),
        "{snapshot}"
    );
}

#[test]
fn no_module() {
    if has_module() {
        eprintln!("not looked at: there is a /dev/ptreclaim");
        return;
    }
    let own = std::process::id().to_string();
    fails_with(&["reclaim", &own], 3, &["not loaded", "/dev/ptreclaim"]);
    fails_with(&["reclaim", "--all", "--dry-run"], 3, &["not loaded"]);
    fails_with(&["stat"], 3, &["not loaded"]);
}

#[test]
fn stat_shows_the_system_all_the_same() {
    let output = run(&["stat", "--json"]);
    let stat: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(stat["loaded"], Path::new("/sys/module/ptreclaim").exists());
    assert!(
        stat["system"]["page_tables_kib"].as_u64() > Some(0),
        "{stat}"
    );
}

#[test]
fn a_wrong_command_line() {
    fails_with(&["show"], 2, &["Usage"]);
    fails_with(&["reclaim"], 2, &["Usage"]);
    fails_with(&["top", "--interval", "0"], 2, &["0.1"]);
}

#[test]
fn pages_and_completions_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let done = ptreclaim(&["generate", path]).status().expect("starts");
    assert!(done.success());
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().into_string()).collect();
        names.sort();
        names
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .expect("UTF-8")
    };
    let pages = ["-reclaim", "-show", "-stat", "-top", ""].map(|n| format!("ptreclaim{n}.1"));
    assert_eq!(names(&folder.path().join("man")), pages);
    let completions = folder.path().join("completions");
    assert_eq!(
        names(&completions),
        ["_ptreclaim", "ptreclaim.bash", "ptreclaim.fish"]
    );
    for name in names(&completions) {
        let text = fs::read_to_string(completions.join(&name)).expect("text");
        assert!(text.contains("zero-pages"), "{name}");
        assert!(
            !text.contains("generate"),
            "{name} has what is for packagers"
        );
    }
}

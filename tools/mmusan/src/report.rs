// SPDX-License-Identifier: GPL-2.0

//! What is said, and where. Each line begins with "mmusan: ".

use crate::judge::{CLASSES, Class};
use std::{
    fmt,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub struct Report {
    out: Mutex<Box<dyn Write + Send>>,
    most: u64,
    counts: [AtomicU64; CLASSES.len()],
    since_mark: [AtomicU64; CLASSES.len()],
}

fn index(class: Class) -> usize {
    CLASSES.iter().position(|&one| one == class).unwrap()
}

impl Report {
    pub fn new(out: Option<&Path>, most: u64) -> io::Result<Self> {
        let out: Box<dyn Write + Send> = match out {
            Some(path) => Box::new(File::create(path)?),
            None => Box::new(io::stderr()),
        };
        Ok(Self {
            out: Mutex::new(out),
            most,
            counts: Default::default(),
            since_mark: Default::default(),
        })
    }

    pub fn say(&self, what: fmt::Arguments) {
        // One write for each line; whoever reads it may kill us at any time.
        let line = format!("mmusan: {what}\n");
        let _ = self.out.lock().unwrap().write_all(line.as_bytes());
    }

    pub fn wrong(&self, class: Class, what: fmt::Arguments) {
        self.counts[index(class)].fetch_add(1, Relaxed);
        if self.since_mark[index(class)].fetch_add(1, Relaxed) < self.most {
            self.say(format_args!("report {}: {what}", class.name()));
        }
    }

    pub fn mark(&self, number: u64) {
        self.say(format_args!("mark {number}"));
        for count in &self.since_mark {
            count.store(0, Relaxed);
        }
    }

    pub fn counts(&self) -> String {
        let count = |&class| {
            let count = self.counts[index(class)].load(Relaxed);
            format!("{} {count}", class.name())
        };
        CLASSES.iter().map(count).collect::<Vec<_>>().join(", ")
    }
}

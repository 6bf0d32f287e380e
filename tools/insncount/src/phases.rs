// SPDX-License-Identifier: GPL-2.0

//! From mark to mark, and what is written of it.

use crate::{counts::Counts, names::Names, report};
use std::io::Write;

pub struct Phases {
    out: Box<dyn Write + Send>,
    /// 0 is none.
    running: u64,
    /// Whose counts there are: what has ended may go on.
    counted: u64,
}

impl Phases {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self {
            out,
            running: 0,
            counted: 0,
        }
    }

    pub fn are_running(&self) -> bool {
        self.running != 0
    }

    /// A mark: the phase that there is has ended. Phases of one number with no other in between are
    /// one, whose counts are taken when another one begins: there may be thousands of them.
    pub fn mark(&mut self, number: u64, counts: impl FnOnce() -> Counts, names: &Names) {
        if number != 0 && number != self.counted {
            self.write(counts, names);
            self.counted = number;
        }
        self.running = number;
    }

    /// What has ended.
    pub fn write(&mut self, counts: impl FnOnce() -> Counts, names: &Names) {
        if self.counted != 0 {
            let line = report::line(self.counted, &counts(), names) + "\n";
            // One write for each; whoever reads it may kill us at any time.
            let _ = self.out.write_all(line.as_bytes());
        }
        self.counted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Class;
    use std::{
        mem::take,
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().unwrap().clone();
            let text = String::from_utf8(bytes).unwrap();
            let begins = |line: &str| line.split(", \"interrupt\"").next().unwrap().to_owned();
            text.lines().map(begins).collect()
        }
    }

    fn counts(instructions: u64) -> Counts {
        let mut counts = Counts::default();
        counts.run(Class::Program, 0, instructions);
        counts
    }

    #[test]
    fn phases_of_one_number_in_a_row_are_one() {
        let (written, mut names) = (Written::default(), Names::default());
        names.at(0x10, 0x10);
        let mut phases = Phases::new(Box::new(written.clone()));
        let mut kept = Counts::default();
        for (number, before) in [
            (3, 1),
            (0, 10),
            (3, 100),
            (0, 1000),
            (4, 10000),
            (3, 5),
            (0, 7),
        ] {
            if phases.are_running() {
                kept.add(&counts(before));
            }
            phases.mark(number, || take(&mut kept), &names);
        }
        assert_eq!(
            written.lines(),
            [
                "{\"mark\": 3, \"instructions\": 1010",
                "{\"mark\": 4, \"instructions\": 5"
            ]
        );
        phases.write(|| take(&mut kept), &names);
        phases.write(|| take(&mut kept), &names);
        assert_eq!(written.lines()[2..], ["{\"mark\": 3, \"instructions\": 7"]);
    }

    #[test]
    fn nothing_is_counted_outside() {
        let (written, names) = (Written::default(), Names::default());
        let mut phases = Phases::new(Box::new(written.clone()));
        phases.mark(0, || counts(3), &names);
        phases.write(|| counts(3), &names);
        assert!(written.lines().is_empty());
        assert!(!phases.are_running());
    }
}

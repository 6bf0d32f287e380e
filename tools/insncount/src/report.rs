// SPDX-License-Identifier: GPL-2.0

//! A phase as a line of JSON.

use crate::{
    context::Class,
    counts::{Counts, Event},
    names::Names,
};
use std::{collections::BTreeMap, fmt::Write};

const SUMS: [(&str, Class); 6] = [
    ("instructions", Class::Program),
    ("interrupt", Class::Interrupt),
    ("rcu", Class::Rcu),
    ("other_tasks", Class::OtherTasks),
    ("kernel_threads", Class::KernelThreads),
    ("idle", Class::Idle),
];
const EVENTS: [(&str, &[Event]); 12] = [
    ("pages_cleared", &[Event::PageCleared]),
    ("pages_copied", &[Event::PageCopied]),
    ("pages_allocated", &[Event::PageAllocated]),
    ("invlpg", &[Event::Invlpg]),
    ("invpcid", &[Event::Invpcid]),
    ("cr3", &[Event::Cr3]),
    ("ipis", &[Event::CallFunction, Event::CallFunctionSingle]),
    ("reschedules", &[Event::Reschedule]),
    ("callbacks", &[Event::Callback]),
    ("flushes", &[Event::FlushRange]),
    ("cpu_flushes", &[Event::CpuFlush]),
    ("unpaired", &[Event::Unpaired]),
];
const SYMBOLS: [(&str, &[Class]); 5] = [
    ("symbols", &[Class::Program]),
    ("interrupt_symbols", &[Class::Interrupt]),
    ("rcu_symbols", &[Class::Rcu]),
    ("other_symbols", &[Class::OtherTasks]),
    ("thread_symbols", &[Class::KernelThreads]),
];

/// Without the end of the line. The same counts are always the same line.
pub fn line(mark: u64, counts: &Counts, names: &Names) -> String {
    let mut line = format!("{{\"mark\": {mark}");
    for (key, class) in SUMS {
        field(&mut line, key, counts.sum(class));
    }
    for (key, events) in EVENTS {
        field(
            &mut line,
            key,
            events.iter().map(|&event| counts.events(event)).sum(),
        );
    }
    line += ", \"longest_hold\": ";
    match counts.longest {
        Some(hold) => {
            let _ = write!(
                line,
                "{{\"instructions\": {}, \"function\": ",
                hold.instructions
            );
            line += &string(names.name(hold.taken));
            line += ", \"released_by\": ";
            line += &string(names.name(hold.released));
            line.push('}');
        }
        None => line += "null",
    }
    for (key, classes) in SYMBOLS {
        let by_name: BTreeMap<_, _> = counts
            .names(classes)
            .map(|(name, instructions)| (names.name(name), instructions))
            .collect();
        let fields: Vec<_> = by_name
            .iter()
            .map(|(name, instructions)| format!("{}: {instructions}", string(name)))
            .collect();
        let _ = write!(line, ", \"{key}\": {{{}}}", fields.join(", "));
    }
    line.push('}');
    line
}

fn field(line: &mut String, key: &str, value: u64) {
    let _ = write!(line, ", \"{key}\": {value}");
}

/// Names of functions are of ASCII; nothing else is expected, and nothing else breaks it.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", letter as u32);
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holds::Hold;

    #[test]
    fn all_of_it() {
        let mut names = Names::default();
        let (zap, fault) = (names.at(0x20, 0x20), names.at(0x10, 0x10));
        let mut counts = Counts::default();
        counts.run(Class::Program, zap, 5);
        counts.run(Class::Program, fault, 7);
        counts.run(Class::Interrupt, zap, 11);
        counts.run(Class::Rcu, zap, 13);
        counts.run(Class::OtherTasks, fault, 17);
        counts.run(Class::KernelThreads, fault, 19);
        counts.run(Class::Idle, fault, 23);
        counts.happened(Event::CallFunction, 2);
        counts.happened(Event::CallFunctionSingle, 3);
        counts.happened(Event::Callback, 4);
        counts.longest = Some(Hold {
            instructions: 29,
            taken: zap,
            released: fault,
        });
        assert_eq!(
            line(3, &counts, &names),
            "{\"mark\": 3, \"instructions\": 12, \"interrupt\": 11, \"rcu\": 13, \
             \"other_tasks\": 17, \"kernel_threads\": 19, \"idle\": 23, \"pages_cleared\": 0, \
             \"pages_copied\": 0, \"pages_allocated\": 0, \"invlpg\": 0, \"invpcid\": 0, \
             \"cr3\": 0, \"ipis\": 5, \"reschedules\": 0, \"callbacks\": 4, \"flushes\": 0, \
             \"cpu_flushes\": 0, \"unpaired\": 0, \"longest_hold\": {\"instructions\": 29, \
             \"function\": \"0x20\", \"released_by\": \"0x10\"}, \
             \"symbols\": {\"0x10\": 7, \"0x20\": 5}, \"interrupt_symbols\": {\"0x20\": 11}, \
             \"rcu_symbols\": {\"0x20\": 13}, \"other_symbols\": {\"0x10\": 17}, \
             \"thread_symbols\": {\"0x10\": 19}}"
        );
    }

    #[test]
    fn of_nothing() {
        let line = line(1, &Counts::default(), &Names::default());
        assert!(
            line.contains("\"longest_hold\": null, \"symbols\": {}"),
            "{line}"
        );
    }

    #[test]
    fn strings() {
        assert_eq!(string("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}

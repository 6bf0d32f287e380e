// SPDX-License-Identifier: GPL-2.0

//! The page tables of the whole system.

use crate::{process::parse_kib, units::Kib};
use serde::Serialize;
use std::{fs, path::Path};

/// Of /proc/meminfo; null where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct System {
    pub page_tables_kib: Option<Kib>,
    /// Of virtual machines, and IOMMUs.
    pub sec_page_tables_kib: Option<Kib>,
}

impl System {
    pub fn read(proc: &Path) -> Self {
        parse_meminfo(&fs::read_to_string(proc.join("meminfo")).unwrap_or_default())
    }
}

fn parse_meminfo(text: &str) -> System {
    let value = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        parse_kib(values.find_map(|rest| rest.strip_prefix(':'))?)
    };
    System {
        page_tables_kib: value("PageTables"),
        sec_page_tables_kib: value("SecPageTables"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read() {
        let text = "MemTotal:  1 kB\nPageTables:       6792 kB\nSecPageTables:         8 kB\n";
        let system = parse_meminfo(text);
        assert_eq!(system.page_tables_kib, Some(Kib(6792)));
        assert_eq!(system.sec_page_tables_kib, Some(Kib(8)));
        assert_eq!(parse_meminfo(""), System::default());
    }
}

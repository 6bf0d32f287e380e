// SPDX-License-Identifier: GPL-2.0

//! /proc/PID/maps.

use crate::{
    error::{Error, Result},
    process::{Pid, ProcFs, printable},
};
use std::{fs, ops::Range};

/// A VMA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vma {
    pub range: Range<u64>,
    /// It maps a file, one without a name included.
    pub has_file: bool,
    /// Path, or `[heap]` and the like; empty for anonymous memory.
    pub name: String,
}

impl Vma {
    /// How many bytes of it are in `range`.
    pub fn overlap(&self, range: &Range<u64>) -> u64 {
        let start = self.range.start.max(range.start);
        self.range.end.min(range.end).saturating_sub(start)
    }

    /// The last part of the path.
    pub fn short_name(&self) -> &str {
        match self.name.rsplit_once('/') {
            Some((_, base)) if !base.is_empty() => base,
            _ if self.name.is_empty() => "anonymous",
            _ => &self.name,
        }
    }
}

/// The VMAs of user space, in the order of their addresses. Lines that are none are left out.
pub fn parse_maps(text: &str) -> Vec<Vma> {
    text.lines().filter_map(parse_line).collect()
}

/// `7f00-7f10 rw-p 00000000 00:01 1234    /path with blanks`
fn parse_line(line: &str) -> Option<Vma> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        field
    };
    let (start, end) = field().split_once('-')?;
    let (_permissions, _offset, _device) = (field(), field(), field());
    let inode = field();
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    // [vsyscall] is in the kernel's half, and its table not the process's.
    let is_user = i64::try_from(end).is_ok();
    (start < end && is_user).then(|| Vma {
        range: start..end,
        has_file: inode != "0",
        name: printable(rest.trim_start()),
    })
}

/// The ranges with VMAs, neighbours joined, cut into pieces of at most `most` bytes.
pub fn mapped_pieces(vmas: &[Vma], most: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for vma in vmas {
        match joined.last_mut() {
            Some(last) if last.end == vma.range.start => last.end = vma.range.end,
            _ => joined.push(vma.range.clone()),
        }
    }
    joined
        .into_iter()
        .flat_map(|range| {
            let starts = range.clone().step_by(most as usize);
            starts.map(move |start| start..range.end.min(start.saturating_add(most)))
        })
        .collect()
}

impl ProcFs {
    pub fn maps(&self, pid: Pid) -> Result<Vec<Vma>> {
        let bytes = fs::read(self.path(pid, "maps")).map_err(|e| Error::reading(pid, "maps", e))?;
        Ok(parse_maps(&String::from_utf8_lossy(&bytes)))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAPS: &str = "\
55e0c0000000-55e0c0021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000200000 rw-p 00000000 00:00 0 
7f0000200000-7f0000300000 r--p 00001000 08:01 1234                       /usr/lib/a b.so (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
nonsense
";

    #[test]
    fn lines_are_read() {
        let vmas = parse_maps(MAPS);
        let names: Vec<&str> = vmas.iter().map(Vma::short_name).collect();
        assert_eq!(names, ["[heap]", "anonymous", "a b.so (deleted)"]);
        assert_eq!(vmas[1].range, 0x7f00_0000_0000..0x7f00_0020_0000);
        assert_eq!([false, false, true], [0, 1, 2].map(|i| vmas[i].has_file));
        assert_eq!(vmas[1].overlap(&(0x7f00_001f_f000..u64::MAX)), 0x1000);
        assert_eq!(vmas[1].overlap(&(0..1)), 0);
    }

    /// VMAs in order, some of them neighbours; of whole pages.
    pub fn any_vmas() -> impl Strategy<Value = Vec<Vma>> {
        let piece = (0u64..3000, 1u64..3000, any::<bool>());
        proptest::collection::vec(piece, 0..20).prop_map(|pieces| {
            let mut at = 0;
            let vma = |(hole, pages, has_file): (u64, u64, bool)| {
                let start = at + if hole < 1000 { 0 } else { hole * 4096 };
                at = start + pages * 4096;
                Vma {
                    range: start..at,
                    has_file,
                    name: String::new(),
                }
            };
            pieces.into_iter().map(vma).collect()
        })
    }

    proptest! {
        #[test]
        fn pieces_are_what_is_mapped(vmas in any_vmas(), pages in 1u64..4000) {
            let most = pages * 4096;
            let pieces = mapped_pieces(&vmas, most);
            let bytes = |ranges: &mut dyn Iterator<Item = Range<u64>>| -> u64 {
                ranges.map(|r| r.end - r.start).sum()
            };
            prop_assert!(pieces.iter().all(|p| p.start < p.end && p.end - p.start <= most));
            prop_assert!(pieces.windows(2).all(|w| w[0].end <= w[1].start));
            prop_assert_eq!(
                bytes(&mut pieces.iter().cloned()),
                bytes(&mut vmas.iter().map(|v| v.range.clone()))
            );
        }

        #[test]
        fn what_is_printed_is_read_back(vmas in any_vmas()) {
            let text: String = vmas.iter().map(|vma| format!(
                "{:x}-{:x} rw-p 00000000 00:00 {}\n",
                vma.range.start, vma.range.end, u8::from(vma.has_file)
            )).collect();
            prop_assert_eq!(parse_maps(&text), vmas);
        }
    }
}

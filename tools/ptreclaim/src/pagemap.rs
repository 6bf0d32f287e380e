// SPDX-License-Identifier: GPL-2.0

//! /proc/PID/pagemap: which pages there are, and which tables.
//!
//! `PAGEMAP_SCAN` tells an empty table from a hole. Asked for written pages and nothing else, it
//! reports every page below an existing table that is not write-protected by userfaultfd, and no
//! hole. What it reports so and has no entry is an empty table. The entries are a second scan.
//! Where there is no such ioctl, before Linux 6.7, only entries are seen.

use crate::{
    error::{Error, Result},
    maps::{Vma, mapped_pieces},
    process::{Pid, ProcFs},
    sys::{self, PageRegion, Query},
    tables::{Collector, PageKind, Pages, TableMap},
};
use rustix::io::Errno;
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

// PAGE_IS_*
const WRITTEN: u64 = 1 << 1;
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZERO: u64 = 1 << 5;
const HUGE: u64 = 1 << 6;

const TABLES: Query = Query {
    all_of: WRITTEN,
    any_of: 0,
    report: WRITTEN,
};
/// Markers count as swapped.
const ENTRIES: Query = Query {
    all_of: 0,
    any_of: PRESENT | SWAPPED,
    report: FILE | ZERO | HUGE,
};

/// A scan holds the process's `mmap_lock`: not for longer than a millisecond or so.
const SCAN_BYTES: u64 = 1 << 30;
const SCAN_REGIONS: usize = 2048;

const PAGE_BYTES: u64 = 4096;
const ENTRY_BYTES: usize = 8;
/// 512 KiB of pagemap.
const READ_BYTES: u64 = PAGE_BYTES << 16;
/// A page, or a swap entry or marker.
const READ_OCCUPIED: u64 = 0b11 << 62;

/// How the tables were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `PAGEMAP_SCAN`: empty tables and zero pages are seen.
    Scan,
    /// Read page by page: what is empty is not seen, zero pages are pages like others.
    Read,
}

/// The tables of a process, as far as its pagemap shows them.
pub fn tables(proc: &ProcFs, pid: Pid, vmas: &[Vma]) -> Result<(TableMap, Method)> {
    let opened = File::open(proc.path(pid, "pagemap"));
    let pagemap = opened.map_err(|e| Error::reading(pid, "pagemap", e))?;
    let failed = |e: io::Error| Error::reading(pid, "pagemap", e);
    match scan(&pagemap, vmas) {
        // gVisor and old kernels.
        Err(Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => {
            let map = read(&pagemap, vmas).map_err(failed)?;
            Ok((map, Method::Read))
        }
        Err(errno) => Err(failed(errno.into())),
        Ok(map) => Ok((map, Method::Scan)),
    }
}

fn scan(pagemap: &File, vmas: &[Vma]) -> std::result::Result<TableMap, Errno> {
    let mut collector = Collector::default();
    let mut regions = vec![PageRegion::default(); SCAN_REGIONS];
    for piece in mapped_pieces(vmas, SCAN_BYTES) {
        scan_piece(pagemap, &piece, TABLES, &mut regions, |region| {
            collector.tables(region.start..region.end);
        })?;
        scan_piece(pagemap, &piece, ENTRIES, &mut regions, |region| {
            let has_file = || vma_of(vmas, region.start).is_some_and(|vma| vma.has_file);
            collector.pages(Pages {
                range: region.start..region.end,
                kind: kind_of(region.categories, has_file),
            });
        })?;
    }
    Ok(collector.finish())
}

fn scan_piece(
    pagemap: &File,
    piece: &Range<u64>,
    query: Query,
    regions: &mut [PageRegion],
    mut each: impl FnMut(&PageRegion),
) -> std::result::Result<(), Errno> {
    let mut at = piece.start;
    while at < piece.end {
        let (found, end) = sys::pagemap_scan(pagemap, at, piece.end, query, regions)?;
        regions.iter().take(found).for_each(&mut each);
        if end <= at {
            return Err(Errno::IO);
        }
        at = end;
    }
    Ok(())
}

/// Huge pages of files have no table behind them, nor have those of hugetlbfs, whose private
/// pages are anonymous, but in a mapping of a file.
fn kind_of(categories: u64, has_file: impl Fn() -> bool) -> PageKind {
    if categories & HUGE != 0 {
        let deposited = categories & FILE == 0 && !has_file();
        PageKind::Huge { deposited }
    } else if categories & ZERO != 0 {
        PageKind::Zero
    } else {
        PageKind::Entry
    }
}

fn vma_of(vmas: &[Vma], address: u64) -> Option<&Vma> {
    let at = vmas.partition_point(|vma| vma.range.end <= address);
    vmas.get(at).filter(|vma| vma.range.start <= address)
}

fn read(pagemap: &File, vmas: &[Vma]) -> io::Result<TableMap> {
    let mut collector = Collector::default();
    let mut buffer = Vec::new();
    for piece in mapped_pieces(vmas, READ_BYTES) {
        let pages = (piece.end - piece.start) / PAGE_BYTES;
        buffer.resize(pages as usize * ENTRY_BYTES, 0);
        let offset = piece.start / PAGE_BYTES * ENTRY_BYTES as u64;
        match pagemap.read_exact_at(&mut buffer, offset) {
            Ok(()) => {}
            // It ended; whoever asks for it next will say so.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(e),
        }
        for range in occupied(piece.start, &buffer) {
            let kind = PageKind::Entry;
            collector.pages(Pages { range, kind });
        }
    }
    Ok(collector.finish())
}

/// The ranges of pages with an entry, by what pagemap has about the pages from `start` on.
fn occupied(start: u64, entries: &[u8]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut at = start;
    for bytes in entries.chunks_exact(ENTRY_BYTES) {
        let entry = bytes.try_into().map_or(0, u64::from_ne_bytes);
        let next = at + PAGE_BYTES;
        if entry & READ_OCCUPIED != 0 {
            match ranges.last_mut() {
                Some(last) if last.end == at => last.end = next,
                _ => ranges.push(at..next),
            }
        }
        at = next;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::State;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn kinds() {
        let of = |categories, has_file| kind_of(categories, || has_file);
        assert_eq!(of(FILE, true), PageKind::Entry);
        assert_eq!(of(0, false), PageKind::Entry);
        assert_eq!(of(ZERO, false), PageKind::Zero);
        assert_eq!(of(HUGE | ZERO, false), PageKind::Huge { deposited: true });
        assert_eq!(of(HUGE | FILE, true), PageKind::Huge { deposited: false });
        // hugetlbfs, private
        assert_eq!(of(HUGE, true), PageKind::Huge { deposited: false });
    }

    /// Both ways to look at this very process find the same tables in use. Other tests may touch
    /// more of the program meanwhile: what is scanned lies between what is read before and after.
    #[test]
    fn a_scan_and_a_read_agree() {
        let proc = ProcFs::default();
        let own = Pid::new(std::process::id()).unwrap();
        let mut vmas = proc.maps(own).unwrap();
        let program = std::env::current_exe().unwrap();
        vmas.retain(|vma| vma.name == program.to_string_lossy());
        let pagemap = File::open(proc.path(own, "pagemap"))
            .expect("this needs a readable /proc/self/pagemap (CONFIG_PROC_PAGE_MONITOR)");
        let used = |map: TableMap| -> BTreeSet<_> {
            let used = map.iter().filter(|(_, state)| *state != State::Empty);
            used.map(|(index, _)| index).collect()
        };
        let before = used(read(&pagemap, &vmas).unwrap());
        let scanned = scan(&pagemap, &vmas);
        let after = used(read(&pagemap, &vmas).unwrap());
        let scanned = match scanned {
            Ok(map) => used(map),
            Err(errno) => panic!("this needs PAGEMAP_SCAN, as Linux has it since 6.7: {errno}"),
        };
        assert!(!before.is_empty());
        assert!(before.is_subset(&scanned) && scanned.is_subset(&after));
    }

    proptest! {
        #[test]
        fn occupied_pages_are_found(
            present in proptest::collection::vec(prop_oneof![Just(0u64), Just(1), Just(2)], 0..600),
        ) {
            let start = 0x7f00_0000_0000;
            let bytes: Vec<u8> = present.iter().flat_map(|p| (p << 62).to_ne_bytes()).collect();
            let ranges = occupied(start, &bytes);
            prop_assert!(ranges.windows(2).all(|w| w[0].end < w[1].start));
            for (page, entry) in present.iter().enumerate() {
                let at = start + page as u64 * PAGE_BYTES;
                prop_assert_eq!(ranges.iter().any(|r| r.contains(&at)), *entry != 0);
            }
        }
    }
}

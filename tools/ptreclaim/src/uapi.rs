// SPDX-License-Identifier: GPL-2.0

//! What `include/uapi/linux/ptreclaim.h` says, in Rust.

use std::ops::AddAssign;

/// Look, free nothing.
pub const DRY_RUN: u32 = 1 << 0;
/// Also free what holds only zero pages.
pub const ZERO_PAGES: u32 = 1 << 1;
/// Count entries, which takes longer.
pub const FULLNESS: u32 = 1 << 2;

/// The names of `enum ptreclaim_kept`, in its order, and what they mean.
pub const KEPT: [(&str, &str); 11] = [
    ("present", "maps a page"),
    ("swap", "has a swap entry"),
    ("markers", "has a guard, uffd-wp or poison marker"),
    ("migration", "has a migration or device entry"),
    ("busy", "changed meanwhile, or a lock was not to be had"),
    ("no_vma", "munmap() is at work on its range"),
    ("zero_pages", "zero pages, and --zero-pages was not given"),
    ("mlocked", "zero pages of a locked mapping"),
    ("uffd", "zero pages that userfaultfd watches"),
    ("soft_dirty", "zero pages, and one is marked soft-dirty"),
    ("shared", "zero pages of a file or shared mapping"),
];

/// Room in `ptreclaim_request.kept`.
pub const KEPT_MAX: usize = 16;

/// The names of `ptreclaim_request.fullness`: entries in use.
pub const FULLNESS_NAMES: [&str; FULLNESS_MAX] =
    ["0", "1", "2-7", "8-63", "64-255", "256-510", "511", "512"];

/// Room in `ptreclaim_request.fullness`.
pub const FULLNESS_MAX: usize = 8;

/// The reason's name; the module may know more of them than this program.
pub fn kept_name(reason: usize) -> String {
    KEPT.get(reason)
        .map_or_else(|| format!("reason_{reason}"), |(name, _)| (*name).into())
}

/// In which of the classes of fullness a table with so many entries is.
pub fn fullness_class(entries: u16) -> usize {
    match entries {
        0 => 0,
        1 => 1,
        2..=7 => 2,
        8..=63 => 3,
        64..=255 => 4,
        256..=510 => 5,
        511 => 6,
        _ => 7,
    }
}

/// `struct ptreclaim_request`.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Request {
    size: u32,
    flags: u32,
    pidfd: i32,
    reserved: u32,
    start: u64,
    len: u64,
    next: u64,
    counts: Counts,
}

const _: () = assert!(size_of::<Request>() == 264, "PTRECLAIM_REQUEST_SIZE_VER0");

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// PTE tables looked at.
    pub tables: u64,
    /// Of these, tables with no entry.
    pub empty: u64,
    /// Tables with nothing but zero pages.
    pub zero_only: u64,
    /// Tables freed.
    pub freed: u64,
    /// The others, by reason.
    pub kept: [u64; KEPT_MAX],
    /// How full they are, if that was asked for.
    pub fullness: [u64; FULLNESS_MAX],
}

impl Request {
    /// A request about `len` bytes from `start`; 0 for all that follows.
    pub fn new(flags: u32, start: u64, len: u64) -> Self {
        Self {
            // It fits: 264.
            size: size_of::<Self>() as u32,
            flags,
            start,
            len,
            ..Self::default()
        }
    }

    /// The same request, about the process of this pidfd.
    pub fn of(&mut self, pidfd: i32) -> &mut Self {
        self.pidfd = pidfd;
        self
    }

    /// What is left of it after `next`.
    pub fn rest(&self) -> Option<Self> {
        let done = self.next.saturating_sub(self.start);
        match self.len {
            0 => Some(Self::new(self.flags, self.next, 0)),
            len if done < len => Some(Self::new(self.flags, self.next, len - done)),
            // Not 0, which would be all that follows.
            _ => None,
        }
    }

    /// What the kernel counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// What a device does to a request.
#[cfg(test)]
impl Request {
    pub fn flags(&self) -> u32 {
        self.flags
    }

    pub fn range(&self) -> std::ops::Range<u64> {
        match self.len {
            0 => self.start..u64::MAX,
            len => self.start..self.start + len,
        }
    }

    pub fn answer(&mut self, next: u64, counts: Counts) {
        self.next = next;
        self.counts = counts;
    }
}

impl Counts {
    /// Tables that were not freed, or would not be.
    pub fn kept_all(&self) -> u64 {
        self.kept.iter().sum()
    }

    /// Tables that a dry run would have freed: those it names no reason for.
    pub fn freeable(&self) -> u64 {
        self.tables.saturating_sub(self.kept_all())
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.tables += other.tables;
        self.empty += other.empty;
        self.zero_only += other.zero_only;
        self.freed += other.freed;
        let arrays = [
            (&mut self.kept[..], &other.kept[..]),
            (&mut self.fullness[..], &other.fullness[..]),
        ];
        for (ours, theirs) in arrays {
            ours.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_names_are_those_of_the_header() {
        let header = include_str!("../../../include/uapi/linux/ptreclaim.h");
        let names: Vec<String> = header
            .lines()
            .filter_map(|line| line.trim().strip_prefix("PTRECLAIM_KEPT_"))
            .filter_map(|line| line.split_once(','))
            .filter(|(name, _)| !name.contains('='))
            .map(|(name, _)| name.to_lowercase())
            .collect();
        let ours: Vec<&str> = KEPT.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ours);
        for constant in [
            "PTRECLAIM_DRY_RUN\t(1U << 0)",
            "PTRECLAIM_ZERO_PAGES\t(1U << 1)",
            "PTRECLAIM_FULLNESS\t(1U << 2)",
            "PTRECLAIM_KEPT_MAX = 16",
            "PTRECLAIM_FULLNESS_MAX\t8",
            "PTRECLAIM_REQUEST_SIZE_VER0\t264",
            "PTRECLAIM_IOC\t\t0xBD",
            "_IOWR(PTRECLAIM_IOC, 0x01, struct ptreclaim_request)",
        ] {
            assert!(header.contains(constant), "{constant}");
        }
    }

    #[test]
    fn a_rest_begins_where_the_kernel_stopped() {
        let mut request = Request::new(DRY_RUN, 0x20_0000, 0x60_0000);
        request.answer(0x40_0000, Counts::default());
        assert_eq!(request.rest().unwrap().range(), 0x40_0000..0x80_0000);
        request.answer(0x80_0000, Counts::default());
        assert!(request.rest().is_none());
        let mut open = Request::new(DRY_RUN, 0, 0);
        open.answer(0x40_0000, Counts::default());
        assert_eq!(open.rest().unwrap().range(), 0x40_0000..u64::MAX);
    }

    proptest! {
        #[test]
        fn more_entries_are_never_a_lower_class(a in 0u16..=512, b in 0u16..=512) {
            prop_assert!(a > b || fullness_class(a) <= fullness_class(b));
        }
    }
}

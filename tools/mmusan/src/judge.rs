// SPDX-License-Identifier: GPL-2.0

//! What one CPU's TLB has used, held against the page tables.
//!
//! A CPU answers no flush while its access is being looked at. So whatever the kernel may do only
//! after this CPU has flushed (fill the pmd with another page size or another table, free the frame,
//! free the table) it cannot have done yet, if it is right: no window excuses that. Only where the
//! tables merely have something else by now may the flush be on its way; that is a matter of
//! `grace.rs`.
//!
//! To know what an entry of the TLB was made of, each translation found in order is remembered
//! until this CPU flushes it.

use crate::walk::{Size, Walk};
use std::collections::HashMap;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The TLB has it in one page size, the pmd in another.
    MixedSize,
    /// The TLB has it from one PTE table, the pmd leads to another.
    ReplacedTable,
    /// The frame has been freed since.
    FreedFrame,
    /// The PTE table it came from has been freed since.
    FreedTable,
    /// The tables still lead through a page that was freed as a table.
    WalkFreed,
    /// The tables say otherwise, and no flush is to come any more.
    Stale,
    /// A PTE table freed before every CPU has been quiet: not by RCU.
    EarlyFree,
    /// A CPU that has the address space loaded was not flushed before a table went to RCU.
    Unflushed,
}

pub const CLASSES: [Class; 8] = [
    Class::MixedSize,
    Class::ReplacedTable,
    Class::FreedFrame,
    Class::FreedTable,
    Class::WalkFreed,
    Class::Stale,
    Class::EarlyFree,
    Class::Unflushed,
];

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::MixedSize => "mixed-size",
            Class::ReplacedTable => "replaced-table",
            Class::FreedFrame => "freed-frame",
            Class::FreedTable => "freed-table",
            Class::WalkFreed => "walk-freed",
            Class::Stale => "stale",
            Class::EarlyFree => "early-free",
            Class::Unflushed => "unflushed-cpu",
        }
    }
}

/// What becomes of one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The tables say the same.
    Right,
    /// They do not, and the flush may be on its way.
    Pending,
    /// Said already.
    Known,
    Wrong(Class),
}

/// How often each frame has been freed.
pub trait Frames {
    fn freed(&self, frame: u64) -> u32;
}

/// A grace period of `grace.rs`.
pub trait Graces {
    type Grace;
    fn begin(&self) -> Self::Grace;
    fn over(&self, grace: &mut Self::Grace) -> bool;
}

/// A translation that was found in order.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub frame: u64,
    pub size: Size,
    pub table: Option<u64>,
    frame_freed: u32,
    table_freed: u32,
    page: u64,
    epoch: u64,
    region_epoch: u64,
}

struct Doubt<Grace> {
    frame: u64,
    size: Option<Size>,
    grace: Grace,
    said: bool,
}

/// A power of two; two pages of the same slot displace each other.
const SLOTS: usize = 1 << 13;
const REGIONS: usize = 1 << 8;
const DOUBTS: usize = 1 << 12;

/// What one CPU may have in its TLB.
pub struct Judge<Grace> {
    known: Box<[Option<Known>]>,
    /// Grows when everything is flushed, so that all that is known is no more.
    epoch: u64,
    /// The same for translations of 2 MiB, by region: one INVLPG ends all of it.
    regions: Box<[u64]>,
    doubts: HashMap<u64, Doubt<Grace>>,
    /// Another table in the pmd is legal while a flush is pending.
    lax: bool,
}

#[cfg(test)]
impl<Grace> Default for Judge<Grace> {
    fn default() -> Self {
        Self::new(false)
    }
}

impl<Grace> Judge<Grace> {
    pub fn new(lax: bool) -> Self {
        Self {
            known: vec![None; SLOTS].into(),
            epoch: 0,
            regions: vec![0; REGIONS].into(),
            doubts: HashMap::new(),
            lax,
        }
    }
}

fn slot(page: u64) -> usize {
    // Neighbouring tables must not share their slots.
    (page ^ page >> 9) as usize % SLOTS
}

fn region(page: u64) -> usize {
    (page >> 9) as usize % REGIONS
}

impl<Grace> Judge<Grace> {
    /// The CPU has flushed everything.
    pub fn flushed_all(&mut self) {
        self.epoch += 1;
        self.doubts.clear();
    }

    /// The CPU has flushed this page, and so a larger one that has it.
    pub fn flushed(&mut self, page: u64) {
        let known = &mut self.known[slot(page)];
        if known.is_some_and(|known| known.page == page) {
            *known = None;
        }
        self.regions[region(page)] += 1;
        if !self.doubts.is_empty() {
            self.doubts.retain(|&doubtful, doubt| {
                doubtful != page && (doubtful >> 9 != page >> 9 || doubt.size == Some(Size::Small))
            });
        }
    }

    /// What was found in order of this page and has not been flushed since.
    pub fn known(&self, page: u64) -> Option<Known> {
        self.known[slot(page)].filter(|known| {
            known.page == page
                && known.epoch == self.epoch
                && (known.size == Size::Small || known.region_epoch == self.regions[region(page)])
        })
    }

    /// The TLB has used `frame` for `page`; the tables say `walk`.
    #[inline]
    pub fn judge<F: Frames, G: Graces<Grace = Grace>>(
        &mut self,
        page: u64,
        frame: u64,
        walk: Walk,
        frames: &F,
        graces: &G,
    ) -> Verdict {
        let known = self.known(page).filter(|known| known.frame == frame);
        if walk.frame() == Some(frame) {
            return self.right(page, frame, walk, known, frames);
        }
        if let Walk::Lost { .. } = walk {
            return Verdict::Wrong(Class::WalkFreed);
        }
        let class = known
            .and_then(|known| never_legal(&known, walk, frames))
            .filter(|&class| !(self.lax && class == Class::ReplacedTable));
        let doubt = self
            .doubts
            .get_mut(&page)
            .filter(|doubt| doubt.frame == frame);
        match (class, doubt) {
            (_, Some(doubt)) if doubt.said => Verdict::Known,
            (Some(class), Some(doubt)) => {
                doubt.said = true;
                Verdict::Wrong(class)
            }
            (None, Some(doubt)) => {
                if !graces.over(&mut doubt.grace) {
                    return Verdict::Pending;
                }
                doubt.said = true;
                Verdict::Wrong(Class::Stale)
            }
            (class, None) => {
                if self.doubts.len() >= DOUBTS {
                    self.doubts.clear();
                }
                let doubt = Doubt {
                    frame,
                    size: known.map(|known| known.size),
                    grace: graces.begin(),
                    said: class.is_some(),
                };
                self.doubts.insert(page, doubt);
                class.map_or(Verdict::Pending, Verdict::Wrong)
            }
        }
    }

    fn right(
        &mut self,
        page: u64,
        frame: u64,
        walk: Walk,
        known: Option<Known>,
        frames: &impl Frames,
    ) -> Verdict {
        let Walk::Leaf { size, table, .. } = walk else {
            unreachable!("there is a frame");
        };
        if !self.doubts.is_empty() {
            self.doubts.remove(&page);
        }
        let table_freed = table.map_or(0, |table| frames.freed(table));
        let verdict = match known {
            Some(known) if known.size == size && known.table == table => {
                if known.table_freed == table_freed {
                    return Verdict::Right;
                }
                Verdict::Wrong(Class::WalkFreed)
            }
            _ => Verdict::Right,
        };
        // There is not one INVLPG that ends 1 GiB here: such a translation is not remembered.
        self.known[slot(page)] = (size != Size::Giant).then(|| Known {
            frame,
            size,
            table,
            frame_freed: frames.freed(frame),
            table_freed,
            page,
            epoch: self.epoch,
            region_epoch: self.regions[region(page)],
        });
        verdict
    }
}

/// What no pending flush excuses: see above.
fn never_legal(known: &Known, walk: Walk, frames: &impl Frames) -> Option<Class> {
    let other_size = match walk {
        Walk::Leaf { size, .. } => size != known.size,
        // A table, though nothing is in it, where a huge page was.
        _ => known.size != Size::Small && walk.table().is_some(),
    };
    if other_size {
        return Some(Class::MixedSize);
    }
    if let Some(table) = known.table {
        if walk.table().is_some_and(|now| now != table) {
            return Some(Class::ReplacedTable);
        }
        if frames.freed(table) != known.table_freed {
            return Some(Class::FreedTable);
        }
    }
    (frames.freed(known.frame) != known.frame_freed).then_some(Class::FreedFrame)
}

#[cfg(test)]
mod tests;

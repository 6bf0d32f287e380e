// SPDX-License-Identifier: GPL-2.0

//! One look at the page tables of an address space, a PMD table at a time: what is empty, and what
//! of that is freed. The background scanner, requests and memory pressure all do it this way.
//!
//! 1. A look without locks at each table ([`crate::pgtable::region`]); most end at the first entry.
//! 2. For those that seem empty a lock: that of the VMA they lie in, else `mmap_lock`.
//! 3. In batches, with the PMD lock held: a second look with both locks, unlink, one flush, free
//!    by RCU ([`crate::pgtable::slot`], [`crate::pgtable::batch`]).
//!
//! Between two PMD tables nothing is held.

use crate::{
    memory,
    outcome::Outcome,
    pgtable::{
        batch::{
            UnlinkedBatch,
            BATCH, //
        },
        cover::Cover,
        pte::Contents,
        region::{
            IrqsOff,
            Region,
            SeenTable, //
        },
        slot::PmdSlot,
        zeroes::Invalidation,
        PMD_SIZE,
        PTRS_PER_PMD,
        PUD_SIZE, //
    },
    policy::Key,
    scan::{
        bits::Bits,
        found::{
            fullness,
            Found, //
        },
        stamp::Stamp, //
    },
    stats,
    sys::{
        events::{
            self,
            Begin,
            End,
            Table, //
        },
        mm,
        time::jiffies, //
    },
};
use core::ops::Range;
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::rcu,
    time::{
        Instant,
        Monotonic, //
    },
};

/// What a sweep is to do.
#[derive(Clone, Copy)]
pub(crate) struct Aim {
    /// Free what is found; otherwise only look.
    pub(crate) free: bool,
    /// Wait for `mmap_lock`, which tables need that straddle VMAs; only if they are to be freed.
    pub(crate) wait: bool,
    /// Leave the tables of a PMD table if fewer than so many are due.
    pub(crate) at_least: u32,
    /// Also what holds only zero pages.
    pub(crate) zero_pages: bool,
    /// Count the entries of each table, which is slower.
    pub(crate) fullness: bool,
    /// Only tables on this NUMA node.
    pub(crate) node: Option<i32>,
    /// Only what has been empty for so long; `None` is at once.
    pub(crate) age: Option<Age>,
    /// Who wants it, for tracepoints.
    pub(crate) by: &'static CStr,
}

/// How long a table must have been empty.
#[derive(Clone, Copy)]
pub(crate) struct Age {
    /// That long, in jiffies.
    pub(crate) least: u64,
    /// The number of this round of looks.
    pub(crate) round: u16,
    /// Tables freed less than so many jiffies ago are counted as come back; 0: none is.
    pub(crate) window: u64,
}

/// So many live tables are looked at with interrupts off.
const AT_ONCE: usize = 16;
/// One that is looked through is as good as so many more: it takes about a thousand instructions.
const THROUGH: usize = 3;

/// What is to be done about a table.
enum Due {
    No,
    Empty,
    ZeroPages,
}

/// A sweep through an address space.
pub(crate) struct Sweep<'m> {
    mm: &'m MmWithUser,
    aim: Aim,
    now: u64,
    since: Instant<Monotonic>,
    found: Found,
    /// Whether there is more to learn of each table than what it holds.
    closer: bool,
}

impl<'m> Sweep<'m> {
    /// Nothing is looked at yet; `addr` is where it is going to begin.
    pub(crate) fn new(mm: &'m MmWithUser, addr: usize, aim: Aim) -> Self {
        events::scan_begin(|| Begin(mm, addr, aim.by));
        Self {
            mm,
            aim,
            now: jiffies(),
            since: Instant::now(),
            found: Found::default(),
            closer: aim.fullness || aim.age.is_some_and(|age| age.window > 0),
        }
    }

    /// Looks at the tables of the next PMD table that meets `range`, and does what is to be done;
    /// gives the address to go on at, `None` at the end. Sleeps only for zero pages, whose notifiers
    /// may, and if it is to wait.
    pub(crate) fn step(&mut self, range: Range<usize>) -> Option<usize> {
        let mut empty = Bits::new();
        let mut zero_only = Bits::new();
        let start = self.look(&range, &mut empty, &mut zero_only)?;

        if self.aim.free {
            self.free(start, &empty, false);
            self.free(start, &zero_only, true);
        } else {
            self.foresee(start, &zero_only);
        }
        let next = start.checked_add(PUD_SIZE)?;
        (next < range.end).then_some(next)
    }

    /// Ends the sweep: counts and traces what it has found.
    pub(crate) fn finish(self) -> Found {
        let found = self.found;
        let ns = self.since.elapsed().as_nanos().unsigned_abs();
        found.count();
        stats::scan_took(ns);
        events::scan_end(|| End {
            mm: self.mm,
            by: self.aim.by,
            looked: found.looked,
            empty: found.empty,
            zero_only: found.zero_only,
            freed: found.freed,
            ns,
        });
        found
    }

    /// How many tables it has freed so far.
    pub(crate) fn freed(&self) -> u64 {
        self.found.freed
    }

    fn key(&self, addr: usize) -> Key {
        Key::new(mm::id(self.mm), addr)
    }

    /// Fills in the tables that are worth locking; gives the first address of the PMD table.
    fn look(
        &mut self,
        range: &Range<usize>,
        empty: &mut Bits,
        zero_only: &mut Bits,
    ) -> Option<usize> {
        let rcu = rcu::read_lock();
        let region = Region::next(self.mm, range.start, &rcu)?;
        let start = region.start();
        if start >= range.end {
            return None;
        }
        let first = range.start.saturating_sub(start) / PMD_SIZE;
        let last = (range.end - start).div_ceil(PMD_SIZE).min(PTRS_PER_PMD);
        let mut index = first;
        while index < last {
            let irqs = IrqsOff::new();
            let mut enough = 0;
            while index < last && enough < AT_ONCE {
                let this = index;
                index += 1;
                let Some(table) = region.table(this, &irqs) else {
                    continue;
                };
                self.found.look();
                if self.closer {
                    self.look_closer(start + this * PMD_SIZE, &table);
                }
                enough += 1;
                if table.is_live() {
                    self.found.keep_live();
                    continue;
                }
                match self.look_through(&table) {
                    Due::No => {}
                    Due::Empty => empty.set(this),
                    Due::ZeroPages => zero_only.set(this),
                }
                enough += THROUGH;
            }
        }
        Some(start)
    }

    fn look_through(&mut self, table: &SeenTable<'_>) -> Due {
        let due = match table.contents() {
            Contents::Used(pte) => {
                self.found.keep(pte.why_kept());
                return Due::No;
            }
            Contents::Nothing => {
                self.found.empty += 1;
                Due::Empty
            }
            Contents::ZeroPages => {
                self.found.zero_only += 1;
                if !self.aim.zero_pages {
                    self.found.keep(Outcome::ZeroPages);
                    return Due::No;
                }
                Due::ZeroPages
            }
        };
        if self.is_due(table) {
            due
        } else {
            Due::No
        }
    }

    #[cold]
    fn look_closer(&mut self, addr: usize, table: &SeenTable<'_>) {
        if self.aim.fullness {
            if let Some(class) = self.found.fullness.get_mut(fullness(table.used())) {
                *class += 1;
            }
        }
        if let Some(age) = self.aim.age {
            let key = self.key(addr);
            let known = memory::recall(key);
            if known.is_back(key, self.now, age.window) {
                memory::remember(key, known.counted());
                self.found.back += 1;
            }
        }
    }

    /// Whether a table that seems empty is to be freed now.
    fn is_due(&mut self, table: &SeenTable<'_>) -> bool {
        if self.aim.node.is_some_and(|node| node != table.node()) {
            return false;
        }
        let Some(age) = self.aim.age else {
            return true;
        };
        let mm = mm::id(self.mm);
        let empty_for = table.update_word(|word| {
            let (stamp, since) = Stamp::from_word(word).seen(mm, age.round, self.now);
            (stamp.word(), since)
        });
        if empty_for < age.least {
            self.found.keep(Outcome::Young);
            return false;
        }
        true
    }

    /// Counts those tables of `seen` whose zero pages would have to stay. Never waits: a look at
    /// somebody else's tables must not hold them up.
    fn foresee(&mut self, start: usize, seen: &Bits) {
        for index in seen.within(0..PTRS_PER_PMD) {
            let addr = start + index * PMD_SIZE;
            let Some(cover) = Cover::vma(self.mm, addr).or_else(|| Cover::try_mmap(self.mm)) else {
                self.found.keep(Outcome::Busy);
                continue;
            };
            let slot = PmdSlot::new(&cover, addr);
            let why = match slot.as_ref().and_then(|slot| slot.table(0)) {
                Some(table) => table.keeps_zero_pages(&cover),
                None => Some(cover.why_gone(addr)),
            };
            if let Some(why) = why {
                self.found.keep(why);
            }
        }
    }

    /// Frees the tables of `due`, those in one VMA under its lock, the others under `mmap_lock`.
    fn free(&mut self, start: usize, due: &Bits, zero_pages: bool) {
        if due.len() < self.aim.at_least {
            return;
        }
        let mut others = Bits::new();
        let mut from = 0;
        while let Some(index) = due.next(from) {
            let addr = start + index * PMD_SIZE;
            from = index + 1;
            if let Some(cover) = Cover::vma(self.mm, addr) {
                from = index + cover.tables(addr, PTRS_PER_PMD - index).max(1);
                self.free_covered(&cover, start, due, index..from, zero_pages);
            } else {
                others.set(index);
            }
        }
        if others.is_empty() {
            return;
        }
        let cover = if self.aim.wait {
            Some(Cover::mmap(self.mm))
        } else {
            Cover::try_mmap(self.mm)
        };
        match cover {
            Some(cover) => {
                self.free_covered(&cover, start, &others, 0..PTRS_PER_PMD, zero_pages);
            }
            None => (0..others.len()).for_each(|_| self.found.keep(Outcome::Busy)),
        }
    }

    /// Frees the tables of `due` in `range`, in batches.
    fn free_covered(
        &mut self,
        cover: &Cover<'_>,
        start: usize,
        due: &Bits,
        range: Range<usize>,
        zero_pages: bool,
    ) {
        let allowed = zero_pages.then(|| self.allowed(cover, start, due, &range));
        let due = allowed.as_ref().unwrap_or(due);
        let mut from = range.start;
        // Secondary MMUs are told of what is in between, too: so nothing is.
        while let Some(batch) = if zero_pages {
            due.run(from, BATCH)
        } else {
            due.span(from, BATCH)
        } {
            let batch = batch.start..batch.end.min(range.end);
            if batch.is_empty() {
                break;
            }
            from = self.free_batch(cover, start, due, batch, zero_pages);
        }
    }

    /// Those of `due` whose mappings may lose their zero pages: asked before anybody is told.
    fn allowed(
        &mut self,
        cover: &Cover<'_>,
        start: usize,
        due: &Bits,
        range: &Range<usize>,
    ) -> Bits {
        let mut allowed = Bits::new();
        for index in due.within(range.clone()) {
            let addr = start + index * PMD_SIZE;
            match cover.keeps_zero_pages(addr, None) {
                None => allowed.set(index),
                Some(why) => {
                    events::kept(|| Table(self.mm, addr, why.name()));
                    self.found.keep(why);
                }
            }
        }
        allowed
    }

    /// Frees the tables of `due` in `range`, which are no more than a batch, and the first of which is
    /// due; gives the index after the last one it has tried.
    fn free_batch(
        &mut self,
        cover: &Cover<'_>,
        start: usize,
        due: &Bits,
        range: Range<usize>,
        zero_pages: bool,
    ) -> usize {
        let addr = |index: usize| start + index * PMD_SIZE;
        let invalidation =
            zero_pages.then(|| Invalidation::new(cover, addr(range.start)..addr(range.end)));
        let how = match invalidation {
            Some(_) => Outcome::ScanFreedZero,
            None => Outcome::ScanFreed,
        };
        let Some(slot) = PmdSlot::new(cover, addr(range.start)) else {
            self.found.keep(cover.why_gone(addr(range.start)));
            return range.start + 1;
        };
        let mut batch = UnlinkedBatch::new(slot.pmd_lock());
        for index in due.within(range.clone()) {
            let addr = addr(index);
            let Some(table) = slot.table(index - range.start) else {
                self.found.keep(cover.why_gone(addr));
                continue;
            };
            let empty = match &invalidation {
                Some(invalidation) => table.without_zero_pages(cover, invalidation),
                None => table.empty().map_err(|_| Outcome::Busy),
            };
            let unlinked = match empty {
                Ok(empty) => empty.unlink(),
                Err(why) => {
                    events::kept(|| Table(self.mm, addr, why.name()));
                    self.found.keep(why);
                    continue;
                }
            };
            batch.add(unlinked);
            events::freed(|| Table(self.mm, addr, how.name()));
            let key = self.key(addr);
            memory::remember(key, memory::recall(key).freed_by_scan(key, self.now));
        }
        let flushed = batch.flush();
        drop(slot);
        let freed = flushed.defer_free(self.mm) as u64;
        self.found.freed += freed;
        if zero_pages {
            self.found.freed_zero += freed;
        }
        range.end
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What happens to a table at the end of a zap: the decision, step by step, cheapest first.
//!
//! Most zaps end beside a page that stays, or in a table that begins or ends with one, and do not come
//! here. What does is bounded by [`crate::policy`]: a table is scanned again only if what was found last
//! time is gone, and freed again only if it was not filled at once the last time.

use crate::{
    memory,
    outcome::Outcome,
    pgtable::{
        pte::PteValue,
        zapped::{
            Covered,
            Verdict,
            ZapLock,
            ZappedTable, //
        },
    },
    policy::{
        Advice,
        Key, //
    },
    scan::hints,
    sys::{
        bindings::ptr_bug,
        events::{
            self,
            Table, //
        },
        once::read_once,
        seeded::seeded,
        time::jiffies, //
    },
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The parameter `refill_ms`, in jiffies.
static REFILL_INTERVAL: Atomic<u64> = Atomic::new(0);

/// Sets how long, in jiffies, a table that was freed and filled again is left.
pub(crate) fn set_refill_interval(jiffies: u64) {
    REFILL_INTERVAL.store(jiffies, Relaxed);
}

#[inline(always)]
fn count_kept(zapped: &ZappedTable<'_>, reason: Outcome) {
    reason.count();
    events::kept(|| event(zapped, reason));
}

#[inline(always)]
fn keep(zapped: &ZappedTable<'_>, reason: Outcome) -> Verdict {
    count_kept(zapped, reason);
    Verdict::Keep
}

#[inline(always)]
fn event<'a>(zapped: &'a ZappedTable<'_>, what: Outcome) -> Table<'a> {
    Table(zapped.address_space(), zapped.start(), what.name())
}

/// Keeps the table, and has the background scanner look at the address space.
#[inline(always)]
fn leave(zapped: &ZappedTable<'_>, reason: Outcome) -> Verdict {
    hints::hint(zapped.address_space());
    keep(zapped, reason)
}

/// Keeps the table for what is in it. If that is a zero page, there may be nothing else.
#[inline(always)]
fn keep_for(zapped: &ZappedTable<'_>, pte: PteValue) -> Verdict {
    if pte.is_zero_page() {
        hints::hint(zapped.address_space());
    }
    keep(zapped, pte.why_kept())
}

/// Whether that is all that there is to do: the table still has the page that was found in it the
/// last time, or it was freed a moment ago, and the background scanner is to look at the address
/// space anyway. Then it is counted. Called with the PTE lock held.
#[inline(always)]
pub(crate) fn ends_early(zapped: &ZappedTable<'_>) -> bool {
    let key = key(zapped);
    let known = memory::recall(key);
    if let Some(index) = known.witness(key) {
        if zapped.ptes().maps_page(index) {
            count_kept(zapped, Outcome::Present);
            return true;
        }
    }
    let left = known.is_left(key, jiffies(), read_once(&REFILL_INTERVAL))
        && matches!(zapped.zap_lock(), ZapLock::Mmap | ZapLock::Vma)
        && zapped.stays_mapped()
        && hints::is_hinted(zapped.address_space());
    if left {
        count_kept(zapped, Outcome::Refilled);
    }
    left
}

#[inline(always)]
fn key(zapped: &ZappedTable<'_>) -> Key {
    let (mm, start) = zapped.id();
    Key::new(mm, start)
}

/// Frees the table if it can be freed; counts what became of it. Called with the PTE lock held;
/// never sleeps, never waits for a lock.
pub(crate) fn zap_end(zapped: ZappedTable<'_>) -> Verdict {
    match zapped.zap_lock() {
        ZapLock::Mmap | ZapLock::Vma => {}
        ZapLock::Rmap => return leave(&zapped, Outcome::RmapLock),
        ZapLock::Unknown => return leave(&zapped, Outcome::UnknownLock),
    }
    if zapped.unmapped() {
        return keep(&zapped, Outcome::Unmapped);
    }
    if zapped.exiting() {
        return keep(&zapped, Outcome::Exiting);
    }

    let key = key(&zapped);
    let known = memory::recall(key);
    let (now, interval) = (jiffies(), read_once(&REFILL_INTERVAL));
    match known.advice(key, now, interval) {
        Advice::Look => {}
        Advice::LookAt(index) => {
            if let Some(pte) = zapped.ptes().get(index) {
                return keep_for(&zapped, pte);
            }
        }
        Advice::Leave => return leave(&zapped, Outcome::Refilled),
    }

    let none = match zapped.none() {
        Ok(none) => none,
        Err((index, pte)) => {
            // Eight words share a cache line: no store that changes nothing.
            let occupied = known.occupied(key, index);
            if occupied != known {
                memory::remember(key, occupied);
            }
            return keep_for(&zapped, pte);
        }
    };
    let Some(covered) = zapped.covered() else {
        return leave(&zapped, Outcome::Straddles);
    };
    let Some(lock) = zapped.try_lock_pmd() else {
        if seeded(ptr_bug::PTR_BUG_TRYLOCK_LOST) {
            return keep(&zapped, Outcome::PmdBusy);
        }
        return match covered {
            Covered::ByZap => {
                Outcome::Retried.count();
                Verdict::Retry
            }
            // The second look would be without `mmap_lock`.
            Covered::ByMmapLock { .. } => leave(&zapped, Outcome::PmdBusy),
        };
    };
    let table = zapped.empty(&none, &covered, &lock).unlink().into_gather();
    drop(lock);
    drop(covered);

    memory::remember(key, known.freed(key, now, interval));
    Outcome::Freed.count();
    events::freed(|| event(&zapped, Outcome::Freed));
    Verdict::Unlinked(table)
}

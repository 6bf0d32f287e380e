// SPDX-License-Identifier: GPL-2.0

//! What happens to a table at the end of a zap: the decision, step by step, cheapest first.
//!
//! Most zaps end in a live table and see one or two of its entries. What goes further is bounded by
//! [`crate::policy`]: a table is scanned again only if what was found last time is gone, and freed
//! again only if it was not filled at once the last time.

use crate::{
    outcome::Outcome,
    pgtable::zapped::{
        Covered,
        Verdict,
        ZapLock,
        ZappedTable, //
    },
    policy::{
        Advice,
        Key,
        Memory,
        MEMORY_BITS, //
    },
    sys::time::jiffies,
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// One word per table, or rather per hash of one. Racing writers lose one of two hints.
static MEMORIES: [Atomic<u64>; 1 << MEMORY_BITS] = [const { Atomic::new(0) }; 1 << MEMORY_BITS];

/// The parameter `refill_ms`, in jiffies.
static REFILL_INTERVAL: Atomic<u64> = Atomic::new(0);

/// Sets how long, in jiffies, a table that was freed and filled again is left.
pub(crate) fn set_refill_interval(jiffies: u64) {
    REFILL_INTERVAL.store(jiffies, Relaxed);
}

/// Frees the table if it can be freed; counts what became of it. Called with the PTE lock held;
/// never sleeps, never waits for a lock.
#[inline(always)]
pub(crate) fn zap_end(zapped: ZappedTable<'_>) -> Verdict {
    match zapped.zap_lock() {
        ZapLock::Mmap | ZapLock::Vma => {}
        ZapLock::Rmap => return keep(Outcome::RmapLock),
        ZapLock::Unknown => return keep(Outcome::UnknownLock),
    }
    // A live table ends here. The rest is out of line, so that this needs no frame of its own.
    if let Some(pte) = zapped.neighbour() {
        return keep(pte.why_kept());
    }
    decide(zapped)
}

#[inline(always)]
fn keep(reason: Outcome) -> Verdict {
    reason.count();
    Verdict::Keep
}

#[inline(never)]
fn decide(zapped: ZappedTable<'_>) -> Verdict {
    if zapped.unmapped() {
        return keep(Outcome::Unmapped);
    }
    if zapped.exiting() {
        return keep(Outcome::Exiting);
    }

    let (mm, start) = zapped.id();
    let key = Key::new(mm, start);
    let Some(memory) = MEMORIES.get(key.index()) else {
        return Verdict::Keep;
    };
    let known = Memory::from_word(memory.load(Relaxed));
    let now = jiffies();
    match known.advice(key, now, REFILL_INTERVAL.load(Relaxed)) {
        Advice::Look => {}
        Advice::LookAt(index) => {
            if let Some(pte) = zapped.ptes().get(index) {
                return keep(pte.why_kept());
            }
        }
        Advice::Leave => return keep(Outcome::Refilled),
    }

    let none = match zapped.none() {
        Ok(none) => none,
        Err((index, pte)) => {
            // Eight words share a cache line: no store that changes nothing.
            let occupied = known.occupied(key, index);
            if occupied != known {
                memory.store(occupied.word(), Relaxed);
            }
            return keep(pte.why_kept());
        }
    };
    let Some(covered) = zapped.covered() else {
        return keep(Outcome::Straddles);
    };
    let Some(lock) = zapped.try_lock_pmd() else {
        return match covered {
            Covered::ByZap => {
                Outcome::Retried.count();
                Verdict::Retry
            }
            // The second look would be without `mmap_lock`.
            Covered::ByMmapLock { .. } => keep(Outcome::PmdBusy),
        };
    };
    let table = zapped.empty(&none, &covered, &lock).unlink().into_gather();
    drop(lock);
    drop(covered);

    memory.store(Memory::freed(key, now).word(), Relaxed);
    Outcome::Freed.count();
    Verdict::Unlinked(table)
}

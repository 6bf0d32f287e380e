// SPDX-License-Identifier: GPL-2.0

//! The background scanner: it looks at the address spaces that were hinted at, and frees what has
//! been empty for a while.
//!
//! It runs once per interval as long as there is something to look at, and not at all otherwise.
//! Each time it goes once round all slots, or until its budget is used up; then it goes on there the
//! next time.

use crate::{
    pgtable::PUD_SIZE,
    scan::{
        found::Found,
        hints::{
            self,
            Slot,
            SLOTS, //
        },
        patience::Patience,
        sweep::{
            Age,
            Aim,
            Sweep, //
        },
    },
    sys::{
        mm::{
            self,
            is_dying, //
        },
        time::{
            jiffies,
            seconds,
            yield_if_needed, //
        },
        work::Settings, //
    },
};
use kernel::{
    mm::Mm,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};

/// Seconds between two looks at all processes, if hints are lost.
const ALL_AGAIN: u64 = 10;

/// Where the scanner is. Only it writes here; it runs once at a time.
struct Position {
    /// The slot to go on with, and its address space, as a number.
    slot: Atomic<u64>,
    mm: Atomic<u64>,
    /// The address to go on at.
    addr: Atomic<u64>,
    /// How many rounds there have been.
    round: Atomic<u64>,
    /// When all processes were offered, in jiffies, and where that is to go on; 0 is nowhere.
    all: Atomic<u64>,
    all_from: Atomic<u64>,
}

static POSITION: Position = Position {
    slot: Atomic::new(0),
    mm: Atomic::new(0),
    addr: Atomic::new(0),
    round: Atomic::new(0),
    all: Atomic::new(0),
    all_from: Atomic::new(0),
};

/// How long the scanner may run. By the clock: time in which somebody else had the CPU counts too.
struct Budget {
    since: Instant<Monotonic>,
    most: Delta,
}

impl Budget {
    fn is_used_up(&self) -> bool {
        self.since.elapsed() >= self.most
    }
}

/// How the scan of one address space ended.
enum End {
    Done,
    OutOfBudget,
}

/// Goes once round, or as far as the budget reaches; whether to run again an interval later. May
/// sleep.
pub(crate) fn run() -> bool {
    let settings = Settings::now();
    let budget = Budget {
        since: Instant::now(),
        most: Delta::from_micros(settings.budget_us),
    };
    let at = &POSITION;

    let now = jiffies();
    let from = at.all_from.load(Relaxed);
    let again = now.wrapping_sub(at.all.load(Relaxed)) >= seconds(ALL_AGAIN);
    // More than there is room for come in several rounds, each after all slots had their turn.
    let new_round = at.slot.load(Relaxed) == 0;
    if new_round && (from != 0 || again && hints::overflowed()) {
        at.all.store(now, Relaxed);
        at.all_from.store(mm::offer_all(from), Relaxed);
    }

    for index in at.slot.load(Relaxed) as usize..SLOTS {
        let Some(slot) = hints::slot(index) else {
            break;
        };
        if !slot.mm.is_used() {
            continue;
        }
        if let End::OutOfBudget = scan_slot(slot, settings, &budget) {
            at.slot.store(index as u64, Relaxed);
            return true;
        }
    }
    at.slot.store(0, Relaxed);
    at.round
        .store(at.round.load(Relaxed).wrapping_add(1), Relaxed);
    hints::slots().any(|slot| slot.mm.is_used())
        || hints::is_overflowed()
        || at.all_from.load(Relaxed) != 0
}

fn scan_slot(slot: &Slot, settings: Settings, budget: &Budget) -> End {
    let Some(target) = slot.mm.get() else {
        return End::Done;
    };
    let Some(mm) = mm::join(&target) else {
        slot.forget_dead();
        return End::Done;
    };
    slot.move_in(&target);

    let at = &POSITION;
    let id = target.as_raw() as u64;
    let mut addr = 0;
    if at.mm.load(Relaxed) == id {
        addr = at.addr.load(Relaxed) as usize;
    } else {
        slot.waiting.store(0, Relaxed);
    }
    at.mm.store(0, Relaxed);
    if addr == 0 {
        slot.mm.take_hint(&target);
    }

    let now = jiffies();
    let patience = Patience::from_word(slot.patience.load(Relaxed));
    let watching = patience.is_watching(now, settings.age);
    let aim = Aim {
        free: true,
        wait: false,
        at_least: 0,
        zero_pages: settings.zero_pages,
        fullness: false,
        node: None,
        by: c"background",
        age: Some(Age {
            least: patience.age(settings.age),
            round: at.round.load(Relaxed) as u16,
            window: if watching {
                patience.window(settings.age)
            } else {
                0
            },
        }),
    };
    let mut sweep = Sweep::new(&mm, addr, aim);
    let mut next = Some(addr);
    while let Some(addr) = next {
        if is_dying(&mm) {
            slot.mm.forget(&target);
            break;
        }
        if budget.is_used_up() && addr != 0 {
            at.mm.store(id, Relaxed);
            at.addr.store(addr as u64, Relaxed);
            keep(slot, &mm, patience, &sweep.finish(), now, settings.age);
            return End::OutOfBudget;
        }
        next = sweep.step(addr..usize::MAX & !(PUD_SIZE - 1));
        yield_if_needed();
    }
    keep(slot, &mm, patience, &sweep.finish(), now, settings.age);
    if slot.waiting.load(Relaxed) == 0 {
        slot.mm.release(&target);
    }
    End::Done
}

/// Keeps what the scan of an address space, or a part of it, has found.
fn keep(slot: &Slot, mm: &Mm, patience: Patience, found: &Found, now: u64, age: u64) {
    let waiting = u64::from(slot.waiting.load(Relaxed)) + found.waiting;
    slot.waiting
        .store(u32::try_from(waiting).unwrap_or(u32::MAX), Relaxed);
    slot.patience.store(
        patience.after(found.freed, found.back, now, age).word(),
        Relaxed,
    );
    slot.ledger.add(mm, found);
}

// SPDX-License-Identifier: GPL-2.0

//! Which address spaces are worth a look: those that something was cleared in since the last one.
//!
//! A fixed number of slots, so that a hint allocates nothing and waits for nobody. What finds no
//! room is not lost: then every process is offered again a while later.

use super::ledger::Ledger;
use crate::sys::{
    forced::may_have_slot,
    mm::{
        self,
        MmSlot,
        Offered, //
    },
    once::{
        read_once,
        smp_mb,
        write_once, //
    },
    pressure,
    time::jiffies,
    work, //
};
use kernel::{
    mm::Mm,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
};

/// log2 of the number of slots.
const SLOT_BITS: u32 = 10;

/// Slots that one address space may be in.
const NEIGHBOURS: usize = 4;

/// How many slots there are.
pub(crate) const SLOTS: usize = 1 << SLOT_BITS;

/// One address space, and what is known of it.
pub(crate) struct Slot {
    /// The address space.
    pub(crate) mm: MmSlot,
    /// The number of that which the rest is about. It stays when the slot is free.
    tenant: Atomic<u64>,
    /// Tables that were seen empty and wait to be freed.
    pub(crate) waiting: Atomic<u32>,
    /// A [`crate::scan::patience::Patience`].
    pub(crate) patience: Atomic<u64>,
    /// When its memory cgroup was told, in jiffies.
    announced: Atomic<u64>,
    /// When memory was short and nothing was found here, and on which node ([`crate::pressure`]).
    pub(crate) fruitless: Atomic<u64>,
    /// What was made of it.
    pub(crate) ledger: Ledger,
}

impl Slot {
    /// From now on it is about `mm`. If that is new here, nothing is known.
    pub(crate) fn move_in(&self, mm: &Mm) {
        let id = mm::id(mm);
        if read_once(&self.tenant) != id {
            write_once(&self.tenant, id);
            write_once(&self.patience, 0);
            write_once(&self.fruitless, 0);
            self.ledger.clear();
        }
    }

    /// Frees the slot if the address space has gone.
    pub(crate) fn forget_dead(&self) {
        if let Some(mm) = self.mm.get().filter(|mm| !mm::has_users(mm)) {
            self.mm.forget(&mm);
        }
    }

    /// Has reclaim in the memory cgroup of `mm` ask for its tables. Again each jiffy in which there is
    /// a hint, since it may move to another cgroup.
    fn announce(&self, mm: &Mm) {
        write_once(&self.announced, jiffies());
        pressure::has_tables(mm);
    }
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        mm: MmSlot::new(),
        tenant: Atomic::new(0),
        waiting: Atomic::new(0),
        patience: Atomic::new(0),
        announced: Atomic::new(0),
        fruitless: Atomic::new(0),
        ledger: Ledger::new(),
    }
}; SLOTS];

/// Whether an address space found no slot.
static OVERFLOW: Atomic<bool> = Atomic::new(false);

/// Whether it is known already that there may be empty tables in `mm`. Any context.
#[inline]
pub(crate) fn is_hinted(mm: &Mm) -> bool {
    // What was cleared is seen before the hint is taken: pairs with `MmSlot::take_hint`.
    smp_mb();
    TABLE
        .get(home(mm))
        .is_some_and(|slot| slot.mm.is_hinted_at(mm) && read_once(&slot.announced) == jiffies())
}

/// There may be empty tables in `mm`. Any context; most of the time it is known already.
#[inline]
pub(crate) fn hint(mm: &Mm) {
    if !is_hinted(mm) {
        take_up(mm);
    }
}

/// Not if nobody uses it any more. Out of line, so that the above needs no stack.
#[cold]
#[inline(never)]
fn take_up(mm: &Mm) {
    if mm::has_users(mm) && !find_room(mm, home(mm)) {
        overflow();
    }
}

/// The same where nobody has said so. Whether it has a slot; after the last try it is left out until
/// the next time.
#[cold]
pub(crate) fn offer(mm: &Mm, last_try: bool) -> bool {
    let room = find_room(mm, home(mm));
    if !room && last_try {
        overflow();
    }
    room || last_try
}

/// Somebody found no slot: all are offered again.
pub(crate) fn overflow() {
    OVERFLOW.store(true, Relaxed);
    work::arm();
}

/// The slot that an address space is looked for first.
#[inline]
fn home(mm: &Mm) -> usize {
    ((mm.as_raw() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOT_BITS)) as usize
}

#[cold]
fn find_room(mm: &Mm, first: usize) -> bool {
    if !may_have_slot() {
        return false;
    }
    for nth in 0..NEIGHBOURS {
        let Some(slot) = TABLE.get((first + nth) % SLOTS) else {
            break;
        };
        match slot.mm.offer(mm) {
            Offered::Known => {
                if read_once(&slot.announced) != jiffies() {
                    slot.announce(mm);
                }
                return true;
            }
            Offered::New => {
                slot.announce(mm);
                work::arm();
                return true;
            }
            Offered::Full => {}
        }
    }
    false
}

/// Frees the slots of address spaces that have gone; whether any is still used.
pub(crate) fn forget_dead() -> bool {
    slots()
        .filter(|slot| slot.mm.is_used())
        .fold(false, |any, slot| {
            slot.forget_dead();
            any || slot.mm.is_used()
        })
}

/// The slot `index`.
pub(crate) fn slot(index: usize) -> Option<&'static Slot> {
    TABLE.get(index)
}

/// All slots.
pub(crate) fn slots() -> impl Iterator<Item = &'static Slot> {
    TABLE.iter()
}

/// Whether a hint was lost since [`overflowed`] said so.
pub(crate) fn is_overflowed() -> bool {
    OVERFLOW.load(Relaxed)
}

/// The same; from now on others count.
pub(crate) fn overflowed() -> bool {
    is_overflowed() && OVERFLOW.xchg(false, Full)
}

/// What was hinted at, from load to unload.
pub(crate) struct Hints(());

impl Hints {
    /// To be called once, before any hint comes.
    pub(crate) fn new() -> Self {
        mm::init();
        Self(())
    }
}

impl Drop for Hints {
    /// Forgets everything. No hint comes any more, and nobody looks.
    fn drop(&mut self) {
        for slot in slots() {
            if let Some(mm) = slot.mm.get() {
                slot.mm.forget(&mm);
            }
        }
    }
}

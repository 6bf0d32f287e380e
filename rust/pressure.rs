// SPDX-License-Identifier: GPL-2.0

//! Memory pressure: the shrinker's two functions, and the last call before the OOM killer. They run
//! in the middle of reclaim: whatever they lock is only tried, and nothing is allocated.

use crate::{
    pgtable::PTRS_PER_PMD,
    scan::{
        hints::{
            self,
            Slot, //
        },
        sweep::{
            Aim,
            Sweep, //
        },
    },
    sys::{
        mm::{
            self,
            is_dying, //
        },
        once::{
            read_once,
            write_once, //
        },
        pressure::{
            nodes,
            spare_tables,
            MemCgroup, //
        },
        time::{
            jiffies,
            milliseconds,
            seconds,
            yield_if_needed, //
        },
    },
};
use kernel::{
    mm::Mm,
    prelude::*,
    sync::atomic::Atomic,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};

/// For so many milliseconds an address space is left alone when nothing was found in it.
const FRUITLESS: u64 = 100;

/// So many tables more than there are threads must be empty under one PMD table for any to be freed.
/// A thread in a fault has an empty table too, until it has memory for the page, and its fault is
/// what reclaims: were that freed alone, the fault would start over, allocate another one, and so on
/// for ever. This way each round takes tables that nobody allocates again.
const SPARE: u32 = 8;

/// So many are enough in any case: of more than two hundred threads, all in faults in the same 1 GiB,
/// one has been through.
const ENOUGH: u32 = PTRS_PER_PMD as u32 / 2;

/// So many tables are worth sparing the OOM killer's victim.
const OOM_LEAST: u64 = 64;
/// Seconds between two looks for it.
const OOM_INTERVAL: u64 = 1;
/// It is not kept waiting longer.
const OOM_TIME: Delta = Delta::from_secs(1);

/// About how many tables there are to free on one node for one memory cgroup; 0 only if there is no
/// address space to look at. Estimated by what it has beyond need: a look would cost too much here.
pub(crate) fn count(memcg: &MemCgroup, node: i32) -> u64 {
    let mut found = false;
    let mut sum = 0;
    for slot in hints::slots().filter(|slot| slot.mm.is_used()) {
        let Some(mm) = slot.mm.get() else {
            continue;
        };
        if memcg.has(&mm) {
            found = true;
            sum += worth(slot, &mm, node);
        }
    }
    let share = sum.div_ceil(u64::from(nodes()).max(1));
    share.max(u64::from(found))
}

fn worth(slot: &Slot, mm: &Mm, node: i32) -> u64 {
    slot.move_in(mm);
    let was = read_once(&slot.fruitless);
    let now = fruitless(node);
    if was as u32 == now as u32 && (now >> 32).wrapping_sub(was >> 32) < milliseconds(FRUITLESS) {
        return 0;
    }
    spare_tables(mm).max(u64::from(read_once(&slot.waiting)))
}

/// That there is nothing now, and on which node; never 0.
fn fruitless(node: i32) -> u64 {
    jiffies() << 32 | u64::from(node.unsigned_abs() + 1)
}

/// Frees about so many tables of one node, for one memory cgroup; says how many. None: then there is
/// no point in asking again soon.
pub(crate) fn shrink(memcg: &MemCgroup, node: i32, most: u64) -> Option<u64> {
    let mut freed = 0;
    for slot in hints::slots().filter(|slot| slot.mm.is_used()) {
        if freed >= most {
            break;
        }
        let Some(mm) = slot.mm.get() else {
            continue;
        };
        if memcg.has(&mm) && worth(slot, &mm, node) > 0 {
            freed += sweep(slot, &mm, Some(node), most - freed, c"shrinker", None);
        }
    }
    (freed > 0).then_some(freed)
}

/// When the OOM killer last came by, in jiffies.
static ASKED: Atomic<u64> = Atomic::new(0);

/// Frees whatever is empty in any process; says how many tables. Few are not worth a say: each time
/// that anything is, the OOM killer goes away without a victim.
pub(crate) fn before_oom() -> u64 {
    let now = jiffies();
    let asked = read_once(&ASKED);
    if asked != 0 && now.wrapping_sub(asked) < seconds(OOM_INTERVAL) {
        return 0;
    }
    write_once(&ASKED, now.max(1));
    let since = Instant::<Monotonic>::now();
    mm::offer_all(0);
    let mut freed = 0;
    for slot in hints::slots().filter(|slot| slot.mm.is_used()) {
        if let Some(mm) = slot.mm.get() {
            slot.move_in(&mm);
            freed += sweep(slot, &mm, None, u64::MAX, c"oom", Some(since));
        }
    }
    if freed < OOM_LEAST {
        0
    } else {
        freed
    }
}

/// `since` is when a sweep of limited time began.
fn sweep(
    slot: &Slot,
    target: &Mm,
    node: Option<i32>,
    most: u64,
    by: &'static CStr,
    since: Option<Instant<Monotonic>>,
) -> u64 {
    let Some(mm) = mm::join(target) else {
        slot.forget_dead();
        return 0;
    };
    // Now, for others who come at the same time.
    write_once(&slot.fruitless, node.map_or(0, fruitless));
    let aim = Aim {
        free: true,
        wait: false,
        at_least: mm::users(&mm).saturating_add(SPARE).min(ENOUGH),
        // Their notifiers may wait for whoever waits for memory.
        zero_pages: false,
        fullness: false,
        node,
        age: None,
        by,
    };
    let in_time = || since.is_none_or(|since| since.elapsed() < OOM_TIME);
    let mut sweep = Sweep::new(&mm, 0, aim);
    let mut next = Some(0);
    while let Some(addr) = next.filter(|_| sweep.freed() < most && in_time() && !is_dying(&mm)) {
        next = sweep.step(addr..usize::MAX);
        yield_if_needed();
    }
    let freed = sweep.finish().freed;
    if freed > 0 || next.is_some() {
        write_once(&slot.fruitless, 0);
    }
    freed
}

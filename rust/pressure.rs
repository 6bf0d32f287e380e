// SPDX-License-Identifier: GPL-2.0

//! Memory pressure: the shrinker's two functions, and the last call before the OOM killer. They run
//! in the middle of reclaim: whatever they lock is only tried, and nothing is allocated.

use crate::{
    hints::{
        self,
        Slot, //
    },
    sweep::{
        Aim,
        Sweep, //
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
            yield_if_needed, //
        },
    },
};
use kernel::{
    mm::Mm,
    prelude::*, //
};

/// For so many milliseconds an address space is left alone when nothing was found in it.
const FRUITLESS: u64 = 100;

/// About how many tables there are to free on one node for one memory cgroup; 0 only if there is no
/// address space to look at. Estimated by what it has beyond need: a look would cost too much here.
pub(crate) fn count(memcg: &MemCgroup) -> u64 {
    let mut found = false;
    let mut sum = 0;
    for slot in hints::slots().filter(|slot| slot.mm.is_used()) {
        let Some(mm) = slot.mm.get() else {
            continue;
        };
        if memcg.has(&mm) {
            found = true;
            sum += worth(slot, &mm);
        }
    }
    let share = sum.div_ceil(u64::from(nodes()).max(1));
    share.max(u64::from(found))
}

fn worth(slot: &Slot, mm: &Mm) -> u64 {
    let since = jiffies().wrapping_sub(read_once(&slot.fruitless));
    if since < milliseconds(FRUITLESS) {
        return 0;
    }
    spare_tables(mm).max(u64::from(read_once(&slot.waiting)))
}

/// Frees about so many tables of one node, for one memory cgroup; says how many.
pub(crate) fn shrink(memcg: &MemCgroup, node: i32, most: u64) -> u64 {
    let mut freed = 0;
    for slot in hints::slots().filter(|slot| slot.mm.is_used()) {
        if freed >= most {
            break;
        }
        let Some(mm) = slot.mm.get() else {
            continue;
        };
        if memcg.has(&mm) && worth(slot, &mm) > 0 {
            freed += sweep(slot, &mm, Some(node), most - freed, c"shrinker");
        }
    }
    freed
}

/// Frees whatever is empty in any process; says how many tables.
pub(crate) fn before_oom() -> u64 {
    mm::hint_at_all();
    let mut freed = 0;
    for slot in hints::slots().filter(|slot| slot.mm.is_used()) {
        if let Some(mm) = slot.mm.get() {
            freed += sweep(slot, &mm, None, u64::MAX, c"oom");
        }
    }
    freed
}

fn sweep(slot: &Slot, target: &Mm, node: Option<i32>, most: u64, by: &'static CStr) -> u64 {
    let Some(mm) = mm::join(target) else {
        return 0;
    };
    let aim = Aim {
        free: true,
        wait: false,
        // Their notifiers may wait for whoever waits for memory.
        zero_pages: false,
        fullness: false,
        node,
        age: None,
        by,
    };
    let mut sweep = Sweep::new(&mm, 0, aim);
    let mut next = Some(0);
    while let Some(addr) = next.filter(|_| sweep.freed() < most && !is_dying(&mm)) {
        next = sweep.step(addr..usize::MAX);
        yield_if_needed();
    }
    let freed = sweep.finish().freed;
    if freed == 0 && next.is_none() {
        write_once(&slot.fruitless, jiffies());
    }
    freed
}

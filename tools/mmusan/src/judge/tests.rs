// SPDX-License-Identifier: GPL-2.0

//! Each verdict, on page tables made up for it.

use super::*;
use crate::walk::fake::Fake;
use std::cell::{Cell, RefCell};

const ADDR: u64 = 0x7f12_3456_7000;
const PAGE: u64 = ADDR >> 12;
const OLD: u64 = 0x111;
const NEW: u64 = 0x222;

#[derive(Default)]
struct World {
    memory: Fake,
    frees: RefCell<HashMap<u64, u32>>,
    grace_over: Cell<bool>,
    judge: RefCell<Judge<()>>,
}

impl Frames for World {
    fn freed(&self, frame: u64) -> u32 {
        self.frees.borrow().get(&frame).copied().unwrap_or(0)
    }
}

impl Graces for World {
    type Grace = ();
    fn begin(&self) {}
    fn over(&self, _: &mut ()) -> bool {
        self.grace_over.get()
    }
}

impl World {
    /// With the page in the tables and in the TLB, in this size.
    fn with(size: Size) -> Self {
        let mut world = Self::default();
        world.memory.map(ADDR, OLD & !511, size);
        if size == Size::Small {
            world.memory.map(ADDR, OLD, size);
        }
        assert_eq!(
            world.uses(world.memory.walk(ADDR).frame().unwrap()),
            Verdict::Right
        );
        world
    }

    fn uses(&self, frame: u64) -> Verdict {
        let walk = self.memory.walk(ADDR);
        self.judge.borrow_mut().judge(PAGE, frame, walk, self, self)
    }

    fn old(&self) -> u64 {
        self.judge.borrow().known(PAGE).unwrap().frame
    }

    fn clear(&mut self, level: u32) {
        let slot = self.memory.slot(ADDR, level);
        self.memory.set(slot, 0);
    }

    fn free(&self, frame: u64) {
        *self.frees.borrow_mut().entry(frame).or_default() += 1;
    }

    fn table(&mut self) -> u64 {
        self.memory.slot(ADDR, 1) >> 12
    }
}

#[test]
fn a_flush_may_be_on_its_way() {
    let mut world = World::with(Size::Small);
    world.clear(1);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.memory.map(ADDR, NEW, Size::Small);
    assert_eq!(world.uses(OLD), Verdict::Pending);
}

#[test]
fn but_not_for_ever() {
    let mut world = World::with(Size::Small);
    world.clear(1);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.grace_over.set(true);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::Stale));
    assert_eq!(world.uses(OLD), Verdict::Known);
}

#[test]
fn a_flush_ends_the_doubt() {
    for all in [true, false] {
        let mut world = World::with(Size::Small);
        world.clear(1);
        assert_eq!(world.uses(OLD), Verdict::Pending);
        match all {
            true => world.judge.borrow_mut().flushed_all(),
            false => world.judge.borrow_mut().flushed(PAGE),
        }
        world.grace_over.set(true);
        assert_eq!(world.uses(OLD), Verdict::Pending);
    }
}

#[test]
fn a_flush_of_another_page_does_not() {
    let mut world = World::with(Size::Small);
    world.clear(1);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.judge.borrow_mut().flushed(PAGE + 1);
    world.judge.borrow_mut().flushed(PAGE + 512);
    world.grace_over.set(true);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::Stale));
}

#[test]
fn the_same_again_ends_the_doubt() {
    let mut world = World::with(Size::Small);
    world.clear(1);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.memory.map(ADDR, OLD, Size::Small);
    assert_eq!(world.uses(OLD), Verdict::Right);
    world.clear(1);
    world.grace_over.set(true);
    assert_eq!(world.uses(OLD), Verdict::Pending);
}

#[test]
fn a_huge_page_over_a_small_one() {
    let mut world = World::with(Size::Small);
    world.clear(2);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.memory.map(ADDR, 0x4400, Size::Huge);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::MixedSize));
    assert_eq!(world.uses(OLD), Verdict::Known);
}

#[test]
fn a_table_over_a_huge_page() {
    for mapped in [true, false] {
        let mut world = World::with(Size::Huge);
        let old = world.old();
        world.clear(2);
        assert_eq!(world.uses(old), Verdict::Pending);
        world.memory.map(ADDR, NEW, Size::Small);
        if !mapped {
            world.clear(1);
        }
        assert_eq!(world.uses(old), Verdict::Wrong(Class::MixedSize));
    }
}

#[test]
fn a_huge_page_flushed_by_any_of_its_pages() {
    let mut world = World::with(Size::Huge);
    let old = world.old();
    world.judge.borrow_mut().flushed(PAGE ^ 5);
    world.clear(2);
    world.memory.map(ADDR, NEW, Size::Small);
    // It may be in the TLB since the flush, from somewhere else.
    assert_eq!(world.uses(old), Verdict::Pending);
}

#[test]
fn another_table() {
    let mut world = World::with(Size::Small);
    world.clear(2);
    world.memory.map(ADDR, NEW, Size::Small);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::ReplacedTable));
}

#[test]
fn another_table_where_that_is_legal() {
    let mut world = World {
        judge: RefCell::new(Judge::new(true)),
        ..World::default()
    };
    world.memory.map(ADDR, OLD, Size::Small);
    assert_eq!(world.uses(OLD), Verdict::Right);
    world.clear(2);
    world.memory.map(ADDR, NEW, Size::Small);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.grace_over.set(true);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::Stale));
}

#[test]
fn another_table_after_a_flush() {
    let mut world = World::with(Size::Small);
    world.clear(2);
    world.judge.borrow_mut().flushed_all();
    world.memory.map(ADDR, NEW, Size::Small);
    assert_eq!(world.uses(NEW), Verdict::Right);
}

#[test]
fn a_freed_frame() {
    let mut world = World::with(Size::Small);
    world.clear(1);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.free(OLD);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::FreedFrame));
}

#[test]
fn a_frame_freed_before_it_was_mapped() {
    let mut world = World::default();
    world.free(OLD);
    world.memory.map(ADDR, OLD, Size::Small);
    assert_eq!(world.uses(OLD), Verdict::Right);
    world.clear(1);
    assert_eq!(world.uses(OLD), Verdict::Pending);
}

#[test]
fn a_freed_table() {
    let mut world = World::with(Size::Small);
    let table = world.table();
    world.clear(2);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.free(table);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::FreedTable));
}

#[test]
fn a_freed_table_that_is_still_walked() {
    let mut world = World::with(Size::Small);
    let table = world.table();
    world.free(table);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::WalkFreed));
}

#[test]
fn what_was_never_seen_in_order_needs_a_grace_period() {
    let mut world = World::default();
    world.memory.map(ADDR, 0x4400, Size::Huge);
    assert_eq!(world.uses(OLD), Verdict::Pending);
    world.grace_over.set(true);
    assert_eq!(world.uses(OLD), Verdict::Wrong(Class::Stale));
}

#[test]
fn slots_of_a_region_are_all_different() {
    let slots: std::collections::HashSet<_> = (0..512).map(|n| slot(PAGE & !511 | n)).collect();
    assert_eq!(slots.len(), 512);
    assert_ne!(slot(PAGE), slot(PAGE + 512));
}

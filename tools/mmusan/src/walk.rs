// SPDX-License-Identifier: GPL-2.0

//! The walk of the page tables that the hardware would do now: four or five levels of x86-64.

/// The guest's physical memory.
pub trait Memory {
    /// The eight bytes at `phys`, which is a multiple of eight; `None` where there is no RAM.
    fn read(&self, phys: u64) -> Option<u64>;
}

/// How much one leaf entry maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    Small,
    Huge,
    Giant,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Small => "4K",
            Size::Huge => "2M",
            Size::Giant => "1G",
        }
    }
}

/// What the tables have for one page of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// A present leaf: the frame number of this very page, also inside a larger leaf.
    Leaf {
        frame: u64,
        size: Size,
        table: Option<u64>,
    },
    /// Nothing present. `table`: the frame number of the PTE table, if the walk came so far.
    None { table: Option<u64> },
    /// The tables lead to where there is no RAM.
    Lost { phys: u64 },
}

impl Walk {
    pub fn frame(self) -> Option<u64> {
        match self {
            Walk::Leaf { frame, .. } => Some(frame),
            _ => None,
        }
    }

    pub fn table(self) -> Option<u64> {
        match self {
            Walk::Leaf { table, .. } | Walk::None { table } => table,
            Walk::Lost { .. } => None,
        }
    }
}

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Walks from `cr3` to the page that has `addr`.
pub fn walk(memory: &impl Memory, cr3: u64, five_levels: bool, addr: u64) -> Walk {
    let mut table = cr3 & ADDRESS;
    for level in (1..=if five_levels { 5 } else { 4 }).rev() {
        let shift = 12 + 9 * (level - 1);
        let phys = table + (addr >> shift & 511) * 8;
        let Some(entry) = memory.read(phys) else {
            return Walk::Lost { phys };
        };
        let pte_table = (level == 1).then_some(table >> 12);
        if entry & PRESENT == 0 {
            return Walk::None { table: pte_table };
        }
        let size = match level {
            1 => Size::Small,
            2 if entry & LARGE != 0 => Size::Huge,
            3 if entry & LARGE != 0 => Size::Giant,
            _ => {
                table = entry & ADDRESS;
                continue;
            }
        };
        // Bits below the size of the leaf are flags (PAT is bit 12 of large ones).
        let inside = (1u64 << shift) - 1;
        let base = entry & ADDRESS & !inside;
        return Walk::Leaf {
            frame: (base | addr & inside) >> 12,
            size,
            table: pte_table,
        };
    }
    unreachable!("the last level has leaves only");
}

#[cfg(test)]
pub mod fake {
    use super::*;
    use std::collections::HashMap;

    /// Memory in which tables are made as mappings ask for them.
    #[derive(Default)]
    pub struct Fake {
        words: HashMap<u64, u64>,
        next: u64,
        five: bool,
    }

    pub const ROOT: u64 = 0x1000;

    impl Fake {
        pub fn of(five: bool) -> Self {
            Self {
                five,
                ..Self::default()
            }
        }

        /// Maps the page; what it needs of tables is made.
        pub fn map(&mut self, addr: u64, frame: u64, size: Size) {
            let leaf = match size {
                Size::Small => 1,
                Size::Huge => 2,
                Size::Giant => 3,
            };
            let slot = self.slot(addr, leaf);
            let large = if leaf > 1 { LARGE } else { 0 };
            self.words
                .insert(slot, frame << 12 | large | PRESENT | 0x66);
        }

        /// Where the entry of `level` for the address is.
        pub fn slot(&mut self, addr: u64, leaf: u32) -> u64 {
            let mut table = ROOT;
            for level in (leaf..=if self.five { 5 } else { 4 }).rev() {
                let slot = table + (addr >> (12 + 9 * (level - 1)) & 511) * 8;
                if level == leaf {
                    return slot;
                }
                if self.words.get(&slot).copied().unwrap_or(0) & PRESENT == 0 {
                    self.next += 1;
                    self.words
                        .insert(slot, (0x10_0000 + self.next * 0x1000) | PRESENT | 0x66);
                }
                table = self.words[&slot] & ADDRESS;
            }
            unreachable!()
        }

        pub fn set(&mut self, slot: u64, entry: u64) {
            self.words.insert(slot, entry);
        }

        pub fn walk(&self, addr: u64) -> Walk {
            walk(self, ROOT, self.five, addr)
        }
    }

    impl Memory for Fake {
        fn read(&self, phys: u64) -> Option<u64> {
            (phys < 1 << 32).then(|| self.words.get(&phys).copied().unwrap_or(0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fake::*, *};

    const ADDR: u64 = 0x7f12_3456_7000;

    fn both(test: impl Fn(Fake)) {
        for five in [false, true] {
            test(Fake::of(five));
        }
    }

    #[test]
    fn finds_a_small_page() {
        both(|mut memory| {
            memory.map(ADDR, 0x4321, Size::Small);
            let table = memory.slot(ADDR, 1) >> 12;
            assert_eq!(
                memory.walk(ADDR | 0xabc),
                Walk::Leaf {
                    frame: 0x4321,
                    size: Size::Small,
                    table: Some(table)
                }
            );
            // Its neighbour has the same table, and nothing in it.
            assert_eq!(
                memory.walk(ADDR + 0x1000),
                Walk::None { table: Some(table) }
            );
        });
    }

    #[test]
    fn finds_the_frame_inside_a_large_page() {
        both(|mut memory| {
            memory.map(ADDR, 0x4400, Size::Huge);
            memory.map(ADDR + (1 << 39), 0x8_0000, Size::Giant);
            let within = ADDR >> 12 & 511;
            let Walk::Leaf { frame, size, table } = memory.walk(ADDR) else {
                panic!()
            };
            assert_eq!((frame, size, table), (0x4400 + within, Size::Huge, None));
            let within = ADDR >> 12 & 0x3_ffff;
            assert_eq!(
                memory.walk(ADDR + (1 << 39)).frame(),
                Some(0x8_0000 + within)
            );
        });
    }

    #[test]
    fn the_pat_bit_and_nx_are_no_address() {
        let mut memory = Fake::default();
        let slot = memory.slot(ADDR, 2);
        memory.set(slot, 1 << 63 | 0x440_0000 | 1 << 12 | LARGE | PRESENT);
        assert_eq!(memory.walk(ADDR).frame(), Some(0x4400 + (ADDR >> 12 & 511)));
    }

    #[test]
    fn what_is_not_present_is_none_at_each_level() {
        for level in 1..=5 {
            let mut memory = Fake::of(true);
            memory.map(ADDR, 0x4321, Size::Small);
            let slot = memory.slot(ADDR, level);
            // As a swap entry or a migration entry leaves it.
            memory.set(slot, 0x1234_5678 & !PRESENT);
            assert_eq!(memory.walk(ADDR).frame(), None);
            assert_eq!(memory.walk(ADDR).table().is_some(), level == 1);
        }
    }

    #[test]
    fn no_ram_is_said_so() {
        let mut memory = Fake::default();
        let slot = memory.slot(ADDR, 3);
        memory.set(slot, 0xf_0000_0000 | PRESENT);
        assert!(matches!(memory.walk(ADDR), Walk::Lost { phys } if phys >> 32 == 0xf));
    }
}

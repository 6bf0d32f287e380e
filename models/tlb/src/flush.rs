// SPDX-License-Identifier: GPL-2.0

//! A flush: CPUs are interrupted and each answers in its own time (`flush_tlb_mm_range()`,
//! `arch/x86/mm/tlb.c`). Whoever asked waits for all of them.

use crate::cpu::{Cpu, Mode};

/// Of which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Those of another 2 MiB: nothing of ours goes.
    Elsewhere,
    /// The first one of the table: the cached pmd goes, the translation of our page stays.
    Table,
    /// All of the 2 MiB, or our page's.
    All,
}

/// Which CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// `freed_tables`: also those in lazy TLB mode.
    All,
    /// Those in lazy TLB mode are left out, and flush when they run the program again.
    NotLazy,
    /// That of the faulting thread.
    Local,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flush {
    reach: Reach,
    waits: [bool; 2],
}

impl Flush {
    pub fn begin(cpus: &mut [Cpu; 2], reach: Reach, which: Which) -> Self {
        let mut waits = [true; 2];
        for (nth, cpu) in cpus.iter_mut().enumerate() {
            match (which, &mut cpu.mode) {
                (Which::NotLazy, Mode::Lazy { behind }) => {
                    *behind = true;
                    waits[nth] = false;
                }
                (Which::Local, _) => waits[nth] = nth == 0,
                _ => {}
            }
        }
        Self { reach, waits }
    }

    pub fn is_over(&self) -> bool {
        self.waits == [false; 2]
    }

    /// The CPUs that may answer next, and what is left to wait for then.
    pub fn answers(self, cpus: &[Cpu; 2]) -> impl Iterator<Item = (Flush, [Cpu; 2])> + '_ {
        (0..2).filter(move |nth| self.waits[*nth]).map(move |nth| {
            let (mut rest, mut cpus) = (self, *cpus);
            rest.waits[nth] = false;
            cpus[nth].flush(self.reach);
            (rest, cpus)
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a CPU caches of the address, without asking anybody: a translation of each size, the pmd
//! (a paging structure cache), and a walk under way. It may walk at any time, for speculation, also
//! while it runs a kernel thread that has borrowed the address space (lazy TLB mode).

use crate::{
    flush::Reach,
    memory::{Memory, Page, Pmd, Table},
};

/// What a CPU runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// The program.
    #[default]
    Running,
    /// A kernel thread; `behind`: a flush has left it out (`context.tlb_gen` says so).
    Lazy { behind: bool },
}

/// What one CPU has of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Cpu {
    pub small: Option<Page>,
    pub huge: bool,
    pub pde: Option<Table>,
    /// Which table the walk is about to read.
    pub walk: Option<Table>,
    pub mode: Mode,
}

impl Cpu {
    /// All that it may do next.
    pub fn steps(
        self,
        memory: &Memory,
        may_be_lazy: bool,
        mut step: impl FnMut(&'static str, Cpu),
    ) {
        match (self.walk, self.pde) {
            (Some(table), _) => {
                let small = memory.pte(table).or(self.small);
                step("ends its walk at the table", Cpu { small, walk: None, ..self });
            }
            (None, Some(table)) => {
                step("begins a walk at the cached pmd", Cpu { walk: Some(table), ..self });
            }
            (None, None) => match memory.pmd {
                Pmd::None => {}
                Pmd::Huge => step("caches the huge page", Cpu { huge: true, ..self }),
                Pmd::Table(table) => {
                    let (pde, walk) = (Some(table), Some(table));
                    step("reads the pmd, caches it, walks on", Cpu { pde, walk, ..self });
                }
            },
        }
        // It forgets what it likes.
        if self.small.is_some() {
            step("drops its small translation", Cpu { small: None, ..self });
        }
        if self.huge {
            step("drops its huge translation", Cpu { huge: false, ..self });
        }
        if self.pde.is_some() {
            step("drops its cached pmd", Cpu { pde: None, ..self });
        }
        match self.mode {
            Mode::Running if may_be_lazy => {
                let mode = Mode::Lazy { behind: false };
                step("runs a kernel thread: lazy TLB mode", Cpu { mode, ..self });
            }
            Mode::Lazy { behind: true } => {
                step("runs the program again, and flushes", Cpu::default())
            }
            Mode::Lazy { behind: false } => {
                step("runs the program again", Cpu { mode: Mode::Running, ..self });
            }
            Mode::Running => {}
        }
    }

    /// The interrupt of a flush. In lazy TLB mode the CPU drops everything (`flush_tlb_func()`
    /// switches to `init_mm`). INVLPG drops the cached pmd with the translation of any of its
    /// addresses, and no walk that was under way ends afterwards.
    pub fn flush(&mut self, reach: Reach) {
        let reach = match self.mode {
            Mode::Lazy { .. } => Reach::All,
            Mode::Running => reach,
        };
        if reach == Reach::Elsewhere {
            return;
        }
        if reach == Reach::All {
            self.small = None;
        }
        self.huge = false;
        self.pde = None;
        self.walk = None;
        if let Mode::Lazy { behind } = &mut self.mode {
            *behind = false;
        }
    }

    /// Whether it has something of this table.
    pub fn uses(&self, table: Table) -> bool {
        self.pde == Some(table) || self.walk == Some(table)
    }
}

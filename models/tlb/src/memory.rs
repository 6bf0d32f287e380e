// SPDX-License-Identifier: GPL-2.0

//! One entry of a PMD table, two PTE tables, two pages; and the locks.
//!
//! Of a table one entry is modelled, that of one address. It decides whether the table is empty.

/// Who takes part in software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Zap,
    OtherZap,
    Scan,
    Fault,
    Walker,
    Mremap,
}

/// A set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Set(u8);

impl Set {
    pub fn add(&mut self, who: Who) {
        self.0 |= 1 << who as u8;
    }

    pub fn remove(&mut self, who: Who) {
        self.0 &= !(1 << who as u8);
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A PTE table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    A,
    B,
}

/// What an entry of a PTE table maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// The zero page, which nobody owns.
    Zero,
    P,
    Q,
}

/// The entry of the PMD table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pmd {
    None,
    Table(Table),
    Huge,
}

/// What the memory of a table is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// Somebody else's: whoever uses it as a table reads garbage.
    Free,
    /// A table, whether a pmd points to it or not any more.
    Table,
    /// Given to `call_rcu()`; free when these have left their read-side critical sections.
    Waiting(Set),
}

/// All that the CPUs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    pub pmd: Pmd,
    /// The entry of each table for the address.
    pub ptes: [Option<Page>; 2],
    pub lives: [Life; 2],
    /// Which pages are given out: P and Q. The huge one is never given back.
    pub used: [bool; 2],
    /// The PMD lock, and the PTE locks.
    pub pmd_lock: Option<Who>,
    pub pte_locks: [Option<Who>; 2],
    /// `mmap_lock` and the VMA lock, as one: who reads, and whether somebody writes.
    pub reading: Set,
    pub writing: bool,
    /// `mm->tlb_flush_pending`.
    pub pending: u8,
    /// Who is in an RCU read-side critical section, or has interrupts off.
    pub rcu: Set,
}

impl Memory {
    /// Table A maps this.
    pub fn new(page: Option<Page>) -> Self {
        Self {
            pmd: Pmd::Table(Table::A),
            ptes: [page, None],
            lives: [Life::Table, Life::Free],
            used: [page == Some(Page::P), false],
            pmd_lock: None,
            pte_locks: [None; 2],
            reading: Set::default(),
            writing: false,
            pending: 0,
            rcu: Set::default(),
        }
    }

    pub fn pte(&self, table: Table) -> Option<Page> {
        self.ptes[table as usize]
    }

    pub fn set_pte(&mut self, table: Table, page: Option<Page>) {
        self.ptes[table as usize] = page;
    }

    pub fn is_linked(&self, table: Table) -> bool {
        self.pmd == Pmd::Table(table)
    }

    /// Of the two, the one that is free.
    pub fn free_table(&self) -> Option<Table> {
        [Table::A, Table::B].into_iter().find(|table| self.is_free(*table))
    }

    pub fn is_free(&self, table: Table) -> bool {
        self.lives[table as usize] == Life::Free
    }

    /// Of the two pages, one that is free.
    pub fn free_page(&self) -> Option<Page> {
        [Page::P, Page::Q].into_iter().find(|page| !self.is_used(*page))
    }

    pub fn is_used(&self, page: Page) -> bool {
        match page {
            Page::Zero => true,
            Page::P => self.used[0],
            Page::Q => self.used[1],
        }
    }

    pub fn use_page(&mut self, page: Page, used: bool) {
        match page {
            Page::Zero => {}
            Page::P => self.used[0] = used,
            Page::Q => self.used[1] = used,
        }
    }

    pub fn pte_lock(&mut self, table: Table) -> &mut Option<Who> {
        &mut self.pte_locks[table as usize]
    }

    pub fn is_pte_locked(&self, table: Table) -> bool {
        self.pte_locks[table as usize].is_some()
    }

    /// The table is free as soon as nobody is in a read-side critical section that is in one now.
    pub fn call_rcu(&mut self, table: Table) {
        self.lives[table as usize] = Life::Waiting(self.rcu);
    }

    /// Without a grace period.
    pub fn free_now(&mut self, table: Table) {
        self.lives[table as usize] = Life::Free;
    }

    pub fn rcu_read_unlock(&mut self, who: Who) {
        self.rcu.remove(who);
        for life in &mut self.lives {
            if let Life::Waiting(readers) = life {
                readers.remove(who);
            }
        }
    }

    /// A table whose grace period has ended.
    pub fn free_waiting(&self) -> Option<Table> {
        [Table::A, Table::B].into_iter().find(
            |table| matches!(self.lives[*table as usize], Life::Waiting(readers) if readers.is_empty()),
        )
    }
}

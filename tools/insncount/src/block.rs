// SPDX-License-Identifier: GPL-2.0

//! A translated block: its instructions, and whose they are.

use crate::names::Name;

/// Instructions of one function in a row: up to which.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    name: Name,
    end: usize,
}

#[derive(Debug)]
pub struct Block {
    pcs: Box<[u64]>,
    runs: Box<[Run]>,
    /// Its first instruction has a REP prefix.
    pub repeats: bool,
}

impl Block {
    pub fn new(insns: impl IntoIterator<Item = (u64, Name)>, repeats: bool) -> Self {
        let (mut pcs, mut runs) = (Vec::new(), Vec::<Run>::new());
        for (pc, name) in insns {
            pcs.push(pc);
            match runs.last_mut() {
                Some(run) if run.name == name => run.end += 1,
                _ => runs.push(Run {
                    name,
                    end: pcs.len(),
                }),
            }
        }
        Self {
            pcs: pcs.into(),
            runs: runs.into(),
            repeats,
        }
    }

    pub fn len(&self) -> usize {
        self.pcs.len()
    }

    pub fn start(&self) -> Option<u64> {
        self.pcs.first().copied()
    }

    pub fn pc(&self, index: usize) -> u64 {
        self.pcs[index]
    }

    pub fn name(&self, index: usize) -> Name {
        let run = self.runs.partition_point(|run| run.end <= index);
        self.runs[run].name
    }

    /// Of the instructions from one index to below another, how many are whose.
    pub fn count(&self, from: usize, to: usize) -> impl Iterator<Item = (Name, u64)> {
        let mut start = 0;
        self.runs.iter().filter_map(move |run| {
            let first = start.max(from);
            start = run.end;
            let end = run.end.min(to);
            (first < end).then(|| (run.name, (end - first) as u64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(block: &Block, from: usize, to: usize) -> Vec<(Name, u64)> {
        block.count(from, to).collect()
    }

    #[test]
    fn of_one_function_and_of_two() {
        let block = Block::new([(16, 7), (17, 7), (20, 9), (24, 9), (25, 9)], false);
        assert_eq!((block.len(), block.start()), (5, Some(16)));
        assert_eq!(counted(&block, 0, 5), [(7, 2), (9, 3)]);
        assert_eq!(counted(&block, 1, 3), [(7, 1), (9, 1)]);
        assert_eq!(counted(&block, 2, 5), [(9, 3)]);
        assert_eq!(counted(&block, 0, 2), [(7, 2)]);
        assert_eq!(counted(&block, 3, 3), []);
        assert_eq!((block.pc(2), block.name(1), block.name(2)), (20, 7, 9));
        assert_eq!(block.name(4), 9);
    }
}

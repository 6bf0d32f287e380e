// SPDX-License-Identifier: GPL-2.0

//! The kernel's functions, from its System.map.

use std::collections::HashMap;

/// Where a function is; `end` is where the next symbol begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    pub start: u64,
    pub end: u64,
}

impl Function {
    pub fn has(self, addr: u64) -> bool {
        (self.start..self.end).contains(&addr)
    }
}

/// A line of the map: "ADDRESS TYPE NAME".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line<'m> {
    pub addr: u64,
    pub kind: &'m str,
    pub name: &'m str,
}

impl Line<'_> {
    pub fn is_code(&self) -> bool {
        matches!(self.kind, "T" | "t" | "W" | "w")
    }
}

pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        Some(Line {
            addr: u64::from_str_radix(words.next()?, 16).ok()?,
            kind: words.next()?,
            name: words.next()?,
        })
    })
}

pub struct Symbols {
    functions: HashMap<String, Function>,
    data: HashMap<String, u64>,
}

impl Symbols {
    /// Names that occur twice are nobody's.
    pub fn parse(text: &str) -> Self {
        let mut code = Vec::new();
        let mut data = HashMap::new();
        for line in lines(text) {
            if line.is_code() {
                code.push((line.addr, line.name));
            } else {
                data.insert(line.name.to_string(), line.addr);
            }
        }
        code.sort_unstable();
        let mut functions = HashMap::new();
        let mut twice = Vec::new();
        for (n, &(start, name)) in code.iter().enumerate() {
            // Aliases begin where it does.
            let end = code[n..]
                .iter()
                .map(|&(next, _)| next)
                .find(|&next| next > start)
                .unwrap_or(start);
            if functions
                .insert(name.to_string(), Function { start, end })
                .is_some()
            {
                twice.push(name);
            }
        }
        for name in twice {
            functions.remove(name);
        }
        Self { functions, data }
    }

    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions.get(name).copied()
    }

    /// All of them, in no order.
    pub fn functions(&self) -> impl Iterator<Item = (&str, Function)> {
        self.functions
            .iter()
            .map(|(name, &function)| (name.as_str(), function))
    }

    /// Of code or data.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.data
            .get(name)
            .copied()
            .or_else(|| Some(self.function(name)?.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_functions_and_their_ends() {
        let symbols = Symbols::parse(
            "ffffffff81000000 T _text\n\
             ffffffff81000000 T startup_64\n\
             ffffffff81000100 t helper\n\
             ffffffff81000200 t twice\n\
             ffffffff81000300 t twice\n\
             ffffffff81000400 T _etext\n\
             ffffffff82000000 D data\n\
             no line of a map\n",
        );
        assert_eq!(
            symbols.function("startup_64"),
            Some(Function {
                start: 0xffff_ffff_8100_0000,
                end: 0xffff_ffff_8100_0100
            })
        );
        let helper = symbols.function("helper").unwrap();
        assert!(helper.has(0xffff_ffff_8100_01ff) && !helper.has(0xffff_ffff_8100_0200));
        assert_eq!(symbols.function("twice"), None);
        assert_eq!(symbols.function("data"), None);
        assert_eq!(symbols.address("data"), Some(0xffff_ffff_8200_0000));
        assert_eq!(symbols.address("_etext"), Some(0xffff_ffff_8100_0400));
        assert_eq!(symbols.functions().count(), 4);
    }
}

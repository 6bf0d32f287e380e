// SPDX-License-Identifier: GPL-2.0

//! Whose an instruction is: the kernel's functions have numbers, by name. What the compiler has
//! split off a function is the function's; functions of one name are one.

use qemu_plugin::symbols::{Function, lines};
use std::collections::HashMap;

pub type Name = u32;

#[derive(Default)]
pub struct Names {
    /// Where functions begin, in order.
    starts: Vec<(u64, Name)>,
    /// Where the kernel's code is.
    text: Vec<Function>,
    names: Vec<String>,
    numbers: HashMap<String, Name>,
}

impl Names {
    pub fn parse(map: &str) -> Self {
        let mut code: Vec<_> = lines(map).filter(|line| line.is_code()).collect();
        let bound = |name| code.iter().find(|line| line.name == name);
        let text = [("_text", "_etext"), ("_sinittext", "_einittext")]
            .into_iter()
            .filter_map(|(start, end)| {
                Some(Function {
                    start: bound(start)?.addr,
                    end: bound(end)?.addr,
                })
            })
            .collect();
        code.retain(|line| !is_bound(line.name));
        // Of aliases the global one, and of these always the same.
        code.sort_unstable();
        code.dedup_by_key(|line| line.addr);
        let mut names = Self {
            text,
            ..Self::default()
        };
        for line in code {
            let name = names.number(of_function(line.name));
            names.starts.push((line.addr, name));
        }
        names
    }

    /// Outside of the map it is known by the block of code in which it is.
    pub fn at(&mut self, pc: u64, block: u64) -> Name {
        let next = self.starts.partition_point(|&(start, _)| start <= pc);
        match self.text.iter().any(|text| text.has(pc)) && next > 0 {
            true => self.starts[next - 1].1,
            false => self.number(&format!("{block:#x}")),
        }
    }

    fn number(&mut self, name: &str) -> Name {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as Name;
        self.names.push(name.to_string());
        self.numbers.insert(name.to_string(), number);
        number
    }

    pub fn name(&self, name: Name) -> &str {
        &self.names[name as usize]
    }
}

/// What the linker says of sections begins where the next function does.
fn is_bound(name: &str) -> bool {
    const BOUNDS: [&str; 5] = ["_text", "_stext", "_etext", "_sinittext", "_einittext"];
    BOUNDS.contains(&name) || name.ends_with("_text_start") || name.ends_with("_text_end")
}

/// Without what the compiler has added.
fn of_function(symbol: &str) -> &str {
    let mut name = symbol;
    while let Some((rest, last)) = name.rsplit_once('.') {
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        let (rest, kind) = match is_number {
            true => rest.rsplit_once('.').unwrap_or((rest, "")),
            false => (rest, last),
        };
        let known = match kind {
            "cold" => true,
            "isra" | "constprop" | "part" | "llvm" => is_number,
            _ => false,
        };
        if !known || rest.is_empty() {
            break;
        }
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_adds() {
        for (symbol, function) in [
            ("do_exit", "do_exit"),
            ("f.isra.0", "f"),
            ("f.constprop.12", "f"),
            ("f.part.0.isra.1", "f"),
            ("f.constprop.0.cold", "f"),
            ("f.cold.3", "f"),
            ("_RNv3foo3bar.llvm.1234", "_RNv3foo3bar"),
            ("f.cold", "f"),
            // Not the compiler's.
            ("f.isra", "f.isra"),
            ("f.7", "f.7"),
            ("f.text", "f.text"),
            (".cold", ".cold"),
        ] {
            assert_eq!(of_function(symbol), function, "{symbol}");
        }
    }

    const MAP: &str = "ffffffff81000000 T _text\n\
        ffffffff81000000 t __local_alias\n\
        ffffffff81000000 T startup\n\
        ffffffff81000100 t zap\n\
        ffffffff81000200 T __sched_text_start\n\
        ffffffff81000200 T schedule\n\
        ffffffff81000300 T __sched_text_end\n\
        ffffffff81000400 t zap.cold\n\
        ffffffff81000500 T _etext\n\
        ffffffff81800000 D data\n\
        ffffffff82000000 T _sinittext\n\
        ffffffff82000000 t start_kernel\n\
        ffffffff82000100 T _einittext\n";

    fn name(names: &mut Names, pc: u64, block: u64) -> String {
        let number = names.at(pc, block);
        names.name(number).to_string()
    }

    #[test]
    fn by_address() {
        let mut names = Names::parse(MAP);
        for (low, expected) in [
            (0, "startup"),
            (0xff, "startup"),
            (0x100, "zap"),
            (0x200, "schedule"),
            (0x300, "schedule"),
            (0x4ff, "zap"),
            (0x100_0010, "start_kernel"),
        ] {
            let pc = 0xffff_ffff_8100_0000 + low;
            assert_eq!(name(&mut names, pc, pc), expected, "{pc:#x}");
        }
        let zap = names.at(0xffff_ffff_8100_0100, 0);
        assert_eq!(names.at(0xffff_ffff_8100_0400, 0), zap);
    }

    #[test]
    fn outside_of_the_map() {
        let mut names = Names::parse(MAP);
        let module = 0xffff_ffff_c000_0040;
        assert_eq!(name(&mut names, module + 8, module), "0xffffffffc0000040");
        assert_eq!(names.at(module, module), names.at(module + 4, module));
        assert_ne!(names.at(module, module), names.at(module + 4, module + 4));
        let behind = 0xffff_ffff_8100_0500;
        assert_eq!(name(&mut names, behind, behind), "0xffffffff81000500");
    }
}

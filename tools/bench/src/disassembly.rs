// SPDX-License-Identifier: GPL-2.0

//! The output of `llvm-objdump -d -r`, function by function.
//!
//! A function begins with `ADDRESS <NAME>:`, an instruction is `ADDRESS: BYTES TAB MNEMONIC TAB
//! OPERANDS`, and below it is what the linker is to fill in: `TAB TAB ADDRESS: TYPE SYMBOL+OFFSET`.

use anyhow::{
    Context as _,
    Result, //
};
use serde::{
    Deserialize,
    Serialize, //
};

/// One function.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    pub bytes: u64,
    pub instructions: u64,
    /// What it calls or goes on to, in the order of the first time.
    pub calls: Vec<String>,
    /// The instructions of each loop, the shortest first.
    pub loops: Vec<u64>,
}

struct Instruction {
    at: u64,
    bytes: u64,
    mnemonic: String,
    /// Where a branch goes: an address within the file, the function there, and the linker's symbol.
    target: Option<u64>,
    local: Option<String>,
    symbol: Option<String>,
}

impl Instruction {
    fn is_branch(&self) -> bool {
        self.mnemonic.starts_with("call") || self.mnemonic.starts_with('j')
    }

    /// Written as a line of its own before the instruction that it belongs to.
    fn is_prefix(&self) -> bool {
        matches!(self.mnemonic.as_str(), "lock" | "rep" | "repne" | "cs" | "ds" | "notrack")
    }

    /// What fills the space between functions.
    fn is_padding(&self) -> bool {
        self.mnemonic.starts_with("nop")
            || self.mnemonic == "int3"
            || self.mnemonic.starts_with("xchg") && self.bytes == 2 && self.symbol.is_none()
    }
}

/// All functions, in the order of the file.
pub fn parse(text: &str) -> Result<Vec<Function>> {
    let mut bodies: Vec<Body> = Vec::new();
    let mut section = String::new();
    // What precedes a function for patching is none.
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Disassembly of section ") {
            section = name.trim_end_matches(':').to_owned();
            inside = false;
        } else if let Some((at, name)) = header(line) {
            // Labels of the assembler are within a function, or in the padding behind it; other names
            // that begin so are those of whole sections, without a function.
            if !name.starts_with(".L") {
                inside = !["__pfx_", "__cfi_", "."].iter().any(|none| name.starts_with(none));
                if inside {
                    let instructions = Vec::new();
                    bodies.push(Body { name, section: section.clone(), at, instructions });
                }
            }
        } else if let (true, Some(body)) = (inside, bodies.last_mut()) {
            body.line(line).with_context(|| format!("not understood: {line}"))?;
        }
    }
    Ok(bodies.iter().map(|body| body.function(&bodies)).collect())
}

fn header(line: &str) -> Option<(u64, String)> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    Some((u64::from_str_radix(address, 16).ok()?, name.to_owned()))
}

/// A name without Rust's mangling and the hash.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

struct Body {
    name: String,
    section: String,
    at: u64,
    instructions: Vec<Instruction>,
}

impl Body {
    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(fix) = line.strip_prefix("\t\t") {
            let symbol = fix.split_whitespace().nth(2).context("no symbol")?;
            if let Some(last) = self.instructions.last_mut() {
                last.symbol = Some(symbol.to_owned());
            }
            return Ok(());
        }
        let Some((head, tail)) = line.split_once('\t') else {
            return Ok(());
        };
        let (at, bytes) = head.trim_start().split_once(':').context("no address")?;
        let mut words = tail.splitn(2, char::is_whitespace);
        let mnemonic = words.next().unwrap_or_default().to_owned();
        let operands = words.next().unwrap_or_default().trim();
        let target = operands.split_whitespace().next().and_then(|word| word.strip_prefix("0x"));
        self.instructions.push(Instruction {
            at: u64::from_str_radix(at, 16).context("no address")?,
            bytes: bytes.split_whitespace().count() as u64,
            mnemonic,
            target: target.and_then(|hex| u64::from_str_radix(hex, 16).ok()),
            local: operands
                .split_once('<')
                .and_then(|(_, name)| Some(name.strip_suffix('>')?.to_owned())),
            symbol: None,
        });
        Ok(())
    }

    /// Without what only fills the space behind it.
    fn code(&self) -> &[Instruction] {
        let end =
            self.instructions.iter().rposition(|i| !i.is_padding()).map_or(0, |last| last + 1);
        &self.instructions[..end]
    }

    fn function(&self, all: &[Body]) -> Function {
        let code = self.code();
        let mut calls: Vec<String> = Vec::new();
        for name in code.iter().filter(|i| i.is_branch()).filter_map(|i| self.callee(i, all)) {
            let name = readable(&name);
            if !calls.contains(&name) {
                calls.push(name);
            }
        }
        Function {
            name: readable(&self.name),
            bytes: code.iter().map(|i| i.bytes).sum(),
            instructions: code.iter().filter(|i| !i.is_prefix()).count() as u64,
            calls,
            loops: self.loops(),
        }
    }

    /// The other function that a branch leads to; `None` within this one, and for a return.
    fn callee(&self, branch: &Instruction, all: &[Body]) -> Option<String> {
        let Some(symbol) = &branch.symbol else {
            let name = branch.local.as_deref()?;
            let name = name.rsplit_once("+0x").map_or(name, |(name, _)| name);
            let inside = branch.target.is_some_and(|at| self.has(at));
            return (!inside && !name.starts_with('.')).then(|| name.to_owned());
        };
        let (name, offset) = split(symbol);
        if name == "__x86_return_thunk" {
            return None;
        }
        if !name.starts_with('.') {
            return Some(name.to_owned());
        }
        // Of a section; the offset is from the end of the four bytes that are filled in.
        let at = offset.wrapping_add(4);
        if name == self.section && self.has(at) {
            return None;
        }
        let found = all.iter().rfind(|body| body.section == name && body.at <= at)?;
        Some(found.name.clone())
    }

    fn has(&self, at: u64) -> bool {
        at >= self.at && self.code().last().is_some_and(|last| at <= last.at)
    }

    /// A loop is from where a condition leads back to, to there. What always leads back may be code
    /// that is seldom run, and was put out of the way.
    fn loops(&self) -> Vec<u64> {
        let code = self.code();
        let back = |branch: &Instruction| {
            let conditional = branch.mnemonic.starts_with('j') && branch.mnemonic != "jmp";
            let to = branch.target.filter(|to| *to <= branch.at && self.has(*to))?;
            (branch.symbol.is_none() && conditional).then_some((to, branch.at))
        };
        let length = |(from, to): (u64, u64)| {
            code.iter().filter(|i| i.at >= from && i.at <= to && !i.is_prefix()).count() as u64
        };
        let mut loops: Vec<u64> = code.iter().filter_map(back).map(length).collect();
        loops.sort_unstable();
        loops
    }
}

/// `NAME+0x12`, `NAME-0x4`.
fn split(symbol: &str) -> (&str, u64) {
    for (sign, negative) in [("+0x", false), ("-0x", true)] {
        if let Some((name, hex)) = symbol.rsplit_once(sign)
            && let Ok(offset) = u64::from_str_radix(hex, 16)
        {
            return (name, if negative { offset.wrapping_neg() } else { offset });
        }
    }
    (symbol, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Disassembly of section .text:

0000000000000000 <__pfx_first>:
       0: 90                           \tnop

0000000000000010 <first>:
      10: f3 0f 1e fa                  \tendbr64
      14: 83 7f 74 00                  \tcmpl\t$0x0, 0x74(%rdi)
      18: 74 02                        \tje\t0x1c <first+0xc>
      1a: f0                           \tlock
      1b: 83 44 24 fc 00               \taddl\t$0x0, -0x4(%rsp)
      20: 48 83 c0 08                  \taddq\t$0x8, %rax
      24: 75 fa                        \tjne\t0x20 <first+0x10>
      26: e8 00 00 00 00               \tcallq\t0x2b <first+0x1b>
\t\t0000000000000027:  R_X86_64_PLT32\t_RNvNtCs1_4core9panicking5panic-0x4
      2b: e8 10 00 00 00               \tcallq\t0x40 <second>
      30: 0f 84 00 00 00 00            \tje\t0x36 <first+0x26>
\t\t0000000000000032:  R_X86_64_PC32\t.text.cold-0x4
      36: 2e e9 00 00 00 00            \tjmp\t0x3c <first+0x2c>
\t\t0000000000000038:  R_X86_64_PLT32\t__x86_return_thunk-0x4
      3c: 0f 1f 40 00                  \tnopl\t(%rax)

0000000000000040 <second>:
      40: 31 c0                        \txorl\t%eax, %eax

0000000000000042 <.Ltmp7>:
      42: c3                           \tretq

Disassembly of section .text.cold:

0000000000000000 <third>:
       0: 0f 0b                        \tud2
";

    #[test]
    fn a_function_is_without_padding() {
        let functions = parse(TEXT).unwrap();
        let names: Vec<&str> = functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "third"]);
        assert_eq!(functions[0].bytes, 0x3c - 0x10);
        assert_eq!(functions[0].instructions, 10, "a prefix is part of the next one");
        assert_eq!(functions[1].bytes, 3, "a label of the assembler ends nothing");
    }

    #[test]
    fn calls_are_by_symbol_by_address_and_by_section() {
        let functions = parse(TEXT).unwrap();
        assert_eq!(functions[0].calls, ["core::panicking::panic", "second", "third"]);
        assert!(functions[1].calls.is_empty());
    }

    #[test]
    fn a_loop_is_its_instructions() {
        assert_eq!(parse(TEXT).unwrap()[0].loops, [2]);
    }

    #[test]
    fn offsets() {
        assert_eq!(split("a-0x4"), ("a", 4u64.wrapping_neg()));
        assert_eq!(split(".text+0x1c"), (".text", 0x1c));
        assert_eq!(split("b"), ("b", 0));
    }

    #[test]
    fn what_is_no_instruction_is_an_error() {
        assert!(parse("0000000000000010 <first>:\n  zz: 90 \tnop\n").is_err());
    }
}

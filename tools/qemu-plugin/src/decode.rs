// SPDX-License-Identifier: GPL-2.0

//! The instructions that matter: what flushes, what ends a function or an interrupt, what is
//! repeated, and the marker.

/// A general register by its number in instructions: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, ...
pub type Reg = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insn {
    /// A move to CR3 from the register.
    LoadCr3(Reg),
    /// A move to CR0 or CR4, which flush all.
    LoadCr0Or4,
    /// May flush less than all, and is taken for that.
    Invpcid,
    /// INVLPG of what the register plus the displacement points to; or who knows.
    Invlpg(Reg, i32),
    InvlpgSomewhere,
    /// From the program into the kernel or back.
    Swapgs,
    Ret,
    Iret,
    Hlt,
    /// With a REP prefix: each time is an instruction for QEMU.
    Rep(Repeated),
    /// A jump out of here, to this address.
    Jump(u64),
    /// `xchg %r15, %r15`: the program marks something, r14 says what.
    Marker,
    Other,
}

/// What a string instruction does, with so many bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    Stos(u8),
    Movs(u8),
    Other,
}

pub fn decode(code: &[u8], at: u64) -> Insn {
    let (prefixes, code) = split_prefixes(code);
    let (mut wide, mut rex_r, mut rex_b) = (false, 0, 0);
    let mut op = code;
    if let [rex @ 0x40..=0x4f, rest @ ..] = code {
        wide = rex & 8 != 0;
        rex_r = (rex & 4) << 1;
        rex_b = (rex & 1) << 3;
        op = rest;
    }
    let rep = prefixes.iter().any(|prefix| matches!(prefix, 0xf2 | 0xf3));
    match op {
        [op @ (0xa4..=0xa7 | 0xaa..=0xaf | 0x6c..=0x6f), ..] if rep => {
            let size = match (op & 1, wide, prefixes.contains(&0x66)) {
                (0, ..) => 1,
                (_, true, _) => 8,
                (_, _, true) => 2,
                _ => 4,
            };
            Insn::Rep(match op {
                0xa4 | 0xa5 => Repeated::Movs(size),
                0xaa | 0xab => Repeated::Stos(size),
                _ => Repeated::Other,
            })
        }
        [0xc3, ..] | [0xc2, ..] => Insn::Ret,
        [0xcf, ..] => Insn::Iret,
        [0xf4, ..] => Insn::Hlt,
        [0xe9, a, b, c, d, ..] => {
            let to = i32::from_le_bytes([*a, *b, *c, *d]);
            Insn::Jump(at.wrapping_add(5).wrapping_add_signed(to.into()))
        }
        [0xeb, by, ..] => Insn::Jump(at.wrapping_add(2).wrapping_add_signed((*by as i8).into())),
        [0x87, 0xff, ..] if rex_r != 0 && rex_b != 0 => Insn::Marker,
        [0x0f, 0x22, modrm, ..] => match modrm >> 3 & 7 | rex_r {
            3 => Insn::LoadCr3(modrm & 7 | rex_b),
            0 | 4 => Insn::LoadCr0Or4,
            _ => Insn::Other,
        },
        [0x0f, 0x38, 0x82, ..] => Insn::Invpcid,
        [0x0f, 0x01, 0xf8, ..] => Insn::Swapgs,
        [0x0f, 0x01, modrm, rest @ ..] if modrm >> 3 & 7 == 7 && modrm >> 6 != 3 => {
            invlpg(*modrm, rex_b, rest)
        }
        _ => Insn::Other,
    }
}

fn split_prefixes(code: &[u8]) -> (&[u8], &[u8]) {
    let is_prefix = |byte: &u8| matches!(byte, 0x66 | 0xf2 | 0xf3 | 0x2e | 0x3e | 0x65);
    let many = code.iter().take_while(|byte| is_prefix(byte)).count();
    code.split_at(many)
}

fn invlpg(modrm: u8, rex_b: u8, rest: &[u8]) -> Insn {
    let (mut base, mut rest) = (modrm & 7, rest);
    if base == 4 {
        // A SIB byte without index is just a base (rsp, r12).
        match rest {
            [sib, more @ ..] if sib >> 3 & 7 == 4 => (base, rest) = (sib & 7, more),
            _ => return Insn::InvlpgSomewhere,
        }
    }
    let by = match (modrm >> 6, rest) {
        (0, _) if base != 5 => 0,
        (1, [by, ..]) => (*by as i8).into(),
        (2, [a, b, c, d, ..]) => i32::from_le_bytes([*a, *b, *c, *d]),
        _ => return Insn::InvlpgSomewhere,
    };
    Insn::Invlpg(base | rex_b, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(code: &[u8], insn: Insn) {
        assert_eq!(decode(code, 0xffff_ffff_8100_0000), insn, "{code:x?}");
    }

    #[test]
    fn what_flushes() {
        is(&[0x0f, 0x22, 0xd8], Insn::LoadCr3(0));
        is(&[0x0f, 0x22, 0xdf], Insn::LoadCr3(7));
        is(&[0x41, 0x0f, 0x22, 0xda], Insn::LoadCr3(10));
        is(&[0x0f, 0x22, 0xe0], Insn::LoadCr0Or4);
        is(&[0x0f, 0x22, 0xc0], Insn::LoadCr0Or4);
        is(&[0x44, 0x0f, 0x22, 0xc0], Insn::Other); // cr8
        is(&[0x66, 0x0f, 0x38, 0x82, 0x04, 0x24], Insn::Invpcid);
        is(&[0x0f, 0x01, 0x3f], Insn::Invlpg(7, 0));
        is(&[0x41, 0x0f, 0x01, 0x3e], Insn::Invlpg(14, 0));
        is(&[0x0f, 0x01, 0x3c, 0x24], Insn::Invlpg(4, 0));
        is(&[0x41, 0x0f, 0x01, 0x3c, 0x24], Insn::Invlpg(12, 0));
        is(&[0x41, 0x0f, 0x01, 0x7d, 0x00], Insn::Invlpg(13, 0));
        is(&[0x0f, 0x01, 0x7d, 0xf8], Insn::Invlpg(5, -8));
        is(&[0x0f, 0x01, 0xbb, 0, 0, 1, 0], Insn::Invlpg(3, 0x10000));
        is(&[0x0f, 0x01, 0x3c, 0x08], Insn::InvlpgSomewhere);
        is(&[0x0f, 0x01, 0x3d, 1, 2, 3, 4], Insn::InvlpgSomewhere);
    }

    #[test]
    fn what_does_not() {
        is(&[0x0f, 0x01, 0xf9], Insn::Other); // rdtscp
        is(&[0x0f, 0x01, 0x17], Insn::Other); // lgdt
        is(&[0x0f, 0x20, 0xd8], Insn::Other); // from cr3
        is(&[0x90], Insn::Other);
        is(&[], Insn::Other);
        is(&[0x41], Insn::Other);
    }

    #[test]
    fn what_is_repeated() {
        is(&[0xf3, 0xaa], Insn::Rep(Repeated::Stos(1)));
        is(&[0xf3, 0xab], Insn::Rep(Repeated::Stos(4)));
        is(&[0xf3, 0x48, 0xab], Insn::Rep(Repeated::Stos(8)));
        is(&[0x66, 0xf3, 0xab], Insn::Rep(Repeated::Stos(2)));
        is(&[0xf3, 0x48, 0xa5], Insn::Rep(Repeated::Movs(8)));
        is(&[0xf3, 0xa4], Insn::Rep(Repeated::Movs(1)));
        is(&[0xf2, 0xae], Insn::Rep(Repeated::Other));
        is(&[0xf3, 0xa6], Insn::Rep(Repeated::Other));
        is(&[0xaa], Insn::Other); // once
        is(&[0xf3, 0x90], Insn::Other); // pause
        is(&[0xf3, 0xa8, 0x01], Insn::Other); // test
    }

    #[test]
    fn the_others() {
        is(&[0x0f, 0x01, 0xf8], Insn::Swapgs);
        is(&[0x4d, 0x87, 0xff], Insn::Marker);
        is(&[0x48, 0x87, 0xff], Insn::Other);
        is(&[0xc3], Insn::Ret);
        is(&[0xf3, 0xc3], Insn::Ret);
        is(&[0x48, 0xcf], Insn::Iret);
        is(&[0xf4], Insn::Hlt);
        is(
            &[0xe9, 0xfb, 0xff, 0xff, 0xff],
            Insn::Jump(0xffff_ffff_8100_0000),
        );
        is(&[0xeb, 0x10], Insn::Jump(0xffff_ffff_8100_0012));
    }
}

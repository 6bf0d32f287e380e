// SPDX-License-Identifier: GPL-2.0

//! What the command line says after the plugin's name: `-plugin libmmusan.so,map=...,rate=...`.

use qemu_plugin::options::{number, split, switch, unknown};
use std::path::PathBuf;

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// System.map of the guest's kernel.
    pub map: PathBuf,
    /// Where the report goes; to standard error without.
    pub out: Option<PathBuf>,
    /// One access in so many is looked at.
    pub rate: u32,
    /// So many reports of a class are written out, until the next marker.
    pub most: u64,
    /// A pmd may get another table while a flush is pending, as without the project's patches.
    pub lax: bool,
}

impl Options {
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut map, mut out, mut rate, mut most, mut lax) = (None, None, 1, 10, false);
        for word in words {
            let (name, value) = split(word);
            match name {
                "map" => map = Some(value.into()),
                "out" => out = Some(value.into()),
                "rate" => rate = number(name, value)?,
                "most" => most = number(name, value)?.into(),
                "lax" => lax = switch(name, value)?,
                _ => return Err(unknown(word)),
            }
        }
        if rate == 0 {
            return Err("rate=0: one access in none".into());
        }
        Ok(Self {
            map: map.ok_or("map=FILE is needed: System.map of the guest's kernel")?,
            out,
            rate,
            most,
            lax,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_it_knows() {
        let options = Options::parse(["map=a", "out=b", "rate=997", "most=3", "lax=on"]).unwrap();
        assert_eq!((options.rate, options.most, options.lax), (997, 3, true));
        let options = Options::parse(["map=a"]).unwrap();
        assert_eq!((options.rate, options.out, options.lax), (1, None, false));
    }

    #[test]
    fn and_nothing_else() {
        for words in [
            &["rate=3"][..],
            &["map=a", "rate=0"],
            &["map=a", "rate=x"],
            &["map=a", "lax=maybe"],
            &["map=a", "speed=1"],
        ] {
            assert!(Options::parse(words.iter().copied()).is_err(), "{words:?}");
        }
    }
}

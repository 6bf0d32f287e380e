// SPDX-License-Identifier: GPL-2.0

//! What the command line says after the plugin's name: `-plugin libinsncount.so,map=...,out=...`.

use qemu_plugin::options::{split, unknown};
use std::path::PathBuf;

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// System.map of the guest's kernel.
    pub map: PathBuf,
    /// Where the counts go; to standard error without.
    pub out: Option<PathBuf>,
}

impl Options {
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut map, mut out) = (None, None);
        for word in words {
            let (name, value) = split(word);
            match name {
                "map" => map = Some(value.into()),
                "out" => out = Some(value.into()),
                _ => return Err(unknown(word)),
            }
        }
        Ok(Self {
            map: map.ok_or("map=FILE is needed: System.map of the guest's kernel")?,
            out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_it_knows_and_nothing_else() {
        let options = Options::parse(["map=a", "out=b"]).unwrap();
        assert_eq!((options.map, options.out), ("a".into(), Some("b".into())));
        assert_eq!(Options::parse(["map=a"]).unwrap().out, None);
        assert!(Options::parse(["out=b"]).unwrap_err().contains("map=FILE"));
        assert!(Options::parse(["map=a", "rate=3"]).is_err());
    }
}

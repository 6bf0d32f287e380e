// SPDX-License-Identifier: GPL-2.0

//! The words after a plugin's name: `-plugin lib.so,map=...,rate=...`.

/// The name and the value; a word without `=` has an empty one.
pub fn split(word: &str) -> (&str, &str) {
    word.split_once('=').unwrap_or((word, ""))
}

pub fn number(name: &str, value: &str) -> Result<u32, String> {
    value
        .parse()
        .map_err(|_| format!("{name}={value} is no number"))
}

pub fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{name}={value}: on or off")),
    }
}

pub fn unknown(word: &str) -> String {
    format!("no such option: {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(split("map=/a=b"), ("map", "/a=b"));
        assert_eq!(split("lax"), ("lax", ""));
    }

    #[test]
    fn values() {
        assert_eq!(number("rate", "997"), Ok(997));
        assert_eq!(switch("lax", "on"), Ok(true));
        assert_eq!(switch("lax", "off"), Ok(false));
        assert!(number("rate", "x").unwrap_err().contains("rate=x"));
        assert!(switch("lax", "").unwrap_err().contains("lax="));
        assert!(unknown("speed=1").contains("speed=1"));
    }
}

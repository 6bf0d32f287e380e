// SPDX-License-Identifier: GPL-2.0

//! Parts of a page that are generated: between `<!-- generated: NAME -->` and `<!-- end -->`.

use anyhow::{
    Context as _,
    Result,
    ensure, //
};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// The page with each part as TEXT has it.
pub fn filled(page: &str, text: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        ensure!(line != END, "there is an end without a beginning");
        let Some(name) = line.strip_prefix(BEGIN) else {
            continue;
        };
        let name = name.strip_suffix(" -->").with_context(|| format!("not understood: {line}"))?;
        out.push_str(&text(name).with_context(|| format!("nothing is called {name}"))?);
        ensure!(lines.any(|line| line == END), "{name} has no end");
        out.push_str(END);
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n";

    fn known(name: &str) -> Option<String> {
        (name == "x").then(|| "new\n".to_owned())
    }

    #[test]
    fn only_what_is_between_changes_and_only_once() {
        let page = filled(PAGE, known).unwrap();
        assert_eq!(page, "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n");
        assert_eq!(filled(&page, known).unwrap(), page);
    }

    #[test]
    fn what_cannot_be_filled_is_an_error() {
        for page in
            ["<!-- generated: y -->\n<!-- end -->", "<!-- generated: x -->\n", "<!-- end -->"]
        {
            assert!(filled(page, known).is_err(), "{page}");
        }
    }
}

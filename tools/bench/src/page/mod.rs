// SPDX-License-Identifier: GPL-2.0

//! `Documentation/performance`: pictures, and the numbers of its page, made from the report.json that
//! is kept beside them.

mod blocks;
mod keep;
mod summary;
pub mod tables;

use std::{
    collections::BTreeMap,
    fs,
    path::Path, //
};

use anyhow::{
    Context as _,
    Result, //
};

use crate::{
    pictures,
    report::Report, //
};

const REPORT: &str = "report.json";
const PAGE: &str = "README.md";

/// Keeps what the page needs of another report.
pub fn take(from: &Path, folder: &Path) -> Result<()> {
    let text = keep::json(&keep::trimmed(Report::read(from)?))?;
    write(&folder.join(REPORT), &text)
}

/// Draws it all anew.
pub fn draw(folder: &Path) -> Result<()> {
    let wanted = wanted(folder)?;
    for name in differing(folder, &wanted)? {
        let path = folder.join(&name);
        match wanted.get(&name) {
            Some(text) => write(&path, text)?,
            None => fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?,
        }
    }
    Ok(())
}

/// The files that are not what report.json gives.
pub fn stale(folder: &Path) -> Result<Vec<String>> {
    differing(folder, &wanted(folder)?)
}

/// And pictures that nobody wants.
fn differing(folder: &Path, wanted: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let is_there =
        |name: &str, text: &str| fs::read_to_string(folder.join(name)).is_ok_and(|t| t == text);
    let mut differing: Vec<String> = wanted
        .iter()
        .filter(|(name, text)| !is_there(name, text))
        .map(|(name, _)| name.clone())
        .collect();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".svg") && !wanted.contains_key(&name) {
            differing.push(name);
        }
    }
    Ok(differing)
}

/// Files by name. Without a report there are no pictures, and no numbers on the page.
fn wanted(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = folder.join(PAGE);
    let page =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let report = match folder.join(REPORT) {
        path if path.exists() => Some(Report::read(&path)?),
        _ => None,
    };
    let mut wanted = BTreeMap::new();
    let text = |name: &str| match &report {
        Some(report) => block(report, name),
        None => known(name).then(String::new),
    };
    let page = blocks::filled(&page, text).with_context(|| format!("in {}", path.display()))?;
    wanted.insert(PAGE.to_owned(), page);
    for (name, svg) in report.iter().flat_map(pictures::all) {
        wanted.insert(name.to_owned(), svg);
    }
    Ok(wanted)
}

type Block = (&'static str, fn(&Report) -> String);

/// What the page may ask for.
const BLOCKS: [Block; 6] = [
    ("gives", summary::gives),
    ("costs", summary::costs),
    ("programs", tables::programs),
    ("groups", tables::groups),
    ("latency", tables::latency),
    ("measured", summary::measured),
];

fn known(name: &str) -> bool {
    BLOCKS.iter().any(|(known, _)| *known == name)
}

fn block(report: &Report, name: &str) -> Option<String> {
    BLOCKS.iter().find(|(known, _)| *known == name).map(|(_, make)| make(report))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        env,
        path::PathBuf,
        process, //
    };

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("ptreclaim-page-{}-{name}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let page = "# Page\n\n<!-- generated: measured -->\n<!-- end -->\n";
        fs::write(folder.join(PAGE), page).unwrap();
        folder
    }

    #[test]
    fn what_is_not_as_the_report_says_is_stale_until_it_is_drawn() {
        let folder = folder("stale");
        let report = Report { kernel: "7.2.1".to_owned(), ..Report::default() };
        report.write(&folder.join(REPORT)).unwrap();
        fs::write(folder.join("old.svg"), "").unwrap();
        assert_eq!(stale(&folder).unwrap(), [PAGE, "old.svg"]);
        draw(&folder).unwrap();
        assert!(stale(&folder).unwrap().is_empty());
        let page = fs::read_to_string(folder.join(PAGE)).unwrap();
        fs::write(folder.join(PAGE), page.replace("7.2.1", "7.2.2")).unwrap();
        assert_eq!(stale(&folder).unwrap(), [PAGE]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_a_report_there_are_no_numbers() {
        let folder = folder("none");
        assert!(stale(&folder).unwrap().is_empty());
        fs::write(folder.join("cost.svg"), "").unwrap();
        assert_eq!(stale(&folder).unwrap(), ["cost.svg"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `ptreclaim stat`.

use crate::{
    cli,
    error::{Error, Result},
    interrupt::Interrupt,
    output,
    system::System,
    units::grouped,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where things are.
struct Paths {
    counters: PathBuf,
    module: PathBuf,
    hooks_mode: PathBuf,
    proc: PathBuf,
}

impl Paths {
    fn below(root: &Path) -> Self {
        Self {
            counters: root.join("sys/kernel/debug/ptreclaim/counters"),
            module: root.join("sys/module/ptreclaim"),
            hooks_mode: root.join("sys/module/pt_reclaim/parameters/mode"),
            proc: root.join("proc"),
        }
    }
}

/// Everything at one moment. Names are shown in the order they were read.
#[derive(Clone, Debug, Serialize)]
struct Stat {
    loaded: bool,
    hooks_mode: Option<String>,
    counters: Option<Map<String, Value>>,
    parameters: Option<Map<String, Value>>,
    system: System,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
    /// Why there are no counters.
    #[serde(skip)]
    why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Changes {
    counters: Map<String, Value>,
    page_tables_kib: i64,
}

pub fn run(args: &cli::Stat) -> Result<()> {
    let paths = Paths::below(Path::new("/"));
    let mut stat = read(&paths)?;
    show(&stat, args)?;
    if !stat.loaded {
        return Err(Error::NotLoaded);
    }
    let Some(interval) = args.watch else {
        return Ok(());
    };
    let interrupt = Interrupt::catch()?;
    while wait(interval, &interrupt) {
        let mut now = read(&paths)?;
        now.changes = Some(changes(&stat, &now));
        show(&now, args)?;
        stat = now;
    }
    Ok(())
}

/// Whether the time passed without ctrl-C.
fn wait(interval: Duration, interrupt: &Interrupt) -> bool {
    const STEP: Duration = Duration::from_millis(50);
    let until = Instant::now() + interval;
    while Instant::now() < until && !interrupt.came() {
        std::thread::sleep(STEP.min(until.saturating_duration_since(Instant::now())));
    }
    !interrupt.came()
}

fn show(stat: &Stat, args: &cli::Stat) -> Result<()> {
    match args.json {
        true => output::json(stat),
        false => output::text(&text(stat)),
    }
}

fn read(paths: &Paths) -> Result<Stat> {
    let loaded = paths.module.is_dir();
    let (counters, why) = match fs::read_to_string(&paths.counters) {
        Ok(text) => (Some(parse_counters(&text)), None),
        Err(error) => (None, Some(why_no_counters(&paths.counters, &error))),
    };
    let mode = fs::read_to_string(&paths.hooks_mode).ok();
    Ok(Stat {
        loaded,
        hooks_mode: mode.map(|mode| mode.trim().to_owned()),
        counters,
        parameters: loaded.then(|| parameters(&paths.module)).transpose()?,
        system: System::read(&paths.proc),
        changes: None,
        why,
    })
}

fn why_no_counters(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("only root may read {}", path.display()),
        io::ErrorKind::NotFound => format!(
            "there is no {} (is debugfs mounted? 'mount -t debugfs none /sys/kernel/debug')",
            path.display()
        ),
        _ => format!("{}: {error}", path.display()),
    }
}

/// `name number`, one per line; others are passed over.
fn parse_counters(text: &str) -> Map<String, Value> {
    let counter = |line: &str| {
        let (name, number) = line.trim().split_once(char::is_whitespace)?;
        let number: u64 = number.trim().parse().ok()?;
        Some((name.to_owned(), number.into()))
    };
    text.lines().filter_map(counter).collect()
}

fn parameters(module: &Path) -> Result<Map<String, Value>> {
    let folder = module.join("parameters");
    let failed = |error| Error::Io(folder.display().to_string(), error);
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let value = fs::read_to_string(entry.path()).unwrap_or_default();
        all.push((name, value.trim().into()));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all.into_iter().collect())
}

/// The module may have been loaded anew meanwhile: then it counts from 0.
fn changes(before: &Stat, now: &Stat) -> Changes {
    let number = |stat: &Stat, name: &str| -> i64 {
        let counters = stat.counters.as_ref();
        let number = counters.and_then(|all| all.get(name)?.as_i64());
        number.unwrap_or(0)
    };
    let names = now.counters.iter().flat_map(Map::keys);
    let page_tables = |stat: &Stat| stat.system.page_tables_kib.map_or(0, |kib| kib.0 as i64);
    Changes {
        counters: names
            .map(|name| {
                (
                    name.clone(),
                    (number(now, name) - number(before, name)).into(),
                )
            })
            .collect(),
        page_tables_kib: page_tables(now) - page_tables(before),
    }
}

fn text(stat: &Stat) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let signed = |number: i64| {
        let sign = if number < 0 { "-" } else { "+" };
        format!("{sign}{}", grouped(number.unsigned_abs()))
    };
    if let Some(changes) = &stat.changes {
        for (name, change) in &changes.counters {
            match change.as_i64().unwrap_or(0) {
                0 => {}
                change => row(name, signed(change)),
            }
        }
        row("page tables", signed(changes.page_tables_kib) + " KiB");
        return columns(&rows) + "\n";
    }
    row(
        "module",
        if stat.loaded { "loaded" } else { "not loaded" }.into(),
    );
    if let Some(mode) = &stat.hooks_mode {
        row("hooks' mode", mode.clone());
    }
    for (name, value) in stat.parameters.iter().flatten() {
        row(name, value.as_str().unwrap_or_default().into());
    }
    for (name, value) in stat.counters.iter().flatten() {
        row(name, grouped(value.as_u64().unwrap_or(0)));
    }
    if let (true, Some(why)) = (stat.loaded, &stat.why) {
        row("counters", why.clone());
    }
    let kib = |kib: Option<crate::units::Kib>| kib.map_or("unknown".into(), |kib| kib.to_string());
    row("page tables", kib(stat.system.page_tables_kib));
    row("secondary", kib(stat.system.sec_page_tables_kib));
    columns(&rows)
}

fn columns(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| format!("{name:width$}  {value}\n");
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{help, units::Kib};

    fn machine() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            (
                "sys/kernel/debug/ptreclaim/counters",
                "freed 7\nof_the_future 12345\n\n-\n",
            ),
            ("sys/module/ptreclaim/parameters/refill_ms", "20\n"),
            ("sys/module/ptreclaim/parameters/enabled", "Y\n"),
            ("sys/module/pt_reclaim/parameters/mode", "module\n"),
            ("proc/meminfo", "PageTables: 6792 kB\nSecPageTables: 8 kB\n"),
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let paths = Paths::below(root.path());
        (root, paths)
    }

    #[test]
    fn all_is_shown_unknown_counters_too() {
        let (_root, paths) = machine();
        let text = text(&read(&paths).unwrap());
        let expected = "module         loaded\nhooks' mode    module\nenabled        Y\n\
            refill_ms      20\nfreed          7\nof_the_future  12,345\n\
            page tables    6.63 MiB\nsecondary      8 KiB\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_field_is_documented() {
        let (_root, paths) = machine();
        let mut stat = read(&paths).unwrap();
        stat.changes = Some(changes(&stat, &stat));
        let json = serde_json::to_value(stat).unwrap();
        let inner = ["system", "changes"].map(|name| json[name].as_object().unwrap().keys());
        let fields = json.as_object().unwrap().keys();
        for field in fields.chain(inner.into_iter().flatten()) {
            assert!(help::documents("stat", field), "{field}");
        }
    }

    #[test]
    fn differences_are_shown() {
        let (root, paths) = machine();
        let before = read(&paths).unwrap();
        fs::write(&paths.counters, "freed 10\nof_the_future 12345\nnew 2\n").unwrap();
        fs::write(root.path().join("proc/meminfo"), "PageTables: 6700 kB\n").unwrap();
        let mut now = read(&paths).unwrap();
        now.changes = Some(changes(&before, &now));
        assert_eq!(
            text(&now),
            "freed        +3\nnew          +2\npage tables  -92 KiB\n\n"
        );
    }

    #[test]
    fn without_the_module() {
        let root = tempfile::tempdir().unwrap();
        let stat = read(&Paths::below(root.path())).unwrap();
        assert!(!stat.loaded && stat.counters.is_none() && stat.parameters.is_none());
        assert!(text(&stat).starts_with("module       not loaded\n"));
        assert_eq!(stat.system.page_tables_kib, None::<Kib>);
    }
}

//! A comparison as it is kept: what was measured, on what, and what came of it. A file of it is
//! rewritten after every cell, so that an interrupted comparison goes on where it was.

use super::CompareError;
use super::cell::Cell;
use super::findings::Findings;
use super::grid::Grid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The form that this program writes.
const FORM: u32 = 1;

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The form of this.
    pub form: u32,
    /// The version of this program.
    pub version: String,
    /// On which machine it was measured.
    pub machine: Machine,
    /// What was measured.
    pub grid: Grid,
    /// Whether all of it was.
    pub complete: bool,
    /// What the cells say together.
    pub findings: Findings,
    /// What came of it.
    pub cells: Vec<Cell>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its processor.
    pub processor: String,
    /// How many of them it has.
    pub cores: usize,
    /// Its memory, in MiB.
    pub memory_mib: u64,
    /// Its system.
    pub system: String,
    /// The revision of the sources, if they are under version control.
    pub revision: Option<String>,
}

impl Machine {
    /// This one.
    pub fn this() -> Machine {
        let of = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let line = |text: &str, begin: &str| {
            let found = text.lines().find(|line| line.starts_with(begin));
            found.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim().to_owned()
        };
        let memory = line(&of("/proc/meminfo"), "MemTotal");
        let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        Machine {
            processor: line(&of("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_kib >> 10,
            system: format!("Linux {}", of("/proc/sys/kernel/osrelease").trim()),
            revision: revision(),
        }
    }
}

/// The revision of the folder that the program is used in; with a `+` if there is more than that.
fn revision() -> Option<String> {
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let revision = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean { revision } else { format!("{revision}+") })
}

impl Comparison {
    /// One of which nothing is measured yet.
    pub fn new(grid: Grid) -> Comparison {
        Comparison {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::this(),
            grid,
            complete: false,
            findings: Findings::default(),
            cells: Vec::new(),
        }
    }

    /// Reads one that was kept.
    ///
    /// # Errors
    /// If there is none, or not of this form.
    pub fn read(path: &Path) -> Result<Comparison, CompareError> {
        let not_kept = |reason: String| CompareError::NotKept { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| not_kept(error.to_string()))?;
        let kept: Comparison =
            serde_json::from_str(&text).map_err(|error| not_kept(error.to_string()))?;
        if kept.form != FORM {
            return Err(not_kept(format!("it is of form {}, not {FORM}", kept.form)));
        }
        Ok(kept)
    }

    /// Goes on with what is in a file, if that is there; else begins.
    ///
    /// # Errors
    /// If there is something else in it, or it was measured with other options.
    pub fn resume(path: &Path, grid: Grid) -> Result<Comparison, CompareError> {
        if !path.exists() {
            return Ok(Comparison::new(grid));
        }
        let kept = Comparison::read(path)?;
        if kept.grid != grid {
            let differs = differing(&kept.grid, &grid).join(", ");
            return Err(CompareError::Otherwise { path: path.to_owned(), differs });
        }
        Ok(kept)
    }

    /// Keeps it: the file is whole at any time.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, path: &Path) -> Result<(), CompareError> {
        let keep = |source| CompareError::Keep { path: path.to_owned(), source };
        let text = serde_json::to_string(self).expect("it has a form");
        let mut beside: PathBuf = path.to_owned();
        beside.as_mut_os_string().push(".new");
        std::fs::write(&beside, text).map_err(keep)?;
        std::fs::rename(&beside, path).map_err(keep)
    }

    /// The cells that were measured, by their keys.
    pub fn measured(&self) -> BTreeSet<String> {
        self.cells.iter().map(Cell::key).collect()
    }

    /// Adds the rows of a cell.
    pub fn add(&mut self, cells: Vec<Cell>) {
        self.cells.extend(cells);
        self.findings = Findings::of(&self.cells);
    }
}

/// The names of the options that differ.
fn differing(a: &Grid, b: &Grid) -> Vec<String> {
    let form = |grid| serde_json::to_value(grid).expect("it has a form");
    let (a, b) = (form(a), form(b));
    let fields = a.as_object().expect("a grid has fields");
    fields
        .iter()
        .filter(|(name, value)| b[name.as_str()] != **value)
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_gone_on_with_by_the_same_options_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        let grid = Grid::default();
        let comparison = Comparison::resume(&path, grid.clone()).unwrap();
        comparison.keep(&path).unwrap();
        assert_eq!(Comparison::resume(&path, grid.clone()).unwrap(), comparison);
        let other = Grid { window: 1, seed: 2, ..grid };
        let error = Comparison::resume(&path, other).unwrap_err().to_string();
        assert!(error.contains("(seed, window)"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_comparison_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        std::fs::write(&path, "{}").unwrap();
        let error = Comparison::resume(&path, Grid::default()).unwrap_err();
        assert!(matches!(error, CompareError::NotKept { .. }), "{error}");
    }
}

//! The copy of the sources, in which every place that a mutant changes is a switch.

use crate::rewrite::{RewriteError, with_switches};
use crate::table::{Mutant, Table};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that says which mutant is on, by number.
pub const VARIABLE: &str = "COUNTERFOIL_MUTANT";

/// Where the sources of the protocol are, from the root of the workspace.
pub const PROTOCOL: &str = "src/protocol/src";

/// The module that the copy of the protocol has and the protocol has not.
const MODULE: &str = "//! Which wrong version is on.

use std::sync::OnceLock;

static ON: OnceLock<Option<u32>> = OnceLock::new();

pub(crate) fn is_on(number: u32) -> bool {
    let read = || std::env::var(\"COUNTERFOIL_MUTANT\").ok()?.parse().ok();
    *ON.get_or_init(read) == Some(number)
}
";

/// Folders and files of the workspace that the copy needs.
const SOURCES: [&str; 6] = ["Cargo.toml", "Cargo.lock", "src", "models", "properties", "traces"];

/// Folders that are no sources.
const RESULTS: [&str; 2] = ["target", "found"];

/// Why there is no copy, or no checker in it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A mutant does not fit the sources.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// The copy does not compile.
    #[error("the copy in {folder} does not compile:\n{said}")]
    Build {
        /// Where it is.
        folder: PathBuf,
        /// What the compiler said.
        said: String,
    },
}

/// The root of this workspace.
pub fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}

/// Makes or renews the copy of `workspace` in `folder`, with every mutant of `table` as a switch. What
/// is the same already stays untouched, so that little is built again.
pub fn renew(workspace: &Path, folder: &Path, table: &Table) -> Result<(), CopyError> {
    let mut files = BTreeSet::new();
    for source in SOURCES {
        list(workspace, Path::new(source), &mut files)?;
    }
    for file in &files {
        let mutants: Vec<(u32, &Mutant)> =
            table.numbered().filter(|(_, mutant)| Path::new(&mutant.file) == file).collect();
        let mut content = read(&workspace.join(file))?;
        if !mutants.is_empty() {
            let text = String::from_utf8_lossy(&content);
            content = with_switches(&text, &mutants)?.into_bytes();
        }
        if *file == Path::new(PROTOCOL).join("lib.rs") {
            content.extend_from_slice(b"\nmod mutant;\n");
        }
        write_if_changed(&folder.join(file), &content)?;
    }
    let module = Path::new(PROTOCOL).join("mutant.rs");
    write_if_changed(&folder.join(&module), MODULE.as_bytes())?;
    files.insert(module);
    let mut copied = BTreeSet::new();
    for source in SOURCES {
        list(folder, Path::new(source), &mut copied)?;
    }
    for stale in copied.difference(&files) {
        let path = folder.join(stale);
        fs::remove_file(&path).map_err(|source| CopyError::File { path, source })?;
    }
    Ok(())
}

/// Builds the checker in the copy; where it is.
pub fn build(folder: &Path) -> Result<PathBuf, CopyError> {
    let target = folder.join("target");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--quiet", "--package", "counterfoil-check", "--bin", "check"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target)
        .stdin(Stdio::null())
        .output();
    // Warnings of a copy that compiles are no matter: its switches stand in parentheses, for one.
    let said = match built {
        Ok(output) if output.status.success() => return Ok(target.join("release/check")),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => format!("cargo: {error}"),
    };
    Err(CopyError::Build { folder: folder.to_owned(), said })
}

/// Adds every source file at or below `path`, from `root`.
fn list(root: &Path, path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), CopyError> {
    let here = root.join(path);
    if here.is_file() {
        files.insert(path.to_owned());
    }
    if !here.is_dir() {
        return Ok(());
    }
    let failed = |source| CopyError::File { path: here.clone(), source };
    for entry in fs::read_dir(&here).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !RESULTS.iter().any(|result| name == *result) {
            list(root, &path.join(name), files)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, CopyError> {
    fs::read(path).map_err(|source| CopyError::File { path: path.to_owned(), source })
}

fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), CopyError> {
    if fs::read(path).is_ok_and(|known| known == content) {
        return Ok(());
    }
    let failed = |source| CopyError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_switches_and_nothing_stale() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join("models/scenarios/gone.toml");
        fs::create_dir_all(stale.parent().unwrap()).unwrap();
        fs::write(&stale, "").unwrap();
        let table = Table::load().unwrap();
        renew(&workspace(), folder.path(), &table).unwrap();
        assert!(!stale.exists());
        assert!(folder.path().join("models/scenarios/last_slot_race.toml").exists());
        let protocol = folder.path().join(PROTOCOL);
        for (number, mutant) in table.numbered() {
            let text = fs::read_to_string(folder.path().join(&mutant.file)).unwrap();
            assert!(text.contains(&format!("mutant::is_on({number})")), "{}", mutant.name);
        }
        let lib = fs::read_to_string(protocol.join("lib.rs")).unwrap();
        assert!(lib.contains("mod mutant;"));
        assert!(fs::read_to_string(protocol.join("mutant.rs")).unwrap().contains(VARIABLE));
    }
}

//! Which wrong versions there are: the file `mutants.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every wrong version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Files of the protocol that are left as they are, and why.
    pub without: BTreeMap<String, String>,
    /// The wrong versions. The number of one is its place here, from 1.
    #[serde(rename = "mutant")]
    pub mutants: Vec<Mutant>,
}

/// One wrong version of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name, unlike every other.
    pub name: String,
    /// The file that is wrong, from the root of the workspace.
    pub file: String,
    /// Text around `old` that stands once in the file; `None` if `old` itself does.
    pub within: Option<String>,
    /// The text that is wrong on purpose: an expression; or statements, the last with its `;` or `}`.
    pub old: String,
    /// What stands there instead.
    pub new: String,
    /// What is wrong, in one line.
    pub says: String,
}

/// Why the table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no table.
    #[error("{path}: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why, and where.
        source: Box<toml::de::Error>,
    },
    /// There is no such mutant.
    #[error("there is no mutant {name}: `mutants --list` names them")]
    Unknown {
        /// The name.
        name: String,
    },
}

impl Table {
    /// Reads the table that comes with this crate.
    pub fn load() -> Result<Table, TableError> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| TableError::Read { path: path.clone(), source })?;
        toml::from_str(&text).map_err(|source| TableError::Parse { path, source: source.into() })
    }

    /// Every mutant with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Mutant)> {
        (1..).zip(&self.mutants)
    }

    /// The mutants of these names with their numbers; all if no name is given.
    pub fn named(&self, names: &[String]) -> Result<Vec<(u32, &Mutant)>, TableError> {
        let unknown = names.iter().find(|name| !self.mutants.iter().any(|m| m.name == **name));
        if let Some(name) = unknown {
            return Err(TableError::Unknown { name: name.clone() });
        }
        let wanted = |mutant: &Mutant| names.is_empty() || names.contains(&mutant.name);
        Ok(self.numbered().filter(|(_, mutant)| wanted(mutant)).collect())
    }
}

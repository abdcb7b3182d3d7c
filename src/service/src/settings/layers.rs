//! Where settings meet: defaults, the file, the environment and the flags.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// Settings in layers. Each is a table of the same form; what a later one says prevails.
#[derive(Clone, Debug)]
pub struct Layers {
    defaults: Table,
    file: Option<File>,
    given: Table,
}

/// The file, as it was read.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    text: String,
    table: Table,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the configuration file {path:?} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TOML, or names a setting that there is not.
    #[error("{place}: {problem}")]
    Malformed {
        /// Which line of which file.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// A value makes no sense.
    #[error("{setting}: {problem} ({place})")]
    Value {
        /// Which, as it stands in a file: `intervals.beat`.
        setting: String,
        /// What is wrong with it, and what it must be.
        problem: String,
        /// Where it is from.
        place: String,
    },
}

impl Layers {
    /// The defaults; over them the file at `path`, if there is one; over it what flags and
    /// environment say. `S` says which settings there are.
    ///
    /// # Errors
    /// If the file cannot be read or has no meaning.
    pub fn read<S: Serialize + DeserializeOwned>(
        defaults: &S,
        path: Option<&Path>,
        given: &S,
    ) -> Result<Layers, SettingsError> {
        let table = |settings: &S| {
            let mut table = Table::try_from(settings).expect("settings have a TOML form");
            // A table in which nothing is said says nothing.
            table.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
            table
        };
        let file = path.map(File::read::<S>).transpose()?;
        Ok(Layers { defaults: table(defaults), file, given: table(given) })
    }

    /// What holds.
    pub fn effective<S: DeserializeOwned>(&self) -> S {
        let mut table = self.defaults.clone();
        let file = self.file.iter().map(|file| &file.table);
        for over in file.chain([&self.given]) {
            overlay(&mut table, over);
        }
        table.try_into().expect("each layer has this form")
    }

    /// Whether flags, environment or file say something of `setting`, a path as `intervals.beat`.
    pub fn says(&self, setting: &str) -> bool {
        let file = self.file.iter().map(|file| &file.table);
        file.chain([&self.given]).any(|table| find(table, setting).is_some())
    }

    /// Whether the file says something of `setting`.
    pub fn file_says(&self, setting: &str) -> bool {
        self.file.as_ref().is_some_and(|file| find(&file.table, setting).is_some())
    }

    /// The error that the value of `setting` has this problem.
    pub fn fault(&self, setting: &str, problem: impl Into<String>) -> SettingsError {
        let place = if find(&self.given, setting).is_some() {
            "from a flag or the environment".to_owned()
        } else if let Some(place) = self.file.as_ref().and_then(|file| file.place_of(setting)) {
            place
        } else if find(&self.defaults, setting).is_some() {
            "the default".to_owned()
        } else {
            "it is set nowhere".to_owned()
        };
        SettingsError::Value { setting: setting.to_owned(), problem: problem.into(), place }
    }
}

impl File {
    fn read<S: DeserializeOwned>(path: &Path) -> Result<File, SettingsError> {
        let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let malformed = |error: toml::de::Error| SettingsError::Malformed {
            place: place(path, &text, error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        };
        // Read as settings first, so that a setting that there is not is named with its line.
        toml::from_str::<S>(&text).map_err(malformed)?;
        let table = toml::from_str(&text).map_err(malformed)?;
        Ok(File { path: path.to_owned(), text, table })
    }

    /// Where `setting` is said.
    fn place_of(&self, setting: &str) -> Option<String> {
        let table = DeTable::parse(&self.text).ok()?;
        let start = start_of(table.get_ref(), setting)?;
        Some(place(&self.path, &self.text, start))
    }
}

/// Puts what `over` says in the place of what `under` says.
fn overlay(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => overlay(under, over),
            (_, value) => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

fn find<'a>(table: &'a Table, setting: &str) -> Option<&'a Value> {
    match setting.split_once('.') {
        Some((key, rest)) => find(table.get(key)?.as_table()?, rest),
        None => table.get(setting),
    }
}

fn start_of(table: &DeTable<'_>, setting: &str) -> Option<usize> {
    let (key, rest) = setting.split_once('.').map_or((setting, None), |(k, r)| (k, Some(r)));
    let (name, value): (_, &Spanned<DeValue<'_>>) =
        table.iter().find(|(name, _)| name.get_ref().as_ref() == key)?;
    match rest {
        Some(rest) => start_of(value.get_ref().as_table()?, rest),
        None => Some(name.span().start),
    }
}

fn place(path: &Path, text: &str, at: usize) -> String {
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    format!("{}, line {line}", path.display())
}

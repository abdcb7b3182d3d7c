//! Tables of comma-separated values, and what can be wrong with them.

use csv::{Position, ReaderBuilder, StringRecord};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a file of a workload cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("{path}: cannot be read", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is in none of the known forms.
    #[error("{path}: line 1: the header is of no known form: {known}", path = path.display())]
    Unknown {
        /// Which.
        path: PathBuf,
        /// The known headers.
        known: String,
    },
    /// A row has no meaning.
    #[error("{path}: line {line}{column}: {reason}", path = path.display())]
    Row {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1.
        line: u64,
        /// In which column.
        column: Column,
        /// What is wrong there.
        reason: Reason,
    },
}

/// The name of a column; empty if it is about a whole row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column(pub String);

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ", column {}", self.0) }
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub String);

impl ReadError {
    pub(super) fn unknown(path: &Path, known: &[&[&str]]) -> ReadError {
        let known: Vec<String> = known.iter().map(|columns| columns.join(",")).collect();
        ReadError::Unknown { path: path.to_owned(), known: known.join(" or ") }
    }

    pub(super) fn row(
        path: &Path,
        line: u64,
        column: &str,
        reason: impl Into<String>,
    ) -> ReadError {
        let (column, reason) = (Column(column.to_owned()), Reason(reason.into()));
        ReadError::Row { path: path.to_owned(), line, column, reason }
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, ReadError> {
    std::fs::read_to_string(path)
        .map_err(|source| ReadError::Read { path: path.to_owned(), source })
}

/// The names of the columns of a table.
pub(super) fn columns(text: &str) -> Vec<&str> {
    text.lines().next().unwrap_or_default().split(',').map(str::trim).collect()
}

/// A row of a table.
pub(super) struct Fields<'a> {
    path: &'a Path,
    columns: &'a [&'a str],
    record: &'a StringRecord,
    line: u64,
}

/// Every row but the header, as `read` reads it.
pub(super) fn rows<T>(
    path: &Path,
    columns: &[&str],
    text: &str,
    read: impl Fn(&Fields<'_>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let mut table = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let records = table.records().map(|record| {
        let record = record.map_err(|error| {
            let line = error.position().map_or(1, Position::line);
            ReadError::row(path, line, "", error.to_string())
        })?;
        let line = record.position().map_or(0, Position::line);
        if record.len() != columns.len() {
            let (found, needed) = (record.len(), columns.len());
            let reason = format!("there are {found} fields; {needed} are needed");
            return Err(ReadError::row(path, line, "", reason));
        }
        read(&Fields { path, columns, record: &record, line })
    });
    records.collect()
}

impl Fields<'_> {
    /// What stands in this column.
    pub(super) fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }

    /// The number that stands in this column.
    pub(super) fn number<N: FromStr>(&self, column: usize) -> Result<N, ReadError> {
        let text = self.text(column);
        text.parse().map_err(|_| self.fault(column, format!("{text:?} is no such number")))
    }

    /// That something is wrong in this column.
    pub(super) fn fault(&self, column: usize, reason: impl Into<String>) -> ReadError {
        ReadError::row(self.path, self.line, self.columns[column], reason)
    }
}

//! The database of the designs that have one.
//!
//! SQLite in the process by default, in a file of its own; or PostgreSQL by URL. Nothing in a run is
//! durable, as in no other design: SQLite flushes at checkpoints, PostgreSQL commits asynchronously.

mod postgres;
mod sqlite;

use super::{Amounts, Given};
use counterfoil_placement::PolicyName;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Marks the tables as made by this version of this program.
const LAYOUT: i64 = 0x00C0_F001;

/// How long one waits for a lock of another, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// What stands in the database of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Which node.
    pub node: u32,
    /// What may be allocated on it.
    pub capacity: Amounts,
    /// What is.
    pub used: Amounts,
    /// How often that changed.
    pub version: u64,
    /// When it was written, in nanoseconds of the monotonic clock; 0 before the run.
    pub updated_ns: u64,
}

impl Row {
    /// The rows of nodes before a run.
    pub fn initial(given: &[Given]) -> Vec<Row> {
        let row = |(node, given): (u32, &Given)| Row {
            node,
            capacity: given.capacity(),
            used: given.used(),
            version: 0,
            updated_ns: 0,
        };
        (1..).zip(given).map(row).collect()
    }
}

/// A connection.
pub trait Database: Send + fmt::Debug {
    /// Replaces everything by these rows.
    ///
    /// # Errors
    /// If it cannot.
    fn fill(&mut self, rows: &[Row]) -> Result<(), DatabaseError>;

    /// Reads the rows of all nodes.
    ///
    /// # Errors
    /// If it cannot.
    fn hosts(&mut self, rows: &mut Vec<Row>) -> Result<(), DatabaseError>;

    /// Saves what is used, version and time of some nodes, in one transaction.
    ///
    /// # Errors
    /// If it cannot.
    fn save(&mut self, rows: &[Row]) -> Result<(), DatabaseError>;

    /// The node that is best for `want`, by its free memory.
    ///
    /// # Errors
    /// If it cannot.
    fn candidate(
        &mut self,
        want: Amounts,
        strategy: PolicyName,
    ) -> Result<Option<Row>, DatabaseError>;

    /// Allocates `want` on a node if its row is still of this version; whether it was.
    ///
    /// # Errors
    /// If it cannot.
    fn claim(&mut self, row: &Row, request: u64, want: Amounts) -> Result<bool, DatabaseError>;
}

/// Where a database is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// SQLite, in a file of its own that is removed after the run.
    #[default]
    Own,
    /// SQLite, in this file.
    File(PathBuf),
    /// PostgreSQL, at this URL.
    Postgres(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let own = path.is_empty();
            return Ok(if own { Place::Own } else { Place::File(path.into()) });
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let parsed = text.parse::<::postgres::Config>();
            return parsed.map(|_| Place::Postgres(text.to_owned())).map_err(|e| e.to_string());
        }
        Err("write sqlite:, sqlite:FILE or postgres://USER@HOST:PORT/DATABASE".to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Own => f.write_str("sqlite:"),
            Place::File(path) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(url) => f.write_str(url),
        }
    }
}

impl Place {
    /// What kind of database it is, for reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Place::Own | Place::File(_) => "sqlite",
            Place::Postgres(_) => "postgres",
        }
    }

    /// The same, with a file in `folder` if it is to have one of its own.
    #[must_use]
    pub fn within(&self, folder: &Path) -> Place {
        match self {
            Place::Own => Place::File(folder.join("hosts.sqlite")),
            Place::File(_) | Place::Postgres(_) => self.clone(),
        }
    }

    /// Looks whether it can be used.
    ///
    /// # Errors
    /// As [`Place::connect`].
    pub fn check(&self) -> Result<(), DatabaseError> {
        match self {
            Place::Own => Ok(()),
            Place::File(_) | Place::Postgres(_) => self.connect(true).map(|_| ()),
        }
    }

    /// Connects. Whoever runs a comparison `owns` the database; only one may.
    ///
    /// # Errors
    /// If it is missing, locked, or of another version.
    ///
    /// # Panics
    /// If it is to have a file of its own and has none: see [`Place::within`].
    pub fn connect(&self, owns: bool) -> Result<Box<dyn Database>, DatabaseError> {
        match self {
            Place::Own => panic!("its file was not named"),
            Place::File(path) => Ok(Box::new(sqlite::Sqlite::open(path, owns)?)),
            Place::Postgres(url) => Ok(Box::new(postgres::Postgres::open(url, owns)?)),
        }
    }
}

/// Why a database does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It is not there.
    #[error(
        "there is no database at {place}: start one with `src/bench/postgres start`, which prints \
         its URL, or leave --database out for SQLite"
    )]
    Missing {
        /// Where.
        place: String,
        /// What the client library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Someone else has it.
    #[error(
        "the database {place} is locked by another program, perhaps another comparison: wait for it \
         or stop it, or name another with --database"
    )]
    Locked {
        /// Where.
        place: String,
    },
    /// Its tables are not of this program, or not of this version of it.
    #[error(
        "the database {place} is of another version ({found}): {remedy}, or name another with \
         --database"
    )]
    OtherVersion {
        /// Where.
        place: String,
        /// What was found.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// SQLite says no.
    #[error("SQLite does not do what it is asked for")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL says no.
    #[error("PostgreSQL does not do what it is asked for")]
    Postgres(#[from] ::postgres::Error),
}

/// A count as databases keep it.
fn to_db(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it is here.
fn from_db(count: i64) -> u64 {
    count.unsigned_abs()
}

/// A row from its columns, in the order of [`COLUMNS`].
fn row(column: impl Fn(usize) -> i64) -> Row {
    let of = |place: usize| from_db(column(place));
    Row {
        node: u32::try_from(of(0)).unwrap_or(u32::MAX),
        capacity: Amounts([of(1), of(2), of(3)]),
        used: Amounts([of(4), of(5), of(6)]),
        version: of(7),
        updated_ns: of(8),
    }
}

/// The columns of a row, in its order.
const COLUMNS: &str = "node, vcpu_capacity, memory_capacity, disk_capacity, \
                       vcpu_used, memory_used, disk_used, version, updated_ns";

/// Makes the tables. Both databases take it.
const TABLES: &str = "
    CREATE TABLE hosts (
        node BIGINT PRIMARY KEY,
        vcpu_capacity BIGINT NOT NULL, memory_capacity BIGINT NOT NULL, disk_capacity BIGINT NOT NULL,
        vcpu_used BIGINT NOT NULL, memory_used BIGINT NOT NULL, disk_used BIGINT NOT NULL,
        version BIGINT NOT NULL, updated_ns BIGINT NOT NULL);
    CREATE TABLE allocations (
        request BIGINT PRIMARY KEY, node BIGINT NOT NULL,
        vcpu BIGINT NOT NULL, memory BIGINT NOT NULL, disk BIGINT NOT NULL);";

/// What orders candidates, best first.
fn order(strategy: PolicyName) -> &'static str {
    match strategy {
        PolicyName::Pack => "memory_capacity - memory_used",
        PolicyName::Spread => "memory_capacity - memory_used DESC",
        PolicyName::Random => "random()",
    }
}

/// Finds the best candidate for what is wanted of each class.
fn candidates(strategy: PolicyName) -> String {
    format!(
        "SELECT {COLUMNS} FROM hosts WHERE vcpu_capacity - vcpu_used >= $1 \
         AND memory_capacity - memory_used >= $2 AND disk_capacity - disk_used >= $3 \
         ORDER BY {} LIMIT 1",
        order(strategy)
    )
}

/// Writes a row anew.
const INSERT: &str = "INSERT INTO hosts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Saves what is used, version and time of a node.
const SAVE: &str = "UPDATE hosts SET vcpu_used = $2, memory_used = $3, disk_used = $4, \
                    version = $5, updated_ns = $6 WHERE node = $1";

/// Raises what is used on a node, if its row is of this version.
const RAISE: &str = "UPDATE hosts SET vcpu_used = vcpu_used + $3, memory_used = memory_used + $4, \
                     disk_used = disk_used + $5, version = version + 1 \
                     WHERE node = $1 AND version = $2";

/// Keeps an allocation.
const ALLOCATE: &str = "INSERT INTO allocations VALUES ($1, $2, $3, $4, $5)";

/// What [`INSERT`] takes.
fn columns(row: &Row) -> [i64; 9] {
    let Row { node, capacity: Amounts(capacity), used: Amounts(used), version, updated_ns } = *row;
    let [a, b, c] = capacity.map(to_db);
    let [d, e, f] = used.map(to_db);
    [i64::from(node), a, b, c, d, e, f, to_db(version), to_db(updated_ns)]
}

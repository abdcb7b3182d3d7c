//! SQLite, in the process.

use super::{
    ALLOCATE, COLUMNS, Database, DatabaseError, INSERT, LAYOUT, PATIENCE_MS, RAISE, Row, SAVE,
    TABLES, candidates, columns, row, to_db,
};
use crate::baselines::Amounts;
use counterfoil_placement::PolicyName;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection to a file.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    connection: Connection,
}

impl Sqlite {
    /// Opens the file. Who `owns` it makes it, unless it is there and has other tables.
    pub(super) fn open(path: &Path, owns: bool) -> Result<Sqlite, DatabaseError> {
        let missing = |error: rusqlite::Error| DatabaseError::Missing {
            place: path.display().to_string(),
            source: Box::new(error),
        };
        let connection = Connection::open(path).map_err(missing)?;
        let patience = if owns { 1000 } else { PATIENCE_MS };
        connection.busy_timeout(Duration::from_millis(patience))?;
        let sqlite = Sqlite { path: path.to_owned(), connection };
        let set = || -> rusqlite::Result<(i64, i64)> {
            let layout: i64 =
                sqlite.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            let tables: i64 =
                sqlite
                    .connection
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            sqlite.connection.pragma_update(None, "journal_mode", "WAL")?;
            sqlite.connection.pragma_update(None, "synchronous", "NORMAL")?;
            Ok((layout, tables))
        };
        let (layout, tables) = set().map_err(|error| sqlite.judge(error))?;
        if tables > 0 && layout != LAYOUT {
            return Err(sqlite.other(format!("{tables} tables of layout {layout}")));
        }
        Ok(sqlite)
    }

    fn other(&self, found: String) -> DatabaseError {
        let place = self.path.display().to_string();
        DatabaseError::OtherVersion { place, found, remedy: "remove the file" }
    }

    /// What an error means.
    fn judge(&self, error: rusqlite::Error) -> DatabaseError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                DatabaseError::Locked { place: self.path.display().to_string() }
            }
            Some(ErrorCode::NotADatabase) => self.other("not a database of SQLite".to_owned()),
            Some(_) | None => DatabaseError::Sqlite(error),
        }
    }

    /// Does something in one transaction that has the right to write from its beginning.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<(bool, T)>,
    ) -> Result<T, DatabaseError> {
        let done = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let (keep, value) = work(&transaction)?;
                if keep {
                    transaction.commit()?
                } else {
                    transaction.rollback()?
                };
                Ok(value)
            });
        done.map_err(|error| self.judge(error))
    }
}

impl Database for Sqlite {
    fn fill(&mut self, rows: &[Row]) -> Result<(), DatabaseError> {
        self.write(|connection| {
            connection
                .execute_batch("DROP TABLE IF EXISTS hosts; DROP TABLE IF EXISTS allocations;")?;
            connection.execute_batch(TABLES)?;
            connection.pragma_update(None, "user_version", LAYOUT)?;
            let mut insert = connection.prepare_cached(&numbered(INSERT))?;
            for row in rows {
                insert.execute(rusqlite::params_from_iter(columns(row)))?;
            }
            Ok((true, ()))
        })
    }

    fn hosts(&mut self, rows: &mut Vec<Row>) -> Result<(), DatabaseError> {
        rows.clear();
        let mut read = || -> rusqlite::Result<()> {
            let select = format!("SELECT {COLUMNS} FROM hosts");
            let mut select = self.connection.prepare_cached(&select)?;
            let mut found = select.query([])?;
            while let Some(found) = found.next()? {
                rows.push(row_of(found)?);
            }
            Ok(())
        };
        let read = read();
        read.map_err(|error| self.judge(error))
    }

    fn save(&mut self, rows: &[Row]) -> Result<(), DatabaseError> {
        self.write(|connection| {
            let mut save = connection.prepare_cached(&numbered(SAVE))?;
            for row in rows {
                let [vcpu, memory, disk] = row.used.0.map(to_db);
                let (version, updated) = (to_db(row.version), to_db(row.updated_ns));
                save.execute(params![row.node, vcpu, memory, disk, version, updated])?;
            }
            Ok((true, ()))
        })
    }

    fn candidate(
        &mut self,
        want: Amounts,
        strategy: PolicyName,
    ) -> Result<Option<Row>, DatabaseError> {
        let found = || {
            let mut select = self.connection.prepare_cached(&numbered(&candidates(strategy)))?;
            select.query_row(want.0.map(to_db), row_of).optional()
        };
        found().map_err(|error| self.judge(error))
    }

    fn claim(&mut self, row: &Row, request: u64, want: Amounts) -> Result<bool, DatabaseError> {
        let [vcpu, memory, disk] = want.0.map(to_db);
        self.write(|connection| {
            let raised = connection.prepare_cached(&numbered(RAISE))?.execute(params![
                row.node,
                to_db(row.version),
                vcpu,
                memory,
                disk
            ])?;
            if raised == 1 {
                let allocation = params![to_db(request), row.node, vcpu, memory, disk];
                connection.prepare_cached(&numbered(ALLOCATE))?.execute(allocation)?;
            }
            Ok((raised == 1, raised == 1))
        })
    }
}

/// SQLite numbers what it is given by `?1`; it would take `$1` for a name.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn row_of(found: &rusqlite::Row) -> rusqlite::Result<Row> {
    let mut columns = [0; 9];
    for (place, column) in columns.iter_mut().enumerate() {
        *column = found.get(place)?;
    }
    Ok(row(|place| columns[place]))
}

//! PostgreSQL, beside the process.

use super::{
    ALLOCATE, COLUMNS, Database, DatabaseError, INSERT, LAYOUT, RAISE, Row, SAVE, TABLES,
    candidates, columns, row, to_db,
};
use crate::baselines::Amounts;
use counterfoil_placement::PolicyName;
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, NoTls, Statement};
use std::fmt;

/// The oldest server that this was written for, as PostgreSQL counts its versions.
const OLDEST: i32 = 12_00_00;

/// The schema that has the tables.
const SCHEMA: &str = "counterfoil_bench";

/// A connection.
pub(super) struct Postgres {
    client: Client,
    hosts: Option<Statement>,
    save: Option<Statement>,
    candidate: Option<(PolicyName, Statement)>,
    claim: Option<(Statement, Statement)>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects. Who `owns` it locks it against others, and makes the schema, unless it is there and
    /// is of another version.
    pub(super) fn open(url: &str, owns: bool) -> Result<Postgres, DatabaseError> {
        let place = url.to_owned();
        let mut client = Client::connect(url, NoTls).map_err(|error| DatabaseError::Missing {
            place: place.clone(),
            source: error.into(),
        })?;
        let version: i32 = client
            .query_one("SELECT current_setting('server_version_num')::int", &[])?
            .try_get(0)?;
        if version < OLDEST {
            let found = format!("PostgreSQL {}", version / 10_000);
            let remedy = "start PostgreSQL 12 or later";
            return Err(DatabaseError::OtherVersion { place, found, remedy });
        }
        if owns {
            let locked: bool =
                client.query_one("SELECT pg_try_advisory_lock($1)", &[&LAYOUT])?.try_get(0)?;
            if !locked {
                return Err(DatabaseError::Locked { place });
            }
            let made =
                "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1";
            if let Some(schema) = client.query_opt(made, &[&SCHEMA])? {
                let comment: Option<String> = schema.try_get(0)?;
                if comment.as_deref() != Some(LAYOUT.to_string().as_str()) {
                    let found = format!("schema {SCHEMA} of layout {comment:?}");
                    let remedy = "drop the schema";
                    return Err(DatabaseError::OtherVersion { place, found, remedy });
                }
            }
            client.batch_execute(&format!(
                "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; COMMENT ON SCHEMA {SCHEMA} IS '{LAYOUT}'"
            ))?;
        }
        client.batch_execute(&format!(
            "SET search_path = {SCHEMA}; SET synchronous_commit = off; SET client_min_messages = error"
        ))?;
        Ok(Postgres { client, hosts: None, save: None, candidate: None, claim: None })
    }
}

impl Database for Postgres {
    fn fill(&mut self, rows: &[Row]) -> Result<(), DatabaseError> {
        let mut transaction = self.client.transaction()?;
        transaction
            .batch_execute("DROP TABLE IF EXISTS hosts; DROP TABLE IF EXISTS allocations;")?;
        transaction.batch_execute(TABLES)?;
        let insert = transaction.prepare(INSERT)?;
        for row in rows {
            let columns = columns(row);
            let columns = columns.each_ref().map(|column| column as &(dyn ToSql + Sync));
            transaction.execute(&insert, &columns)?;
        }
        transaction.commit()?;
        self.client.batch_execute("ANALYZE hosts")?;
        Ok(())
    }

    fn hosts(&mut self, rows: &mut Vec<Row>) -> Result<(), DatabaseError> {
        let Postgres { client, hosts, .. } = self;
        let select = match hosts {
            Some(select) => select,
            None => hosts.insert(client.prepare(&format!("SELECT {COLUMNS} FROM hosts"))?),
        };
        rows.clear();
        for found in client.query(select, &[])? {
            rows.push(row(|place| found.get(place)));
        }
        Ok(())
    }

    fn save(&mut self, rows: &[Row]) -> Result<(), DatabaseError> {
        let Postgres { client, save, .. } = self;
        let statement = match save {
            Some(save) => save,
            None => save.insert(client.prepare(SAVE)?),
        };
        let mut transaction = client.transaction()?;
        for row in rows {
            let [vcpu, memory, disk] = row.used.0.map(to_db);
            let (version, updated) = (to_db(row.version), to_db(row.updated_ns));
            let node = i64::from(row.node);
            let saved: [&(dyn ToSql + Sync); 6] =
                [&node, &vcpu, &memory, &disk, &version, &updated];
            transaction.execute(statement, &saved)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn candidate(
        &mut self,
        want: Amounts,
        strategy: PolicyName,
    ) -> Result<Option<Row>, DatabaseError> {
        let Postgres { client, candidate, .. } = self;
        if candidate.as_ref().is_none_or(|(of, _)| *of != strategy) {
            *candidate = Some((strategy, client.prepare(&candidates(strategy))?));
        }
        let (_, statement) = candidate.as_ref().expect("prepared above");
        let [vcpu, memory, disk] = want.0.map(to_db);
        let found = client.query_opt(statement, &[&vcpu, &memory, &disk])?;
        Ok(found.map(|found| row(|place| found.get(place))))
    }

    fn claim(&mut self, row: &Row, request: u64, want: Amounts) -> Result<bool, DatabaseError> {
        let Postgres { client, claim, .. } = self;
        let (raise, allocate) = match claim {
            Some(claim) => claim,
            None => claim.insert((client.prepare(RAISE)?, client.prepare(ALLOCATE)?)),
        };
        let (node, version, request) = (i64::from(row.node), to_db(row.version), to_db(request));
        let [vcpu, memory, disk] = want.0.map(to_db);
        let mut transaction = client.transaction()?;
        let raised = match transaction.execute(raise, &[&node, &version, &vcpu, &memory, &disk]) {
            Ok(raised) => raised == 1,
            Err(error) if conflicts(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if raised {
            transaction.execute(allocate, &[&request, &node, &vcpu, &memory, &disk])?;
            transaction.commit()?;
        } else {
            transaction.rollback()?;
        }
        Ok(raised)
    }
}

/// Whether the database gave up one of two transactions that were in each other's way.
fn conflicts(error: &postgres::Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
        || code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
}

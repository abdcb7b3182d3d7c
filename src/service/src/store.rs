//! What the actors of a process keep on disk, in one transactional store.
//!
//! The store is one table of records by actor and key, beside a table that says what it is. A commit
//! writes all records of a batch, of whatever actors, or none, with one flush, and returns once they
//! are on the disk. Loading writes every record to an empty disk.
//!
//! The store itself is redb's: a copy-on-write tree with a checksum on every page, two headers of which
//! a commit replaces the older, so that a write torn at any byte leaves the state before it. When it is
//! opened, every checksum is looked at: a damaged store is refused, and never read in part.

use counterfoil_protocol::{
    Actor, ClaimId, Incarnation, Record, RequestId, client, node, scheduler,
};
use counterfoil_recording::Role;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The version of the format that is written; only this one is read.
pub const FORMAT: u32 = 2;

/// Memory for pages of the store, in bytes.
const CACHE_BYTES: usize = 64 << 20;

type Bytes = &'static [u8];

const ABOUT: TableDefinition<&str, Bytes> = TableDefinition::new("about");
const RECORDS: TableDefinition<Bytes, Bytes> = TableDefinition::new("records");

/// The store of the actors of one process.
#[derive(Debug)]
pub struct Store<R: Role> {
    /// `None` keeps nothing.
    database: Option<Database>,
    path: PathBuf,
    role: PhantomData<R>,
}

/// A store that was opened, and what it keeps for each actor.
pub type Kept<R> = (Store<R>, BTreeMap<<R as Role>::Id, <R as Role>::Disk>);

/// A store that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("the store {path:?} {fault}")]
pub struct StoreError {
    path: PathBuf,
    fault: Fault,
}

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be opened, read or written.
    #[error("cannot be used: {0}")]
    Database(#[from] redb::Error),
    /// Something in it is missing or has no meaning.
    #[error(
        "is no store of this program, or damaged: {0} cannot be read. A node that lost its disk \
         comes back under a new --id, with an empty folder; what it had promised is over"
    )]
    Unreadable(&'static str),
    /// It was written by another version of this program.
    #[error("has format {0}; this program reads {FORMAT}: start the version that wrote it")]
    Format(u32),
    /// It belongs to someone else, or to others too.
    #[error("belongs to {found}, not to {wanted}: give each its own folder")]
    OtherActor {
        /// To whom.
        found: Actors,
        /// Who opened it.
        wanted: Actors,
    },
}

/// Some actors, in order, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actors(pub BTreeSet<Actor>);

impl fmt::Display for Actors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.first(), self.0.last(), self.0.len()) {
            (Some(first), Some(last), 3..) => write!(f, "{first} to {last}"),
            (Some(first), Some(last), 2) => write!(f, "{first} and {last}"),
            (Some(first), _, _) => first.fmt(f),
            (None, _, _) => f.write_str("nobody"),
        }
    }
}

/// What a record is about: a later record with the same key replaces it.
#[derive(Serialize, Deserialize)]
enum Key {
    Incarnation,
    Inventory,
    Status,
    Allocation(ClaimId),
    Choice(RequestId),
}

impl<R: Role> Store<R> {
    /// Opens the store at `path` of the actors `ids` and loads what each keeps. For an actor that it
    /// does not know, what `initial` says is written first.
    ///
    /// # Errors
    /// If it is in use, belongs to others too, or to others alone, has another format, or cannot be
    /// read or written.
    pub fn open(
        path: &Path,
        ids: &[R::Id],
        initial: impl Fn(R::Id) -> Vec<Record>,
    ) -> Result<Kept<R>, StoreError> {
        Self::open_with(path, || builder().create(path), ids, initial)
    }

    /// As [`Store::open`], in what `backend` makes of files.
    #[cfg(test)]
    fn open_in(
        backend: impl redb::StorageBackend,
        ids: &[R::Id],
        initial: impl Fn(R::Id) -> Vec<Record>,
    ) -> Result<Kept<R>, StoreError> {
        let open = || builder().create_with_backend(backend);
        Self::open_with(Path::new("backend"), open, ids, initial)
    }

    fn open_with(
        path: &Path,
        open: impl FnOnce() -> Result<Database, redb::DatabaseError>,
        ids: &[R::Id],
        initial: impl Fn(R::Id) -> Vec<Record>,
    ) -> Result<Kept<R>, StoreError> {
        let read = || {
            let mut database = open().map_err(redb::Error::from)?;
            if !database.check_integrity().map_err(redb::Error::from)? {
                return Err(Fault::Unreadable("its file"));
            }
            adopt::<R>(&database, ids, initial)?;
            let disks = load::<R>(&database, ids)?;
            Ok((database, disks))
        };
        // Of some damage redb says nothing, and panics.
        let read = catch_unwind(AssertUnwindSafe(read));
        let (database, disks) = read
            .unwrap_or(Err(Fault::Unreadable("its file")))
            .map_err(|fault| StoreError { path: path.to_owned(), fault })?;
        let store = Store { database: Some(database), path: path.to_owned(), role: PhantomData };
        Ok((store, disks))
    }

    /// A store that keeps nothing, for measurements: its actors forget everything when they stop.
    pub fn forgetful(ids: &[R::Id], initial: impl Fn(R::Id) -> Vec<Record>) -> Kept<R> {
        let disk = |id: &R::Id| {
            let mut disk = R::Disk::default();
            initial(*id).iter().for_each(|record| R::write(&mut disk, record));
            (*id, disk)
        };
        let store = Store { database: None, path: PathBuf::new(), role: PhantomData };
        (store, ids.iter().map(disk).collect())
    }

    /// Writes `records`, all or none, and returns once they are on the disk.
    ///
    /// # Errors
    /// If they cannot be written. Nothing that depends on them may then be told.
    pub fn commit(&mut self, records: &[(R::Id, Record)]) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let write = || {
            let transaction = database.begin_write().map_err(redb::Error::from)?;
            write_records::<R>(&transaction, records)?;
            transaction.commit().map_err(redb::Error::from)
        };
        write().map_err(|error| StoreError { path: self.path.clone(), fault: error.into() })
    }
}

impl StoreError {
    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes the store that of `ids`, if it may be.
fn adopt<R: Role>(
    database: &Database,
    ids: &[R::Id],
    initial: impl Fn(R::Id) -> Vec<Record>,
) -> Result<(), Fault> {
    let wanted = Actors(ids.iter().map(|id| R::actor(*id)).collect());
    let found = owners(database)?;
    if let Some(found) = &found
        && (!found.0.is_subset(&wanted.0))
    {
        return Err(Fault::OtherActor { found: found.clone(), wanted });
    }
    let known = |id: &&R::Id| found.as_ref().is_some_and(|f| f.0.contains(&R::actor(**id)));
    let new: Vec<R::Id> = ids.iter().filter(|id| !known(id)).copied().collect();
    if new.is_empty() {
        return Ok(());
    }
    let transaction = database.begin_write().map_err(redb::Error::from)?;
    {
        let mut about = transaction.open_table(ABOUT).map_err(redb::Error::from)?;
        about.insert("format", encode(&FORMAT).as_slice()).map_err(redb::Error::from)?;
        about.insert("owners", encode(&wanted).as_slice()).map_err(redb::Error::from)?;
    }
    let written = new.into_iter().flat_map(|id| initial(id).into_iter().map(move |r| (id, r)));
    write_records::<R>(&transaction, &written.collect::<Vec<_>>())?;
    Ok(transaction.commit().map_err(redb::Error::from)?)
}

/// Whose store it is; `None` if it is new.
fn owners(database: &Database) -> Result<Option<Actors>, Fault> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let about = match transaction.open_table(ABOUT) {
        Ok(about) => about,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(redb::Error::from(error).into()),
    };
    let read = |key| Ok::<_, Fault>(about.get(key).map_err(redb::Error::from)?);
    let format = read("format")?.ok_or(Fault::Unreadable("its format"))?;
    let format: u32 = decode(format.value(), "its format")?;
    if format != FORMAT {
        return Err(Fault::Format(format));
    }
    let owners = read("owners")?.ok_or(Fault::Unreadable("its owner"))?;
    decode(owners.value(), "its owner").map(Some)
}

fn load<R: Role>(database: &Database, ids: &[R::Id]) -> Result<BTreeMap<R::Id, R::Disk>, Fault> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let records = transaction.open_table(RECORDS).map_err(redb::Error::from)?;
    let by_actor: BTreeMap<Actor, R::Id> = ids.iter().map(|id| (R::actor(*id), *id)).collect();
    let mut disks: BTreeMap<R::Id, R::Disk> =
        ids.iter().map(|id| (*id, R::Disk::default())).collect();
    for row in records.iter().map_err(redb::Error::from)? {
        let (key, value) = row.map_err(redb::Error::from)?;
        let (owner, _): (Actor, Key) = decode(key.value(), "a key")?;
        let id = by_actor.get(&owner).ok_or(Fault::Unreadable("the owner of a record"))?;
        let disk = disks.get_mut(id).expect("each has one");
        R::write(disk, &decode(value.value(), "a record")?);
    }
    Ok(disks)
}

fn write_records<R: Role>(
    transaction: &WriteTransaction,
    records: &[(R::Id, Record)],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(RECORDS)?;
    let mut write = |id: R::Id, record: &Record| {
        let (key, ends) = about(record);
        let key = encode(&(R::actor(id), key));
        if ends {
            table.remove(key.as_slice())?;
        } else {
            table.insert(key.as_slice(), encode(record).as_slice())?;
        }
        Ok::<_, redb::Error>(())
    };
    for (id, record) in records {
        if let Record::Client(client::Change::Choices(choices)) = record {
            // One record for each, all in this transaction.
            for (request, chosen) in choices.iter() {
                let choice = client::Change::Choice(*request, chosen.clone());
                write(*id, &Record::Client(choice))?;
            }
        } else {
            write(*id, record)?;
        }
    }
    Ok(())
}

/// What a record is about, and whether it only ends an earlier one.
fn about(record: &Record) -> (Key, bool) {
    match record {
        Record::Node(node::Change::Life(_)) => (Key::Incarnation, false),
        Record::Node(node::Change::Inventory(_)) => (Key::Inventory, false),
        Record::Node(node::Change::Status(_)) => (Key::Status, false),
        Record::Node(node::Change::Allocation(claim, _)) => (Key::Allocation(*claim), false),
        Record::Node(node::Change::End(claim)) => (Key::Allocation(*claim), true),
        Record::Scheduler(scheduler::Change::Life(Incarnation(_))) => (Key::Incarnation, false),
        Record::Client(client::Change::Choice(request, _)) => (Key::Choice(*request), false),
        Record::Client(client::Change::Choices(_)) => unreachable!("written one by one"),
        Record::Client(client::Change::Cleared(request)) => (Key::Choice(*request), true),
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("values of the protocol have a postcard form")
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &'static str) -> Result<T, Fault> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Fault::Unreadable(what)),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod torn;

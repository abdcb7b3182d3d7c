//! What an actor keeps on disk, in a transactional store.
//!
//! The store is one table of records by key, beside a table that says what it is. A commit writes
//! all records of a batch or none, and returns once they are on the disk. Loading writes every
//! record to an empty disk.

use counterfoil_protocol::{
    Actor, ClaimId, Incarnation, Record, RequestId, client, node, scheduler,
};
use counterfoil_recording::Role;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// The version of the format that is written; only this one is read.
pub const FORMAT: u32 = 2;

/// Memory for pages of the store, in bytes.
const CACHE_BYTES: usize = 16 << 20;

type Bytes = &'static [u8];

const ABOUT: TableDefinition<&str, Bytes> = TableDefinition::new("about");
const RECORDS: TableDefinition<Bytes, Bytes> = TableDefinition::new("records");

/// The store of one actor.
#[derive(Debug)]
pub struct Store<R: Role> {
    database: Database,
    path: PathBuf,
    role: PhantomData<R>,
}

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
    #[error("is no store of this program, or damaged: {0} cannot be read")]
    Unreadable(&'static str),
    /// It was written by a later version of this program.
    #[error("has format {0}; this program reads {FORMAT}")]
    Format(u32),
    /// It belongs to someone else.
    #[error("belongs to {found}, not to {wanted}")]
    OtherActor {
        /// To whom.
        found: Actor,
        /// Who opened it.
        wanted: Actor,
    },
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
    /// Opens the store of `id` at `path` and loads what it keeps. If there is none, makes one in
    /// which `initial` is written.
    ///
    /// # Errors
    /// If it is in use, belongs to someone else, has another format, or cannot be read or written.
    pub fn open(path: &Path, id: R::Id, initial: &[Record]) -> Result<(Self, R::Disk), StoreError> {
        let in_store = |fault| StoreError { path: path.to_owned(), fault };
        let database = open_database(path).map_err(in_store)?;
        let disk = load::<R>(&database, id, initial).map_err(in_store)?;
        Ok((Store { database, path: path.to_owned(), role: PhantomData }, disk))
    }

    /// Writes `records`, all or none, and returns once they are on the disk.
    ///
    /// # Errors
    /// If they cannot be written. Nothing that depends on them may then be told.
    pub fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let write = || {
            let transaction = self.database.begin_write().map_err(redb::Error::from)?;
            write_records(&transaction, records)?;
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

fn open_database(path: &Path) -> Result<Database, Fault> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    Ok(builder.create(path).map_err(redb::Error::from)?)
}

fn load<R: Role>(database: &Database, id: R::Id, initial: &[Record]) -> Result<R::Disk, Fault> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    match transaction.open_table(ABOUT) {
        Ok(about) => check_owner::<R>(&about, id)?,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            initialise::<R>(database, id, initial)?;
            return load::<R>(database, id, &[]);
        }
        Err(error) => return Err(redb::Error::from(error).into()),
    }
    let records = transaction.open_table(RECORDS).map_err(redb::Error::from)?;
    let mut disk = R::Disk::default();
    for row in records.iter().map_err(redb::Error::from)? {
        let (_, value) = row.map_err(redb::Error::from)?;
        R::write(&mut disk, &decode(value.value(), "a record")?);
    }
    Ok(disk)
}

fn check_owner<R: Role>(
    about: &impl ReadableTable<&'static str, Bytes>,
    id: R::Id,
) -> Result<(), Fault> {
    let read = |key| Ok::<_, Fault>(about.get(key).map_err(redb::Error::from)?);
    let format = read("format")?.ok_or(Fault::Unreadable("its format"))?;
    let format: u32 = decode(format.value(), "its format")?;
    if format != FORMAT {
        return Err(Fault::Format(format));
    }
    let owner = read("owner")?.ok_or(Fault::Unreadable("its owner"))?;
    let found: Actor = decode(owner.value(), "its owner")?;
    let wanted = owner_of::<R>(id);
    if found == wanted { Ok(()) } else { Err(Fault::OtherActor { found, wanted }) }
}

fn initialise<R: Role>(database: &Database, id: R::Id, initial: &[Record]) -> Result<(), Fault> {
    let transaction = database.begin_write().map_err(redb::Error::from)?;
    {
        let mut about = transaction.open_table(ABOUT).map_err(redb::Error::from)?;
        about.insert("format", encode(&FORMAT).as_slice()).map_err(redb::Error::from)?;
        let owner = encode(&owner_of::<R>(id));
        about.insert("owner", owner.as_slice()).map_err(redb::Error::from)?;
    }
    write_records(&transaction, initial)?;
    Ok(transaction.commit().map_err(redb::Error::from)?)
}

fn write_records(transaction: &WriteTransaction, records: &[Record]) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(RECORDS)?;
    for record in records.iter().flat_map(parts) {
        let (key, ends) = about(&record);
        let key = encode(&key);
        if ends {
            table.remove(key.as_slice())?;
        } else {
            table.insert(key.as_slice(), encode(&record).as_slice())?;
        }
    }
    Ok(())
}

/// A record as those that are each about one thing; they are written in one transaction.
fn parts(record: &Record) -> Vec<Record> {
    let Record::Client(client::Change::Choices(choices)) = record else {
        return vec![record.clone()];
    };
    let choice = |(id, chosen): (&RequestId, &client::Chosen)| {
        Record::Client(client::Change::Choice(*id, chosen.clone()))
    };
    choices.iter().map(choice).collect()
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
        Record::Client(client::Change::Choices(_)) => unreachable!("written in parts"),
        Record::Client(client::Change::Cleared(request)) => (Key::Choice(*request), true),
    }
}

fn owner_of<R: Role>(id: R::Id) -> Actor {
    R::origin(id, R::Disk::default()).actor()
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
mod tests {
    use super::*;
    use counterfoil_protocol::node::{Allocation, AllocationState};
    use counterfoil_protocol::{
        AttemptNumber, ClaimNumber, ClassInventory, Client, ClientId, Demand, Inventory, Node,
        NodeId, ResourceClass, Scheduler, SchedulerId, Stamp, Status, Version,
    };

    const NODE: NodeId = NodeId(1);

    fn claim(number: u64) -> ClaimId {
        let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
        ClaimId { scheduler, incarnation, node: NODE, number: ClaimNumber(number) }
    }

    fn inventory() -> Inventory {
        let classes = [(ResourceClass::Vcpu, ClassInventory::of(8))].into_iter().collect();
        Inventory { classes, ..Inventory::default() }
    }

    fn allocation(state: AllocationState) -> Allocation {
        let at = Stamp { incarnation: Incarnation(1), version: Version(1) };
        Allocation { request: RequestId(1), demand: Demand::default(), at, state }
    }

    #[test]
    fn every_record_of_a_node_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let initial = [Record::Node(node::Change::Inventory(inventory()))];
        let (mut store, mut disk) = Store::<Node>::open(&path, NODE, &initial).unwrap();
        assert_eq!(disk, node::Disk::new(inventory()));
        let batches = [
            vec![node::Change::Life(Incarnation(1))],
            vec![
                node::Change::Allocation(claim(0), allocation(AllocationState::Held)),
                node::Change::Allocation(claim(1), allocation(AllocationState::Held)),
                node::Change::Allocation(claim(0), allocation(AllocationState::Confirmed)),
            ],
            vec![node::Change::End(claim(1)), node::Change::Status(Status::Draining)],
        ];
        for changes in batches {
            let records: Vec<Record> = changes.into_iter().map(Record::Node).collect();
            store.commit(&records).unwrap();
            for record in &records {
                Node::write(&mut disk, record);
            }
            drop(store);
            let (opened, loaded) = Store::<Node>::open(&path, NODE, &initial).unwrap();
            assert_eq!(loaded, disk);
            store = opened;
        }
    }

    #[test]
    fn what_schedulers_and_clients_keep_is_there_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scheduler");
        let (mut store, _) = Store::<Scheduler>::open(&path, SchedulerId(2), &[]).unwrap();
        let life = scheduler::Change::Life(Incarnation(7));
        store.commit(&[Record::Scheduler(life)]).unwrap();
        drop(store);
        let (_, disk) = Store::<Scheduler>::open(&path, SchedulerId(2), &[]).unwrap();
        assert_eq!(disk.incarnation, Incarnation(7));

        let path = dir.path().join("client");
        let (mut store, _) = Store::<Client>::open(&path, ClientId(3), &[]).unwrap();
        let chosen = client::Chosen {
            claim: claim(0),
            releasing: false,
            demand: Demand::default(),
            attempts_made: AttemptNumber(2),
            bundle: Default::default(),
        };
        let choose = |request, chosen| Record::Client(client::Change::Choice(request, chosen));
        let records = [choose(RequestId(1), chosen.clone()), choose(RequestId(2), chosen.clone())];
        store.commit(&records).unwrap();
        store.commit(&[Record::Client(client::Change::Cleared(RequestId(1)))]).unwrap();
        drop(store);
        let (_, disk) = Store::<Client>::open(&path, ClientId(3), &[]).unwrap();
        assert_eq!(disk.choices, [(RequestId(2), chosen)].into_iter().collect());
    }

    #[test]
    fn the_store_of_another_actor_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        drop(Store::<Node>::open(&path, NODE, &[]).unwrap());
        let error = Store::<Node>::open(&path, NodeId(2), &[]).unwrap_err();
        let (found, wanted) = (Actor::Node(NODE), Actor::Node(NodeId(2)));
        assert!(matches!(error.fault(), Fault::OtherActor { found: f, wanted: w }
            if (*f, *w) == (found, wanted)));
        let error = Store::<Scheduler>::open(&path, SchedulerId(1), &[]).unwrap_err();
        assert!(error.to_string().ends_with("belongs to n1, not to s1"), "{error}");
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let (store, _) = Store::<Node>::open(&path, NODE, &[]).unwrap();
        let transaction = store.database.begin_write().unwrap();
        let format = encode(&(FORMAT + 1));
        transaction.open_table(ABOUT).unwrap().insert("format", format.as_slice()).unwrap();
        transaction.commit().unwrap();
        drop(store);
        let error = Store::<Node>::open(&path, NODE, &[]).unwrap_err();
        assert!(matches!(error.fault(), Fault::Format(2)), "{error}");
    }

    #[test]
    fn a_store_that_is_in_use_or_no_store_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let _open = Store::<Node>::open(&path, NODE, &[]).unwrap();
        assert!(Store::<Node>::open(&path, NODE, &[]).is_err());

        let path = dir.path().join("other");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = Store::<Node>::open(&path, NODE, &[]).unwrap_err();
        assert!(matches!(error.fault(), Fault::Database(_)), "{error}");
    }
}

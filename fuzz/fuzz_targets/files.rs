//! Files that are not what they must be: recordings, stores, settings.

#![no_main]

use arbitrary::{Result, Unstructured};
use counterfoil_protocol::{
    ClassInventory, Client, ClientId, Inventory, Node, NodeId, Record, ResourceClass, Scheduler,
    SchedulerId, node,
};
use counterfoil_recording::audit::Judged;
use counterfoil_recording::{MAGIC, Reader, Role, VERSION};
use counterfoil_service::settings::{NodeSettings, SchedulerSettings};
use counterfoil_service::store::Store;
use libfuzzer_sys::{Corpus, fuzz_target};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Once};

const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// A folder in memory, for these files are written and read all the time.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("there is room for a folder").keep()
});

/// The rows of a good store, and its bytes.
static GOOD: LazyLock<(Rows, Vec<u8>)> = LazyLock::new(good);

type Rows = (Vec<(String, Vec<u8>)>, Vec<(Vec<u8>, Vec<u8>)>);

/// The store lives on with a panic of its library; one of ours still ends the process.
static HOOK: Once = Once::new();

fuzz_target!(|bytes: &[u8]| -> Corpus {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|at| at.file().contains("/redb-")) {
                usual(info);
            }
        }));
    });
    match one(&mut Unstructured::new(bytes)) {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});

fn one(u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=7)? {
        0 => read_all(u.bytes(u.len())?),
        1..=3 => recording(u)?,
        4 => rows(u)?,
        5 => damaged(u)?,
        _ => settings(u.bytes(u.len())?),
    }
    Ok(())
}

/// Frames with right checksums, around what the fuzzer thinks of.
fn recording(u: &mut Unstructured<'_>) -> Result<()> {
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    while !u.is_empty() {
        let length = u.int_in_range(0..=u.len().min(2000))?;
        let body = u.bytes(length)?;
        file.extend((body.len() as u32).to_le_bytes());
        file.extend(crc32fast::hash(body).to_le_bytes());
        file.extend(body);
    }
    file.truncate(file.len() - u.int_in_range(0..=1)?);
    read_all(&file);
    Ok(())
}

fn read_all(file: &[u8]) {
    read::<Node>(file);
    read::<Scheduler>(file);
    read::<Client>(file);
}

fn read<R: Judged>(file: &[u8]) {
    if let Ok(mut reader) = Reader::new(file) {
        while let Ok(Some(_)) = reader.batch::<R::Input>() {}
    }
}

fn good() -> (Rows, Vec<u8>) {
    let path = FOLDER.join("good");
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(6))].into_iter().collect();
    let inventory = Inventory { classes, ..Inventory::default() };
    let initial = |_| vec![Record::Node(node::Change::Inventory(inventory.clone()))];
    drop(Store::<Node>::open(&path, &[NodeId(1)], initial).expect("a new store"));
    let database = Database::open(&path).expect("it was written");
    let reading = database.begin_read().expect("it is open");
    let about = reading.open_table(ABOUT).expect("it is there");
    let records = reading.open_table(RECORDS).expect("it is there");
    let of_about = about.iter().expect("rows").map(|row| {
        let (key, value) = row.expect("a row");
        (key.value().to_owned(), value.value().to_vec())
    });
    let of_records = records.iter().expect("rows").map(|row| {
        let (key, value) = row.expect("a row");
        (key.value().to_vec(), value.value().to_vec())
    });
    let rows = (of_about.collect(), of_records.collect());
    drop((about, records, reading, database));
    (rows, std::fs::read(&path).expect("it was written"))
}

fn open_as_everyone(path: &Path) {
    fn open<R: Role>(path: &Path, id: R::Id) {
        drop(Store::<R>::open(path, &[id], |_| Vec::new()));
    }
    open::<Node>(path, NodeId(1));
    open::<Scheduler>(path, SchedulerId(1));
    open::<Client>(path, ClientId(1));
}

/// A whole store with rows that the fuzzer has changed, taken out and put in.
fn rows(u: &mut Unstructured<'_>) -> Result<()> {
    let (mut about, mut records) = GOOD.0.clone();
    for _ in 0..u.int_in_range(1..=4)? {
        let row = match u.int_in_range(0..=3)? {
            0 => {
                let which = u.int_in_range(0..=about.len() - 1)?;
                &mut about[which].1
            }
            1 => {
                let which = u.int_in_range(0..=records.len() - 1)?;
                &mut records[which].0
            }
            2 => {
                let which = u.int_in_range(0..=records.len() - 1)?;
                &mut records[which].1
            }
            _ => {
                records.push((short(u)?, short(u)?));
                continue;
            }
        };
        if u.arbitrary()? || row.is_empty() {
            *row = short(u)?;
        } else {
            let at = u.int_in_range(0..=row.len() - 1)?;
            row[at] = u.arbitrary()?;
        }
    }
    let path = FOLDER.join("rows");
    let _ = std::fs::remove_file(&path);
    let database = Database::create(&path).expect("there is room");
    let writing = database.begin_write().expect("it is open");
    {
        let mut table = writing.open_table(ABOUT).expect("a table");
        for (key, value) in &about {
            table.insert(key.as_str(), value.as_slice()).expect("there is room");
        }
        let mut table = writing.open_table(RECORDS).expect("a table");
        for (key, value) in &records {
            table.insert(key.as_slice(), value.as_slice()).expect("there is room");
        }
    }
    writing.commit().expect("there is room");
    drop(database);
    open_as_everyone(&path);
    Ok(())
}

fn short(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=40)?;
    Ok(u.bytes(length.min(u.len()))?.to_vec())
}

/// The file of a store, in which bytes are others, or which ends early.
fn damaged(u: &mut Unstructured<'_>) -> Result<()> {
    let mut file = GOOD.1.clone();
    if u.arbitrary()? {
        file.truncate(u.int_in_range(0..=file.len())?);
    }
    for _ in 0..u.int_in_range(0..=8)? {
        if !file.is_empty() {
            let at = u.int_in_range(0..=file.len() - 1)?;
            file[at] = u.arbitrary()?;
        }
    }
    let path = FOLDER.join("damaged");
    std::fs::write(&path, &file).expect("there is room");
    open_as_everyone(&path);
    Ok(())
}

/// Settings that a person, or nobody, wrote.
fn settings(text: &[u8]) {
    let path = FOLDER.join("settings.toml");
    std::fs::write(&path, text).expect("there is room");
    if let Ok(layers) = SchedulerSettings::layers(Some(&path), &SchedulerSettings::default()) {
        let _ = SchedulerSettings::options(&layers);
    }
    if let Ok(layers) = NodeSettings::layers(Some(&path), &NodeSettings::default()) {
        let _ = NodeSettings::options(&layers);
        let _ = NodeSettings::inventory(&layers);
    }
}

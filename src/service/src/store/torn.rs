//! What is left of a store when the power goes: every write and sync is recorded, and the store is
//! opened again from what a disk may hold after each of them.
//!
//! A disk holds all that was written before the last sync. Of what was written since, it may hold any
//! part, in any order, and the first bytes of a write without the rest.

use super::*;
use counterfoil_protocol::node::{Allocation, AllocationState, Change, Disk};
use counterfoil_protocol::{
    ClaimNumber, ClassInventory, Demand, Inventory, Node, NodeId, ResourceClass, SchedulerId,
    Stamp, Status, Version,
};
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const NODE: NodeId = NodeId(1);

/// Commits of one run.
const COMMITS: usize = 14;

/// What a store asks of a disk.
#[derive(Clone, Debug)]
enum Op {
    Length(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// A disk in memory that remembers what was asked of it.
#[derive(Clone, Debug, Default)]
struct Recorded(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    ops: Vec<Op>,
}

impl Recorded {
    fn of(bytes: Vec<u8>) -> Recorded {
        Recorded(Arc::new(Mutex::new(State { bytes, ops: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn ops(&self) -> usize {
        self.lock().ops.len()
    }
}

/// Does to `bytes` what is asked, a write only up to `part` of its bytes.
fn apply(bytes: &mut Vec<u8>, op: &Op, part: usize) {
    match op {
        Op::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Op::Write(offset, data) => {
            let (offset, data) = (usize::try_from(*offset).unwrap(), &data[..part.min(data.len())]);
            if bytes.len() < offset + data.len() {
                bytes.resize(offset + data.len(), 0);
            }
            bytes[offset..offset + data.len()].copy_from_slice(data);
        }
        Op::Sync => {}
    }
}

impl StorageBackend for Recorded {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.lock();
        let found = state.bytes.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.asked(Op::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.asked(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.asked(Op::Write(offset, data.to_vec()))
    }
}

impl Recorded {
    fn asked(&self, op: Op) -> io::Result<()> {
        let mut state = self.lock();
        apply(&mut state.bytes, &op, usize::MAX);
        state.ops.push(op);
        Ok(())
    }
}

fn initial(_: NodeId) -> Vec<Record> {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(8))].into_iter().collect();
    vec![Record::Node(Change::Inventory(Inventory { classes, ..Inventory::default() }))]
}

fn open(backend: Recorded) -> Result<(Store<Node>, Disk), StoreError> {
    let (store, mut disks) = Store::<Node>::open_in(backend, &[NODE], initial)?;
    Ok((store, disks.remove(&NODE).unwrap()))
}

/// Some changes that a node may commit together.
fn changes(rng: &mut fastrand::Rng) -> Vec<Change> {
    let change = |rng: &mut fastrand::Rng| {
        let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
        let number = ClaimNumber(rng.u64(0..40));
        let claim = ClaimId { scheduler, incarnation, node: NODE, number };
        let at = Stamp { incarnation, version: Version(rng.u64(0..100)) };
        let state = if rng.bool() { AllocationState::Held } else { AllocationState::Confirmed };
        let resources = [(ResourceClass::Vcpu, rng.u64(1..9))].into_iter().collect();
        let demand = Demand { resources, ..Demand::default() };
        let request = RequestId(number.0);
        match rng.u8(0..8) {
            0 => Change::Life(Incarnation(rng.u64(1..100))),
            1 => Change::Status(if rng.bool() { Status::Up } else { Status::Draining }),
            2 | 3 => Change::End(claim),
            _ => {
                Change::Allocation(claim, Allocation { request, demand: demand.into(), at, state })
            }
        }
    };
    (0..rng.usize(1..=30)).map(|_| change(rng)).collect()
}

/// What a store asked of its disk over a run, and what was committed.
struct Run {
    ops: Vec<Op>,
    /// What each commit made of the disk, and how much had been asked when it returned.
    committed: Vec<(Disk, usize)>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = fastrand::Rng::with_seed(seed);
        let backend = Recorded::default();
        let (mut store, mut disk) = open(backend.clone()).unwrap();
        let mut committed = vec![(disk.clone(), backend.ops())];
        for _ in 0..COMMITS {
            let changes = changes(&mut rng);
            changes.iter().for_each(|change| disk.apply(change));
            let records: Vec<_> = changes.into_iter().map(|c| (NODE, Record::Node(c))).collect();
            store.commit(&records).unwrap();
            committed.push((disk.clone(), backend.ops()));
        }
        // It writes when it is closed, too.
        drop(store);
        let ops = std::mem::take(&mut backend.lock().ops);
        Run { ops, committed }
    }

    /// What may be found if the power goes when so much was asked: the last commit that had
    /// returned, and the one under way. `None` is no commit at all.
    fn may_be_found(&self, asked: usize) -> (Option<usize>, usize) {
        let returned = self.committed.iter().take_while(|(_, at)| *at <= asked).count();
        (returned.checked_sub(1), returned.min(self.committed.len() - 1))
    }

    /// What is on the disk for certain when so much was asked, and what may be.
    fn split(&self, asked: usize) -> (Vec<u8>, &[Op]) {
        let synced = self.ops[..asked].iter().rposition(|op| matches!(op, Op::Sync));
        let synced = synced.map_or(0, |at| at + 1);
        let mut bytes = Vec::new();
        self.ops[..synced].iter().for_each(|op| apply(&mut bytes, op, usize::MAX));
        (bytes, &self.ops[synced..asked])
    }

    /// Opens what is left; whether it was refused.
    fn check(&self, asked: usize, bytes: Vec<u8>, how: &str) -> bool {
        let (least, most) = self.may_be_found(asked);
        let backend = Recorded::of(bytes);
        let (mut store, found) = match open(backend.clone()) {
            Ok(opened) => opened,
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("the store "), "{text}");
                assert_eq!(least, None, "{how}, {asked} asked: refused after a commit: {text}");
                return true;
            }
        };
        let mut allowed = self.committed[least.unwrap_or(0)..=most].iter();
        let is_one = allowed.any(|(disk, _)| *disk == found);
        assert!(is_one, "{how}, {asked} asked: neither {least:?} nor {most}, but {found:?}");
        // It is as good as new.
        let life = Change::Life(Incarnation(1000));
        store.commit(&[(NODE, Record::Node(life.clone()))]).unwrap();
        drop(store);
        let mut next = found;
        next.apply(&life);
        assert_eq!(open(backend).unwrap().1, next, "{how}, {asked} asked: after another commit");
        false
    }
}

/// Some lengths of the first part of so many bytes.
fn parts(length: usize, rng: &mut fastrand::Rng) -> Vec<usize> {
    let mut parts = vec![0, 1, length / 2, length.saturating_sub(1)];
    parts.extend((0..2).map(|_| rng.usize(0..=length)));
    // Sectors are written as a whole more often than not.
    parts.push(length.min(512));
    parts
}

#[test]
fn of_a_commit_that_the_power_tears_there_is_all_or_nothing() {
    for seed in 1..=3 {
        let run = Run::new(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut opened, mut refused) = (0, 0);
        for asked in 0..=run.ops.len() {
            let (certain, open_ops) = run.split(asked);
            let Some((last, before)) = open_ops.split_last() else { continue };
            let mut all_before = certain;
            before.iter().for_each(|op| apply(&mut all_before, op, usize::MAX));
            let length = match last {
                Op::Write(_, data) => data.len(),
                Op::Length(_) | Op::Sync => 0,
            };
            for part in parts(length, &mut rng) {
                let mut bytes = all_before.clone();
                apply(&mut bytes, last, part);
                let was = run.check(asked, bytes, &format!("seed {seed}, {part} of {length}"));
                opened += 1;
                refused += usize::from(was);
            }
        }
        assert!(opened > 200, "{opened}");
        println!("seed {seed}: {opened} opened, {refused} of them refused before a commit");
    }
}

#[test]
fn of_what_was_not_synced_any_part_may_be_there_in_any_order() {
    for seed in 1..=3 {
        let run = Run::new(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut opened, mut refused) = (0, 0);
        for asked in 0..=run.ops.len() {
            let (certain, open_ops) = run.split(asked);
            if open_ops.is_empty() {
                continue;
            }
            for attempt in 0..6 {
                let mut bytes = certain.clone();
                let mut order: Vec<&Op> = open_ops.iter().collect();
                rng.shuffle(&mut order);
                order.truncate(rng.usize(0..=order.len()));
                for op in order {
                    let whole = rng.u8(0..4) > 0;
                    let part = if whole { usize::MAX } else { rng.usize(0..4096) };
                    apply(&mut bytes, op, part);
                }
                let was = run.check(asked, bytes, &format!("seed {seed}, attempt {attempt}"));
                opened += 1;
                refused += usize::from(was);
            }
        }
        assert!(opened > 200, "{opened}");
        println!("seed {seed}: {opened} opened, {refused} of them refused before a commit");
    }
}

use super::*;
use counterfoil_protocol::node::{Allocation, AllocationState};
use counterfoil_protocol::{
    AttemptNumber, ClaimNumber, ClassInventory, Client, ClientId, Demand, Inventory, Node, NodeId,
    ResourceClass, Scheduler, SchedulerId, Set, Stamp, Status, Version,
};

const NODE: NodeId = NodeId(1);

fn claim(number: u64) -> ClaimId {
    let (scheduler, incarnation) = (SchedulerId(1), Incarnation(1));
    ClaimId { scheduler, incarnation, node: NODE, number: ClaimNumber(number) }
}

fn none<Id>(_: Id) -> Vec<Record> {
    Vec::new()
}

fn inventory() -> Inventory {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(8))].into_iter().collect();
    Inventory { classes, ..Inventory::default() }
}

fn allocation(state: AllocationState) -> Allocation {
    let at = Stamp { incarnation: Incarnation(1), version: Version(1) };
    Allocation { request: RequestId(1), demand: Demand::default().into(), at, state }
}

#[test]
fn every_record_of_a_node_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let initial = |_| vec![Record::Node(node::Change::Inventory(inventory()))];
    let (mut store, disks) = Store::<Node>::open(&path, &[NODE], initial).unwrap();
    let mut disk = disks[&NODE].clone();
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
        let records: Vec<_> = changes.into_iter().map(|c| (NODE, Record::Node(c))).collect();
        store.commit(&records).unwrap();
        for (_, record) in &records {
            Node::write(&mut disk, record);
        }
        drop(store);
        let (opened, loaded) = Store::<Node>::open(&path, &[NODE], initial).unwrap();
        assert_eq!(loaded[&NODE], disk);
        store = opened;
    }
}

#[test]
fn what_schedulers_and_clients_keep_is_there_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scheduler");
    let (mut store, _) = Store::<Scheduler>::open(&path, &[SchedulerId(2)], none).unwrap();
    let life = scheduler::Change::Life(Incarnation(7));
    store.commit(&[(SchedulerId(2), Record::Scheduler(life))]).unwrap();
    drop(store);
    let (_, disk) = Store::<Scheduler>::open(&path, &[SchedulerId(2)], none).unwrap();
    assert_eq!(disk[&SchedulerId(2)].incarnation, Incarnation(7));

    let path = dir.path().join("client");
    let (mut store, _) = Store::<Client>::open(&path, &[ClientId(3)], none).unwrap();
    let chosen = client::Chosen {
        claim: claim(0),
        releasing: false,
        demand: Demand::default().into(),
        attempts_made: AttemptNumber(2),
        bundle: Set::default(),
    };
    let choose =
        |request, chosen| (ClientId(3), Record::Client(client::Change::Choice(request, chosen)));
    let records = [choose(RequestId(1), chosen.clone()), choose(RequestId(2), chosen.clone())];
    store.commit(&records).unwrap();
    let cleared = Record::Client(client::Change::Cleared(RequestId(1)));
    store.commit(&[(ClientId(3), cleared)]).unwrap();
    drop(store);
    let (_, disk) = Store::<Client>::open(&path, &[ClientId(3)], none).unwrap();
    assert_eq!(disk[&ClientId(3)].choices, [(RequestId(2), chosen)].into_iter().collect());
}

#[test]
fn a_store_serves_those_it_belongs_to_and_may_come_to_serve_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let initial = |_| vec![Record::Node(node::Change::Inventory(inventory()))];
    let (mut store, _) = Store::<Node>::open(&path, &[NODE], initial).unwrap();
    let held = allocation(AllocationState::Held);
    let change = Record::Node(node::Change::Allocation(claim(0), held));
    store.commit(&[(NODE, change)]).unwrap();
    drop(store);
    let open = |ids: &[u32]| {
        let ids: Vec<NodeId> = ids.iter().copied().map(NodeId).collect();
        Store::<Node>::open(&path, &ids, initial)
    };
    let (store, disks) = open(&[1, 2, 3]).unwrap();
    assert_eq!(disks[&NODE].allocations.len(), 1);
    assert_eq!(disks[&NodeId(3)], node::Disk::new(inventory()));
    drop(store);
    let error = open(&[1, 2]).unwrap_err();
    assert!(error.to_string().contains("belongs to n1 to n3, not to n1 and n2"), "{error}");
}

#[test]
fn the_store_of_another_actor_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(Store::<Node>::open(&path, &[NODE], none).unwrap());
    let error = Store::<Node>::open(&path, &[NodeId(2)], none).unwrap_err();
    assert!(matches!(error.fault(), Fault::OtherActor { .. }), "{error}");
    let error = Store::<Scheduler>::open(&path, &[SchedulerId(1)], none).unwrap_err();
    assert!(error.to_string().contains("belongs to n1, not to s1"), "{error}");
}

#[test]
fn another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (store, _) = Store::<Node>::open(&path, &[NODE], none).unwrap();
    let transaction = store.database.as_ref().unwrap().begin_write().unwrap();
    let format = encode(&(FORMAT + 1));
    transaction.open_table(ABOUT).unwrap().insert("format", format.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let error = Store::<Node>::open(&path, &[NODE], none).unwrap_err();
    assert!(matches!(error.fault(), Fault::Format(3)), "{error}");
}

#[test]
fn a_store_that_is_in_use_or_no_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let _open = Store::<Node>::open(&path, &[NODE], none).unwrap();
    assert!(Store::<Node>::open(&path, &[NODE], none).is_err());

    let path = dir.path().join("other");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = Store::<Node>::open(&path, &[NODE], none).unwrap_err();
    assert!(matches!(error.fault(), Fault::Database(_)), "{error}");
}

/// Whatever the damage, the store is opened with all that it had, or refused with a word on it.
#[test]
fn a_damaged_store_is_opened_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let initial = |_| vec![Record::Node(node::Change::Inventory(inventory()))];
    let (_, kept) = Store::<Node>::open(&path, &[NODE], initial).unwrap();
    let good = std::fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut refused = 0;
    for _ in 0..400 {
        let mut bytes = good.clone();
        if random.bool() {
            bytes.truncate(random.usize(..bytes.len()));
        }
        for _ in 0..random.usize(..8) {
            let at = random.usize(..bytes.len().max(1));
            bytes[at..].iter_mut().take(random.usize(..64)).for_each(|byte| *byte = random.u8(..));
        }
        std::fs::write(&path, &bytes).unwrap();
        match Store::<Node>::open(&path, &[NODE], none) {
            Ok((_, disks)) => assert_eq!(disks, kept, "nothing is lost in silence"),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
            }
        }
    }
    assert!(refused > 100, "{refused} of 400");
}

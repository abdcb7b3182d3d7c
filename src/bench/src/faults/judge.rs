//! Judges what a cluster left behind: the stores of its nodes and what was recorded.

use super::FaultError;
use super::cluster::Cluster;
use counterfoil_protocol::node::{Allocation, AllocationState, Disk};
use counterfoil_protocol::{ClaimId, Node, NodeId, RequestId};
use counterfoil_recording::audit::audit;
use counterfoil_service::store::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the stores of the nodes say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stores {
    /// Allocations on all nodes.
    pub allocations: u64,
    /// What was promised, and is not there, or not confirmed.
    pub lost: Vec<String>,
    /// What is there, and was not promised.
    pub leaked: Vec<String>,
    /// Nodes with more allocated than they have.
    pub overcommitted: Vec<String>,
    /// Requests with more than one allocation.
    pub placed_twice: Vec<String>,
}

/// What the recordings say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Recordings {
    /// Runs that were rebuilt.
    pub runs: u64,
    /// Runs that were not.
    pub not_rebuilt: u64,
    /// Steps that were rebuilt and judged.
    pub steps: u64,
    /// Steps of processes that were killed before they committed them.
    pub steps_without_effect: u64,
    /// Checks that could not be made.
    pub checks_left_out: u64,
    /// How often a property was violated.
    pub violations: u64,
    /// Messages that arrived from one all of whose runs were recorded.
    pub messages_joined: u64,
    /// Messages that arrived and that their sender has not sent.
    pub never_sent: u64,
    /// How often the premise of each property was true.
    pub properties: BTreeMap<String, u64>,
    /// What was found.
    pub findings: Vec<String>,
}

impl Stores {
    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        let Stores { lost, leaked, overcommitted, placed_twice, .. } = self;
        [lost, leaked, overcommitted, placed_twice].iter().all(|wrong| wrong.is_empty())
    }

    /// Reads the stores of a cluster that has stopped, of which this was promised and nothing else.
    pub(crate) fn read(
        cluster: &Cluster,
        promised: &BTreeMap<ClaimId, RequestId>,
    ) -> Result<Stores, FaultError> {
        let mut stores = Stores::default();
        let mut found: BTreeMap<ClaimId, Allocation> = BTreeMap::new();
        for (node, process) in cluster.nodes() {
            let disk = disk(&cluster.root.join(process.name()).join("store"), node)?;
            if let Some(wrong) = overcommitted(&disk) {
                stores.overcommitted.push(format!("{node} {wrong}"));
            }
            found.extend(disk.allocations.iter().map(|(claim, a)| (*claim, a.clone())));
        }
        stores.allocations = found.len() as u64;
        let mut requests: BTreeMap<RequestId, ClaimId> = BTreeMap::new();
        for (claim, Allocation { request, state, .. }) in &found {
            if let Some(other) = requests.insert(*request, *claim) {
                stores.placed_twice.push(format!("{request} has {other} and {claim}"));
            }
            match (promised.get(claim), state) {
                (Some(promised), AllocationState::Confirmed) if promised == request => {}
                (Some(_), _) => stores.lost.push(format!("{claim} is {state:?} for {request}")),
                (None, _) => stores.leaked.push(format!("{claim} is {state:?} for {request}")),
            }
        }
        let absent = promised.iter().filter(|(claim, _)| !found.contains_key(claim));
        stores.lost.extend(absent.map(|(claim, request)| format!("{claim} of {request} is gone")));
        Ok(stores)
    }
}

/// What a node that has stopped keeps.
pub(crate) fn disk(store: &Path, node: NodeId) -> Result<Disk, FaultError> {
    let (_, mut disks) = Store::<Node>::open(store, &[node], |_| Vec::new())?;
    Ok(disks.remove(&node).expect("it was asked for"))
}

fn overcommitted(disk: &Disk) -> Option<String> {
    let used = disk.used();
    let mut classes = disk.inventory.classes.iter();
    let over = classes.find(|(class, inventory)| used.get(class) > inventory.capacity());
    over.map(|(class, inventory)| {
        format!("has {} {class} of {} allocated", used.get(class), inventory.capacity())
    })
}

impl Recordings {
    /// Whether every run was rebuilt and every property held.
    pub fn is_fine(&self) -> bool {
        self.violations == 0 && self.not_rebuilt == 0 && self.never_sent == 0
    }

    /// Judges all recordings in a folder, as `check validate` does.
    pub(crate) fn read(folder: &Path) -> Result<Recordings, FaultError> {
        let failed = |source| FaultError::Folder { path: folder.to_owned(), source };
        let found = audit(folder).map_err(failed)?;
        Ok(Recordings {
            runs: found.runs,
            not_rebuilt: found.not_rebuilt,
            steps: found.steps,
            steps_without_effect: found.steps_without_effect,
            checks_left_out: found.left_out,
            violations: found.violations,
            messages_joined: found.messages_joined,
            never_sent: found.never_sent,
            properties: found.judged.iter().map(|(p, n)| (p.to_string(), *n)).collect(),
            findings: found.findings.iter().map(ToString::to_string).collect(),
        })
    }
}

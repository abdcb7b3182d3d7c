//! For how long what a scheduler knew of a node had been out of date when it chose it: told by
//! someone who sees both at once, on one clock.

use crate::histogram::Histogram;
use counterfoil_protocol::{Node, NodeId, Scheduler, Stamp};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Changes of a node that are remembered. What is further behind counts as behind by the oldest.
const CHANGES_MAX: usize = 256;

/// About so many nodes are looked at, or all if there are fewer: looking costs time, which is not the
/// service's.
const LOOKED_AT: u32 = 32;

/// Sees the changes of some nodes and the choices of them.
#[derive(Debug)]
pub(crate) struct Clock {
    /// One node in so many is looked at.
    every: u32,
    /// Of each of them: when it came to which stamp.
    nodes: Vec<Mutex<VecDeque<(Stamp, Instant)>>>,
    staleness: Mutex<Histogram>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock {
    /// Sees some of so many nodes.
    pub(crate) fn new(nodes: u32) -> Clock {
        let every = (nodes / LOOKED_AT).max(1);
        let nodes = (0..nodes / every).map(|_| Mutex::default()).collect();
        Clock { every, nodes, staleness: Mutex::default() }
    }

    fn node(&self, id: NodeId) -> Option<&Mutex<VecDeque<(Stamp, Instant)>>> {
        let looked_at = id.0.is_multiple_of(self.every);
        self.nodes.get(((id.0 / self.every) as usize).checked_sub(1)?).filter(|_| looked_at)
    }

    /// The node has taken a step.
    pub(crate) fn stepped(&self, node: &Node) {
        let Some(changes) = self.node(node.id) else { return };
        let (mut changes, stamp) = (lock(changes), node.stamp());
        if changes.back().is_none_or(|(last, _)| *last < stamp) {
            if changes.len() == CHANGES_MAX {
                changes.pop_front();
            }
            changes.push_back((stamp, Instant::now()));
        }
    }

    /// The scheduler has chosen `node`.
    pub(crate) fn chosen(&self, scheduler: &Scheduler, node: NodeId) {
        let Some(changes) = self.node(node) else { return };
        let cached = scheduler.nodes.get(&node).and_then(|peer| Some(peer.host.as_ref()?.stamp));
        let Some(cached) = cached else { return };
        let missed = {
            let changes = lock(changes);
            let first = changes.partition_point(|(stamp, _)| *stamp <= cached);
            changes.get(first).map(|(_, at)| at.elapsed())
        };
        lock(&self.staleness).note(missed.unwrap_or(Duration::ZERO));
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Histogram {
        std::mem::take(&mut lock(&self.staleness))
    }
}

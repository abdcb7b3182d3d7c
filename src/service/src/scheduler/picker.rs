//! Picks nodes for a scheduler: the policy, kept up to date with what the machine knows.

use counterfoil_placement::{Index, Policy, Share};
use counterfoil_protocol::scheduler::{Input, Presence};
use counterfoil_protocol::{AttemptId, NodeId, Scheduler, Status};

/// The policy of one scheduler. It is shown every input before the machine is given it, and the
/// machine afterwards.
#[derive(Clone, Debug)]
pub struct Picker {
    index: Index,
    /// The node of which the input that is being handled may change what is known.
    touched: Option<NodeId>,
}

impl Picker {
    /// A policy that knows no node yet. `seed` starts its generator.
    pub fn new(policy: Policy, seed: u64) -> Picker {
        Picker { index: Index::new(policy, seed), touched: None }
    }

    /// Says which nodes are this scheduler's own; until then all.
    pub fn set_share(&mut self, share: Share) {
        self.index.set_share(share);
    }

    /// The machine is about to take this input.
    pub fn before(&mut self, input: &Input) {
        self.touched = input.node();
    }

    /// The machine has taken the input that was shown before.
    pub fn after(&mut self, machine: &Scheduler) {
        let Some(node) = self.touched.take() else { return };
        let Some(peer) = machine.nodes.get(&node) else { return self.index.remove(node) };
        if let Some(host) = &peer.host {
            let open = peer.presence == Presence::Present && host.state.status == Status::Up;
            self.index.set(node, &host.state, &peer.set_aside(), open);
        }
    }

    /// Picks a node for an attempt of the machine; `None` if none is eligible.
    pub fn pick(&mut self, machine: &Scheduler, id: AttemptId) -> Option<NodeId> {
        let attempt = machine.attempts.get(&id)?;
        self.index.pick(&attempt.demand, |node| machine.eligible(id, node))
    }

    /// What is known of the nodes.
    pub fn index(&self) -> &Index {
        &self.index
    }
}

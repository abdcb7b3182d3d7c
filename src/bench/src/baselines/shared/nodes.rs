//! The nodes of 2016.

use super::{Mode, Reply, SEED_MAX, Said};
use crate::baselines::{Amounts, Change, End, Given, Message, NodesPart, Outbox, PartError};
use fastrand::Rng;
use std::time::Instant;

/// What a node keeps of a scheduler.
#[derive(Debug)]
struct Remote {
    mode: Mode,
    fallen_out: bool,
    /// The number of the next message.
    next: u64,
    pipe: Pipe,
}

/// What waits for a scheduler, merged.
#[derive(Debug, Default)]
struct Pipe {
    /// Everything is to be told; what is merged beside it is in that already.
    refresh: bool,
    replies: Vec<Reply>,
    more: Amounts,
}

impl Pipe {
    fn is_empty(&self) -> bool {
        !self.refresh && self.replies.is_empty()
    }
}

#[derive(Debug)]
struct OneNode {
    capacity: Amounts,
    used: Amounts,
    changes: u64,
    remotes: Vec<Remote>,
}

/// All nodes.
#[derive(Debug)]
pub struct SharedNodes {
    nodes: Vec<OneNode>,
    /// Nodes that have something in a pipe.
    waiting: Vec<u32>,
    random: Rng,
}

impl SharedNodes {
    /// Nodes whose message numbers begin where this seed says.
    pub fn new(given: &[Given], seed: u64) -> SharedNodes {
        let node = |given: &Given| OneNode {
            capacity: given.capacity(),
            used: given.used(),
            changes: 0,
            remotes: Vec::new(),
        };
        let nodes = given.iter().map(node).collect();
        SharedNodes { nodes, waiting: Vec::new(), random: Rng::with_seed(seed) }
    }

    fn on_report(&mut self, node: u32, from: u32) {
        let remote = &mut self.nodes[node as usize - 1].remotes[from as usize - 1];
        remote.activate();
        self.waiting.push(node);
    }

    fn on_claim(&mut self, node: u32, from: u32, claim: super::Claim, out: &mut Outbox) {
        let of_node = &mut self.nodes[node as usize - 1];
        let accepted = of_node.capacity.minus(of_node.used).has(claim.want);
        let reply = Reply { origin: from, number: claim.number, request: claim.request, accepted };
        if accepted {
            of_node.used = of_node.used.plus(claim.want);
            of_node.changes += 1;
            out.changes.push(Change { node, count: of_node.changes, by: from });
            let active = (1..).zip(&mut of_node.remotes);
            for (to, remote) in active.filter(|(_, remote)| remote.mode == Mode::Active) {
                remote.pipe.replies.push(reply);
                if to != from {
                    remote.pipe.more = remote.pipe.more.plus(claim.want);
                }
            }
        } else {
            let remote = &mut of_node.remotes[from as usize - 1];
            if remote.mode == Mode::Standby && !remote.fallen_out {
                remote.activate();
            }
            remote.pipe.replies.push(reply);
        }
        self.waiting.push(node);
    }
}

impl Remote {
    /// Follows changes from now on, beginning with everything; what waited is in that already.
    fn activate(&mut self) {
        self.pipe = Pipe { refresh: true, ..Pipe::default() };
        self.fallen_out = false;
        self.mode = Mode::Active;
    }
}

impl NodesPart for SharedNodes {
    fn begin(&mut self, schedulers: u32, out: &mut Outbox) -> Result<(), PartError> {
        for (node, of_node) in (1..).zip(&mut self.nodes) {
            for to in 1..=schedulers {
                of_node.remotes.push(Remote {
                    mode: Mode::Standby,
                    fallen_out: false,
                    next: self.random.u64(..=SEED_MAX),
                    pipe: Pipe::default(),
                });
                out.send(End::Node(node), End::Scheduler(to), Message::Shared(Said::Notify));
            }
        }
        Ok(())
    }

    fn hear(
        &mut self,
        node: u32,
        from: u32,
        message: Message,
        out: &mut Outbox,
    ) -> Result<(), PartError> {
        match message {
            Message::Shared(Said::Report) => self.on_report(node, from),
            Message::Shared(Said::Claim(claim)) => self.on_claim(node, from, claim, out),
            Message::Shared(Said::Notify | Said::Refresh { .. } | Said::Commit { .. })
            | Message::Claim { .. }
            | Message::Verdict { .. }
            | Message::Counterfoil(_) => {}
        }
        Ok(())
    }

    fn turn(&mut self, _: Instant, out: &mut Outbox) -> Result<(), PartError> {
        self.waiting.sort_unstable();
        self.waiting.dedup();
        for node in self.waiting.drain(..) {
            let of_node = &mut self.nodes[node as usize - 1];
            let (host, changes) = ((of_node.capacity, of_node.used), of_node.changes);
            let open = (1..).zip(&mut of_node.remotes).filter(|(_, r)| !r.pipe.is_empty());
            for (to, remote) in open {
                let number = remote.next;
                remote.next += 1;
                let Pipe { refresh, replies, more } = std::mem::take(&mut remote.pipe);
                let said = if refresh {
                    Said::Refresh { number, host, changes }
                } else {
                    Said::Commit { number, replies, more, changes }
                };
                out.send(End::Node(node), End::Scheduler(to), Message::Shared(said));
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn used(&self) -> Vec<Amounts> {
        self.nodes.iter().map(|node| node.used).collect()
    }
}

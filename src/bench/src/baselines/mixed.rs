//! Nodes that filter and caching schedulers place on beside this project's.
//!
//! The machine of a node is the authority for both. A claim of the old kind is given to it as one of
//! a scheduler that exists for this alone and never subscribes; its verdict goes back in the old form.
//! Whatever changes a node is saved in its row, by which the old schedulers learn of it; ours learn of
//! the old ones' placements by deltas, as of any.

use super::counterfoil::CounterfoilNodes;
use super::database::{Database, Row};
use super::{Amounts, Change, End, Envelope, Given, Message, NodesPart, Outbox, PartError, now_ns};
use counterfoil_protocol::{
    Actor, Address, Body, Claim, ClaimId, ClaimNumber, ClientId, Config, Datagram, Decision,
    Demand, Incarnation, NodeId, RequestId, ResourceClass, SchedulerId, Verdict,
};
use std::collections::HashMap;
use std::time::Instant;

/// The scheduler that stands for an old one has its number and this.
const STANDS_FOR: u32 = 1 << 20;

/// The only life of whoever stands for an old scheduler.
const LIFE: Incarnation = Incarnation(1);

/// Nodes for old and new schedulers.
pub struct MixedNodes {
    inner: CounterfoilNodes,
    database: Box<dyn Database>,
    rows: Vec<Row>,
    /// Nodes whose rows are to be saved.
    changed: Vec<u32>,
    /// The number of the next claim of the old schedulers, and requests by claim number: of all nodes.
    next: u64,
    requests: HashMap<u64, u64>,
}

impl MixedNodes {
    /// Nodes that have this, with rows in this database.
    ///
    /// # Errors
    /// If they cannot start.
    pub fn new(
        given: &[Given],
        config: &Config,
        database: Box<dyn Database>,
    ) -> Result<MixedNodes, PartError> {
        Ok(MixedNodes {
            inner: CounterfoilNodes::new(given, config)?,
            database,
            rows: Row::initial(given),
            changed: Vec::new(),
            next: 0,
            requests: HashMap::new(),
        })
    }

    /// The claim of an old scheduler, in the form that a node takes.
    fn translated(&mut self, node: u32, from: u32, request: u64, want: Amounts) -> Datagram {
        let number = ClaimNumber(self.next);
        self.next += 1;
        self.requests.insert(number.0, request);
        let scheduler = SchedulerId(from + STANDS_FOR);
        let [vcpu, memory_mib, disk_gb] = want.0;
        let classes = [ResourceClass::Vcpu, ResourceClass::MemoryMb, ResourceClass::DiskGb];
        let amounts = classes.into_iter().zip([vcpu, memory_mib, disk_gb]);
        let resources = amounts.filter(|(_, amount)| *amount > 0).collect();
        let claim = ClaimId { scheduler, incarnation: LIFE, node: NodeId(node), number };
        Datagram {
            src: Address { actor: Actor::Scheduler(scheduler), incarnation: Some(LIFE) },
            dst: Address {
                actor: Actor::Node(NodeId(node)),
                incarnation: Some(self.inner.machine(node).incarnation()),
            },
            body: Body::Claim(Claim {
                claim,
                request: RequestId(request),
                demand: Demand { resources, ..Demand::default() }.into(),
                // Each of its claims is decided as soon as it comes.
                floor: number,
            }),
        }
    }

    /// What the machines say to those that stand for old schedulers, as the old ones understand it;
    /// everything else as it is. What was granted is confirmed at once.
    fn translate(&mut self, said: Outbox, out: &mut Outbox) -> Result<(), PartError> {
        for envelope in said.envelopes {
            match (envelope.to, envelope.message) {
                (End::Scheduler(to), Message::Counterfoil(datagram)) if to >= STANDS_FOR => {
                    let (to, from) = (to - STANDS_FOR, envelope.from);
                    self.on_verdict(from, to, &datagram, out)?;
                }
                (to, message) => {
                    let (from, sent_ns, knew) = (envelope.from, envelope.sent_ns, envelope.knew);
                    out.envelopes.push(Envelope { from, to, sent_ns, knew, message });
                }
            }
        }
        for mut change in said.changes {
            if change.by >= STANDS_FOR {
                change.by -= STANDS_FOR;
            }
            self.on_change(change);
            out.changes.push(change);
        }
        Ok(())
    }

    fn on_verdict(
        &mut self,
        from: End,
        to: u32,
        datagram: &Datagram,
        out: &mut Outbox,
    ) -> Result<(), PartError> {
        let Body::Verdict(Verdict { claim, decision }) = &datagram.body else { return Ok(()) };
        let granted = match decision {
            Decision::Granted { .. } => true,
            Decision::Refused(_) => false,
            Decision::Confirmed { .. } | Decision::Gone => return Ok(()),
        };
        let Some(request) = self.requests.remove(&claim.number.0) else { return Ok(()) };
        out.send(from, End::Scheduler(to), Message::Verdict { request, granted });
        if granted {
            let confirm = super::counterfoil::confirm(ClientId(to + STANDS_FOR), *claim);
            self.inner.hear(claim.node.0, to, Message::Counterfoil(confirm), out)?;
        }
        Ok(())
    }

    fn on_change(&mut self, change: Change) {
        let used = self.inner.machine(change.node).durable.used();
        let row = &mut self.rows[change.node as usize - 1];
        row.used = Amounts::wanted(&Demand { resources: used, ..Demand::default() });
        row.version = change.count;
        row.updated_ns = now_ns();
        self.changed.push(change.node);
    }
}

impl NodesPart for MixedNodes {
    fn begin(&mut self, schedulers: u32, out: &mut Outbox) -> Result<(), PartError> {
        self.inner.begin(schedulers, out)
    }

    fn hear(
        &mut self,
        node: u32,
        from: u32,
        message: Message,
        out: &mut Outbox,
    ) -> Result<(), PartError> {
        let message = match message {
            Message::Claim { request, want } => {
                Message::Counterfoil(self.translated(node, from, request, want))
            }
            Message::Counterfoil(_) | Message::Verdict { .. } | Message::Shared(_) => message,
        };
        self.inner.hear(node, from, message, out)
    }

    fn turn(&mut self, now: Instant, out: &mut Outbox) -> Result<(), PartError> {
        let mut said = Outbox::default();
        self.inner.turn(now, &mut said)?;
        // The rows are saved before anyone is told.
        let mut told = Outbox::default();
        self.translate(said, &mut told)?;
        if !self.changed.is_empty() {
            let began = Instant::now();
            self.changed.sort_unstable();
            self.changed.dedup();
            let rows = self.changed.drain(..).map(|node| self.rows[node as usize - 1]);
            self.database.save(&rows.collect::<Vec<Row>>())?;
            out.spent.claim += began.elapsed();
        }
        out.envelopes.append(&mut told.envelopes);
        out.changes.append(&mut told.changes);
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn used(&self) -> Vec<Amounts> {
        self.inner.used()
    }
}

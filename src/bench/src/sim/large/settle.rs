//! A large cluster that is left alone: whether all views become true, every request ends and nothing
//! leaks.

use super::Run;
use crate::sim::report::Figures;
use counterfoil_properties::{Liveness, Snapshot, Unmet};

/// How long that may take, in beats; a hold that nobody confirms lapses in this time.
const BEATS_MAX: u64 = 200;

impl Run<'_> {
    /// Leaves the cluster alone until all has settled.
    pub(super) fn settle(&mut self, figures: &mut Figures) {
        self.engine.network.links = self.options.links.calm();
        self.engine.network.parted = None;
        let (began, beat) = (self.engine.now, self.options.beat_us);
        self.engine.forget_items();
        let mut unmet = self.unmet();
        for beats in 1..=BEATS_MAX {
            if unmet.is_none() || self.engine.judge.violated.is_some() {
                break;
            }
            self.go_on_until(began + beat * beats);
            self.tell("settling", beats * 1000 / BEATS_MAX);
            unmet = self.unmet();
        }
        figures.settled(self.engine.now - began, unmet);
    }

    /// What is not as it must be in the end, if anything is: which property, and why.
    fn unmet(&self) -> Option<(Liveness, String)> {
        let cast = &self.engine.cast;
        let there = cast.nodes.iter().filter(|slot| !slot.machine.left);
        let nodes: Vec<_> = there.map(|slot| &slot.machine).collect();
        let schedulers = cast.schedulers_there().map(|at| &cast.schedulers[at].machine).collect();
        let clients = cast.clients.iter().map(|slot| &slot.machine).collect();
        let now = Snapshot { nodes: nodes.clone(), schedulers, clients };
        let words = |property: Liveness, unmet: Unmet<'_>| (property, unmet().clause);
        for property in [Liveness::EveryRequestEnds, Liveness::Convergence] {
            if let Some(unmet) = property.check(&now) {
                return Some(words(property, unmet));
            }
        }
        // Node by node, each beside the clients whose requests it has: all beside all would take as
        // long as there are pairs.
        for node in nodes {
            let requests = node.durable.allocations.values().map(|allocation| allocation.request);
            let clients = self.load.clients_of(requests);
            let clients: Vec<_> = clients.into_iter().map(|at| &cast.clients[at].machine).collect();
            if node.durable.allocations.is_empty() {
                continue;
            }
            let now = Snapshot { nodes: vec![node], schedulers: Vec::new(), clients };
            if let Some(unmet) = Liveness::NoLeak.check(&now) {
                return Some(words(Liveness::NoLeak, unmet));
            }
        }
        None
    }
}

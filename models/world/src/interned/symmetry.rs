//! States that differ in names alone count as one.
//!
//! Nodes with equal inventories, schedulers, and requests for the same can be exchanged: whatever can
//! happen to one can happen to the other. The exchanges that leave the scenario as it is form a
//! group, and a state is told apart by the least print among those of its images. Names decide
//! nothing then: [`crate::cluster::Reductions::in_order`] is off. A torn write cuts what a process
//! says after the first few things, in the order of names; so where torn writes happen, nothing is
//! exchanged.

use super::tables::{Rest, Tables};
use super::{CHOICES, DELIVERED, FLIGHT_BITS, HISTORY, MAIL, REST, State};
use super::{DATAGRAM, DISK, PROCESS, part};
use crate::cluster::World;
use crate::protocol::Protocol;
use crate::rename::Names;
use crate::scenario::{Fault, Outside, Scenario};
use crate::shared::Shared;
use counterfoil_protocol::{Actor, Map};
use std::collections::HashMap;

/// The exchanges that leave a scenario as it is, and the images of what states are made of.
pub(super) struct Symmetry<P: Protocol> {
    setting: P::Setting,
    group: Vec<Names>,
    /// By exchange and index: the index of the image of an outside input.
    to_come: Vec<Vec<u8>>,
    /// By kind and number: the prints of the images.
    prints: HashMap<(u64, u32), Box<[u64]>, ahash::RandomState>,
    /// By datagram: the numbers of the images.
    datagrams: Vec<Option<Box<[u32]>>>,
    sums: Vec<u64>,
}

impl<P: Protocol> Symmetry<P> {
    /// Of a world.
    pub(super) fn of(world: &World<P>) -> Self {
        let group = exchanges(&world.scenario, &world.outside);
        let inputs = 0..world.outside.len() as u8;
        let image = |names: &Names| -> Vec<u8> {
            inputs.clone().map(|index| names.outside(world, index)).collect()
        };
        Symmetry {
            setting: world.setting.clone(),
            to_come: group.iter().map(image).collect(),
            sums: vec![0; group.len()],
            group,
            prints: HashMap::default(),
            datagrams: Vec::new(),
        }
    }

    /// The exchanges.
    pub(super) fn group(&self) -> &[Names] {
        &self.group
    }

    /// The least print among those of the images of a state.
    pub(super) fn print(&mut self, tables: &mut Tables<P>, state: &State, seed: u64) -> u64 {
        self.sums.fill(0);
        for at in [HISTORY, MAIL, CHOICES, REST] {
            self.add(tables, at as u64, state.words[at], seed);
        }
        let (disks, network) = (state.disks_at(), state.network_at());
        for word in &state.words[super::HEAD..disks] {
            self.add(tables, PROCESS, *word, seed);
        }
        for word in &state.words[disks..network] {
            self.add(tables, DISK, *word, seed);
        }
        for word in &state.words[network..] {
            let (datagram, flight) = (word >> FLIGHT_BITS, word & DELIVERED);
            let images = self.datagrams(tables, datagram);
            for (index, image) in images.iter().enumerate() {
                let print = part(DATAGRAM, image << FLIGHT_BITS | flight, seed);
                self.sums[index] = self.sums[index].wrapping_add(print);
            }
        }
        self.sums.iter().copied().min().expect("a group has at least one element")
    }

    fn add(&mut self, tables: &mut Tables<P>, kind: u64, number: u32, seed: u64) {
        let key = (kind, number);
        if !self.prints.contains_key(&key) {
            let images = self.group.iter().enumerate().map(|(index, names)| {
                let image =
                    image(tables, &self.setting, names, &self.to_come[index], (kind, number));
                part(kind, image, seed)
            });
            let images = images.collect();
            self.prints.insert(key, images);
        }
        for (sum, print) in self.sums.iter_mut().zip(&self.prints[&key]) {
            *sum = sum.wrapping_add(*print);
        }
    }

    fn datagrams(&mut self, tables: &mut Tables<P>, datagram: u32) -> Box<[u32]> {
        let at = datagram as usize;
        if self.datagrams.len() <= at {
            self.datagrams.resize(at + 1, None);
        }
        let group = &self.group;
        let images = self.datagrams[at].get_or_insert_with(|| {
            let value = tables.datagrams.get(datagram).clone();
            let image =
                |names: &Names| tables.datagrams.number(&Shared::new(names.renamed(&*value)));
            group.iter().map(image).collect()
        });
        images.clone()
    }
}

/// The number of the image of a part.
fn image<P: Protocol>(
    tables: &mut Tables<P>,
    setting: &P::Setting,
    names: &Names,
    to_come: &[u8],
    (kind, number): (u64, u32),
) -> u32 {
    match kind {
        PROCESS => {
            let image = names.process::<P>(setting, tables.processes.get(number));
            tables.process(&Shared::new(image))
        }
        DISK => {
            let (actor, disk) = tables.disks.get(number);
            let image = (names.renamed(actor), Shared::new(names.disk::<P>(disk)));
            tables.disks.number(&image)
        }
        _ if kind == HISTORY as u64 => {
            let image = names.renamed(&**tables.histories.get(number));
            tables.histories.number(&Shared::new(image))
        }
        _ if kind == MAIL as u64 => {
            let mail = tables.mail_sets.get(number).clone();
            let image = |mail: &u32| {
                let image = names.renamed(tables.mail.get(*mail));
                tables.mail.number(&image)
            };
            let images = mail.iter().map(image).collect();
            tables.mail_set(images)
        }
        _ if kind == CHOICES as u64 => {
            let image = names.renamed(tables.choices.get(number));
            tables.choices.number(&image)
        }
        _ => {
            let rest = tables.rests.get(number);
            let image = Rest {
                to_come: rest.to_come.iter().map(|index| to_come[usize::from(*index)]).collect(),
                budget: rest.budget.clone(),
                // Only which properties are violated: the words have names in them.
                violated: rest
                    .violated
                    .keys()
                    .map(|k| (*k, Default::default()))
                    .collect::<Map<_, _>>(),
            };
            tables.rest(image)
        }
    }
}

/// Every exchange of names that leaves a scenario as it is.
fn exchanges(scenario: &Scenario, outside: &[Outside]) -> Vec<Names> {
    let joining = |of: fn(&Actor) -> bool| {
        let joins = outside.iter().filter(|o| matches!(o, Outside::Join(actor) if of(actor)));
        joins.count() as u32
    };
    let nodes = scenario.nodes.len() as u32;
    let schedulers = scenario.schedulers + joining(|a| matches!(a, Actor::Scheduler(_)));
    let requests = scenario.requests.iter().map(|r| r.id.0 as u32).max().unwrap_or(0);
    if scenario.faults.contains_key(&Fault::TornWrite) {
        return vec![Names::same(nodes, schedulers, requests)];
    }
    let of_nodes = orders(nodes, |one, other| {
        let inventory = |node: u32| &scenario.nodes[node as usize - 1];
        let at_start = |node: u32| node <= scenario.nodes_at_start;
        inventory(one) == inventory(other) && at_start(one) == at_start(other)
    });
    let of_schedulers = orders(schedulers, |one, other| {
        (one <= scenario.schedulers) == (other <= scenario.schedulers)
    });
    let of_requests = orders(requests, |one, other| {
        let demand = |request: u32| {
            let found = scenario.requests.iter().find(|r| r.id.0 == u64::from(request));
            found.map(|request| request.demand())
        };
        demand(one) == demand(other)
    });
    let mut all = Vec::new();
    for nodes in &of_nodes {
        for schedulers in &of_schedulers {
            for requests in &of_requests {
                let names = Names {
                    nodes: nodes.clone(),
                    schedulers: schedulers.clone(),
                    requests: requests.clone(),
                };
                if outside.iter().all(|one| outside.contains(&names.renamed(one))) {
                    all.push(names);
                }
            }
        }
    }
    all
}

/// Every order of the names up to `count` that puts in the place of each only one like it.
fn orders(count: u32, alike: impl Fn(u32, u32) -> bool) -> Vec<Vec<u32>> {
    let mut orders = vec![Vec::new()];
    for name in 1..=count {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<u32>| {
                let alike = &alike;
                let free = (1..=count).filter(|new| !order.contains(new)).collect::<Vec<_>>();
                free.into_iter()
                    .filter(move |new| alike(name, *new))
                    .map(move |new| order.iter().copied().chain([new]).collect())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_what_is_alike_is_one() {
        assert_eq!(orders(3, |_, _| true).len(), 6);
        assert_eq!(orders(3, |one, other| (one == 1) == (other == 1)), [[1, 2, 3], [1, 3, 2]]);
        assert_eq!(orders(0, |_, _| true), [Vec::<u32>::new()]);
    }
}

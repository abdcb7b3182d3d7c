//! What becomes of datagrams on their way.

use super::draw::permille;
use counterfoil_protocol::{Actor, Datagram};
use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How many times the longest time on the way a datagram is behind, if it is put behind later ones.
const BEHIND: u64 = 4;

/// What the links between all processes are like. Chances are per mille, times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// That a datagram is lost.
    pub loss: u16,
    /// That it comes twice.
    pub copies: u16,
    /// That it comes behind those that were sent after it.
    pub reorder: u16,
    /// How long it takes, at least.
    pub delay_min_us: u64,
    /// How long it takes, at most, unless it is put behind others. What goes over a connection takes
    /// so long.
    pub delay_max_us: u64,
}

impl Default for Links {
    /// A network of one site in which nothing goes wrong.
    fn default() -> Self {
        Links { loss: 0, copies: 0, reorder: 0, delay_min_us: 100, delay_max_us: 500 }
    }
}

impl Links {
    /// The same, and nothing is lost, copied or put behind any more.
    pub(crate) fn calm(self) -> Links {
        Links { loss: 0, copies: 0, reorder: 0, ..self }
    }
}

/// Who is on the one side of a partition. Clients are on neither, and reach everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sides {
    /// By node: whether it is.
    pub(crate) nodes: Vec<bool>,
    /// By scheduler: whether it is.
    pub(crate) schedulers: Vec<bool>,
}

impl Sides {
    /// On which side an actor is, if it is on one. Who joins later is on the other side.
    fn of(&self, actor: Actor) -> Option<bool> {
        let at = |sides: &[bool], id: u32| sides.get(id as usize - 1).copied().unwrap_or(false);
        match actor {
            Actor::Node(id) => Some(at(&self.nodes, id.0)),
            Actor::Scheduler(id) => Some(at(&self.schedulers, id.0)),
            Actor::Client(_) => None,
        }
    }

    /// Whether nothing passes between the two.
    pub(crate) fn part(&self, one: Actor, other: Actor) -> bool {
        self.of(one).zip(self.of(other)).is_some_and(|(one, other)| one != other)
    }
}

/// How many datagrams there were, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) copied: u64,
    pub(crate) reordered: u64,
    pub(crate) parted: u64,
}

/// The links, and the chance that decides on them.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) links: Links,
    pub(crate) parted: Option<Sides>,
    pub(crate) passed: Passed,
    rng: Rng,
}

impl Network {
    pub(crate) fn new(links: Links, seed: u64) -> Network {
        Network { links, parted: None, passed: Passed::default(), rng: Rng::with_seed(seed) }
    }

    /// After how long a datagram arrives, as often as it does.
    pub(crate) fn arrivals(&mut self, datagram: &Datagram) -> [Option<u64>; 2] {
        self.passed.sent += 1;
        let (src, dst) = (datagram.src.actor, datagram.dst.actor);
        if self.parted.as_ref().is_some_and(|sides| sides.part(src, dst)) {
            self.passed.parted += 1;
            return [None; 2];
        }
        let Links { loss, copies, reorder, delay_min_us, delay_max_us } = self.links;
        if permille(&mut self.rng, loss) {
            self.passed.lost += 1;
            return [None; 2];
        }
        let mut arrivals = [Some(self.rng.u64(delay_min_us..=delay_max_us)), None];
        if permille(&mut self.rng, reorder) {
            self.passed.reordered += 1;
            arrivals[0] = arrivals[0].map(|after| after + delay_max_us * BEHIND);
        }
        if permille(&mut self.rng, copies) {
            self.passed.copied += 1;
            let most = delay_max_us * (BEHIND + 1);
            arrivals[1] = Some(self.rng.u64(delay_min_us..=most));
        }
        arrivals
    }

    /// After how long what goes over a connection arrives: always the same, so nothing overtakes.
    pub(crate) fn over_connection(&self) -> u64 {
        self.links.delay_max_us
    }
}

//! States of the world as a few numbers: the second representation, made for speed.
//!
//! Every machine, disk, datagram, letter and history that is met gets a number the first time; a
//! state is the numbers of what it is made of. A step that concerns one process is taken once for
//! each process, event and history that meet, by the same code as in the plain world, and then
//! remembered: what a process does depends on no more than that, on its disk, on who lives, and on
//! what drivers have been asked. A step that concerns more is taken in the plain world each time.
//!
//! Nothing here knows what a step does. That both representations reach the same states, by the
//! same actions, with the same verdicts, is tested state by state on the first few thousand states
//! of every quick scenario, and by every count, verdict and arm that was covered on all of them.

mod enabled;
mod look;
mod step;
mod stored;
mod symmetry;
mod tables;

use crate::cluster::{Action, Cluster, World};
use crate::network::Flight;
use crate::protocol::{Coverage, Protocol};
use crate::random::scattered;
use crate::rename::Names;
use crate::representation::Representation;
use crate::scenario::Fault;
use look::Look;
use std::hash::{Hash, Hasher};
pub use stored::{Stored, StoredState};
use symmetry::Symmetry;
use tables::{Lives, Rest, Tables};

/// A state: the numbers of its parts.
///
/// The first word is how many processes and disks there are, and which properties are violated; then
/// history, mail, choices, rest and lives; then the processes and the disks, in the order of the
/// lives; then the datagrams in flight, each with how far it is in the two lowest bits, in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    words: Vec<u32>,
    /// What tells it apart: its own print, or with symmetry the least of those of its images.
    print: u64,
}

const HISTORY: usize = 1;
const MAIL: usize = 2;
const CHOICES: usize = 3;
const REST: usize = 4;
const LIVES: usize = 5;
const HEAD: usize = 6;

/// Where the first word has the number of disks, and which properties are violated.
const DISKS_SHIFT: u32 = 8;
const VIOLATED_SHIFT: u32 = 16;

/// How far a datagram is, in the lowest bits of its word.
const FLIGHT_BITS: u32 = 2;
const DELIVERED: u32 = 3;

impl State {
    fn processes(&self) -> usize {
        (self.words[0] & 0xff) as usize
    }

    fn disks_at(&self) -> usize {
        HEAD + self.processes()
    }

    fn network_at(&self) -> usize {
        HEAD + self.processes() + (self.words[0] >> DISKS_SHIFT & 0xff) as usize
    }

    fn network(&self) -> &[u32] {
        &self.words[self.network_at()..]
    }

    fn process(&self, slot: usize) -> u32 {
        self.words[HEAD + slot]
    }

    /// The sum of a random number for every part: the order of the parts says nothing that the parts
    /// do not.
    fn fingerprint(&self, seed: u64) -> u64 {
        let (disks, network) = (self.disks_at(), self.network_at());
        let sum = |kind: u64, words: &[u32]| {
            words.iter().fold(0u64, |sum, word| sum.wrapping_add(part(kind, *word, seed)))
        };
        // Who lives is told by the processes and disks.
        let head = (HISTORY..LIVES).map(|at| part(at as u64, self.words[at], seed));
        head.fold(0u64, u64::wrapping_add)
            .wrapping_add(sum(PROCESS, &self.words[HEAD..disks]))
            .wrapping_add(sum(DISK, &self.words[disks..network]))
            .wrapping_add(sum(DATAGRAM, &self.words[network..]))
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.print);
    }
}

/// Kinds of parts, beside the places of those in the head.
const PROCESS: u64 = 7;
const DISK: u64 = 8;
const DATAGRAM: u64 = 9;

/// The random number of a part.
fn part(kind: u64, word: u32, seed: u64) -> u64 {
    scattered((kind << 32 | u64::from(word)) ^ seed)
}

/// Something that may happen in a state: what it is by number, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    code: Code,
    /// Whether it is fair.
    fair: bool,
    /// The process that it concerns, by its place; [`NOBODY`] if none.
    slot: u8,
    /// For a timer that fires as a fault: which.
    fault: Option<Fault>,
}

const NOBODY: u8 = u8::MAX;

/// What may happen, by number: what kind in the highest bits, and which below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Code(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deliver,
    Copy,
    Lose,
    Mail,
    Fire,
    Other,
}

impl Code {
    const SHIFT: u32 = 28;

    fn new(kind: Kind, which: u32) -> Self {
        assert!(which < 1 << Self::SHIFT, "fewer than 2^28 of a kind");
        Code((kind as u32) << Self::SHIFT | which)
    }

    fn kind(self) -> Kind {
        match self.0 >> Self::SHIFT {
            0 => Kind::Deliver,
            1 => Kind::Copy,
            2 => Kind::Lose,
            3 => Kind::Mail,
            4 => Kind::Fire,
            _ => Kind::Other,
        }
    }

    fn which(self) -> usize {
        (self.0 & ((1 << Self::SHIFT) - 1)) as usize
    }
}

/// A world whose states are numbers.
pub struct Interned<P: Protocol> {
    world: World<P>,
    seed: u64,
    tables: Tables<P>,
    /// By kind of action: how many were taken.
    taken: [u64; Action::<crate::Counterfoil>::KINDS.len()],
    slow: Coverage<P::Arm>,
    symmetry: Option<Symmetry<P>>,
}

impl<P: Protocol> Interned<P> {
    /// The world of its states; `seed` is that of the fingerprints.
    pub fn new(world: World<P>, seed: u64) -> Self {
        Interned {
            world,
            seed: scattered(seed),
            tables: Tables::default(),
            taken: [0; _],
            slow: Coverage::new::<P>(),
            symmetry: None,
        }
    }

    /// The world of states of which those that differ in names alone count as one.
    pub fn symmetric(mut world: World<P>, seed: u64) -> Self {
        world.reductions.in_order = false;
        let symmetry = Some(Symmetry::of(&world));
        Interned { symmetry, ..Interned::new(world, seed) }
    }

    /// The exchanges of names that leave the scenario as it is; none without symmetry.
    pub fn exchanges(&self) -> &[Names] {
        self.symmetry.as_ref().map_or(&[], Symmetry::group)
    }

    /// The state that a cluster is.
    pub fn state(&mut self, cluster: &Cluster<P>) -> State {
        let mut state = State { words: Vec::new(), print: 0 };
        self.encode(cluster, &mut state);
        self.sign(&mut state);
        state
    }

    /// Notes what tells a state apart.
    fn sign(&mut self, state: &mut State) {
        state.print = match &mut self.symmetry {
            None => state.fingerprint(self.seed),
            Some(symmetry) => symmetry.print(&mut self.tables, state, self.seed),
        };
    }

    fn look<'a>(&'a self, state: &'a State) -> Look<'a, P> {
        Look::new(&self.tables, state)
    }

    /// The numbers of a cluster.
    fn encode(&mut self, cluster: &Cluster<P>, state: &mut State) {
        let tables = &mut self.tables;
        let words = &mut state.words;
        words.clear();
        let (processes, disks) = (cluster.processes.len() as u32, cluster.disks.len() as u32);
        assert!(processes.max(disks) <= 0xff, "at most 255 processes and disks");
        let violated = cluster.violated.keys().fold(0u32, |all, property| all | 1 << property);
        words.push(processes | disks << DISKS_SHIFT | violated << VIOLATED_SHIFT);
        words.push(tables.histories.number(&cluster.history));
        let mail: Vec<u32> = cluster.mail.iter().map(|mail| tables.mail.number(mail)).collect();
        words.push(tables.mail_set(mail));
        words.push(tables.choices.number(&cluster.choices));
        words.push(tables.rest(Rest {
            to_come: cluster.to_come.clone(),
            budget: cluster.budget.clone(),
            violated: cluster.violated.clone(),
        }));
        words.push(tables.lives.number(&Lives::of(cluster)));
        for process in cluster.processes.values() {
            words.push(tables.process(process));
        }
        for (actor, disk) in cluster.disks.iter() {
            words.push(tables.disks.number(&(*actor, disk.clone())));
        }
        let start = words.len();
        for (datagram, flight) in cluster.network.iter() {
            let flight = match flight {
                Flight::InFlight(count) => u32::from(count),
                Flight::Delivered => DELIVERED,
            };
            words.push(tables.datagrams.number(datagram) << FLIGHT_BITS | flight);
        }
        words[start..].sort_unstable();
    }

    /// The cluster without what concerns no process.
    fn without_network(&self, state: &State) -> Cluster<P> {
        let tables = &self.tables;
        let lives = tables.lives.get(state.words[LIVES]);
        let processes = lives.alive.iter().enumerate().map(|(slot, (address, _))| {
            (*address, tables.processes.get(state.process(slot)).clone())
        });
        let disks = state.words[state.disks_at()..state.network_at()].iter().map(|disk| {
            let (actor, disk) = tables.disks.get(*disk);
            (*actor, disk.clone())
        });
        Cluster {
            processes: processes.collect(),
            disks: disks.collect(),
            network: Default::default(),
            mail: Default::default(),
            choices: tables.choices.get(state.words[CHOICES]).clone(),
            to_come: Default::default(),
            budget: Default::default(),
            history: tables.histories.get(state.words[HISTORY]).clone(),
            violated: Default::default(),
        }
    }
}

impl<P: Protocol> Representation for Interned<P> {
    type Protocol = P;
    type State = State;
    type Action = Act;

    fn world(&self) -> &World<P> {
        &self.world
    }

    fn initial(&mut self) -> State {
        let cluster = self.world.initial();
        self.state(&cluster)
    }

    fn enabled(&mut self, state: &State, actions: &mut Vec<Act>) {
        self.acts(state, actions);
    }

    fn step(&mut self, state: &State, act: &Act, next: &mut State) {
        self.take(state, *act, next);
    }

    fn fair(&mut self, _: &State, act: &Act) -> Option<u32> {
        act.fair.then_some(act.code.0)
    }

    fn fingerprint(&self, state: &State) -> u64 {
        state.print
    }

    fn violated(state: &State) -> u32 {
        state.words[0] >> VIOLATED_SHIFT
    }

    fn reached(&mut self, state: &State) -> u8 {
        let look = self.look(state);
        (0..P::liveness().len())
            .filter(|property| P::is_reached(&self.world, &look, *property))
            .fold(0, |all, property| all | 1 << property)
    }

    fn is_quiet(&self, state: &State) -> bool {
        let delivered = |word: &u32| word & DELIVERED == DELIVERED;
        state.network().iter().all(delivered)
            && self.tables.mail_sets.get(state.words[MAIL]).is_empty()
            && self.tables.choices.get(state.words[CHOICES]).is_empty()
    }

    fn cluster(&self, state: &State) -> Cluster<P> {
        let mut cluster = self.without_network(state);
        let tables = &self.tables;
        for word in state.network() {
            let flight = match word & DELIVERED {
                DELIVERED => Flight::Delivered,
                count => Flight::InFlight(count as u8),
            };
            let datagram = tables.datagrams.get(word >> FLIGHT_BITS).clone();
            cluster.network.put(datagram, flight);
        }
        let mail = tables.mail_sets.get(state.words[MAIL]).iter();
        cluster.mail = mail.map(|mail| tables.mail.get(*mail).clone()).collect();
        let rest = tables.rests.get(state.words[REST]);
        cluster.to_come = rest.to_come.clone();
        cluster.budget = rest.budget.clone();
        cluster.violated = rest.violated.clone();
        cluster
    }

    fn action(&self, _: &State, act: &Act) -> Action<P> {
        self.plain_action(*act)
    }

    fn coverage(&self) -> Coverage<P::Arm> {
        let mut coverage = self.slow.clone();
        self.tables.add_contributions(&mut coverage);
        for (kind, taken) in Action::<P>::KINDS.iter().zip(self.taken) {
            if taken > 0 {
                coverage.took(kind, taken);
            }
        }
        coverage
    }
}

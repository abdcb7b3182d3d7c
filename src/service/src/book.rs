//! Who is where: the addresses of nodes and schedulers, and how they come to be known.
//!
//! Every process knows a few addresses from its configuration, of any processes of the cluster. It
//! introduces its own actors there, and asks who is there; and so on with the schedulers that it comes
//! to know. A scheduler that hears of a node speaks to it, and so subscribes. What is said is said
//! again and again, so nothing here waits for an answer, and a process may come, go, and come back
//! elsewhere at any time.

use crate::wire::{Message, PEERS_MAX, Peer};
use ahash::AHashMap;
use counterfoil_protocol::{Actor, Address, Incarnation, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// From one round of introductions to the next.
pub const ROUND: Duration = Duration::from_millis(500);

/// Rounds between two in which everyone is introduced and asked again.
const ROUNDS_BETWEEN: u64 = 10;

/// Schedulers that were silent for this long are no longer told of anything, and nodes no longer spoken
/// of.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Nodes and schedulers that are kept. One more is left out.
const ACTORS_MAX: usize = 200_000;

/// Actors of which it was said that they are there twice. It is said once of each, and of no more.
const TWINS_MAX: usize = 1024;

/// Who is where.
#[derive(Debug)]
pub struct Book {
    own: Vec<Peer>,
    seeds: Vec<SocketAddr>,
    nodes: AHashMap<Actor, Entry>,
    schedulers: BTreeMap<Actor, Entry>,
    /// Where to answer those of this turn that are not looked up: clients, and lives that are over.
    callers: AHashMap<Address, SocketAddr>,
    /// Who was answered since the last round.
    answered: AHashMap<SocketAddr, ()>,
    round: u64,
    /// Where the next page of own actors begins.
    page: usize,
    /// Another process that has the number of an actor of this one.
    twin: Option<Peer>,
    /// Actors that are there twice.
    twins: BTreeSet<Actor>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    incarnation: Incarnation,
    address: SocketAddr,
    heard: Instant,
    /// When this life of it was heard for the first time, if it was heard itself: what others say
    /// of it is not passed on, or those who left would be spoken of for ever.
    since: Option<Instant>,
}

impl Book {
    /// Of a process that begins with what listens at `seeds`.
    pub fn new(seeds: Vec<SocketAddr>) -> Book {
        Book {
            own: Vec::new(),
            seeds,
            nodes: AHashMap::new(),
            schedulers: BTreeMap::new(),
            callers: AHashMap::new(),
            answered: AHashMap::new(),
            round: 0,
            page: 0,
            twin: None,
            twins: BTreeSet::new(),
        }
    }

    /// Another process that has the number of an actor of this one, if there is one.
    pub fn twin(&self) -> Option<Peer> {
        self.twin
    }

    /// The actors of this process.
    pub fn set_own(&mut self, own: Vec<Peer>) {
        self.own = own;
    }

    /// Begins with these addresses too.
    pub fn add_seeds(&mut self, seeds: impl IntoIterator<Item = SocketAddr>) {
        for seed in seeds {
            if !self.seeds.contains(&seed) {
                self.seeds.push(seed);
            }
        }
    }

    /// A datagram of `src` came from a process that listens at `address`; whether `src` was not
    /// known.
    pub fn heard(&mut self, src: Address, address: SocketAddr, now: Instant) -> bool {
        let Address { actor, incarnation: Some(incarnation) } = src else {
            self.callers.insert(src, address);
            return false;
        };
        let entry = Entry { incarnation, address, heard: now, since: Some(now) };
        match self.entry(actor) {
            Some(known) if known.incarnation > incarnation => {
                let later = *known;
                let outlived = |since| now.duration_since(since) > FORGOTTEN;
                if later.address != address && later.since.is_some_and(outlived) {
                    self.say_twice(actor, [later.address, address]);
                }
                self.callers.insert(src, address);
                false
            }
            Some(known) if known.incarnation == incarnation && known.since.is_some() => {
                let before = std::mem::replace(&mut known.address, address);
                known.heard = now;
                if before != address {
                    self.say_twice(actor, [before, address]);
                }
                false
            }
            Some(known) => {
                *known = entry;
                false
            }
            None => self.add(actor, entry),
        }
    }

    /// One life of an actor is one process, at one address; and its earlier lives are over.
    fn say_twice(&mut self, actor: Actor, [one, other]: [SocketAddr; 2]) {
        if self.twins.len() < TWINS_MAX && self.twins.insert(actor) {
            tracing::error!(
                %actor, %one, %other,
                "two processes have the same number: give one of them another, and an empty folder"
            );
        }
    }

    /// Someone says where `peer` is; whether it was not known.
    pub fn learn(&mut self, peer: Peer, now: Instant) -> bool {
        let Peer { actor, incarnation, address } = peer;
        if let Some(own) = self.own.iter().find(|own| own.actor == actor) {
            // An earlier life may have listened elsewhere; this one, and later ones, do not.
            if incarnation >= own.incarnation && address != own.address {
                self.twin = Some(peer);
            }
            return false;
        }
        let entry = Entry { incarnation, address, heard: now, since: None };
        match self.entry(actor) {
            Some(known) => {
                if known.incarnation < incarnation {
                    *known = entry;
                }
                false
            }
            None => self.add(actor, entry),
        }
    }

    /// Where to send what is for `dst`.
    pub fn to(&self, dst: Address) -> Option<SocketAddr> {
        if let Some(caller) = self.callers.get(&dst) {
            return Some(*caller);
        }
        let known = match dst.actor {
            Actor::Node(_) => self.nodes.get(&dst.actor),
            Actor::Scheduler(_) => self.schedulers.get(&dst.actor),
            Actor::Client(_) => None,
        };
        known.map(|entry| entry.address)
    }

    /// A turn is over: callers are answered at once or not at all.
    pub fn end_turn(&mut self) {
        self.callers.clear();
    }

    /// The schedulers that are known, and where each listens.
    pub fn schedulers(&self) -> impl Iterator<Item = (Actor, SocketAddr)> {
        self.schedulers.iter().map(|(actor, entry)| (*actor, entry.address))
    }

    /// Where each node listens, and how long ago it was heard, by name.
    pub fn heard_of(&self) -> Vec<(NodeId, SocketAddr, Duration)> {
        let node = |(actor, entry): (&Actor, &Entry)| match actor {
            Actor::Node(id) => Some((*id, entry.address, entry.heard.elapsed())),
            Actor::Scheduler(_) | Actor::Client(_) => None,
        };
        let mut heard: Vec<_> = self.nodes.iter().filter_map(node).collect();
        heard.sort_unstable_by_key(|(id, ..)| *id);
        heard
    }

    /// How long ago this node was heard.
    pub fn heard_ago(&self, node: NodeId) -> Option<Duration> {
        self.nodes.get(&Actor::Node(node)).map(|entry| entry.heard.elapsed())
    }

    /// What is said in one round, and to whom.
    pub fn round(&mut self, now: Instant, mut say: impl FnMut(SocketAddr, Message)) {
        self.answered.clear();
        self.schedulers.retain(|_, entry| now.duration_since(entry.heard) < FORGOTTEN);
        let alone = self.schedulers.values().all(|e| now.duration_since(e.heard) > ROUND * 4);
        let everyone = alone || self.round.is_multiple_of(ROUNDS_BETWEEN);
        self.round += 1;
        let page = self.next_page();
        for (_, scheduler) in self.schedulers() {
            say(scheduler, Message::Peers(page.clone()));
            if everyone {
                say(scheduler, self.question());
            }
        }
        for seed in self.seeds.iter().filter(|_| everyone) {
            say(*seed, Message::Peers(page.clone()));
            say(*seed, self.question());
        }
    }

    /// Introduces all own actors to a scheduler that has just become known.
    pub fn introduce(&self, to: SocketAddr, mut say: impl FnMut(SocketAddr, Message)) {
        for page in self.own.chunks(PEERS_MAX) {
            say(to, Message::Peers(page.to_vec()));
        }
    }

    /// Answers who asks who is there, once a round.
    pub fn answer(
        &mut self,
        to: SocketAddr,
        nodes: bool,
        mut say: impl FnMut(SocketAddr, Message),
    ) {
        if self.answered.insert(to, ()).is_some() {
            return;
        }
        let peer = |(actor, entry): (&Actor, &Entry)| Peer {
            actor: *actor,
            incarnation: entry.incarnation,
            address: entry.address,
        };
        let now = Instant::now();
        let is_there =
            |entry: &Entry| entry.since.is_some() && now.duration_since(entry.heard) < FORGOTTEN;
        let others = self.nodes.iter().filter(|(_, entry)| nodes && is_there(entry)).map(peer);
        let known = self.schedulers.iter().map(peer).chain(others);
        let own = self.own.iter().filter(|own| nodes || matches!(own.actor, Actor::Scheduler(_)));
        let all: Vec<Peer> = own.copied().chain(known).collect();
        for page in all.chunks(PEERS_MAX) {
            say(to, Message::Peers(page.to_vec()));
        }
    }

    /// What this process wants to know of others: a scheduler of nodes too.
    fn question(&self) -> Message {
        let is_scheduler = |own: &Peer| matches!(own.actor, Actor::Scheduler(_));
        Message::WhoIsThere { nodes: self.own.iter().any(is_scheduler) }
    }

    fn next_page(&mut self) -> Vec<Peer> {
        let page: Vec<Peer> = self.own.iter().skip(self.page).take(PEERS_MAX).copied().collect();
        self.page += PEERS_MAX;
        if self.page >= self.own.len() {
            self.page = 0;
        }
        page
    }

    fn entry(&mut self, actor: Actor) -> Option<&mut Entry> {
        match actor {
            Actor::Node(_) => self.nodes.get_mut(&actor),
            Actor::Scheduler(_) => self.schedulers.get_mut(&actor),
            Actor::Client(_) => None,
        }
    }

    fn add(&mut self, actor: Actor, entry: Entry) -> bool {
        if self.nodes.len() + self.schedulers.len() >= ACTORS_MAX {
            return false;
        }
        match actor {
            Actor::Node(_) => self.nodes.insert(actor, entry).is_none(),
            Actor::Scheduler(_) => self.schedulers.insert(actor, entry).is_none(),
            Actor::Client(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{ClientId, SchedulerId};

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn scheduler(id: u32, life: u64) -> Address {
        let incarnation = Some(Incarnation(life));
        Address { actor: Actor::Scheduler(SchedulerId(id)), incarnation }
    }

    fn node(id: u32) -> Peer {
        Peer { actor: Actor::Node(NodeId(id)), incarnation: Incarnation(1), address: at(9) }
    }

    fn book(nodes: u32) -> Book {
        let mut book = Book::new(vec![at(1)]);
        book.set_own((1..=nodes).map(node).collect());
        book
    }

    fn said(book: &mut Book, now: Instant) -> Vec<(SocketAddr, Message)> {
        let mut said = Vec::new();
        book.round(now, |to, message| said.push((to, message)));
        said
    }

    #[test]
    fn a_later_life_is_found_where_it_is_and_an_earlier_one_only_while_it_calls() {
        let (mut book, now) = (book(1), Instant::now());
        assert!(book.heard(scheduler(1, 2), at(2), now));
        assert!(!book.heard(scheduler(1, 1), at(3), now));
        assert_eq!(book.to(scheduler(1, 2)), Some(at(2)));
        assert_eq!(book.to(scheduler(1, 1)), Some(at(3)));
        book.end_turn();
        assert_eq!(book.to(scheduler(1, 1)), Some(at(2)));
        let Address { actor, .. } = scheduler(1, 3);
        let moved = Peer { actor, incarnation: Incarnation(3), address: at(4) };
        assert!(!book.learn(moved, now));
        assert_eq!(book.to(scheduler(1, 3)), Some(at(4)));
        assert!(!book.learn(Peer { incarnation: Incarnation(2), ..moved }, now));
        assert_eq!(book.to(scheduler(1, 3)), Some(at(4)));
    }

    #[test]
    fn a_client_is_answered_where_it_called_from_and_forgotten_then() {
        let (mut book, now) = (book(1), Instant::now());
        let client = Address { actor: Actor::Client(ClientId(1)), incarnation: None };
        book.heard(client, at(5), now);
        assert_eq!(book.to(client), Some(at(5)));
        book.end_turn();
        assert_eq!(book.to(client), None);
    }

    #[test]
    fn who_knows_no_scheduler_asks_its_seeds_in_every_round() {
        let (mut book, now) = (book(1), Instant::now());
        let expected =
            [(at(1), Message::Peers(vec![node(1)])), (at(1), Message::WhoIsThere { nodes: false })];
        assert_eq!(said(&mut book, now), expected);
        assert_eq!(said(&mut book, now), expected);
        book.heard(scheduler(1, 1), at(2), now);
        assert_eq!(said(&mut book, now), [(at(2), Message::Peers(vec![node(1)]))]);
        let later = now + ROUND * 5;
        assert_eq!(said(&mut book, later).len(), 4, "it was silent for long");
        assert_eq!(said(&mut book, now + FORGOTTEN), expected);
    }

    #[test]
    fn in_rounds_every_own_actor_is_introduced() {
        let (mut book, now) = (book(100), Instant::now());
        book.heard(scheduler(1, 1), at(2), now);
        let mut introduced = std::collections::BTreeSet::new();
        for _ in 0..3 {
            for (_, message) in said(&mut book, now) {
                if let Message::Peers(peers) = message {
                    assert!(peers.len() <= PEERS_MAX);
                    introduced.extend(peers.into_iter().map(|peer| peer.actor));
                }
            }
        }
        assert_eq!(introduced.len(), 100);
    }

    #[test]
    fn who_asks_is_told_of_schedulers_and_a_scheduler_of_nodes_too_once_a_round() {
        let now = Instant::now();
        let me = Peer { actor: scheduler(1, 1).actor, incarnation: Incarnation(1), address: at(7) };
        let mut book = Book::new(vec![]);
        book.set_own(vec![me]);
        book.heard(Address { actor: node(4).actor, incarnation: Some(Incarnation(1)) }, at(9), now);
        book.learn(node(5), now);
        let mut answer = |nodes, to| {
            let mut peers = Vec::new();
            book.answer(to, nodes, |_, message| {
                if let Message::Peers(page) = message {
                    peers.extend(page);
                }
            });
            peers
        };
        assert_eq!(answer(false, at(1)), [me]);
        assert_eq!(answer(true, at(2)), [me, node(4)]);
        assert_eq!(answer(true, at(2)), []);
    }

    #[test]
    fn a_node_that_others_speak_of_is_known_and_not_passed_on_until_it_is_heard_itself() {
        let now = Instant::now();
        let mut book = book(0);
        assert!(book.learn(node(5), now));
        assert_eq!(book.heard_of().len(), 1);
        let spoken_of = |book: &mut Book, to| {
            let mut count = 0;
            book.answer(to, true, |_, message| {
                if let Message::Peers(page) = message {
                    count += page.len();
                }
            });
            count
        };
        assert_eq!(spoken_of(&mut book, at(2)), 0);
        let Peer { actor, incarnation, address } = node(5);
        book.heard(Address { actor, incarnation: Some(incarnation) }, address, now);
        assert_eq!(spoken_of(&mut book, at(3)), 1);
        let long_ago = now.checked_sub(FORGOTTEN).expect("the system runs for longer");
        book.heard(Address { actor, incarnation: Some(incarnation) }, address, long_ago);
        assert_eq!(spoken_of(&mut book, at(4)), 0, "it has been silent for long");
    }

    #[test]
    fn another_process_of_the_same_number_is_noticed_and_an_earlier_life_elsewhere_is_not_one() {
        let (mut book, now) = (book(2), Instant::now());
        let mine = Peer { incarnation: Incarnation(7), ..node(1) };
        book.set_own(vec![mine]);
        for harmless in [
            mine,
            Peer { incarnation: Incarnation(6), address: at(8), ..mine },
            Peer { address: at(8), ..node(3) },
        ] {
            book.learn(harmless, now);
            assert_eq!(book.twin(), None, "{harmless:?}");
        }
        let twin = Peer { address: at(8), ..mine };
        book.learn(twin, now);
        assert_eq!(book.twin(), Some(twin));
    }

    #[test]
    fn a_life_at_two_addresses_is_noticed_and_one_that_moved_is_not() {
        let (mut book, now) = (book(0), Instant::now());
        let life = |life| Address { incarnation: Some(Incarnation(life)), ..scheduler(1, life) };
        book.heard(life(1), at(2), now);
        book.heard(life(2), at(3), now);
        book.heard(life(1), at(2), now);
        assert!(book.twins.is_empty(), "it has moved, and a packet was late");
        book.heard(life(2), at(4), now);
        assert_eq!(book.twins.len(), 1);
        let other = |life| Address { incarnation: Some(Incarnation(life)), ..scheduler(2, life) };
        book.heard(other(2), at(5), now);
        book.heard(other(1), at(6), now + FORGOTTEN * 2);
        assert_eq!(book.twins.len(), 2, "its earlier life goes on");
    }
}

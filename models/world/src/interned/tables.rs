//! What every number stands for, and what was found out about it.

use super::{Code, Kind};
use crate::cluster::{Action, Cluster, Mail};
use crate::protocol::{Coverage, Protocol};
use crate::scenario::Fault;
use crate::shared::Shared;
use counterfoil_properties::Violation;
use counterfoil_protocol::{Actor, Address, Map, Set};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Hashes what is looked up all the time.
pub(super) type Hasher = ahash::RandomState;

/// A map that is looked up all the time.
pub(super) type Memo<K, V> = HashMap<K, V, Hasher>;

fn hasher() -> Hasher {
    Hasher::with_seeds(0x6d, 0x65, 0x6d, 0x6f)
}

/// Values with a number each, in the order in which they were met.
pub(super) struct Table<T> {
    values: Vec<T>,
    numbers: Memo<T, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { values: Vec::new(), numbers: Memo::with_hasher(hasher()) }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    /// The number of a value, known or new.
    pub(super) fn number(&mut self, value: &T) -> u32 {
        if let Some(known) = self.numbers.get(value) {
            return *known;
        }
        let next = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), next);
        next
    }

    /// The value of a number.
    pub(super) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    /// All of them, by number.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

/// What a scenario still has in store, and what was violated so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Rest {
    pub(super) to_come: Set<u8>,
    pub(super) budget: Map<Fault, u8>,
    pub(super) violated: Map<usize, Violation>,
}

impl Rest {
    /// By bit: which faults may still happen.
    fn may(&self) -> u32 {
        let left = self.budget.iter().filter(|(_, times)| **times > 0);
        left.fold(0, |all, (fault, _)| all | 1 << *fault as u32)
    }
}

/// Who lives, and whether it has gone by its own decision; and who has a disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Lives {
    pub(super) alive: Vec<(Address, bool)>,
    pub(super) disks: Vec<Actor>,
}

impl Lives {
    pub(super) fn of<P: Protocol>(cluster: &Cluster<P>) -> Self {
        let alive = cluster.processes.iter();
        Lives {
            alive: alive.map(|(address, process)| (*address, P::has_left(process))).collect(),
            disks: cluster.disks.keys().copied().collect(),
        }
    }

    /// The place of the process that something to `to` reaches: that life, or the latest.
    fn receiver(&self, to: Address) -> Option<usize> {
        let of_it = |address: &Address| match to.incarnation {
            Some(_) => *address == to,
            None => address.actor == to.actor,
        };
        let alive = self.alive.iter().enumerate().filter(|(_, (address, _))| of_it(address));
        alive.max_by_key(|(_, (address, _))| address.incarnation).map(|(slot, _)| slot)
    }
}

/// Where a datagram is delivered among those who live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// At the process of this place.
    Slot(u8),
    /// Nowhere now.
    Nobody,
    /// Nowhere ever again.
    Over,
}

/// All that the step of one process depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) code: Code,
    pub(super) process: u32,
    pub(super) history: u32,
    pub(super) disk: u32,
    pub(super) choices: u32,
    pub(super) lives: u32,
}

/// What the step of one process changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    pub(super) process: u32,
    pub(super) history: u32,
    pub(super) disk: u32,
    pub(super) choices: u32,
    pub(super) lives: u32,
    pub(super) said: u32,
    pub(super) contribution: u32,
}

/// What a step sends and posts, and what it violates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Said {
    /// Datagrams by number, and how many of each.
    pub(super) sends: Vec<(u32, u8)>,
    /// Mail by number.
    pub(super) posts: Vec<u32>,
    /// What it violates.
    pub(super) violates: Map<usize, Violation>,
}

/// What a step adds to the coverage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Contribution<A: Ord> {
    steps: u64,
    premises: Vec<u64>,
    witnesses: Vec<u64>,
    arms: Vec<(A, u64)>,
}

/// What every number stands for, and what was found out.
pub(super) struct Tables<P: Protocol> {
    pub(super) processes: Table<Shared<P::Process>>,
    pub(super) disks: Table<(Actor, Shared<P::Disk>)>,
    pub(super) histories: Table<Shared<P::History>>,
    pub(super) datagrams: Table<Shared<P::Datagram>>,
    pub(super) mail: Table<Mail<P>>,
    /// Sets of mail, in order.
    pub(super) mail_sets: Table<Vec<u32>>,
    pub(super) choices: Table<Set<(Address, P::Choice)>>,
    pub(super) rests: Table<Rest>,
    pub(super) lives: Table<Lives>,
    /// Timers of processes: what [`Kind::Fire`] counts.
    pub(super) timers: Table<(Address, P::Timer)>,
    /// What [`Kind::Other`] counts.
    pub(super) others: Table<Action<P>>,
    pub(super) said: Table<Said>,
    /// By process: its timers, by number.
    timers_of: Vec<Vec<u32>>,
    /// By set of mail: what of it may arrive next.
    open_mail: Vec<Option<Vec<u32>>>,
    /// By rest: which faults may still happen, by bit.
    may: Vec<u32>,
    /// By lives and datagram: who receives it.
    receivers: Vec<Vec<Option<Receiver>>>,
    /// The answers to [`crate::View::ask`], by question and processes.
    pub(super) answers: RefCell<Memo<(u32, u32, u32), bool>>,
    /// By process, datagram and possible faults: whether it is spent.
    pub(super) spent: Memo<(u32, u32, u32), bool>,
    /// The steps taken so far.
    pub(super) effects: Memo<Cause, Effect>,
    /// By code and process: the torn variants of an action.
    pub(super) torn: Memo<(Code, u32), Vec<Code>>,
    contributions: Vec<(Contribution<P::Arm>, u64)>,
    contribution_numbers: BTreeMap<Contribution<P::Arm>, u32>,
}

impl<P: Protocol> Default for Tables<P> {
    fn default() -> Self {
        Tables {
            processes: Table::default(),
            disks: Table::default(),
            histories: Table::default(),
            datagrams: Table::default(),
            mail: Table::default(),
            mail_sets: Table::default(),
            choices: Table::default(),
            rests: Table::default(),
            lives: Table::default(),
            timers: Table::default(),
            others: Table::default(),
            said: Table::default(),
            timers_of: Vec::new(),
            open_mail: Vec::new(),
            may: Vec::new(),
            receivers: Vec::new(),
            answers: RefCell::new(Memo::with_hasher(hasher())),
            spent: Memo::with_hasher(hasher()),
            effects: Memo::with_hasher(hasher()),
            torn: Memo::with_hasher(hasher()),
            contributions: Vec::new(),
            contribution_numbers: BTreeMap::new(),
        }
    }
}

impl<P: Protocol> Tables<P> {
    /// The number of a process, with its timers.
    pub(super) fn process(&mut self, process: &Shared<P::Process>) -> u32 {
        let number = self.processes.number(process);
        if number as usize == self.timers_of.len() {
            let at = P::address(process);
            let timers = P::timers(process).into_iter();
            let timers = timers.map(|timer| self.timers.number(&(at, timer))).collect();
            self.timers_of.push(timers);
        }
        number
    }

    pub(super) fn timers_of(&self, process: u32) -> &[u32] {
        &self.timers_of[process as usize]
    }

    pub(super) fn rest(&mut self, rest: Rest) -> u32 {
        let number = self.rests.number(&rest);
        if number as usize == self.may.len() {
            self.may.push(rest.may());
        }
        number
    }

    /// By bit: which faults may still happen.
    pub(super) fn may(&self, rest: u32) -> u32 {
        self.may[rest as usize]
    }

    /// The number of a set of mail.
    pub(super) fn mail_set(&mut self, mut mail: Vec<u32>) -> u32 {
        mail.sort_unstable();
        mail.dedup();
        let number = self.mail_sets.number(&mail);
        if number as usize == self.open_mail.len() {
            let all: Set<Mail<P>> = mail.iter().map(|mail| self.mail.get(*mail).clone()).collect();
            let open = |number: &&u32| self.mail.get(**number).may_arrive(&all);
            self.open_mail.push(Some(mail.iter().filter(open).copied().collect()));
        }
        number
    }

    /// What of a set of mail may arrive next.
    pub(super) fn open_mail(&self, set: u32) -> &[u32] {
        self.open_mail[set as usize].as_deref().unwrap_or_default()
    }

    /// Who receives a datagram.
    pub(super) fn receiver(&mut self, lives: u32, datagram: u32) -> Receiver {
        let (row, column) = (lives as usize, datagram as usize);
        if let Some(Some(known)) = self.receivers.get(row).and_then(|row| row.get(column)) {
            return *known;
        }
        let to = P::destination(self.datagrams.get(datagram));
        let receiver = match self.lives.get(lives).receiver(to) {
            Some(slot) => Receiver::Slot(slot as u8),
            None if to.incarnation.is_some() => Receiver::Over,
            None => Receiver::Nobody,
        };
        if self.receivers.len() <= row {
            self.receivers.resize(row + 1, Vec::new());
        }
        if self.receivers[row].len() <= column {
            self.receivers[row].resize(self.datagrams.len(), None);
        }
        self.receivers[row][column] = Some(receiver);
        receiver
    }

    /// The place of the process that something to `to` reaches.
    pub(super) fn slot_of(&self, lives: u32, to: Address) -> Option<usize> {
        self.lives.get(lives).receiver(to)
    }

    /// The number of what a step covered.
    pub(super) fn contribution(&mut self, coverage: &Coverage<P::Arm>) -> u32 {
        let contribution = Contribution {
            steps: coverage.steps,
            premises: coverage.premises.clone(),
            witnesses: coverage.witnesses.clone(),
            arms: coverage.arms.iter().map(|(arm, count)| (*arm, *count)).collect(),
        };
        let next = self.contributions.len() as u32;
        let number = *self.contribution_numbers.entry(contribution.clone()).or_insert(next);
        if number == next {
            self.contributions.push((contribution, 0));
        }
        number
    }

    /// Counts a step that contributes.
    pub(super) fn count(&mut self, contribution: u32) {
        self.contributions[contribution as usize].1 += 1;
    }

    /// Adds what all the steps covered.
    pub(super) fn add_contributions(&self, coverage: &mut Coverage<P::Arm>) {
        for (contribution, times) in &self.contributions {
            coverage.steps += contribution.steps * times;
            let pairs = [
                (&mut coverage.premises, &contribution.premises),
                (&mut coverage.witnesses, &contribution.witnesses),
            ];
            for (all, each) in pairs {
                all.iter_mut().zip(each).for_each(|(all, each)| *all += each * times);
            }
            for (arm, count) in &contribution.arms {
                if *times > 0 {
                    *coverage.arms.entry(*arm).or_default() += count * times;
                }
            }
        }
    }

    /// The number of an action of a kind that has no numbers of its own.
    pub(super) fn other(&mut self, action: &Action<P>) -> Code {
        Code::new(Kind::Other, self.others.number(action))
    }
}

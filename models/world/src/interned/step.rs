//! What becomes of a state: remembered, or taken in the plain world.

use super::tables::{Cause, Effect, Lives, Receiver, Rest, Said};
use super::{Act, CHOICES, Code, DELIVERED, FLIGHT_BITS, HEAD, HISTORY, Interned, Kind, LIVES};
use super::{MAIL, NOBODY, REST, State, VIOLATED_SHIFT};
use crate::cluster::{Action, World};
use crate::network::{Flight, Kind as NetworkKind, Network};
use crate::protocol::{Coverage, Protocol};
use crate::representation::Representation;
use crate::scenario::Fault;

impl<P: Protocol> Interned<P> {
    /// Takes an action.
    pub(super) fn take(&mut self, state: &State, act: Act, next: &mut State) {
        let kind = act.code.kind();
        if kind == Kind::Other && !self.is_local(act.code) {
            let action = self.plain_action(act);
            let cluster = self.cluster(state);
            let after = self.world.step(&cluster, &action, Some(&mut self.slow));
            self.encode(&after, next);
            return self.sign(next);
        }
        next.words.clone_from(&state.words);
        let which = act.code.which() as u32;
        let mut code = act.code;
        match kind {
            Kind::Deliver => self.deliver(next, which),
            Kind::Copy => {
                self.spend(next, Fault::Copy);
                code = Code::new(Kind::Deliver, which);
            }
            Kind::Lose => {
                self.spend(next, Fault::Lose);
                lose(next, which);
            }
            Kind::Mail => {
                let set = self.tables.mail_sets.get(next.words[MAIL]).iter();
                let left = set.filter(|mail| **mail != which).copied().collect();
                next.words[MAIL] = self.tables.mail_set(left);
            }
            Kind::Fire => {
                if let Some(fault) = act.fault {
                    self.spend(next, fault);
                }
            }
            Kind::Other => self.around(state, act, next),
        }
        self.taken[self.kind_index(act.code)] += 1;
        if act.slot != NOBODY {
            self.react(next, usize::from(act.slot), code);
        }
        self.forget_spent(state, next);
        self.sign(next);
    }

    /// Whether an action concerns one process only.
    fn is_local(&self, code: Code) -> bool {
        match self.tables.others.get(code.which() as u32) {
            Action::Pick(..) | Action::Tell(..) => true,
            Action::Outside(index, _) => !self.world.is_join(*index),
            Action::Deliver(_)
            | Action::Copy(_)
            | Action::Lose(_)
            | Action::LoseAll
            | Action::Mail(_)
            | Action::Fire(..)
            | Action::Restart(_)
            | Action::Torn(..)
            | Action::Die(_)
            | Action::Twin(_)
            | Action::Disconnect(..) => false,
        }
    }

    /// The place of the kind of an action in [`Action::KINDS`].
    fn kind_index(&self, code: Code) -> usize {
        match code.kind() {
            Kind::Deliver => 0,
            Kind::Copy => 1,
            Kind::Lose => 2,
            Kind::Mail => 4,
            Kind::Fire => 5,
            Kind::Other => self.tables.others.get(code.which() as u32).kind_index(),
        }
    }

    /// What an action that has no numbers of its own does around its process.
    fn around(&mut self, state: &State, act: Act, next: &mut State) {
        let action = self.tables.others.get(act.code.which() as u32);
        if let Action::Outside(index, _) = action {
            let mut rest = self.tables.rests.get(next.words[REST]).clone();
            rest.to_come.remove(index);
            next.words[REST] = self.tables.rest(rest);
        } else if let Action::Pick(address, pick) = action {
            let mut choices = self.tables.choices.get(next.words[CHOICES]).clone();
            if let Some(asked) = self.world.asked(&self.look(state), &choices, *address, pick) {
                choices.remove(&asked);
            }
            next.words[CHOICES] = self.tables.choices.number(&choices);
        }
    }

    fn spend(&mut self, next: &mut State, fault: Fault) {
        let mut rest: Rest = self.tables.rests.get(next.words[REST]).clone();
        rest.budget = self.world.scenario.spent(&rest.budget, fault);
        next.words[REST] = self.tables.rest(rest);
    }

    fn deliver(&self, next: &mut State, datagram: u32) {
        match self.world.scenario.network {
            NetworkKind::Set => put(next, datagram, DELIVERED),
            NetworkKind::Multiset => lose(next, datagram),
        }
    }

    /// What the process at a place does, remembered or taken.
    fn react(&mut self, next: &mut State, slot: usize, code: Code) {
        let tables = &self.tables;
        let lives = tables.lives.get(next.words[LIVES]);
        let actor = lives.alive[slot].0.actor;
        let disk = lives.disks.iter().position(|owner| *owner == actor).expect("it started");
        let disk_at = next.disks_at() + disk;
        let cause = Cause {
            code,
            process: next.process(slot),
            history: next.words[HISTORY],
            disk: next.words[disk_at],
            choices: next.words[CHOICES],
            lives: next.words[LIVES],
        };
        let effect = match tables.effects.get(&cause) {
            Some(known) => *known,
            None => {
                let effect = self.find_out(next, slot, code, disk_at);
                self.tables.effects.insert(cause, effect);
                effect
            }
        };
        self.tables.count(effect.contribution);
        next.words[HISTORY] = effect.history;
        next.words[CHOICES] = effect.choices;
        next.words[disk_at] = effect.disk;
        if effect.lives == next.words[LIVES] {
            next.words[HEAD + slot] = effect.process;
        } else {
            self.replace(next, slot, &effect);
        }
        self.say(next, effect.said);
    }

    /// Puts a process under another name or life in its place.
    fn replace(&mut self, next: &mut State, slot: usize, effect: &Effect) {
        next.words[LIVES] = effect.lives;
        next.words[HEAD + slot] = effect.process;
        let end = next.disks_at();
        let processes = &self.tables.processes;
        next.words[HEAD..end].sort_unstable_by_key(|process| P::address(processes.get(*process)));
    }

    /// Sends and posts, and notes what was violated.
    fn say(&mut self, next: &mut State, said: u32) {
        let Said { sends, posts, violates } = self.tables.said.get(said);
        for (datagram, count) in sends {
            let known = position(next, *datagram).ok();
            let flight = known.map_or(0, |at| next.words[at] & DELIVERED);
            let flight = match (self.world.scenario.network, flight) {
                (NetworkKind::Set, _) => 1,
                (NetworkKind::Multiset, flight) => {
                    let most = u32::from(Network::<P::Datagram>::EQUAL_MAX);
                    (flight + u32::from(*count)).min(most)
                }
            };
            put(next, *datagram, flight);
        }
        if posts.is_empty() && violates.is_empty() {
            return;
        }
        let (posts, violates) = (posts.clone(), violates.clone());
        if !posts.is_empty() {
            let known = self.tables.mail_sets.get(next.words[MAIL]).iter();
            let all = known.chain(&posts).copied().collect();
            next.words[MAIL] = self.tables.mail_set(all);
        }
        if !violates.is_empty() {
            let mut rest = self.tables.rests.get(next.words[REST]).clone();
            for (property, violation) in violates.iter() {
                if !rest.violated.contains_key(property) {
                    rest.violated.insert(*property, violation.clone());
                }
            }
            for property in rest.violated.keys() {
                next.words[0] |= 1 << (VIOLATED_SHIFT as usize + property);
            }
            next.words[REST] = self.tables.rest(rest);
        }
    }

    /// Takes a step of one process in the plain world.
    fn find_out(&mut self, state: &State, slot: usize, code: Code, disk_at: usize) -> Effect {
        let mut cluster = self.without_network(state);
        let act = Act { code, fair: false, slot: slot as u8, fault: None };
        let action = self.plain_action(act);
        let (address, event) = self.world.event(&cluster, &action).expect("it concerns a process");
        let mut coverage = Coverage::new::<P>();
        self.world.react(&mut cluster, address, event, &mut Some(&mut coverage));
        let tables = &mut self.tables;
        let old = tables.processes.get(state.process(slot)).clone();
        let before = &tables.lives.get(state.words[LIVES]).alive;
        let others = |at| before.iter().enumerate().any(|(i, (a, _))| *a == at && i != slot);
        let now = cluster.processes.iter().find(|(at, _)| !others(**at));
        let process = now.map_or(old, |(_, process)| process.clone());
        let concerned = cluster.processes.iter().filter(|(at, process)| {
            let same = before.iter().position(|(known, _)| known == *at);
            !same.is_some_and(|i| tables.processes.get(state.process(i)).is_same(process))
        });
        assert!(concerned.count() <= 1, "a step of one process concerns no other");
        let (actor, _) = tables.disks.get(state.words[disk_at]);
        let actor = *actor;
        let disk = cluster.disks.get(&actor).expect("it was there").clone();
        let sends = cluster.network.iter().map(|(datagram, flight)| {
            let count = match flight {
                Flight::InFlight(count) => count,
                Flight::Delivered => unreachable!("nothing was delivered"),
            };
            (tables.datagrams.number(datagram), count)
        });
        let sends = sends.collect();
        let posts = cluster.mail.iter().map(|mail| tables.mail.number(mail)).collect();
        let said = Said { sends, posts, violates: cluster.violated.clone() };
        Effect {
            process: tables.process(&process),
            history: tables.histories.number(&cluster.history),
            disk: tables.disks.number(&(actor, disk)),
            choices: tables.choices.number(&cluster.choices),
            lives: tables.lives.number(&Lives::of(&cluster)),
            said: tables.said.number(&said),
            contribution: tables.contribution(&coverage),
        }
    }

    /// Takes datagrams out of flight that can never act again. What was in flight before is judged
    /// again only if its receiver changed, or what may go wrong.
    fn forget_spent(&mut self, before: &State, next: &mut State) {
        let start = next.network_at();
        let (lives, may) = (next.words[LIVES], self.tables.may(next.words[REST]));
        let all = before.words[LIVES] != lives || self.tables.may(before.words[REST]) != may;
        let mut kept = start;
        for at in start..next.words.len() {
            let word = next.words[at];
            let datagram = word >> FLIGHT_BITS;
            let spent = match self.tables.receiver(lives, datagram) {
                Receiver::Over => true,
                Receiver::Nobody => false,
                Receiver::Slot(slot) => {
                    let process = next.process(usize::from(slot));
                    let same = !all
                        && before.process(usize::from(slot)) == process
                        && position(before, datagram).is_ok();
                    self.world.reductions.spent && !same && self.is_spent(process, datagram, may)
                }
            };
            if !spent {
                next.words[kept] = word;
                kept += 1;
            }
        }
        next.words.truncate(kept);
    }

    fn is_spent(&mut self, process: u32, datagram: u32, may: u32) -> bool {
        let key = (process, datagram, may);
        if let Some(known) = self.tables.spent.get(&key) {
            return *known;
        }
        let receiver = self.tables.processes.get(process);
        let possible = |fault: Fault| may & 1 << fault as u32 != 0;
        let spent = World::<P>::is_spent(&possible, receiver, self.tables.datagrams.get(datagram));
        self.tables.spent.insert(key, spent);
        spent
    }
}

/// Where a datagram stands in a state, or would.
fn position(state: &State, datagram: u32) -> Result<usize, usize> {
    let start = state.network_at();
    let found = state.words[start..].binary_search_by_key(&datagram, |word| word >> FLIGHT_BITS);
    found.map(|at| start + at).map_err(|at| start + at)
}

fn put(state: &mut State, datagram: u32, flight: u32) {
    let word = datagram << FLIGHT_BITS | flight;
    match position(state, datagram) {
        Ok(at) => state.words[at] = word,
        Err(at) => state.words.insert(at, word),
    }
}

/// Takes one of these datagrams out of flight for good.
fn lose(state: &mut State, datagram: u32) {
    if let Ok(at) = position(state, datagram) {
        match state.words[at] & DELIVERED {
            count @ 2..DELIVERED => state.words[at] = datagram << FLIGHT_BITS | (count - 1),
            _ => {
                state.words.remove(at);
            }
        }
    }
}

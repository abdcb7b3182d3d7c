//! What may happen, by number: as the plain world says it.

use super::tables::Receiver;
use super::{Act, CHOICES, Code, DELIVERED, FLIGHT_BITS, Interned, Kind, LIVES, MAIL, NOBODY};
use super::{REST, State};
use crate::cluster::{Action, restart_of};
use crate::network::Kind as NetworkKind;
use crate::protocol::{Firing, Protocol};
use crate::scenario::Fault;
use crate::view::View;
use counterfoil_protocol::{Actor, Address};

impl<P: Protocol> Interned<P> {
    /// Everything that may happen.
    pub(super) fn acts(&mut self, state: &State, acts: &mut Vec<Act>) {
        if self.urgent(state, acts) {
            return;
        }
        let start = acts.len();
        self.deliveries(state, acts);
        let lives = state.words[LIVES];
        for mail in self.tables.open_mail(state.words[MAIL]) {
            let to = self.tables.mail.get(*mail).to;
            let slot = self.tables.slot_of(lives, to).map_or(NOBODY, |slot| slot as u8);
            acts.push(Act { code: Code::new(Kind::Mail, *mail), fair: true, slot, fault: None });
        }
        self.firings(state, acts);
        for (address, tiding) in P::tidings(&self.look(state)) {
            self.push(state, Action::Tell(address, tiding), acts);
        }
        self.outsides(state, acts);
        self.faults(state, start, acts);
    }

    /// If a driver has a question to answer, nothing else happens before it has answered.
    fn urgent(&mut self, state: &State, acts: &mut Vec<Act>) -> bool {
        let choices = self.tables.choices.get(state.words[CHOICES]);
        if choices.is_empty() {
            return false;
        }
        let answers = self.world.answers(&self.look(state), choices);
        let urgent = !answers.is_empty();
        for (address, pick) in answers {
            self.push(state, Action::Pick(address, pick), acts);
        }
        urgent
    }

    fn deliveries(&mut self, state: &State, acts: &mut Vec<Act>) {
        let may = self.tables.may(state.words[REST]);
        let has = |fault: Fault| may & 1 << fault as u32 != 0;
        let copies = self.world.scenario.network == NetworkKind::Multiset && has(Fault::Copy);
        let loses = has(Fault::Lose);
        for word in state.network() {
            let (datagram, in_flight) = (word >> FLIGHT_BITS, word & DELIVERED != DELIVERED);
            if let Receiver::Slot(slot) = self.tables.receiver(state.words[LIVES], datagram) {
                let act =
                    |kind, fair| Act { code: Code::new(kind, datagram), fair, slot, fault: None };
                acts.push(act(Kind::Deliver, in_flight));
                if copies {
                    acts.push(act(Kind::Copy, false));
                }
            }
            if in_flight && loses && self.world.may_lose(self.tables.datagrams.get(datagram)) {
                let code = Code::new(Kind::Lose, datagram);
                acts.push(Act { code, fair: false, slot: NOBODY, fault: None });
            }
        }
    }

    fn firings(&self, state: &State, acts: &mut Vec<Act>) {
        let look = self.look(state);
        for slot in 0..state.processes() {
            for timer in self.tables.timers_of(state.process(slot)) {
                let (address, named) = self.tables.timers.get(*timer);
                let (fair, fault) = match P::firing(&self.world, &look, *address, named) {
                    Firing::Fair => (true, None),
                    Firing::Fault(fault) if look.may(fault) => (false, Some(fault)),
                    Firing::Fault(_) | Firing::Not => continue,
                };
                let code = Code::new(Kind::Fire, *timer);
                acts.push(Act { code, fair, slot: slot as u8, fault });
            }
        }
    }

    fn outsides(&mut self, state: &State, acts: &mut Vec<Act>) {
        let rest = self.tables.rests.get(state.words[REST]);
        if rest.to_come.is_empty() {
            return;
        }
        let to_come = rest.to_come.clone();
        let alive = self.tables.lives.get(state.words[LIVES]).alive.clone();
        for index in to_come.iter() {
            if self.world.has_elder(&to_come, *index) {
                continue;
            }
            let can = |at| P::outside(&self.world, &self.look(state), *index, at).is_some();
            if self.world.is_join(*index) || can(None) {
                self.push(state, Action::Outside(*index, None), acts);
                continue;
            }
            let at: Vec<Address> =
                alive.iter().map(|(address, _)| *address).filter(|at| can(Some(*at))).collect();
            for address in at {
                self.push(state, Action::Outside(*index, Some(address)), acts);
            }
        }
    }

    fn faults(&mut self, state: &State, start: usize, acts: &mut Vec<Act>) {
        let may = self.tables.may(state.words[REST]);
        if may == 0 {
            return;
        }
        let has = |fault: Fault| may & 1 << fault as u32 != 0;
        if has(Fault::TornWrite) {
            for index in start..acts.len() {
                for code in self.torn(state, acts[index]) {
                    acts.push(Act { code, fair: false, slot: NOBODY, fault: None });
                }
            }
        }
        let mut others = Vec::new();
        if has(Fault::LoseAll) && !state.network().is_empty() {
            others.push(Action::LoseAll);
        }
        let alive = &self.tables.lives.get(state.words[LIVES]).alive;
        for (address, has_left) in alive {
            let actor = address.actor;
            if *has_left {
                continue;
            }
            if has(restart_of(actor)) {
                others.push(Action::Restart(actor));
            }
            let Actor::Scheduler(_) = actor else { continue };
            if has(Fault::SchedulerDeath) {
                others.push(Action::Die(actor));
            }
            if has(Fault::Twin) {
                others.push(Action::Twin(actor));
            }
            if has(Fault::Disconnect) {
                let clients = alive.iter().filter(|(a, _)| matches!(a.actor, Actor::Client(_)));
                others.extend(clients.map(|(client, _)| Action::Disconnect(*client, *address)));
            }
        }
        for action in others {
            self.push(state, action, acts);
        }
    }

    /// The torn variants of an action.
    fn torn(&mut self, state: &State, act: Act) -> Vec<Code> {
        if act.slot == NOBODY {
            return Vec::new();
        }
        let key = (act.code, state.process(usize::from(act.slot)));
        if let Some(known) = self.tables.torn.get(&key) {
            return known.clone();
        }
        let cluster = crate::Representation::cluster(self, state);
        let torn = self.world.torn(&cluster, &self.plain_action(act));
        let codes: Vec<Code> = torn.iter().map(|action| self.tables.other(action)).collect();
        self.tables.torn.insert(key, codes.clone());
        codes
    }

    fn push(&mut self, state: &State, action: Action<P>, acts: &mut Vec<Act>) {
        let slot = match &action {
            Action::Pick(at, _) | Action::Tell(at, _) => Some(*at),
            Action::Outside(index, at) => {
                let event = P::outside(&self.world, &self.look(state), *index, *at);
                event.map(|(address, _)| address)
            }
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
            | Action::Disconnect(..) => None,
        };
        let slot = slot.and_then(|at| self.tables.slot_of(state.words[LIVES], at));
        let fair = matches!(action, Action::Pick(..) | Action::Tell(..));
        let slot = slot.map_or(NOBODY, |slot| slot as u8);
        acts.push(Act { code: self.tables.other(&action), fair, slot, fault: None });
    }

    /// The action as the plain world knows it.
    pub(super) fn plain_action(&self, act: Act) -> Action<P> {
        let which = act.code.which() as u32;
        let tables = &self.tables;
        match act.code.kind() {
            Kind::Deliver => Action::Deliver(tables.datagrams.get(which).clone()),
            Kind::Copy => Action::Copy(tables.datagrams.get(which).clone()),
            Kind::Lose => Action::Lose(tables.datagrams.get(which).clone()),
            Kind::Mail => Action::Mail(tables.mail.get(which).clone()),
            Kind::Fire => {
                let (address, timer) = tables.timers.get(which).clone();
                Action::Fire(address, timer)
            }
            Kind::Other => tables.others.get(which).clone(),
        }
    }
}

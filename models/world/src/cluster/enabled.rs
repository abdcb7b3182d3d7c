//! What may happen in the world.

use super::{Action, Cluster, Mail, World, restart_of};
use crate::changes::label;
use crate::itf;
use crate::network::{Flight, Kind};
use crate::protocol::{Effect, Firing, Protocol};
use crate::scenario::{Fault, Outside};
use crate::view::View;
use counterfoil_protocol::{Actor, Address, Set};

impl<P: Protocol> World<P> {
    /// Everything that may happen, in order.
    pub fn enabled(&self, cluster: &Cluster<P>) -> Vec<Action<P>> {
        if let Some(picks) = self.urgent(cluster) {
            return picks;
        }
        let mut actions = Vec::new();
        let kind = self.scenario.network;
        let has = |fault| cluster.may(fault);
        for (datagram, flight) in cluster.network.iter() {
            if cluster.receiver(P::destination(datagram)).is_some() {
                actions.push(Action::Deliver(datagram.clone()));
                if kind == Kind::Multiset && has(Fault::Copy) {
                    actions.push(Action::Copy(datagram.clone()));
                }
            }
            if matches!(flight, Flight::InFlight(_)) && has(Fault::Lose) && self.may_lose(datagram)
            {
                actions.push(Action::Lose(datagram.clone()));
            }
        }
        let first = |mail: &&Mail<P>| mail.may_arrive(&cluster.mail);
        actions.extend(cluster.mail.iter().filter(first).cloned().map(Action::Mail));
        for (address, process) in cluster.processes.iter() {
            for timer in P::timers(process) {
                let may = match P::firing(self, cluster, *address, &timer) {
                    Firing::Fair => true,
                    Firing::Fault(fault) => has(fault),
                    Firing::Not => false,
                };
                if may {
                    actions.push(Action::Fire(*address, timer));
                }
            }
        }
        let tidings = P::tidings(cluster).into_iter();
        actions.extend(tidings.map(|(address, tiding)| Action::Tell(address, tiding)));
        self.outside_actions(cluster, &mut actions);
        self.fault_actions(cluster, has, &mut actions);
        actions
    }

    /// Whether a datagram may be lost, where one may.
    pub(crate) fn may_lose(&self, datagram: &P::Datagram) -> bool {
        let only = &self.scenario.only_lose;
        only.is_empty() || itf::value(datagram).is_ok_and(|value| only.contains(&label(&value)))
    }

    /// If a driver has a question to answer, nothing else happens before it has answered.
    fn urgent(&self, cluster: &Cluster<P>) -> Option<Vec<Action<P>>> {
        let picks = self.answers(cluster, &cluster.choices);
        let actions = picks.into_iter().map(|(address, pick)| Action::Pick(address, pick));
        Some(actions.collect()).filter(|actions: &Vec<_>| !actions.is_empty())
    }

    /// The answers that may be given now: to the first question that can be answered; to all, if
    /// names decide nothing.
    pub(crate) fn answers(
        &self,
        view: &impl View<P>,
        choices: &Set<(Address, P::Choice)>,
    ) -> Vec<(Address, P::Pick)> {
        let mut answers = Vec::new();
        for (address, choice) in choices.iter() {
            let picks = P::picks(self, view, *address, choice).into_iter();
            answers.extend(picks.map(|pick| (*address, pick)));
            if self.reductions.in_order && !answers.is_empty() {
                break;
            }
        }
        answers
    }

    fn outside_actions(&self, cluster: &Cluster<P>, actions: &mut Vec<Action<P>>) {
        for index in cluster.to_come.iter() {
            if self.has_elder(&cluster.to_come, *index) {
                continue;
            }
            let anywhere =
                self.is_join(*index) || P::outside(self, cluster, *index, None).is_some();
            if anywhere {
                actions.push(Action::Outside(*index, None));
            } else {
                for address in cluster.processes.keys() {
                    if P::outside(self, cluster, *index, Some(*address)).is_some() {
                        actions.push(Action::Outside(*index, Some(*address)));
                    }
                }
            }
        }
    }

    /// Whether an outside input starts an actor.
    pub(crate) fn is_join(&self, index: u8) -> bool {
        matches!(self.outside[usize::from(index)], Outside::Join(_))
    }

    /// Whether an equal request is still to come before this one: equal requests are made in order.
    /// The crate docs say why. One that an order names is equal to none.
    pub(crate) fn has_elder(&self, to_come: &Set<u8>, index: u8) -> bool {
        let Outside::Place(request) = &self.outside[usize::from(index)] else { return false };
        if !self.reductions.in_order {
            return false;
        }
        let named = |id| self.outside.contains(&Outside::Release(id));
        to_come.iter().take_while(|elder| **elder < index).any(|elder| {
            let Outside::Place(elder) = &self.outside[usize::from(*elder)] else { return false };
            let equal = elder.is_alike(request) && elder.at == request.at;
            equal && !named(elder.id) && !named(request.id)
        })
    }

    fn fault_actions(
        &self,
        cluster: &Cluster<P>,
        has: impl Fn(Fault) -> bool,
        actions: &mut Vec<Action<P>>,
    ) {
        if has(Fault::TornWrite) {
            let torn: Vec<Action<P>> =
                actions.iter().flat_map(|action| self.torn(cluster, action)).collect();
            actions.extend(torn);
        }
        if has(Fault::LoseAll) && !cluster.network.is_empty() {
            actions.push(Action::LoseAll);
        }
        for (address, process) in cluster.processes.iter() {
            if P::has_left(process) {
                continue;
            }
            let actor = address.actor;
            if has(restart_of(actor)) {
                actions.push(Action::Restart(actor));
            }
            if let Actor::Scheduler(_) = actor {
                if has(Fault::SchedulerDeath) {
                    actions.push(Action::Die(actor));
                }
                if has(Fault::Twin) {
                    actions.push(Action::Twin(actor));
                }
                if has(Fault::Disconnect) {
                    let clients = cluster.processes.keys();
                    let clients = clients.filter(|other| matches!(other.actor, Actor::Client(_)));
                    let breaks = clients.map(|client| Action::Disconnect(*client, *address));
                    actions.extend(breaks);
                }
            }
        }
    }

    /// The ways in which a crash can cut `action` short after something was done, and before all
    /// was.
    pub(crate) fn torn(&self, cluster: &Cluster<P>, action: &Action<P>) -> Vec<Action<P>> {
        let Some((address, event)) = self.event(cluster, action) else { return Vec::new() };
        let mut process = (**cluster.processes.get(&address).expect("it receives")).clone();
        let mut outputs = Vec::new();
        P::handle(&mut process, event, &mut outputs);
        let done = |output: &P::Output| {
            matches!(P::effect(output), Effect::Persist | Effect::Send(_) | Effect::Letter(..))
        };
        let writes = outputs.iter().any(|output| matches!(P::effect(output), Effect::Persist));
        let last = outputs.iter().rposition(done);
        let cuts = (0..outputs.len()).filter(|cut| done(&outputs[*cut]) && Some(*cut) != last);
        let cut = |cut: usize| Action::Torn(Box::new(action.clone()), cut as u8 + 1);
        if writes { cuts.map(cut).collect() } else { Vec::new() }
    }

    /// Whether an action is no fault and no outside input: under strong fairness it happens in the
    /// end, if it may happen again and again.
    pub fn is_fair(&self, cluster: &Cluster<P>, action: &Action<P>) -> bool {
        match action {
            Action::Deliver(datagram) => {
                matches!(cluster.network.flight(datagram), Some(Flight::InFlight(_)))
            }
            Action::Fire(address, timer) => {
                P::firing(self, cluster, *address, timer) == Firing::Fair
            }
            Action::Mail(_) | Action::Pick(..) | Action::Tell(..) => true,
            Action::Copy(_)
            | Action::Lose(_)
            | Action::LoseAll
            | Action::Outside(..)
            | Action::Restart(_)
            | Action::Torn(..)
            | Action::Die(_)
            | Action::Twin(_)
            | Action::Disconnect(..) => false,
        }
    }
}

//! What becomes of the world when something happens.

use super::{Action, Cluster, Mail, World, restart_of};
use crate::network::Network;
use crate::protocol::{Coverage, Effect, Event, Firing, Observed, Protocol};
use crate::scenario::{Fault, Outside};
use crate::shared::Shared;
use crate::view::View;
use counterfoil_protocol::{Actor, Address, Set};

impl<P: Protocol> World<P> {
    /// What becomes of the world.
    pub fn apply(&self, cluster: &Cluster<P>, action: &Action<P>) -> Cluster<P> {
        self.step(cluster, action, None)
    }

    /// What becomes of the world; notes in `coverage` what was seen.
    pub fn step(
        &self,
        cluster: &Cluster<P>,
        action: &Action<P>,
        mut coverage: Option<&mut Coverage<P::Arm>>,
    ) -> Cluster<P> {
        let mut next = cluster.clone();
        if let Some(coverage) = &mut coverage {
            coverage.took(action.kind(), 1);
        }
        self.carry_out(&mut next, action, None, &mut coverage);
        self.forget_spent(&mut next);
        next
    }

    /// Takes datagrams out of flight that can never act again: those to a life that is over, and
    /// those that only repeat what their receiver can never unlearn. The crate docs say why.
    fn forget_spent(&self, next: &mut Cluster<P>) {
        let is_spent = |datagram: &Shared<P::Datagram>| {
            let to = P::destination(datagram);
            match next.receiver(to) {
                None => to.incarnation.is_some(),
                Some(at) if self.reductions.spent => {
                    let process = next.processes.get(&at).expect("it receives");
                    Self::is_spent(&|fault| next.may(fault), process, datagram)
                }
                Some(_) => false,
            }
        };
        let spent: Vec<_> =
            next.network.iter().map(|(d, _)| d).filter(|d| is_spent(d)).cloned().collect();
        for datagram in spent {
            next.network.forget(&datagram);
        }
    }

    /// Whether a datagram can never act again at this process, its receiver.
    pub(crate) fn is_spent(
        may: &dyn Fn(Fault) -> bool,
        process: &P::Process,
        datagram: &P::Datagram,
    ) -> bool {
        if !P::is_old_news(may, process, datagram) {
            return false;
        }
        let mut tried = process.clone();
        let mut outputs = Vec::new();
        P::handle(&mut tried, Event::Datagram(datagram.clone()), &mut outputs);
        let acts = |output: &P::Output| {
            !matches!(P::effect(output), Effect::Nothing | Effect::SetTimer(_))
        };
        tried == *process && !outputs.iter().any(acts)
    }

    /// Takes an action; of what its process says, the first `kept` outputs are done, or all.
    fn carry_out(
        &self,
        next: &mut Cluster<P>,
        action: &Action<P>,
        kept: Option<usize>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        let event = self.event(next, action);
        self.befall(next, action, coverage);
        match (event, kept) {
            (Some((address, event)), None) => self.react(next, address, event, coverage),
            (Some((address, event)), Some(_)) => self.handle(next, address, event, kept, coverage),
            (None, None) => self.answer_alone(next, coverage),
            (None, Some(_)) => {}
        }
    }

    /// Gives an event to a process, and answers what it asks if there is one answer.
    pub(crate) fn react(
        &self,
        next: &mut Cluster<P>,
        address: Address,
        event: Event<P>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        self.handle(next, address, event, None, coverage);
        self.answer_alone(next, coverage);
    }

    /// What an action does to the world around the process that it concerns.
    fn befall(
        &self,
        next: &mut Cluster<P>,
        action: &Action<P>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        match action {
            Action::Deliver(datagram) => next.network.deliver(self.scenario.network, datagram),
            Action::Copy(_) => self.spend(next, Fault::Copy),
            Action::Lose(datagram) => {
                self.spend(next, Fault::Lose);
                next.network.lose(datagram);
            }
            Action::LoseAll => {
                self.spend(next, Fault::LoseAll);
                next.network = Network::default();
            }
            Action::Mail(mail) => {
                next.mail.remove(mail);
            }
            Action::Fire(address, timer) => {
                if let Firing::Fault(fault) = P::firing(self, next, *address, timer) {
                    self.spend(next, fault);
                }
            }
            Action::Pick(address, pick) => {
                if let Some(asked) = self.asked(next, &next.choices, *address, pick) {
                    next.choices.remove(&asked);
                }
            }
            Action::Tell(..) => {}
            Action::Outside(index, _) => {
                next.to_come.remove(index);
                if let Outside::Join(actor) = self.outside[usize::from(*index)] {
                    self.start(next, actor, coverage);
                }
            }
            Action::Restart(actor) => {
                self.spend(next, restart_of(*actor));
                self.restart(next, *actor, coverage);
            }
            Action::Torn(inner, kept) => {
                self.spend(next, Fault::TornWrite);
                let victim = self.event(next, inner).map(|(address, _)| address.actor);
                self.carry_out(next, inner, Some(usize::from(*kept)), coverage);
                if let Some(actor) = victim {
                    self.restart(next, actor, coverage);
                }
            }
            Action::Die(actor) => {
                self.spend(next, Fault::SchedulerDeath);
                self.end(next, *actor);
            }
            Action::Twin(actor) => {
                self.spend(next, Fault::Twin);
                self.start(next, *actor, coverage);
            }
            Action::Disconnect(client, scheduler) => {
                self.spend(next, Fault::Disconnect);
                self.disconnect(next, *client, *scheduler);
            }
        }
    }

    fn spend(&self, next: &mut Cluster<P>, fault: Fault) {
        next.budget = self.scenario.spent(&next.budget, fault);
    }

    /// What an action is to the one process that it concerns.
    pub(crate) fn event(
        &self,
        cluster: &Cluster<P>,
        action: &Action<P>,
    ) -> Option<(Address, Event<P>)> {
        match action {
            Action::Deliver(datagram) | Action::Copy(datagram) => {
                let to = cluster.receiver(P::destination(datagram))?;
                Some((to, Event::Datagram((**datagram).clone())))
            }
            Action::Mail(mail) => {
                let from = mail.from.actor;
                let event = match &mail.letter {
                    Some(letter) => Event::Letter(from, letter.clone()),
                    None => Event::Broken(from),
                };
                Some((mail.to, event))
            }
            Action::Fire(address, timer) => Some((*address, Event::Timer(timer.clone()))),
            Action::Pick(address, pick) => Some((*address, Event::Picked(pick.clone()))),
            Action::Tell(address, tiding) => Some((*address, Event::Tiding(*tiding))),
            Action::Outside(index, at) => P::outside(self, cluster, *index, *at),
            Action::Lose(_)
            | Action::LoseAll
            | Action::Restart(_)
            | Action::Torn(..)
            | Action::Die(_)
            | Action::Twin(_)
            | Action::Disconnect(..) => None,
        }
    }

    /// Gives an event to a process, and does the first `kept` things that it says, or all.
    fn handle(
        &self,
        next: &mut Cluster<P>,
        address: Address,
        event: Event<P>,
        kept: Option<usize>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        let before = next.processes.get(&address).expect("it is alive").clone();
        let mut after = (*before).clone();
        let mut outputs = Vec::new();
        P::handle(&mut after, event.clone(), &mut outputs);
        assert_timers_are_set::<P>(Some(&before), Some(&event), &after, &outputs);
        outputs.truncate(kept.unwrap_or(outputs.len()));
        let step = Observed {
            before: Some(&*before),
            event: Some(&event),
            after: &after,
            outputs: &outputs,
        };
        self.observe(next, step, coverage);
        let now = P::address(&after);
        if now != address {
            next.processes.remove(&address);
        }
        next.processes.insert(now, Shared::new(after));
        self.effects(next, now, &outputs);
    }

    /// Starts the next life of an actor from its disk.
    pub(super) fn start(
        &self,
        next: &mut Cluster<P>,
        actor: Actor,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        let disk = match next.disks.get(&actor) {
            Some(disk) => disk.clone(),
            None => Shared::new(P::disk(&self.scenario, actor)),
        };
        let mut outputs = Vec::new();
        let process = P::start(&self.setting, actor, &disk, &mut outputs);
        next.disks.insert(actor, disk);
        assert_timers_are_set::<P>(None, None, &process, &outputs);
        let step = Observed { before: None, event: None, after: &process, outputs: &outputs };
        self.observe(next, step, coverage);
        let address = P::address(&process);
        next.processes.insert(address, Shared::new(process));
        self.effects(next, address, &outputs);
        // Its configuration names everyone who is there.
        for (to, tiding) in P::tidings(next) {
            if to == address {
                self.handle(next, to, Event::Tiding(tiding), None, coverage);
            }
        }
    }

    fn restart(
        &self,
        next: &mut Cluster<P>,
        actor: Actor,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        self.end(next, actor);
        self.start(next, actor, coverage);
        self.answer_alone(next, coverage);
    }

    /// Ends every life of an actor: what is under way to it over connections is lost, and the other
    /// ends notice.
    fn end(&self, next: &mut Cluster<P>, actor: Actor) {
        let lives: Vec<Address> =
            next.processes.keys().copied().filter(|address| address.actor == actor).collect();
        for address in lives {
            let process = next.processes.remove(&address).expect("listed above");
            let mut history = (*next.history).clone();
            P::ended(&process, &mut history);
            if history != *next.history {
                next.history = Shared::new(history);
            }
            next.choices = next.choices.iter().filter(|(a, _)| *a != address).cloned().collect();
            next.mail = next
                .mail
                .iter()
                .filter(|m| m.from != address && m.to != address)
                .cloned()
                .collect();
            let others: Vec<Address> = next.processes.keys().copied().collect();
            for other in others {
                self.notice_broken(next, address, other);
            }
        }
    }

    fn disconnect(&self, next: &mut Cluster<P>, client: Address, scheduler: Address) {
        let between = |mail: &Mail<P>| {
            (mail.from == client && mail.to == scheduler)
                || (mail.from == scheduler && mail.to == client)
        };
        next.mail = next.mail.iter().filter(|mail| !between(mail)).cloned().collect();
        self.notice_broken(next, client, scheduler);
        self.notice_broken(next, scheduler, client);
    }

    /// `to` will notice that its connection to `from` broke, if that means anything to it.
    fn notice_broken(&self, next: &mut Cluster<P>, from: Address, to: Address) {
        let mut process = (**next.processes.get(&to).expect("the caller listed it")).clone();
        P::handle(&mut process, Event::Broken(from.actor), &mut Vec::new());
        if process != **next.processes.get(&to).expect("as above") {
            next.mail.insert(Mail { from, to, letter: None });
        }
    }

    fn observe(
        &self,
        next: &mut Cluster<P>,
        step: Observed<'_, P>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        let mut history = (*next.history).clone();
        let violations = P::observe(step, next, &mut history, coverage.as_deref_mut());
        if history != *next.history {
            next.history = Shared::new(history);
        }
        for (property, violation) in violations {
            if !next.violated.contains_key(&property) {
                next.violated.insert(property, violation);
            }
        }
    }

    /// Does what a process said, in order.
    fn effects(&self, next: &mut Cluster<P>, address: Address, outputs: &[P::Output]) {
        for output in outputs {
            match P::effect(output) {
                Effect::Persist => {
                    let mut disk = (**next.disks.get(&address.actor).expect("it started")).clone();
                    P::write(&mut disk, output);
                    next.disks.insert(address.actor, Shared::new(disk));
                }
                Effect::Send(datagram) => {
                    next.network.send(self.scenario.network, Shared::new(datagram.clone()));
                }
                Effect::Letter(to, letter) => self.post(next, address, to, letter),
                Effect::Choose(choice) => {
                    next.choices.insert((address, choice.clone()));
                }
                Effect::SetTimer(_) | Effect::Nothing => {}
            }
        }
    }

    /// Posts a letter. To an actor that is not there no connection can be made.
    fn post(&self, next: &mut Cluster<P>, from: Address, to: Actor, letter: P::Letter) {
        let receiver = next.receiver(Address { actor: to, incarnation: None });
        match receiver {
            Some(to) => {
                next.mail.insert(Mail { from, to, letter: Some(letter) });
            }
            None => {
                let to = Address { actor: to, incarnation: None };
                if next.processes.contains_key(&from) {
                    self.notice_broken(next, to, from);
                }
            }
        }
    }

    /// The question of a process that `pick` answers.
    pub(crate) fn asked(
        &self,
        view: &impl View<P>,
        choices: &Set<(Address, P::Choice)>,
        address: Address,
        pick: &P::Pick,
    ) -> Option<(Address, P::Choice)> {
        let answers = |(asker, choice): &&(Address, P::Choice)| {
            *asker == address && P::picks(self, view, *asker, choice).contains(pick)
        };
        choices.iter().find(answers).cloned()
    }

    /// Answers every question that has one answer. Where names decide nothing, only if no other
    /// question is open that could be answered first.
    pub(super) fn answer_alone(
        &self,
        next: &mut Cluster<P>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        loop {
            let mut open = next.choices.iter().filter_map(|asked| {
                let mut picks = P::picks(self, next, asked.0, &asked.1);
                let pick = picks.pop()?;
                Some((asked.clone(), picks.is_empty().then_some(pick)))
            });
            let Some((asked, Some(pick))) = open.next() else { return };
            if !self.reductions.in_order && open.next().is_some() {
                return;
            }
            next.choices.remove(&asked);
            self.handle(next, asked.0, Event::Picked(pick), None, coverage);
        }
    }
}

/// A timer that begins to matter, or that fires and still matters, must have been set: otherwise
/// the real process would wait for it in vain.
fn assert_timers_are_set<P: Protocol>(
    before: Option<&P::Process>,
    event: Option<&Event<P>>,
    after: &P::Process,
    outputs: &[P::Output],
) {
    let old = before.map(P::timers).unwrap_or_default();
    for timer in P::timers(after) {
        let fired = matches!(event, Some(Event::Timer(fired)) if *fired == timer);
        let armed = old.contains(&timer) && !fired;
        let set = || {
            outputs.iter().any(|o| matches!(P::effect(o), Effect::SetTimer(set) if *set == timer))
        };
        assert!(armed || set(), "{timer:?} matters but was not set by {event:?}");
    }
}

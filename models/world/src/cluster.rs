//! The state of the world, what may happen in it, and what then becomes of it.

use crate::network::{Flight, Kind, Network};
use crate::protocol::{Coverage, Effect, Event, Firing, Observed, Protocol, Tiding};
use crate::scenario::{Fault, Outside, Scenario, Start};
use crate::shared::Shared;
use counterfoil_properties::Violation;
use counterfoil_protocol::{Actor, Address, Map, NodeId, SchedulerId, Set};
use serde::{Deserialize, Serialize};

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Cluster<P: Protocol> {
    /// The processes that live, by name and life.
    pub processes: Map<Address, Shared<P::Process>>,
    /// What each actor has on disk, alive or not.
    pub disks: Map<Actor, Shared<P::Disk>>,
    /// The datagrams in flight.
    pub network: Network<P::Datagram>,
    /// What is under way over connections.
    pub mail: Set<Mail<P>>,
    /// The questions that drivers have not answered.
    pub choices: Set<(Address, P::Choice)>,
    /// What has not happened from outside yet, by index.
    pub to_come: Set<u8>,
    /// How often each fault may still happen.
    pub budget: Map<Fault, u8>,
    /// What truly happened.
    pub history: Shared<P::History>,
    /// The safety properties that were violated on the way here, by index: the first violation of
    /// each.
    pub violated: Map<usize, Violation>,
}

/// Something under way over a connection. It arrives once, or the connection breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Mail<P: Protocol> {
    /// From which process.
    pub from: Address,
    /// To which process.
    pub to: Address,
    /// The letter, or that the connection broke.
    pub letter: Option<P::Letter>,
}

/// Something that may happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "", rename_all = "snake_case")]
pub enum Action<P: Protocol> {
    /// A datagram arrives.
    Deliver(Shared<P::Datagram>),
    /// A copy of a datagram arrives.
    Copy(Shared<P::Datagram>),
    /// A datagram is lost.
    Lose(Shared<P::Datagram>),
    /// Everything in flight is lost.
    LoseAll,
    /// A letter arrives, or the news that a connection broke.
    Mail(Mail<P>),
    /// A timer fires at this process.
    Fire(Address, P::Timer),
    /// A driver answers the first question of its process.
    Pick(Address, P::Pick),
    /// Configuration or discovery tells this process something.
    Tell(Address, Tiding),
    /// Something happens from outside, by index; where it can go to several processes, to this one.
    Outside(u8, Option<Address>),
    /// An actor crashes and starts again.
    Restart(Actor),
    /// An actor crashes after it did this many of the things that the action made it say, and starts
    /// again.
    Torn(Box<Action<P>>, u8),
    /// An actor crashes for good.
    Die(Actor),
    /// An actor starts a second time while the first runs on.
    Twin(Actor),
    /// The connection between a client and a scheduler breaks.
    Disconnect(Address, Address),
}

impl<P: Protocol> Action<P> {
    /// The kinds of actions, for coverage.
    pub const KINDS: [&'static str; 14] = [
        "deliver",
        "copy",
        "lose",
        "lose_all",
        "mail",
        "fire",
        "pick",
        "tell",
        "outside",
        "restart",
        "torn",
        "die",
        "twin",
        "disconnect",
    ];

    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Deliver(_) => "deliver",
            Action::Copy(_) => "copy",
            Action::Lose(_) => "lose",
            Action::LoseAll => "lose_all",
            Action::Mail(_) => "mail",
            Action::Fire(..) => "fire",
            Action::Pick(..) => "pick",
            Action::Tell(..) => "tell",
            Action::Outside(..) => "outside",
            Action::Restart(_) => "restart",
            Action::Torn(..) => "torn",
            Action::Die(_) => "die",
            Action::Twin(_) => "twin",
            Action::Disconnect(..) => "disconnect",
        }
    }

    /// Who acts, if it is one actor.
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Action::Deliver(datagram) | Action::Copy(datagram) => {
                Some(P::destination(datagram).actor)
            }
            Action::Mail(mail) => Some(mail.to.actor),
            Action::Fire(address, _) | Action::Pick(address, _) | Action::Tell(address, _) => {
                Some(address.actor)
            }
            Action::Restart(actor) | Action::Die(actor) | Action::Twin(actor) => Some(*actor),
            Action::Torn(inner, _) => inner.actor(),
            Action::Disconnect(client, _) => Some(client.actor),
            Action::Outside(_, at) => at.map(|address| address.actor),
            Action::Lose(_) | Action::LoseAll => None,
        }
    }
}

/// A scenario brought to life: what never changes while it is explored.
#[derive(Clone, Debug)]
pub struct World<P: Protocol> {
    /// The bounds.
    pub scenario: Scenario,
    /// What every machine is given.
    pub setting: P::Setting,
    /// What may happen from outside.
    pub outside: Vec<Outside>,
}

impl<P: Protocol> World<P> {
    /// Brings a scenario to life.
    pub fn new(scenario: Scenario) -> Self {
        let setting = P::setting(&scenario);
        let outside = scenario.outside();
        World { scenario, setting, outside }
    }

    /// The state in which the exploration starts.
    pub fn initial(&self) -> Cluster<P> {
        let mut cluster = Cluster {
            processes: Map::default(),
            disks: Map::default(),
            network: Network::default(),
            mail: Set::default(),
            choices: Set::default(),
            to_come: (0..self.outside.len()).map(|index| index as u8).collect(),
            budget: self.scenario.faults.iter().map(|(fault, times)| (*fault, *times)).collect(),
            history: Shared::default(),
            violated: Map::default(),
        };
        let nodes = (1..=self.scenario.nodes_at_start).map(|n| Actor::Node(NodeId(n)));
        let schedulers = (1..=self.scenario.schedulers).map(|n| Actor::Scheduler(SchedulerId(n)));
        let client = counterfoil_protocol::ClientId(1);
        let clients = self.scenario.clients.then_some(Actor::Client(client));
        for actor in nodes.chain(schedulers).chain(clients) {
            self.start(&mut cluster, actor, &mut None);
        }
        if self.scenario.start == Start::Warm {
            while let Some(action) = self.calm(&cluster) {
                cluster = self.apply(&cluster, &action);
            }
            cluster.network = Network::default();
        }
        cluster
    }

    /// A fair action other than a timer that changes something, if there is one.
    fn calm(&self, cluster: &Cluster<P>) -> Option<Action<P>> {
        self.enabled(cluster)
            .into_iter()
            .filter(|action| !matches!(action, Action::Fire(..)) && self.is_fair(cluster, action))
            .find(|action| self.apply(cluster, action) != *cluster)
    }

    /// Everything that may happen, in order.
    pub fn enabled(&self, cluster: &Cluster<P>) -> Vec<Action<P>> {
        if let Some(picks) = self.urgent(cluster) {
            return picks;
        }
        let mut actions = Vec::new();
        let kind = self.scenario.network;
        let has = |fault| cluster.budget.get(&fault).is_some_and(|times| *times > 0);
        for (datagram, flight) in cluster.network.iter() {
            if cluster.receiver(P::destination(datagram)).is_some() {
                actions.push(Action::Deliver(datagram.clone()));
                if kind == Kind::Multiset && has(Fault::Copy) {
                    actions.push(Action::Copy(datagram.clone()));
                }
            }
            if matches!(flight, Flight::InFlight(_)) && has(Fault::Lose) {
                actions.push(Action::Lose(datagram.clone()));
            }
        }
        // A break is noticed before anything that comes over a later connection.
        let breaks = |mail: &Mail<P>| Mail { letter: None, ..mail.clone() };
        let first =
            |mail: &&Mail<P>| mail.letter.is_none() || !cluster.mail.contains(&breaks(mail));
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

    /// If a driver has a question to answer, nothing else happens before it has answered.
    fn urgent(&self, cluster: &Cluster<P>) -> Option<Vec<Action<P>>> {
        cluster.choices.iter().find_map(|(address, choice)| {
            let picks = P::picks(self, cluster, *address, choice);
            let actions = picks.into_iter().map(|pick| Action::Pick(*address, pick));
            Some(actions.collect()).filter(|actions: &Vec<_>| !actions.is_empty())
        })
    }

    fn outside_actions(&self, cluster: &Cluster<P>, actions: &mut Vec<Action<P>>) {
        for index in cluster.to_come.iter() {
            let outside = &self.outside[usize::from(*index)];
            if self.has_elder(cluster, *index) {
                continue;
            }
            if let Outside::Join(_) = outside {
                actions.push(Action::Outside(*index, None));
            } else if P::outside(self, cluster, outside, None).is_some() {
                actions.push(Action::Outside(*index, None));
            } else {
                for address in cluster.processes.keys() {
                    if P::outside(self, cluster, outside, Some(*address)).is_some() {
                        actions.push(Action::Outside(*index, Some(*address)));
                    }
                }
            }
        }
    }

    /// Whether an equal request is still to come before this one. Equal requests are interchangeable,
    /// so it is enough to explore them in the order of their names; one that an order names is equal
    /// to none.
    fn has_elder(&self, cluster: &Cluster<P>, index: u8) -> bool {
        let Outside::Place(request) = &self.outside[usize::from(index)] else { return false };
        let named = |id| self.outside.contains(&Outside::Release(id));
        cluster.to_come.iter().take_while(|elder| **elder < index).any(|elder| {
            let Outside::Place(elder) = &self.outside[usize::from(*elder)] else { return false };
            let equal = elder.resources == request.resources && elder.at == request.at;
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
                    actions.extend(breaks.filter(|action| self.apply(cluster, action) != *cluster));
                }
            }
        }
    }

    /// The ways in which a crash can cut `action` short after something was done, and before all was.
    fn torn(&self, cluster: &Cluster<P>, action: &Action<P>) -> Vec<Action<P>> {
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
            *coverage.actions.entry(action.kind()).or_default() += 1;
        }
        self.carry_out(&mut next, action, None, &mut coverage);
        self.forget_spent(cluster, &mut next);
        next
    }

    /// Takes datagrams out of flight that can never act again: those to a life that is over, and those
    /// that only repeat what their receiver can never unlearn. Delivering one would change nothing but
    /// the network, and no verdict depends on that.
    fn forget_spent(&self, before: &Cluster<P>, next: &mut Cluster<P>) {
        let is_spent = |datagram: &Shared<P::Datagram>| {
            let to = P::destination(datagram);
            let Some(address) = next.receiver(to) else { return to.incarnation.is_some() };
            let process = next.processes.get(&address).expect("it receives");
            let same = before.processes.get(&address).is_some_and(|old| old.is_same(process));
            let known = before.network.flight(datagram).is_some();
            !(same && known) && Self::is_spent(next, process, datagram)
        };
        let spent: Vec<_> =
            next.network.iter().map(|(d, _)| d).filter(|d| is_spent(d)).cloned().collect();
        for datagram in spent {
            next.network.forget(&datagram);
        }
    }

    fn is_spent(next: &Cluster<P>, process: &P::Process, datagram: &P::Datagram) -> bool {
        if !P::is_old_news(next, process, datagram) {
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

    fn carry_out(
        &self,
        next: &mut Cluster<P>,
        action: &Action<P>,
        kept: Option<usize>,
        coverage: &mut Option<&mut Coverage<P::Arm>>,
    ) {
        let event = self.event(next, action);
        match action {
            Action::Deliver(datagram) => next.network.deliver(self.scenario.network, datagram),
            Action::Copy(_) => next.spend(Fault::Copy),
            Action::Lose(datagram) => {
                next.spend(Fault::Lose);
                next.network.lose(datagram);
            }
            Action::LoseAll => {
                next.spend(Fault::LoseAll);
                next.network = Network::default();
            }
            Action::Mail(mail) => {
                next.mail.remove(mail);
            }
            Action::Fire(address, timer) => {
                if let Firing::Fault(fault) = P::firing(self, next, *address, timer) {
                    next.spend(fault);
                }
            }
            Action::Pick(address, _) => {
                let asked = next.choices.iter().find(|(asker, choice)| {
                    asker == address && !P::picks(self, next, *asker, choice).is_empty()
                });
                if let Some(asked) = asked.cloned() {
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
                next.spend(restart_of(*actor));
                self.restart(next, *actor, coverage);
            }
            Action::Torn(inner, kept) => {
                next.spend(Fault::TornWrite);
                let victim = self.event(next, inner).map(|(address, _)| address.actor);
                self.carry_out(next, inner, Some(usize::from(*kept)), coverage);
                if let Some(actor) = victim {
                    self.restart(next, actor, coverage);
                }
            }
            Action::Die(actor) => {
                next.spend(Fault::SchedulerDeath);
                self.end(next, *actor);
            }
            Action::Twin(actor) => {
                next.spend(Fault::Twin);
                self.start(next, *actor, coverage);
            }
            Action::Disconnect(client, scheduler) => {
                next.spend(Fault::Disconnect);
                self.disconnect(next, *client, *scheduler);
            }
        }
        if let Some((address, event)) = event {
            self.handle(next, address, event, kept, coverage);
        }
        if kept.is_none() {
            self.answer_alone(next, coverage);
        }
    }

    /// What an action is to the one process that it concerns.
    fn event(&self, cluster: &Cluster<P>, action: &Action<P>) -> Option<(Address, Event<P>)> {
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
            Action::Outside(index, at) => {
                P::outside(self, cluster, &self.outside[usize::from(*index)], *at)
            }
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
    fn start(
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

    /// Answers every question that has one answer.
    fn answer_alone(&self, next: &mut Cluster<P>, coverage: &mut Option<&mut Coverage<P::Arm>>) {
        loop {
            let alone = next.choices.iter().find_map(|asked| {
                let mut picks = P::picks(self, next, asked.0, &asked.1);
                let pick = picks.pop()?;
                Some((asked.clone(), picks.is_empty().then_some(pick)))
            });
            let Some((asked, Some(pick))) = alone else { return };
            next.choices.remove(&asked);
            self.handle(next, asked.0, Event::Picked(pick), None, coverage);
        }
    }
}

impl<P: Protocol> Cluster<P> {
    /// The process that a datagram or letter to `to` reaches: that life, or the latest.
    pub fn receiver(&self, to: Address) -> Option<Address> {
        match to.incarnation {
            Some(_) => self.processes.contains_key(&to).then_some(to),
            None => {
                let lives = self.processes.keys().filter(|address| address.actor == to.actor);
                lives.max_by_key(|address| address.incarnation).copied()
            }
        }
    }

    fn spend(&mut self, fault: Fault) {
        let left = self.budget.get(&fault).map_or(0, |times| times.saturating_sub(1));
        self.budget.insert(fault, left);
    }
}

fn restart_of(actor: Actor) -> Fault {
    match actor {
        Actor::Node(_) => Fault::NodeRestart,
        Actor::Scheduler(_) => Fault::SchedulerRestart,
        Actor::Client(_) => Fault::ClientRestart,
    }
}

/// A timer that begins to matter, or that fires and still matters, must have been set: otherwise the
/// real process would wait for it in vain.
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

//! The state of the world and the actions in it. What may happen is in `enabled`, what then becomes
//! of it in `apply`.

mod apply;
mod enabled;

use crate::network::Network;
use crate::protocol::{Protocol, Tiding};
use crate::scenario::{Fault, Outside, Scenario, Start};
use crate::shared::Shared;
use crate::view::View;
use counterfoil_properties::Violation;
use counterfoil_protocol::{Actor, Address, ClientId, Map, NodeId, SchedulerId, Set};
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

impl<P: Protocol> Mail<P> {
    /// Whether it may arrive next: a break is noticed before anything that comes over a later
    /// connection.
    pub(crate) fn may_arrive(&self, mail: &Set<Mail<P>>) -> bool {
        self.letter.is_none() || !mail.contains(&Mail { letter: None, ..self.clone() })
    }
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
    /// An actor crashes after it did this many of the things that the action made it say, and
    /// starts again.
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
        Self::KINDS[self.kind_index()]
    }

    /// The place of its kind in [`Action::KINDS`].
    pub(crate) fn kind_index(&self) -> usize {
        match self {
            Action::Deliver(_) => 0,
            Action::Copy(_) => 1,
            Action::Lose(_) => 2,
            Action::LoseAll => 3,
            Action::Mail(_) => 4,
            Action::Fire(..) => 5,
            Action::Pick(..) => 6,
            Action::Tell(..) => 7,
            Action::Outside(..) => 8,
            Action::Restart(_) => 9,
            Action::Torn(..) => 10,
            Action::Die(_) => 11,
            Action::Twin(_) => 12,
            Action::Disconnect(..) => 13,
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
    /// Which states are left out because others show what they would.
    pub reductions: Reductions,
}

/// Which states are left out because others show what they would; the crate docs say why. None
/// changes a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions {
    /// Datagrams that only repeat what their receiver can never unlearn are forgotten. Those to a life
    /// that is over always are: nobody is there to have them.
    pub spent: bool,
    /// Equal requests are made, and questions of drivers answered, in the order of their names.
    pub in_order: bool,
}

impl Default for Reductions {
    /// All.
    fn default() -> Self {
        Reductions { spent: true, in_order: true }
    }
}

impl<P: Protocol> World<P> {
    /// Brings a scenario to life.
    pub fn new(scenario: Scenario) -> Self {
        let setting = P::setting(&scenario);
        let outside = scenario.outside();
        World { scenario, setting, outside, reductions: Reductions::default() }
    }

    /// The state in which the exploration starts.
    pub fn initial(&self) -> Cluster<P> {
        let (mut cluster, _) = self.opened();
        if self.scenario.start == Start::Warm {
            cluster.network = Network::default();
        }
        cluster
    }

    /// What leads from [`World::cold`] to [`World::initial`], which then has nothing in flight: none
    /// where the scenario starts cold.
    pub fn opening(&self) -> Vec<Action<P>> {
        self.opened().1
    }

    fn opened(&self) -> (Cluster<P>, Vec<Action<P>>) {
        let (mut cluster, mut actions) = (self.cold(), Vec::new());
        if self.scenario.start == Start::Warm {
            while let Some(action) = self.calm(&cluster) {
                cluster = self.apply(&cluster, &action);
                actions.push(action);
            }
        }
        (cluster, actions)
    }

    /// The state in which everyone has started, and nothing that they said has arrived.
    pub fn cold(&self) -> Cluster<P> {
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
        for actor in self.actors_at_start() {
            self.start(&mut cluster, actor, &mut None);
        }
        self.answer_alone(&mut cluster, &mut None);
        cluster
    }

    /// Who is there at the start, in the order of starting.
    pub fn actors_at_start(&self) -> impl Iterator<Item = Actor> {
        let nodes = (1..=self.scenario.nodes_at_start).map(|n| Actor::Node(NodeId(n)));
        let schedulers = (1..=self.scenario.schedulers).map(|n| Actor::Scheduler(SchedulerId(n)));
        let clients = self.scenario.clients.then_some(Actor::Client(ClientId(1)));
        nodes.chain(schedulers).chain(clients)
    }

    /// A fair action by which everyone meets and that changes something, if there is one.
    fn calm(&self, cluster: &Cluster<P>) -> Option<Action<P>> {
        let meets =
            |action: &Action<P>| !matches!(action, Action::Fire(_, timer) if !P::opens(timer));
        self.enabled(cluster)
            .into_iter()
            .filter(|action| meets(action) && self.is_fair(cluster, action))
            .find(|action| self.apply(cluster, action) != *cluster)
    }
}

impl<P: Protocol> Cluster<P> {
    /// The process that a datagram or letter to `to` reaches: that life, or the latest.
    pub fn receiver(&self, to: Address) -> Option<Address> {
        View::receiver(self, to)
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.network.in_flight().next().is_none() && self.mail.is_empty() && self.choices.is_empty()
    }

    /// Whether a fault may still happen.
    pub fn may(&self, fault: Fault) -> bool {
        self.budget.get(&fault).is_some_and(|times| *times > 0)
    }
}

pub(crate) fn restart_of(actor: Actor) -> Fault {
    match actor {
        Actor::Node(_) => Fault::NodeRestart,
        Actor::Scheduler(_) => Fault::SchedulerRestart,
        Actor::Client(_) => Fault::ClientRestart,
    }
}

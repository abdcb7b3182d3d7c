//! What a protocol must offer to live in this world.

use crate::changes::words;
use crate::cluster::{Cluster, World};
use crate::scenario::{Design, Fault};
use crate::view::View;
use counterfoil_properties::Violation;
use counterfoil_protocol::{Actor, Address, Rule};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;

/// What can be kept in a state and in a trace.
pub trait Plain:
    Clone + Debug + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
}
impl<T> Plain for T where
    T: Clone + Debug + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// What can be kept in a state.
pub trait Kept: Clone + Debug + Eq + Hash + Serialize + Send + Sync + 'static {}
impl<T> Kept for T where T: Clone + Debug + Eq + Hash + Serialize + Send + Sync + 'static {}

/// A protocol: its machines, what they say, and what must be true of them.
pub trait Protocol:
    Clone + Debug + PartialEq + Eq + PartialOrd + Ord + Hash + Send + Sync + 'static
{
    /// Any of its machines.
    type Process: Kept;
    /// What any of its actors keeps on disk.
    type Disk: Kept;
    /// What a process is made of: can be written and read again.
    type Parts: Serialize + DeserializeOwned;
    /// What a disk is made of.
    type DiskParts: Serialize + DeserializeOwned;
    /// A message that may be lost, copied, reordered.
    type Datagram: Plain;
    /// A message over a connection.
    type Letter: Plain;
    /// A named moment.
    type Timer: Plain;
    /// A question that a machine puts to its driver.
    type Choice: Plain;
    /// An answer to it.
    type Pick: Plain;
    /// What an operator or user orders.
    type Order: Plain;
    /// What a machine tells the world to do.
    type Output: Clone + Debug;
    /// What truly happened, kept for the properties.
    type History: Kept + Default + DeserializeOwned;
    /// What is given to every machine at construction.
    type Setting: Clone + Debug + Send + Sync;
    /// What is counted as covered.
    type Arm: Copy + Ord + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Where it stands in Rust: crate and type.
    const PATH: &'static str;

    /// Whether this is the protocol of a design.
    fn speaks(design: Design) -> bool;
    /// What a scenario gives to the machines.
    fn setting(scenario: &crate::Scenario) -> Self::Setting;
    /// What each actor of the scenario has on disk before it first starts.
    fn disk(scenario: &crate::Scenario, actor: Actor) -> Self::Disk;
    /// Starts an actor's next life.
    fn start(
        setting: &Self::Setting,
        actor: Actor,
        disk: &Self::Disk,
        outputs: &mut Vec<Self::Output>,
    ) -> Self::Process;
    /// The name and life of a process.
    fn address(process: &Self::Process) -> Address;
    /// Gives an event to a process.
    fn handle(process: &mut Self::Process, event: Event<Self>, outputs: &mut Vec<Self::Output>);
    /// What the world must do for an output.
    fn effect(output: &Self::Output) -> Effect<'_, Self>;
    /// Carries out [`Effect::Persist`].
    fn write(disk: &mut Self::Disk, output: &Self::Output);
    /// Where a datagram is delivered: an actor, and a life if no other will do.
    fn destination(datagram: &Self::Datagram) -> Address;
    /// Where a datagram came from.
    fn source(datagram: &Self::Datagram) -> Address;
    /// Whether a datagram to this process only repeats what the process can never unlearn, given
    /// what may still go wrong, so that it has no effect now nor later. The world checks the first
    /// half by trying.
    fn is_old_news(
        may: &dyn Fn(Fault) -> bool,
        process: &Self::Process,
        datagram: &Self::Datagram,
    ) -> bool;
    /// The timers that matter to a process.
    fn timers(process: &Self::Process) -> Vec<Self::Timer>;
    /// Whether a timer is part of how everyone meets, before a scenario that starts warm begins.
    fn opens(_timer: &Self::Timer) -> bool {
        false
    }
    /// Whether and how a timer may fire now.
    fn firing(
        world: &World<Self>,
        view: &impl View<Self>,
        address: Address,
        timer: &Self::Timer,
    ) -> Firing;
    /// The answers that a driver may give; the choice of one is arbitrary.
    fn picks(
        world: &World<Self>,
        view: &impl View<Self>,
        address: Address,
        choice: &Self::Choice,
    ) -> Vec<Self::Pick>;
    /// What the outside input of this index is to the process that it reaches; `None` if it cannot
    /// happen now.
    fn outside(
        world: &World<Self>,
        view: &impl View<Self>,
        index: u8,
        at: Option<Address>,
    ) -> Option<(Address, Event<Self>)>;
    /// What configuration or discovery has to tell: to whom, and of which actor.
    fn tidings(view: &impl View<Self>) -> Vec<(Address, Tiding)>;
    /// Whether a process has gone for good by its own decision.
    fn has_left(process: &Self::Process) -> bool;
    /// Takes note of a step and judges every safety property at it.
    fn observe(
        step: Observed<'_, Self>,
        cluster: &Cluster<Self>,
        history: &mut Self::History,
        coverage: Option<&mut Coverage<Self::Arm>>,
    ) -> Vec<(usize, Violation)>;
    /// Forgets what only mattered to a process that is over.
    fn ended(process: &Self::Process, history: &mut Self::History);
    /// The safety properties, by index.
    fn safety() -> &'static [Property];
    /// The liveness properties, by index.
    fn liveness() -> &'static [Property];
    /// What keeps a liveness property from being true now; in words only when asked. A property
    /// that is outside the bounds of the scenario is true.
    fn goal<'a>(
        world: &World<Self>,
        view: &'a impl View<Self>,
        liveness: usize,
    ) -> Option<counterfoil_properties::Unmet<'a>>;
    /// Whether [`Protocol::goal`] finds nothing. A protocol may know a quicker way.
    fn is_reached(world: &World<Self>, view: &impl View<Self>, liveness: usize) -> bool {
        Self::goal(world, view, liveness).is_none()
    }
    /// What a process is made of, but for what it was given at construction.
    fn parts(process: &Self::Process) -> Self::Parts;
    /// The process made of these parts.
    fn assemble(setting: &Self::Setting, parts: Self::Parts) -> Self::Process;
    /// What a disk is made of.
    fn disk_parts(disk: &Self::Disk) -> Self::DiskParts;
    /// The disk made of these parts.
    fn assemble_disk(parts: Self::DiskParts) -> Self::Disk;
    /// An arm that was taken, in words. Where a rule is off, it may mean something else.
    fn told_arm(_world: &World<Self>, arm: Self::Arm) -> String {
        words(&format!("{arm:?}"))
    }
    /// Whether a field of this name only serves the machines: a reader rarely asks for it.
    fn is_bookkeeping(_field: &str) -> bool {
        false
    }
    /// The reachability witnesses, by index.
    fn witnesses() -> &'static [&'static str];
    /// The rules that a scenario may switch off.
    fn rules() -> &'static [Rule];
    /// The decisions of the machines by name, each with the ways in which it can go.
    fn decisions() -> Vec<(&'static str, Vec<Self::Arm>)>;
}

/// A property, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub statement: &'static str,
}

/// What happens to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<P: Protocol> {
    /// A datagram arrives.
    Datagram(P::Datagram),
    /// A letter arrives from this actor.
    Letter(Actor, P::Letter),
    /// The connection to this actor broke.
    Broken(Actor),
    /// A timer fires.
    Timer(P::Timer),
    /// The driver answers.
    Picked(P::Pick),
    /// An operator or user orders something.
    Order(P::Order),
    /// Configuration or discovery says something.
    Tiding(Tiding),
}

/// What configuration or discovery says of an actor.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tiding {
    /// It is there.
    Joined(Actor),
    /// It will never come back.
    Over(Actor),
}

/// What the world must do for an output.
#[derive(Debug)]
pub enum Effect<'a, P: Protocol> {
    /// Write to the disk of the actor.
    Persist,
    /// Send a datagram.
    Send(&'a P::Datagram),
    /// Send a letter over the connection to this actor.
    Letter(Actor, P::Letter),
    /// Answer this before giving the machine anything else.
    Choose(&'a P::Choice),
    /// A timer was set.
    SetTimer(&'a P::Timer),
    /// Nothing.
    Nothing,
}

/// Whether and how a timer may fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// It may, and if nothing else goes wrong it will.
    Fair,
    /// It may, at the cost of this fault.
    Fault(Fault),
    /// Not now.
    Not,
}

/// A step of a process, for the properties.
#[derive(Debug)]
pub struct Observed<'a, P: Protocol> {
    /// What it was; `None` when it starts.
    pub before: Option<&'a P::Process>,
    /// What happened; `None` when it starts.
    pub event: Option<&'a Event<P>>,
    /// What it became.
    pub after: &'a P::Process,
    /// What the world did of what it said.
    pub outputs: &'a [P::Output],
}

/// What was seen, for the reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Coverage<A: Ord> {
    /// Steps judged.
    pub steps: u64,
    /// By safety property: steps at which its premise was true.
    pub premises: Vec<u64>,
    /// By liveness property: states at which it was not yet true.
    pub unmet: Vec<u64>,
    /// Arms of decisions that were taken.
    pub arms: std::collections::BTreeMap<A, u64>,
    /// By witness: how often it was seen.
    pub witnesses: Vec<u64>,
    /// Kinds of actions that were taken.
    pub actions: std::collections::BTreeMap<String, u64>,
}

impl<A: Copy + Ord> Coverage<A> {
    /// Nothing seen.
    pub fn new<P: Protocol>() -> Self {
        Coverage {
            steps: 0,
            premises: vec![0; P::safety().len()],
            unmet: vec![0; P::liveness().len()],
            arms: Default::default(),
            witnesses: vec![0; P::witnesses().len()],
            actions: Default::default(),
        }
    }

    /// Adds actions of a kind.
    pub(crate) fn took(&mut self, kind: &str, times: u64) {
        match self.actions.get_mut(kind) {
            Some(taken) => *taken += times,
            None => {
                self.actions.insert(kind.to_owned(), times);
            }
        }
    }

    /// Adds what another search saw.
    pub fn merge(&mut self, other: &Self) {
        self.steps += other.steps;
        for (mine, theirs) in [
            (&mut self.premises, &other.premises),
            (&mut self.unmet, &other.unmet),
            (&mut self.witnesses, &other.witnesses),
        ] {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        for (arm, count) in &other.arms {
            *self.arms.entry(*arm).or_default() += count;
        }
        for (action, count) in &other.actions {
            *self.actions.entry(action.clone()).or_default() += count;
        }
    }
}

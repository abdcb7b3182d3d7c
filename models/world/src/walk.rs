//! Random walks: runs of worlds that are too large to explore, with every fault.
//!
//! A walk takes actions by chance, up to as many as its [`Plan`] says, and is then healed: it takes
//! fair steps until every liveness goal is true and nothing is under way. It goes wrong if a
//! safety property is violated, if a machine panics, or if it does not heal. Where it does not
//! heal it says whether nothing fair was left to do, or which fair steps it repeated; if neither,
//! [`HEALING_MAX`] steps were not enough, which is suspicious but proves nothing.
//!
//! [`mod@plan`] makes plans with proptest, from a seed and the number of the walk alone, so that
//! every walk can be repeated alone, and makes the plan of a walk that went wrong smaller.
//! [`mod@pace`] says which of the actions that may happen is taken.

pub mod pace;
pub mod plan;

use crate::cluster::{Action, Cluster, World};
use crate::network::Flight;
use crate::protocol::{Coverage, Firing, Protocol};
use crate::random::Random;
use crate::scenario::{Fault, Scenario};
use crate::trace::Trace;
use counterfoil_protocol::Actor;
use pace::Pace;
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use plan::{Plan, Plans, shrink};

/// How many fair steps a walk takes at most until everything is healed.
pub const HEALING_MAX: usize = 20_000;

/// What a walk looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Anything that goes wrong.
    Any,
    /// A violation of this safety property, by index.
    Safety(usize),
    /// That this liveness property, by index, does not come true.
    Liveness(usize),
}

impl Sought {
    /// The property of this name, if there is one.
    pub fn named<P: Protocol>(property: &str) -> Option<Sought> {
        let of = |all: &[crate::protocol::Property]| all.iter().position(|p| p.name == property);
        of(P::safety()).map(Sought::Safety).or_else(|| of(P::liveness()).map(Sought::Liveness))
    }

    fn wants(self, liveness: usize) -> bool {
        match self {
            Sought::Any => true,
            Sought::Safety(_) => false,
            Sought::Liveness(only) => only == liveness,
        }
    }
}

/// What went wrong on a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A safety property, by index, is violated at the last step.
    Violated(usize),
    /// A liveness property, by index, does not come true.
    Unhealed(usize, Ending),
    /// A machine, or the world, panics at the last action or when asked what may follow.
    Panicked(String),
}

/// How a walk that does not heal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing fair changes anything any more.
    Stuck,
    /// It leads back, by fair steps, to the state after this step.
    Repeats(usize),
    /// Neither was seen within [`HEALING_MAX`] steps.
    Open,
}

impl Wrong {
    /// The property that it is about; `None` for a panic.
    pub fn property<P: Protocol>(&self) -> Option<&'static str> {
        match self {
            Wrong::Violated(index) => Some(P::safety()[*index].name),
            Wrong::Unhealed(index, _) => Some(P::liveness()[*index].name),
            Wrong::Panicked(_) => None,
        }
    }

    /// Whether both go wrong in the same way.
    pub fn is_like(&self, other: &Wrong) -> bool {
        match (self, other) {
            (Wrong::Violated(one), Wrong::Violated(two))
            | (Wrong::Unhealed(one, _), Wrong::Unhealed(two, _)) => one == two,
            (Wrong::Panicked(_), Wrong::Panicked(_)) => true,
            (Wrong::Violated(_) | Wrong::Unhealed(..) | Wrong::Panicked(_), _) => false,
        }
    }
}

/// A walk that was taken.
#[derive(Clone, Debug)]
pub struct Walked<P: Protocol> {
    /// Where.
    pub scenario: Scenario,
    /// What happened, healing included.
    pub steps: Vec<Action<P>>,
    /// How many of the steps are healing.
    pub healing: usize,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// What was covered.
    pub coverage: Coverage<P::Arm>,
    /// What went wrong, if anything did.
    pub wrong: Option<Wrong>,
}

impl<P: Protocol> Walked<P> {
    /// The run to what went wrong; of a panic, the run up to it.
    pub fn trace(&self) -> Option<Trace<P>> {
        let wrong = self.wrong.as_ref()?;
        let property = wrong.property::<P>().unwrap_or(P::safety()[0].name);
        let mut steps = self.steps.clone();
        if let Wrong::Panicked(_) = wrong {
            steps.pop();
        }
        let mut trace = Trace::new(self.scenario.clone(), property, steps);
        trace.engine = "a random walk".to_owned();
        if let Wrong::Unhealed(_, Ending::Repeats(step)) = wrong {
            trace.back_to = Some(*step);
        }
        Some(trace)
    }
}

/// Takes the walk of a plan.
pub fn walk<P: Protocol>(plan: &Plan, sought: Sought) -> Walked<P> {
    let mut walker = Walker::new(World::new(plan.scenario.clone()), sought, plan.seed);
    let wrong = catch_unwind(AssertUnwindSafe(|| walker.run(plan.length, plan.pace)));
    let wrong = wrong.unwrap_or_else(|panic| Some(Wrong::Panicked(message(&*panic))));
    walker.walked(wrong)
}

/// Heals what came of a run: `now` is the state after `steps`, which are not taken again.
pub fn heal<P: Protocol>(
    world: World<P>,
    now: Cluster<P>,
    steps: Vec<Action<P>>,
    sought: Sought,
) -> Walked<P> {
    let mut walker = Walker { now: Some(now), steps, ..Walker::new(world, sought, 0) };
    let wrong = walker.heal();
    walker.walked(wrong)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// A walk being taken.
struct Walker<P: Protocol> {
    world: World<P>,
    random: Random,
    sought: Sought,
    now: Option<Cluster<P>>,
    steps: Vec<Action<P>>,
    healing: usize,
    faults: BTreeMap<Fault, u64>,
    coverage: Coverage<P::Arm>,
}

impl<P: Protocol> Walker<P> {
    fn new(world: World<P>, sought: Sought, seed: u64) -> Self {
        Walker {
            random: Random(seed),
            sought,
            now: None,
            steps: Vec::new(),
            healing: 0,
            faults: BTreeMap::new(),
            coverage: Coverage::new::<P>(),
            world,
        }
    }

    fn walked(self, wrong: Option<Wrong>) -> Walked<P> {
        let Walker { world, steps, healing, faults, coverage, .. } = self;
        Walked { scenario: world.scenario, steps, healing, faults, coverage, wrong }
    }

    fn run(&mut self, length: usize, pace: Pace) -> Option<Wrong> {
        self.now = Some(self.world.initial());
        for left in (1..=length).rev() {
            let now = self.now.as_ref().expect("a walk begins with a state");
            let chosen = pace.choose(&self.world, now, left, &mut self.random);
            let Some(action) = chosen else { break };
            if let Some(wrong) = self.take(action) {
                return Some(wrong);
            }
        }
        if matches!(self.sought, Sought::Safety(_)) { None } else { self.heal() }
    }

    fn now(&self) -> &Cluster<P> {
        self.now.as_ref().expect("a walk begins with a state")
    }

    /// Takes an action, and says whether that violates what is looked for.
    fn take(&mut self, action: Action<P>) -> Option<Wrong> {
        if let Some(fault) = fault_of(&self.world, self.now(), &action) {
            *self.faults.entry(fault).or_default() += 1;
        }
        self.steps.push(action.clone());
        let before = self.now.take().expect("a walk begins with a state");
        let next = self.world.step(&before, &action, Some(&mut self.coverage));
        let first = next.violated.keys().next().copied();
        let violated = match self.sought {
            Sought::Any => first,
            Sought::Safety(index) => next.violated.contains_key(&index).then_some(index),
            Sought::Liveness(_) => None,
        };
        self.now = Some(next);
        violated.map(Wrong::Violated)
    }

    /// Takes fair steps until every goal is true and nothing is under way.
    fn heal(&mut self) -> Option<Wrong> {
        let hasher = ahash::RandomState::with_seeds(0x7761, 0x6c6b, 0x6865, 0x616c);
        let mut seen = HashMap::from([(hasher.hash_one(self.now()), self.steps.len())]);
        let mut repeats = None;
        for _ in 0..HEALING_MAX {
            if self.now().is_quiet() && self.unmet().is_none() {
                return None;
            }
            let number = self.random.next();
            let Some(action) = fair_step(&self.world, self.now(), number) else {
                let stuck = |unmet| Wrong::Unhealed(unmet, Ending::Stuck);
                return self.unmet().map(stuck);
            };
            self.healing += 1;
            if let Some(wrong) = self.take(action) {
                return Some(wrong);
            }
            let start = seen.insert(hasher.hash_one(self.now()), self.steps.len());
            if let (None, Some(start)) = (repeats, start) {
                repeats = self.unmet().map(|unmet| (unmet, start, self.steps.len()));
            }
        }
        if let Some((unmet, start, end)) = repeats {
            self.steps.truncate(end);
            return Some(Wrong::Unhealed(unmet, Ending::Repeats(start)));
        }
        Some(Wrong::Unhealed(self.unmet().unwrap_or_default(), Ending::Open))
    }

    /// The first liveness property that is looked for and whose goal is not true.
    fn unmet(&self) -> Option<usize> {
        let unmet = |index: &usize| P::goal(&self.world, self.now(), *index).is_some();
        (0..P::liveness().len()).filter(|index| self.sought.wants(*index)).find(unmet)
    }
}

/// A fair step that changes something, by a number: a timer only if there is nothing else.
pub(crate) fn fair_step<P: Protocol>(
    world: &World<P>,
    now: &Cluster<P>,
    number: u64,
) -> Option<Action<P>> {
    let mut fair = world.enabled(now);
    fair.retain(|action| world.is_fair(now, action));
    let (mut timers, mut others): (Vec<_>, Vec<_>) =
        fair.into_iter().partition(|action| matches!(action, Action::Fire(..)));
    let changes = |action: &Action<P>| world.apply(now, action) != *now;
    [&mut others, &mut timers].into_iter().find_map(|actions| {
        let count = actions.len().max(1) as u64;
        actions.rotate_left((number % count) as usize);
        actions.drain(..).find(changes)
    })
}

/// The fault that an action is, if it is one.
pub fn fault_of<P: Protocol>(
    world: &World<P>,
    now: &Cluster<P>,
    action: &Action<P>,
) -> Option<Fault> {
    match action {
        Action::Copy(_) => Some(Fault::Copy),
        Action::Lose(_) => Some(Fault::Lose),
        Action::LoseAll => Some(Fault::LoseAll),
        Action::Restart(Actor::Node(_)) => Some(Fault::NodeRestart),
        Action::Restart(Actor::Scheduler(_)) => Some(Fault::SchedulerRestart),
        Action::Restart(Actor::Client(_)) => Some(Fault::ClientRestart),
        Action::Torn(..) => Some(Fault::TornWrite),
        Action::Die(_) => Some(Fault::SchedulerDeath),
        Action::Twin(_) => Some(Fault::Twin),
        Action::Disconnect(..) => Some(Fault::Disconnect),
        Action::Fire(at, timer) => match P::firing(world, now, *at, timer) {
            Firing::Fault(fault) => Some(fault),
            Firing::Fair | Firing::Not => None,
        },
        Action::Deliver(_)
        | Action::Mail(_)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Outside(..) => None,
    }
}

/// Whether an action delivers what was delivered before.
fn is_again<P: Protocol>(now: &Cluster<P>, action: &Action<P>) -> bool {
    match action {
        Action::Deliver(datagram) => now.network.flight(datagram) == Some(Flight::Delivered),
        Action::Copy(_)
        | Action::Lose(_)
        | Action::LoseAll
        | Action::Mail(_)
        | Action::Fire(..)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Outside(..)
        | Action::Restart(_)
        | Action::Torn(..)
        | Action::Die(_)
        | Action::Twin(_)
        | Action::Disconnect(..) => false,
    }
}

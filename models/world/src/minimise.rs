//! The least run to the same violation.
//!
//! A run that was found by chance is mostly noise. [`minimise`] cuts it after the first violation
//! of its property, leaves out actions for as long as what remains still violates it (delta
//! debugging; `alike` says what happens in place of an action that cannot), takes out of the
//! scenario what the run does not need (`bounds`), and searches: breadth first for a shorter
//! run, and among the shortest for the calmest. The searches have a budget of states; [`Length`]
//! says whether the run is known to be the shortest within the bounds of its scenario. The same
//! trace and budget give the same result.
//!
//! Runs that do not heal: of one that gets stuck, a candidate is completed by fair steps, in a fixed
//! order, until nothing fair changes anything; of one that repeats itself, the loop is kept as it
//! is, and actions are left out only of what leads to it. No shorter loop is searched for, so of a
//! run with a loop it is never said that it is the shortest.

mod alike;
mod bounds;

use crate::calmest::{actors_of, calmest_within, changes_of};
use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::replay::{Divergence, Outcome, replay};
use crate::trace::{Kind, Trace};
use crate::walk::fair_step;
use ahash::RandomState;
use alike::{Instead, turn};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How much a minimisation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many shorter candidates are tried.
    pub tries_max: usize,
    /// How many states each of the two searches may come to, each as often as it does.
    pub states_max: usize,
}

impl Default for Budget {
    /// Enough for seconds, and for a whole search of most small scenarios.
    fn default() -> Self {
        Budget { tries_max: 5_000, states_max: 500_000 }
    }
}

/// The least run that was found.
#[derive(Clone, Debug)]
pub struct Minimised<P: Protocol> {
    /// The run.
    pub trace: Trace<P>,
    /// How many steps it took before.
    pub was: usize,
    /// What is known of its length.
    pub length: Length,
    /// How many actors act in it.
    pub actors: usize,
    /// How often its actor changes.
    pub changes: usize,
    /// Whether in no shortest run within the bounds fewer actors act, and in none of those with as
    /// few the actor changes less often.
    pub calmest: bool,
}

impl<P: Protocol> Minimised<P> {
    /// What is known of the length, in words.
    pub fn words(&self) -> String {
        let (steps, changes) = (self.trace.steps.len(), self.changes);
        let (length, calm) = match (self.length, self.calmest) {
            (Length::Shortest, true) => {
                ("the shortest within these bounds", ": the fewest among the shortest")
            }
            (Length::Shortest, false) => ("the shortest within these bounds", ""),
            (Length::NotShortened, _) => ("not shortened further", ""),
        };
        let actors = self.actors;
        format!("{steps} steps: {length}; {actors} actors, {changes} changes of actor{calm}")
    }
}

/// What is known of the length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// No shorter run within the bounds of its scenario violates the property.
    Shortest,
    /// No action could be left out within the budget; whether another run is shorter is not known.
    NotShortened,
}

/// Why a run cannot be minimised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not violate its property.
    #[error("{property} is not violated: {because}; there is nothing to minimise")]
    Holds {
        /// The property.
        property: String,
        /// What is missing.
        because: String,
    },
    /// It does not go as it is written.
    #[error("{0}")]
    Diverged(Divergence),
}

/// The least run, as far as `budget` goes, that violates the same property as `trace`.
pub fn minimise<P: Protocol>(trace: &Trace<P>, budget: Budget) -> Result<Minimised<P>, Refused> {
    let aim = Aim::of(trace);
    // Every state of a long run takes much memory: only where there are some to compare with.
    let goes = trace.stored().is_empty().then(|| aim.goes(trace)).flatten();
    let steps = match goes {
        Some(steps) => steps,
        None => match replay(trace).outcome {
            Outcome::Violated { .. } => trace.steps.clone(),
            Outcome::Holds { because } => {
                return Err(Refused::Holds { property: trace.property.clone(), because });
            }
            Outcome::Diverged(divergence) => return Err(Refused::Diverged(divergence)),
        },
    };
    let world = World::new(trace.scenario.clone());
    let mut least =
        Least { world, steps, aim, instead: Instead::Nothing, tries_left: budget.tries_max };
    least.leave_out();
    // Within the bounds as they are: what this run does not use, a shorter one may.
    let (mut length, mut calmest) = least.search(budget.states_max);
    least.instead = Instead::Alike;
    least.leave_out();
    while least.tighten() {
        least.leave_out();
        (length, calmest) = (Length::NotShortened, false);
    }
    while !calmest {
        (length, calmest) = least.search(budget.states_max);
        // The shortest may need less than the one before.
        if length == Length::NotShortened || !least.tighten() {
            break;
        }
        calmest = false;
    }
    let Least { world, steps, aim, .. } = least;
    let (actors, changes) = (actors_of(&steps), changes_of(&steps));
    let mut minimised = Trace::new(world.scenario, &trace.property, steps);
    minimised.engine = format!("{}, minimised", trace.engine.trim_end_matches(", minimised"));
    minimised.expect = trace.expect;
    minimised.command.clone_from(&trace.command);
    minimised.back_to = match &aim {
        Aim::Loop(_, round) => Some(minimised.steps.len() - round.len()),
        Aim::Safety(_) | Aim::Stuck(_) => None,
    };
    Ok(Minimised { trace: minimised, was: trace.steps.len(), length, actors, changes, calmest })
}

/// The file for the least run, beside that of the run.
pub fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let stem = [".itf.json", ".json"].iter().find_map(|end| name.strip_suffix(end));
    path.with_file_name(format!("{}.min.itf.json", stem.unwrap_or(&name)))
}

/// What a candidate must show.
enum Aim<P: Protocol> {
    /// A violation of this safety property, by index.
    Safety(usize),
    /// An end at which this liveness property is not true and nothing fair changes anything.
    Stuck(usize),
    /// This round of fair steps, in which this liveness property is not true.
    Loop(usize, Vec<Action<P>>),
}

/// The fair steps with which a candidate that should get stuck is completed, at most.
const COMPLETION_MAX: usize = 2_000;

impl<P: Protocol> Aim<P> {
    fn of(trace: &Trace<P>) -> Self {
        let all = match trace.kind {
            Kind::Safety => P::safety(),
            Kind::Liveness => P::liveness(),
        };
        let index = all.iter().position(|property| property.name == trace.property);
        let index = index.expect("a trace is about a property that exists");
        let round = trace.back_to.and_then(|start| trace.steps.get(start..));
        match (trace.kind, round) {
            (Kind::Safety, _) => Aim::Safety(index),
            (Kind::Liveness, Some(round)) if !round.is_empty() => Aim::Loop(index, round.to_vec()),
            (Kind::Liveness, _) => Aim::Stuck(index),
        }
    }

    /// The run of `trace`, cut after what it should show, if it goes as it is written.
    fn goes(&self, trace: &Trace<P>) -> Option<Vec<Action<P>>> {
        let world = World::new(trace.scenario.clone());
        let (from, stem) = (world.initial(), self.stem(&trace.steps));
        let run = self.run(&world, &from, stem, Instead::Nothing)?;
        trace.steps.starts_with(&run).then_some(run)
    }

    /// What of a run may be left out.
    fn stem<'a>(&self, steps: &'a [Action<P>]) -> &'a [Action<P>] {
        match self {
            Aim::Safety(_) | Aim::Stuck(_) => steps,
            Aim::Loop(_, round) => &steps[..steps.len() - round.len()],
        }
    }

    /// Takes those of `steps` that can happen at their turn, or others `instead`. The run that they
    /// make, if it shows what it should; cut after it does.
    fn run(
        &self,
        world: &World<P>,
        from: &Cluster<P>,
        steps: &[Action<P>],
        instead: Instead,
    ) -> Option<Vec<Action<P>>> {
        let mut now = from.clone();
        let mut taken = Vec::new();
        let is_shown = |now: &Cluster<P>| match self {
            Aim::Safety(index) => now.violated.contains_key(index),
            Aim::Stuck(_) | Aim::Loop(..) => false,
        };
        if is_shown(&now) {
            return Some(taken);
        }
        for action in steps {
            if let Some(action) = turn(world, &now, action, instead) {
                now = world.apply(&now, &action);
                taken.push(action);
                if is_shown(&now) {
                    return Some(taken);
                }
            }
        }
        match self {
            Aim::Safety(_) => None,
            Aim::Stuck(index) => get_stuck(world, now, *index, taken),
            Aim::Loop(index, round) => go_round(world, now, *index, round, taken),
        }
    }
}

/// Completes a run by fair steps until nothing fair changes anything.
fn get_stuck<P: Protocol>(
    world: &World<P>,
    mut now: Cluster<P>,
    liveness: usize,
    mut taken: Vec<Action<P>>,
) -> Option<Vec<Action<P>>> {
    for number in 0..COMPLETION_MAX {
        match fair_step(world, &now, number as u64) {
            Some(action) => {
                now = world.apply(&now, &action);
                taken.push(action);
            }
            None => return P::goal(world, &now, liveness).is_some().then_some(taken),
        }
    }
    None
}

/// Whether nothing fair changes anything, and the property is not true.
fn is_stuck<P: Protocol>(world: &World<P>, now: &Cluster<P>, liveness: usize) -> bool {
    P::goal(world, now, liveness).is_some() && fair_step(world, now, 0).is_none()
}

/// Goes once round a loop of fair steps, if it still is one.
fn go_round<P: Protocol>(
    world: &World<P>,
    start: Cluster<P>,
    liveness: usize,
    round: &[Action<P>],
    mut taken: Vec<Action<P>>,
) -> Option<Vec<Action<P>>> {
    let mut now = start.clone();
    let mut is_unmet = false;
    for action in round {
        is_unmet |= P::goal(world, &now, liveness).is_some();
        if !world.enabled(&now).contains(action) || !world.is_fair(&now, action) {
            return None;
        }
        now = world.apply(&now, action);
        taken.push(action.clone());
    }
    (is_unmet && now == start).then_some(taken)
}

/// The least run so far.
struct Least<P: Protocol> {
    world: World<P>,
    steps: Vec<Action<P>>,
    aim: Aim<P>,
    instead: Instead,
    tries_left: usize,
}

impl<P: Protocol> Least<P> {
    /// Delta debugging: leaves out parts of the run, the larger first, until no single action can
    /// be left out.
    fn leave_out(&mut self) {
        let mut size = self.aim.stem(&self.steps).len().div_ceil(2);
        while size > 0 {
            let mut shorter = false;
            let mut states = self.states();
            let mut end = self.aim.stem(&self.steps).len();
            // From the end: what comes before a part need not be run again.
            while end > 0 && self.tries_left > 0 {
                let start = end.saturating_sub(size);
                if self.leave_out_part(start, end, &states[start]) {
                    shorter = true;
                    states = self.states();
                    end = start.min(self.aim.stem(&self.steps).len());
                } else {
                    end = start;
                }
            }
            let is_last = size == 1 && !shorter;
            if is_last || self.tries_left == 0 {
                return;
            }
            if !shorter || size > 1 {
                size = (size / 2).max(1);
            }
        }
    }

    /// Leaves out the steps from `start` to before `end`, if the rest will do.
    fn leave_out_part(&mut self, start: usize, end: usize, at_start: &Cluster<P>) -> bool {
        self.tries_left -= 1;
        let stem = self.aim.stem(&self.steps);
        let rest = self.aim.run(&self.world, at_start, &stem[end..], self.instead);
        let Some(rest) = rest else { return false };
        if start + rest.len() >= self.steps.len() {
            return false;
        }
        self.steps.truncate(start);
        self.steps.extend(rest);
        true
    }

    /// The states of the run.
    fn states(&self) -> Vec<Cluster<P>> {
        let mut states = vec![self.world.initial()];
        for (index, action) in self.steps.iter().enumerate() {
            states.push(self.world.apply(&states[index], action));
        }
        states
    }

    /// Takes one thing that the run does not need out of the scenario.
    fn tighten(&mut self) -> bool {
        let tighter = bounds::tighter(&self.world, &self.states(), &self.steps);
        let as_it_is = tighter.into_iter().map(|(scenario, steps)| (scenario, steps, self.instead));
        let renamed = bounds::without_an_actor(&self.world.scenario);
        let renamed = renamed.into_iter().map(|(scenario, last, other)| {
            (scenario, self.steps.clone(), Instead::Renamed(last, other))
        });
        let all: Vec<_> = as_it_is.chain(renamed).collect();
        for (scenario, steps, instead) in all {
            if self.tries_left == 0 {
                return false;
            }
            self.tries_left -= 1;
            let world = World::new(scenario);
            let stem = self.aim.stem(&steps);
            let run = self.aim.run(&world, &world.initial(), stem, instead);
            if let Some(run) = run.filter(|run| run.len() <= self.steps.len()) {
                (self.world, self.steps) = (world, run);
                return true;
            }
        }
        false
    }

    /// Searches for a shorter run, and for the calmest of the shortest.
    fn search(&mut self, states_max: usize) -> (Length, bool) {
        let world = &self.world;
        let is_found = |cluster: &Cluster<P>| match &self.aim {
            Aim::Safety(index) => cluster.violated.contains_key(index),
            Aim::Stuck(index) => is_stuck(world, cluster, *index),
            Aim::Loop(..) => false,
        };
        if let Aim::Loop(..) = self.aim {
            return (Length::NotShortened, false);
        }
        let found = match shorter(world, self.steps.len(), states_max, is_found) {
            Search::Found(steps) => Some(steps),
            Search::None => None,
            Search::CutOff => return (Length::NotShortened, false),
        };
        let depth = found.as_ref().map_or(self.steps.len(), Vec::len);
        let calmest = calmest_within(world, depth, states_max, is_found);
        let is_calmest = calmest.is_some();
        let steps = calmest.map(|calmest| calmest.steps).or(found);
        self.steps = steps.unwrap_or_else(|| std::mem::take(&mut self.steps));
        (Length::Shortest, is_calmest)
    }
}

/// What a search came to.
enum Search<P: Protocol> {
    Found(Vec<Action<P>>),
    None,
    CutOff,
}

/// The shortest run, of fewer than `length` actions, after which `is_found` holds.
fn shorter<P: Protocol>(
    world: &World<P>,
    length: usize,
    states_max: usize,
    is_found: impl Fn(&Cluster<P>) -> bool,
) -> Search<P> {
    let hasher = RandomState::with_seeds(0x6d69, 0x6e69, 0x6d69, 0x7365);
    let initial = world.initial();
    let mut seen = HashSet::from([hasher.hash_one(&initial)]);
    let mut parents: Vec<Option<(usize, Action<P>)>> = vec![None];
    if is_found(&initial) {
        return Search::Found(Vec::new());
    }
    let mut layer = vec![(0, initial)];
    let mut states = 1;
    for _ in 1..length {
        let mut next = Vec::new();
        for (from, cluster) in &layer {
            for action in world.enabled(cluster) {
                let after = world.apply(cluster, &action);
                states += 1;
                if !seen.insert(hasher.hash_one(&after)) {
                    continue;
                }
                let number = parents.len();
                parents.push(Some((*from, action)));
                if is_found(&after) {
                    return Search::Found(way(&parents, number));
                }
                next.push((number, after));
            }
            if states > states_max {
                return Search::CutOff;
            }
        }
        layer = next;
    }
    Search::None
}

fn way<P: Protocol>(parents: &[Option<(usize, Action<P>)>], mut number: usize) -> Vec<Action<P>> {
    let mut steps = Vec::new();
    while let Some((from, action)) = &parents[number] {
        steps.push(action.clone());
        number = *from;
    }
    steps.reverse();
    steps
}

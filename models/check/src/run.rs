//! One scenario: explored by both engines, judged, and held against what was expected.

use crate::calmest::calmest;
use crate::checker::{self, Seen};
use crate::convergence::{self, Judgement};
use crate::explore::{Bound, Exploration, Sought, explore};
use crate::progress::{Limit, Progress, Stop};
use counterfoil_protocol::Notice;
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Action, Counterfoil, Coverage, Expect, Scenario, Trace, World};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How a scenario is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of the fingerprints of our own explorer.
    pub seed: u64,
    /// How long one scenario may take.
    pub time: Option<Duration>,
    /// How many actions deep to go.
    pub depth: Option<usize>,
    /// 1: the two engines one after the other; more: side by side.
    pub threads: usize,
    /// Whether to hold the answer and the count against what the scenario expects: not if it was
    /// changed by options.
    pub as_declared: bool,
}

/// What came of a scenario.
pub struct Report {
    /// The scenario.
    pub scenario: Scenario,
    /// The properties that are violated, as far as was explored.
    pub violated: BTreeSet<&'static str>,
    /// Why not every state was explored, if so.
    pub stopped: Option<Stop>,
    /// Actions taken, plus the initial state.
    pub states: u64,
    /// Different states.
    pub distinct: u64,
    /// The most actions that the shortest way to any state takes.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// Liveness, if every state was explored.
    pub judgement: Option<Judgement>,
    /// What stateright saw.
    pub stateright: Seen,
    /// What was covered.
    pub coverage: Coverage<Notice>,
    /// What is not as it should be; empty if all is.
    pub findings: Vec<String>,
    /// The calmest of the shortest runs to the violation.
    pub trace: Option<Found>,
}

/// A run to a violation.
pub struct Found {
    /// The run.
    pub trace: Trace<Counterfoil>,
    /// How often its actor changes.
    pub changes: usize,
}

impl Report {
    /// Whether everything is as the scenario says.
    pub fn is_expected(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether it was stopped before it could conclude.
    pub fn is_inconclusive(&self) -> bool {
        matches!(self.stopped, Some(Stop::Time | Stop::Interrupt))
            || (self.stopped == Some(Stop::Depth) && self.violated.is_empty())
    }

    /// What came of it, in a word or two.
    pub fn result(&self) -> String {
        let expected = match &self.scenario.expect {
            Expect::Violates(property) if self.violated.contains(property.as_str()) => {
                Some(property.as_str())
            }
            Expect::Violates(_) | Expect::Holds => None,
        };
        match (expected.or(self.violated.first().copied()), self.stopped) {
            (Some(property), _) => property.to_owned(),
            (None, None) => "complete".to_owned(),
            (None, Some(Stop::Depth)) => format!("to depth {}", self.depth),
            (None, Some(stop)) => format!("stopped ({})", stop.name()),
        }
    }
}

/// Runs one scenario.
pub fn run(scenario: &Scenario, options: &Options) -> Report {
    let started = Instant::now();
    let limit = Limit { deadline: options.time.map(|time| started + time), ..Limit::default() };
    let world: World<Counterfoil> = World::new(scenario.clone());
    let sought = match &scenario.expect {
        Expect::Violates(property) => safety_index(property).map_or(Sought::None, Sought::Of),
        Expect::Holds => Sought::Any,
    };
    let (ours, stateright) = both(&world, options, sought, &limit);
    let judgement = ours
        .is_complete()
        .then(|| convergence::judge(&ours.fair, &ours.goals, Counterfoil::liveness().len()));
    let safety = ours.violated.keys().map(|index| Counterfoil::safety()[*index].name);
    let live = judgement.iter().flat_map(|judgement| {
        let violated = judgement.violated.iter().zip(Counterfoil::liveness());
        violated.filter(|(state, _)| state.is_some()).map(|(_, property)| property.name)
    });
    let violated: BTreeSet<&'static str> = safety.chain(live).collect();
    let mut report = Report {
        scenario: scenario.clone(),
        violated,
        stopped: ours.stopped,
        states: ours.states,
        distinct: ours.distinct,
        depth: ours.depth,
        time: Duration::ZERO,
        judgement,
        stateright,
        coverage: ours.coverage.clone(),
        findings: Vec::new(),
        trace: None,
    };
    report.findings = findings(&report, options);
    report.trace = found(&world, &ours, &report);
    report.time = started.elapsed();
    report
}

fn safety_index(property: &str) -> Option<usize> {
    Counterfoil::safety().iter().position(|known| known.name == property)
}

/// Explores with both engines. Where safety is violated, both go as deep as the first violation and
/// no deeper: with a rule off the states may have no end.
fn both(
    world: &World<Counterfoil>,
    options: &Options,
    sought: Sought,
    limit: &Limit,
) -> (Exploration<Counterfoil>, Seen) {
    let progress = Progress::new(&world.scenario.name, limit.clone());
    let bound = Bound { first_violation: sought, depth_max: options.depth };
    let ours = || {
        let seen = explore(world, options.seed, bound, &progress);
        progress.clear();
        seen
    };
    let side_by_side = !matches!(sought, Sought::Of(_)) && options.depth.is_none();
    if options.threads > 1 && side_by_side {
        let (ours, stateright) = std::thread::scope(|scope| {
            let whole = Limit { cancelled: Arc::default(), ..limit.clone() };
            let cancelled = Arc::clone(&whole.cancelled);
            let stateright = scope.spawn(move || checker::check(world, true, None, whole));
            let ours = ours();
            cancelled.store(!ours.is_complete(), Ordering::Relaxed);
            (ours, stateright.join().expect("stateright does not panic"))
        });
        if ours.is_complete() {
            return (ours, stateright);
        }
        let stateright = checker::check(world, false, ours.judged_to(), limit.clone());
        return (ours, stateright);
    }
    let ours = ours();
    let heals = ours.is_complete() && side_by_side;
    let stateright = checker::check(world, heals, ours.judged_to(), limit.clone());
    (ours, stateright)
}

/// What is not as it should be.
fn findings(report: &Report, options: &Options) -> Vec<String> {
    let mut findings = Vec::new();
    let cut_off = matches!(report.stopped, Some(Stop::Time | Stop::Interrupt));
    if !cut_off {
        let (ours, theirs) = (report.distinct, report.stateright.distinct);
        if ours != theirs {
            findings.push(format!("the engines disagree: {ours} and {theirs} distinct states"));
        }
        let live = |name: &&&str| Counterfoil::liveness().iter().any(|known| known.name == **name);
        let safe: BTreeSet<&str> = report.violated.iter().filter(|p| !live(p)).copied().collect();
        let theirs = &report.stateright.violated;
        if safe != *theirs {
            findings.push(format!("the engines disagree: violated {safe:?} and {theirs:?}"));
        }
        let ours = !report.violated.iter().any(|property| live(&property));
        if report.stateright.heals.is_some_and(|heals| heals != ours) {
            findings.push(format!("the engines disagree: it heals: {ours} and {}", !ours));
        }
    }
    let expect = if options.as_declared { &report.scenario.expect } else { &Expect::Holds };
    match expect {
        Expect::Holds => {
            findings.extend(report.violated.iter().map(|p| format!("{p} is violated")))
        }
        Expect::Violates(property) if report.violated.contains(property.as_str()) => {}
        Expect::Violates(property) if !report.is_inconclusive() => {
            findings.push(format!("{property} should be violated, and is not"));
        }
        Expect::Violates(_) => {}
    }
    let counted = match expect {
        Expect::Holds => report.stopped.is_none(),
        Expect::Violates(_) => !cut_off && options.depth.is_none(),
    };
    if let (true, true, Some(pinned)) = (options.as_declared, counted, report.scenario.distinct)
        && pinned != report.distinct
    {
        findings.push(format!(
            "{} distinct states, and the scenario says {pinned}: its meaning changed",
            report.distinct
        ));
    }
    findings
}

/// The calmest of the shortest runs to the violation that is expected, or to the first.
fn found(
    world: &World<Counterfoil>,
    ours: &Exploration<Counterfoil>,
    report: &Report,
) -> Option<Found> {
    let name = report.result();
    let property = report.violated.iter().find(|property| **property == name)?;
    if let Some(index) = safety_index(property) {
        let depth = ours.depth_of(*ours.violated.get(&index)?);
        let calmest = calmest(world, depth, |cluster| cluster.violated.contains_key(&index))?;
        let trace = Trace::new(world.scenario.clone(), property, calmest.steps);
        return Some(with_engine(trace, calmest.changes));
    }
    let index = Counterfoil::liveness().iter().position(|known| known.name == *property)?;
    let state = report.judgement.as_ref()?.violated[index]?;
    let is_found = |cluster: &_| ours.number(cluster) == Some(state);
    let calmest = calmest(world, ours.depth_of(state), is_found)?;
    let stem = calmest.steps.len();
    let mut steps = calmest.steps;
    let round = convergence::cycle(&ours.fair, state);
    steps.extend(round_trip(world, ours, &steps, &round));
    let mut trace = Trace::new(world.scenario.clone(), property, steps);
    trace.back_to = (!round.is_empty()).then_some(stem);
    Some(with_engine(trace, calmest.changes))
}

fn with_engine(mut trace: Trace<Counterfoil>, changes: usize) -> Found {
    trace.engine = "breadth first, then the calmest".to_owned();
    Found { trace, changes }
}

/// The fair actions that lead from the end of `stem` through the states of `round`.
fn round_trip(
    world: &World<Counterfoil>,
    ours: &Exploration<Counterfoil>,
    stem: &[Action<Counterfoil>],
    round: &[u32],
) -> Vec<Action<Counterfoil>> {
    let mut cluster = world.initial();
    for action in stem {
        cluster = world.apply(&cluster, action);
    }
    let mut actions = Vec::new();
    for next in round {
        let fair = world.enabled(&cluster).into_iter();
        let step = fair.filter(|action| world.is_fair(&cluster, action)).find_map(|action| {
            let after = world.apply(&cluster, &action);
            (ours.number(&after) == Some(*next)).then_some((action, after))
        });
        let (action, after) = step.expect("the graph has this step");
        actions.push(action);
        cluster = after;
    }
    actions
}

//! One scenario: explored by both engines, in one or both representations of the world, judged, and
//! held against what was expected.

mod findings;

use crate::calmest::calmest;
use crate::checker::{self, Search, Seen};
use crate::checkpoint::{self, Checkpoint, CheckpointError, Which};
use crate::convergence::{self, Judgement};
use crate::explore::{Bound, Exploration, Sought, begin, explore, go_on};
use crate::progress::{Limit, Progress, Stop, Watch, resident_bytes};
use counterfoil_world::cluster::Reductions;
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{
    Coverage, Expect, Interned, Plain, Representation, Scenario, Trace, World,
};
use findings::findings;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How a scenario is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of the fingerprints of our own explorer.
    pub seed: u64,
    /// How long one scenario may take.
    pub time: Option<Duration>,
    /// How many bytes the process may have in memory.
    pub memory_bytes_max: Option<u64>,
    /// How many actions deep to go.
    pub depth: Option<usize>,
    /// 1: the two engines one after the other; more: side by side.
    pub threads: usize,
    /// What states are made of. With several, each is explored; the first is what is reported, and
    /// the others must agree.
    pub makes: Vec<Make>,
    /// Whether states are left out because others show what they would.
    pub reduced: bool,
    /// Where to keep the search of our own explorer, if anywhere.
    pub checkpoint: Option<Checkpoint>,
    /// Whether to hold the answer and the count against what the scenario expects: not if it was
    /// changed by options.
    pub as_declared: bool,
}

/// What states are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Persistent maps.
    Plain,
    /// Numbers.
    Interned,
    /// Numbers; and states that differ in names alone count as one.
    Symmetric,
    /// Numbers; and names decide nothing, though they tell states apart.
    AnyOrder,
    /// Numbers; and spent datagrams stay.
    SpentKept,
}

impl Make {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Make::Plain => "plain",
            Make::Interned => "interned",
            Make::Symmetric => "symmetric",
            Make::AnyOrder => "any order",
            Make::SpentKept => "spent kept",
        }
    }

    /// What is meant in a scenario whose states count up to names.
    fn of(self, scenario: &Scenario) -> Make {
        if self == Make::Interned && scenario.symmetry { Make::Symmetric } else { self }
    }

    /// Whether states are told apart as the plain world does.
    pub fn is_exact(self) -> bool {
        match self {
            Make::Plain | Make::Interned => true,
            Make::Symmetric | Make::AnyOrder | Make::SpentKept => false,
        }
    }

    /// The world of states of this make that are numbers.
    fn interned<P: Protocol>(self, mut world: World<P>, seed: u64) -> Interned<P> {
        world.reductions.in_order &= self != Make::AnyOrder;
        world.reductions.spent &= self != Make::SpentKept;
        match self {
            Make::Symmetric => Interned::symmetric(world, seed),
            Make::Plain | Make::Interned | Make::AnyOrder | Make::SpentKept => {
                Interned::new(world, seed)
            }
        }
    }
}

/// What came of a scenario.
pub struct Report<P: Protocol> {
    /// The scenario.
    pub scenario: Scenario,
    /// What the first of the representations gave.
    pub answer: Answer<P>,
    /// What each of the others gave.
    pub others: Vec<Answer<P>>,
    /// How long it took.
    pub time: Duration,
    /// What is not as it should be; empty if all is.
    pub findings: Vec<String>,
}

/// What both engines found in one representation.
pub struct Answer<P: Protocol> {
    /// What states were made of.
    pub make: Make,
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
    /// How long our own explorer took.
    pub time: Duration,
    /// How much the memory of the process grew while it explored, in bytes; tables and queue included.
    pub grown_bytes: u64,
    /// Liveness, if every state was explored.
    pub judgement: Option<Judgement>,
    /// What stateright saw.
    pub stateright: Seen,
    /// What was covered.
    pub coverage: Coverage<P::Arm>,
    /// The calmest of the shortest runs to the violation.
    pub trace: Option<Found<P>>,
}

/// A run to a violation.
pub struct Found<P: Protocol> {
    /// The run.
    pub trace: Trace<P>,
    /// How often its actor changes.
    pub changes: usize,
}

impl<P: Protocol> Report<P> {
    /// Whether everything is as the scenario says.
    pub fn is_expected(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether it was stopped before it could conclude.
    pub fn is_inconclusive(&self) -> bool {
        std::iter::once(&self.answer).chain(&self.others).any(|answer| {
            answer.is_cut_off()
                || (answer.stopped == Some(Stop::Depth) && answer.violated.is_empty())
        })
    }

    /// What came of it, in a word or two.
    pub fn result(&self) -> String {
        let answer = &self.answer;
        match (self.violation(), answer.stopped) {
            (Some(property), _) => property.to_owned(),
            (None, None) => match answer.stateright.stopped {
                None => "complete".to_owned(),
                Some(stop) => format!("stateright stopped ({})", stop.name()),
            },
            (None, Some(Stop::Depth)) => format!("to depth {}", answer.depth),
            (None, Some(stop)) => format!("stopped ({})", stop.name()),
        }
    }

    /// The property that is violated: the one that is expected, or the first.
    fn violation(&self) -> Option<&'static str> {
        chosen(&self.scenario, &self.answer.violated)
    }
}

impl<P: Protocol> Answer<P> {
    /// Whether the search ended because something ran out: it says nothing of the rest.
    fn is_cut_off(&self) -> bool {
        [self.stopped, self.stateright.stopped].into_iter().any(|stopped| match stopped {
            Some(Stop::Time | Stop::Interrupt | Stop::Memory) => true,
            Some(Stop::Depth) | None => false,
        })
    }
}

/// Of the properties that are violated the one that is expected, or the first.
fn chosen(scenario: &Scenario, violated: &BTreeSet<&'static str>) -> Option<&'static str> {
    let expected = match &scenario.expect {
        Expect::Violates(property) => violated.get(property.as_str()),
        Expect::Holds => None,
    };
    expected.or(violated.first()).copied()
}

/// Runs one scenario.
///
/// # Errors
/// If a search is to go on that cannot.
pub fn run<P: Protocol>(
    scenario: &Scenario,
    options: &Options,
) -> Result<Report<P>, CheckpointError> {
    let started = Instant::now();
    let deadline = options.time.map(|time| started + time);
    let mut world: World<P> = World::new(scenario.clone());
    if !options.reduced {
        world.reductions = Reductions { spent: false, in_order: false };
    }
    let makes: Vec<Make> = options.makes.iter().map(|make| make.of(scenario)).collect();
    let answers = makes.iter().map(|make| match make {
        Make::Plain => {
            let new = || Plain::new(world.clone(), options.seed);
            let search = |world: &mut _, bound, progress: &_| Ok(explore(world, bound, progress));
            answer(*make, new, search, options, deadline)
        }
        Make::Interned | Make::Symmetric | Make::AnyOrder | Make::SpentKept => {
            let new = || make.interned(world.clone(), options.seed);
            let search =
                |world: &mut _, bound, progress: &_| search(*make, world, bound, progress, options);
            answer(*make, new, search, options, deadline)
        }
    });
    let mut answers = answers.collect::<Result<Vec<Answer<P>>, CheckpointError>>()?.into_iter();
    let first = answers.next().expect("at least one representation");
    let others: Vec<Answer<P>> = answers.collect();
    let mut report = Report {
        scenario: scenario.clone(),
        answer: first,
        others,
        time: started.elapsed(),
        findings: Vec::new(),
    };
    report.findings = findings(&report, options);
    Ok(report)
}

/// Explores with our own explorer; from where it was kept, and keeping it, if that is wanted.
fn search<P: Protocol>(
    make: Make,
    world: &mut Interned<P>,
    bound: Bound,
    progress: &Progress,
    options: &Options,
) -> Searched<P> {
    let Some(Checkpoint { file, resume }) = &options.checkpoint else {
        return Ok(explore(world, bound, progress));
    };
    let scenario = world.world().scenario.clone();
    let which = Which { make: make.name().to_owned(), seed: options.seed, scenario };
    let search = match resume {
        true => checkpoint::resume(file, &which, world)?,
        false => begin(world, &bound),
    };
    Ok(go_on(world, search, bound, progress, |world, search| {
        match checkpoint::keep(file, &which, world, search) {
            Ok(()) => eprintln!("kept in {}: go on with --resume", file.display()),
            Err(error) => eprintln!("check: the search is not kept: {error}"),
        }
    }))
}

/// Explores with both engines in one representation.
fn answer<P: Protocol, R>(
    make: Make,
    new: impl Fn() -> R,
    search: impl FnOnce(&mut R, Bound, &Progress) -> Searched<P>,
    options: &Options,
    deadline: Option<Instant>,
) -> Result<Answer<P>, CheckpointError>
where
    R: Representation<Protocol = P> + Send + 'static,
{
    let mut world = new();
    let scenario = world.world().scenario.clone();
    let (ours, stateright, spent) = both(&mut world, &new, search, make, options, deadline)?;
    // Where names do not count, an action has no name either, and weak fairness speaks of actions.
    let named = make != Make::Symmetric;
    let is_judged = ours.is_complete() && !matches!(sought::<P>(&scenario), Sought::Of(_));
    let judgement =
        is_judged.then(|| convergence::judge(&ours.fair, &ours.goals, P::liveness().len(), named));
    let safety = ours.violated.keys().map(|index| P::safety()[*index].name);
    let live = judgement.iter().flat_map(|judgement| {
        let violated = judgement.violated.iter().zip(P::liveness());
        violated.filter(|(state, _)| state.is_some()).map(|(_, property)| property.name)
    });
    let violated: BTreeSet<&'static str> = safety.chain(live).collect();
    let trace = chosen(&scenario, &violated)
        .and_then(|property| found(&mut world, &ours, judgement.as_ref(), property));
    Ok(Answer {
        make,
        violated,
        stopped: ours.stopped,
        states: ours.states,
        distinct: ours.distinct(),
        depth: ours.depth(),
        time: spent.time,
        grown_bytes: spent.grown_bytes,
        judgement,
        stateright,
        coverage: ours.coverage,
        trace,
    })
}

/// What a search took.
#[derive(Clone, Copy)]
struct Spent {
    time: Duration,
    grown_bytes: u64,
}

/// What our own explorer saw.
type Searched<P> = Result<Exploration<P>, CheckpointError>;

fn safety_index<P: Protocol>(property: &str) -> Option<usize> {
    P::safety().iter().position(|known| known.name == property)
}

/// Which violation of safety ends the search in a scenario. Where it is that of one property, liveness is
/// not judged, however far the search goes.
fn sought<P: Protocol>(scenario: &Scenario) -> Sought {
    match &scenario.expect {
        Expect::Violates(property) => safety_index::<P>(property).map_or(Sought::None, Sought::Of),
        Expect::Holds => Sought::Any,
    }
}

/// Explores with both engines. Where safety is violated, both go as deep as the first violation and
/// no deeper: with a rule off the states may have no end.
fn both<P: Protocol, R>(
    world: &mut R,
    new: &impl Fn() -> R,
    search: impl FnOnce(&mut R, Bound, &Progress) -> Searched<P>,
    make: Make,
    options: &Options,
    deadline: Option<Instant>,
) -> Result<(Exploration<P>, Seen, Spent), CheckpointError>
where
    R: Representation<Protocol = P> + Send + 'static,
{
    let (limit, whole) = (Limit::default(), Limit::default());
    let limits = vec![limit.clone(), whole.clone()];
    let _watch = Watch::over(limits, deadline, options.memory_bytes_max);
    let scenario = &world.world().scenario;
    let sought = sought::<P>(scenario);
    let expected = scenario.distinct.filter(|_| options.as_declared && options.reduced);
    let progress = Progress::new(&scenario.name, expected, limit.clone());
    let bound = Bound { first_violation: sought, depth_max: options.depth };
    let by_stateright = match make {
        Make::Plain => Search::Breadth(None),
        Make::Interned | Make::Symmetric | Make::AnyOrder | Make::SpentKept => Search::Depth,
    };
    let ours = || {
        let (started, before) = (Instant::now(), resident_bytes());
        let seen = search(world, bound, &progress);
        progress.clear();
        let spent =
            Spent { time: started.elapsed(), grown_bytes: resident_bytes().saturating_sub(before) };
        seen.map(|seen| (seen, spent))
    };
    let to_the_end = !matches!(sought, Sought::Of(_)) && options.depth.is_none();
    if options.threads > 1 && to_the_end {
        let (ours, stateright) = std::thread::scope(|scope| {
            let (theirs, whole_of_theirs) = (new(), whole.clone());
            let stateright =
                scope.spawn(move || checker::check(theirs, true, by_stateright, whole_of_theirs));
            let ours = ours();
            if !ours.as_ref().is_ok_and(|ours| ours.0.is_complete()) {
                whole.end(Stop::Interrupt);
            }
            (ours, stateright.join().expect("stateright does not panic"))
        });
        let (ours, spent) = ours?;
        if ours.is_complete() {
            return Ok((ours, stateright, spent));
        }
        let search = Search::Breadth(ours.judged_to());
        return Ok((ours, checker::check(new(), false, search, limit), spent));
    }
    let (ours, spent) = ours()?;
    let whole = ours.is_complete() && to_the_end;
    let by_stateright = if whole { by_stateright } else { Search::Breadth(ours.judged_to()) };
    let stateright = checker::check(new(), whole, by_stateright, limit);
    Ok((ours, stateright, spent))
}

/// The calmest of the shortest runs to the violation of a property.
fn found<P: Protocol, R>(
    world: &mut R,
    ours: &Exploration<P>,
    judgement: Option<&Judgement>,
    property: &str,
) -> Option<Found<P>>
where
    R: Representation<Protocol = P>,
{
    let plain = world.world().clone();
    if let Some(index) = safety_index::<P>(property) {
        let depth = ours.depth_of(*ours.violated.get(&index)?);
        let calmest = calmest(&plain, depth, |cluster| cluster.violated.contains_key(&index))?;
        let trace = Trace::new(plain.scenario.clone(), property, calmest.steps);
        return Some(with_engine(trace, calmest.changes));
    }
    let index = P::liveness().iter().position(|known| known.name == property)?;
    let state = judgement?.violated[index]?;
    let (way, at) = ours.path(world, state);
    let is_there = world.cluster(&at);
    let calmest = calmest(&plain, way.len(), |cluster| *cluster == is_there)?;
    let mut steps = calmest.steps;
    let stem = steps.len();
    let round = convergence::cycle(&ours.fair, state);
    let is_fair = |world: &mut R, state: &_, action: &_| world.fair(state, action).is_some();
    steps.extend(ours.along(world, at, &round, is_fair).0);
    let mut trace = Trace::new(plain.scenario.clone(), property, steps);
    trace.back_to = (!round.is_empty()).then_some(stem);
    Some(with_engine(trace, calmest.changes))
}

fn with_engine<P: Protocol>(mut trace: Trace<P>, changes: usize) -> Found<P> {
    trace.engine = "breadth first, then the calmest".to_owned();
    Found { trace, changes }
}

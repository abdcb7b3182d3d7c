//! Random walks of random clusters, or of one scenario: taken, counted, and told of.
//!
//! Every walk depends on the seed and its own number alone, and what all came to is put together
//! in the order of the numbers, up to the first that goes wrong: the result is the same whatever
//! the number of threads. What goes wrong is made smaller twice: proptest makes the cluster and
//! the walk smaller, and what is left of the run is [minimised](mod@counterfoil_world::minimise).

pub mod command;
mod told;

use crate::progress::{Limit, Progress, Stop};
use counterfoil_protocol::Rule;
use counterfoil_world::minimise::{Budget, minimise};
use counterfoil_world::scenario::Fault;
use counterfoil_world::walk::plan::{NODES_MAX, REQUESTS_MAX, SCHEDULERS_MAX};
use counterfoil_world::walk::{Plan, Plans, Sought, Walked, Wrong, shrink, walk};
use counterfoil_world::{Coverage, Expect, Protocol, Scenario, Trace};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How to walk.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the walks are drawn from.
    pub seed: u64,
    /// Which walks, by number, from 1.
    pub numbers: RangeInclusive<u64>,
    /// How many actions a walk takes at most, before it is healed.
    pub steps_max: usize,
    /// The rules that are off in random clusters.
    pub without: Vec<Rule>,
    /// The property that is looked for in random clusters; any if not given.
    pub property: Option<String>,
    /// How many walks are taken at once.
    pub threads: usize,
    /// When to end early.
    pub limit: Limit,
}

impl Options {
    /// How many actions a walk takes at most, if nothing else is said: enough for the requests of
    /// the largest clusters; 10,000 such walks take a few minutes.
    pub const STEPS_MAX: usize = 2_000;
}

/// How many tries proptest has to make what went wrong smaller.
const SHRINK_TRIES_MAX: usize = 500;

/// What all walks came to.
pub struct Report<P: Protocol> {
    /// Where; random clusters if nowhere.
    pub scenario: Option<Scenario>,
    /// How.
    pub options: Options,
    /// What should come of it.
    pub expect: Expect,
    /// What was counted.
    pub tally: Tally<P>,
    /// What went wrong first, if anything did.
    pub found: Option<Found<P>>,
    /// Why fewer walks were taken, if so.
    pub stopped: Option<Stop>,
}

/// What was counted on walks.
#[derive(Clone, Debug)]
pub struct Tally<P: Protocol> {
    /// Walks.
    pub walks: u64,
    /// Actions, healing included.
    pub steps: u64,
    /// Fair steps to heal.
    pub healing: u64,
    /// The most actions of one walk.
    pub steps_max: u64,
    /// Walks that healed.
    pub healed: u64,
    /// The most fair steps that healing took.
    pub healing_max: u64,
    /// Walks by number of schedulers, of nodes, of requests.
    pub sizes: [BTreeMap<u64, u64>; 3],
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// What was covered.
    pub coverage: Coverage<P::Arm>,
}

/// A walk that went wrong.
pub struct Found<P: Protocol> {
    /// Which.
    pub number: u64,
    /// How many steps it took.
    pub steps: usize,
    /// How many steps it took in the smallest cluster in which it goes wrong.
    pub steps_shrunk: usize,
    /// What went wrong in that.
    pub wrong: Wrong,
    /// The least run to it.
    pub trace: Trace<P>,
    /// What is known of its length.
    pub length: String,
}

impl<P: Protocol> Tally<P> {
    fn new() -> Self {
        Tally {
            walks: 0,
            steps: 0,
            healing: 0,
            steps_max: 0,
            healed: 0,
            healing_max: 0,
            sizes: Default::default(),
            faults: BTreeMap::new(),
            coverage: Coverage::new::<P>(),
        }
    }

    fn add(&mut self, walked: &Walked<P>, heals: bool) {
        let (steps, healing) = (walked.steps.len() as u64, walked.healing as u64);
        self.walks += 1;
        self.steps += steps;
        self.healing += healing;
        self.steps_max = self.steps_max.max(steps);
        if heals && walked.wrong.is_none() {
            self.healed += 1;
            self.healing_max = self.healing_max.max(healing);
        }
        let scenario = &walked.scenario;
        let size = [scenario.schedulers, scenario.nodes_at_start, scenario.requests.len() as u32];
        for (sizes, size) in self.sizes.iter_mut().zip(size) {
            *sizes.entry(u64::from(size)).or_default() += 1;
        }
        walked.faults.iter().for_each(|(fault, times)| {
            *self.faults.entry(*fault).or_default() += times;
        });
        self.coverage.merge(&walked.coverage);
    }

    fn merge(&mut self, other: &Tally<P>) {
        self.walks += other.walks;
        self.steps += other.steps;
        self.healing += other.healing;
        self.steps_max = self.steps_max.max(other.steps_max);
        self.healed += other.healed;
        self.healing_max = self.healing_max.max(other.healing_max);
        for (sizes, others) in self.sizes.iter_mut().zip(&other.sizes) {
            others.iter().for_each(|(size, walks)| *sizes.entry(*size).or_default() += walks);
        }
        other.faults.iter().for_each(|(fault, times)| {
            *self.faults.entry(*fault).or_default() += times;
        });
        self.coverage.merge(&other.coverage);
    }
}

/// Takes walks in a scenario, which goes with how a command names it, or in random clusters.
pub fn run<P: Protocol>(place: Option<(&Scenario, &str)>, options: &Options) -> Report<P> {
    let (scenario, named) = (place.map(|(scenario, _)| scenario), place.map(|(_, name)| name));
    let expect = match (scenario, &options.property) {
        (Some(scenario), _) => scenario.expect.clone(),
        (None, Some(property)) => Expect::Violates(property.clone()),
        (None, None) => Expect::Holds,
    };
    let sought = match &expect {
        Expect::Violates(property) => Sought::named::<P>(property).unwrap_or(Sought::Any),
        Expect::Holds => Sought::Any,
    };
    let plans = match scenario {
        Some(scenario) => Plans::within(scenario, options.steps_max),
        None => Plans::random(options.steps_max, &options.without),
    };
    let name = scenario.map_or("random clusters", |scenario| &scenario.name);
    let progress = Progress::new(name, None, options.limit.clone());
    let walks = Walks { plans, sought, options, progress, protocol: PhantomData::<P> };
    let (tally, wrong, stopped) = walks.all();
    walks.progress.clear();
    let mut found = wrong.map(|number| walks.least(number));
    if let Some(found) = &mut found {
        found.trace.command = walks.again(named, found.number);
    }
    let (scenario, options) = (scenario.cloned(), options.clone());
    Report { scenario, options, expect, tally, found, stopped }
}

/// Walks being taken.
struct Walks<'a, P> {
    plans: Plans,
    sought: Sought,
    options: &'a Options,
    progress: Progress,
    protocol: PhantomData<P>,
}

/// Walks are handed out to threads so many at a time.
const BLOCK: u64 = 16;

/// What some walks came to, and why they ended early, if so.
type Block<P> = (Tally<P>, Option<Stop>);

impl<P: Protocol> Walks<'_, P> {
    fn walk(&self, plan: &Plan) -> Walked<P> {
        walk(plan, self.sought)
    }

    /// All walks, in order, up to the first that goes wrong.
    fn all(&self) -> (Tally<P>, Option<u64>, Option<Stop>) {
        let (first, last) = (*self.options.numbers.start(), *self.options.numbers.end());
        let next = AtomicU64::new(first);
        let wrong = AtomicU64::new(u64::MAX);
        let blocks: Mutex<BTreeMap<u64, Block<P>>> = Mutex::default();
        let work = || {
            loop {
                let start = next.fetch_add(BLOCK, Ordering::Relaxed);
                // What comes after the first that goes wrong does not count.
                if start > last.min(wrong.load(Ordering::Relaxed)) {
                    return;
                }
                let block = self.block(start..=last.min(start + BLOCK - 1), &wrong);
                let is_stopped = block.1.is_some();
                blocks.lock().expect("no walk panics").insert(start, block);
                if is_stopped {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            (1..self.options.threads).for_each(|_| {
                scope.spawn(work);
            });
            work();
        });
        let wrong = wrong.into_inner();
        let (mut tally, mut stopped) = (Tally::new(), None);
        for (start, (block, stop)) in blocks.into_inner().expect("no walk panics") {
            if start <= wrong {
                tally.merge(&block);
                stopped = stopped.or(stop);
            }
        }
        (tally, (wrong != u64::MAX).then_some(wrong), stopped)
    }

    /// Some walks, in order, up to the first that goes wrong.
    fn block(&self, numbers: RangeInclusive<u64>, wrong: &AtomicU64) -> Block<P> {
        let mut tally = Tally::new();
        let heals = !matches!(self.sought, Sought::Safety(_));
        for number in numbers {
            let walked = self.walk(&self.plans.plan(self.options.seed, number).current());
            tally.add(&walked, heals);
            if walked.wrong.is_some() {
                wrong.fetch_min(number, Ordering::Relaxed);
                break;
            }
            if let Some(stop) = self.progress.tick_walk(walked.steps.len()) {
                return (tally, Some(stop));
            }
        }
        (tally, None)
    }

    /// The least run that goes wrong as this walk does.
    fn least(&self, number: u64) -> Found<P> {
        let mut tree = self.plans.plan(self.options.seed, number);
        let walked = self.walk(&tree.current());
        let steps = walked.steps.len();
        let wrong = walked.wrong.clone().expect("it went wrong before");
        eprintln!("walk {number} goes wrong after {steps} steps; making it smaller");
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let least = shrink(&mut *tree, SHRINK_TRIES_MAX, |plan| {
            self.walk(plan).wrong.is_some_and(|other| wrong.is_like(&other))
        });
        std::panic::set_hook(loud);
        let walked = least.map_or(walked, |plan| self.walk(&plan));
        let wrong = walked.wrong.clone().expect("it goes wrong");
        let trace = walked.trace().expect("it goes wrong");
        let steps_shrunk = walked.steps.len();
        let minimised = match wrong {
            Wrong::Panicked(_) => None,
            Wrong::Violated(_) | Wrong::Unhealed(..) => minimise(&trace, Budget::default()).ok(),
        };
        let (trace, length) = match minimised {
            Some(minimised) => (minimised.trace.clone(), minimised.words()),
            None => (trace, "not minimised".to_owned()),
        };
        Found { number, steps, steps_shrunk, wrong, trace, length }
    }

    /// The command that takes one walk again.
    fn again(&self, named: Option<&str>, number: u64) -> String {
        let name = named.map_or_else(String::new, |name| format!(" {name}"));
        let Options { seed, steps_max, without, property, .. } = self.options;
        let mut command = format!("check run{name} --search walk --seed {seed} --walk {number}");
        if *steps_max != Options::STEPS_MAX {
            command += &format!(" --steps {steps_max}");
        }
        without.iter().for_each(|rule| command += &format!(" --without {rule}"));
        property.iter().for_each(|property| command += &format!(" --property {property}"));
        command
    }
}

/// The bounds of random clusters, in one line.
pub fn bounds() -> String {
    format!(
        "up to {SCHEDULERS_MAX} x {NODES_MAX} x {REQUESTS_MAX}, with and without a client, both \
         networks, calm, late and any timers, all faults"
    )
}

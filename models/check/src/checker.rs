//! stateright, the checker of record for safety and healing, over the same world.

use crate::progress::{Limit, Stop, resident_bytes};
use counterfoil_world::{Action, Protocol, Representation};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A world as a stateright model. All of it is in the [`Representation`]; this only translates.
pub struct WorldModel<R: Representation> {
    initial: R::State,
    inner: Mutex<Inner<R>>,
    heals: bool,
    limit: Limit,
    /// Set once the search is over: what it found is told from every state, limit or not.
    searched: Arc<AtomicBool>,
}

/// What changes while states are looked at.
struct Inner<R: Representation> {
    world: R,
    /// The fingerprints of states that heal, and of those that do not.
    healed: HashSet<u64, ahash::RandomState>,
    unhealed: HashSet<u64, ahash::RandomState>,
}

/// What stateright saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// States generated.
    pub states: u64,
    /// Different states.
    pub distinct: u64,
    /// The names of the safety properties that are violated.
    pub violated: BTreeSet<&'static str>,
    /// Whether every state heals, if that was asked.
    pub heals: Option<bool>,
    /// Why it ended before every state was explored, if it did.
    pub stopped: Option<Stop>,
    /// How long it took.
    pub time: Duration,
    /// How much the memory of the process grew meanwhile, in bytes.
    pub grown_bytes: u64,
}

/// The name of the property that every state heals.
const HEALS: &str = "heals";

impl<R: Representation> WorldModel<R> {
    /// Of `world`; with `heals`, judges in every state whether it heals.
    pub fn new(mut world: R, heals: bool, limit: Limit) -> Self {
        WorldModel {
            initial: world.initial(),
            inner: Mutex::new(Inner {
                world,
                healed: HashSet::default(),
                unhealed: HashSet::default(),
            }),
            heals,
            limit,
            searched: Arc::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<R>> {
        self.inner.lock().expect("no panic while locked")
    }
}

impl<R: Representation> Inner<R> {
    /// Whether fair steps can lead from here to where every goal is true and nothing is under way.
    ///
    /// Takes the first fair action that leads to a new state, timers last, and turns back where all
    /// are known. Where it was before, its answer is reused.
    fn heals(&mut self, from: &R::State) -> bool {
        let mut tried = HashSet::from([self.world.fingerprint(from)]);
        let mut way = vec![(from.clone(), self.fair_steps(from))];
        let healed = loop {
            let Some((state, steps)) = way.last_mut() else { break false };
            let print = self.world.fingerprint(state);
            if self.healed.contains(&print) {
                break true;
            }
            let known_not_to = self.unhealed.contains(&print);
            if !known_not_to && is_converged(&mut self.world, state) {
                break true;
            }
            let action = if known_not_to { None } else { steps.pop() };
            let next = action.map(|action| {
                let mut next = state.clone();
                self.world.step(state, &action, &mut next);
                next
            });
            match next {
                Some(next) if tried.insert(self.world.fingerprint(&next)) => {
                    let steps = self.fair_steps(&next);
                    way.push((next, steps));
                }
                Some(_) => {}
                None => {
                    way.pop();
                }
            }
        };
        if healed {
            self.healed.extend(way.iter().map(|(state, _)| self.world.fingerprint(state)));
        } else {
            self.unhealed.extend(tried);
        }
        healed
    }

    /// The fair actions, the first to be taken last.
    fn fair_steps(&mut self, state: &R::State) -> Vec<R::Action> {
        let mut actions = Vec::new();
        self.world.enabled(state, &mut actions);
        actions.retain(|action| self.world.fair(state, action).is_some());
        actions.reverse();
        actions
    }
}

/// Whether every goal is true and nothing is under way.
fn is_converged<R: Representation>(world: &mut R, state: &R::State) -> bool {
    let goals = R::Protocol::liveness().len();
    world.is_quiet(state) && u32::from(world.reached(state)) == (1 << goals) - 1
}

fn is_safe<R: Representation, const INDEX: usize>(_: &WorldModel<R>, state: &R::State) -> bool {
    R::violated(state) & 1 << INDEX == 0
}

type Condition<R> = fn(&WorldModel<R>, &<R as Representation>::State) -> bool;

impl<R: Representation + Send + 'static> Model for WorldModel<R> {
    type State = R::State;
    type Action = R::Action;

    fn init_states(&self) -> Vec<R::State> {
        vec![self.initial.clone()]
    }

    fn actions(&self, state: &R::State, actions: &mut Vec<R::Action>) {
        // stateright cannot be stopped; but a search in which nothing is enabled soon ends.
        if self.searched.load(Ordering::Relaxed) || self.limit.stop().is_none() {
            self.inner().world.enabled(state, actions);
        }
    }

    fn next_state(&self, state: &R::State, action: R::Action) -> Option<R::State> {
        let mut next = state.clone();
        self.inner().world.step(state, &action, &mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let safe: [Condition<R>; 14] = [
            is_safe::<R, 0>,
            is_safe::<R, 1>,
            is_safe::<R, 2>,
            is_safe::<R, 3>,
            is_safe::<R, 4>,
            is_safe::<R, 5>,
            is_safe::<R, 6>,
            is_safe::<R, 7>,
            is_safe::<R, 8>,
            is_safe::<R, 9>,
            is_safe::<R, 10>,
            is_safe::<R, 11>,
            is_safe::<R, 12>,
            is_safe::<R, 13>,
        ];
        let safety = R::Protocol::safety();
        assert!(safety.len() <= safe.len(), "a condition for every safety property");
        let mut properties: Vec<Property<Self>> = safety
            .iter()
            .zip(safe)
            .map(|(property, condition)| Property::always(property.name, condition))
            .collect();
        if self.heals {
            properties.push(Property::always(HEALS, |model, state| model.inner().heals(state)));
        }
        properties
    }

    fn format_action(&self, action: &R::Action) -> String {
        let action: Action<R::Protocol> = self.inner().world.action(&self.initial, action);
        format!("{action:?}")
    }
}

/// How stateright searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Breadth first, to this many actions if given.
    Breadth(Option<usize>),
    /// Depth first: takes less memory. The runs to its findings are long.
    Depth,
}

/// Explores with stateright.
pub fn check<R>(world: R, heals: bool, search: Search, limit: Limit) -> Seen
where
    R: Representation + Send + 'static,
{
    let before = (Instant::now(), resident_bytes());
    // A property that never fails keeps the search from ending at the last discovery.
    let never = HasDiscoveries::AllOf(["no such property"].into_iter().collect());
    let model = WorldModel::new(world, heals, limit.clone());
    let searched = Arc::clone(&model.searched);
    let mut builder = model.checker().finish_when(never);
    match search {
        Search::Breadth(depth) => {
            if let Some(depth) = depth {
                // stateright counts states on the way, not actions, and does not judge the last.
                builder = builder.target_max_depth(depth + 2);
            }
            let checker = builder.spawn_bfs().join();
            seen(&checker, &searched, heals, before, limit.stop())
        }
        Search::Depth => {
            let checker = builder.spawn_dfs().join();
            seen(&checker, &searched, heals, before, limit.stop())
        }
    }
}

/// What a search that is over saw.
fn seen<R: Representation + Send + 'static>(
    checker: &impl Checker<WorldModel<R>>,
    searched: &AtomicBool,
    heals: bool,
    before: (Instant, u64),
    stopped: Option<Stop>,
) -> Seen {
    let time = before.0.elapsed();
    searched.store(true, Ordering::Relaxed);
    let mut violated: BTreeSet<&'static str> = checker.discoveries().into_keys().collect();
    let unhealed = violated.remove(HEALS);
    Seen {
        states: checker.state_count() as u64,
        distinct: checker.unique_state_count() as u64,
        violated,
        heals: heals.then_some(!unhealed),
        stopped,
        time,
        grown_bytes: resident_bytes().saturating_sub(before.1),
    }
}

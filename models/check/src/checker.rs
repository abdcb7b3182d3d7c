//! stateright, the checker of record for safety and healing, over the same world.

use crate::explore::{fingerprint, hasher};
use crate::progress::Limit;
use ahash::RandomState;
use counterfoil_world::{Action, Cluster, Protocol, World};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A world as a stateright model. All of it is in [`World`]; this only translates.
pub struct WorldModel<P: Protocol> {
    world: World<P>,
    heals: bool,
    limit: Limit,
    /// Set once the search is over: what it found is told from every state, limit or not.
    searched: Arc<AtomicBool>,
    hasher: RandomState,
    /// By fingerprint: whether it heals.
    healed: Mutex<HashMap<u64, bool>>,
}

/// What stateright saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// States generated.
    pub states: u64,
    /// Different states.
    pub distinct: u64,
    /// The names of the safety properties that are violated.
    pub violated: BTreeSet<&'static str>,
    /// Whether every state heals, if that was asked.
    pub heals: Option<bool>,
}

/// The name of the property that every state heals.
const HEALS: &str = "heals";

impl<P: Protocol> WorldModel<P> {
    /// Of `world`; with `heals`, judges in every state whether it heals.
    pub fn new(world: World<P>, heals: bool, limit: Limit) -> Self {
        WorldModel {
            world,
            heals,
            limit,
            searched: Arc::default(),
            hasher: hasher(1),
            healed: Mutex::default(),
        }
    }

    /// Whether fair steps can lead from here to where every goal is true and nothing is under way.
    ///
    /// Takes the first fair action that leads to a new state, datagrams and letters first, timers
    /// last, and turns back where all are known. Where it was before, its answer is reused.
    fn heals(&self, from: &Cluster<P>) -> bool {
        let mut tried = HashSet::from([fingerprint(&self.hasher, from)]);
        let mut way = vec![(from.clone(), self.fair_steps(from))];
        let healed = loop {
            let Some((cluster, steps)) = way.last_mut() else { break false };
            let print = fingerprint(&self.hasher, cluster);
            let known = self.healed.lock().expect("no panic while locked").get(&print).copied();
            if known == Some(true) || (known.is_none() && self.is_quiet(cluster)) {
                break true;
            }
            let next = (known != Some(false)).then(|| steps.pop()).flatten();
            match next.map(|action| self.world.apply(cluster, &action)) {
                Some(next) if tried.insert(fingerprint(&self.hasher, &next)) => {
                    let steps = self.fair_steps(&next);
                    way.push((next, steps));
                }
                Some(_) => {}
                None => {
                    way.pop();
                }
            }
        };
        let mut known = self.healed.lock().expect("no panic while locked");
        if healed {
            known.extend(way.iter().map(|(c, _)| (fingerprint(&self.hasher, c), true)));
        } else {
            known.extend(tried.into_iter().map(|print| (print, false)));
        }
        healed
    }

    /// The fair actions, the first to be taken last.
    fn fair_steps(&self, cluster: &Cluster<P>) -> Vec<Action<P>> {
        let enabled = self.world.enabled(cluster).into_iter().rev();
        enabled.filter(|action| self.world.is_fair(cluster, action)).collect()
    }

    fn is_quiet(&self, cluster: &Cluster<P>) -> bool {
        cluster.network.in_flight().next().is_none()
            && cluster.mail.is_empty()
            && cluster.choices.is_empty()
            && (0..P::liveness().len()).all(|goal| P::is_reached(&self.world, cluster, goal))
    }
}

fn is_safe<P: Protocol, const INDEX: usize>(_: &WorldModel<P>, cluster: &Cluster<P>) -> bool {
    !cluster.violated.contains_key(&INDEX)
}

type Condition<P> = fn(&WorldModel<P>, &Cluster<P>) -> bool;

impl<P: Protocol> Model for WorldModel<P> {
    type State = Cluster<P>;
    type Action = Action<P>;

    fn init_states(&self) -> Vec<Cluster<P>> {
        vec![self.world.initial()]
    }

    fn actions(&self, cluster: &Cluster<P>, actions: &mut Vec<Action<P>>) {
        // stateright cannot be stopped; but a search in which nothing is enabled soon ends.
        if self.searched.load(Ordering::Relaxed) || self.limit.stop().is_none() {
            actions.extend(self.world.enabled(cluster));
        }
    }

    fn next_state(&self, cluster: &Cluster<P>, action: Action<P>) -> Option<Cluster<P>> {
        Some(self.world.apply(cluster, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let safe: [Condition<P>; 12] = [
            is_safe::<P, 0>,
            is_safe::<P, 1>,
            is_safe::<P, 2>,
            is_safe::<P, 3>,
            is_safe::<P, 4>,
            is_safe::<P, 5>,
            is_safe::<P, 6>,
            is_safe::<P, 7>,
            is_safe::<P, 8>,
            is_safe::<P, 9>,
            is_safe::<P, 10>,
            is_safe::<P, 11>,
        ];
        assert!(P::safety().len() <= safe.len(), "a condition for every safety property");
        let mut properties: Vec<Property<Self>> = P::safety()
            .iter()
            .zip(safe)
            .map(|(property, condition)| Property::always(property.name, condition))
            .collect();
        if self.heals {
            properties.push(Property::always(HEALS, |model, cluster| model.heals(cluster)));
        }
        properties
    }

    fn format_action(&self, action: &Action<P>) -> String {
        format!("{action:?}")
    }
}

/// Explores every state with stateright, or those within `depth_max` actions.
pub fn check<P: Protocol>(
    world: &World<P>,
    heals: bool,
    depth_max: Option<usize>,
    limit: Limit,
) -> Seen {
    // A property that never fails keeps the search from ending at the last discovery.
    let never = HasDiscoveries::AllOf(["no such property"].into_iter().collect());
    let model = WorldModel::new(world.clone(), heals, limit);
    let searched = Arc::clone(&model.searched);
    let mut builder = model.checker().finish_when(never);
    if let Some(depth) = depth_max {
        // stateright counts states on the way, not actions, and does not judge the last.
        builder = builder.target_max_depth(depth + 2);
    }
    let checker = builder.spawn_bfs().join();
    searched.store(true, Ordering::Relaxed);
    let mut violated: BTreeSet<&'static str> = checker.discoveries().into_keys().collect();
    let unhealed = violated.remove(HEALS);
    Seen {
        states: checker.state_count() as u64,
        distinct: checker.unique_state_count() as u64,
        violated,
        heals: heals.then_some(!unhealed),
    }
}

//! stateright, the checker of record for safety and healing, over the same world.

use crate::explore::{fingerprint, hasher};
use ahash::RandomState;
use counterfoil_world::{Action, Cluster, Protocol, World};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

/// A world as a stateright model. All of it is in [`World`]; this only translates.
pub struct WorldModel<P: Protocol> {
    world: World<P>,
    heals: bool,
    hasher: RandomState,
    /// By fingerprint: the liveness goals that are true where draining ends, bit by bit.
    drained: Mutex<HashMap<u64, u8>>,
}

/// What stateright saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// States generated.
    pub states: u64,
    /// Different states.
    pub distinct: u64,
    /// The names of the properties that are violated.
    pub violated: BTreeSet<&'static str>,
}

impl<P: Protocol> WorldModel<P> {
    /// Of `world`; with `heals`, judges in every state whether it heals.
    pub fn new(world: World<P>, heals: bool) -> Self {
        WorldModel { world, heals, hasher: hasher(1), drained: Mutex::default() }
    }

    /// Which liveness goals are true once everything fair has happened, under one fixed policy.
    ///
    /// The policy takes the first fair action that changes something: datagrams and letters first,
    /// timers last. Where a state was drained before, its answer is reused.
    fn drain(&self, from: &Cluster<P>) -> u8 {
        let mut way = Vec::new();
        let mut cluster = from.clone();
        let goals = loop {
            let print = fingerprint(&self.hasher, &cluster);
            let known = self.drained.lock().expect("no panic while locked").get(&print).copied();
            if let Some(goals) = known {
                break goals;
            }
            // A loop of the policy is no end: whatever is false on it stays false.
            if way.contains(&print) {
                break self.goals(&cluster);
            }
            way.push(print);
            let fair = self.world.enabled(&cluster).into_iter();
            let fair = fair.filter(|action| self.world.is_fair(&cluster, action));
            let next = fair.map(|action| self.world.apply(&cluster, &action));
            match next.into_iter().find(|next| *next != cluster) {
                Some(next) => cluster = next,
                None => break self.goals(&cluster),
            }
        };
        let mut drained = self.drained.lock().expect("no panic while locked");
        drained.extend(way.into_iter().map(|print| (print, goals)));
        goals
    }

    fn goals(&self, cluster: &Cluster<P>) -> u8 {
        let met = (0..P::liveness().len()).filter(|index| P::goal(&self.world, cluster, *index).is_none());
        met.fold(0, |goals, index| goals | 1 << index)
    }
}

fn is_safe<P: Protocol, const INDEX: usize>(_: &WorldModel<P>, cluster: &Cluster<P>) -> bool {
    !cluster.violated.contains_key(&INDEX)
}

fn heals<P: Protocol, const INDEX: usize>(model: &WorldModel<P>, cluster: &Cluster<P>) -> bool {
    model.drain(cluster) & (1 << INDEX) != 0
}

type Condition<P> = fn(&WorldModel<P>, &Cluster<P>) -> bool;

impl<P: Protocol> Model for WorldModel<P> {
    type State = Cluster<P>;
    type Action = Action<P>;

    fn init_states(&self) -> Vec<Cluster<P>> {
        vec![self.world.initial()]
    }

    fn actions(&self, cluster: &Cluster<P>, actions: &mut Vec<Action<P>>) {
        actions.extend(self.world.enabled(cluster));
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
        let live: [Condition<P>; 3] = [heals::<P, 0>, heals::<P, 1>, heals::<P, 2>];
        assert!(P::safety().len() <= safe.len() && P::liveness().len() <= live.len());
        let safe = P::safety().iter().zip(safe);
        let live = P::liveness().iter().zip(live).filter(|_| self.heals);
        safe.chain(live)
            .map(|(property, condition)| Property::always(property.name, condition))
            .collect()
    }

    fn format_action(&self, action: &Action<P>) -> String {
        format!("{action:?}")
    }
}

/// Explores every state with stateright, or those within `depth_max` actions.
pub fn check<P: Protocol>(world: &World<P>, heals: bool, depth_max: Option<usize>) -> Seen {
    // A property that never fails keeps the search from ending at the last discovery.
    let never = HasDiscoveries::AllOf(["no such property"].into_iter().collect());
    let mut builder = WorldModel::new(world.clone(), heals).checker().finish_when(never);
    if let Some(depth) = depth_max {
        // stateright counts states on the way, not actions.
        builder = builder.target_max_depth(depth + 1);
    }
    let checker = builder.spawn_bfs().join();
    Seen {
        states: checker.state_count() as u64,
        distinct: checker.unique_state_count() as u64,
        violated: checker.discoveries().into_keys().collect(),
    }
}

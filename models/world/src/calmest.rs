//! Among the shortest runs to a violation the calmest: the one in which the fewest act, and of those
//! the one that changes actor least often.

use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use ahash::RandomState;
use counterfoil_protocol::Actor;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A run, and how calm it is.
pub struct Calmest<P: Protocol> {
    /// Its actions.
    pub steps: Vec<Action<P>>,
    /// How many actors act.
    pub actors: usize,
    /// How often the actor changes.
    pub changes: usize,
}

/// A state, by fingerprint, the actor that acted last, and everyone that has, one bit each.
type Key = (u64, Option<Actor>, u64);

/// A state, as reached by a run of which it is known who acted, and who last.
struct Reached<P: Protocol> {
    cluster: Cluster<P>,
    changes: usize,
    way: Way<P>,
}

/// How a state was reached: from which, by which action.
type Way<P> = Option<(Key, Action<P>)>;

/// One depth: by state, last actor and all that acted, the calmest way there. Ordered, so that ties
/// are broken the same way every time.
type Layer<P> = BTreeMap<Key, Reached<P>>;

/// How often the actor changes in a run.
pub fn changes_of<P: Protocol>(steps: &[Action<P>]) -> usize {
    steps.windows(2).filter(|pair| pair[0].actor() != pair[1].actor()).count()
}

/// How many actors act in a run.
pub fn actors_of<P: Protocol>(steps: &[Action<P>]) -> usize {
    steps.iter().filter_map(Action::actor).collect::<BTreeSet<Actor>>().len()
}

/// The calmest of the runs of `depth` actions, the fewest that are enough, after which `is_found`
/// holds; the first in order among equally calm ones.
pub fn calmest<P: Protocol>(
    world: &World<P>,
    depth: usize,
    is_found: impl Fn(&Cluster<P>) -> bool,
) -> Option<Calmest<P>> {
    calmest_within(world, depth, usize::MAX, is_found)
}

/// The same; none if it comes to more than `states_max` states, each as often as it does.
pub fn calmest_within<P: Protocol>(
    world: &World<P>,
    depth: usize,
    states_max: usize,
    is_found: impl Fn(&Cluster<P>) -> bool,
) -> Option<Calmest<P>> {
    // The seeds of the explorer: ties are broken by fingerprint.
    let hasher = RandomState::with_seeds(0, 0x5eed, 0x0f, 0x57a7e5);
    let initial = world.initial();
    let print = hasher.hash_one(&initial);
    let mut seen = HashSet::from([print]);
    let mut states = 1;
    let mut ways: Vec<BTreeMap<Key, Way<P>>> = Vec::new();
    let start = Reached { cluster: initial, changes: 0, way: None };
    let mut layer = Layer::from([((print, None, 0), start)]);
    let mut bits: Vec<Actor> = Vec::new();
    for _ in 0..depth {
        let mut next = Layer::new();
        let mut prints = HashSet::new();
        for (key, reached) in &layer {
            for action in world.enabled(&reached.cluster) {
                let cluster = world.apply(&reached.cluster, &action);
                states += 1;
                let print = hasher.hash_one(&cluster);
                // On a shortest run every state is reached at its own depth.
                if seen.contains(&print) {
                    continue;
                }
                prints.insert(print);
                let actor = action.actor();
                let change = reached.way.is_some() && actor != key.1;
                let changes = reached.changes + usize::from(change);
                let acted = key.2 | actor.map_or(0, |actor| bit(&mut bits, actor));
                let known = next.get(&(print, actor, acted));
                if known.is_none_or(|known| changes < known.changes) {
                    let way = Some((*key, action));
                    next.insert((print, actor, acted), Reached { cluster, changes, way });
                }
            }
            if states > states_max {
                return None;
            }
        }
        seen.extend(prints);
        // Of the states behind, only the way is needed.
        ways.push(layer.into_iter().map(|(key, reached)| (key, reached.way)).collect());
        layer = next;
    }
    let found = layer.iter().filter(|(_, reached)| is_found(&reached.cluster));
    let calm = |key: &Key, reached: &Reached<P>| (key.2.count_ones(), reached.changes, *key);
    let (key, reached) = found.min_by_key(|(key, reached)| calm(key, reached))?;
    let (actors, changes) = (key.2.count_ones() as usize, reached.changes);
    let mut way = reached.way.clone();
    let mut steps = Vec::new();
    while let Some((from, action)) = way {
        steps.push(action);
        way = ways.pop()?.remove(&from)?;
    }
    steps.reverse();
    Some(Calmest { steps, actors, changes })
}

/// The bit of an actor: in the order in which they are met. Those beyond the last share it.
fn bit(bits: &mut Vec<Actor>, actor: Actor) -> u64 {
    let at = bits.iter().position(|known| *known == actor).unwrap_or_else(|| {
        bits.push(actor);
        bits.len() - 1
    });
    1 << at.min(u64::BITS as usize - 1)
}

//! Among the shortest runs to a violation the calmest: the one that changes actor least often.

use crate::explore::{fingerprint, hasher};
use counterfoil_protocol::Actor;
use counterfoil_world::{Action, Cluster, Protocol, World};
use std::collections::{BTreeMap, HashSet};

/// A run, and how calm it is.
pub struct Calmest<P: Protocol> {
    /// Its actions.
    pub steps: Vec<Action<P>>,
    /// How often the actor changes.
    pub changes: usize,
}

/// A state, as reached by a run whose last actor is known.
struct Reached<P: Protocol> {
    cluster: Cluster<P>,
    changes: usize,
    from: Option<(u64, Option<Actor>)>,
    action: Option<Action<P>>,
}

/// One depth: by state and last actor, the calmest way there. Ordered, so that ties are broken the
/// same way every time.
type Layer<P> = BTreeMap<(u64, Option<Actor>), Reached<P>>;

/// The calmest of the runs of `depth` actions, the fewest that are enough, after which `is_found`
/// holds; the first in order among equally calm ones.
pub fn calmest<P: Protocol>(
    world: &World<P>,
    depth: usize,
    is_found: impl Fn(&Cluster<P>) -> bool,
) -> Option<Calmest<P>> {
    let hasher = hasher(0);
    let initial = world.initial();
    let print = fingerprint(&hasher, &initial);
    let mut seen = HashSet::from([print]);
    let start = Reached { cluster: initial, changes: 0, from: None, action: None };
    let mut layers: Vec<Layer<P>> = vec![Layer::from([((print, None), start)])];
    for _ in 0..depth {
        let mut next = Layer::new();
        let mut prints = HashSet::new();
        for (key, reached) in layers.last().expect("one to begin with") {
            for action in world.enabled(&reached.cluster) {
                let cluster = world.apply(&reached.cluster, &action);
                let print = fingerprint(&hasher, &cluster);
                // On a shortest run every state is reached at its own depth.
                if seen.contains(&print) {
                    continue;
                }
                prints.insert(print);
                let actor = action.actor();
                let change = reached.action.is_some() && actor != key.1;
                let changes = reached.changes + usize::from(change);
                let known = next.get(&(print, actor));
                if known.is_none_or(|known| changes < known.changes) {
                    let (from, action) = (Some(*key), Some(action));
                    next.insert((print, actor), Reached { cluster, changes, from, action });
                }
            }
        }
        seen.extend(prints);
        layers.push(next);
    }
    let found = layers.last()?.iter().filter(|(_, reached)| is_found(&reached.cluster));
    let (key, reached) = found.min_by_key(|(key, reached)| (reached.changes, **key))?;
    let changes = reached.changes;
    let mut steps = Vec::new();
    let mut at = Some(*key);
    for layer in layers.iter().rev() {
        let reached = &layer[&at?];
        steps.extend(reached.action.clone());
        at = reached.from;
        if at.is_none() {
            break;
        }
    }
    steps.reverse();
    Some(Calmest { steps, changes })
}

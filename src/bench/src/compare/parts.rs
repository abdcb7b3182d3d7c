//! Makes the parts of a cell.

use super::spec::Spec;
use crate::baselines::counterfoil::{CounterfoilNodes, CounterfoilScheduler, config};
use crate::baselines::database::{Database, Place, Row};
use crate::baselines::legacy::{LegacyNodes, LegacyScheduler};
use crate::baselines::mixed::MixedNodes;
use crate::baselines::placement::PlacementScheduler;
use crate::baselines::shared::{SharedNodes, SharedScheduler};
use crate::baselines::{Design, Given, NodesPart, PartError, SchedulerPart};
use counterfoil_service::scheduler::Picker;
use std::time::Duration;

/// Fills the database, and keeps it for this comparison.
///
/// # Errors
/// If it cannot.
pub(super) fn database(given: &[Given], place: &Place) -> Result<Box<dyn Database>, PartError> {
    let mut owned = place.connect(true)?;
    owned.fill(&Row::initial(given))?;
    Ok(owned)
}

/// Scheduler number `id`, of a cluster with so many nodes.
///
/// # Errors
/// If it cannot start.
pub(super) fn scheduler(
    spec: &Spec,
    id: u32,
    nodes: u32,
    place: &Place,
) -> Result<Box<dyn SchedulerPart>, PartError> {
    let (strategy, seed) = (spec.strategy(), spec.seed.wrapping_add(u64::from(id)));
    let legacy = |refresh| {
        let database = place.connect(false)?;
        let part = LegacyScheduler::new(id, database, refresh, strategy, seed);
        Ok(Box::new(part) as Box<dyn SchedulerPart>)
    };
    match spec.designs[id as usize - 1] {
        Design::Filter => legacy(Duration::ZERO),
        Design::Caching => legacy(spec.refresh),
        Design::Placement => {
            Ok(Box::new(PlacementScheduler::new(place.connect(false)?, strategy, seed)))
        }
        Design::Shared => Ok(Box::new(SharedScheduler::new(id, nodes as usize, strategy, seed))),
        Design::Counterfoil => {
            let mut picker = Picker::new(spec.policy(), seed);
            picker.set_share(spec.share_of_nodes(id));
            let config = config(spec.attempts_max);
            Ok(Box::new(CounterfoilScheduler::new(id, nodes, &config, picker)?))
        }
    }
}

/// All nodes; `None` if the database is the authority.
///
/// # Errors
/// If they cannot start.
pub(super) fn nodes(
    spec: &Spec,
    given: &[Given],
    place: &Place,
) -> Result<Option<Box<dyn NodesPart>>, PartError> {
    let config = config(spec.attempts_max);
    let has = |design| spec.designs.contains(&design);
    let legacy = has(Design::Filter) || has(Design::Caching);
    Ok(match (has(Design::Counterfoil), legacy, has(Design::Shared)) {
        (true, true, _) => Some(Box::new(MixedNodes::new(given, &config, place.connect(false)?)?)),
        (true, false, _) => Some(Box::new(CounterfoilNodes::new(given, &config)?)),
        (false, true, _) => Some(Box::new(LegacyNodes::new(place.connect(false)?, given))),
        (false, false, true) => Some(Box::new(SharedNodes::new(given, spec.seed))),
        (false, false, false) => None,
    })
}

/// Whether schedulers of these designs can work on the same nodes.
pub fn mixes(designs: &[Design]) -> bool {
    let same = designs.iter().all(|design| *design == designs[0]);
    let mixable = [Design::Filter, Design::Caching, Design::Counterfoil];
    !designs.is_empty() && (same || designs.iter().all(|design| mixable.contains(design)))
}

#[cfg(test)]
mod tests;

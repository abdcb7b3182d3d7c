//! The preloaded case: 50 requests at once on a cluster with exactly 49 places. A scheduler that is
//! right fails exactly one.

use super::cell::Cell;
use super::spec::{Case, PLACES_LEFT, Spec};
use super::{CompareError, measure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What came of a number of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preloaded {
    /// The design.
    pub design: String,
    /// Where it ran.
    pub setting: String,
    /// How many nodes.
    pub nodes: u32,
    /// How many schedulers.
    pub schedulers: u32,
    /// How they chose.
    pub strategy: String,
    /// How often it ran.
    pub runs: u64,
    /// How often exactly one request failed.
    pub exactly_one: u64,
    /// How often so many failed.
    pub failures: BTreeMap<u64, u64>,
    /// Failed claims of all runs.
    pub retried: u64,
    /// Nodes on which more was allocated than there is, of all runs.
    pub overcommitted: u64,
}

/// The spec of one run: everything from `spec` but the case, and as many requests open as there are.
pub fn spec(spec: &Spec, run: u64) -> Spec {
    Spec {
        case: Case::Preloaded,
        window: PLACES_LEFT + 1,
        seed: spec.seed.wrapping_add(run),
        ..spec.clone()
    }
}

impl Preloaded {
    /// Runs it so often, or until it is interrupted. `told` is told of each run.
    ///
    /// # Errors
    /// If a part cannot start or go on.
    pub fn measure(
        of: &Spec,
        runs: u64,
        interrupted: &dyn Fn() -> bool,
        mut told: impl FnMut(u64),
    ) -> Result<Preloaded, CompareError> {
        let mut all = Preloaded {
            design: of.designs[0].to_string(),
            setting: of.setting.name().to_owned(),
            nodes: of.nodes,
            schedulers: of.schedulers(),
            strategy: of.strategy.clone(),
            ..Preloaded::default()
        };
        for run in 0..runs {
            let cells = measure(&spec(of, run), interrupted)?;
            if interrupted() {
                break;
            }
            cells.iter().for_each(|cell| all.note(cell));
            told(run + 1);
        }
        Ok(all)
    }

    fn note(&mut self, cell: &Cell) {
        let failures = (PLACES_LEFT as u64 + 1).saturating_sub(cell.success);
        self.runs += 1;
        self.exactly_one += u64::from(failures == 1);
        *self.failures.entry(failures).or_default() += 1;
        self.retried += cell.queries.retried();
        self.overcommitted += cell.overcommitted;
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let failures = self.failures.iter().map(|(failures, runs)| format!("{failures} in {runs}"));
        format!(
            "{:<12} {:<6} {} nodes, {} schedulers, {}: exactly one of 50 failed in {} of {} runs \
             (failed: {}; {} claims retried, {} nodes overcommitted)",
            self.design,
            self.setting,
            self.nodes,
            self.schedulers,
            self.strategy,
            self.exactly_one,
            self.runs,
            failures.collect::<Vec<_>>().join(", "),
            self.retried,
            self.overcommitted,
        )
    }
}

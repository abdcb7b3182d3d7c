//! What the cells of a comparison say together.

use super::cell::Cell;
use super::spec::{Case, Setting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The size at which the claims of 2016 were made.
const NODES: u32 = 1000;

/// The number of schedulers at which the designs are put beside each other.
const SCHEDULERS: u32 = 2;

/// What the cells say together. Each list is in the order of the cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Accepted claims in a second of the shared state of 2016, for one of the filter scheduler, at
    /// 1,000 nodes: said to be 5.1.
    pub shared_for_filter: Vec<Ratio>,
    /// Accepted claims in a second of this project for one of each other design, at 1,000 nodes and 2
    /// schedulers.
    pub counterfoil_for: BTreeMap<String, Vec<Ratio>>,
    /// Cells of this project that had fewer failed claims for each request than the shared state of
    /// 2016, or none; and those that had not.
    pub retries: Retries,
    /// Cells in which a node gave out more than it has.
    pub overcommitted: Vec<String>,
}

/// How many times one has what another has, where both ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Where.
    pub setting: Setting,
    /// With how many schedulers.
    pub schedulers: u32,
    /// With which strategy.
    pub strategy: String,
    /// So many times.
    pub times: f64,
    /// Whether one of the two was cut off, and ran on emptier nodes than a whole run.
    pub cut: bool,
}

/// Cells compared by their retries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// So many had fewer, or none.
    pub fewer: u64,
    /// These had not.
    pub not_fewer: Vec<String>,
}

impl Findings {
    /// What these cells say.
    pub fn of(cells: &[Cell]) -> Findings {
        let alone = |cell: &&Cell| cell.mix.is_none() && cell.case == Case::Filling;
        let cells: Vec<&Cell> = cells.iter().filter(alone).collect();
        let beside = |of: &Cell, design: &str| {
            let same = |cell: &&&Cell| {
                cell.design == design
                    && (cell.setting, cell.nodes, cell.schedulers)
                        == (of.setting, of.nodes, of.schedulers)
                    && (&cell.strategy, cell.seed) == (&of.strategy, of.seed)
            };
            cells.iter().find(same).copied()
        };
        let mut findings = Findings::default();
        for cell in &cells {
            if cell.overcommitted > 0 {
                findings.overcommitted.push(cell.key());
            }
            match cell.design.as_str() {
                "shared" if cell.nodes == NODES => {
                    let filter = beside(cell, "filter");
                    findings.shared_for_filter.extend(filter.map(|filter| Ratio::of(cell, filter)));
                }
                "counterfoil" => {
                    if let Some(shared) = beside(cell, "shared") {
                        findings.retries.note(cell, shared);
                    }
                    if (cell.nodes, cell.schedulers) == (NODES, SCHEDULERS) {
                        for design in ["filter", "caching", "placement", "shared"] {
                            let other = beside(cell, design).map(|other| Ratio::of(cell, other));
                            let of_design = findings.counterfoil_for.entry(design.to_owned());
                            of_design.or_default().extend(other);
                        }
                    }
                }
                _ => {}
            }
        }
        findings
    }
}

impl Ratio {
    fn of(one: &Cell, other: &Cell) -> Ratio {
        Ratio {
            setting: one.setting,
            schedulers: one.schedulers,
            strategy: one.strategy.clone(),
            times: one.accepted_per_s / other.accepted_per_s.max(f64::MIN_POSITIVE),
            cut: one.cut || other.cut,
        }
    }
}

impl Retries {
    fn note(&mut self, ours: &Cell, shared: &Cell) {
        if ours.retried_percent < shared.retried_percent || ours.queries.retried() == 0 {
            self.fewer += 1;
        } else {
            self.not_fewer.push(ours.key());
        }
    }
}

//! Which cells a comparison has.

use super::spec::{Case, Setting, Spec};
use crate::baselines::Design;
use counterfoil_placement::PolicyName;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The lists that a grid is made of, and what all its cells share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Settings.
    pub settings: Vec<Setting>,
    /// Designs.
    pub designs: Vec<Design>,
    /// Numbers of nodes.
    pub nodes: Vec<u32>,
    /// Numbers of schedulers.
    pub schedulers: Vec<u32>,
    /// Strategies.
    pub strategies: Vec<String>,
    /// The designs of the schedulers of a mixed run, if there is to be one.
    pub mix: Option<Vec<Design>>,
    /// Whether schedulers of this project take nodes of their own share first.
    pub own_first: bool,
    /// Requests open at each scheduler at once.
    pub window: usize,
    /// Attempts of one request, at most.
    pub attempts_max: u32,
    /// How old the view of the caching scheduler becomes, in seconds.
    pub refresh_s: u64,
    /// A cell is cut off after so many seconds.
    pub limit_s: u64,
    /// Where everything random begins.
    pub seed: u64,
    /// The database.
    pub database: String,
    /// What is asked for instead of the flavors, if anything.
    pub workload: Option<PathBuf>,
    /// What the nodes are instead of those of the model, if anything.
    pub nodes_from: Option<PathBuf>,
}

impl Default for Grid {
    /// The grid of 2016.
    fn default() -> Grid {
        Grid {
            settings: vec![Setting::Model, Setting::Udp],
            designs: Design::ALL.to_vec(),
            nodes: vec![300, 1000],
            schedulers: vec![1, 2, 4, 8],
            strategies: PolicyName::ALL.map(|name| name.to_string()).to_vec(),
            mix: None,
            own_first: true,
            window: 32,
            attempts_max: 5,
            refresh_s: 60,
            limit_s: 60,
            seed: 1,
            database: "sqlite:".to_owned(),
            workload: None,
            nodes_from: None,
        }
    }
}

impl Grid {
    /// The same with fewer and shorter cells: for a first look.
    #[must_use]
    pub fn quick(self) -> Grid {
        let (nodes, schedulers) = (vec![300, 1000], vec![2, 4]);
        Grid { settings: vec![Setting::Model], nodes, schedulers, limit_s: 4, ..self }
    }

    /// The cells, designs beside each other.
    pub fn specs(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        for setting in &self.settings {
            for nodes in &self.nodes {
                for strategy in &self.strategies {
                    if let Some(mix) = &self.mix {
                        specs.push(self.spec(mix.clone(), *setting, *nodes, strategy));
                        continue;
                    }
                    for schedulers in &self.schedulers {
                        for design in &self.designs {
                            let designs = vec![*design; *schedulers as usize];
                            specs.push(self.spec(designs, *setting, *nodes, strategy));
                        }
                    }
                }
            }
        }
        specs
    }

    /// One cell that has everything else from this grid.
    pub fn spec(&self, designs: Vec<Design>, setting: Setting, nodes: u32, strategy: &str) -> Spec {
        Spec {
            designs,
            setting,
            case: Case::Filling,
            nodes,
            strategy: strategy.to_owned(),
            own_first: self.own_first,
            window: self.window,
            attempts_max: self.attempts_max,
            refresh: Duration::from_secs(self.refresh_s),
            limit: Duration::from_secs(self.limit_s),
            seed: self.seed,
            database: self.database.clone(),
            workload: self.workload.clone(),
            nodes_from: self.nodes_from.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_of_2016_has_every_design_at_every_size() {
        assert_eq!(Grid::default().specs().len(), 2 * 5 * 2 * 4 * 3);
        assert_eq!(Grid::default().quick().specs().len(), 5 * 2 * 2 * 3);
        let mix = Some(vec![Design::Filter, Design::Counterfoil]);
        let mixed = Grid { mix, settings: vec![Setting::Model], ..Grid::default() };
        assert!(mixed.specs().iter().all(|spec| spec.schedulers() == 2));
        assert_eq!(mixed.specs().len(), 2 * 3);
    }
}

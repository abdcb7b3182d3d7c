//! What every machine is given.

use counterfoil_protocol::{ClientId, SchedulerId};
use counterfoil_world::Scenario;
use counterfoil_world::scenario::Design;

/// The conductor, with the database.
pub const CONDUCTOR: ClientId = ClientId(1);

/// What every machine is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// How hosts are selected.
    pub design: Design,
    /// How many hosts are tried for an instance, and how often an allocation is written anew.
    pub attempts_max: u32,
    /// The schedulers that hear what is told to all.
    pub schedulers: Vec<SchedulerId>,
}

impl Setting {
    /// That of a scenario.
    pub fn of(scenario: &Scenario) -> Self {
        Setting {
            design: scenario.protocol,
            attempts_max: scenario.limits.attempts_max,
            schedulers: (1..=scenario.schedulers).map(SchedulerId).collect(),
        }
    }

    /// Whether nodes send their state to schedulers.
    pub fn shares(&self) -> bool {
        self.design == Design::Shared2016
    }
}

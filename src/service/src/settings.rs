//! What a daemon is told: by flags, by its environment, by one TOML file, or by nobody.
//!
//! A setting is one field of one struct here. The struct is both the flags (clap) and the form of
//! the file (serde). A flag prevails over the environment, that over the file, that over the
//! default; [`Layers`] is the one place where they meet, and knows where each value is from, so
//! that a value that makes no sense is named by file and line.

mod daemons;
mod interval;
mod inventory;
mod layers;
mod protocol;

pub use daemons::{
    Api, Ids, Monitor, Network, NodeSettings, SchedulerSettings, Storage, life_long_ids,
};
pub use interval::Interval;
pub(crate) use inventory::name;
pub use inventory::{ClassSettings, InventoryFlags, InventorySettings};
pub use layers::{Layers, SettingsError};
pub use protocol::{IntervalSettings, LimitSettings};

//! What a node has, as settings, in the vocabulary of OpenStack Placement.

use super::layers::{Layers, SettingsError};
use clap::Args;
use counterfoil_protocol::{ClassInventory, Inventory, Name, ResourceClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a node has and what it is like: the table `[inventory]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InventorySettings {
    /// What it is like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits: Option<Vec<Name>>,
    /// The availability zone that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Name>,
    /// The aggregates that it is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregates: Option<Vec<Name>>,
    /// What it has of each resource class: the tables `[inventory.classes.VCPU]` and so on. Where
    /// none is named, the three of the flags are there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<ResourceClass, ClassSettings>,
}

/// What a node has of one resource class, in the unit of the class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassSettings {
    /// All that there is, up to 2^63 - 1. Must be said.
    pub total: Option<u64>,
    /// What is kept back for the node itself, up to the total. Default: 0.
    pub reserved: Option<u64>,
    /// How often each unit may be given out, from 0.001 to 1000000. Default: 1.
    pub allocation_ratio: Option<f64>,
    /// The smallest amount of one allocation, at least 1. Default: 1.
    pub min_unit: Option<u64>,
    /// The largest amount of one allocation. Default: no limit.
    pub max_unit: Option<u64>,
    /// An allocation is a multiple of this, at least 1. Default: 1.
    pub step_unit: Option<u64>,
}

/// The inventory by flags: the simple case. Each prevails over the same in the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Inventory (the file's [inventory] can say more)")]
pub struct InventoryFlags {
    /// Virtual processors (VCPU) [default: 64, if the file names no classes]
    #[arg(long, value_name = "N", value_parser = amount())]
    pub vcpu: Option<u64>,
    /// Memory (MEMORY_MB), in MiB [default: 524288, if the file names no classes]
    #[arg(long, value_name = "MIB", value_parser = amount())]
    pub memory_mb: Option<u64>,
    /// Disk (DISK_GB), in GiB [default: 4096, if the file names no classes]
    #[arg(long, value_name = "GIB", value_parser = amount())]
    pub disk_gb: Option<u64>,
    /// How often each virtual processor may be given out, 0.001 to 1000000 [default: 16]
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub cpu_ratio: Option<f64>,
    /// How often each MiB of memory may be given out, 0.001 to 1000000 [default: 1]
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub memory_ratio: Option<f64>,
    /// How often each GiB of disk may be given out, 0.001 to 1000000 [default: 1]
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub disk_ratio: Option<f64>,
    /// A trait that the node has. More than once for more
    #[arg(long = "trait", value_name = "NAME", value_parser = name, value_delimiter = ',')]
    pub traits: Option<Vec<Name>>,
    /// The availability zone that the node is in
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub zone: Option<Name>,
    /// An aggregate that the node is a member of. More than once for more
    #[arg(long = "aggregate", value_name = "NAME", value_parser = name, value_delimiter = ',')]
    pub aggregates: Option<Vec<Name>>,
}

/// The largest amount that a TOML file can hold.
const AMOUNT_MAX: u64 = i64::MAX as u64;

fn amount() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(..=AMOUNT_MAX)
}

/// An allocation ratio.
fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if is_ratio(number) => Ok(number),
        Ok(_) | Err(_) => Err("not a number from 0.001 to 1000000".to_owned()),
    }
}

fn is_ratio(number: f64) -> bool {
    (0.001..=1e6).contains(&number)
}

/// The name of a trait, a zone or an aggregate.
pub(crate) fn name(text: &str) -> Result<Name, String> {
    Name::try_from(text.to_owned()).map_err(|error| error.to_string())
}

impl InventoryFlags {
    /// The same as settings.
    pub fn settings(&self) -> InventorySettings {
        let classes = [
            (ResourceClass::Vcpu, self.vcpu, self.cpu_ratio),
            (ResourceClass::MemoryMb, self.memory_mb, self.memory_ratio),
            (ResourceClass::DiskGb, self.disk_gb, self.disk_ratio),
        ];
        let said =
            classes.into_iter().filter(|(_, total, ratio)| total.is_some() || ratio.is_some());
        InventorySettings {
            traits: self.traits.clone(),
            zone: self.zone.clone(),
            aggregates: self.aggregates.clone(),
            classes: said
                .map(|(class, total, allocation_ratio)| {
                    (class, ClassSettings { total, allocation_ratio, ..ClassSettings::default() })
                })
                .collect(),
        }
    }
}

impl InventorySettings {
    /// What a node has if nobody says what.
    pub fn usual() -> Self {
        let usual = InventoryFlags {
            vcpu: Some(64),
            memory_mb: Some(512 * 1024),
            disk_gb: Some(4096),
            cpu_ratio: Some(16.0),
            memory_ratio: Some(1.0),
            disk_ratio: Some(1.0),
            ..InventoryFlags::default()
        };
        usual.settings()
    }

    /// The inventory.
    ///
    /// # Errors
    /// If something in it makes no sense.
    pub(super) fn inventory(&self, layers: &Layers) -> Result<Inventory, SettingsError> {
        let mut inventory = Inventory {
            traits: self.traits.iter().flatten().cloned().collect(),
            zone: self.zone.clone(),
            aggregates: self.aggregates.iter().flatten().cloned().collect(),
            ..Inventory::default()
        };
        for (class, settings) in &self.classes {
            let fault = |field: &str, problem: String| {
                let field = if field.is_empty() { String::new() } else { format!(".{field}") };
                layers.fault(&format!("inventory.classes.{class}{field}"), problem)
            };
            if matches!(class, ResourceClass::Group(_)) {
                return Err(fault("", "every node counts groups: name it otherwise".to_owned()));
            }
            let class_inventory = settings.class(fault)?;
            inventory.classes.insert(class.clone(), class_inventory);
        }
        Ok(inventory)
    }
}

impl ClassSettings {
    fn class(
        &self,
        fault: impl Fn(&str, String) -> SettingsError,
    ) -> Result<ClassInventory, SettingsError> {
        let Some(total) = self.total else {
            return Err(fault("", "has no total: say how much there is".to_owned()));
        };
        let usual = ClassInventory::of(total);
        let ratio = self.allocation_ratio.unwrap_or(1.0);
        let class = ClassInventory {
            total,
            reserved: self.reserved.unwrap_or(usual.reserved),
            allocation_ratio_milli: (ratio * 1000.0).round() as u32,
            min_unit: self.min_unit.unwrap_or(usual.min_unit),
            max_unit: self.max_unit.unwrap_or(usual.max_unit),
            step_unit: self.step_unit.unwrap_or(usual.step_unit),
        };
        let ClassInventory { reserved, min_unit, max_unit, step_unit, .. } = class;
        if !is_ratio(ratio) {
            let problem = format!("{ratio} is not a number from 0.001 to 1000000");
            return Err(fault("allocation_ratio", problem));
        }
        if reserved > total {
            return Err(fault("reserved", format!("{reserved} is more than the total, {total}")));
        }
        if min_unit == 0 {
            return Err(fault("min_unit", "0 is less than 1".to_owned()));
        }
        if max_unit < min_unit {
            return Err(fault("max_unit", format!("{max_unit} is less than min_unit, {min_unit}")));
        }
        if step_unit == 0 {
            return Err(fault("step_unit", "0 is less than 1".to_owned()));
        }
        Ok(class)
    }
}

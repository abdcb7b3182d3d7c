//! Workloads: what is asked for, on which nodes, when it comes and for how long it stays.
//!
//! Six synthetic flavors and two kinds of nodes are built in. [`azure`] and [`openb`] read the forms
//! of two public traces; of a trace the times are compressed, and lifetimes stay in proportion.

pub mod azure;
pub mod openb;
mod table;

pub use table::{Column, ReadError, Reason};

use counterfoil_protocol::{ClassInventory, Demand, Inventory, ResourceClass};
use std::path::Path;
use std::sync::Arc;

/// Something that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub demand: Arc<Demand>,
    /// When it comes, in microseconds since the trace begins; `None` if it was there before.
    pub comes_us: Option<u64>,
    /// For how long it stays, in microseconds; `None` if it stays beyond the end of the trace.
    pub stays_us: Option<u64>,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One of these, each as likely as the others, whenever the load asks for one.
    Flavors(Vec<Arc<Demand>>),
    /// These, in the order in which they come.
    Trace(Vec<Asked>),
}

/// Flavors of the synthetic workload: name, VCPU, MEMORY_MB.
pub const FLAVORS: [(&str, u64, u64); 6] = [
    ("micro", 1, 64),
    ("small", 1, 1024),
    ("medium", 2, 4096),
    ("large", 4, 8192),
    ("xlarge", 8, 16384),
    ("xxlarge", 16, 32768),
];

/// A demand for some processors and some memory.
pub fn demand(vcpu: u64, memory_mb: u64) -> Demand {
    let resources = [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, memory_mb)];
    Demand { resources: resources.into_iter().collect(), ..Demand::default() }
}

/// The six synthetic flavors.
pub fn flavors() -> Workload {
    let demands = FLAVORS.iter().map(|(_, vcpu, memory_mb)| demand(*vcpu, *memory_mb).into());
    Workload::Flavors(demands.collect())
}

/// What an inventory has of each class: total, reserved and ratio in thousandths.
fn inventory(classes: impl IntoIterator<Item = (ResourceClass, u64, u64, u32)>) -> Inventory {
    let classes = classes.into_iter().map(|(class, total, reserved, allocation_ratio_milli)| {
        let of_class =
            ClassInventory { reserved, allocation_ratio_milli, ..ClassInventory::of(total) };
        (class, of_class)
    });
    Inventory { classes: classes.collect(), ..Inventory::default() }
}

/// A node of the model of 2016: 24 cores given out 16 times, 256 GiB of which 1 is kept back given
/// out one and a half times.
pub fn model_node() -> Inventory {
    inventory([
        (ResourceClass::Vcpu, 24, 0, 16_000),
        (ResourceClass::MemoryMb, 256 << 10, 1 << 10, 1_500),
    ])
}

/// A node of the real run of 2016: 8 VCPU given out 16 times, 64 GiB and 25,600 GiB of disk given
/// out one and a half times.
pub fn real_node() -> Inventory {
    inventory([
        (ResourceClass::Vcpu, 8, 0, 16_000),
        (ResourceClass::MemoryMb, 64 << 10, 0, 1_500),
        (ResourceClass::DiskGb, 25_600, 0, 1_500),
    ])
}

/// Reads a workload in whichever of the known forms it is.
///
/// # Errors
/// If the file cannot be read, is in none of the forms, or has a row without a meaning.
pub fn read_requests(path: &Path) -> Result<Vec<Asked>, ReadError> {
    let text = table::text(path)?;
    let mut asked = match table::columns(&text) {
        columns if columns == openb::POD_COLUMNS => openb::pods(path, &text)?,
        columns if columns == counterfoil_service::workload::COLUMNS => {
            azure::requests(path, &text)?
        }
        _ => {
            let known = [&openb::POD_COLUMNS[..], &counterfoil_service::workload::COLUMNS[..]];
            return Err(ReadError::unknown(path, &known));
        }
    };
    asked.sort_by_key(|asked| asked.comes_us);
    Ok(asked)
}

/// Reads the nodes that a workload runs on, in whichever of the known forms they are.
///
/// # Errors
/// As [`read_requests`].
pub fn read_nodes(path: &Path) -> Result<Vec<Inventory>, ReadError> {
    let text = table::text(path)?;
    if text.trim_start().starts_with(['{', '[']) {
        return azure::servers(path, &text);
    }
    if table::columns(&text) == openb::NODE_COLUMNS {
        return openb::nodes(path, &text);
    }
    Err(ReadError::unknown(path, &[&openb::NODE_COLUMNS[..]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_the_capacity_that_was_published() {
        let capacity = |inventory: &Inventory, class| inventory.classes[&class].capacity();
        let model = model_node();
        assert_eq!(capacity(&model, ResourceClass::Vcpu), 384);
        assert_eq!(capacity(&model, ResourceClass::MemoryMb), 255 * 1024 * 3 / 2);
        let real = real_node();
        assert_eq!(capacity(&real, ResourceClass::Vcpu), 128);
        assert_eq!(capacity(&real, ResourceClass::DiskGb), 38_400);
    }
}

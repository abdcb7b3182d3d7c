//! The form of the Alibaba cluster trace of GPU machines of 2023, openb.
//!
//! `VCPU` counts thousandths of processors, as the trace does, and `GPU_MILLI` thousandths of GPUs,
//! of all GPUs of a node together. The kinds of GPU that a pod may have are aggregates: a node is in
//! the one of its kind. Times are in seconds; a pod without a time of deletion stays.

use super::table::{Fields, ReadError, rows};
use super::{Asked, inventory};
use counterfoil_protocol::{Demand, Inventory, Name, ResourceClass, Set};
use std::path::Path;

/// The columns of a file of pods.
pub const POD_COLUMNS: [&str; 11] = [
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
];

/// The columns of a file of nodes.
pub const NODE_COLUMNS: [&str; 5] = ["sn", "cpu_milli", "memory_mib", "gpu", "model"];

/// Microseconds in a second.
const SECOND_US: u64 = 1_000_000;

/// The class of GPUs.
fn gpu_milli() -> ResourceClass {
    let name = Name::try_from("GPU_MILLI".to_owned()).expect("it is made of such letters");
    ResourceClass::from(name)
}

/// A kind of GPU as the name of an aggregate.
fn kind(fields: &Fields<'_>, column: usize, text: &str) -> Result<Name, ReadError> {
    let name = format!("GPU_{}", text.trim().to_uppercase().replace('-', "_"));
    Name::try_from(name).map_err(|error| fields.fault(column, error.to_string()))
}

/// The pods in a file of this form.
pub(super) fn pods(path: &Path, text: &str) -> Result<Vec<Asked>, ReadError> {
    rows(path, &POD_COLUMNS, text, |fields| {
        let (vcpu, memory_mb): (u64, u64) = (fields.number(1)?, fields.number(2)?);
        let (gpus, milli): (u64, u64) = (fields.number(3)?, fields.number(4)?);
        if vcpu == 0 && memory_mb == 0 && gpus == 0 {
            return Err(fields.fault(1, "it asks for nothing"));
        }
        let gpu = gpus.checked_mul(milli).ok_or_else(|| fields.fault(4, "it is too much"))?;
        let classes =
            [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, memory_mb), (gpu_milli(), gpu)];
        let kinds = fields.text(5).split('|').filter(|kind| !kind.trim().is_empty());
        let aggregates: Set<Name> =
            kinds.map(|text| kind(fields, 5, text)).collect::<Result<_, _>>()?;
        let comes: u64 = fields.number(8)?;
        let goes = match fields.text(9) {
            "" => None,
            _ => Some(fields.number::<u64>(9)?),
        };
        if goes.is_some_and(|goes| goes < comes) {
            return Err(fields.fault(9, "it is before the creation"));
        }
        let resources = classes.into_iter().filter(|(_, amount)| *amount > 0).collect();
        Ok(Asked {
            demand: Demand { resources, aggregates, ..Demand::default() }.into(),
            comes_us: Some(comes.saturating_mul(SECOND_US)),
            stays_us: goes.map(|goes| (goes - comes).saturating_mul(SECOND_US)),
        })
    })
}

/// The nodes in a file of this form.
pub(super) fn nodes(path: &Path, text: &str) -> Result<Vec<Inventory>, ReadError> {
    let nodes = rows(path, &NODE_COLUMNS, text, |fields| {
        let (vcpu, memory_mb): (u64, u64) = (fields.number(1)?, fields.number(2)?);
        let gpus: u64 = fields.number(3)?;
        let gpu = gpus.checked_mul(1000).ok_or_else(|| fields.fault(3, "it is too many"))?;
        let classes =
            [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, memory_mb), (gpu_milli(), gpu)];
        let has = classes.into_iter().filter(|(_, total)| *total > 0);
        let node = inventory(has.map(|(class, total)| (class, total, 0, 1000)));
        if node.classes.is_empty() {
            return Err(fields.fault(1, "it has nothing"));
        }
        let aggregates = match fields.text(4) {
            "" => Set::default(),
            text => Set::from_iter([kind(fields, 4, text)?]),
        };
        Ok(Inventory { aggregates, ..node })
    })?;
    if nodes.is_empty() {
        return Err(ReadError::row(path, 1, "", "there are no nodes"));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(row: &str) -> Result<Vec<Asked>, String> {
        let text = format!("{}\n{row}\n", POD_COLUMNS.join(","));
        pods(Path::new("pods.csv"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pod_asks_for_parts_of_gpus_of_some_kinds() {
        let row = "p,6000,12288,2,460,V100M16|V100M32,LS,Running,427061,427071,427061";
        let asked = &pod(row).unwrap()[0];
        assert_eq!(asked.demand.resources.get(&gpu_milli()), 920);
        let kinds: Vec<&str> = asked.demand.aggregates.iter().map(Name::as_str).collect();
        assert_eq!(kinds, ["GPU_V100M16", "GPU_V100M32"]);
        assert_eq!((asked.comes_us, asked.stays_us), (Some(427_061_000_000), Some(10_000_000)));
        let stays = &pod("p,1,1,0,0,,BE,Pending,5,,").unwrap()[0];
        assert_eq!((stays.demand.resources.len(), stays.stays_us), (2, None));
    }

    #[test]
    fn a_pod_without_meaning_is_named_by_file_line_and_reason() {
        let cases = [
            ("p,x,1,0,0,,LS,R,1,2,1", ", column cpu_milli: \"x\" is no such number"),
            ("p,-1,1,0,0,,LS,R,1,2,1", ", column cpu_milli: \"-1\" is no such number"),
            ("p,0,0,0,0,,LS,R,1,2,1", ", column cpu_milli: it asks for nothing"),
            ("p,1,1,0,0,,LS,R,3,2,1", ", column deletion_time: it is before the creation"),
            ("p,1,1,0,0,,LS,R", ": there are 8 fields; 11 are needed"),
        ];
        for (row, reason) in cases {
            assert_eq!(pod(row).unwrap_err(), format!("pods.csv: line 2{reason}"), "{row}");
        }
    }

    #[test]
    fn nodes_differ_and_are_in_the_aggregate_of_their_kind() {
        let text = format!("{}\na,32000,262144,0,\nb,96000,393216,8,G2\n", NODE_COLUMNS.join(","));
        let nodes = nodes(Path::new("nodes.csv"), &text).unwrap();
        assert_eq!(nodes[0].classes.len(), 2);
        assert_eq!(nodes[1].classes[&gpu_milli()].total, 8000);
        assert_eq!(nodes[1].aggregates.iter().next().map(Name::as_str), Some("GPU_G2"));
        let error = super::nodes(
            Path::new("nodes.csv"),
            &format!("{}\na,0,0,0,\n", NODE_COLUMNS.join(",")),
        );
        assert!(error.unwrap_err().to_string().ends_with("it has nothing"));
    }
}

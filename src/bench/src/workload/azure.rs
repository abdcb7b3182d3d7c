//! The form of the Azure Trace for Packing 2020, with concrete cores and memory.
//!
//! Amounts are in the units of the trace, which hold up to a constant factor and are the same for
//! machines and servers: `VCPU` counts units of cores, `MEMORY_MB` thousandths of units of memory.
//! Times are in days; the trace begins at 0, and what began before it was there from the start.

use super::table::ReadError;
use super::{Asked, inventory};
use counterfoil_protocol::{Inventory, ResourceClass};
use counterfoil_service::workload::{Factors, read};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// `VCPU` and `MEMORY_MB` for each unit of the trace.
const FACTORS: Factors = Factors { cpu: 1.0, memory: 1000.0 };

/// Microseconds in a day.
const DAY_US: f64 = 86_400e6;

/// The requests in a file of this form.
pub(super) fn requests(path: &Path, text: &str) -> Result<Vec<Asked>, ReadError> {
    let rows = read(text.as_bytes(), FACTORS)
        .map_err(|error| ReadError::row(path, error.line, &error.column, error.reason))?;
    // Times become whole microseconds here, and stay so.
    let us = |days: f64| (days.max(0.0) * DAY_US).round() as u64;
    let asked = rows.into_iter().map(|row| Asked {
        demand: row.demand.into(),
        comes_us: (row.start >= 0.0).then(|| us(row.start)),
        stays_us: row.end.is_finite().then(|| us(row.end) - us(row.start)),
    });
    Ok(asked.collect())
}

/// The sizes of servers: maps from `server_cores[KIND]` and `server_ram[KIND]` to amounts, among
/// others.
#[derive(Deserialize)]
struct Sizes(Vec<BTreeMap<String, f64>>);

/// The servers in a file of this form, by kind.
pub(super) fn servers(path: &Path, text: &str) -> Result<Vec<Inventory>, ReadError> {
    let parsed: Result<Sizes, serde_json::Error> = serde_json::from_str(text);
    let Sizes(maps) =
        parsed.map_err(|error| ReadError::row(path, error.line() as u64, "", error.to_string()))?;
    let kind = |key: &str, of: &str| -> Option<u32> {
        key.strip_prefix(of)?.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
    };
    let all = || maps.iter().flatten();
    let amounts = |of: &'static str| -> BTreeMap<u32, f64> {
        all().filter_map(|(key, amount)| Some((kind(key, of)?, *amount))).collect()
    };
    let (cores, memory) = (amounts("server_cores"), amounts("server_ram"));
    let amount = |kind: u32, amounts: &BTreeMap<u32, f64>, factor: f64| match amounts.get(&kind) {
        Some(amount) if *amount > 0.0 && *amount < 1e12 => Ok((amount * factor).floor() as u64),
        Some(amount) => Err(format!("server {kind} has {amount} of something")),
        None => Err(format!("server {kind} has cores and no memory")),
    };
    let server = |kind: &u32| -> Result<Inventory, String> {
        let vcpu = amount(*kind, &cores, FACTORS.cpu)?;
        let memory_mb = amount(*kind, &memory, FACTORS.memory)?;
        let classes = [(ResourceClass::Vcpu, vcpu), (ResourceClass::MemoryMb, memory_mb)];
        Ok(inventory(classes.map(|(class, total)| (class, total, 0, 1000))))
    };
    let servers: Result<Vec<Inventory>, String> = cores.keys().map(server).collect();
    match servers {
        Ok(servers) if servers.is_empty() => {
            Err(ReadError::row(path, 1, "", "no server_cores[KIND] is given"))
        }
        servers => servers.map_err(|reason| ReadError::row(path, 1, "", reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "vmId,tenantId,cores,ram,vmTypeId,starttime,endtime\n";

    #[test]
    fn what_was_there_before_and_what_stays_is_told_apart() {
        let text = format!("{HEADER}1,1,42.0,7.0,0,-1497.0,inf\n2,1,100.0,14.0,0,0.5,0.75\n");
        let asked = requests(Path::new("vms.csv"), &text).unwrap();
        let times: Vec<_> = asked.iter().map(|asked| (asked.comes_us, asked.stays_us)).collect();
        assert_eq!(times, [(None, None), (Some(43_200_000_000), Some(21_600_000_000))]);
        let resources = &asked[1].demand.resources;
        assert_eq!(resources.get(&ResourceClass::MemoryMb), 14_000);
    }

    #[test]
    fn a_row_without_meaning_is_named_by_file_line_and_reason() {
        let text = format!("{HEADER}1,1,42.0,7.0,0,0,1\n1,1,many,7.0,0,0,1\n");
        let error = requests(Path::new("vms.csv"), &text).unwrap_err();
        let said = "vms.csv: line 3, column cores: \"many\" is not a number";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn servers_are_those_that_have_cores_and_memory() {
        let path = Path::new("servers.json");
        let text = r#"[{"vm_cores[6]": 100.0, "server_cores[2]": 4000, "server_cores[10]": 100},
                       {"server_ram[2]": 768.0, "server_ram[10]": 0.5}]"#;
        let servers = servers(path, text).unwrap();
        let has = |at: usize, class| servers[at].classes[&class].total;
        assert_eq!((servers.len(), has(0, ResourceClass::Vcpu)), (2, 4000));
        assert_eq!(has(1, ResourceClass::MemoryMb), 500);
        let error = |text: &str| super::servers(path, text).unwrap_err().to_string();
        assert_eq!(error("[{}]"), "servers.json: line 1: no server_cores[KIND] is given");
        assert!(error("[{},\n{\"server_cores[1]\":}]").starts_with("servers.json: line 2: "));
        let lacks = error("[{\"server_cores[1]\": 5}]");
        assert_eq!(lacks, "servers.json: line 1: server 1 has cores and no memory");
    }
}

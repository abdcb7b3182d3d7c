//! How the figures of a cluster grow with it: a grid of sizes, each simulated in a process of its own,
//! so that the memory of one is not that of another.

use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;
use std::io;
use std::process::Command;

/// Numbers of nodes.
const NODES: [u32; 4] = [100, 1_000, 10_000, 100_000];
/// Numbers of schedulers.
const SCHEDULERS: [u32; 5] = [1, 4, 8, 16, 64];
/// Pairs of a scheduler and a node, at most: each beats twice a second.
const PAIRS_MAX: u64 = 800_000;
/// Requests that are measured at one size.
const REQUESTS: u64 = 20_000;

/// Which sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Up to so many nodes.
    pub nodes_max: u32,
    /// Up to so many schedulers.
    pub schedulers_max: u32,
    /// Where all chance begins.
    pub seed: u64,
}

impl Grid {
    /// The sizes, nodes and schedulers, by how long they take.
    fn sizes(self) -> Vec<(u32, u32)> {
        let nodes = NODES.into_iter().filter(|nodes| *nodes <= self.nodes_max);
        let all = nodes.flat_map(|nodes| SCHEDULERS.map(|schedulers| (nodes, schedulers)));
        let pairs = |size: &(u32, u32)| u64::from(size.0) * u64::from(size.1);
        let mut sizes: Vec<(u32, u32)> = all
            .filter(|(_, schedulers)| *schedulers <= self.schedulers_max)
            .filter(|size| pairs(size) <= PAIRS_MAX)
            .collect();
        sizes.sort_by_key(pairs);
        sizes
    }
}

/// What came of one size.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Nodes.
    pub nodes: u64,
    /// Schedulers.
    pub schedulers: u64,
    /// A scheduler's part in a decision, in nanoseconds.
    pub ns_per_decision: u64,
    /// A scheduler's part in an update, in nanoseconds.
    pub ns_per_update: u64,
    /// Memory for each node, in bytes.
    pub bytes_per_node: u64,
    /// Memory for each scheduler, in bytes.
    pub bytes_per_scheduler: u64,
    /// Age of what was known wrongly at a decision, in microseconds.
    pub staleness_p99_us: u64,
    /// Claims that were refused, in percent.
    pub conflict_percent: f64,
    /// Messages for each accepted claim, beats included.
    pub messages_per_claim: f64,
    /// Steps in a second of processor time.
    pub steps_per_cpu_s: u64,
    /// Steps in a second of virtual time.
    pub steps_per_virtual_s: u64,
    /// Of so many nodes one was watched.
    pub judged_one_of: u64,
    /// Whether nothing was wrong.
    pub fine: bool,
}

/// Simulates every size of the grid: `again` begins this program.
///
/// # Errors
/// If it cannot be begun, or says nothing that can be read.
pub fn cells(
    grid: Grid,
    again: impl Fn() -> Command,
    mut told: impl FnMut(&str),
) -> io::Result<Vec<Cell>> {
    let sizes = grid.sizes();
    let mut cells = Vec::new();
    for (at, (nodes, schedulers)) in sizes.iter().enumerate() {
        told(&format!("{} of {}: {nodes} nodes, {schedulers} schedulers", at + 1, sizes.len()));
        let numbers = [*nodes, *schedulers].map(|number| number.to_string());
        let seed = grid.seed.to_string();
        let requests = REQUESTS.to_string();
        let mut command = again();
        command.args(["sim", "--nodes", &numbers[0], "--schedulers", &numbers[1]]);
        command.args(["--seed", &seed, "--requests", &requests, "--strategy", "random"]);
        // So many requests that filling it takes about as long as measuring.
        command.args(["--load", if *nodes > 1_000 { "5" } else { "50" }, "--format", "json"]);
        command.args(["--rate", &nodes.clamp(&2_000, &20_000).to_string()]);
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        let report: Value = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
        cells.push(cell(&report));
    }
    Ok(cells)
}

fn cell(report: &Value) -> Cell {
    let number = |way: &str| report.pointer(way).and_then(Value::as_u64).unwrap_or_default();
    let decimal = |way: &str| report.pointer(way).and_then(Value::as_f64).unwrap_or_default();
    let us = number("/measured_us").max(1);
    Cell {
        nodes: number("/nodes"),
        schedulers: number("/schedulers"),
        ns_per_decision: number("/timing/ns_per_decision"),
        ns_per_update: number("/timing/ns_per_update"),
        bytes_per_node: number("/timing/bytes_per_node"),
        bytes_per_scheduler: number("/timing/bytes_per_scheduler"),
        staleness_p99_us: number("/staleness_p99_us"),
        conflict_percent: decimal("/conflict_percent"),
        messages_per_claim: decimal("/messages_per_claim"),
        steps_per_cpu_s: number("/timing/steps_per_cpu_s"),
        steps_per_virtual_s: number("/steps_measured") * 1_000_000 / us,
        judged_one_of: number("/judged/nodes_one_of"),
        fine: report["violated"].is_null() && report["unmet"].is_null(),
    }
}

/// The cells as a table for people.
pub fn table(cells: &[Cell]) -> String {
    let mut table = String::from(
        "| nodes | schedulers | ns a decision | ns an update | bytes a node | MB a scheduler | \
         stale p99 us | conflicts % | messages a claim | steps/cpu s | steps/virtual s | judged 1 of |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for cell in cells {
        let megabytes = cell.bytes_per_scheduler / 1_000_000;
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {megabytes} | {} | {} | {} | {} | {} | {} |",
            cell.nodes,
            cell.schedulers,
            cell.ns_per_decision,
            cell.ns_per_update,
            cell.bytes_per_node,
            cell.staleness_p99_us,
            cell.conflict_percent,
            cell.messages_per_claim,
            cell.steps_per_cpu_s,
            cell.steps_per_virtual_s,
            cell.judged_one_of,
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_ends_where_it_is_told_to_and_the_smallest_come_first() {
        let sizes = |nodes_max, schedulers_max| Grid { nodes_max, schedulers_max, seed: 1 }.sizes();
        assert_eq!(sizes(1_000, 4), [(100, 1), (100, 4), (1_000, 1), (1_000, 4)]);
        assert!(sizes(100_000, 64).contains(&(100_000, 8)));
        assert!(!sizes(100_000, 64).contains(&(100_000, 16)));
    }
}

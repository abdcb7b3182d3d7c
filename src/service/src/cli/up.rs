//! The subcommand `up`.

use super::{Failure, Format};
use crate::settings::InventoryFlags;
use crate::up;
use crate::workload::{self, Factors, Row};
use clap::Args;
use counterfoil_placement::PolicyName;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

#[derive(Args)]
pub(super) struct UpArgs {
    /// How many schedulers to run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    schedulers: u32,
    /// How many nodes to run.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// Keep everything that the processes write in this folder. A cluster that is started there
    /// again finds its allocations; a trial run needs one that is empty or not there
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    trial: TrialArgs,
    #[command(flatten)]
    picking: PickingArgs,
    /// What every node has.
    #[command(flatten)]
    inventory: InventoryFlags,
}

/// The trial run.
#[derive(Args)]
#[command(next_help_heading = "Trial run")]
struct TrialArgs {
    /// Place this workload, stop, and judge the run: a CSV file with the columns of the Azure Trace
    /// for Packing 2020, or `default`
    ///
    /// Departures count: before a row is placed, everything whose endtime is not after its
    /// starttime is released; what is still being placed then is released as soon as it is.
    #[arg(long, value_name = "FILE")]
    place: Option<PathBuf>,
    /// How many rows of it to place, from the first
    #[arg(long, value_name = "N", default_value_t = 2000, requires = "place")]
    count: usize,
    /// VCPU for each unit of `cores`. Amounts are rounded up
    #[arg(long, default_value_t = 1.0, value_parser = factor, requires = "place")]
    cpu_factor: f64,
    /// MEMORY_MB for each unit of `ram`. Amounts are rounded up
    #[arg(long, default_value_t = 1024.0, value_parser = factor, requires = "place")]
    memory_factor: f64,
    /// How many requests to seek a place for at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..),
          requires = "place")]
    window: u16,
    /// Halfway, kill a node and a scheduler, and start them again
    #[arg(long, requires = "place")]
    crash: bool,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Human, requires = "place")]
    format: Format,
}

#[derive(Args)]
struct PickingArgs {
    /// How to pick one of the nodes that fit: spread, pack or random.
    #[arg(long, default_value_t)]
    policy: PolicyName,
    /// Where random choices start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl UpArgs {
    pub(super) fn run(&self, log: LevelFilter) -> Result<ExitCode, Failure> {
        let size = up::Size {
            schedulers: self.schedulers,
            nodes: self.nodes,
            node_args: node_args(&self.inventory),
            policy: self.picking.policy,
            seed: self.picking.seed,
            log: log.to_string(),
        };
        match &self.trial.place {
            Some(workload) => self.trial.run(size, workload, self.keep.clone()),
            None => {
                up::live(&size, self.keep.as_deref())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl TrialArgs {
    fn run(
        &self,
        size: up::Size,
        workload: &Path,
        keep: Option<PathBuf>,
    ) -> Result<ExitCode, Failure> {
        let (rows, window) = (self.rows(workload)?, self.window.into());
        let report = up::trial(&up::Trial { size, rows, window, crash: self.crash, keep })?;
        match self.format {
            Format::Human => println!("{report}"),
            Format::Json => {
                println!("{}", serde_json::to_string(&report).expect("a report has a JSON form"));
            }
        }
        Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// The rows to place.
    fn rows(&self, path: &Path) -> Result<Vec<Row>, Failure> {
        let factors = Factors { cpu: self.cpu_factor, memory: self.memory_factor };
        let read = if path == Path::new("default") {
            workload::read(workload::DEFAULT.as_bytes(), factors)
        } else {
            let unreadable = |source| Failure::Unreadable { path: path.to_owned(), source };
            workload::read(File::open(path).map_err(unreadable)?, factors)
        };
        let mut rows =
            read.map_err(|source| Failure::Workload { path: path.to_owned(), source })?;
        if rows.len() < self.count {
            let (path, rows, count) = (path.to_owned(), rows.len(), self.count);
            return Err(Failure::TooFewRows { path, rows, count });
        }
        rows.truncate(self.count);
        Ok(rows)
    }
}

/// What the nodes have, as options of the subcommand `node`.
fn node_args(flags: &InventoryFlags) -> Vec<OsString> {
    let args = [
        ("--vcpu", flags.vcpu.map(|n| n.to_string())),
        ("--memory-mb", flags.memory_mb.map(|n| n.to_string())),
        ("--disk-gb", flags.disk_gb.map(|n| n.to_string())),
        ("--cpu-ratio", flags.cpu_ratio.map(|n| n.to_string())),
        ("--memory-ratio", flags.memory_ratio.map(|n| n.to_string())),
        ("--disk-ratio", flags.disk_ratio.map(|n| n.to_string())),
        ("--zone", flags.zone.as_ref().map(ToString::to_string)),
    ];
    let names = [("--trait", &flags.traits), ("--aggregate", &flags.aggregates)];
    let names = names.into_iter().flat_map(|(option, names)| {
        names.iter().flatten().map(move |name| (option, Some(name.to_string())))
    });
    let said = args.into_iter().chain(names).filter_map(|(o, value)| Some((o, value?)));
    said.flat_map(|(option, value)| [option.into(), value.into()]).collect()
}

/// A factor of units.
fn factor(text: &str) -> Result<f64, String> {
    in_range(text, 1e-9..=1e12)
}

fn in_range(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("not a number from {} to {}", range.start(), range.end())),
    }
}

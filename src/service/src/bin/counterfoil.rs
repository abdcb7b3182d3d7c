//! Schedulers, nodes, and trial runs of both.

use clap::{Args, Parser, Subcommand, ValueEnum};
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{ClassInventory, Config, Inventory, NodeId, ResourceClass, SchedulerId};
use counterfoil_service::api::ApiError;
use counterfoil_service::monitor::Watch;
use counterfoil_service::recorder::Extent;
use counterfoil_service::serve::{Common, ServeError};
use counterfoil_service::store::StoreError;
use counterfoil_service::up::UpError;
use counterfoil_service::workload::{self, Factors, Row, WorkloadError};
use counterfoil_service::{api, node, scheduler, up};
use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

const ABOUT_EXIT: &str = "\
Exit: 0 as it should be · 1 a property was violated, or a run does not rebuild · 2 usage · \
3 it could not be carried out · 5 unreadable input";

/// Places workloads on nodes: schedulers decide from memory, nodes have the last word.
#[derive(Parser)]
#[command(version, after_help = ABOUT_EXIT)]
struct Cli {
    /// What to log on standard error: off, error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "warn")]
    log: LevelFilter,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scheduler, until SIGTERM or SIGINT.
    ///
    /// Prints `ready UDP-ADDRESS TCP-ADDRESS [HTTP-ADDRESS]` once it works.
    Scheduler(SchedulerArgs),
    /// Run a node, until SIGTERM or SIGINT.
    ///
    /// Prints `ready UDP-ADDRESS` once it works, followed by METRICS-ADDRESS if it has one. It needs
    /// no list of schedulers: it answers those that list it.
    Node(NodeArgs),
    /// Run schedulers and nodes on this machine, place a workload, and judge the run.
    ///
    /// Every process records what it is given. In the end every run is rebuilt from its recording
    /// and every property is checked at every step.
    Up(UpArgs),
}

#[derive(Args)]
struct CommonArgs {
    /// Where to listen for packets; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// Where others find it, if that is not where it listens.
    #[arg(long)]
    advertise: Option<SocketAddr>,
    /// A process of the cluster, as HOST:PORT: any, for each knows others. More than once for more.
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// The file with the key of the cluster. Without one it listens on loopback only.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// The folder to keep what must survive a restart; made if there is none.
    #[arg(long)]
    data: PathBuf,
    /// Record this life in a file, which must not be there.
    #[arg(long)]
    recording: Option<PathBuf>,
    /// Stop when standard input ends, too.
    #[arg(long)]
    until_stdin_closes: bool,
}

#[derive(Args)]
struct SchedulerArgs {
    /// The number of this scheduler, the same in all its lives.
    #[arg(long)]
    id: u32,
    /// Where to listen for clients (TCP); port 0 takes a free one.
    #[arg(long)]
    api: SocketAddr,
    /// Where to listen for requests of the HTTP API; port 0 takes a free one.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// The file with the tokens of the API: lines ROLE TOKEN. Without one it listens on loopback
    /// only.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The certificate of the API, in PEM form. Without one it listens on loopback only.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM form.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let the API listen beyond loopback without TLS.
    #[arg(long)]
    api_insecure: bool,
    #[command(flatten)]
    picking: PickingArgs,
    #[command(flatten)]
    common: CommonArgs,
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

#[derive(Args)]
struct NodeArgs {
    /// The number of this node, the same in all its lives.
    #[arg(long)]
    id: u32,
    /// Where to answer GET /metrics and /health/live; port 0 takes a free one. Plain HTTP, for
    /// everyone who reaches it: keep it on loopback, or on a network of operators.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
struct InventoryArgs {
    /// Virtual processors (VCPU).
    #[arg(long, default_value_t = 64)]
    vcpu: u64,
    /// Memory (MEMORY_MB), in MiB.
    #[arg(long, default_value_t = 512 * 1024)]
    memory_mb: u64,
    /// Disk (DISK_GB), in GiB.
    #[arg(long, default_value_t = 4096)]
    disk_gb: u64,
    /// How often each virtual processor may be given out.
    #[arg(long, default_value_t = 16.0, value_parser = ratio)]
    cpu_ratio: f64,
    /// How often each MiB of memory may be given out.
    #[arg(long, default_value_t = 1.0, value_parser = ratio)]
    memory_ratio: f64,
    /// How often each GiB of disk may be given out.
    #[arg(long, default_value_t = 1.0, value_parser = ratio)]
    disk_ratio: f64,
}

#[derive(Args)]
struct UpArgs {
    /// How many schedulers to run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    schedulers: u32,
    /// How many nodes to run.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1024))]
    nodes: u32,
    /// The workload: a CSV file with the columns of the Azure Trace for Packing 2020, or `default`.
    ///
    /// Departures count: before a row is placed, everything whose endtime is not after its
    /// starttime is released; what is still being placed then is released as soon as it is.
    #[arg(long, default_value = "default")]
    place: PathBuf,
    /// How many rows of it to place, from the first.
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// VCPU for each unit of `cores`. Amounts are rounded up.
    #[arg(long, default_value_t = 1.0, value_parser = factor)]
    cpu_factor: f64,
    /// MEMORY_MB for each unit of `ram`. Amounts are rounded up.
    #[arg(long, default_value_t = 1024.0, value_parser = factor)]
    memory_factor: f64,
    /// How many requests to seek a place for at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Halfway, kill a node and a scheduler, and start them again.
    #[arg(long)]
    crash: bool,
    /// Keep everything that the processes wrote in this folder, which must be empty or not there.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    picking: PickingArgs,
    /// What every node has.
    #[command(flatten)]
    inventory: InventoryArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// Why the program ends without a result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Up(#[from] UpError),
    #[error("{path}", path = path.display())]
    Workload { path: PathBuf, source: WorkloadError },
    #[error("{path} cannot be read", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} has {rows} rows, fewer than --count {count}", path = path.display())]
    TooFewRows { path: PathBuf, rows: usize, count: usize },
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::TooFewRows { .. }
            | Failure::Serve(
                ServeError::Keyless(_)
                | ServeError::Unspecified(_)
                | ServeError::TooMuch(_)
                | ServeError::Api(ApiError::Tokenless(_) | ApiError::Plain(_)),
            )
            | Failure::Up(UpError::NotEmpty(_)) => 2,
            Failure::Workload { .. }
            | Failure::Unreadable { .. }
            | Failure::Serve(
                ServeError::Store(StoreError { .. })
                | ServeError::Key(_)
                | ServeError::Api(ApiError::Access(_) | ApiError::Tls(_)),
            ) => 5,
            Failure::Serve(
                ServeError::Listen { .. }
                | ServeError::Folder { .. }
                | ServeError::Driver(_)
                | ServeError::Api(ApiError::Listen { .. } | ApiError::System(_))
                | ServeError::System(_),
            )
            | Failure::Up(
                UpError::Folder { .. }
                | UpError::Child(_)
                | UpError::Store(_)
                | UpError::Client(_)
                | UpError::System(_),
            ) => 3,
            Failure::Up(UpError::Stopped) => 130,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(cli.log).init();
    match run(&cli) {
        Ok(code) => code,
        Err(failure) => {
            let mut message = format!("counterfoil: {failure}");
            let mut cause = failure.source();
            while let Some(error) = cause {
                message.push_str(&format!(": {error}"));
                cause = error.source();
            }
            eprintln!("{message}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Command::Scheduler(args) => scheduler::serve(&scheduler::Options {
            id: SchedulerId(args.id),
            api: args.api,
            http: args.http(),
            policy: args.picking.policy.policy(),
            seed: args.picking.seed,
            common: args.common.common(),
        })?,
        Command::Node(args) => node::serve(
            &node::Options {
                ids: vec![NodeId(args.id)],
                inventory: args.inventory.inventory(),
                metrics: args.metrics,
                common: args.common.common(),
            },
            || None,
        )?,
        Command::Up(args) => return run_up(args, cli.log),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_up(args: &UpArgs, log: LevelFilter) -> Result<ExitCode, Failure> {
    let report = up::up(&up::Options {
        schedulers: args.schedulers,
        nodes: args.nodes,
        node_args: args.inventory.args(),
        policy: args.picking.policy,
        rows: args.rows()?,
        window: args.window.into(),
        crash: args.crash,
        seed: args.picking.seed,
        keep: args.keep.clone(),
        log: log.to_string(),
    })?;
    match args.format {
        Format::Human => println!("{report}"),
        Format::Json => {
            println!("{}", serde_json::to_string(&report).expect("a report has a JSON form"));
        }
    }
    Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl SchedulerArgs {
    fn http(&self) -> Option<api::Settings> {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        self.http.map(|listen| api::Settings {
            token_file: self.token_file.clone(),
            tls: files.map(|(certificate, key)| api::TlsFiles { certificate, key }),
            insecure: self.api_insecure,
            ..api::Settings::at(listen)
        })
    }
}

impl UpArgs {
    /// The rows to place.
    fn rows(&self) -> Result<Vec<Row>, Failure> {
        let path = &self.place;
        let factors = Factors { cpu: self.cpu_factor, memory: self.memory_factor };
        let read = if path == Path::new("default") {
            workload::read(workload::DEFAULT.as_bytes(), factors)
        } else {
            let unreadable = |source| Failure::Unreadable { path: path.clone(), source };
            workload::read(File::open(path).map_err(unreadable)?, factors)
        };
        let mut rows = read.map_err(|source| Failure::Workload { path: path.clone(), source })?;
        if rows.len() < self.count {
            let (path, rows, count) = (path.clone(), rows.len(), self.count);
            return Err(Failure::TooFewRows { path, rows, count });
        }
        rows.truncate(self.count);
        Ok(rows)
    }
}

impl CommonArgs {
    fn common(&self) -> Common {
        Common {
            listen: self.listen,
            advertise: self.advertise,
            peers: self.peers.clone(),
            key_file: self.key_file.clone(),
            data: Some(self.data.clone()),
            recording: self.recording.clone(),
            until_stdin_closes: self.until_stdin_closes,
            config: Config::default(),
            extent: Extent::default(),
            watch: Watch::default(),
        }
    }
}

impl InventoryArgs {
    fn inventory(&self) -> Inventory {
        let class = |total, ratio: f64| ClassInventory {
            allocation_ratio_milli: (ratio * 1000.0).round() as u32,
            ..ClassInventory::of(total)
        };
        let classes = [
            (ResourceClass::Vcpu, class(self.vcpu, self.cpu_ratio)),
            (ResourceClass::MemoryMb, class(self.memory_mb, self.memory_ratio)),
            (ResourceClass::DiskGb, class(self.disk_gb, self.disk_ratio)),
        ];
        Inventory { classes: classes.into_iter().collect(), ..Inventory::default() }
    }

    /// The same as options.
    fn args(&self) -> Vec<OsString> {
        let args = [
            ("--vcpu", self.vcpu.to_string()),
            ("--memory-mb", self.memory_mb.to_string()),
            ("--disk-gb", self.disk_gb.to_string()),
            ("--cpu-ratio", self.cpu_ratio.to_string()),
            ("--memory-ratio", self.memory_ratio.to_string()),
            ("--disk-ratio", self.disk_ratio.to_string()),
        ];
        args.into_iter().flat_map(|(option, value)| [option.into(), value.into()]).collect()
    }
}

/// An allocation ratio: between 0.001 and 1,000,000.
fn ratio(text: &str) -> Result<f64, String> {
    in_range(text, 0.001..=1e6)
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

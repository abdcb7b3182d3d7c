//! Measures the service, beside what it is to be measured against.

mod compare;
mod sim;

use clap::{Args, Parser, Subcommand, ValueEnum};
use counterfoil_bench::compare::{CompareError, udp};
use counterfoil_bench::faults::{self, FaultError, Size, cases, overload, soak};
use counterfoil_bench::netns;
use counterfoil_bench::relay::{Links, Relay, control};
use counterfoil_bench::service::{self, Options};
use counterfoil_bench::spawn;
use counterfoil_bench::workload::ReadError;
use counterfoil_placement::PolicyName;
use counterfoil_service::monitor::{OnViolation, Watch};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// As the daemons do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT_EXIT: &str = "\
Exit: 0 measured, nothing wrong · 1 something was wrong · 2 usage · 3 it could not be carried out · \
5 unreadable input · 130 interrupted";

/// The name under which this program is that of the daemons.
const DAEMONS: &str = "counterfoil";

/// What placements cost, and beside what; and whether they can be relied on.
#[derive(Parser)]
#[command(version, after_help = ABOUT_EXIT)]
struct Cli {
    #[command(subcommand)]
    command: Do,
}

#[derive(Subcommand)]
enum Do {
    /// The service under load, end to end over UDP on loopback.
    ///
    /// In the same run, on the same machine: two sockets that only ask and answer, and stateright's
    /// runtime with an equivalent exchange.
    Service(ServiceArgs),
    /// A cluster of real processes, killed, parted and started again under load, and then judged.
    ///
    /// All its packets go over a relay that loses, copies, delays and reorders them. In the end
    /// nothing that was confirmed may be lost, nothing else may be allocated, no node may have given
    /// out more than it has, all views must be true, and every recording must rebuild with every
    /// property kept.
    Faults(FaultsArgs),
    /// A cluster that is offered more than it can serve, then less, and then judged.
    Overload(OverloadArgs),
    /// A cluster under half the load that it can serve, for long, while nodes drain, leave, join and
    /// are started again; then judged.
    Soak(SoakArgs),
    /// A cluster in virtual time, of up to 100,000 nodes; or many small ones that go through faults.
    ///
    /// The machines are those of the service, and are judged as they run. The same seed gives the same
    /// run, and with `--no-timing` the same bytes.
    Sim(sim::SimArgs),
    /// Puts together what the shards of `sim --seeds` came to.
    Merge(sim::MergeArgs),
    /// The designs of 2016 and this project's, on the same requests and the same nodes, side by side.
    ///
    /// Filter, caching and placement-style schedulers on a database, the shared state of 2016, and
    /// counterfoil; as threads with queues between them, and as processes over UDP.
    Compare(compare::CompareArgs),
    /// A part of a comparison, for `compare`.
    #[command(hide = true)]
    Part,
    /// A relay that loses, copies, delays and reorders the packets of a cluster, and parts it.
    ///
    /// Prints the address of each process, which others are to be told with `--advertise`; then it
    /// does what it reads on standard input, until that ends.
    Relay(RelayArgs),
    /// Exchanges messages in stateright's runtime, for `service`.
    #[command(hide = true)]
    Spawn {
        /// For how long, in milliseconds.
        millis: u64,
    },
}

#[derive(Args)]
struct ServiceArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// How many fleets the nodes are in, each with one socket, and one store whose flushes serve all
    /// its nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    fleets: u32,
    /// How many schedulers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    schedulers: u32,
    /// Nodes write what they grant to disk, and flush it, before they say so.
    #[arg(long)]
    durable: bool,
    /// Requests that are open at each scheduler at once.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=4000))]
    window: u64,
    /// For how long each part is measured, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How schedulers pick a node: spread, pack or random.
    #[arg(long, default_value_t)]
    policy: PolicyName,
    /// Where random policies begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whether the parts judge their own steps: off, count, log or abort.
    #[arg(long, default_value_t = OnViolation::Off)]
    monitor: OnViolation,
    /// Of so many steps they judge one.
    #[arg(long, default_value_t = NonZeroU32::MIN)]
    monitor_one_of: NonZeroU32,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "text")]
    Human,
    /// For programs.
    Json,
}

#[derive(Args)]
struct FaultsArgs {
    /// Carry out a single scripted fault instead, or `all`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["netns", "list"])]
    case: Option<String>,
    /// List the scripted faults.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    links: LinksArgs,
    /// How many rounds: in each up to three processes are killed, and perhaps the cluster parted.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// After so many seconds no other round begins.
    #[arg(long)]
    duration: Option<u64>,
    /// Requests that arrive in a second [default: 2.5 for each node].
    #[arg(long)]
    rate: Option<f64>,
    /// Give each process a network namespace of its own instead of the relay; needs root.
    #[arg(long)]
    netns: bool,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Args)]
struct RelayArgs {
    #[command(flatten)]
    links: LinksArgs,
    /// Where everything random begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The name of a process, and where it listens.
    #[arg(required = true, value_name = "NAME=IP:PORT", value_parser = process)]
    processes: Vec<(String, SocketAddr)>,
}

/// A name and an address.
fn process(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("write NAME=IP:PORT")?;
    let address = address.parse().map_err(|_| format!("{address:?} is not IP:PORT"))?;
    Ok((name.to_owned(), address))
}

#[derive(Args)]
struct OverloadArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// For how long there is more than can be served.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// How many times more.
    #[arg(long, default_value_t = 3.0)]
    times: f64,
    /// Attempts that a scheduler works on at once; it turns away one more.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    attempts_pending_max: u32,
    /// Record every process, and judge the recordings.
    #[arg(long)]
    record: bool,
    /// Measure briefly and with few connections, for tests.
    #[arg(long, hide = true)]
    brief: bool,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Args)]
struct SoakArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// For how long.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Record every process, and judge the recordings.
    #[arg(long)]
    record: bool,
    /// Measure briefly what is served, for tests.
    #[arg(long, hide = true)]
    brief: bool,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Args)]
struct ClusterArgs {
    /// How many schedulers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    schedulers: u32,
    /// How many nodes, each in a process of its own.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=250))]
    nodes: u32,
    /// VCPU of each node.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    vcpu: u64,
    /// From a grant that nobody confirms to its lapse, in milliseconds.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1000..))]
    lapse: u64,
    /// Where everything random begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct LinksArgs {
    /// Packets that are lost, per mille.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    loss: u16,
    /// Packets that come twice, per mille.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    copies: u16,
    /// Packets that come behind later ones, per mille.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    reorder: u16,
    /// How long packets take, at least, in microseconds.
    #[arg(long, default_value_t = 0)]
    delay_min: u64,
    /// How long packets take, at most, in microseconds.
    #[arg(long, default_value_t = 2000)]
    delay_max: u64,
}

#[derive(Args)]
struct ReportArgs {
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Keep everything that the processes wrote in this folder, which must be empty or not there.
    #[arg(long)]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let started_as = std::env::args_os().next().map(PathBuf::from);
    if started_as.is_some_and(|path| path.file_name().is_some_and(|name| name == DAEMONS)) {
        return counterfoil_service::cli::main();
    }
    let done = match Cli::parse().command {
        Do::Spawn { millis } => return spawn::serve(Duration::from_millis(millis)),
        Do::Part => return udp::serve(),
        Do::Compare(args) => args.run(),
        Do::Service(args) => run(&args).map(|()| ExitCode::SUCCESS),
        Do::Faults(args) => args.run(),
        Do::Overload(args) => args.run(),
        Do::Relay(args) => args.run(),
        Do::Sim(args) => args.run(),
        Do::Merge(args) => args.run(),
        Do::Soak(args) => args.run(),
    };
    done.unwrap_or_else(|error| {
        let compared = error.downcast_ref::<CompareError>();
        let usage = error.downcast_ref::<sim::UsageError>().is_some()
            || compared.is_some_and(CompareError::is_usage);
        let unreadable = error.downcast_ref::<ReadError>().is_some()
            || compared.is_some_and(CompareError::is_unreadable)
            || error.downcast_ref::<sim::InputError>().is_some();
        let mut message = format!("bench: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        eprintln!("{message}");
        match error.downcast_ref::<FaultError>() {
            Some(FaultError::Stopped) => ExitCode::from(130),
            Some(FaultError::NotEmpty(_)) => ExitCode::from(2),
            None if usage => ExitCode::from(2),
            None if unreadable => ExitCode::from(5),
            Some(_) | None => ExitCode::from(3),
        }
    })
}

impl FaultsArgs {
    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        if self.list {
            cases::list().for_each(|(name, about)| println!("{name:<16} {about}"));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(name) = &self.case {
            return self.cases(name);
        }
        if self.netns
            && let Some(status) = netns::inside()?
        {
            return Ok(ExitCode::from(
                status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(3),
            ));
        }
        let report = faults::faults(
            &faults::Options {
                size: self.cluster.size(true),
                links: (!self.netns).then(|| self.links.links()),
                rounds: self.rounds,
                duration: self.duration.map(Duration::from_secs),
                rate: self.rate,
                seed: self.cluster.seed,
                keep: self.report.keep.clone(),
            },
            |what| eprintln!("bench: {what}"),
        )?;
        self.report.show(&report, report.fine)
    }
}

impl FaultsArgs {
    /// Carries out the case of this name, or all.
    fn cases(&self, name: &str) -> Result<ExitCode, Box<dyn Error>> {
        let all =
            cases::list().map(|(known, _)| known).filter(|known| name == "all" || name == *known);
        let mut reports = Vec::new();
        for name in all {
            eprintln!("bench: {name}");
            let keep = self.report.keep.as_ref().map(|keep| keep.join(name));
            reports.extend(cases::case(name, keep.as_deref())?);
        }
        if reports.is_empty() {
            eprintln!("bench: there is no case {name:?}: see --list");
            return Ok(ExitCode::from(2));
        }
        let fine = reports.iter().all(|report| report.fine);
        let left_out = reports.iter().all(|report| report.left_out.is_some());
        let by_name = reports.iter().map(|report| (report.case.clone(), report));
        self.report.format.print(&by_name.collect::<BTreeMap<_, _>>())?;
        Ok(match (fine, left_out) {
            (false, _) => ExitCode::from(1),
            (true, true) => ExitCode::from(3),
            (true, false) => ExitCode::SUCCESS,
        })
    }
}

impl RelayArgs {
    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let names: Vec<String> = self.processes.iter().map(|(name, _)| name.clone()).collect();
        let (ip, mut links) = (self.processes[0].1.ip(), self.links.links());
        let relay = Relay::start(self.seed, ip, &names, links)?;
        for (name, target) in &self.processes {
            relay.set_target(name, *target);
            println!("{name} {}", relay.address(name));
        }
        for line in std::io::stdin().lines() {
            match control::obey(&relay, &mut links, &line?) {
                Ok(said) => said.iter().for_each(|said| println!("{said}")),
                Err(help) => eprintln!("bench: {help}"),
            }
        }
        Format::Json.print(&relay.counts())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl OverloadArgs {
    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let mut size = self.cluster.size(self.record);
        size.more
            .extend(["--attempts-pending-max".to_owned(), self.attempts_pending_max.to_string()]);
        let options = overload::Options {
            size,
            time: Duration::from_secs_f64(self.minutes * 60.0),
            times: self.times,
            brief: self.brief,
            seed: self.cluster.seed,
            keep: self.report.keep.clone(),
        };
        let report = overload::overload(&options, |what| eprintln!("bench: {what}"))?;
        self.report.show(&report, report.fine)
    }
}

impl SoakArgs {
    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let options = soak::Options {
            size: self.cluster.size(self.record),
            time: Duration::from_secs_f64(self.minutes * 60.0),
            brief: self.brief,
            seed: self.cluster.seed,
            keep: self.report.keep.clone(),
        };
        let report = soak::soak(&options, |what| eprintln!("bench: {what}"))?;
        self.report.show(&report, report.fine)
    }
}

impl ClusterArgs {
    fn size(&self, records: bool) -> Size {
        Size {
            schedulers: self.schedulers,
            nodes: self.nodes,
            vcpu: self.vcpu,
            lapse: Duration::from_millis(self.lapse),
            records,
            more: Vec::new(),
        }
    }
}

impl LinksArgs {
    fn links(&self) -> Links {
        Links {
            loss: self.loss,
            copies: self.copies,
            reorder: self.reorder,
            delay_min: Duration::from_micros(self.delay_min),
            delay_max: Duration::from_micros(self.delay_max.max(self.delay_min)),
        }
    }
}

impl ReportArgs {
    fn show(&self, report: &impl Serialize, fine: bool) -> Result<ExitCode, Box<dyn Error>> {
        self.format.print(report)?;
        Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl Format {
    fn print(self, report: &impl Serialize) -> Result<(), Box<dyn Error>> {
        let form = serde_json::to_value(report)?;
        match self {
            Format::Json => println!("{form}"),
            Format::Human => {
                for (name, value) in form.as_object().expect("a report has fields") {
                    println!("{name:<26} {value}");
                }
            }
        }
        Ok(())
    }
}

fn run(args: &ServiceArgs) -> Result<(), Box<dyn Error>> {
    let options = Options {
        nodes: args.nodes,
        fleets: args.fleets.min(args.nodes).max(1),
        schedulers: args.schedulers,
        durable: args.durable,
        window: args.window,
        time: Duration::from_secs(args.seconds),
        policy: args.policy,
        seed: args.seed,
        watch: Watch { on_violation: args.monitor, one_of: args.monitor_one_of },
    };
    let program = std::env::current_exe()?;
    let again = |time: Duration| {
        let mut command = Command::new(&program);
        command.arg("spawn").arg(time.as_millis().to_string());
        command
    };
    let report = service::measure(&options, again, |what| eprintln!("bench: {what}"))?;
    args.format.print(&report)
}

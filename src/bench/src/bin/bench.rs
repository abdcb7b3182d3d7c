//! Measures the service, beside what it is to be measured against.

use clap::{Args, Parser, Subcommand, ValueEnum};
use counterfoil_bench::service::{self, Options};
use counterfoil_bench::spawn;
use counterfoil_placement::PolicyName;
use counterfoil_service::monitor::{OnViolation, Watch};
use std::error::Error;
use std::num::NonZeroU32;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// What placements cost, and beside what.
#[derive(Parser)]
#[command(version, after_help = "Exit: 0 measured · 2 usage · 3 it could not be carried out")]
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
    /// Exchanges messages in stateright's runtime, for `service`.
    #[command(hide = true)]
    Spawn {
        /// For how long, in milliseconds.
        millis: u64,
    },
}

#[derive(Args)]
struct ServiceArgs {
    /// How many nodes, in one process.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
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
    Human,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Do::Spawn { millis } => spawn::serve(Duration::from_millis(millis)),
        Do::Service(args) => match run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let mut message = format!("bench: {error}");
                let mut cause = error.source();
                while let Some(error) = cause {
                    message.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                eprintln!("{message}");
                ExitCode::from(3)
            }
        },
    }
}

fn run(args: &ServiceArgs) -> Result<(), Box<dyn Error>> {
    let options = Options {
        nodes: args.nodes,
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
    let form = serde_json::to_value(&report)?;
    match args.format {
        Format::Json => println!("{form}"),
        Format::Human => {
            for (name, value) in form.as_object().expect("a report has fields") {
                println!("{name:<26} {value}");
            }
        }
    }
    Ok(())
}

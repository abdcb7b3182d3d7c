//! The command line.

mod api;
mod claims;
mod daemons;
mod key;
mod nodes;
mod place;
mod screen;
mod table;
mod up;
mod watch;

pub(crate) use key::write_secret;
pub(crate) use screen::Screen;
pub(crate) use table::aligned;
pub(crate) use watch::{Seen, frame, look};

use crate::api::ApiError;
use crate::key::KeyError;
use crate::remote::{NoAnswer, RemoteError};
use crate::serve::ServeError;
use crate::settings::SettingsError;
use crate::store::StoreError;
use crate::up::UpError;
use crate::workload::WorkloadError;
use clap::{Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use place::RunError;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::level_filters::LevelFilter;

const ABOUT_EXIT: &str = "\
Exit: 0 as it should be · 1 refused, or a finding · 2 usage or configuration · \
3 it could not be carried out · 5 unreadable input · 130 interrupted";

/// Places workloads on nodes: schedulers decide from memory, nodes have the last word.
#[derive(Parser)]
#[command(name = "counterfoil", version, after_help = ABOUT_EXIT)]
struct Cli {
    /// What to log on standard error: off, error, warn, info, debug or trace [default: warn]
    #[arg(long, global = true, value_name = "LEVEL", env = "COUNTERFOIL_LOG")]
    log: Option<LevelFilter>,
    /// How to log it [default: text]
    #[arg(long, global = true, value_enum, env = "COUNTERFOIL_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

/// How to log.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// A line of text for each event.
    Text,
    /// A JSON object for each event, on a line of its own.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scheduler, until SIGTERM or SIGINT.
    ///
    /// Prints `ready UDP-ADDRESS API-ADDRESS` once it works, and tells systemd. A flag prevails
    /// over the environment, that over the file, that over the default.
    Scheduler(daemons::SchedulerArgs),
    /// Run a node, or many in one process, until SIGTERM or SIGINT.
    ///
    /// Prints `ready UDP-ADDRESS [METRICS-ADDRESS]` once it works, and tells systemd. A flag
    /// prevails over the environment, that over the file, that over the default.
    Node(daemons::NodeArgs),
    /// Run schedulers and nodes on this machine: a cluster to try, or to judge.
    ///
    /// It shows what runs, and a command to try, until Ctrl-C, SIGTERM, or the end of standard
    /// input if that is a pipe. A process that dies is started again after a second, as a service
    /// manager would: kill a node by the pid that is shown, and watch it come back with its allocations. No
    /// process outlives this one.
    ///
    /// With --place it is a trial run instead: it places a workload, stops, rebuilds every run from
    /// its recording, and checks every property at every step.
    Up(up::UpArgs),
    /// Find a place for something, and confirm it.
    ///
    /// Prints the claim of each instance: the name of what was allocated. What is chosen is written
    /// down before it is confirmed, so that `counterfoil resume` can finish what a crash left.
    Place(place::PlaceArgs),
    /// Finish what earlier runs of `counterfoil place` left when they were interrupted.
    Resume(place::ResumeArgs),
    /// Confirm what `counterfoil place --hold` holds.
    Confirm(claims::ClaimArgs),
    /// Release what was placed.
    Release(claims::ClaimArgs),
    /// What became of a claim: held, confirmed or gone.
    Get(claims::ClaimArgs),
    /// The nodes, as a scheduler knows them.
    Nodes(nodes::NodesArgs),
    /// The nodes and the last decisions of a scheduler, again and again.
    Watch(watch::WatchArgs),
    /// Have nodes take no new claims. What is there stays.
    Drain(nodes::DrainArgs),
    /// Have nodes take claims again.
    Undrain(nodes::DrainArgs),
    /// Print what a shell needs to complete this command line.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Make a key for a cluster.
    ///
    /// Every process of a cluster is given the same key, as a file, with --key-file.
    Key(key::KeyArgs),
}

/// The form of a result.
#[derive(Clone, Copy, Debug, ValueEnum)]
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
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Up(#[from] UpError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("nothing is asked for: say how much with --vcpu, --memory-mb, --disk-gb or --resource")]
    NothingAsked,
    #[error("there is no folder to keep what is not finished yet: say which with --data")]
    NoHome,
    #[error("{path}", path = path.display())]
    Workload { path: PathBuf, source: WorkloadError },
    #[error("{path} cannot be read", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} has {rows} rows, fewer than --count {count}", path = path.display())]
    TooFewRows { path: PathBuf, rows: usize, count: usize },
    #[error("{path} is there already: a key is never written over", path = path.display())]
    KeyThere { path: PathBuf },
    #[error("{path} cannot be written", path = path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Serve(ServeError::Twin { .. } | ServeError::Superseded(_)) => 1,
            Failure::Settings(_)
            | Failure::TooFewRows { .. }
            | Failure::NothingAsked
            | Failure::NoHome
            | Failure::Remote(RemoteError::Url(_))
            | Failure::NoAnswer(NoAnswer::Refused { status: 0..500, .. })
            | Failure::KeyThere { .. }
            | Failure::Serve(
                ServeError::Keyless(_)
                | ServeError::Unspecified(_)
                | ServeError::TooMuch(_)
                | ServeError::Key(_)
                | ServeError::Api(
                    ApiError::Tokenless(_)
                    | ApiError::Plain(_)
                    | ApiError::Access(_)
                    | ApiError::Tls(_),
                ),
            )
            | Failure::Up(UpError::NotEmpty(_) | UpError::Other { .. }) => 2,
            Failure::Workload { .. }
            | Failure::Unreadable { .. }
            | Failure::Remote(RemoteError::Unreadable { .. } | RemoteError::Holds { .. })
            | Failure::Run(RunError::Store(_))
            | Failure::Serve(ServeError::Store(StoreError { .. })) => 5,
            Failure::Key(_)
            | Failure::NoAnswer(NoAnswer::Unreachable { .. } | NoAnswer::Refused { .. })
            | Failure::Run(
                RunError::Folder { .. }
                | RunError::Driver(_)
                | RunError::InUse
                | RunError::TimedOut
                | RunError::Exhausted
                | RunError::Stuck
                | RunError::System(_)
                | RunError::Randomness,
            )
            | Failure::Unwritable { .. }
            | Failure::Serve(
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
                | UpError::Remote(_)
                | UpError::Refused(_)
                | UpError::System(_),
            ) => 3,
            Failure::Up(UpError::Stopped) | Failure::Run(RunError::Interrupted) => 130,
        }
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("counterfoil: {}", said(&failure));
            ExitCode::from(failure.code())
        }
    }
}

/// An error, and what caused it.
fn said(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(&format!(": {error}"));
        cause = error.source();
    }
    said
}

/// The command line, as it is parsed: every setting of a daemon can come from the environment.
pub fn command() -> Clap {
    let mut command = Cli::command();
    for daemon in ["scheduler", "node"] {
        command = command.mut_subcommand(daemon, |daemon| {
            daemon.mut_args(|arg| match arg.get_id().as_str() {
                "config" | "check_config" => arg,
                id => {
                    let name = format!("COUNTERFOIL_{}", id.to_uppercase());
                    arg.env(std::ffi::OsString::from(name))
                }
            })
        });
    }
    command
}

impl Cli {
    fn run(&self) -> Result<ExitCode, Failure> {
        if !matches!(self.command, Command::Scheduler(_) | Command::Node(_)) {
            // Those may be told by their file what to log.
            self.log(None, None);
        }
        match &self.command {
            Command::Scheduler(args) => args.run(self),
            Command::Node(args) => args.run(self),
            Command::Up(args) => args.run(self.level(None)),
            Command::Place(args) => args.run(),
            Command::Resume(args) => args.run(),
            Command::Confirm(args) => args.confirm(),
            Command::Release(args) => args.release(),
            Command::Get(args) => args.get(),
            Command::Nodes(args) => args.run(),
            Command::Watch(args) => args.run(),
            Command::Drain(args) => args.drain(),
            Command::Undrain(args) => args.undrain(),
            Command::Completions { shell } => {
                clap_complete::generate(*shell, &mut command(), "counterfoil", &mut io::stdout());
                Ok(ExitCode::SUCCESS)
            }
            Command::Key(args) => args.run(),
        }
    }

    fn level(&self, setting: Option<LevelFilter>) -> LevelFilter {
        self.log.or(setting).unwrap_or(LevelFilter::WARN)
    }

    /// Logs from now on as the flags say, or else the settings.
    fn log(&self, level: Option<LevelFilter>, format: Option<LogFormat>) {
        let subscriber = tracing_subscriber::fmt().with_writer(io::stderr);
        let subscriber = subscriber.with_max_level(self.level(level));
        match self.log_format.or(format).unwrap_or(LogFormat::Text) {
            LogFormat::Text => subscriber.init(),
            LogFormat::Json => subscriber.json().init(),
        }
    }
}

//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use counterfoil_check::checkpoint::Checkpoint;
use counterfoil_check::run;
use counterfoil_check::suite::Suite;
use counterfoil_check::walks::command::Amount;
use counterfoil_protocol::Rule;
use counterfoil_seed::Seed;
use counterfoil_world::Counterfoil;
use counterfoil_world::minimise::Budget;
use counterfoil_world::trace::kind_of;
use std::path::PathBuf;
use std::time::Duration;

/// Checks the update/claim protocol: explores every state of small clusters.
///
/// Without a command: `check run --suite quick`.
#[derive(Parser)]
#[command(name = "check", version)]
pub(crate) struct Arguments {
    /// Use only letters and signs of ASCII.
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Explore scenarios and hold the answers against what they expect.
    Run(Run),
    /// List scenarios, rules and properties.
    List,
    /// Say why the property of a saved trace is violated.
    Explain {
        /// The trace: NAME.itf.json
        trace: PathBuf,
        /// The form of the report.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Replay a saved trace through the real machines, and compare every state.
    Replay {
        /// The trace: NAME.itf.json
        trace: PathBuf,
        /// What to replay it on.
        #[arg(long, value_enum, default_value_t = On::Machines)]
        on: On,
        /// Write the run as a test in Rust that needs no file beside it: to FILE, or to standard
        /// output.
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        emit_test: Option<Option<PathBuf>>,
    },
    /// Find the shortest, then calmest, run to the violation that a saved trace shows, or that
    /// recordings of the running service do.
    Minimise {
        /// The trace: NAME.itf.json. Or recordings, or folders of them: of all processes of a
        /// cluster.
        #[arg(required = true)]
        trace: Vec<PathBuf>,
        /// Where to write it. Beside the trace if not given: NAME.min.itf.json; beside recordings:
        /// PROPERTY__recorded.min.itf.json
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How many states each search may come to.
        #[arg(long, value_name = "N", default_value_t = Budget::default().states_max)]
        states: usize,
    },
    /// Judge recordings of the running service: rebuild every run with the real machines, check every
    /// property at every step, and that whatever arrived was sent.
    Validate {
        /// Recordings, or folders of them: of all processes of a cluster, to judge them together.
        #[arg(required = true)]
        recordings: Vec<PathBuf>,
        /// The form of the report.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
        /// Save the run that leads to what is wrong in this folder. Not given: traces/found.
        #[arg(long, value_name = "FOLDER")]
        save: Option<PathBuf>,
    },
    /// Choose actions by hand.
    Explore {
        /// A name that `check list` prints, or a file.
        scenario: String,
        /// Serve stateright's Explorer at this address of this machine instead, e.g.
        /// 127.0.0.1:3000.
        #[arg(long, value_name = "ADDRESS")]
        web: Option<std::net::SocketAddr>,
    },
}

/// What a trace is replayed on.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum On {
    /// The machines, in the world of the checker.
    Machines,
    /// Also on the drivers and stores of the running service, with a network that does what the trace
    /// says.
    Cluster,
}

#[derive(clap::Args)]
pub(crate) struct Run {
    /// Names that `check list` prints, or files. None: the suite.
    pub(crate) scenarios: Vec<String>,
    /// The suite, if no scenario is named.
    #[arg(long, value_enum, default_value_t = Suite::Quick)]
    pub(crate) suite: Suite,
    /// Switch a rule off, and say what that breaks.
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) without: Vec<Rule>,
    /// Search for a violation of this property only.
    #[arg(long, value_name = "PROPERTY", value_parser = property)]
    pub(crate) property: Option<String>,
    /// Explore every state, breadth first; or take random walks, in large random clusters if no
    /// scenario is named.
    #[arg(long, value_enum, default_value_t = Search::Bfs)]
    pub(crate) search: Search,
    #[command(flatten)]
    pub(crate) amount: Amount,
    /// Go no deeper than this many actions.
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// The seed of walks, or of the fingerprints that tell states apart.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How long each scenario may take, e.g. 90s, 10m, 1h. Not given: 10m, in the suite full 1h, in
    /// the suite nightly 8h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// How much memory the search may take, e.g. 512M, 8G. Then it stops, and does not conclude.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "12G")]
    pub(crate) memory: Bytes,
    /// Keep the search in this file every ten minutes, and when time or memory runs out or it is
    /// interrupted: one scenario, states that are numbers.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Go on with the search that is kept in this file, and keep it there.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// What states are made of: persistent maps (the reference), numbers (fast), or both, which must
    /// agree. Not given: both for the whole suite quick, else numbers.
    #[arg(long, value_enum)]
    pub(crate) world: Option<Make>,
    /// Whether states that differ in names alone count as one; or both ways, which must come to the
    /// same verdict.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    pub(crate) symmetry: Switch,
    /// Whether states are left out because others show what they would: spent datagrams, orders of
    /// equal requests. Or each way, which must come to the same verdict.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) reductions: Switch,
    /// 1: the two engines one after the other; 2: side by side.
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) threads: u8,
    /// Go on after a violation that was not expected.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Save the trace of every violation, expected ones too, in this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) save: Option<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Leave times out of the report: equal runs print equal bytes.
    #[arg(long)]
    pub(crate) no_timing: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Make {
    Plain,
    Interned,
    Both,
}

/// Whether something is on, off, or both and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
    Verify,
}

impl Make {
    fn makes(self) -> Vec<run::Make> {
        match self {
            Make::Plain => vec![run::Make::Plain],
            Make::Interned => vec![run::Make::Interned],
            Make::Both => vec![run::Make::Plain, run::Make::Interned],
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Search {
    Bfs,
    Walk,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::named(name).ok_or_else(|| "there is no such rule; `check list` names them".to_owned())
}

fn property(name: &str) -> Result<String, String> {
    let known = kind_of::<Counterfoil>(name).or_else(|| kind_of::<Seed>(name)).is_some();
    known
        .then(|| name.to_owned())
        .ok_or_else(|| "there is no such property; `check list` names them".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds =
        |unit: &str, factor: u64| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(factor);
    let found = seconds("s", 1).or_else(|| seconds("m", 60)).or_else(|| seconds("h", 3600));
    found.map(Duration::from_secs).ok_or_else(|| "use a number and s, m or h".to_owned())
}

fn bytes(text: &str) -> Result<Bytes, String> {
    let count = |unit: char, shift: u32| {
        text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(1 << shift)
    };
    let found = count('M', 20).or_else(|| count('G', 30));
    found.map(Bytes).ok_or_else(|| "use a number and M or G".to_owned())
}

impl Run {
    /// What states are to be made of.
    pub(crate) fn makes(&self) -> Vec<run::Make> {
        let mut makes = match (self.world, self.symmetry, self.reductions) {
            (Some(world), _, _) => world.makes(),
            (None, Switch::On, _) => vec![run::Make::Symmetric],
            (None, Switch::Off, Switch::On) if self.is_quick() => Make::Both.makes(),
            (None, _, _) => vec![run::Make::Interned],
        };
        if self.symmetry == Switch::Verify {
            makes.push(run::Make::Symmetric);
        }
        if self.reductions == Switch::Verify {
            makes.extend([run::Make::AnyOrder, run::Make::SpentKept]);
        }
        makes
    }

    /// Where the search is kept.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let of = |file: &PathBuf, resume| Checkpoint { file: file.clone(), resume };
        let resumed = self.resume.as_ref().map(|file| of(file, true));
        resumed.or_else(|| Some(of(self.checkpoint.as_ref()?, false)))
    }

    /// Whether the whole suite is run that is small enough for the plain world too.
    fn is_quick(&self) -> bool {
        self.suite == Suite::Quick && self.scenarios.is_empty()
    }

    /// How long each scenario may take.
    pub(crate) fn time(&self) -> Duration {
        const MINUTE: u64 = 60;
        self.time.unwrap_or(Duration::from_secs(match self.suite {
            Suite::Quick | Suite::Seed => 10 * MINUTE,
            Suite::Full => 60 * MINUTE,
            Suite::Nightly => 480 * MINUTE,
        }))
    }

    /// As if nothing but `run` had been said.
    pub(crate) fn parse_default() -> Run {
        match Arguments::parse_from(["check", "run"]).command {
            Some(Command::Run(run)) => run,
            Some(_) | None => unreachable!("it said run"),
        }
    }
}

//! Simulations, as they are asked for on the command line.

use super::Format;
use clap::Args;
use counterfoil_bench::sim::large::{self, Arrivals, Options, Partition, Progress};
use counterfoil_bench::sim::scale::{self, Grid};
use counterfoil_bench::sim::seeds::{self, Counted, MergeError, Range, RangeError};
use counterfoil_bench::sim::{Links, Reach};
use counterfoil_bench::workload::{self, Workload};
use counterfoil_placement::PolicyName;
use counterfoil_protocol::Rule;
use serde::Serialize;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where the trace of a violation that was found is saved.
const FOUND: &str = "traces/found";
/// From one word about progress to the next, on a terminal and elsewhere.
const SAY_EVERY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];

#[derive(Args)]
pub(crate) struct SimArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// How many schedulers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    schedulers: u32,
    /// Where all chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many requests are measured, after the cluster is filled [default: 10 for each node].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    requests: Option<u64>,
    /// How schedulers pick a node: spread, pack or random.
    #[arg(long, default_value_t)]
    strategy: PolicyName,
    /// Whether schedulers take nodes of their own share first [default: true with pack, else false].
    #[arg(long, value_name = "BOOL")]
    own_first: Option<bool>,
    /// How full the cluster is kept, in percent of the scarcest class.
    #[arg(long, value_name = "PERCENT", default_value_t = 80)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=200))]
    load: u64,
    /// Requests that come in a second of virtual time [default: 1 for each node, 100 at least].
    #[arg(long, value_name = "PER_S", conflicts_with = "window")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// Instead of a rate: requests that are open for each scheduler, always.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4000))]
    window: Option<u64>,
    #[command(flatten)]
    links: SimLinks,
    /// The cluster falls into two parts: when, after the measurement began, for how long, and how
    /// much of it is on the first side: MS+MS or MS+MS:PERMILLE.
    #[arg(long, value_name = "AT+FOR[:PERMILLE]", value_parser = partition)]
    partition: Option<Partition>,
    /// Crashes of nodes, schedulers and clients, spread over the measurement.
    #[arg(long, default_value_t = 0)]
    restarts: u64,
    /// Nodes that drain, are emptied and leave, and as many that join, spread over the measurement.
    #[arg(long, default_value_t = 0)]
    churn: u64,
    /// From one beat to the next, in milliseconds; silence is six of them.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600_000))]
    beat: u64,
    /// Judge the steps of one node of so many [default: all, up to 10,000 nodes].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    judge_one_of: Option<u32>,
    /// Requests, in the form of azure-packing-2020 or alibaba-openb-2023.
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// Nodes, in the form of the servers or nodes of these.
    #[arg(long, value_name = "FILE")]
    nodes_from: Option<PathBuf>,
    /// How many times faster the time of a workload passes.
    #[arg(long, value_name = "TIMES", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    compress: u64,
    /// Leave out whatever differs from machine to machine: the same seed gives the same bytes.
    #[arg(long)]
    no_timing: bool,
    /// Instead: fault schedules of small clusters, one for each seed, every one judged.
    #[arg(long, value_name = "FIRST..LAST")]
    seeds: Option<String>,
    /// Of the seeds those of one shard of several, from 0: every N-th.
    #[arg(long, value_name = "I/N", requires = "seeds")]
    shard: Option<String>,
    /// Switch a rule of the protocol off, and end at the first schedule that goes wrong.
    #[arg(long, value_name = "RULE", requires = "seeds", value_parser = rule)]
    without: Vec<Rule>,
    /// Do so with each rule, one after the other.
    #[arg(long, requires = "seeds", conflicts_with_all = ["without", "shard"])]
    rules: bool,
    /// How many schedules are taken at once [default: as many as there are processors].
    #[arg(long, requires = "seeds", value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: Option<u64>,
    /// Instead: a grid of sizes, each in a process of its own, up to these nodes and schedulers.
    #[arg(long, conflicts_with_all = ["seeds", "workload", "partition", "no_timing"])]
    scale: bool,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Args)]
struct SimLinks {
    /// Datagrams that are lost, per mille.
    #[arg(long, value_name = "PERMILLE", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    loss: u16,
    /// Datagrams that come twice, per mille.
    #[arg(long, value_name = "PERMILLE", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    copies: u16,
    /// Datagrams that come behind later ones, per mille.
    #[arg(long, value_name = "PERMILLE", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    reorder: u16,
    /// How long datagrams take, in microseconds: at least and at most.
    #[arg(long, value_name = "MIN..MAX", default_value = "100..500", value_parser = delay)]
    delay: (u64, u64),
}

#[derive(Args)]
pub(crate) struct MergeArgs {
    /// Reports of all shards, in the form for programs.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// What was asked for cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// These are no seeds.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// These are not the shards of one range.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// A report that is to be merged cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = path.display())]
pub(crate) struct InputError {
    path: PathBuf,
    reason: String,
}

/// Two numbers, the first no larger.
fn delay(text: &str) -> Result<(u64, u64), String> {
    const MOST_US: u64 = 60_000_000;
    let parsed = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match parsed {
        Some((least, most)) if least <= most && most <= MOST_US => Ok((least, most)),
        Some(_) => Err(format!("the first is at most the second, and that at most {MOST_US}")),
        None => Err("write MIN..MAX, in microseconds, as 100..500".to_owned()),
    }
}

fn partition(text: &str) -> Result<Partition, String> {
    let (times, permille) = text.split_once(':').unwrap_or((text, "500"));
    let parsed = || {
        let (at, lasts) = times.split_once('+')?;
        let at_us = at.parse::<u64>().ok()?.checked_mul(1000)?;
        let for_us = lasts.parse::<u64>().ok()?.checked_mul(1000)?;
        let permille = permille.parse().ok().filter(|permille| *permille <= 1000)?;
        Some(Partition { at_us, for_us, permille })
    };
    parsed()
        .ok_or_else(|| "write AT+FOR or AT+FOR:PERMILLE, in milliseconds, as 1000+60000".to_owned())
}

fn rule(name: &str) -> Result<Rule, String> {
    let known = || Rule::ALL.map(Rule::name).join(", ");
    Rule::named(name).ok_or_else(|| format!("there is no such rule; there are: {}", known()))
}

impl SimArgs {
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        if let Some(seeds) = &self.seeds {
            let range = Range::parse(seeds, self.shard.as_deref()).map_err(UsageError::from)?;
            return if self.rules { self.every_rule(range) } else { self.seeds(range) };
        }
        if self.scale {
            return self.grid();
        }
        let said = Mutex::new(Said::new());
        let report = large::run(&self.options()?, &mut |progress| {
            said.lock().expect("nobody panics while it is held").large(progress);
        });
        said.into_inner().expect("as above").clear();
        self.format.print(&report)?;
        Ok(exit(report.fine()))
    }

    fn options(&self) -> Result<Options, Box<dyn Error>> {
        let inventories = match &self.nodes_from {
            Some(path) => workload::read_nodes(path)?,
            None => vec![workload::model_node()],
        };
        let workload = match &self.workload {
            Some(path) => Workload::Trace(workload::read_requests(path)?),
            None => workload::flavors(),
        };
        let SimLinks { loss, copies, reorder, delay } = self.links;
        let (delay_min_us, delay_max_us) = delay;
        let per_s = self.rate.unwrap_or(u64::from(self.nodes).max(100));
        let requests = self.requests.unwrap_or(u64::from(self.nodes) * 10);
        Ok(Options {
            inventories,
            nodes: self.nodes,
            schedulers: self.schedulers,
            seed: self.seed,
            requests,
            policy: self.strategy,
            own_first: self.own_first.unwrap_or(self.strategy.policy().own_first),
            load_percent: self.load,
            arrivals: self.window.map_or(Arrivals::PerSecond(per_s), Arrivals::Window),
            links: Links { loss, copies, reorder, delay_min_us, delay_max_us },
            partition: self.partition,
            restarts: self.restarts,
            churn: self.churn,
            beat_us: self.beat * 1000,
            reach: self
                .judge_one_of
                .map(|nodes_one_of| Reach { nodes_one_of, ..Reach::affordable(self.nodes) }),
            workload,
            compress: self.compress,
            timing: !self.no_timing,
        })
    }

    fn threads(&self) -> usize {
        let there = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.and_then(|threads| usize::try_from(threads).ok()).unwrap_or_else(there)
    }

    /// Fault schedules. With a rule off one that goes wrong is what should be found.
    fn seeds(&self, range: Range) -> Result<ExitCode, Box<dyn Error>> {
        let sought = !self.without.is_empty();
        let counted = self.take(range, &self.without, sought);
        if let Some(found) = counted.tally.found.first() {
            save(found.seed, &self.without)?;
        }
        self.format.print(&counted)?;
        Ok(exit(sought == (counted.tally.wrong > 0)))
    }

    fn take(&self, range: Range, without: &[Rule], until_found: bool) -> Counted {
        let said = Mutex::new(Said::new());
        let all = range.count();
        let counted = seeds::take(range, without, until_found, self.threads(), &|taken, steps| {
            let mut said = said.lock().expect("nobody panics while it is held");
            said.say(
                "seeds",
                taken * 1000 / all.max(1),
                &format!("{taken} of {all}, {steps} steps"),
            );
        });
        said.into_inner().expect("as above").clear();
        counted
    }

    /// Each rule off, one after the other.
    fn every_rule(&self, range: Range) -> Result<ExitCode, Box<dyn Error>> {
        let mut rows = Vec::new();
        for rule in Rule::ALL {
            let counted = self.take(range, &[rule], true);
            let found = counted.tally.found.first();
            let trace =
                found.and_then(|found| save(found.seed, &[rule]).transpose()).transpose()?;
            rows.push(Row {
                rule,
                seeds: counted.taken,
                seed: found.map(|found| found.seed),
                property: found.map(|found| found.property.clone()),
                trace_steps: trace.map(|(_, steps)| steps),
            });
        }
        let all = rows.iter().all(|row| row.seed.is_some());
        match self.format {
            Format::Json => println!("{:#}", serde_json::to_value(&rows)?),
            Format::Human => rows.iter().for_each(|row| println!("{}", row.line())),
        }
        Ok(exit(all))
    }

    fn grid(&self) -> Result<ExitCode, Box<dyn Error>> {
        let grid = Grid { nodes_max: self.nodes, schedulers_max: self.schedulers, seed: self.seed };
        let program = std::env::current_exe()?;
        let begin = || Command::new(&program);
        let cells = scale::cells(grid, begin, |what| eprintln!("bench: {what}"))?;
        match self.format {
            Format::Json => println!("{:#}", serde_json::to_value(&cells)?),
            Format::Human => println!("{}", scale::table(&cells)),
        }
        Ok(exit(cells.iter().all(|cell| cell.fine)))
    }
}

/// What came of a rule being off.
#[derive(Serialize)]
struct Row {
    rule: Rule,
    /// How many seeds were taken.
    seeds: u64,
    /// The first that goes wrong.
    seed: Option<u64>,
    property: Option<String>,
    /// Of the least run that was found.
    trace_steps: Option<usize>,
}

impl Row {
    fn line(&self) -> String {
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
        let property = self.property.as_deref().unwrap_or("not found");
        let steps = number(self.trace_steps.map(|steps| steps as u64));
        format!(
            "{:<34} seed {:<6} {property:<32} {steps} steps",
            self.rule.name(),
            number(self.seed)
        )
    }
}

/// Saves the trace of a seed that goes wrong; where, and how many steps it has. Says why, if there is
/// none.
fn save(seed: u64, without: &[Rule]) -> Result<Option<(PathBuf, usize)>, Box<dyn Error>> {
    let Some((property, trace)) = seeds::trace_of(seed, without) else { return Ok(None) };
    let minimised = match trace {
        Ok(minimised) => minimised,
        Err(error) => {
            eprintln!("bench: no trace of seed {seed}: {error}");
            return Ok(None);
        }
    };
    std::fs::create_dir_all(FOUND)?;
    let off = without.iter().map(|rule| format!("__without_{rule}")).collect::<String>();
    let path = Path::new(FOUND).join(format!("{property}{off}__seed_{seed}.itf.json"));
    minimised.trace.save(&path)?;
    eprintln!("bench: saved {}: {}", path.display(), minimised.words());
    Ok(Some((path, minimised.trace.steps.len())))
}

impl MergeArgs {
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let shards: Result<Vec<Counted>, InputError> =
            self.files.iter().map(|path| read(path)).collect();
        let counted = seeds::merge(&shards?).map_err(UsageError::from)?;
        self.format.print(&counted)?;
        Ok(exit((counted.tally.wrong == 0) == counted.without.is_empty()))
    }
}

fn read(path: &Path) -> Result<Counted, InputError> {
    let fault = |reason: String| InputError { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| fault(format!("line {}: {error}", error.line())))
}

fn exit(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// What is said about progress, on stderr: on a terminal one line that is written over.
struct Said {
    terminal: bool,
    phase: &'static str,
    phase_began: Instant,
    last: Instant,
}

impl Said {
    fn new() -> Said {
        let now = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        Said { terminal, phase: "", phase_began: now, last: now }
    }

    fn large(&mut self, progress: Progress) {
        let Progress { phase, permille, steps, now_us } = progress;
        let more = format!("{} ms, {steps} steps", now_us / 1000);
        self.say(phase, permille, &more);
    }

    fn say(&mut self, phase: &'static str, permille: u64, more: &str) {
        let now = Instant::now();
        if phase != self.phase {
            (self.phase, self.phase_began) = (phase, now);
        }
        if now - self.last < SAY_EVERY[usize::from(!self.terminal)] {
            return;
        }
        self.last = now;
        let spent = (now - self.phase_began).as_secs();
        let left = match permille {
            0 => String::new(),
            permille => format!(", {} s left", spent * 1000u64.saturating_sub(permille) / permille),
        };
        let line = format!("{phase} {}%{left}: {more}", permille / 10);
        let mut stderr = std::io::stderr();
        // Whether anyone sees it does not matter.
        let _ = match self.terminal {
            true => write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush()),
            false => writeln!(stderr, "bench: {line}"),
        };
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

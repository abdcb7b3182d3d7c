//! A load that a cluster can serve for long, while nodes drain, leave, join and are started again.

use super::cluster::{Cluster, Size};
use super::generator::{Generator, Pace, Tally};
use super::judge::{Recordings, Stores};
use super::overload::{close, finish, judged, measure, served, settle};
use super::usage::{Sampler, Used};
use super::{Asked, FaultError, Folder};
use counterfoil_protocol::NodeId;
use counterfoil_service::remote::Method;
use fastrand::Rng;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Connections that are kept to each scheduler.
const CONNECTIONS: usize = 100;

/// From the end of one change of the cluster to the next, in seconds.
const BETWEEN: std::ops::Range<u64> = 5..15;

/// How long one change may take before that is a finding.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a node that has left stays away.
const AWAY: Duration = Duration::from_secs(3);

/// The share of what is served that is asked for.
const SHARE: f64 = 0.5;

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub size: Size,
    /// For how long.
    pub time: Duration,
    /// Whether to measure briefly what is served: for tests, which take no figures from it.
    pub brief: bool,
    /// Where everything random begins.
    pub seed: u64,
    /// The folder to keep everything in, if it is kept.
    pub keep: Option<PathBuf>,
}

/// What was done to the cluster.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Changes {
    /// Nodes that drained, left, and joined again.
    pub left_and_joined: u64,
    /// Nodes that were stopped and started again.
    pub nodes_restarted: u64,
    /// Nodes that were killed and started again.
    pub nodes_killed: u64,
    /// Schedulers that were killed and started again.
    pub schedulers_killed: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many schedulers.
    pub schedulers: u32,
    /// How many nodes, each in a process of its own.
    pub nodes: u32,
    /// Where everything random began.
    pub seed: u64,
    /// Requests placed, confirmed and released in a second, by as many clients as are served best.
    pub served_per_s: f64,
    /// Requests that arrived in a second.
    pub offered_per_s: f64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// What was done to the cluster.
    pub changes: Changes,
    /// What came of the requests.
    pub requests: Tally,
    /// How long half of the answers took at most, in milliseconds.
    pub p50_ms: f64,
    /// How long 99 of 100 took at most, in milliseconds.
    pub p99_ms: f64,
    /// Memory and descriptors of the last life of every process.
    pub processes: Vec<Used>,
    /// What the stores of the nodes say.
    pub stores: Stores,
    /// What the recordings say, if there are any.
    pub recordings: Option<Recordings>,
    /// What was wrong.
    pub problems: Vec<String>,
    /// Whether nothing was.
    pub fine: bool,
}

/// How far a change is.
enum Change {
    /// The next is due then.
    Next(Instant),
    /// The node drains, since then.
    Drains(String, Instant),
    /// The process is away, until then.
    Away(String, Instant),
    /// The node is to take claims again, since then.
    Joins(String, Instant),
}

struct Churn {
    rng: Rng,
    change: Change,
    done: Changes,
    problems: Vec<String>,
}

/// Runs a cluster for long, and judges it.
///
/// # Errors
/// If there is no run to judge. What is wrong with it is in the report.
pub fn soak(options: &Options, progress: impl Fn(&str)) -> Result<Report, FaultError> {
    let asked = Asked::listen()?;
    let folder = Folder::new(options.keep.as_deref())?;
    let mut cluster = Cluster::start_direct(folder.path(), &options.size, options.seed)?;
    let mut problems: Vec<String> = cluster.converge(PATIENCE).err().into_iter().collect();
    let mut sampler = Sampler::new(&cluster);
    let lapse = options.size.lapse;
    let generator = Generator::start(&cluster.apis(), CONNECTIONS, lapse, options.seed)?;
    let served_per_s = served(&generator, measure(options.brief), &asked)?;
    let offered_per_s = served_per_s * SHARE;
    progress(&format!("{served_per_s:.0} served in a second; offering {offered_per_s:.0}"));

    let mut churn = Churn::new(options.seed);
    generator.take();
    let start = Instant::now();
    generator.set_pace(Pace::Open(offered_per_s));
    let mut said = start;
    sampler.run(&mut cluster, start + options.time, &asked, |cluster, now| {
        churn.step(cluster, now)?;
        if now - said >= Duration::from_secs(60) {
            said = now;
            progress(&format!("{} s: {:?}", start.elapsed().as_secs(), churn.done));
        }
        Ok(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    generator.set_pace(Pace::None);
    while !churn.is_between() {
        asked.wait_until(Instant::now() + Duration::from_millis(100))?;
        churn.step(&mut cluster, Instant::now())?;
    }
    settle(&generator, Instant::now(), &asked, &mut problems)?;
    let requests = generator.take();
    asked.wait_until(Instant::now() + options.size.lapse * 2)?;
    problems.extend(cluster.agree(PATIENCE).err());
    let kept = close(generator, &mut sampler, &cluster, &asked)?;
    let stores = finish(&mut cluster, &kept, &mut problems)?;
    let recordings = judged(&cluster, progress)?;
    problems.append(&mut churn.problems);
    problems.extend(requests.wrong.iter().cloned());
    let processes = sampler.report();
    problems.extend(processes.iter().filter_map(Used::grows));
    let millis = |part| requests.latency.quantile(part).as_secs_f64() * 1000.0;
    let fine = problems.is_empty()
        && stores.is_fine()
        && recordings.as_ref().is_none_or(Recordings::is_fine);
    Ok(Report {
        schedulers: options.size.schedulers,
        nodes: options.size.nodes,
        seed: options.seed,
        served_per_s,
        offered_per_s,
        seconds,
        changes: churn.done,
        p50_ms: millis(0.5),
        p99_ms: millis(0.99),
        requests,
        processes,
        stores,
        recordings,
        problems,
        fine,
    })
}

impl Churn {
    fn new(seed: u64) -> Churn {
        let change = Change::Next(Instant::now());
        Churn { rng: Rng::with_seed(seed), change, done: Changes::default(), problems: Vec::new() }
    }

    fn is_between(&self) -> bool {
        matches!(self.change, Change::Next(_))
    }

    fn rest(&mut self, now: Instant) {
        self.change = Change::Next(now + Duration::from_secs(self.rng.u64(BETWEEN)));
    }

    /// Goes on with the change that is under way, or begins the next if it is due.
    fn step(&mut self, cluster: &mut Cluster, now: Instant) -> Result<(), FaultError> {
        let late = |since: &Instant| now - *since > PATIENCE;
        match &self.change {
            Change::Next(due) if *due <= now => self.begin(cluster, now)?,
            Change::Next(_) => {}
            Change::Drains(name, since) if is_drained(cluster, name) || late(since) => {
                let name = name.clone();
                if late(since) {
                    self.problems.push(format!("{name} did not drain"));
                }
                cluster.process(&name).ask_to_stop();
                cluster.process(&name).wait()?;
                self.change = Change::Away(name, now + AWAY);
            }
            Change::Drains(..) => {}
            Change::Away(name, until) if *until <= now => {
                let name = name.clone();
                cluster.process(&name).start()?;
                self.change = Change::Joins(name, now);
            }
            Change::Away(..) => {}
            Change::Joins(name, since) => {
                let (name, late) = (name.clone(), late(since));
                if order(cluster, &name, "undrain") {
                    self.done.left_and_joined += 1;
                    self.rest(now);
                } else if late {
                    self.problems.push(format!("{name} did not join"));
                    self.rest(now);
                }
            }
        }
        Ok(())
    }

    /// One scheduler and one node live through it all, so that they show what a long life takes.
    fn begin(&mut self, cluster: &mut Cluster, now: Instant) -> Result<(), FaultError> {
        let (nodes, schedulers) = (cluster.size.nodes, cluster.size.schedulers);
        let node = format!("n{}", self.rng.u32(2..=nodes.max(2)));
        match self.rng.u8(0..4) {
            0 if schedulers > 1 => {
                let scheduler = format!("s{}", self.rng.u32(2..=schedulers));
                cluster.process(&scheduler).kill();
                cluster.process(&scheduler).start()?;
                self.done.schedulers_killed += 1;
            }
            1 => {
                cluster.process(&node).kill();
                cluster.process(&node).start()?;
                self.done.nodes_killed += 1;
            }
            2 => {
                cluster.process(&node).ask_to_stop();
                cluster.process(&node).wait()?;
                cluster.process(&node).start()?;
                self.done.nodes_restarted += 1;
            }
            _ => {
                if order(cluster, &node, "drain") {
                    self.change = Change::Drains(node, now);
                    return Ok(());
                }
                self.problems.push(format!("{node} was not to be drained"));
            }
        }
        self.rest(now);
        Ok(())
    }
}

/// Orders a node to do something; whether it has taken it.
fn order(cluster: &Cluster, name: &str, what: &str) -> bool {
    let path = format!("/v1/nodes/{}/{what}", &name[1..]);
    let said = cluster.remote.ask_any(Method::Post, &path, None);
    said.is_ok_and(|(_, reply)| reply.status == 200)
}

/// Whether a node takes no claims and has no allocations.
fn is_drained(cluster: &Cluster, name: &str) -> bool {
    let views = cluster.observer.views().unwrap_or_default();
    let id = NodeId(name[1..].parse().expect("it is a number"));
    views.get(&id).is_some_and(|known| known.draining && known.used.is_empty())
}

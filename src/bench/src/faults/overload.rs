//! More than a cluster can serve, and then less again.

use super::cluster::{Cluster, Size};
use super::generator::{Generator, Pace, Tally};
use super::judge::{Recordings, Stores};
use super::usage::{Sampler, Used};
use super::{Asked, FaultError, Folder};
use counterfoil_protocol::{ClaimId, RequestId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Connections that are kept to each scheduler: more than it takes requests at once.
const CONNECTIONS: usize = 1000;

/// Requests that are open at once while it is measured how many are served.
const WINDOW: usize = 64;

/// For how long that is measured.
const MEASURE: Duration = Duration::from_secs(10);

/// For how long the load that follows is looked at.
const AFTER: Duration = Duration::from_secs(20);

/// In this time after the load has fallen few may be refused any more for want of room.
const RECOVERED: Duration = Duration::from_secs(5);

/// Of what is offered so much must be sent, or it was no such overload.
const SENT: f64 = 0.95;

/// One of so many requests may be turned away at any time: arrivals are random.
const MANY: u64 = 20;

/// How long the last requests may take to come to an end.
const SETTLE: Duration = Duration::from_secs(120);

/// After so long the ends of connections were noticed.
const CLOSED: Duration = Duration::from_secs(3);

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub size: Size,
    /// For how long there is more than can be served.
    pub time: Duration,
    /// How many times more.
    pub times: f64,
    /// Whether to measure briefly and with few clients: for tests, which take no figures from it.
    pub brief: bool,
    /// Where everything random begins.
    pub seed: u64,
    /// The folder to keep everything in, if it is kept.
    pub keep: Option<PathBuf>,
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
    /// Requests that arrived in a second during the overload.
    pub offered_per_s: f64,
    /// Requests that were sent to the schedulers in a second of it.
    pub sent_per_s: f64,
    /// How many times as many as are served.
    pub sent_to_served: f64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Requests placed, confirmed and released in a second during it.
    pub served_in_overload_per_s: f64,
    /// What came of the requests of the overload.
    pub overload: Tally,
    /// How long half of the answers took at most, in milliseconds.
    pub overload_p50_ms: f64,
    /// How long 99 of 100 took at most, in milliseconds.
    pub overload_p99_ms: f64,
    /// What came of the requests after it, at half of what can be served.
    pub after: Tally,
    /// How long half of the answers took at most, in milliseconds.
    pub after_p50_ms: f64,
    /// How long 99 of 100 took at most, in milliseconds.
    pub after_p99_ms: f64,
    /// From the end of the overload until fewer than one in twenty were turned away for good, in
    /// milliseconds.
    pub recovered_ms: f64,
    /// Memory and descriptors of every process.
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

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Offers a cluster more than it can serve, then less, and judges it.
///
/// # Errors
/// If there is no run to judge. What is wrong with it is in the report.
pub fn overload(options: &Options, progress: impl Fn(&str)) -> Result<Report, FaultError> {
    let asked = Asked::listen()?;
    let folder = Folder::new(options.keep.as_deref())?;
    let mut cluster = Cluster::start_direct(folder.path(), &options.size, options.seed)?;
    let mut problems: Vec<String> = cluster.converge(SETTLE).err().into_iter().collect();
    let mut sampler = Sampler::new(&cluster);
    let connections = if options.brief { WINDOW } else { CONNECTIONS };
    let lapse = options.size.lapse;
    let generator = Generator::start(&cluster.apis(), connections, lapse, options.seed)?;
    let served_per_s = served(&generator, measure(options.brief), &asked)?;
    let offered_per_s = served_per_s * options.times;
    progress(&format!("{served_per_s:.0} served in a second; offering {offered_per_s:.0}"));

    generator.take();
    let start = Instant::now();
    generator.set_pace(Pace::Open(offered_per_s));
    sampler.run(&mut cluster, start + options.time, &asked, |_, _| Ok(()))?;
    let (overload, seconds) = (generator.take(), start.elapsed().as_secs_f64());
    let sent_per_s = (overload.arrived - overload.not_sent) as f64 / seconds;
    if sent_per_s < offered_per_s * SENT && !options.brief {
        problems.push(format!("of {offered_per_s:.0} a second {sent_per_s:.0} were sent"));
    }

    progress("less than can be served");
    let fallen = Instant::now();
    generator.set_pace(Pace::Open(served_per_s / 2.0));
    let looked_at = if options.brief { AFTER / 10 } else { AFTER };
    let until = fallen + looked_at;
    let (after, recovered) = after(&generator, &mut sampler, &mut cluster, (until, &asked))?;
    if recovered > RECOVERED {
        problems.push(format!("requests were still turned away after {} ms", millis(recovered)));
    }
    generator.set_pace(Pace::None);
    settle(&generator, fallen, &asked, &mut problems)?;
    asked.wait_until(Instant::now() + options.size.lapse * 2)?;
    let kept = close(generator, &mut sampler, &cluster, &asked)?;
    let stores = finish(&mut cluster, &kept, &mut problems)?;
    let recordings = judged(&cluster, progress)?;
    problems.extend([&overload, &after].into_iter().flat_map(|tally| tally.wrong.clone()));
    let processes = sampler.report();
    problems.extend(processes.iter().filter_map(Used::grows));
    let fine = problems.is_empty()
        && stores.is_fine()
        && recordings.as_ref().is_none_or(Recordings::is_fine);
    Ok(Report {
        schedulers: options.size.schedulers,
        nodes: options.size.nodes,
        seed: options.seed,
        served_per_s,
        offered_per_s,
        sent_per_s,
        sent_to_served: sent_per_s / served_per_s,
        seconds,
        served_in_overload_per_s: overload.released as f64 / seconds,
        overload_p50_ms: millis(overload.latency.quantile(0.5)),
        overload_p99_ms: millis(overload.latency.quantile(0.99)),
        overload,
        after_p50_ms: millis(after.latency.quantile(0.5)),
        after_p99_ms: millis(after.latency.quantile(0.99)),
        after,
        recovered_ms: millis(recovered),
        processes,
        stores,
        recordings,
        problems,
        fine,
    })
}

/// For how long it is measured how many requests are served.
pub(super) fn measure(brief: bool) -> Duration {
    if brief { MEASURE / 10 } else { MEASURE }
}

/// How many requests are served in a second, measured for `time`.
pub(super) fn served(
    generator: &Generator,
    time: Duration,
    asked: &Asked,
) -> Result<f64, FaultError> {
    generator.set_pace(Pace::Closed(WINDOW));
    asked.wait_until(Instant::now() + time / 5)?;
    generator.take();
    let start = Instant::now();
    asked.wait_until(start + time)?;
    let served = generator.take().released as f64 / start.elapsed().as_secs_f64();
    generator.set_pace(Pace::None);
    Ok(served.max(1.0))
}

/// Looks at the load after the overload: what came of it, and since when few were turned away for
/// want of room.
fn after(
    generator: &Generator,
    sampler: &mut Sampler,
    cluster: &mut Cluster,
    (until, asked): (Instant, &Asked),
) -> Result<(Tally, Duration), FaultError> {
    let (start, mut all, mut recovered) = (Instant::now(), Tally::default(), Duration::ZERO);
    let step = Duration::from_millis(100);
    let mut sampled = start;
    while Instant::now() < until {
        asked.wait_until(Instant::now() + step)?;
        let tally = generator.take();
        if tally.turned_away() * MANY > tally.arrived {
            recovered = start.elapsed();
        }
        all.add(&tally);
        if sampled.elapsed() >= Duration::from_secs(1) {
            sampler.sample(cluster);
            sampled = Instant::now();
        }
    }
    Ok((all, recovered))
}

/// Waits until every request has come to an end.
pub(super) fn settle(
    generator: &Generator,
    since: Instant,
    asked: &Asked,
    problems: &mut Vec<String>,
) -> Result<(), FaultError> {
    while generator.open() > 0 && since.elapsed() < SETTLE {
        asked.wait_until(Instant::now() + Duration::from_millis(50))?;
    }
    if generator.open() > 0 {
        problems.push(format!("{} requests did not come to an end", generator.open()));
    }
    Ok(())
}

/// Ends all clients, and looks at the processes once their connections are gone; what was placed and
/// is not known to be released.
pub(super) fn close(
    generator: Generator,
    sampler: &mut Sampler,
    cluster: &Cluster,
    asked: &Asked,
) -> Result<BTreeSet<ClaimId>, FaultError> {
    let kept = generator.kept();
    drop(generator);
    asked.wait_until(Instant::now() + CLOSED)?;
    sampler.sample(cluster);
    Ok(kept)
}

/// Stops the cluster; what the stores of its nodes say.
pub(super) fn finish(
    cluster: &mut Cluster,
    kept: &BTreeSet<ClaimId>,
    problems: &mut Vec<String>,
) -> Result<Stores, FaultError> {
    problems.extend(cluster.ended().into_iter().map(|name| format!("{name} ended by itself")));
    if let Err(error) = cluster.stop() {
        problems.push(error.to_string());
    }
    problems.extend(cluster.errors());
    if !kept.is_empty() {
        problems.push(format!("{} releases were never answered", kept.len()));
    }
    // What was confirmed was released, so nothing is promised.
    let none: BTreeMap<_, RequestId> = BTreeMap::new();
    let mut stores = Stores::read(cluster, &none)?;
    let known = |leaked: &String| kept.iter().any(|claim| leaked.starts_with(&format!("{claim} ")));
    stores.leaked.retain(|leaked| !known(leaked));
    Ok(stores)
}

/// Judges what was recorded, if it was.
pub(super) fn judged(
    cluster: &Cluster,
    progress: impl Fn(&str),
) -> Result<Option<Recordings>, FaultError> {
    if !cluster.size.records {
        return Ok(None);
    }
    progress("judging recordings");
    Recordings::read(&cluster.recordings()).map(Some)
}

//! The service under load: placements end to end, over UDP on loopback.
//!
//! Everything runs in this process, each part on a thread of its own: one fleet with all nodes, or
//! several with a part of them, and every scheduler; each with its own socket and its own store. A load that stands before each scheduler asks for places, and
//! asks again when it is answered, so that as many are open as the window says. Nobody confirms, so
//! every hold lapses, and the cluster stays as full as it is.

use crate::Figures;
use crate::clock::Clock;
use crate::histogram::Histogram;
use crate::load::{Load, Tally};
use crate::{raw, spawn};
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{
    ClassInventory, Config, Intervals, Inventory, NodeId, ResourceClass, SchedulerId,
};
use counterfoil_service::key::{Key, KeyError};
use counterfoil_service::meters::{Direction, Meters};
use counterfoil_service::monitor::Watch;
use counterfoil_service::recorder::Extent;
use counterfoil_service::scheduler::{Event, Front, View};
use counterfoil_service::serve::{Common, ServeError};
use counterfoil_service::{api, node, scheduler};
use serde::Serialize;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes.
    pub nodes: u32,
    /// How many fleets they are in, each with one socket and one store for its nodes.
    pub fleets: u32,
    /// How many schedulers.
    pub schedulers: u32,
    /// Whether nodes write what they grant to disk before they say so.
    pub durable: bool,
    /// Requests open at each scheduler at once.
    pub window: u64,
    /// For how long, after as long again to warm up.
    pub time: Duration,
    /// How schedulers pick a node.
    pub policy: PolicyName,
    /// Where random policies begin.
    pub seed: u64,
    /// How closely the parts watch themselves.
    pub watch: Watch,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// As asked for.
    pub nodes: u32,
    /// As asked for.
    pub fleets: u32,
    /// As asked for.
    pub schedulers: u32,
    /// As asked for.
    pub durable: bool,
    /// As asked for, at each scheduler.
    pub window: u64,
    /// How holds end: they lapse, or are released at once.
    pub holds_end: &'static str,
    /// For how long it was measured, in seconds.
    pub measured_s: f64,
    /// Claims granted and told to whoever asked, in a second.
    pub accepted_per_s: f64,
    /// Requests that ended in another way.
    pub not_placed: u64,
    /// From asking to being told, in microseconds.
    pub p50_us: u64,
    /// The same.
    pub p99_us: u64,
    /// Messages that were sent for each accepted claim, by all.
    pub messages_per_claim: f64,
    /// Packets that were sent for each accepted claim, by all.
    pub datagrams_per_claim: f64,
    /// Bytes of packets that were sent for each accepted claim, by all.
    pub bytes_per_claim: f64,
    /// Processor time of all parts, the load included, for each accepted claim, in microseconds.
    pub cpu_us_per_claim: f64,
    /// For how long what the scheduler knew of the chosen node had been out of date when the node was
    /// chosen, in microseconds; 0 if it was not.
    pub staleness_p50_us: u64,
    /// The same.
    pub staleness_p99_us: u64,
    /// Packets and messages that were dropped, by anyone.
    pub dropped: u64,
    /// Pairs of two datagrams of the same sizes between two sockets that do nothing else, one by one.
    pub raw_pairs_per_s: f64,
    /// Accepted claims for each such pair.
    pub ratio_to_raw: f64,
    /// The same with as many pairs in a datagram as fit, and as many datagrams in a call.
    pub raw_packed_pairs_per_s: f64,
    /// Accepted claims for each such pair.
    pub ratio_to_raw_packed: f64,
    /// Claims and verdicts, exchanged by stateright's runtime.
    pub spawn_round_trips_per_s: f64,
    /// Accepted claims for each such exchange.
    pub ratio_to_spawn: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A part of the service cannot start or go on.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system does not play along.
    #[error("the system refused a thread, a socket or a folder")]
    System(#[from] io::Error),
    /// The schedulers did not come to know all nodes.
    #[error("the schedulers did not come to know all nodes")]
    Strangers,
}

/// Below so many nodes the holds that have not lapsed would be very many on each.
const NODES_TO_LAPSE: u32 = 100;

/// Measures the service, and beside it what it is measured against.
///
/// `again` starts this program again, with the time that it is to exchange messages for in
/// stateright's runtime.
///
/// # Errors
/// If a part does not start, or the system does not play along.
pub fn measure(
    options: &Options,
    again: impl Fn(Duration) -> Command,
    mut told: impl FnMut(&str),
) -> Result<Report, ServiceError> {
    let folder = tempfile::tempdir()?;
    told("starting the cluster");
    let cluster = Cluster::start(options, folder.path())?;
    told("warming up");
    std::thread::sleep(options.time);
    told("measuring the service");
    let measured = cluster.measure(options.time);
    cluster.stop()?;
    told("measuring two sockets that do nothing else");
    let sizes = [spawn::claim(1 << 20), spawn::verdict(1 << 20)].map(spawn::bytes);
    let pair = sizes.iter().sum::<usize>();
    let raw = raw::pairs_per_s(pair / 2, options.time)?;
    let per_datagram = (counterfoil_service::packet::MESSAGE_MAX / (pair / 2)) as u64;
    let packed = raw::packed_pairs_per_s(per_datagram, options.time)?;
    told("measuring stateright's runtime");
    let spawned = spawn::round_trips_per_s(again(options.time), options.time)?;
    Ok(report(options, &measured, raw, packed, spawned))
}

fn report(
    options: &Options,
    measured: &Measured,
    raw: Figures,
    packed: Figures,
    spawned: Figures,
) -> Report {
    let accepted = measured.accepted.per_s();
    let each = |count: f64| count / (measured.accepted.count.max(1) as f64);
    Report {
        nodes: options.nodes,
        fleets: options.fleets,
        schedulers: options.schedulers,
        durable: options.durable,
        window: options.window,
        holds_end: if lapses(options) { "lapse" } else { "release" },
        measured_s: measured.accepted.time.as_secs_f64(),
        accepted_per_s: accepted,
        not_placed: measured.not_placed,
        p50_us: measured.latency.quantile(0.5).as_micros() as u64,
        p99_us: measured.latency.quantile(0.99).as_micros() as u64,
        messages_per_claim: each(measured.traffic.messages as f64),
        datagrams_per_claim: each(measured.traffic.packets as f64),
        bytes_per_claim: each(measured.traffic.bytes as f64),
        cpu_us_per_claim: each(measured.cpu.as_secs_f64() * 1e6),
        staleness_p50_us: measured.staleness.quantile(0.5).as_micros() as u64,
        staleness_p99_us: measured.staleness.quantile(0.99).as_micros() as u64,
        dropped: measured.traffic.dropped,
        raw_pairs_per_s: raw.per_s(),
        ratio_to_raw: accepted / raw.per_s(),
        raw_packed_pairs_per_s: packed.per_s(),
        ratio_to_raw_packed: accepted / packed.per_s(),
        spawn_round_trips_per_s: spawned.per_s(),
        ratio_to_spawn: accepted / spawned.per_s(),
    }
}

fn lapses(options: &Options) -> bool {
    options.nodes >= NODES_TO_LAPSE
}

/// A cluster under load.
struct Cluster {
    parts: Vec<JoinHandle<Result<(), ServeError>>>,
    fleets: Vec<node::Front>,
    schedulers: Vec<Front>,
    loads: Vec<Arc<Load>>,
    meters: Vec<Arc<Meters>>,
    over: Arc<AtomicBool>,
    clock: Arc<Clock>,
}

/// What was measured in one stretch of time.
struct Measured {
    accepted: Figures,
    not_placed: u64,
    latency: Histogram,
    staleness: Histogram,
    cpu: Duration,
    traffic: Traffic,
}

#[derive(Clone, Copy, Default)]
struct Traffic {
    messages: u64,
    packets: u64,
    bytes: u64,
    dropped: u64,
}

impl Cluster {
    fn start(options: &Options, folder: &Path) -> Result<Cluster, ServiceError> {
        let key_file = folder.join("key");
        std::fs::write(&key_file, Key::generate()?.to_hex())?;
        let lapse = if lapses(options) { Duration::from_secs(1) } else { Duration::from_secs(30) };
        let config =
            Config { intervals: Intervals { lapse, ..Intervals::default() }, ..Config::default() };
        let common = |name: &str, peers: Vec<String>, kept: bool| Common {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            peers,
            key_file: Some(key_file.clone()),
            data: kept.then(|| folder.join(name)),
            recording: None,
            until_stdin_closes: false,
            config: config.clone(),
            extent: Extent::default(),
            watch: options.watch,
        };
        let classes =
            [(ResourceClass::Vcpu, 1 << 30), (ResourceClass::MemoryMb, 1 << 40)].into_iter();
        let classes = classes.map(|(class, total)| (class, ClassInventory::of(total))).collect();
        let inventory = Inventory { classes, ..Inventory::default() };
        let clock = Arc::new(Clock::new(options.nodes));
        let ids: Vec<NodeId> = (1..=options.nodes).map(NodeId).collect();
        let (mut meters, mut parts, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fleets, mut schedulers, mut loads) = (Vec::new(), Vec::new(), Vec::new());
        for (number, ids) in ids.chunks(options.nodes.div_ceil(options.fleets) as usize).enumerate()
        {
            let mut fleet = node::Daemon::start(&node::Options {
                ids: ids.to_vec(),
                inventory: inventory.clone(),
                metrics: None,
                common: common(&format!("fleet{number}"), Vec::new(), options.durable),
            })?;
            let seen = Arc::clone(&clock);
            fleet.observe(Box::new(move |node| seen.stepped(node)));
            meters.push(fleet.meters());
            peers.push(fleet.bound_to().to_string());
            fleets.push(fleet.front());
            parts.push(part(&format!("fleet{number}"), move || fleet.run())?);
        }
        let over = Arc::new(AtomicBool::new(false));
        for id in 1..=options.schedulers {
            let mut daemon = scheduler::Daemon::start(&scheduler::Options {
                id: SchedulerId(id),
                api: api::Settings::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
                policy: options.policy.policy(),
                seed: options.seed.wrapping_add(u64::from(id)),
                common: common(&format!("s{id}"), peers.clone(), true),
            })?;
            let (front, seen) = (daemon.front(), Arc::clone(&clock));
            daemon.observe(Box::new(move |scheduler, _, node| {
                node.iter().for_each(|node| seen.chosen(scheduler, *node));
            }));
            let seeds = peers.iter().filter_map(|peer| peer.parse().ok()).collect();
            front.say(Event::Seeds(seeds)).map_err(|_| ServiceError::Strangers)?;
            meters.push(daemon.meters());
            parts.push(part(&format!("s{id}"), move || daemon.run())?);
            loads.push(Load::new(id, front.clone(), !lapses(options), Arc::clone(&over)));
            schedulers.push(front);
        }
        let cluster = Cluster { parts, fleets, schedulers, loads, meters, over, clock };
        cluster.wait_until_known(options.nodes)?;
        cluster.loads.iter().for_each(|load| load.begin(options.window));
        Ok(cluster)
    }

    /// Waits until every scheduler knows the state of every node.
    fn wait_until_known(&self, nodes: u32) -> Result<(), ServiceError> {
        let until = Instant::now() + Duration::from_secs(60);
        for front in &self.schedulers {
            loop {
                let (tell, known) = channel();
                let look = Box::new(move |view: View| {
                    let known = view.machine.nodes.values().filter(|peer| peer.host.is_some());
                    let _ = tell.send(known.count());
                });
                front.say(Event::Look(look)).map_err(|_| ServiceError::Strangers)?;
                match known.recv_timeout(Duration::from_secs(5)) {
                    Ok(known) if known == nodes as usize => break,
                    Ok(_) | Err(RecvTimeoutError::Timeout) if Instant::now() < until => {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    Ok(_) | Err(_) => return Err(ServiceError::Strangers),
                }
            }
        }
        Ok(())
    }

    fn measure(&self, time: Duration) -> Measured {
        let before = self.traffic();
        let (start, cpu) = (Instant::now(), cpu_time());
        self.loads.iter().for_each(|load| drop(load.take()));
        drop(self.clock.take());
        std::thread::sleep(time);
        let taken: Vec<Tally> = self.loads.iter().map(|load| load.take()).collect();
        let (time, cpu, after) = (start.elapsed(), cpu_time().saturating_sub(cpu), self.traffic());
        let mut latency = Histogram::default();
        taken.iter().for_each(|tally| latency.add(&tally.latency));
        Measured {
            accepted: Figures { count: taken.iter().map(|tally| tally.accepted).sum(), time },
            not_placed: taken.iter().map(|tally| tally.not_placed).sum(),
            latency,
            staleness: self.clock.take(),
            cpu,
            traffic: Traffic {
                messages: after.messages - before.messages,
                packets: after.packets - before.packets,
                bytes: after.bytes - before.bytes,
                dropped: after.dropped - before.dropped,
            },
        }
    }

    fn traffic(&self) -> Traffic {
        let mut all = Traffic::default();
        for meters in &self.meters {
            all.messages += meters.messages(Direction::Out).map(|(_, count)| count).sum::<u64>();
            all.packets += meters.packets(Direction::Out);
            all.bytes += meters.bytes(Direction::Out);
            all.dropped += meters.drops().map(|(_, count)| count).sum::<u64>();
        }
        all
    }

    fn stop(self) -> Result<(), ServiceError> {
        self.over.store(true, Ordering::Relaxed);
        for front in &self.schedulers {
            // It fails only if the scheduler has stopped, and then says why below.
            let _ = front.say(Event::Stop);
        }
        for fleet in &self.fleets {
            fleet.say(node::Event::Stop);
        }
        for part in self.parts {
            part.join().expect("a part of the service panicked")?;
        }
        Ok(())
    }
}

fn part(
    name: &str,
    run: impl FnOnce() -> Result<(), ServeError> + Send + 'static,
) -> io::Result<JoinHandle<Result<(), ServeError>>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Processor time that this process has used.
pub(crate) fn cpu_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec.unsigned_abs(), u32::try_from(usage.tv_nsec).unwrap_or(0))
}

//! A cluster that is put to the test: its processes, what is between them, and who watches.

use super::FaultError;
use super::process::{Ports, Process, Spec, program};
use super::views::{self, Observer, Views};
use crate::netns::Namespaces;
use crate::relay::{Counts, Links, Relay, Way};
use counterfoil_protocol::{Config, Incarnation, Intervals, NodeId};
use counterfoil_service::key::Key;
use counterfoil_service::monitor::Watch;
use counterfoil_service::recorder::Extent;
use counterfoil_service::remote::Remote;
use counterfoil_service::serve::Common;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From one look at the views to the next.
const LOOK: Duration = Duration::from_millis(10);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Size {
    /// How many schedulers.
    pub schedulers: u32,
    /// How many nodes, each in a process of its own.
    pub nodes: u32,
    /// VCPU of each node; MEMORY_MB is 4096 times as much, and never short.
    pub vcpu: u64,
    /// From a grant that nobody confirms to its lapse.
    pub lapse: Duration,
    /// Whether processes record what they are given.
    pub records: bool,
    /// More options of every daemon.
    pub more: Vec<String>,
}

/// What is between the processes.
pub(crate) enum Net {
    /// Nothing: they speak directly.
    Direct,
    Relay(Relay),
    Namespaces(Namespaces),
}

/// A cluster that runs. Its processes are killed when this is dropped.
pub(crate) struct Cluster {
    pub(crate) root: PathBuf,
    pub(crate) size: Size,
    pub(crate) net: Net,
    /// The schedulers, then the nodes.
    pub(crate) processes: Vec<Process>,
    pub(crate) remote: Remote,
    pub(crate) observer: Observer,
}

impl Net {
    /// Nothing passes between these and those.
    pub(crate) fn part(
        &self,
        these: &[String],
        those: &[String],
        way: Way,
    ) -> Result<(), FaultError> {
        match self {
            Net::Direct => {}
            Net::Relay(relay) => relay.part(these, those, way),
            Net::Namespaces(spaces) => spaces.part(these, those, way)?,
        }
        Ok(())
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) -> Result<(), FaultError> {
        match self {
            Net::Direct => {}
            Net::Relay(relay) => relay.heal(),
            Net::Namespaces(spaces) => spaces.heal()?,
        }
        Ok(())
    }

    /// What became of packets, if it is known.
    pub(crate) fn counts(&self) -> Option<Counts> {
        match self {
            Net::Relay(relay) => Some(relay.counts()),
            Net::Direct | Net::Namespaces(_) => None,
        }
    }
}

/// Where each process is.
struct Places {
    /// Where it listens for packets, where others find it, and where it serves clients.
    of: BTreeMap<String, (SocketAddr, SocketAddr, SocketAddr)>,
    observer: IpAddr,
}

impl Places {
    /// Where others find the schedulers.
    fn seeds(&self) -> Vec<SocketAddr> {
        let schedulers = self.of.iter().filter(|(name, _)| name.starts_with('s'));
        schedulers.map(|(_, (_, advertised, _))| *advertised).collect()
    }

    /// The subcommand and options of a process.
    fn args(&self, name: &str, root: &Path, size: &Size, seed: u64) -> Vec<OsString> {
        let (listen, advertise, api) = self.of[name];
        let scheduler = name.starts_with('s');
        let mut args: Vec<OsString> = vec![if scheduler { "scheduler" } else { "node" }.into()];
        let mut arg = |option: &str, value: String| args.extend([option.into(), value.into()]);
        arg("--id", name[1..].to_owned());
        arg("--listen", listen.to_string());
        arg("--advertise", advertise.to_string());
        arg("--data", root.join(name).display().to_string());
        arg("--key-file", root.join("key").display().to_string());
        arg("--lapse", format!("{}ms", size.lapse.as_millis()));
        self.seeds().iter().for_each(|seed| arg("--peer", seed.to_string()));
        if scheduler {
            let id: u64 = name[1..].parse().expect("it is a number");
            arg("--seed", (seed.wrapping_add(id) % (1 << 62)).to_string());
            arg("--api", api.to_string());
            if !api.ip().is_loopback() {
                arg("--token-file", root.join("token").display().to_string());
                args.push("--api-insecure".into());
            }
        } else {
            arg("--vcpu", size.vcpu.to_string());
            arg("--cpu-ratio", "1".to_owned());
            arg("--memory-mb", (4096 * size.vcpu).to_string());
        }
        args.extend(size.more.iter().map(OsString::from));
        args
    }

    fn observer(&self, root: &Path, size: &Size) -> Result<Observer, FaultError> {
        let intervals = Intervals { lapse: size.lapse, ..Intervals::default() };
        let common = Common {
            listen: SocketAddr::new(self.observer, 0),
            advertise: None,
            peers: Vec::new(),
            key_file: Some(root.join("key")),
            data: None,
            recording: None,
            extent: Extent::default(),
            until_stdin_closes: false,
            config: Config { intervals, ..Config::default() },
            watch: Watch::default(),
        };
        Observer::start(common, self.seeds())
    }
}

impl Cluster {
    /// Starts a cluster in the folder `root`, with a relay between its processes.
    pub(crate) fn start(
        root: &Path,
        size: &Size,
        seed: u64,
        links: Links,
    ) -> Result<Cluster, FaultError> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let names = names(size);
        let relay = Relay::start(seed, ip, &names, links)?;
        let mut ports = Ports::of(ip);
        let place = |name: &String| {
            let listen = ports.next();
            relay.set_target(name, listen);
            (name.clone(), (listen, relay.address(name), ports.next()))
        };
        let places = Places { of: names.iter().map(place).collect(), observer: ip };
        Cluster::start_at(root, size, seed, Net::Relay(relay), places)
    }

    /// Starts a cluster in the folder `root`, whose processes speak directly.
    pub(crate) fn start_direct(root: &Path, size: &Size, seed: u64) -> Result<Cluster, FaultError> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut ports = Ports::of(ip);
        let place = |name: String| {
            let listen = ports.next();
            (name, (listen, listen, ports.next()))
        };
        let places = Places { of: names(size).into_iter().map(place).collect(), observer: ip };
        Cluster::start_at(root, size, seed, Net::Direct, places)
    }

    /// Starts a cluster in the folder `root`, each process in a network namespace of its own.
    pub(crate) fn start_apart(root: &Path, size: &Size, seed: u64) -> Result<Cluster, FaultError> {
        let spaces = Namespaces::make(&names(size))?;
        let place = |name: &String| {
            let ip = spaces.address(name);
            let (udp, api) = (SocketAddr::new(ip, 7400), SocketAddr::new(ip, 7480));
            (name.clone(), (udp, udp, api))
        };
        let of = names(size).iter().map(place).collect();
        let places = Places { of, observer: spaces.own_address() };
        Cluster::start_at(root, size, seed, Net::Namespaces(spaces), places)
    }

    fn start_at(
        root: &Path,
        size: &Size,
        seed: u64,
        net: Net,
        places: Places,
    ) -> Result<Cluster, FaultError> {
        let folder = |source| FaultError::Folder { path: root.to_owned(), source };
        let recordings = root.join("recordings");
        std::fs::create_dir_all(&recordings).map_err(folder)?;
        write_secret(&root.join("key"), &Key::generate()?.to_hex()).map_err(folder)?;
        let token = format!("admin {}", Key::generate()?.to_hex());
        write_secret(&root.join("token"), &token).map_err(folder)?;
        let mut processes = Vec::new();
        for name in names(size) {
            let args = places.args(&name, root, size, seed);
            let by = match &net {
                Net::Direct | Net::Relay(_) => Vec::new(),
                Net::Namespaces(spaces) => spaces.enter(&name),
            };
            let recordings = size.records.then(|| recordings.clone());
            let (program, log) = (program(root)?, root.join(format!("{name}.log")));
            let mut process = Process::new(Spec { name, program, by, args, recordings, log });
            process.start()?;
            processes.push(process);
        }
        let schedulers = names(size).into_iter().filter(|name| name.starts_with('s'));
        let urls: Vec<String> =
            schedulers.map(|name| format!("http://{}", places.of[&name].2)).collect();
        let remote = Remote::new(&urls, Some(&root.join("token")), None)?;
        let observer = places.observer(root, size)?;
        let (root, size) = (root.to_owned(), size.clone());
        Ok(Cluster { root, size, net, processes, remote, observer })
    }

    /// Where the schedulers serve clients.
    pub(crate) fn apis(&self) -> Vec<SocketAddr> {
        let address = |url: &String| url.strip_prefix("http://")?.parse().ok();
        self.remote.urls().iter().map(|url| address(url).expect("it was made of one")).collect()
    }

    /// The folder of the recordings.
    pub(crate) fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    /// The process of this name.
    pub(crate) fn process(&mut self, name: &str) -> &mut Process {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.expect("names come from the cluster")
    }

    /// The nodes, and the process of each.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Process)> {
        let node =
            |process: &Process| Some(NodeId(process.name().strip_prefix('n')?.parse().ok()?));
        self.processes.iter().filter_map(move |process| Some((node(process)?, process)))
    }

    /// The processes that ended by themselves.
    pub(crate) fn ended(&mut self) -> Vec<String> {
        let ended = self
            .processes
            .iter_mut()
            .filter_map(|process| process.has_ended().then(|| process.name().to_owned()));
        ended.collect()
    }

    /// Waits until every scheduler knows of every node that runs at least what is true now; how long
    /// it took, or what is missing after `patience`.
    pub(crate) fn converge(&self, patience: Duration) -> Result<Duration, String> {
        let (start, mut truth) = (Instant::now(), None);
        let mut missing = "the observer says nothing".to_owned();
        while start.elapsed() < patience {
            if truth.is_none() {
                let seen = self.observer.views().unwrap_or_default();
                match self.whom_the_observer_misses(&seen) {
                    None => truth = Some(seen),
                    Some(node) => missing = format!("the observer has not heard of {node}"),
                }
            }
            if let Some(truth) = &truth {
                match self.who_is_behind(truth) {
                    None => return Ok(start.elapsed()),
                    Some(behind) => missing = behind,
                }
            }
            std::thread::sleep(LOOK);
        }
        Err(missing)
    }

    /// A node of whose present life the observer has not heard.
    fn whom_the_observer_misses(&self, seen: &Views) -> Option<NodeId> {
        let known = |node: NodeId, life: Incarnation| {
            seen.get(&node).is_some_and(|known| known.present && known.stamp.incarnation >= life)
        };
        let mut running = self.nodes().filter(|(_, process)| process.pid().is_some());
        let missed = running.find(|(node, p)| !known(*node, Incarnation(p.lives().into())));
        missed.map(|(node, _)| node)
    }

    /// A scheduler that knows of a node less than what is true.
    fn who_is_behind(&self, truth: &Views) -> Option<String> {
        for url in self.remote.urls() {
            let Some(seen) = views::of_scheduler(&self.remote, url) else {
                return Some(format!("{url} does not answer"));
            };
            let behind = truth.iter().filter(|(_, known)| known.present).find(|(node, known)| {
                !seen.get(node).is_some_and(|seen| seen.present && seen.stamp >= known.stamp)
            });
            if let Some((node, known)) = behind {
                let seen = seen.get(node);
                return Some(format!("{url} knows {seen:?} of {node}, which is {known:?}"));
            }
        }
        None
    }

    /// Waits until every scheduler knows of every node what is true, and nothing else; or says who
    /// does not, after `patience`.
    pub(crate) fn agree(&self, patience: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let truth = self.observer.views().unwrap_or_default();
            let views = |url: &String| views::of_scheduler(&self.remote, url);
            let other = self.remote.urls().iter().find(|url| views(url).as_ref() != Some(&truth));
            match other {
                None => return Ok(start.elapsed()),
                Some(url) if start.elapsed() >= patience => {
                    return Err(format!("{url} knows {:?}, true is {truth:?}", views(url)));
                }
                Some(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// The first error that each process has logged.
    pub(crate) fn errors(&self) -> Vec<String> {
        let first = |process: &Process| {
            let log = std::fs::read_to_string(&process.spec.log).ok()?;
            let line = log.lines().find(|line| line.contains("ERROR"))?;
            Some(format!("{} logged: {line}", process.name()))
        };
        self.processes.iter().filter_map(first).collect()
    }

    /// Asks all to stop, schedulers first, and waits until they have.
    pub(crate) fn stop(&mut self) -> Result<(), FaultError> {
        for kind in ['s', 'n'] {
            let of_kind = |process: &&mut Process| process.name().starts_with(kind);
            self.processes.iter_mut().filter(of_kind).for_each(|process| process.ask_to_stop());
            self.processes.iter_mut().filter(of_kind).try_for_each(Process::wait)?;
        }
        Ok(())
    }
}

/// The names of the processes: s1, s2, ..., n1, n2, ...
pub(crate) fn names(size: &Size) -> Vec<String> {
    let schedulers = (1..=size.schedulers).map(|id| format!("s{id}"));
    schedulers.chain((1..=size.nodes).map(|id| format!("n{id}"))).collect()
}

/// Writes what only this user may read.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}

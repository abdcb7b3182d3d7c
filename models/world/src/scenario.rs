//! A scenario: one question to the checker, with its bounds, as a TOML file.

use crate::network::Kind;
use counterfoil_protocol::{
    Actor, Inventory, Limits, Map, NodeId, RequestId, ResourceClass, Resources, Rule, Rules,
    SchedulerId, resources,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// One question, with its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// The name: that of its file.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// What the answer should be.
    pub expect: Expect,
    /// How many distinct states there should be, if all are explored.
    pub distinct: Option<u64>,
    /// The rules that are off.
    pub without: Vec<Rule>,
    /// The network.
    pub network: Kind,
    /// When timers fire.
    pub timers: Timers,
    /// Where the exploration starts.
    pub start: Start,
    /// Whether unconfirmed holds lapse freely.
    pub lapses: Lapses,
    /// How many schedulers there are from the start.
    pub schedulers: u32,
    /// Whether a client makes the requests, and confirms what is placed.
    pub clients: bool,
    /// The inventories of the nodes that are there from the start, and of those that may join.
    pub nodes: Vec<Inventory>,
    /// How many of `nodes` are there from the start.
    pub nodes_at_start: u32,
    /// The requests that may be made.
    pub requests: Vec<Request>,
    /// What else may happen from outside, each once.
    pub orders: Vec<Outside>,
    /// How often each fault may happen.
    pub faults: BTreeMap<Fault, u8>,
    /// The limits of the machines.
    pub limits: Limits,
}

/// What the answer should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Every property holds.
    Holds,
    /// The property of this name is violated.
    Violates(String),
}

/// When timers fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timers {
    /// At any moment at which they are armed.
    Any,
    /// Only once nothing that they wait for is in flight: retransmissions and beats are late, never
    /// early. An early one is a copy, or a beat that changes nothing.
    Late,
    /// As late; and a node announces a change only once what it announced before has arrived. For
    /// questions about ownership, where views need not be late in every way.
    Calm,
}

/// Where the exploration starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Nothing has been said yet.
    Cold,
    /// Every scheduler has met every node, and nothing is in flight: a state that a cold start reaches.
    Warm,
}

/// Whether unconfirmed holds lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapses {
    /// At any moment.
    Free,
    /// Only as often as the fault `lapse` has budget.
    Budget,
}

/// A request that may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// How much of each class it asks for.
    pub resources: Resources,
    /// The scheduler that its first attempt goes to; any if not given.
    pub at: Option<SchedulerId>,
}

/// Something that happens from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// A request is made.
    Place(Request),
    /// The user gives a request up.
    Release(RequestId),
    /// A node is to take no new claims.
    Drain(NodeId),
    /// A node is to take new claims again.
    Undrain(NodeId),
    /// A node has another inventory.
    Inventory(NodeId, Inventory),
    /// A node that has drained goes.
    Leave(NodeId),
    /// A new node or scheduler starts.
    Join(Actor),
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// One datagram is lost.
    Lose,
    /// One datagram is copied.
    Copy,
    /// Everything in flight is lost.
    LoseAll,
    /// A node crashes and starts again.
    NodeRestart,
    /// A scheduler crashes and starts again.
    SchedulerRestart,
    /// A client crashes and starts again.
    ClientRestart,
    /// A process crashes in the middle of a step, and starts again: some of what it said was done.
    TornWrite,
    /// A scheduler crashes for good.
    SchedulerDeath,
    /// A scheduler starts a second time while the first runs on.
    Twin,
    /// The connection between a client and a scheduler breaks.
    Disconnect,
    /// A scheduler suspects a node that is there.
    Suspicion,
    /// A node forgets a subscriber that is there.
    Forget,
    /// A client does not wait for an answer and makes another attempt beside.
    Impatience,
    /// A hold lapses.
    Lapse,
}

impl Fault {
    /// The name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Lose => "lose",
            Fault::Copy => "copy",
            Fault::LoseAll => "lose_all",
            Fault::NodeRestart => "node_restart",
            Fault::SchedulerRestart => "scheduler_restart",
            Fault::ClientRestart => "client_restart",
            Fault::TornWrite => "torn_write",
            Fault::SchedulerDeath => "scheduler_death",
            Fault::Twin => "twin",
            Fault::Disconnect => "disconnect",
            Fault::Suspicion => "suspicion",
            Fault::Forget => "forget",
            Fault::Impatience => "impatience",
            Fault::Lapse => "lapse",
        }
    }
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no scenario. The reason names the line.
    #[error("{path}: {source}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why, and where.
        source: Box<toml::de::Error>,
    },
    /// A bound cannot be.
    #[error("{path}:{line}: {reason}")]
    Bound {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1.
        line: usize,
        /// Why, and how to mend it.
        reason: String,
    },
}

/// The file, as written. Everything may come from the scenario that it extends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    extends: Option<String>,
    question: Option<String>,
    expect: Option<String>,
    violates: Option<String>,
    distinct: Option<u64>,
    without: Option<Vec<String>>,
    network: Option<Kind>,
    timers: Option<Timers>,
    start: Option<Start>,
    lapses: Option<Lapses>,
    schedulers: Option<u32>,
    clients: Option<bool>,
    nodes: Option<u32>,
    inventory: Option<Map<ResourceClass, Class>>,
    node: Option<BTreeMap<String, NodeFile>>,
    request: Option<Vec<RequestFile>>,
    order: Option<Vec<OrderFile>>,
    faults: Option<BTreeMap<Fault, u8>>,
    limits: Option<Limits>,
}

/// The inventory of one class: its total, or all of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Class {
    Total(u64),
    Full(resources::ClassInventory),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    inventory: Map<ResourceClass, Class>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    #[serde(default = "one")]
    count: u32,
    resources: Resources,
    at: Option<String>,
}

fn one() -> u32 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum OrderFile {
    Drain(String),
    Undrain(String),
    Leave(String),
    Join(String),
    Release(u64),
    Inventory { node: String, classes: Map<ResourceClass, Class> },
}

impl Scenario {
    /// The most of anything that a scenario may have.
    pub const COUNT_MAX: u32 = 64;

    /// Reads a scenario, and those that it extends, from its folder.
    pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        let mut file: File = toml::from_str(&text).map_err(|source| ScenarioError::Parse {
            path: path.to_owned(),
            source: source.into(),
        })?;
        let bound = |key: &str, reason: String| ScenarioError::Bound {
            path: path.to_owned(),
            line: line_of(&text, key),
            reason,
        };
        if let Some(base) = file.extends.take() {
            let base_path = path.with_file_name(format!("{base}.toml"));
            if base_path == path {
                return Err(bound("extends", format!("{base} extends itself")));
            }
            let text = std::fs::read_to_string(&base_path).map_err(|_| {
                bound("extends", format!("there is no scenario {base} beside this one"))
            })?;
            let base: File = toml::from_str(&text).map_err(|source| ScenarioError::Parse {
                path: base_path.clone(),
                source: source.into(),
            })?;
            if base.extends.is_some() {
                return Err(bound("extends", "extends only what extends nothing".to_owned()));
            }
            file = file.over(base);
        }
        let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        file.check(name).map_err(|(key, reason)| bound(key, reason))
    }

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        self.without.iter().fold(Rules::ALL, |rules, rule| rules.without(*rule))
    }

    /// Everything that may happen from outside.
    pub fn outside(&self) -> Vec<Outside> {
        let places = self.requests.iter().cloned().map(Outside::Place);
        places.chain(self.orders.iter().cloned()).collect()
    }

    /// Its bounds in one line.
    pub fn bounds(&self) -> String {
        let faults: Vec<String> =
            self.faults.iter().map(|(fault, times)| format!("{} {times}", fault.name())).collect();
        let faults = if faults.is_empty() { "no faults".to_owned() } else { faults.join(", ") };
        let clients = if self.clients { "with a client" } else { "no client" };
        let network = match self.network {
            Kind::Set => "set network",
            Kind::Multiset => "multiset network",
        };
        let timers = match self.timers {
            Timers::Any => "timers at any moment",
            Timers::Late => "late timers",
            Timers::Calm => "calm timers",
        };
        let lapses = match self.lapses {
            Lapses::Free => ", free lapse",
            Lapses::Budget => "",
        };
        format!(
            "{} x {} x {}, {clients}, {network}, {timers}{lapses}, {faults}",
            self.schedulers,
            self.nodes_at_start,
            self.requests.len()
        )
    }
}

impl File {
    /// This, and where it says nothing, `base`.
    fn over(self, base: File) -> File {
        File {
            extends: None,
            question: self.question.or(base.question),
            expect: self.expect.or(if self.violates.is_some() { None } else { base.expect }),
            violates: self.violates.or(base.violates),
            distinct: self.distinct,
            without: self.without.or(base.without),
            network: self.network.or(base.network),
            timers: self.timers.or(base.timers),
            start: self.start.or(base.start),
            lapses: self.lapses.or(base.lapses),
            schedulers: self.schedulers.or(base.schedulers),
            clients: self.clients.or(base.clients),
            nodes: self.nodes.or(base.nodes),
            inventory: self.inventory.or(base.inventory),
            node: self.node.or(base.node),
            request: self.request.or(base.request),
            order: self.order.or(base.order),
            faults: self.faults.or(base.faults),
            limits: self.limits.or(base.limits),
        }
    }

    /// A scenario, or the key that is wrong and why.
    fn check(self, name: String) -> Result<Scenario, (&'static str, String)> {
        let expect = match (self.expect.as_deref(), self.violates) {
            (Some("holds"), None) => Expect::Holds,
            (None, Some(property)) => Expect::Violates(property),
            (Some(other), None) => {
                return Err((
                    "expect",
                    format!(
                        "expect = {other:?}: use expect = \"holds\" or violates = \"PROPERTY\""
                    ),
                ));
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err((
                    "question",
                    "say either expect = \"holds\" or violates = \"PROPERTY\"".to_owned(),
                ));
            }
        };
        let without = self.without.unwrap_or_default();
        let without = without
            .iter()
            .map(|name| {
                Rule::named(name)
                    .ok_or(("without", format!("there is no rule {name:?}; check list names them")))
            })
            .collect::<Result<Vec<Rule>, _>>()?;
        let schedulers = count("schedulers", self.schedulers.unwrap_or(1))?;
        let nodes_at_start = count("nodes", self.nodes.unwrap_or(1))?;
        let orders = self.order.unwrap_or_default();
        let shared = inventory(&self.inventory.unwrap_or_default());
        let named = self.node.unwrap_or_default();
        for name in named.keys() {
            node_id("node", name, Scenario::COUNT_MAX)?;
        }
        let joining =
            orders.iter().filter(|o| matches!(o, OrderFile::Join(n) if n.starts_with('n')));
        let nodes_in_all = nodes_at_start + joining.count() as u32;
        let nodes: Vec<Inventory> = (1..=nodes_in_all)
            .map(|number| {
                named
                    .get(&format!("n{number}"))
                    .map_or(shared.clone(), |node| inventory(&node.inventory))
            })
            .collect();
        if let Some(empty) = nodes.iter().position(|inventory| inventory.classes.is_empty()) {
            let number = empty + 1;
            return Err((
                "nodes",
                format!(
                    "n{number} has nothing: say what with [inventory] or [node.n{number}.inventory]"
                ),
            ));
        }
        let requests = requests(&self.request.unwrap_or_default(), schedulers)?;
        let requests_in_all = requests.len() as u64;
        let orders = orders
            .into_iter()
            .map(|order| order.check(nodes_in_all, schedulers, requests_in_all))
            .collect::<Result<Vec<_>, _>>()?;
        let clients = self.clients.unwrap_or(true);
        let limits = self.limits.unwrap_or_default();
        if limits.claims_open_max == 0
            || limits.delta_log_max == 0
            || limits.claims_per_attempt_max == 0
        {
            return Err(("limits", "a limit of 0 lets nothing happen: use at least 1".to_owned()));
        }
        Ok(Scenario {
            question: self
                .question
                .ok_or(("question", "say what the scenario asks: question = \"...\"".to_owned()))?,
            name,
            expect,
            distinct: self.distinct,
            without,
            network: self.network.unwrap_or(Kind::Multiset),
            timers: self.timers.unwrap_or(Timers::Late),
            start: self.start.unwrap_or(Start::Warm),
            lapses: self.lapses.unwrap_or(Lapses::Budget),
            schedulers,
            clients,
            nodes,
            nodes_at_start,
            requests,
            orders,
            faults: self.faults.unwrap_or_default(),
            limits,
        })
    }
}

type Wrong = (&'static str, String);

fn count(key: &'static str, number: u32) -> Result<u32, Wrong> {
    let max = Scenario::COUNT_MAX;
    if (1..=max).contains(&number) {
        Ok(number)
    } else {
        Err((key, format!("{key} = {number}: use 1 to {max}")))
    }
}

fn inventory(classes: &Map<ResourceClass, Class>) -> Inventory {
    let classes = classes.iter().map(|(class, of_class)| {
        let of_class = match of_class {
            Class::Total(total) => resources::ClassInventory::of(*total),
            Class::Full(full) => full.clone(),
        };
        (class.clone(), of_class)
    });
    Inventory { classes: classes.collect(), ..Inventory::default() }
}

fn requests(files: &[RequestFile], schedulers: u32) -> Result<Vec<Request>, Wrong> {
    let mut requests = Vec::new();
    for file in files {
        let at = match &file.at {
            None => None,
            Some(name) => Some(SchedulerId(numbered("at", 's', name, schedulers)?)),
        };
        for _ in 0..count("count", file.count)? {
            let id = RequestId(requests.len() as u64 + 1);
            requests.push(Request { id, resources: file.resources.clone(), at });
        }
    }
    if requests.len() > Scenario::COUNT_MAX as usize {
        return Err((
            "request",
            format!("{} requests: use up to {}", requests.len(), Scenario::COUNT_MAX),
        ));
    }
    Ok(requests)
}

fn node_id(key: &'static str, name: &str, max: u32) -> Result<NodeId, Wrong> {
    numbered(key, 'n', name, max).map(NodeId)
}

fn numbered(key: &'static str, prefix: char, name: &str, max: u32) -> Result<u32, Wrong> {
    let number = name.strip_prefix(prefix).and_then(|number| number.parse().ok());
    match number {
        Some(number) if (1..=max).contains(&number) => Ok(number),
        Some(_) | None => Err((key, format!("{name:?}: use {prefix}1 to {prefix}{max}"))),
    }
}

impl OrderFile {
    fn check(self, nodes: u32, schedulers: u32, requests: u64) -> Result<Outside, Wrong> {
        Ok(match self {
            OrderFile::Drain(name) => Outside::Drain(node_id("drain", &name, nodes)?),
            OrderFile::Undrain(name) => Outside::Undrain(node_id("undrain", &name, nodes)?),
            OrderFile::Leave(name) => Outside::Leave(node_id("leave", &name, nodes)?),
            OrderFile::Inventory { node, classes } => {
                Outside::Inventory(node_id("inventory", &node, nodes)?, inventory(&classes))
            }
            OrderFile::Release(request) if (1..=requests).contains(&request) => {
                Outside::Release(RequestId(request))
            }
            OrderFile::Release(request) => {
                return Err((
                    "release",
                    format!("release = {request}: there are requests 1 to {requests}"),
                ));
            }
            OrderFile::Join(name) if name.starts_with('n') => {
                Outside::Join(Actor::Node(node_id("join", &name, nodes)?))
            }
            OrderFile::Join(name) => {
                let number = numbered("join", 's', &name, schedulers + Scenario::COUNT_MAX)?;
                Outside::Join(Actor::Scheduler(SchedulerId(number)))
            }
        })
    }
}

/// The line on which `key` is set, from 1; the first if it is not.
fn line_of(text: &str, key: &str) -> usize {
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        line.strip_prefix(key)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    text.lines().position(sets).map_or(1, |index| index + 1)
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Holds => f.write_str("holds"),
            Expect::Violates(property) => write!(f, "violates {property}"),
        }
    }
}

//! Reading a scenario, and checking that its bounds can be.

use super::{
    Design, Expect, Fault, Lapses, Outside, Request, Scenario, ScenarioError, Start, Timers,
};
use crate::network::Kind;
use counterfoil_protocol::{
    Actor, GroupId, Inventory, Limits, Map, NodeId, RequestId, ResourceClass, Resources, Rule,
    SchedulerId, Set, resources,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

impl Scenario {
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
}

/// The file, as written. Everything may come from the scenario that it extends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    extends: Option<String>,
    question: Option<String>,
    expect: Option<String>,
    violates: Option<String>,
    protocol: Option<String>,
    flaw: Option<String>,
    answer: Option<String>,
    numbers: Option<Vec<u64>>,
    symmetry: Option<bool>,
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
    only_lose: Option<Vec<String>>,
    faults_in_all: Option<u8>,
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
    #[serde(default)]
    near: Set<GroupId>,
    #[serde(default)]
    apart: Map<GroupId, u32>,
    at: Option<String>,
    /// Whether they are a bundle.
    #[serde(default)]
    together: bool,
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
    Disable(String),
    Release(u64),
    Inventory { node: String, classes: Map<ResourceClass, Class> },
}

impl File {
    /// This, and where it says nothing, `base`.
    fn over(self, base: File) -> File {
        File {
            extends: None,
            question: self.question.or(base.question),
            expect: self.expect.or(if self.violates.is_some() { None } else { base.expect }),
            violates: self.violates.or(base.violates),
            protocol: self.protocol.or(base.protocol),
            flaw: self.flaw.or(base.flaw),
            answer: self.answer.or(base.answer),
            numbers: self.numbers.or(base.numbers),
            symmetry: self.symmetry.or(base.symmetry),
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
            only_lose: self.only_lose.or(base.only_lose),
            faults_in_all: self.faults_in_all.or(base.faults_in_all),
            limits: self.limits.or(base.limits),
        }
    }

    /// A scenario, or the key that is wrong and why.
    fn check(self, name: String) -> Result<Scenario, Wrong> {
        let expect = expect(self.expect.as_deref(), self.violates)?;
        let without = self.without.unwrap_or_default();
        let without =
            without.iter().map(|name| rule(name)).collect::<Result<Vec<Rule>, Wrong>>()?;
        let schedulers = count("schedulers", self.schedulers.unwrap_or(1))?;
        let nodes_at_start = count("nodes", self.nodes.unwrap_or(1))?;
        let orders = self.order.unwrap_or_default();
        let joining =
            orders.iter().filter(|o| matches!(o, OrderFile::Join(n) if n.starts_with('n')));
        let nodes_in_all = nodes_at_start + joining.count() as u32;
        let nodes = inventories(
            nodes_in_all,
            &self.inventory.unwrap_or_default(),
            &self.node.unwrap_or_default(),
        )?;
        let requests = requests(&self.request.unwrap_or_default(), schedulers)?;
        let clients = self.clients.unwrap_or(true);
        if !clients && requests.iter().any(|request| !request.bundle.is_empty()) {
            return Err(("together", "only a client places requests together".to_owned()));
        }
        let requests_in_all = requests.len() as u64;
        let orders = orders
            .into_iter()
            .map(|order| order.check(nodes_in_all, schedulers, requests_in_all))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Scenario {
            question: self
                .question
                .ok_or(("question", "say what the scenario asks: question = \"...\"".to_owned()))?,
            name,
            expect,
            protocol: self.protocol.as_deref().map_or(Ok(Design::default()), design)?,
            flaw: self.flaw,
            answer: self.answer,
            numbers: self.numbers.unwrap_or_default(),
            symmetry: self.symmetry.unwrap_or(false),
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
            only_lose: self.only_lose.unwrap_or_default(),
            faults_in_all: self.faults_in_all,
            limits: limits(self.limits.unwrap_or_default())?,
        })
    }
}

/// The key that is wrong, and why.
type Wrong = (&'static str, String);

fn expect(expect: Option<&str>, violates: Option<String>) -> Result<Expect, Wrong> {
    match (expect, violates) {
        (Some("holds"), None) => Ok(Expect::Holds),
        (None, Some(property)) => Ok(Expect::Violates(property)),
        (Some(other), None) => Err((
            "expect",
            format!("expect = {other:?}: use expect = \"holds\" or violates = \"PROPERTY\""),
        )),
        (None, None) | (Some(_), Some(_)) => {
            Err(("question", "say either expect = \"holds\" or violates = \"PROPERTY\"".to_owned()))
        }
    }
}

fn rule(name: &str) -> Result<Rule, Wrong> {
    let reason = || format!("there is no rule {name:?}; check list names them");
    Rule::named(name).ok_or_else(|| ("without", reason()))
}

fn design(name: &str) -> Result<Design, Wrong> {
    let known = || Design::ALL.map(Design::name).join(", ");
    let reason = || format!("there is no protocol {name:?}: use one of {}", known());
    Design::named(name).ok_or_else(|| ("protocol", reason()))
}

fn limits(limits: Limits) -> Result<Limits, Wrong> {
    let least = [
        limits.claims_open_max,
        limits.delta_log_max as u64,
        u64::from(limits.claims_per_attempt_max),
    ];
    if least.contains(&0) {
        return Err(("limits", "a limit of 0 lets nothing happen: use at least 1".to_owned()));
    }
    Ok(limits)
}

/// What each node has: its own inventory, or the one that all share.
fn inventories(
    nodes: u32,
    shared: &Map<ResourceClass, Class>,
    named: &BTreeMap<String, NodeFile>,
) -> Result<Vec<Inventory>, Wrong> {
    for name in named.keys() {
        node_id("node", name, Scenario::COUNT_MAX)?;
    }
    let of = |number: u32| {
        let own = named.get(&format!("n{number}"));
        inventory(own.map_or(shared, |node| &node.inventory))
    };
    let nodes: Vec<Inventory> = (1..=nodes).map(of).collect();
    match nodes.iter().position(|inventory| inventory.classes.is_empty()) {
        None => Ok(nodes),
        Some(empty) => {
            let number = empty + 1;
            let how = format!("say what with [inventory] or [node.n{number}.inventory]");
            Err(("nodes", format!("n{number} has nothing: {how}")))
        }
    }
}

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
        let first = requests.len() as u64 + 1;
        let ids = first..first + u64::from(count("count", file.count)?);
        let bundle: Set<RequestId> = match file.together {
            true => ids.clone().map(RequestId).collect(),
            false => Set::default(),
        };
        for id in ids.map(RequestId) {
            let RequestFile { resources, near, apart, .. } = file.clone();
            requests.push(Request { id, resources, near, apart, at, bundle: bundle.clone() });
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
            OrderFile::Disable(name) => {
                Outside::Disable(SchedulerId(numbered("disable", 's', &name, schedulers)?))
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

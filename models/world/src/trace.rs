//! Saved runs: what happened, action by action, in a file that other tools can show.
//!
//! A trace is a file of the Informal Trace Format with one section more, `#check`. The states in it
//! are for other tools and for comparing; the scenario and the actions alone rebuild them.

mod open;

use crate::cluster::{Action, Cluster};
use crate::itf;
use crate::protocol::Protocol;
use crate::replay::{Outcome, Replay, replay};
use crate::scenario::{Design, Outside, Scenario};
use counterfoil_protocol::{Actor, Address, Rule};
pub use open::protocol_of;
use open::{Opened, opened, read};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The version of the section `#check` that is written, and the latest that is read.
pub const VERSION: u64 = 1;

/// The largest file that is read, in bytes. A run of a thousand steps takes far less.
pub const BYTES_MAX: u64 = 64 << 20;

/// The variables of a state in a trace, each with its type.
pub const VARIABLES: [(&str, &str); 10] = [
    ("processes", "Str -> PROCESS"),
    ("disks", "Str -> DISK"),
    ("network", "DATAGRAM -> FLIGHT"),
    ("mail", "Set(MAIL)"),
    ("choices", "Set(<<Str, CHOICE>>)"),
    ("to_come", "Set(Int)"),
    ("budget", "Str -> Int"),
    ("history", "HISTORY"),
    ("violated", "Str -> VIOLATION"),
    (ACTION_TAKEN, "Str"),
];

/// The variable that says which kind of action led to a state.
pub const ACTION_TAKEN: &str = "mbt::actionTaken";

/// A run, with the scenario that it is a run of and the property that it is about.
#[derive(Clone, Debug)]
pub struct Trace<P: Protocol> {
    /// The scenario.
    pub scenario: Scenario,
    /// What found the run.
    pub engine: String,
    /// The name of the property.
    pub property: String,
    /// Which kind of property it is.
    pub kind: Kind,
    /// What a replay should show.
    pub expect: Expected,
    /// What happened.
    pub steps: Vec<Action<P>>,
    /// For liveness: the step whose state the last step leads back to. `None` if the run ends where
    /// nothing fair changes anything any more.
    pub back_to: Option<usize>,
    /// The command that finds the run again.
    pub command: String,
    /// The states in the file that it was read from, to compare with.
    stored: Vec<Box<RawValue>>,
}

/// Which kind of property a trace is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is judged at every step.
    Safety,
    /// It is judged on what the run comes to in the end.
    Liveness,
}

/// What a replay should show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// The property is violated: a rule is off, or the design has that flaw.
    Witness,
    /// The property holds: what once violated it is mended.
    Regression,
}

/// Why a trace cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any trace.
    #[error(
        "{path}: is larger than any trace: over {max} MiB; `check minimise` makes a run shorter",
        max = BYTES_MAX >> 20
    )]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file ends before it is whole.
    #[error("{path}: is cut short: {source}")]
    Truncated {
        /// Which.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// The file is no JSON.
    #[error("{path}: is damaged, or no trace: {source}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why, and where.
        source: serde_json::Error,
    },
    /// The file was not written by the checker.
    #[error("{path}: is no trace of the checker: it has no section \"#check\" with a version")]
    NoTrace {
        /// Which.
        path: PathBuf,
    },
    /// The file was written by a newer checker.
    #[error(
        "{path}: was written by a newer checker: version {version}, and this reads up to {VERSION}"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// The section is not what its version says.
    #[error("{path}: its section \"#check\" cannot be understood: {source}")]
    Section {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The trace is of a protocol that does not exist.
    #[error("{path}: is of the protocol {protocol}, and there is no such protocol")]
    NoSuchProtocol {
        /// Which.
        path: PathBuf,
        /// The name.
        protocol: String,
    },
    /// The trace is of another protocol than is wanted.
    #[error("{path}: is of the protocol {}, which cannot be taken here", .protocol.name())]
    OtherProtocol {
        /// Which.
        path: PathBuf,
        /// Its protocol.
        protocol: Design,
    },
    /// The trace is about a property that does not exist.
    #[error("{path}: is about {property}, and there is no such property")]
    NoSuchProperty {
        /// Which.
        path: PathBuf,
        /// The name.
        property: String,
    },
    /// The run cannot be written: it does not happen.
    #[error("{path}: not written: {reason}")]
    Unreal {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What is read of the section `#check`.
#[derive(Deserialize)]
#[serde(bound = "")]
struct Section<P: Protocol> {
    scenario: Scenario,
    engine: String,
    result: Finding,
    steps: Vec<Action<P>>,
    command: String,
}

/// What a trace is about.
#[derive(Serialize, Deserialize)]
struct Finding {
    property: String,
    kind: Kind,
    expect: Expected,
    back_to: Option<usize>,
}

/// The kind of the property of this name, if there is one.
pub fn kind_of<P: Protocol>(property: &str) -> Option<Kind> {
    let named = |all: &[crate::protocol::Property]| all.iter().any(|p| p.name == property);
    if named(P::safety()) {
        Some(Kind::Safety)
    } else {
        named(P::liveness()).then_some(Kind::Liveness)
    }
}

impl<P: Protocol> Trace<P> {
    /// A run of `scenario` that is about `property`. With a rule off, or of another design, it is a
    /// witness.
    ///
    /// # Panics
    /// If there is no property of that name.
    pub fn new(scenario: Scenario, property: &str, steps: Vec<Action<P>>) -> Self {
        let kind = kind_of::<P>(property).unwrap_or_else(|| panic!("no property {property}"));
        let mended = scenario.without.is_empty() && scenario.protocol == Design::Counterfoil;
        Trace {
            command: format!("check run {} --property {property}", scenario.name),
            scenario,
            engine: String::new(),
            property: property.to_owned(),
            kind,
            expect: if mended { Expected::Regression } else { Expected::Witness },
            steps,
            back_to: None,
            stored: Vec::new(),
        }
    }

    /// What the property says.
    pub fn statement(&self) -> &'static str {
        let mut all = P::safety().iter().chain(P::liveness());
        all.find(|property| property.name == self.property).map_or("", |found| found.statement)
    }

    /// The states of the file that it was read from, as they are written there; none if it was not
    /// read from a file.
    pub fn stored(&self) -> &[Box<RawValue>] {
        &self.stored
    }

    /// Writes the run, with every state of it.
    pub fn save(&self, path: &Path) -> Result<(), TraceError> {
        let replay = replay(self);
        if let Outcome::Diverged(divergence) = &replay.outcome {
            let (path, reason) = (path.to_owned(), divergence.to_string());
            return Err(TraceError::Unreal { path, reason });
        }
        std::fs::write(path, self.written(&replay))
            .map_err(|source| TraceError::Write { path: path.to_owned(), source })
    }

    /// The text of the file of this run, which was replayed: one line per state and per step, so that
    /// versions can be compared.
    pub fn written(&self, replay: &Replay<P>) -> String {
        let names: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
        let types: Map<String, Value> =
            VARIABLES.iter().map(|(name, of)| (name.to_string(), json!(of))).collect();
        let meta = json!({
            "format": "ITF",
            "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
            "source": self.scenario.name,
            "description": format!("{}: {}", self.property, self.statement()),
            "varTypes": types,
        });
        let states = replay.values().map(|state| Value::Object(state).to_string()).collect();
        let back_to = match self.kind {
            Kind::Safety => String::new(),
            Kind::Liveness => {
                format!("\"loop\": {},\n", self.back_to.unwrap_or(self.steps.len()))
            }
        };
        format!(
            "{{\n\"#meta\": {meta},\n\"vars\": {vars},\n\"states\": {states},\n{back_to}\
             \"#check\": {section}\n}}\n",
            vars = json!(names),
            states = whole_lines(states),
            section = self.section(replay),
        )
    }

    fn section(&self, replay: &Replay<P>) -> String {
        let finding = Finding {
            property: self.property.clone(),
            kind: self.kind,
            expect: self.expect,
            back_to: self.back_to,
        };
        let without: Vec<&str> =
            self.scenario.without.iter().map(|rule: &Rule| rule.name()).collect();
        let steps: Vec<Value> = self.steps.iter().map(plain).collect();
        let actors: Vec<String> = replay.actors().iter().map(ToString::to_string).collect();
        let messages: Vec<Value> = replay
            .messages
            .iter()
            .map(|m| json!({ "name": m.name(), "says": m.text, "fate": m.to_string() }))
            .collect();
        let why: Vec<Value> = crate::explain::why(self, replay).lines().map(Value::from).collect();
        let parts = [
            ("version", VERSION.to_string()),
            ("scenario", plain(&self.scenario).to_string()),
            ("without", json!(without).to_string()),
            ("engine", json!(self.engine).to_string()),
            ("result", plain(&finding).to_string()),
            ("actors", json!(actors).to_string()),
            ("messages", lines(&messages)),
            ("steps", lines(&steps)),
            ("why", lines(&why)),
            ("command", json!(self.command).to_string()),
        ];
        let parts: Vec<String> = parts.map(|(key, text)| format!("\"{key}\": {text}")).to_vec();
        format!("{{\n{}\n}}", parts.join(",\n"))
    }

    /// Reads a run: its scenario and its actions. The states beside them are kept to compare with.
    pub fn load(path: &Path) -> Result<Self, TraceError> {
        let to = || path.to_owned();
        let bytes = read(path)?;
        let Opened { section, protocol, states } = opened(path, &bytes)?;
        if !P::speaks(protocol) {
            return Err(TraceError::OtherProtocol { path: to(), protocol });
        }
        let section: Section<P> = serde_json::from_value(section)
            .map_err(|source| TraceError::Section { path: to(), source })?;
        let reason = lacks_a_node(&section.scenario).or_else(|| has_too_many(&section.scenario));
        if let Some(reason) = reason {
            let source = serde::de::Error::custom(reason);
            return Err(TraceError::Section { path: to(), source });
        }
        let property = section.result.property;
        let Some(kind) = kind_of::<P>(&property) else {
            return Err(TraceError::NoSuchProperty { path: to(), property });
        };
        let states = states.map_or("null", RawValue::get);
        let stored: Vec<Box<RawValue>> = serde_json::from_str(states)
            .map_err(|source| TraceError::Section { path: to(), source })?;
        if stored.iter().any(|state| !state.get().starts_with('{')) {
            let source = serde::de::Error::custom("a state is no object");
            return Err(TraceError::Section { path: to(), source });
        }
        Ok(Trace {
            scenario: section.scenario,
            engine: section.engine,
            property,
            kind,
            expect: section.result.expect,
            steps: section.steps,
            back_to: section.result.back_to,
            command: section.command,
            stored,
        })
    }
}

/// What a scenario has more of than it may: reading one rules that out, and a trace may have been
/// edited.
fn has_too_many(scenario: &Scenario) -> Option<String> {
    const OUTSIDE_MAX: usize = 255;
    let most = Scenario::COUNT_MAX;
    if scenario.schedulers > most {
        return Some(format!("{} schedulers: up to {most}", scenario.schedulers));
    }
    let outside = scenario.outside().len();
    (outside > OUTSIDE_MAX).then(|| format!("{outside} requests and orders: up to {OUTSIDE_MAX}"))
}

/// What is wrong if a node of the scenario has no inventory: reading a scenario rules that out, and
/// a trace may have been edited.
fn lacks_a_node(scenario: &Scenario) -> Option<String> {
    let joining = scenario.orders.iter().filter_map(|order| match order {
        Outside::Join(Actor::Node(node)) => Some(node.0),
        Outside::Join(Actor::Scheduler(_) | Actor::Client(_))
        | Outside::Place(_)
        | Outside::PlaceTogether(_)
        | Outside::Release(_)
        | Outside::Drain(_)
        | Outside::Undrain(_)
        | Outside::Inventory(..)
        | Outside::Disable(_)
        | Outside::Leave(_) => None,
    });
    let last = joining.chain([scenario.nodes_at_start]).max().unwrap_or_default();
    (last as usize > scenario.nodes.len()).then(|| format!("n{last} has no inventory"))
}

/// A state with its variables as values, as it stands at `index` of a trace.
pub fn state<P: Protocol>(cluster: &Cluster<P>, index: usize, taken: &str) -> Map<String, Value> {
    let write = |value: Result<Value, itf::Unwritable>| {
        value.expect("a state can be hashed, so it has no floats")
    };
    let processes: Vec<Value> = cluster
        .processes
        .iter()
        .map(|(address, process)| {
            json!([process_name(cluster, *address), write(itf::value(process))])
        })
        .collect();
    let violated = cluster.violated.iter().map(|(property, violation)| {
        json!([P::safety()[*property].name, write(itf::value(violation))])
    });
    let variables = [
        ("#meta", json!({ "index": index })),
        ("processes", json!({ "#map": processes })),
        ("disks", write(itf::value(&cluster.disks))),
        ("network", write(itf::value(&cluster.network))),
        ("mail", write(itf::value(&cluster.mail))),
        ("choices", write(itf::value(&cluster.choices))),
        ("to_come", write(itf::value(&cluster.to_come))),
        ("budget", write(itf::value(&cluster.budget))),
        ("history", write(itf::value(&cluster.history))),
        ("violated", json!({ "#map": violated.collect::<Vec<_>>() })),
        (ACTION_TAKEN, json!(taken)),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A process by the name of its actor; of an actor that lives more than once the older lives by
/// name and life.
pub fn process_name<P: Protocol>(cluster: &Cluster<P>, address: Address) -> String {
    let latest = cluster.receiver(Address { incarnation: None, ..address });
    if latest == Some(address) { address.actor.to_string() } else { address.to_string() }
}

/// As plain JSON.
fn plain(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("scenarios and actions have maps with plain keys only")
}

/// A list with each item on a line of its own.
fn lines(items: &[Value]) -> String {
    whole_lines(items.iter().map(ToString::to_string).collect())
}

/// The same, of what is text already.
fn whole_lines(items: Vec<String>) -> String {
    if items.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", items.join(",\n")) }
}

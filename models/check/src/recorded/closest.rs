//! Why no run of the machines explains an event: the closest that one would explain, and what
//! differs.

use super::act::{Deed, is_same};
use super::tale::{AnyInput, Tales};
use counterfoil_protocol::{
    Actor, Client, Config, Datagram, Given, Node, Output, Rule, Rules, Scheduler, client, node,
    scheduler,
};
use counterfoil_recording::audit::Wrong;
use counterfoil_recording::{Batch, Header, Reader, Role, RunError, digest};
use counterfoil_world::changes::{brief, changes, label, way};
use counterfoil_world::explain::wrap;
use counterfoil_world::itf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// How wide the text is.
const WIDTH: usize = 100;

/// How many differences are told.
const DIFFERENCES_MAX: usize = 4;

/// An event that no run of the machines explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// The recording.
    pub recording: PathBuf,
    /// The step in it; 0 is the start.
    pub step: u64,
    /// What happened.
    pub event: String,
    /// What the machines say instead, or what comes closest.
    pub closest: Vec<String>,
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unexplained { recording, step, event, closest } = self;
        let recording = recording.display();
        writeln!(
            f,
            "the first event that no run of the machines explains: step {step} of {recording}"
        )?;
        for line in std::iter::once(event).chain(closest) {
            let indent = line.len() - line.trim_start().len();
            for (index, part) in wrap(line.trim_start(), WIDTH - 4 - indent).iter().enumerate() {
                let more = if index == 0 { "" } else { "  " };
                writeln!(f, "  {}{more}{part}", " ".repeat(indent))?;
            }
        }
        Ok(())
    }
}

impl Unexplained {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "recording": self.recording.display().to_string(),
            "step": self.step,
            "event": self.event,
            "closest": self.closest,
        })
    }
}

/// What comes closest to a finding in `recording`; `None` if it is no event that is unexplained.
pub fn closest(tales: &Tales, recording: &Path, what: &Wrong) -> Option<Unexplained> {
    let found = |step: u64, event: String, closest: Vec<String>| {
        Some(Unexplained { recording: recording.to_owned(), step, event, closest })
    };
    match what {
        Wrong::Violated { .. } => None,
        Wrong::NeverSent { step, from, .. } => {
            let (actor, at) = tales.event(recording, *step)?;
            let event = &tales.of[&actor].events[at];
            let deed = Deed::of(event, actor);
            let closest = match &deed {
                Deed::Datagram(datagram) => closest_datagram(tales, datagram, *from),
                Deed::Timer(_)
                | Deed::Call(_)
                | Deed::Answer(_)
                | Deed::Broken(_)
                | Deed::Pick(_)
                | Deed::Tell(_)
                | Deed::Outside(_)
                | Deed::Forget
                | Deed::Start => vec![deed.words()],
            };
            found(*step, event_words(event.input.as_ref(), actor), closest)
        }
        Wrong::NotRebuilt(RunError::Diverged { step }) => {
            let (event, closest) = closest_step(recording, *step)?;
            found(*step, event, closest)
        }
        Wrong::NotRebuilt(RunError::OtherDisk) => {
            let event =
                "the next life started from another disk than this one left behind".to_owned();
            let last = tales.of.values().flat_map(|tale| &tale.events);
            let step = last.filter(|e| e.recording == recording).map(|e| e.step).max()?;
            found(step, event, vec!["nothing but the machine itself may write its disk".to_owned()])
        }
        Wrong::NotRebuilt(RunError::Recording(_) | RunError::OtherRole(_)) => None,
    }
}

/// An input in words.
fn event_words(input: Option<&AnyInput>, me: Actor) -> String {
    let value = |of: &dyn Fn() -> Option<Value>| of().as_ref().map_or_else(String::new, brief);
    let said = |datagram: &Datagram| {
        let label = itf::value(datagram).map_or_else(|e| e.to_string(), |value| label(&value));
        format!("{label} of {} reaches {me}: {}", datagram.src.actor, body(datagram))
    };
    match input {
        None => format!("{me} starts"),
        Some(
            AnyInput::Node(node::Input::Datagram(datagram))
            | AnyInput::Scheduler(scheduler::Input::Datagram(datagram))
            | AnyInput::Client(client::Input::Datagram(datagram)),
        ) => said(datagram),
        Some(AnyInput::Node(input)) => {
            format!("{me} is given {}", value(&|| itf::value(input).ok()))
        }
        Some(AnyInput::Scheduler(input)) => {
            format!("{me} is given {}", value(&|| itf::value(input).ok()))
        }
        Some(AnyInput::Client(input)) => {
            format!("{me} is given {}", value(&|| itf::value(input).ok()))
        }
    }
}

/// The same with each variant as a record of one part, so that two of one variant differ in what is
/// in it alone.
fn parts(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            if let (Some(Value::String(tag)), Some(_)) = (fields.get("tag"), fields.get("value")) {
                let tag = counterfoil_world::changes::words(tag);
                let inner = fields.remove("value").unwrap_or_default();
                return Value::Object([(tag, parts(inner))].into_iter().collect());
            }
            Value::Object(fields.into_iter().map(|(name, value)| (name, parts(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(parts).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn body(datagram: &Datagram) -> String {
    itf::value(&datagram.body).map_or_else(|error| error.to_string(), |value| brief(&value))
}

/// Of the datagrams that `from` sent to the same actor the one with the fewest differences, with
/// these.
fn closest_datagram(tales: &Tales, arrived: &Datagram, from: Actor) -> Vec<String> {
    let value = |datagram: &Datagram| parts(itf::value(datagram).unwrap_or_default());
    let heard = value(arrived);
    let all = tales.of.get(&from).into_iter().flat_map(|tale| &tale.events).flat_map(|event| {
        event.outputs.iter().filter_map(move |output| match output {
            Output::Send(datagram) => Some((event, datagram)),
            Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => None,
        })
    });
    let to_same =
        all.filter(|(_, sent)| sent.dst.actor == arrived.dst.actor && !is_same(arrived, sent));
    let differing = to_same.map(|(event, sent)| (changes(&value(sent), &heard), event, sent));
    let Some((differences, event, _)) = differing.min_by_key(|(differences, ..)| differences.len())
    else {
        return vec![format!("{from} sent nothing to {}", arrived.dst.actor)];
    };
    let mut lines = vec![format!(
        "closest to it is what {from} sent at step {} of {}; it is another:",
        event.step,
        event.recording.file_name().unwrap_or_default().display()
    )];
    for change in differences.iter().take(DIFFERENCES_MAX) {
        let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), brief);
        let (sent, arrived) = (text(&change.before), text(&change.after));
        lines.push(format!("  {}: {arrived} arrived, and {sent} was sent", way(&change.path)));
    }
    if differences.len() > DIFFERENCES_MAX {
        lines.push(format!("  and {} more", differences.len() - DIFFERENCES_MAX));
    }
    lines
}

/// What a machine says at a step at which it was recorded to say something else; and how it would
/// say that.
fn closest_step(recording: &Path, step: u64) -> Option<(String, Vec<String>)> {
    let reader = Reader::open(recording).ok()?;
    match reader.header().origin.actor() {
        Actor::Node(_) => at_step::<Node>(reader, step, AnyInput::Node),
        Actor::Scheduler(_) => at_step::<Scheduler>(reader, step, AnyInput::Scheduler),
        Actor::Client(_) => at_step::<Client>(reader, step, AnyInput::Client),
    }
}

fn at_step<R>(
    mut reader: Reader<BufReader<File>>,
    step: u64,
    any: fn(R::Input) -> AnyInput,
) -> Option<(String, Vec<String>)>
where
    R: Role<Input: DeserializeOwned>,
{
    let header = reader.header().clone();
    let (id, disk) = R::of(&header.origin)?;
    let me = R::actor(id);
    let start = |config: Config| {
        let mut said = Vec::new();
        let machine = R::start(id, disk.clone(), Given::new(config), &mut said);
        (machine, said)
    };
    let config = header.config.clone();
    let mut machine = match &header.running {
        Some(running) => R::resumed(running, Given::new(config.clone()))?,
        None => start(config.clone()).0,
    };
    if step == 0 {
        let started = |rules| start(Config { rules, ..config.clone() }).1;
        return Some((event_words(None, me), told(&header, header.started, started)));
    }
    let mut number = 0;
    while let Some(Batch { entries, .. }) = reader.batch::<R::Input>().ok()? {
        for entry in entries {
            number += 1;
            if number < step {
                machine.handle(entry.input, &mut Vec::new());
                continue;
            }
            let handled = |rules| {
                let given = Given::new(Config { rules, ..config.clone() });
                let running = machine.running().map(|(running, _)| running);
                let other = running.and_then(|running| R::resumed(&running, given));
                let mut said = Vec::new();
                let mut other = other.unwrap_or_else(|| machine.clone());
                other.handle(entry.input.clone(), &mut said);
                said
            };
            let lines = told(&header, entry.outputs, handled);
            let event = event_words(Some(&any(entry.input.clone())), me);
            return Some((event, lines));
        }
    }
    None
}

/// What is said under the rules that were in force; and under which others what was recorded would
/// be.
fn told(header: &Header, recorded: u32, say: impl Fn(Rules) -> Vec<Output>) -> Vec<String> {
    let rules = header.config.rules;
    let said = say(rules);
    let decided = said.iter().filter_map(|output| {
        let Output::Notice(notice) = output else { return None };
        Some(counterfoil_world::changes::words(&format!("{notice:?}")))
    });
    let decided: Vec<String> = decided.collect();
    let mut lines = Vec::new();
    if !decided.is_empty() {
        lines.push(format!("here the machine decides: {}", decided.join(", ")));
    }
    let put_out = said.iter().filter_map(words);
    let put_out: Vec<String> = put_out.collect();
    let put_out = if put_out.is_empty() { "nothing".to_owned() } else { put_out.join("; ") };
    lines.push(format!("and puts out: {put_out}"));
    lines.push(closest_rules(rules, recorded, &said, say));
    lines
}

fn closest_rules(
    rules: Rules,
    recorded: u32,
    said: &[Output],
    say: impl Fn(Rules) -> Vec<Output>,
) -> String {
    let off = Rule::ALL.into_iter().filter(|rule| rules.has(*rule));
    let mut off = off.filter(|rule| digest(&say(rules.without(*rule))) == recorded);
    if let Some(rule) = off.next() {
        return format!(
            "what was recorded is what it puts out without the rule {rule}: was it another revision?"
        );
    }
    if digest(&[]) == recorded {
        return "what was recorded is that it put out nothing".to_owned();
    }
    for left_out in 0..said.len() {
        let rest: Vec<Output> = said
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != left_out)
            .map(|(_, o)| o.clone())
            .collect();
        if digest(&rest) == recorded {
            let what = words(&said[left_out]).unwrap_or_else(|| format!("{:?}", said[left_out]));
            return format!("what was recorded is the same without this: {what}");
        }
    }
    "what was recorded is neither that, nor what it puts out without any one rule; a recording keeps \
     a checksum of it, so more cannot be said"
        .to_owned()
}

/// An output that the world sees, in words.
fn words(output: &Output) -> Option<String> {
    fn value(of: &impl Serialize) -> String {
        itf::value(of).map_or_else(|error| error.to_string(), |value| brief(&value))
    }
    match output {
        Output::Send(datagram) => Some(format!("to {} {}", datagram.dst.actor, body(datagram))),
        Output::Call(to, call) => Some(format!("to {to} call {}", value(call))),
        Output::Answer(to, answer) => Some(format!("to {to} answer {}", value(answer))),
        Output::Persist(record) => Some(format!("to its disk {}", value(record))),
        Output::Choose(choice) => Some(format!("a question {}", value(choice))),
        Output::Ended(request, outcome) => Some(format!("{request} ended: {}", value(outcome))),
        Output::SetTimer { .. } | Output::Notice(_) => None,
    }
}

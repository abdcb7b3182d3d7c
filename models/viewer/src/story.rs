//! Everything that a viewer shows of a run, as one value that can be written down.

mod choices;
mod dress;
mod fields;
pub mod glossary;
mod subject;

use counterfoil_protocol::{Actor, Rule};
use counterfoil_world::choices::Leads;
use counterfoil_world::messages::{self, Fate};
use counterfoil_world::replay::Step as Replayed;
use counterfoil_world::scenario::{Design, Start};
use counterfoil_world::trace::Kind;
use counterfoil_world::why::Why;
use counterfoil_world::{Action, Outcome, Protocol, Replay, Scenario, Trace, lanes};
use serde::Serialize;

pub use choices::Choice;
pub use fields::Field;
pub use glossary::Term;

/// A run with all that is shown of it. Steps count from 1; state 0 is the one before the first.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// Names the run: the name of its file without what all such files end with.
    pub name: String,
    /// The property that it is about.
    pub property: String,
    /// What the property says.
    pub statement: String,
    /// Whether the property is judged at every step, or on what the run comes to.
    pub kind: Kind,
    /// What came of it.
    pub verdict: Verdict,
    /// The scenario.
    pub scenario: String,
    /// What the scenario asks.
    pub question: String,
    /// How far it goes.
    pub bounds: String,
    /// The rules that are off.
    pub without: Vec<RuleOff>,
    /// The protocol that the machines speak.
    pub protocol: Design,
    /// The flaw of that protocol that the run shows.
    pub flaw: Option<String>,
    /// What answers the flaw in the update/claim protocol.
    pub answer: Option<String>,
    /// What found the run.
    pub engine: String,
    /// The command that finds it again.
    pub command: String,
    /// Who takes part, in the order of their lanes.
    pub actors: Vec<Lane>,
    /// How things stand at the start.
    pub start: &'static str,
    /// What happened.
    pub steps: Vec<Step>,
    /// Every message.
    pub messages: Vec<Message>,
    /// For a run that repeats itself: the state to which the last step leads back.
    pub back_to: Option<usize>,
    /// Why the property is violated.
    pub why: Why,
    /// Every value of every process, with the steps that wrote it.
    pub fields: Vec<Field>,
    /// What could happen, and after which steps.
    pub choices: Vec<Choice>,
    /// By state: whether the property is kept, or its goal is reached.
    pub kept: Vec<bool>,
    /// The words that a reader needs.
    pub terms: Vec<Term>,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Verdict {
    /// The property is violated.
    Violated {
        /// At this step; for liveness, from this step on.
        step: usize,
        /// What is false.
        clause: String,
    },
    /// The property holds.
    Holds {
        /// What is missing for a violation.
        because: String,
    },
    /// The run does not go as it is written.
    Diverged {
        /// At which step and how.
        how: String,
    },
}

/// A rule of the protocol that is off.
#[derive(Clone, Debug, Serialize)]
pub struct RuleOff {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What goes wrong without it.
    pub without: &'static str,
    /// What may come of that, if it is not yet the harm; else empty.
    pub then: &'static str,
}

/// Who takes part.
#[derive(Clone, Debug, Serialize)]
pub struct Lane {
    /// The name.
    pub name: String,
    /// Scheduler, node or client.
    pub role: &'static str,
    /// From which state to which it lives, one pair for each time.
    pub lives: Vec<(usize, usize)>,
    /// The steps at which it crashed and started again at once.
    pub restarts: Vec<usize>,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// What happens when nothing goes wrong.
    Fair,
    /// A user, an operator or the configuration wants something.
    Outside,
    /// Something goes wrong: a loss, a copy, a crash.
    Fault,
    /// A timer fires before its time.
    Early,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What happened, in one clause.
    pub what: String,
    /// What it is.
    pub sort: Sort,
    /// Who acted.
    pub actor: Option<String>,
    /// Which way the machines decided.
    pub decisions: Vec<String>,
    /// What became different in the processes, the most telling first.
    pub changes: Vec<Change>,
    /// The messages that it sent.
    pub sent: Vec<usize>,
    /// What it did to messages, in words.
    pub notes: Vec<String>,
}

/// A value that became another.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// `~` another value, `+` new, `-` gone.
    pub mark: char,
    /// The way to it.
    pub way: String,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
    /// What it is, without what only serves the machines.
    pub short: Option<String>,
    /// Whether the violation names it.
    pub named: bool,
    /// Whether it only serves the machines.
    pub bookkeeping: bool,
}

/// A message, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// Its name in diagrams.
    pub name: String,
    /// The lane that it came from.
    pub src: usize,
    /// The lane that it went to.
    pub dst: usize,
    /// What it is, in one or two words.
    pub label: String,
    /// The request that it is about, if it is about one.
    pub about: Option<String>,
    /// What it says.
    pub text: String,
    /// The step that sent it; 0 if it was in flight at the start.
    pub sent: usize,
    /// The steps at which a copy of it arrived.
    pub copies: Vec<usize>,
    /// What became of it.
    pub fate: &'static str,
    /// The step at which that became of it.
    pub at: Option<usize>,
    /// Those that it overtook.
    pub overtook: Vec<usize>,
    /// The first that overtook it.
    pub overtaken_by: Option<usize>,
    /// All of this in words.
    pub told: String,
}

impl Story {
    /// What there is to show of a run of this name.
    pub fn of<P: Protocol>(name: &str, trace: &Trace<P>, replay: &Replay<P>) -> Story {
        let Scenario { name: scenario, question, without, start, .. } = &trace.scenario;
        let Scenario { protocol, flaw, answer, .. } = &trace.scenario;
        let order = lanes::order(replay);
        let steps: Vec<Step> =
            (1..=replay.steps.len()).map(|step| Step::of(trace, replay, step)).collect();
        let mut messages: Vec<Message> =
            replay.messages.iter().map(|message| Message::of(message, &order)).collect();
        subject::find(&mut messages);
        let fields = fields::fields(replay);
        let bounds = trace.scenario.bounds();
        let kept: Vec<bool> = (0..replay.states.len()).map(|at| keeps(trace, replay, at)).collect();
        let violated = matches!(replay.outcome, Outcome::Violated { .. });
        let back_to = trace.back_to.filter(|back| *back < trace.steps.len() && violated);
        Story {
            name: name.to_owned(),
            property: trace.property.clone(),
            statement: trace.statement().to_owned(),
            kind: trace.kind,
            verdict: Verdict::of(&replay.outcome),
            scenario: scenario.clone(),
            question: question.clone(),
            without: without.iter().map(|rule| RuleOff::of(*rule)).collect(),
            protocol: *protocol,
            flaw: flaw.clone(),
            answer: answer.clone(),
            engine: trace.engine.clone(),
            command: trace.command.clone(),
            terms: glossary::terms(*protocol, texts(&bounds, &messages, &steps, &fields)),
            bounds,
            actors: order.iter().map(|actor| Lane::of(replay, *actor)).collect(),
            start: match start {
                Start::Warm => "every scheduler has met every node",
                Start::Cold => "nothing has been said yet",
            },
            steps,
            messages,
            back_to: back_to.filter(|_| trace.kind == Kind::Liveness),
            why: Why::of(trace, replay),
            fields,
            choices: choices::choices(trace, replay),
            kept,
        }
    }

    /// The step that matters most: the one at which the property is violated, or the last.
    pub fn decisive(&self) -> usize {
        match &self.verdict {
            Verdict::Violated { step, .. } => *step,
            Verdict::Holds { .. } | Verdict::Diverged { .. } => self.steps.len(),
        }
    }

    /// What goes wrong, in plain words: without the rules that are off, or by the flaw of the design. If
    /// nothing does, or neither is there, nothing.
    pub fn plainly(&self) -> Option<String> {
        if !matches!(self.verdict, Verdict::Violated { .. }) {
            return None;
        }
        let without: Vec<&str> = self.without.iter().map(|rule| rule.without).collect();
        match &self.flaw {
            Some(flaw) => {
                Some(glossary::sentence(flaw.split_once(": ").map_or(flaw, |(_, says)| says)))
            }
            None => (!without.is_empty()).then(|| without.join(" ")),
        }
    }

    /// What could happen after so many steps, what that would lead to, and whether it did happen.
    pub fn choices_at(&self, state: usize) -> impl Iterator<Item = (&Choice, Leads, bool)> {
        self.choices.iter().filter_map(move |choice| {
            let mut spans = choice.spans.iter();
            let (_, _, leads) = spans.find(|(from, to, _)| (*from..=*to).contains(&state))?;
            Some((choice, *leads, choice.taken.contains(&state)))
        })
    }

    /// The verdict in one line, with its sign.
    pub fn headline(&self) -> String {
        let property = &self.property;
        match &self.verdict {
            Verdict::Violated { .. } => format!("✗ {property} is violated"),
            Verdict::Holds { .. } => format!("✓ {property} holds"),
            Verdict::Diverged { .. } => format!("✗ the run of {property} diverged"),
        }
    }
}

/// Whether a safety property is kept up to this state; whether the goal of a liveness property is
/// reached in it.
fn keeps<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>, state: usize) -> bool {
    let named = |all: &[counterfoil_world::protocol::Property]| {
        all.iter().position(|property| property.name == trace.property)
    };
    let cluster = &replay.states[state];
    match trace.kind {
        Kind::Safety => {
            named(P::safety()).is_none_or(|index| !cluster.violated.contains_key(&index))
        }
        Kind::Liveness => named(P::liveness())
            .is_none_or(|index| P::goal(&replay.world, cluster, index).is_none()),
    }
}

impl Verdict {
    fn of(outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Holds { because } => Verdict::Holds { because: because.clone() },
            Outcome::Violated { step, violation } => {
                Verdict::Violated { step: *step, clause: violation.clause.clone() }
            }
            Outcome::Diverged(divergence) => Verdict::Diverged { how: divergence.to_string() },
        }
    }
}

impl RuleOff {
    /// A rule with what is said of it.
    pub fn of(rule: Rule) -> RuleOff {
        let (says, without, then) = glossary::rule(rule);
        RuleOff { name: rule.name(), says, without, then }
    }
}

impl Lane {
    fn of<P: Protocol>(replay: &Replay<P>, actor: Actor) -> Lane {
        let mut lives: Vec<(usize, usize)> = Vec::new();
        for (index, state) in replay.states.iter().enumerate() {
            if state.processes.keys().any(|address| address.actor == actor) {
                match lives.last_mut() {
                    Some((_, last)) if *last + 1 == index => *last = index,
                    Some(_) | None => lives.push((index, index)),
                }
            }
        }
        let role = match actor {
            Actor::Client(_) => "client",
            Actor::Scheduler(_) => "scheduler",
            Actor::Node(_) => "node",
        };
        let again = |(index, step): (usize, &Replayed)| {
            let is_there = lives.iter().any(|(from, to)| (*from..=*to).contains(&(index + 1)));
            let restarts = matches!(step.kind, "restart" | "torn") && step.actor == Some(actor);
            (restarts && is_there).then_some(index + 1)
        };
        let restarts = replay.steps.iter().enumerate().filter_map(again).collect();
        Lane { name: actor.to_string(), role, lives, restarts }
    }
}

/// What an action is.
fn sort<P: Protocol>(action: &Action<P>, is_fair: bool) -> Sort {
    match action {
        Action::Outside(..) => Sort::Outside,
        Action::Deliver(_)
        | Action::Mail(_)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Fire(..)
            if is_fair =>
        {
            Sort::Fair
        }
        Action::Fire(..) => Sort::Early,
        Action::Deliver(_)
        | Action::Mail(_)
        | Action::Pick(..)
        | Action::Tell(..)
        | Action::Copy(_)
        | Action::Lose(_)
        | Action::LoseAll
        | Action::Restart(_)
        | Action::Torn(..)
        | Action::Die(_)
        | Action::Twin(_)
        | Action::Disconnect(..) => Sort::Fault,
    }
}

impl Step {
    fn of<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>, step: usize) -> Step {
        let Replayed { action, actor, decisions, changes, .. } = &replay.steps[step - 1];
        let taken = &trace.steps[step - 1];
        let is_fair = replay.world.is_fair(&replay.states[step - 1], taken);
        let mut changes: Vec<Change> =
            changes.iter().map(|change| Change::of(replay, change)).collect();
        changes.sort_by_key(|change| (!change.named, change.bookkeeping, change.mark != '~'));
        let sent = replay.messages.iter().filter(|message| message.sent == step);
        Step {
            what: messages::named(&replay.messages, step, action),
            sort: sort(taken, is_fair),
            actor: actor.map(|actor| actor.to_string()),
            decisions: decisions.clone(),
            changes,
            sent: sent.map(|message| message.number).collect(),
            notes: notes(replay, step),
        }
    }
}

/// The texts in which words may stand that need to be explained.
fn texts<'a>(
    bounds: &'a str,
    messages: &'a [Message],
    steps: &'a [Step],
    fields: &'a [Field],
) -> impl Iterator<Item = &'a str> {
    let of_message = messages.iter().flat_map(|message| [&message.label, &message.text]);
    let of_step = steps.iter().flat_map(|step| {
        let changes = step.changes.iter().flat_map(|change| {
            [Some(&change.way), change.before.as_ref(), change.after.as_ref()].into_iter().flatten()
        });
        std::iter::once(&step.what).chain(&step.decisions).chain(changes)
    });
    let of_field = fields.iter().flat_map(|field| {
        let values = field.written.iter().filter_map(|(_, value)| value.as_ref());
        std::iter::once(&field.way).chain(values)
    });
    let early = steps.iter().any(|step| step.sort == Sort::Early).then_some("early");
    let all = of_message.chain(of_step).chain(of_field).map(String::as_str);
    all.chain([bounds]).chain(early)
}

/// What a step did to messages besides.
fn notes<P: Protocol>(replay: &Replay<P>, step: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for message in &replay.messages {
        let first = message.arrivals().min() == Some(step);
        if first && !message.overtook.is_empty() {
            let overtaken: Vec<String> =
                message.overtook.iter().map(|number| messages::name(*number)).collect();
            notes.push(format!(
                "{} overtakes {}, sent earlier",
                message.name(),
                overtaken.join(" ")
            ));
        }
        match message.fate {
            Fate::Dropped(at) if at == step => {
                notes.push(format!(
                    "{} ({}) is lost: nobody is left to have it",
                    message.name(),
                    message.label
                ));
            }
            Fate::Spent(at) if at == step => {
                notes.push(format!(
                    "{} ({}) can change nothing any more",
                    message.name(),
                    message.label
                ));
            }
            Fate::Dropped(_)
            | Fate::Spent(_)
            | Fate::InFlight
            | Fate::Delivered(_)
            | Fate::Lost(_) => {}
        }
    }
    notes
}

impl Message {
    fn of(message: &messages::Message, order: &[Actor]) -> Message {
        let lane = |actor| order.iter().position(|other| *other == actor).unwrap_or(0);
        let (fate, at) = match message.fate {
            Fate::InFlight => ("in flight", None),
            Fate::Delivered(step) if message.overtook.is_empty() => ("delivered", Some(step)),
            Fate::Delivered(step) => ("overtook", Some(step)),
            Fate::Lost(step) => ("lost", Some(step)),
            Fate::Dropped(step) => ("nobody left", Some(step)),
            Fate::Spent(step) => ("without effect", Some(step)),
        };
        Message {
            name: message.name(),
            src: lane(message.src),
            dst: lane(message.dst),
            label: message.label.clone(),
            about: None,
            text: message.text.clone(),
            sent: message.sent,
            copies: message.copies.clone(),
            fate,
            at,
            overtook: message.overtook.clone(),
            overtaken_by: message.overtaken_by,
            told: message.to_string(),
        }
    }
}

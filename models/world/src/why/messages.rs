//! The messages that a violation concerns, and the difference that each made.

use super::Origin;
use crate::messages::{Fate, Message, name};
use crate::protocol::Protocol;
use crate::replay::Replay;
use counterfoil_protocol::Actor;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// A message that a violation concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concerned {
    /// Counts the messages of the run, from 1.
    pub number: usize,
    /// Its name in diagrams.
    pub name: String,
    /// What it is, in one or two words.
    pub label: String,
    /// Who sent it.
    pub src: String,
    /// To whom.
    pub dst: String,
    /// What it says.
    pub says: String,
    /// The step that sent it; 0 if it was in flight at the start.
    pub sent: usize,
    /// What became of it, in words.
    pub history: String,
    /// How it went another way than sent once, arrived once, in order and in time. None if it went
    /// so: then it is here because what it brought was written or judged.
    pub differences: Vec<Difference>,
}

/// How a message went another way than it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Difference {
    /// A later message between the same two arrived before it.
    Overtaken {
        /// That one.
        by: String,
    },
    /// It was lost.
    Lost {
        /// At this step.
        step: usize,
    },
    /// More than one copy of it arrived.
    Copied {
        /// At these steps.
        steps: Vec<usize>,
    },
    /// Its receiver acted without it while it was under way.
    Late {
        /// At this step.
        acted: usize,
    },
    /// The life that it was for was over, or its connection broke.
    Dropped {
        /// At this step.
        step: usize,
    },
    /// It is in flight when the property is violated.
    InFlight,
}

impl Difference {
    /// Whether it is about time: what the history of the message alone does not say.
    pub fn is_late(&self) -> bool {
        matches!(self, Difference::Late { .. })
    }

    /// The most telling first.
    pub fn rank(&self) -> usize {
        match self {
            Difference::Overtaken { .. } => 0,
            Difference::Lost { .. } => 1,
            Difference::Copied { .. } => 2,
            Difference::Late { .. } => 3,
            Difference::Dropped { .. } => 4,
            Difference::InFlight => 5,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Overtaken { by } => write!(f, "was overtaken by {by}"),
            Difference::Lost { step } => write!(f, "was lost at step {step}"),
            Difference::Copied { steps } => {
                let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
                write!(f, "arrived more than once: a copy at step {}", steps.join(", "))
            }
            Difference::Late { acted } => {
                write!(f, "was late: its receiver acted at step {acted} without it")
            }
            Difference::Dropped { step } => {
                write!(f, "found nobody at step {step}: the life that it was for was over")
            }
            Difference::InFlight => f.write_str("was still in flight"),
        }
    }
}

impl Concerned {
    /// The most telling difference.
    pub fn worst(&self) -> Option<&Difference> {
        self.differences.iter().min_by_key(|difference| difference.rank())
    }

    /// What it is, where it went, and when it was sent.
    pub fn short(&self) -> String {
        let Concerned { name, label, src, dst, .. } = self;
        match self.sent {
            0 => format!("{name} ({label} of {src} to {dst})"),
            sent => format!("{name} ({label} of {src} to {dst}, sent at step {sent})"),
        }
    }

    fn of(message: &Message, differences: Vec<Difference>) -> Concerned {
        let text = message.to_string();
        let history = text.split_once(": ").map_or("", |(_, history)| history);
        Concerned {
            number: message.number,
            name: message.name(),
            label: message.label.clone(),
            src: message.src.to_string(),
            dst: message.dst.to_string(),
            says: message.text.clone(),
            sent: message.sent,
            history: history.to_owned(),
            differences,
        }
    }
}

/// The messages that a violation at `step` concerns: those that arrived when one of its values was
/// written or it was judged; of what was sent to those who acted then, what they should have had
/// before and had not, and what was lost; and what was overtaken.
pub(super) fn concerned<P: Protocol>(
    replay: &Replay<P>,
    step: usize,
    origins: &[Origin],
) -> Vec<Concerned> {
    let scene = Scene::of(replay, step, origins);
    let all = replay.messages.iter().filter(|message| message.sent <= step);
    let found = all.filter_map(|message| {
        let differences = scene.differences(message);
        let arrived = message.arrivals().any(|at| scene.steps.contains(&at));
        (arrived || !differences.is_empty()).then(|| Concerned::of(message, differences))
    });
    found.collect()
}

/// Who did what, and when, of what a violation names.
struct Scene<'a, P: Protocol> {
    replay: &'a Replay<P>,
    /// When the property is violated.
    end: usize,
    /// When a value was written or the property was judged.
    steps: BTreeSet<usize>,
    /// The same, each with who acted.
    acts: BTreeSet<(usize, Actor)>,
    /// Whose values the clause names.
    named: Vec<String>,
}

impl<'a, P: Protocol> Scene<'a, P> {
    fn of(replay: &'a Replay<P>, end: usize, origins: &[Origin]) -> Self {
        let entries = origins.iter().flat_map(|origin| &origin.entries).map(|(_, written)| written);
        let written = origins.iter().filter_map(|origin| origin.written.as_ref()).chain(entries);
        let mut steps: BTreeSet<usize> = written.map(|w| w.step).filter(|step| *step > 0).collect();
        steps.insert(end);
        let acts = steps
            .iter()
            .copied()
            .filter_map(|step| Some((step, replay.steps.get(step.checked_sub(1)?)?.actor?)));
        let named = origins.iter().filter_map(|origin| origin.fact.path.first().cloned());
        let (acts, named) = (acts.collect(), named.collect());
        Scene { replay, end, steps, acts, named }
    }

    fn differences(&self, message: &Message) -> Vec<Difference> {
        let mut found = Vec::new();
        let arrives = message.arrivals().any(|at| self.steps.contains(&at));
        let to_who_acts = self.acts.iter().any(|(_, actor)| *actor == message.dst)
            || self.named.contains(&message.dst.to_string());
        if let Some(by) = self.overtaker(message) {
            found.push(Difference::Overtaken { by: name(by.number) });
        }
        match message.fate {
            Fate::Lost(step) if to_who_acts && step <= self.end => {
                found.push(Difference::Lost { step });
            }
            Fate::Dropped(step) if to_who_acts && step <= self.end => {
                found.push(Difference::Dropped { step });
            }
            Fate::Delivered(_)
            | Fate::Lost(_)
            | Fate::Dropped(_)
            | Fate::Spent(_)
            | Fate::InFlight => {}
        }
        if arrives && !message.copies.is_empty() && message.arrivals().count() > 1 {
            found.push(Difference::Copied { steps: message.copies.clone() });
        }
        let over = message.arrivals().min();
        let lost = matches!(message.fate, Fate::Lost(_) | Fate::Dropped(_));
        let without = self.acts.iter().find(|(step, actor)| {
            *actor == message.dst && message.sent < *step && over.is_none_or(|over| over > *step)
        });
        match without {
            // What went past it, if anything, was of another kind: the two have no order.
            Some((acted, _)) if !arrives && !lost && !self.is_passed(message) => {
                found.push(Difference::Late { acted: *acted });
                if over.is_none_or(|over| over > self.end) {
                    found.push(Difference::InFlight);
                }
            }
            Some(_) | None => {}
        }
        found
    }

    /// Whether something that arrived when a value was written or judged went past it.
    fn is_passed(&self, message: &Message) -> bool {
        let arrives = |other: &&Message| other.arrivals().any(|at| self.steps.contains(&at));
        let mut all = self.replay.messages.iter().filter(arrives);
        all.any(|other| other.overtook.contains(&message.number))
    }

    /// The message that overtook this one: any, if this one's arrival wrote or judged something; or
    /// one of its own kind whose arrival did. Messages of other kinds have no order to keep.
    fn overtaker(&self, message: &Message) -> Option<&Message> {
        let arrives = |one: &Message| one.arrivals().any(|at| self.steps.contains(&at));
        let overtook = |other: &&Message| other.overtook.contains(&message.number);
        let counts = |other: &&Message| {
            arrives(message) || arrives(other) && first_word(message) == first_word(other)
        };
        self.replay.messages.iter().filter(overtook).find(counts)
    }
}

fn first_word(message: &Message) -> &str {
    message.label.split(' ').next().unwrap_or_default()
}

//! The rows of the space-time diagram: which there are, not how they look.

use super::run::Run;
use counterfoil_protocol::Actor;
use counterfoil_world::Outcome;
use counterfoil_world::Protocol;
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::trace::Kind;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Something that happened at a step to a message, by index.
    Arrow { step: usize, message: usize, line: Line },
    /// A step at which no message arrived; 0 is the start.
    Local { step: usize },
    /// From here on the run repeats itself.
    LoopStart,
    /// Here it goes back.
    LoopEnd,
    /// Nothing fair changes anything any more.
    Stuck,
    /// A message that is in flight at the end.
    Pending { message: usize },
}

/// What became of a message, as the line of its arrow says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Delivered,
    Overtaking,
    Copy,
    Lost,
    InFlight,
}

/// All rows, and where each step begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    first: Vec<usize>,
    /// By step: the messages that it sent, by index.
    sent: Vec<Vec<usize>>,
}

impl Rows {
    pub(crate) fn of<P: Protocol>(run: &Run<P>) -> Self {
        let last = run.last();
        let mut sent = vec![Vec::new(); last + 1];
        let mut lines = vec![Vec::new(); last + 1];
        for (index, message) in run.replay.messages.iter().enumerate() {
            sent[message.sent].push(index);
            for (step, line) in lines_of(message) {
                lines[step].push((index, line));
            }
        }
        let is_drawn = |message: usize| {
            let message = &run.replay.messages[message];
            run.is_drawn(message.src) || run.is_drawn(message.dst)
        };
        let mut rows = Vec::new();
        let mut first = Vec::new();
        for (step, lines) in lines.iter().enumerate() {
            if step > 0 && run.loops() == Some(step - 1) {
                rows.push(Row::LoopStart);
            }
            first.push(rows.len());
            let arrows = lines.iter().filter(|(message, _)| is_drawn(*message));
            rows.extend(arrows.map(|(message, line)| Row::Arrow {
                step,
                message: *message,
                line: *line,
            }));
            let actor = step.checked_sub(1).and_then(|index| run.replay.steps[index].actor);
            if lines.is_empty() && actor.is_none_or(|actor| run.is_drawn(actor)) {
                rows.push(Row::Local { step });
            }
        }
        let is_violated = matches!(run.replay.outcome, Outcome::Violated { .. });
        if run.trace.kind == Kind::Liveness && is_violated {
            rows.push(if run.loops().is_some() { Row::LoopEnd } else { Row::Stuck });
        }
        let messages = run.replay.messages.iter().enumerate();
        let pending = messages.filter(|(_, m)| matches!(m.fate, Fate::InFlight | Fate::Spent(_)));
        let pending = pending.filter(|(message, _)| is_drawn(*message));
        rows.extend(pending.map(|(message, _)| Row::Pending { message }));
        Rows { rows, first, sent }
    }

    /// The rows of a step.
    pub(crate) fn of_step(&self, step: usize) -> std::ops::Range<usize> {
        let start = self.first.get(step).copied().unwrap_or(self.rows.len());
        let of_step = |row: &&Row| match row {
            Row::Arrow { step: at, .. } | Row::Local { step: at } => *at == step,
            Row::LoopStart | Row::LoopEnd | Row::Stuck | Row::Pending { .. } => false,
        };
        start..start + self.rows[start..].iter().take_while(of_step).count()
    }

    /// The messages of which something became at a step, by index.
    pub(crate) fn arrived(&self, step: usize) -> impl Iterator<Item = usize> {
        self.rows[self.of_step(step)].iter().filter_map(|row| match row {
            Row::Arrow { message, .. } => Some(*message),
            Row::Local { .. }
            | Row::LoopStart
            | Row::LoopEnd
            | Row::Stuck
            | Row::Pending { .. } => None,
        })
    }

    /// The messages that a step sent, by index.
    pub(crate) fn sent(&self, step: usize) -> &[usize] {
        self.sent.get(step).map_or(&[], Vec::as_slice)
    }
}

fn lines_of(message: &Message) -> Vec<(usize, Line)> {
    let mut lines: Vec<(usize, Line)> =
        message.copies.iter().map(|step| (*step, Line::Copy)).collect();
    match message.fate {
        Fate::Delivered(step) if message.overtook.is_empty() => lines.push((step, Line::Delivered)),
        Fate::Delivered(step) => lines.push((step, Line::Overtaking)),
        Fate::Lost(step) | Fate::Dropped(step) => lines.push((step, Line::Lost)),
        Fate::InFlight | Fate::Spent(_) => {}
    }
    lines
}

/// Whether an actor lives after a step.
pub(crate) fn lives<P: Protocol>(run: &Run<P>, step: usize, actor: Actor) -> bool {
    run.replay.states[step].processes.keys().any(|address| address.actor == actor)
}

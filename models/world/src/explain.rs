//! Why a property is violated: the clause with its values, and the step that wrote each of them.

use crate::changes::{at, keys, way};
use crate::cluster::{Cluster, World};
use crate::messages::Message;
use crate::protocol::Protocol;
use crate::replay::{Outcome, Replay, describe};
use crate::trace::{Kind, Trace};
use counterfoil_properties::{Fact, Violation};
use std::collections::HashSet;
use std::fmt::Write;

/// How wide the text is.
const WIDTH: usize = 100;

/// A fact of a violation, and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The fact.
    pub fact: Fact,
    /// The step that last wrote its value; 0 if it stood so at the start, `None` if it stands in no
    /// process.
    pub written: Option<usize>,
    /// The same for every entry, if the value is a map: its key, and the step that last wrote it.
    pub entries: Vec<(String, usize)>,
}

/// Where the values of a violation at `step` come from.
pub fn origins<P: Protocol>(replay: &Replay<P>, step: usize, violation: &Violation) -> Vec<Origin> {
    violation.facts.iter().map(|fact| origin(replay, step, fact)).collect()
}

fn origin<P: Protocol>(replay: &Replay<P>, step: usize, fact: &Fact) -> Origin {
    let entries = fact.path.split_first().and_then(|(name, path)| {
        let keys = keys(at(replay.process(step, name)?, path)?);
        let of = |key: String| {
            let path = [&fact.path[..], std::slice::from_ref(&key)].concat();
            (key, written(replay, step, &path).unwrap_or(0))
        };
        Some(keys.into_iter().map(of).collect())
    });
    let written = written(replay, step, &fact.path);
    Origin { fact: fact.clone(), written, entries: entries.unwrap_or_default() }
}

/// The last step up to `step` that changed the value at the end of `path`.
fn written<P: Protocol>(replay: &Replay<P>, step: usize, path: &[String]) -> Option<usize> {
    let (name, path) = path.split_first()?;
    let value = |state: usize| at(replay.process(state, name)?, path);
    (0..=step).find(|state| value(*state).is_some())?;
    let changed = |state: &usize| *state > 0 && value(*state) != value(*state - 1);
    Some((0..=step).rev().find(changed).unwrap_or(0))
}

/// Why the property is violated, in text: the clause, its values with the steps that wrote them,
/// and the messages concerned. If it is not, what came of the run instead.
pub fn why<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let mut text = String::new();
    match &replay.outcome {
        Outcome::Holds { because } => {
            push(&mut text, "why   ", &format!("{} holds: {because}", trace.property));
        }
        Outcome::Diverged(divergence) => push(&mut text, "why   ", &divergence.to_string()),
        Outcome::Violated { step, violation } => {
            push(&mut text, "why   ", &format!("it is false that {}", violation.clause));
            let origins = origins(replay, *step, violation);
            for (origin, value) in origins.iter().zip(values(&violation.facts)) {
                push(&mut text, "      · ", &sentence(replay, origin, &value));
            }
            for message in concerned(replay, *step, &origins) {
                push(&mut text, "      ", &message.to_string());
                push(&mut text, "         ", &message.text);
            }
            match trace.kind {
                Kind::Safety => {}
                Kind::Liveness => push(&mut text, "for ever  ", &for_ever(trace, replay)),
            }
        }
    }
    text
}

/// The values of facts. What two long ones have in common is left out.
fn values(facts: &[Fact]) -> Vec<String> {
    const LONG: usize = 80;
    let mut values: Vec<String> = facts.iter().map(|fact| fact.value.clone()).collect();
    let mut long = values.iter().filter(|value| value.len() > LONG);
    if let (Some(one), Some(other)) = (long.next(), long.next()) {
        let common = common(one, other);
        let start = common.find("{ ").map_or(0, |at| at + 2);
        let end = common.rfind(", ").unwrap_or(start).max(start);
        let inner = common[start..end].to_owned();
        if inner.len() > LONG / 2 {
            values.iter_mut().for_each(|value| *value = value.replacen(&inner, "…", 1));
        }
    }
    values
}

/// The longest text that is in both.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let others: Vec<char> = other.chars().collect();
    let mut best = (0, 0);
    // By place in `other`: how much before it is the same as before the place in `one`.
    let mut same = vec![0; others.len() + 1];
    for (at, letter) in one.char_indices() {
        for index in (0..others.len()).rev() {
            let length = if others[index] == letter { same[index] + letter.len_utf8() } else { 0 };
            same[index + 1] = length;
            if length > best.1 {
                best = (at + letter.len_utf8(), length);
            }
        }
    }
    &one[best.0 - best.1..best.0]
}

fn sentence<P: Protocol>(replay: &Replay<P>, origin: &Origin, value: &str) -> String {
    let Fact { name, path, .. } = &origin.fact;
    let mut text = format!("{name} = {value}");
    if path.is_empty() {
        text.push_str(" (what truly happened)");
        return text;
    }
    let _ = write!(text, " ({})", way(path));
    match origin.written {
        Some(step) if origin.entries.is_empty() => {
            let _ = write!(text, ", {}", when(replay, step));
        }
        Some(_) => {
            let entry = |(key, step): &(String, usize)| format!("{key} {}", when(replay, *step));
            let entries: Vec<String> = origin.entries.iter().map(entry).collect();
            let _ = write!(text, ": {}", entries.join("; "));
        }
        None => {}
    }
    text
}

/// When something was written, and what happened then.
fn when<P: Protocol>(replay: &Replay<P>, step: usize) -> String {
    let Some(was) = step.checked_sub(1).and_then(|index| replay.steps.get(index)) else {
        return "as at the start".to_owned();
    };
    let arrived = replay.messages.iter().find(|message| message.arrivals().any(|at| at == step));
    let message = arrived.map_or_else(String::new, |message| format!(" ({})", message.name()));
    format!("written at step {step}: {}{message}", was.action)
}

/// The messages that arrived when a value was written or the property was violated, and those that
/// they overtook.
fn concerned<'a, P: Protocol>(
    replay: &'a Replay<P>,
    step: usize,
    origins: &[Origin],
) -> Vec<&'a Message> {
    let mut steps: Vec<usize> = origins.iter().filter_map(|origin| origin.written).collect();
    steps.extend(origins.iter().flat_map(|origin| &origin.entries).map(|(_, step)| *step));
    steps.push(step);
    let arrived = |message: &Message| message.arrivals().any(|arrival| steps.contains(&arrival));
    let chosen = replay.messages.iter().filter(|message| {
        let overtaken = message.overtaken_by.and_then(|by| replay.messages.get(by - 1));
        arrived(message) || overtaken.is_some_and(arrived)
    });
    chosen.collect()
}

/// Why the run can go on so for ever although nothing fair is put off for ever.
fn for_ever<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let last = trace.steps.len();
    let start = trace.back_to.unwrap_or(last);
    if start == last {
        return format!("after step {last} nothing fair changes anything any more");
    }
    let repeat = match start + 1 == last {
        true => format!("step {last} repeats, and it is no fault"),
        false => format!("steps {} to {last} repeat, and no fault is among them", start + 1),
    };
    let index = P::liveness().iter().position(|property| property.name == trace.property);
    let goal = |state: &Cluster<P>| {
        index.is_none_or(|index| P::goal(&replay.world, state, index).is_none())
    };
    match closure(&replay.world, &replay.states[start]) {
        Some(states) if !states.iter().any(goal) => format!(
            "{repeat}; whatever else may happen without faults and outside inputs, the goal is false \
             in each of the {} states that can follow",
            states.len()
        ),
        Some(_) | None => format!("{repeat}; fair and not among them: {}", left_out(trace, replay)),
    }
}

/// Every state that fair steps lead to from `state`, if they are not too many to tell.
fn closure<P: Protocol>(world: &World<P>, state: &Cluster<P>) -> Option<HashSet<Cluster<P>>> {
    const STATES_MAX: usize = 4_000;
    let mut seen = HashSet::from([state.clone()]);
    let mut queue = vec![state.clone()];
    while let Some(state) = queue.pop() {
        for action in world.enabled(&state) {
            if world.is_fair(&state, &action) {
                let next = world.apply(&state, &action);
                if seen.insert(next.clone()) {
                    queue.push(next);
                }
            }
        }
        if seen.len() > STATES_MAX {
            return None;
        }
    }
    Some(seen)
}

/// What is fair and would change something on the loop, and is never taken in it.
fn left_out<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let (start, last) = (trace.back_to.unwrap_or_default(), trace.steps.len());
    let repeated = &trace.steps[start..];
    let mut left_out: Vec<String> = Vec::new();
    for state in &replay.states[start..last] {
        let enabled = replay.world.enabled(state).into_iter();
        let fair = enabled.filter(|action| replay.world.is_fair(state, action));
        let put_off = fair.filter(|action| {
            !repeated.contains(action) && replay.world.apply(state, action) != *state
        });
        for action in put_off.map(|action| describe(&replay.world, &action)) {
            if !left_out.contains(&action) {
                left_out.push(action);
            }
        }
    }
    if left_out.is_empty() { "nothing".to_owned() } else { left_out.join("; ") }
}

/// Appends `text` after `lead`, broken at spaces to the width.
fn push(all: &mut String, lead: &str, text: &str) {
    let indent = " ".repeat(lead.chars().count());
    for (index, line) in wrap(text, WIDTH - indent.len()).iter().enumerate() {
        let _ = writeln!(all, "{}{line}", if index == 0 { lead } else { indent.as_str() });
    }
}

/// How wide a letter is: as wide as what stands for it where only ASCII is written.
fn letter_width(letter: char) -> usize {
    match letter {
        '…' => 3,
        '→' => 2,
        _ => 1,
    }
}

/// How wide a text is.
pub fn text_width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// Lines of up to `width`, broken at spaces where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut taken = 0;
    for word in text.split(' ') {
        let space = usize::from(taken > 0);
        if taken > 0 && taken + space + text_width(word) > width {
            lines.push(String::new());
            taken = 0;
        } else if taken > 0 {
            lines.last_mut().expect("never empty").push(' ');
            taken += 1;
        }
        for letter in word.chars() {
            if taken + letter_width(letter) > width {
                lines.push(String::new());
                taken = 0;
            }
            lines.last_mut().expect("never empty").push(letter);
            taken += letter_width(letter);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_text_is_found() {
        assert_eq!(common("abcdXefgh", "efghabcd1"), "abcd");
        assert_eq!(common("äöü", "xöüy"), "öü");
        assert_eq!(common("a", "b"), "");
    }

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdef g", 3), ["abc", "def", "g"]);
        assert_eq!(wrap("", 3), [""]);
    }
}

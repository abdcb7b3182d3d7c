//! What is told in lines: why the property is violated, and what is in flight.

use super::run::Run;
use counterfoil_world::Protocol;
use counterfoil_world::choices::{Claim, LastSafe, STEPS_MAX};
use counterfoil_world::explain::passed;
use counterfoil_world::messages::{Fate, Message};
use counterfoil_world::why::{Concerned, ForEver, LastChoice, Origin, Verdict, Why, Written};

/// One thing that is told; broken into as many lines as it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: String,
    /// How far it stands in.
    pub(crate) indent: usize,
    /// The step that it is about.
    pub(crate) target: Option<usize>,
    pub(crate) tone: Tone,
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
    Dim,
}

impl Item {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Item { text: text.into(), indent: 0, target: None, tone: Tone::Plain }
    }

    fn of(tone: Tone, text: impl Into<String>) -> Self {
        Item { tone, ..Item::plain(text) }
    }

    fn about(text: impl Into<String>, target: Option<usize>) -> Self {
        Item { indent: 2, target, ..Item::plain(text) }
    }
}

/// Why a property is violated.
pub(crate) fn whys(why: &Why) -> Vec<Item> {
    let mut items = vec![Item::of(Tone::Strong, why.sentence.clone())];
    items.push(Item::of(Tone::Dim, format!("{}: {}", why.property, why.statement)));
    match why.verdict {
        Verdict::Holds | Verdict::Diverged => return items,
        Verdict::Violated => {}
    }
    let clause = format!("✗ it is false that {}", why.clause);
    items.push(Item { target: why.step, ..Item::of(Tone::Bad, clause) });
    why.facts.iter().for_each(|origin| fact(origin, &mut items));
    if !why.chain.links.is_empty() {
        items.push(Item::of(Tone::Strong, "how it comes to that"));
    }
    items.extend(why.chain.links.iter().map(|link| Item::about(link.to_string(), Some(link.step))));
    if !why.messages.is_empty() {
        items.push(Item::of(Tone::Strong, "messages concerned"));
    }
    items.extend(why.messages.iter().map(message));
    items.extend(why.for_ever.iter().map(for_ever));
    choice(&why.choice, &mut items);
    items
}

fn fact(origin: &Origin, items: &mut Vec<Item>) {
    let Origin { fact, shown, place, written, entries, passages } = origin;
    let value = format!("{} = {shown}", fact.name);
    let Some(written) = written else {
        items.push(Item::about(format!("{value} (what truly happened)"), None));
        return;
    };
    if !passages.is_empty() {
        let text = format!("{value} ({place}), {}", passed(passages));
        items.push(Item::about(text, Some(written.step)));
        return;
    }
    if entries.is_empty() {
        items
            .push(Item::about(format!("{value} ({place}), {}", when(written)), Some(written.step)));
        return;
    }
    items.push(Item::about(format!("{value} ({place})"), Some(written.step)));
    items.extend(entries.iter().map(|(key, written)| Item {
        indent: 4,
        ..Item::about(format!("{key} {}", when(written)), Some(written.step))
    }));
}

fn when(written: &Written) -> String {
    match written {
        Written { step: 0, .. } => "as at the start".to_owned(),
        Written { step, action } => format!("written at step {step}: {action}"),
    }
}

fn message(of: &Concerned) -> Item {
    let late = of.differences.iter().filter(|difference| difference.is_late());
    let late: Vec<String> = late.map(|difference| format!("; it {difference}")).collect();
    let Concerned { name, label, src, dst, history, .. } = of;
    let text = format!("{name} {label} {src} → {dst}: {history}{}", late.concat());
    Item::about(text, Some(of.sent))
}

fn for_ever(of: &ForEver) -> Item {
    let Some((first, last)) = of.repeats else {
        let text = format!("for ever: after step {} nothing fair changes anything", of.stem);
        return Item { target: Some(of.stem), ..Item::of(Tone::Strong, text) };
    };
    let repeat = if first == last {
        format!("for ever: step {last} repeats, and it is no fault")
    } else {
        format!("for ever: steps {first} to {last} repeat, and no fault is among them")
    };
    let text = match (of.states, of.left_out.is_empty()) {
        (Some(states), _) => format!(
            "{repeat}; without faults and outside inputs {states} states can follow, and the goal \
             is false in each"
        ),
        (None, false) => format!("{repeat}; fair and not among them: {}", of.left_out.join("; ")),
        (None, true) => format!("{repeat}; nothing else is fair and would change something"),
    };
    Item { target: Some(first), ..Item::of(Tone::Strong, text) }
}

fn choice(of: &LastChoice, items: &mut Vec<Item>) {
    /// How many safe actions are told; the others are in the pane of what could happen.
    const SAFE_MAX: usize = 4;
    let LastSafe { step, taken, enabled, safe, claim, .. } = match of {
        LastChoice::At(last) => last,
        LastChoice::Never => {
            let text = "no choice was safe: without faults and outside inputs it comes to this \
                        from the start on";
            items.push(Item::of(Tone::Strong, text));
            return;
        }
        LastChoice::NotKnown => {
            let text = format!(
                "the last safe choice is not known: more than {STEPS_MAX} steps were looked at"
            );
            items.push(Item::of(Tone::Dim, text));
            return;
        }
        LastChoice::None => return,
    };
    let (lead, kept) = match claim {
        Claim::ForGood => ("the last safe choice was at step", "safe"),
        Claim::NextStep => ("instead of step", "without a violation at once"),
    };
    let count = safe.len();
    let text = format!("{lead} {step} ({taken}): {count} of {enabled} actions were {kept}");
    let before = step.checked_sub(1);
    items.push(Item { target: before, ..Item::of(Tone::Strong, text) });
    items.extend(
        safe.iter()
            .take(SAFE_MAX)
            .map(|action| Item {
                tone: Tone::Good, ..Item::about(format!("✓ {action}"), before)
            }),
    );
    if count > SAFE_MAX {
        items.push(Item::about(format!("and {} more", count - SAFE_MAX), before));
    }
}

/// The messages that are under way after a step.
pub(crate) fn flights<P: Protocol>(run: &Run<P>, step: usize) -> Vec<Item> {
    let flying = run.replay.messages.iter().filter(|message| {
        let end = match message.fate {
            Fate::InFlight => None,
            Fate::Spent(at) | Fate::Delivered(at) | Fate::Lost(at) | Fate::Dropped(at) => Some(at),
        };
        message.sent <= step && end.is_none_or(|end| end > step)
    });
    flying.map(flight).collect()
}

fn flight(message: &Message) -> Item {
    let Message { src, dst, label, text, sent, .. } = message;
    let (fate, target, tone) = match message.fate {
        Fate::InFlight => ("still in flight at the end".to_owned(), None, Tone::Plain),
        Fate::Delivered(at) => (format!("arrives at {at}"), Some(at), Tone::Plain),
        Fate::Lost(at) => (format!("✗ is lost at {at}"), Some(at), Tone::Bad),
        Fate::Dropped(at) => (format!("✗ finds nobody at {at}"), Some(at), Tone::Bad),
        Fate::Spent(at) => (format!("without effect from {at} on"), Some(at), Tone::Dim),
    };
    let copies: Vec<String> = message.copies.iter().map(ToString::to_string).collect();
    let copies = match copies.is_empty() {
        true => String::new(),
        false => format!(", a copy at {}", copies.join(", ")),
    };
    let by = message.overtaken_by.map(|by| format!(", overtaken by m{by}")).unwrap_or_default();
    // What it says begins with what it is.
    let text = if text.is_empty() { label } else { text };
    let text =
        format!("{} {src} → {dst}, sent at {sent}, {fate}{copies}{by}: {text}", message.name());
    Item { text, indent: 0, target, tone }
}

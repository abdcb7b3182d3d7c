//! Why a property is violated, in text: [`Why`] told to people.

use crate::choices::{Claim, LastSafe};
use crate::protocol::Protocol;
use crate::replay::Replay;
use crate::trace::Trace;
use crate::why::{Concerned, ForEver, How, LastChoice, Origin, Verdict, Why, Written};
use std::fmt::Write;

/// How wide the text is.
const WIDTH: usize = 100;

/// How many of the safe actions of a step are told.
const SAFE_MAX: usize = 4;

/// How many messages are told.
const MESSAGES_MAX: usize = 8;

/// Why the property is violated, in text: the clause, its values with the steps that wrote them,
/// the messages concerned, the last safe choice, and one sentence. If it is not, what came of the
/// run instead.
pub fn why<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    text(&Why::of(trace, replay))
}

/// The same, of what is known already.
pub fn text(why: &Why) -> String {
    let mut text = String::new();
    match why.verdict {
        Verdict::Holds => {
            push(&mut text, "why     ", &format!("{} holds: {}", why.property, why.because));
            return text;
        }
        Verdict::Diverged => {
            push(&mut text, "why     ", &why.because);
            return text;
        }
        Verdict::Violated => {}
    }
    push(&mut text, "why     ", &format!("it is false that {}", why.clause));
    for origin in &why.facts {
        push(&mut text, "        · ", &fact(origin));
    }
    told_messages(&mut text, &why.messages);
    if let Some(for_ever) = &why.for_ever {
        push(&mut text, "for ever  ", &repeated(for_ever));
    }
    match &why.choice {
        LastChoice::At(last) => told_choice(&mut text, last),
        LastChoice::Never => {
            let never = "none was safe: whatever else happens without faults and outside inputs, it \
                         comes to this from the start on";
            push(&mut text, "choice  ", never);
        }
        LastChoice::NotKnown => {
            push(&mut text, "choice  ", "not known: too many states can follow");
        }
        LastChoice::None => {}
    }
    push(&mut text, "in short  ", &why.sentence);
    text
}

/// A fact, and what wrote it.
fn fact(origin: &Origin) -> String {
    let Origin { fact, shown, place, passages, .. } = origin;
    let mut text = format!("{} = {shown}", fact.name);
    if fact.path.is_empty() {
        text.push_str(" (what truly happened)");
        return text;
    }
    let _ = write!(text, " ({place})");
    if !passages.is_empty() {
        let _ = write!(text, ", {}", passed(passages));
        return text;
    }
    match &origin.written {
        Some(written) if origin.entries.is_empty() => {
            let _ = write!(text, ", {}", when(written));
        }
        Some(_) => {
            let entry = |(key, written): &(String, Written)| format!("{key} {}", when(written));
            let entries: Vec<String> = origin.entries.iter().map(entry).collect();
            let _ = write!(text, ": {}", entries.join("; "));
        }
        None => {}
    }
    text
}

/// When something came and went.
pub fn passed(passages: &[(usize, How)]) -> String {
    let told = passages.iter().map(|(step, how)| match how {
        How::Came | How::Changed => format!("new at step {step}"),
        How::Went => format!("gone at step {step}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// When something was written, and what happened then.
fn when(written: &Written) -> String {
    match written {
        Written { step: 0, .. } => "as at the start".to_owned(),
        Written { step, action } => format!("written at step {step}: {action}"),
    }
}

/// The messages concerned: those that made a difference with it, and the others.
fn told_messages(text: &mut String, messages: &[Concerned]) {
    let mut lead = "message ";
    for message in messages.iter().take(MESSAGES_MAX) {
        let Concerned { name, label, src, dst, history, .. } = message;
        let late: Vec<String> = message
            .differences
            .iter()
            .filter(|difference| difference.is_late())
            .map(|difference| format!("; it {difference}"))
            .collect();
        let line = format!("{name} {label} {src} → {dst}: {history}{}", late.concat());
        push(text, lead, &line);
        push(text, "           ", &message.says);
        lead = "        ";
    }
    if messages.len() > MESSAGES_MAX {
        push(text, lead, &format!("and {} more", messages.len() - MESSAGES_MAX));
    } else if !messages.is_empty() && messages.iter().all(|m| m.differences.is_empty()) {
        push(text, lead, "none of them was late, lost, copied or overtaken");
    }
}

/// Why the run can go on so for ever although nothing fair is put off for ever.
fn repeated(for_ever: &ForEver) -> String {
    let Some((first, last)) = for_ever.repeats else {
        return format!("after step {} nothing fair changes anything any more", for_ever.stem);
    };
    let repeat = match first == last {
        true => format!("step {last} repeats, and it is no fault"),
        false => format!("steps {first} to {last} repeat, and no fault is among them"),
    };
    match (for_ever.states, for_ever.left_out.is_empty()) {
        (Some(states), _) => format!(
            "{repeat}; whatever else may happen without faults and outside inputs, the goal is false \
             in each of the {states} states that can follow"
        ),
        (None, false) => {
            format!("{repeat}; fair and not among them: {}", for_ever.left_out.join("; "))
        }
        (None, true) => format!("{repeat}; nothing else is fair and would change something"),
    }
}

/// The last safe choice, and what was safe.
fn told_choice(text: &mut String, last: &LastSafe) {
    let LastSafe { step, taken, enabled, safe, unfair, claim } = last;
    let actions = if *enabled == 1 { "action" } else { "actions" };
    let kept = match claim {
        Claim::ForGood => format!("step {step} was the last safe one: {taken}"),
        Claim::NextStep => format!("step {step}: {taken}"),
    };
    push(text, "choice  ", &kept);
    let many = match (safe.len(), claim) {
        (0, Claim::ForGood) => {
            format!("none of the {enabled} enabled {actions} was: nothing had to happen")
        }
        (0, Claim::NextStep) => format!("each of the {enabled} enabled {actions} violates at once"),
        (count, Claim::ForGood) => {
            let (was, them) = if count == 1 { ("was", "it") } else { ("were", "them") };
            format!(
                "safe {was} {count} of {enabled} enabled {actions}: after {them} it can be avoided \
                 for good"
            )
        }
        (count, Claim::NextStep) => format!(
            "{count} of {enabled} enabled {actions} would not have violated at once; whether it could \
             be avoided for good is not known: too many states can follow"
        ),
    };
    push(text, "        ", &many);
    for (index, action) in safe.iter().take(SAFE_MAX).enumerate() {
        let fault = if index + unfair >= safe.len() { " (a fault, or from outside)" } else { "" };
        push(text, "        · ", &format!("{action}{fault}"));
    }
    if safe.len() > SAFE_MAX {
        push(text, "        · ", &format!("and {} more", safe.len() - SAFE_MAX));
    }
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
    fn lines_are_broken_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdef g", 3), ["abc", "def", "g"]);
        assert_eq!(wrap("", 3), [""]);
    }
}

//! Values of the machines, and what became of them, as a reader is shown them.

use super::Change;
use super::glossary::one_word;
use counterfoil_world::changes::{self, brief, way};
use counterfoil_world::itf::NONE;
use counterfoil_world::{Outcome, Protocol, Replay};
use serde_json::{Value, json};

impl Change {
    /// Of a run.
    pub(super) fn of<P: Protocol>(replay: &Replay<P>, change: &changes::Change) -> Change {
        let changes::Change { path, before, after } = change;
        let words = |value: &Option<Value>| value.as_ref().map(|value| told(path, value));
        Change {
            mark: match (before, after) {
                (Some(_), Some(_)) => '~',
                (None, _) => '+',
                (Some(_), None) => '-',
            },
            way: one_word(&way(path)),
            before: words(before),
            after: words(after),
            short: after.as_ref().map(|value| short::<P>(path, value)),
            named: is_named(replay, path),
            bookkeeping: path.iter().any(|part| P::is_bookkeeping(part)),
        }
    }
}

/// Whether the violation names the value at the end of `path`, something in it, or what it is in.
pub(super) fn is_named<P: Protocol>(replay: &Replay<P>, path: &[String]) -> bool {
    let Outcome::Violated { violation, .. } = &replay.outcome else { return false };
    violation.facts.iter().any(|fact| {
        let mut pairs = fact.path.iter().zip(path);
        !fact.path.is_empty() && pairs.all(|(one, other)| one == other)
    })
}

/// A value at the end of a way, in few words.
pub(super) fn told(path: &[String], value: &Value) -> String {
    let within = |back: usize| path.len().checked_sub(back).map(|at| path[at].as_str());
    let decides = within(2) == Some("decided");
    one_word(&brief(&dressed(within(1).unwrap_or_default(), decides, value, |_| false)))
}

/// The same without what only serves the machines.
pub(super) fn short<P: Protocol>(path: &[String], value: &Value) -> String {
    let name = path.last().map_or("", String::as_str);
    one_word(&brief(&dressed(name, false, value, P::is_bookkeeping)))
}

/// What a node has decided on a claim is no refusal where it is a grant: that is said. Of the
/// fields that are `left_out` nothing is left.
fn dressed(name: &str, decides: bool, value: &Value, left_out: fn(&str) -> bool) -> Value {
    let Some(fields) = value.as_object() else { return value.clone() };
    if decides && fields.get("tag").and_then(Value::as_str) == Some(NONE) {
        return json!("granted");
    }
    if let Some(Value::Array(entries)) = fields.get("#map") {
        let entries = entries
            .iter()
            .map(|entry| json!([entry[0], dressed("", name == "decided", &entry[1], left_out)]));
        return json!({ "#map": entries.collect::<Vec<Value>>() });
    }
    let kept = fields.iter().filter(|(name, _)| !left_out(name));
    let dressed = kept.map(|(name, value)| (name.clone(), dressed(name, false, value, left_out)));
    Value::Object(dressed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_world::Counterfoil;

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| part.to_string()).collect()
    }

    #[test]
    fn a_grant_among_decisions_is_called_one() {
        let none = json!({ "tag": "None_", "value": {} });
        let number = json!({ "#bigint": "0" });
        let decided = json!({ "#map": [[number, none]] });
        let fence = json!({ "decided": decided, "floor": number, "incarnation": number });
        assert_eq!(
            told(&path(&["fences", "s1"]), &fence),
            "{decided {0: granted}, floor 0, life 0}"
        );
        assert_eq!(
            short::<Counterfoil>(&path(&["fences", "s1"]), &fence),
            "{decided {0: granted}, life 0}"
        );
        assert_eq!(told(&path(&["s1", "decided"]), &decided), "{0: granted}");
        assert_eq!(told(&path(&["decided", "0"]), &none), "granted");
        assert_eq!(told(&path(&["s1", "host"]), &none), "none");
    }
}

//! The values of facts in plain words: facts carry them as the machines print themselves.

use crate::changes::words;
use counterfoil_properties::Fact;

/// The values of facts. What two long ones have in common is left out.
pub(super) fn values(facts: &[Fact]) -> Vec<String> {
    const LONG: usize = 60;
    let mut values: Vec<String> = facts.iter().map(|fact| plain(&fact.value)).collect();
    let mut long = values.iter().filter(|value| value.len() > LONG);
    if let (Some(one), Some(other)) = (long.next(), long.next()) {
        let common = common(one, other);
        let start = common.find('{').map_or(0, |at| at + 1);
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

/// A value in plain words, of what `Debug` prints of it: `Some(Held)` is `held`, empty parts of
/// records are left out. What is not understood stays as it is.
pub fn plain(debug: &str) -> String {
    let mut parser = Parser { rest: debug };
    match parser.value() {
        Some(value) if parser.rest.is_empty() => value.text(),
        Some(_) | None => debug.to_owned(),
    }
}

/// What `Debug` prints, taken apart.
enum Value {
    Word(String),
    /// Of named parts.
    Record(Vec<(String, Value)>),
    /// Of parts in order, with a name or without.
    Tuple(String, Vec<Value>),
    /// A map or a set.
    Entries(Vec<(Value, Option<Value>)>),
    List(Vec<Value>),
}

impl Value {
    fn text(&self) -> String {
        let list = |values: &[Value], between: &str| {
            values.iter().map(Value::text).collect::<Vec<_>>().join(between)
        };
        match self {
            Value::Word(word) if word == "None" => "nothing".to_owned(),
            Value::Word(word) => variant(word),
            Value::Record(parts) => {
                let full = parts.iter().filter(|(_, value)| !value.is_empty());
                let parts = full.map(|(name, value)| format!("{name} {}", value.text()));
                format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
            }
            Value::Tuple(name, parts) if name.is_empty() => format!("({})", list(parts, ", ")),
            Value::Tuple(name, parts) => match parts.as_slice() {
                [inner] if name == "Some" => inner.text(),
                [inner @ (Value::Entries(_) | Value::List(_))] => inner.text(),
                parts => format!("{} {}", variant(name), list(parts, " ")),
            },
            Value::Entries(entries) => {
                let entries = entries.iter().map(|(key, value)| match value {
                    Some(value) => format!("{}: {}", key.text(), value.text()),
                    None => key.text(),
                });
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            Value::List(items) => format!("[{}]", list(items, ", ")),
        }
    }

    /// Whether there is nothing in it to tell.
    fn is_empty(&self) -> bool {
        match self {
            Value::Word(word) => word == "None",
            Value::Record(parts) => parts.iter().all(|(_, value)| value.is_empty()),
            Value::Tuple(_, parts) => parts.iter().all(Value::is_empty),
            Value::Entries(entries) => entries.is_empty(),
            Value::List(items) => items.is_empty(),
        }
    }
}

/// The name of a variant in words; any other word as it is: `AntiAffinity`, but `VCPU`, `n1`.
fn variant(word: &str) -> String {
    let letters = word.chars().all(char::is_alphanumeric);
    let is_name = letters && word.starts_with(char::is_uppercase);
    if is_name && word.contains(char::is_lowercase) { words(word) } else { word.to_owned() }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    /// Takes `text` if it is next.
    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Value> {
        if self.takes("\"") {
            let (text, rest) = self.rest.split_once('"')?;
            self.rest = rest;
            return Some(Value::Word(text.to_owned()));
        }
        if self.takes("[") {
            return Some(Value::List(self.until("]", Parser::value)?));
        }
        if self.takes("{") {
            return Some(Value::Entries(self.until("}", Parser::entry)?));
        }
        let name = self.word();
        if self.takes("(") {
            return Some(Value::Tuple(name, self.until(")", Parser::value)?));
        }
        if self.takes(" { ") {
            return Some(Value::Record(self.until(" }", Parser::part)?));
        }
        (!name.is_empty()).then_some(Value::Word(name))
    }

    /// Values with commas between them, up to `end`.
    fn until<T>(&mut self, end: &str, one: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut all = Vec::new();
        while !self.takes(end) {
            if !all.is_empty() && !self.takes(", ") {
                return None;
            }
            all.push(one(self)?);
        }
        Some(all)
    }

    fn entry(&mut self) -> Option<(Value, Option<Value>)> {
        let key = self.value()?;
        let value = if self.takes(": ") { Some(self.value()?) } else { None };
        Some((key, value))
    }

    fn part(&mut self) -> Option<(String, Value)> {
        let name = self.word();
        if self.takes(": ") { Some((name, self.value()?)) } else { None }
    }

    /// Up to what has a meaning of its own: in `s1.1:n1#0: x` the first colon has none.
    fn word(&mut self) -> String {
        let ends = |(at, letter): &(usize, char)| match letter {
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | ' ' | '"' => true,
            ':' => self.rest[at + 1..].starts_with(' '),
            _ => false,
        };
        let end = self.rest.char_indices().find(ends).map_or(self.rest.len(), |(at, _)| at);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }
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
    fn what_machines_print_is_told_in_plain_words() {
        for (debug, told) in [
            ("Some(Held)", "held"),
            ("None", "nothing"),
            ("2", "2"),
            ("s1.1:n1#0", "s1.1:n1#0"),
            ("Resources({VCPU: 2, MEMORY_MB: 2})", "{VCPU: 2, MEMORY_MB: 2}"),
            ("Some((1.0, Resources({})))", "(1.0, {})"),
            ("Claiming(n1, 0)", "claiming n1 0"),
            ("AntiAffinity(GROUP_1)", "anti affinity GROUP_1"),
            ("[\"s1.1:n1#0\"]", "[s1.1:n1#0]"),
            ("{s1.1:n1#0: Held}", "{s1.1:n1#0: held}"),
            (
                "Grant { request: r1, at: 1.1, on: {n1}, told: Some(Held), ended: None }",
                "{request r1, at 1.1, on {n1}, told held}",
            ),
            (
                "Demand { resources: Resources({VCPU: 1}), near: {}, zone: None }",
                "{resources {VCPU: 1}}",
            ),
        ] {
            assert_eq!(plain(debug), told);
        }
    }

    #[test]
    fn what_is_not_understood_stays_as_it_is() {
        for odd in ["", "Some(", "{a: b", "f(x) y", "a { b }", "\"open"] {
            assert_eq!(plain(odd), odd);
        }
    }
}

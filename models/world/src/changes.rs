//! What differs between two values, where, and in few words.

use crate::itf::{NONE, content, inner, key_text};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A place where two values differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The way to it, by field and key.
    pub path: Vec<String>,
    /// What was there, if anything.
    pub before: Option<Value>,
    /// What is there, if anything.
    pub after: Option<Value>,
}

/// Every place where `before` and `after` differ, as deep down as they can be compared.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), Some(before), Some(after), &mut found);
    found
}

fn compare(
    path: &mut Vec<String>,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Change>,
) {
    if before == after {
        return;
    }
    if let (Some(old), Some(new)) = (before, after)
        && let (Some(old), Some(new)) = (parts(old), parts(new))
    {
        let mut others: BTreeMap<&str, &Value> =
            new.iter().map(|(key, value)| (&**key, *value)).collect();
        for (key, old) in &old {
            let new = others.remove(&**key);
            compare_part(path, key, Some(old), new, found);
        }
        for (key, new) in new.iter().filter(|(key, _)| others.contains_key(&**key)) {
            compare_part(path, key, None, Some(new), found);
        }
        return;
    }
    found.push(Change { path: path.clone(), before: before.cloned(), after: after.cloned() });
}

fn compare_part(
    path: &mut Vec<String>,
    key: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Change>,
) {
    if before != after {
        path.push(key.to_owned());
        compare(path, before, after, found);
        path.pop();
    }
}

/// The parts of a value that has named parts. An option is taken for its content.
pub fn children(value: &Value) -> Option<Vec<(String, Value)>> {
    let parts = parts(value)?.into_iter();
    Some(parts.map(|(key, value)| (key.into_owned(), value.clone())).collect())
}

/// The same, where they are.
fn parts(value: &Value) -> Option<Vec<(Cow<'_, str>, &Value)>> {
    let fields = content(value)?.as_object()?;
    if let Some(Value::Array(entries)) = fields.get("#map") {
        return Some(entries.iter().map(|e| (Cow::Owned(key_text(&e[0])), &e[1])).collect());
    }
    let is_record = !fields.keys().any(|key| key.starts_with('#')) && !fields.contains_key("tag");
    let borrowed = |(key, value)| (Cow::Borrowed(String::as_str(key)), value);
    is_record.then(|| fields.iter().map(borrowed).collect())
}

/// The value at the end of `path`, if it is there.
pub fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    let Some((first, rest)) = path.split_first() else { return Some(value) };
    let mut value = content(value)?;
    if let Some(data) = value.get("tag").and(value.get("value")) {
        value = inner(data);
    }
    let fields = value.as_object()?;
    let child = match fields.get("#map") {
        Some(Value::Array(entries)) => {
            entries.iter().find(|entry| key_text(&entry[0]) == *first).map(|entry| &entry[1])?
        }
        Some(_) | None => fields.get(&crate::itf::field_name(first))?,
    };
    at(child, rest)
}

/// The keys of a map; none if it is not one.
pub fn keys(value: &Value) -> Vec<String> {
    let entries = content(value).and_then(|value| value.get("#map")?.as_array());
    entries.into_iter().flatten().map(|entry| key_text(&entry[0])).collect()
}

/// A way to a value as one word: `n1.nodes.s1`, with brackets around keys that have other signs.
pub fn way(path: &[String]) -> String {
    let mut text = String::new();
    for (index, part) in path.iter().enumerate() {
        let plain = part.chars().all(|c| c.is_alphanumeric() || c == '_');
        match (index, plain) {
            (0, _) => text.push_str(part),
            (_, true) => text.extend([".", part]),
            (_, false) => text.extend(["[", part, "]"]),
        }
    }
    text
}

/// A value in few words. Empty parts of records are left out.
pub fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Object(fields) => brief_object(fields),
    }
}

fn brief_object(fields: &Map<String, Value>) -> String {
    if let Some(Value::String(digits)) = fields.get("#bigint") {
        return digits.clone();
    }
    if let Some(Value::Array(items)) = fields.get("#set") {
        return format!("{{{}}}", list(items));
    }
    if let Some(Value::Array(items)) = fields.get("#tup") {
        return format!("({})", list(items));
    }
    if let Some(Value::Array(entries)) = fields.get("#map") {
        let entry = |e: &Value| format!("{}: {}", key_text(&e[0]), brief(&e[1]));
        let entries: Vec<String> = entries.iter().map(entry).collect();
        return format!("{{{}}}", entries.join(", "));
    }
    if let (Some(Value::String(tag)), Some(data)) = (fields.get("tag"), fields.get("value")) {
        let name = words(tag.trim_end_matches('_'));
        let parts = data.as_object().filter(|parts| !parts.contains_key("tag"));
        let data = match parts {
            _ if tag == "Some" => return brief(inner(data)),
            Some(parts) if parts.is_empty() => return name,
            // The one thing in a variant needs no name; nor do those that have none.
            Some(parts) if parts.len() == 1 || parts.contains_key("f0") => {
                parts.values().map(brief).collect::<Vec<_>>().join(" ")
            }
            Some(_) | None => brief(data),
        };
        return format!("{name} {data}");
    }
    let full = fields.iter().filter(|(_, value)| !is_empty(value));
    let parts = full.map(|(name, value)| {
        format!("{} {}", name.strip_suffix('_').unwrap_or(name), brief(value))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}

fn list(items: &[Value]) -> String {
    items.iter().map(brief).collect::<Vec<_>>().join(", ")
}

/// Whether there is nothing in it to tell.
fn is_empty(value: &Value) -> bool {
    let Some(fields) = value.as_object() else { return false };
    let none = fields.get("tag").and_then(Value::as_str) == Some(NONE);
    let collection = fields.get("#set").or(fields.get("#map")).or(fields.get("#tup"));
    let record = !fields.contains_key("#bigint") && !fields.contains_key("tag");
    match collection {
        Some(items) => items.as_array().is_some_and(Vec::is_empty),
        None => none || (record && fields.values().all(is_empty)),
    }
}

/// A name in small letters with spaces: `ClaimGranted` is `claim granted`.
pub fn words(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(if letter == '_' { ' ' } else { letter }.to_lowercase());
    }
    text
}

/// What a message is, in one or two words: its variant, and that of the first part that is one.
pub fn label(message: &Value) -> String {
    let tag = |value: &Value| {
        let tag = value.get("tag").and_then(Value::as_str);
        tag.filter(|tag| !["Some", NONE].contains(tag)).map(words)
    };
    let Some(fields) = message.as_object() else { return brief(message) };
    let body = match fields.get("tag") {
        Some(_) => message,
        None => fields.values().find(|value| tag(value).is_some()).unwrap_or(message),
    };
    let Some(first) = tag(body) else { return brief(message) };
    let parts = body["value"].as_object();
    let second = parts.and_then(|parts| parts.values().find_map(tag));
    second.map_or(first.clone(), |second| format!("{first} {second}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(version: &str, claims: &[(&str, &str)]) -> Value {
        let claims: Vec<Value> = claims.iter().map(|(key, value)| json!([key, value])).collect();
        let host = json!({ "tag": "Some", "value": { "version": version } });
        json!({ "host": host, "claims": { "#map": claims } })
    }

    #[test]
    fn the_deepest_places_that_differ_are_found() {
        let found = changes(&state("0", &[("a", "x"), ("b", "y")]), &state("1", &[("b", "y")]));
        let ways: Vec<String> = found.iter().map(|change| way(&change.path)).collect();
        assert_eq!(ways, ["claims.a", "host.version"]);
        assert_eq!(found[0].after, None);
        assert_eq!(found[1].after, Some(json!("1")));
    }

    #[test]
    fn a_way_leads_through_options_and_maps() {
        let path = |parts: &[&str]| parts.iter().map(|part| part.to_string()).collect::<Vec<_>>();
        let state = state("7", &[("s1.1:n1#0", "x")]);
        assert_eq!(at(&state, &path(&["host", "version"])), Some(&json!("7")));
        assert_eq!(at(&state, &path(&["claims", "s1.1:n1#0"])), Some(&json!("x")));
        assert_eq!(at(&state, &path(&["claims", "other"])), None);
        assert_eq!(way(&path(&["s1", "claims", "s1.1:n1#0", "at"])), "s1.claims[s1.1:n1#0].at");
    }

    #[test]
    fn values_are_told_in_few_words() {
        let bigint = json!({ "#bigint": "1" });
        let none = json!({ "tag": "None_", "value": {} });
        let empty = json!({ "#set": [] });
        let demand =
            json!({ "resources": { "#map": [["VCPU", bigint]] }, "zone": none, "x": empty });
        assert_eq!(brief(&demand), "{resources {VCPU: 1}}");
        let granted = json!({ "tag": "Granted", "value": { "at": "1.1" } });
        assert_eq!(brief(&granted), "granted 1.1");
        let verdict = json!({ "tag": "Verdict", "value": { "claim": "c", "decision": granted } });
        assert_eq!(label(&json!({ "src": "n1", "body": verdict })), "verdict granted");
        assert_eq!(words("ClaimGranted"), "claim granted");
    }
}

//! A saved run as a test in Rust, which needs no file beside it: the scenario and every step stand in
//! it, and it says at which step the property must be violated, or that it must hold.

use crate::protocol::Protocol;
use crate::replay::{Outcome, Replay};
use crate::trace::Trace;
use serde::Serialize;
use std::fmt::Write;

/// How wide the lines of data are.
const WIDTH: usize = 98;

/// The test for a run that was replayed and did not diverge: a file for the folder `tests` of a crate
/// that depends on counterfoil-world, on the crate of the protocol, and on serde_json.
///
/// It takes every step through the machines, and fails if a step cannot happen any more, or if the
/// property is violated elsewhere, otherwise, or no more; for a property that holds, if it is violated.
pub fn emit<P: Protocol>(trace: &Trace<P>, replay: &Replay<P>) -> String {
    let Trace { property, scenario, .. } = trace;
    let (name, says) = match &replay.outcome {
        Outcome::Violated { step, .. } => {
            (format!("{property}_is_violated_at_step_{step}"), format!("`{property}` is violated"))
        }
        Outcome::Holds { .. } | Outcome::Diverged(_) => {
            (format!("{property}_holds"), format!("`{property}` holds"))
        }
    };
    let mut text = format!(
        "//! A run of {} in which {says}, taken through the real machines.\n//!\n\
         //! Written by `check replay TRACE --emit-test`.\n\n\
         use {path};\nuse counterfoil_world::{{Action, Outcome, Scenario, Trace, replay}};\n\n\
         /// The scenario.\nconst SCENARIO: &str = {};\n\n\
         /// What happens, step by step.\nconst STEPS: [&str; {}] = [\n",
        scenario.name,
        literal(scenario, ""),
        trace.steps.len(),
        path = P::PATH,
    );
    for (index, action) in trace.steps.iter().enumerate() {
        let what = replay.steps.get(index).map_or("", |step| step.action.as_str());
        let _ = writeln!(text, "    // {}: {what}", index + 1);
        let _ = writeln!(text, "    {},", literal(action, "    "));
    }
    let protocol = P::PATH.rsplit("::").next().unwrap_or_default();
    let mutable = if trace.back_to.is_some() { "mut " } else { "" };
    let _ = write!(
        text,
        "];\n{}\n#[test]\nfn {name}() {{\n    \
         let scenario: Scenario = serde_json::from_str(SCENARIO).unwrap();\n    \
         let steps = STEPS.map(|step| serde_json::from_str::<Action<{protocol}>>(step).unwrap());\n    \
         let {mutable}trace = Trace::new(scenario, {property:?}, steps.to_vec());\n",
        clause(replay),
    );
    if let Some(back_to) = trace.back_to {
        let _ = writeln!(text, "    trace.back_to = Some({back_to});");
    }
    text.push_str(&judgement(replay));
    text.push_str("}\n");
    text
}

/// What must come of the replay.
fn judgement<P: Protocol>(replay: &Replay<P>) -> String {
    match &replay.outcome {
        Outcome::Violated { step, .. } => format!(
            "    match replay(&trace).outcome {{\n        \
             Outcome::Violated {{ step, violation }} => {{\n            \
             assert_eq!((step, violation.clause.as_str()), ({step}, CLAUSE));\n        }}\n        \
             Outcome::Holds {{ because }} => panic!(\"it holds: {{because}}\"),\n        \
             Outcome::Diverged(divergence) => panic!(\"{{divergence}}\"),\n    }}\n"
        ),
        Outcome::Holds { .. } | Outcome::Diverged(_) => {
            "    let outcome = replay(&trace).outcome;\n    \
             assert!(matches!(outcome, Outcome::Holds { .. }), \"{outcome:?}\");\n"
                .to_owned()
        }
    }
}

/// The clause that must be false, as the test has it.
fn clause<P: Protocol>(replay: &Replay<P>) -> String {
    let Outcome::Violated { violation, .. } = &replay.outcome else { return String::new() };
    let line = format!("const CLAUSE: &str = {:?};", violation.clause);
    let line = if line.chars().count() > 100 { line.replacen("= ", "=\n    ", 1) } else { line };
    format!("\n/// What is violated.\n{line}\n")
}

/// A value as a raw string that holds its JSON, over as many lines as it needs.
fn literal(of: &impl Serialize, indent: &str) -> String {
    let json = serde_json::to_string(of).expect("scenarios and actions have plain keys only");
    // More hashes than follow any quote in it.
    let after_quotes = json.split('"').skip(1);
    let most = after_quotes.map(|rest| rest.chars().take_while(|c| *c == '#').count()).max();
    let hashes = "#".repeat(most.unwrap_or_default() + 1);
    let room = WIDTH - indent.len() - 2 * hashes.len();
    let lines = folded(&json, room);
    match lines.as_slice() {
        [line] => format!("r{hashes}\"{line}\"{hashes}"),
        lines => format!("r{hashes}\"\n{}\n\"{hashes}", lines.join("\n")),
    }
}

/// The same JSON, in lines that end between two values.
fn folded(json: &str, room: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let (mut in_text, mut escaped, mut part) = (false, false, String::new());
    for letter in json.chars() {
        part.push(letter);
        in_text ^= letter == '"' && !escaped;
        escaped = in_text && letter == '\\' && !escaped;
        if letter == ',' && !in_text {
            if !line.is_empty() && line.chars().count() + part.chars().count() > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(&std::mem::take(&mut part));
        }
    }
    if !line.is_empty() && line.chars().count() + part.chars().count() > room {
        lines.push(std::mem::take(&mut line));
    }
    line.push_str(&part);
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_folded_is_the_same_json() {
        let value = json!({ "a": ["x,\"y", 1, [2, "\\"]], "b": { "c,": "#\"#" }, "d": "\\\"," });
        let whole = value.to_string();
        for room in 1..whole.len() + 2 {
            let lines = folded(&whole, room);
            assert_eq!(serde_json::from_str::<Value>(&lines.join("\n")).unwrap(), value);
            let fits = |line: &String| line.len() <= room || line.matches(',').count() <= 2;
            assert!(lines.iter().all(fits), "{lines:?}");
        }
        assert_eq!(folded(&whole, whole.len()).len(), 1);
    }

    #[test]
    fn a_raw_string_has_more_hashes_than_follow_a_quote_in_it() {
        assert_eq!(literal(&"a", ""), "r#\"\"a\"\"#");
        assert_eq!(literal(&"\"##", ""), "r###\"\"\\\"##\"\"###");
    }
}

//! What a run of the checker says of a mutant.

use crate::trial::Ending;
use serde::Serialize;
use serde_json::Value;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// A property was violated.
    Violated {
        /// Which.
        property: String,
        /// In which scenario or saved trace.
        scenario: String,
    },
    /// An assertion of the machines, or of their world, failed.
    Panicked {
        /// Which.
        message: String,
    },
    /// Only a pinned count, a saved run or what was covered is another: that tells that something
    /// changed, and not that it is wrong.
    CountOnly {
        /// The first.
        finding: String,
    },
    /// Nothing was found.
    Survived,
    /// It took too long.
    OutOfTime,
    /// It took too much memory.
    OutOfMemory,
    /// It ended in a way that says nothing.
    Unclear {
        /// How.
        how: String,
    },
}

impl Finding {
    /// Whether the mutant was found out.
    pub fn is_kill(&self) -> bool {
        match self {
            Finding::Violated { .. } | Finding::Panicked { .. } => true,
            Finding::CountOnly { .. }
            | Finding::Survived
            | Finding::OutOfTime
            | Finding::OutOfMemory
            | Finding::Unclear { .. } => false,
        }
    }
}

/// What the run found.
pub fn of(ending: &Ending) -> Finding {
    if let Some(message) = panic_message(&ending.stderr) {
        return Finding::Panicked { message };
    }
    if ending.out_of_time {
        return Finding::OutOfTime;
    }
    let report = serde_json::from_str(&ending.stdout).unwrap_or(Value::Null);
    match ending.code {
        Some(0) => Finding::Survived,
        Some(1 | 4) => violated(&report)
            .or_else(|| violated_again(&report))
            .unwrap_or_else(|| Finding::CountOnly { finding: first_finding(&report) }),
        None if ending.stderr.contains("memory allocation") => Finding::OutOfMemory,
        Some(3) => Finding::OutOfTime,
        Some(code) => Finding::Unclear { how: format!("exit code {code}: {}", last_line(ending)) },
        None => Finding::Unclear { how: format!("a signal: {}", last_line(ending)) },
    }
}

/// The message of the first panic.
fn panic_message(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().skip_while(|line| !line.contains("panicked at"));
    let place = lines.next()?;
    let message = lines.next().unwrap_or(place).trim();
    Some(message.to_owned())
}

/// The first property that was violated and should not be, wherever it stands in the report: the
/// reports of scenarios and of walks differ, and only this much is asked of both.
fn violated(report: &Value) -> Option<Finding> {
    match report {
        Value::Object(fields) => {
            let expected = fields.get("expected") == Some(&Value::Bool(true));
            let meant = fields.get("property").and_then(Value::as_str);
            let property = fields.get("violated").and_then(|violated| match violated {
                Value::String(name) => Some(name.as_str()),
                Value::Array(names) => {
                    names.iter().filter_map(Value::as_str).find(|name| Some(*name) != meant)
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
            });
            let scenario = ["name", "scenario"]
                .iter()
                .find_map(|key| fields.get(*key).and_then(Value::as_str))
                .unwrap_or("?");
            let here = property.filter(|_| !expected).map(|property| Finding::Violated {
                property: property.to_owned(),
                scenario: scenario.to_owned(),
            });
            let below = || fields.values().filter(|_| !expected).find_map(violated);
            here.or_else(below)
        }
        Value::Array(values) => values.iter().find_map(violated),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A saved run that should hold and violates its property again.
fn violated_again(report: &Value) -> Option<Finding> {
    let findings = report.pointer("/traces/findings")?.as_array()?;
    findings.iter().filter_map(Value::as_str).find_map(|finding| {
        let (trace, rest) = finding.split_once(": ")?;
        let (property, _) = rest.split_once(" is violated again")?;
        Some(Finding::Violated { property: property.to_owned(), scenario: trace.to_owned() })
    })
}

/// The first thing that is not as it should be, in the words of the report.
fn first_finding(report: &Value) -> String {
    let scenarios = report["scenarios"].as_array().into_iter().flatten();
    let of_scenario = |scenario: &Value| {
        let finding = scenario["findings"][0].as_str()?;
        Some(format!("{}: {finding}", scenario["name"].as_str()?))
    };
    let of_trace = || report.pointer("/traces/findings/0")?.as_str().map(str::to_owned);
    let gap = || report["gaps"][0].as_str().map(str::to_owned);
    let found = scenarios.filter_map(of_scenario).next().or_else(of_trace).or_else(gap);
    found.unwrap_or_else(|| "a report without a finding".to_owned())
}

fn last_line(ending: &Ending) -> &str {
    ending.stderr.trim().lines().last().unwrap_or("no word")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn ending(code: Option<i32>, stdout: &Value, stderr: &str) -> Ending {
        Ending {
            code,
            out_of_time: false,
            stdout: stdout.to_string(),
            stderr: stderr.to_owned(),
            time: Duration::ZERO,
        }
    }

    fn violated(property: &str, scenario: &str) -> Finding {
        Finding::Violated { property: property.to_owned(), scenario: scenario.to_owned() }
    }

    #[test]
    fn an_unexpected_violation_is_a_kill_by_its_property() {
        let meant = json!({ "name": "a", "expected": true, "violated": ["bounded"] });
        let counted = json!({ "name": "b", "expected": false, "violated": [] });
        let found = json!({ "name": "c", "expected": false, "violated": ["no_overcommit"] });
        let report = json!({ "scenarios": [meant, counted, found] });
        let of_run = of(&ending(Some(1), &report, ""));
        assert_eq!(of_run, violated("no_overcommit", "c"));
        assert!(of_run.is_kill());
        let walk = json!({ "walks": [{ "scenario": "d", "violated": "no_leak" }] });
        assert_eq!(of(&ending(Some(1), &walk, "")), violated("no_leak", "d"));
    }

    #[test]
    fn a_property_that_is_meant_to_be_violated_is_no_kill() {
        let finding = "7 distinct states, and the scenario says 8: its meaning changed";
        let counted = json!({
            "name": "without_x", "expected": false, "property": "bounded", "violated": ["bounded"],
            "findings": [finding],
        });
        let found = of(&ending(Some(1), &json!({ "scenarios": [counted] }), ""));
        assert_eq!(found, Finding::CountOnly { finding: format!("without_x: {finding}") });
        assert!(!found.is_kill());
    }

    #[test]
    fn saved_runs_kill_by_a_violation_and_not_by_going_another_way() {
        let report =
            |finding: &str| json!({ "scenarios": [], "traces": { "findings": [finding] } });
        let again = "traces/x.itf.json: no_leak is violated again: it leaks";
        let found = of(&ending(Some(1), &report(again), ""));
        assert_eq!(found, violated("no_leak", "traces/x.itf.json"));
        let diverged = "traces/x.itf.json: another state after action 3";
        let found = of(&ending(Some(4), &report(diverged), ""));
        assert_eq!(found, Finding::CountOnly { finding: diverged.to_owned() });
    }

    #[test]
    fn a_panic_is_a_kill_and_an_end_of_memory_is_none() {
        let stderr = "\nthread 'main' panicked at world.rs:3:1:\nlapse(x) was not set\nnote: run\n";
        let found = of(&ending(Some(101), &Value::Null, stderr));
        assert_eq!(found, Finding::Panicked { message: "lapse(x) was not set".to_owned() });
        let found = of(&ending(None, &Value::Null, "memory allocation of 8 bytes failed"));
        assert_eq!(found, Finding::OutOfMemory);
        assert!(!found.is_kill());
        assert_eq!(of(&ending(Some(0), &Value::Null, "")), Finding::Survived);
        let found = of(&ending(Some(2), &Value::Null, "no such option\n"));
        assert_eq!(found, Finding::Unclear { how: "exit code 2: no such option".to_owned() });
    }
}

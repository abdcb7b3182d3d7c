//! What became of every mutant, for people and for programs.

use crate::finding::Finding;
use crate::table::Mutant;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What became of one mutant.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// Which.
    pub mutant: &'a Mutant,
    /// What exploring every state found.
    pub explored: Finding,
    /// What random walks found, if there were any.
    pub walked: Option<Finding>,
    /// How long both took.
    pub time: Duration,
}

impl Judged<'_> {
    /// Whether it was found out.
    pub fn is_killed(&self) -> bool {
        self.explored.is_kill() || self.walked.as_ref().is_some_and(Finding::is_kill)
    }

    /// What found it out, or why nothing did.
    pub fn words(&self) -> String {
        match &self.walked {
            Some(walked) if walked.is_kill() => format!("{} (walk)", words(walked)),
            Some(Finding::Survived) => format!("{}; walks find nothing", words(&self.explored)),
            Some(walked) => format!("{}; walks: {}", words(&self.explored), words(walked)),
            None => words(&self.explored),
        }
    }
}

fn words(finding: &Finding) -> String {
    match finding {
        Finding::Violated { property, scenario } => format!("`{property}` in {scenario}"),
        Finding::Panicked { message } => format!("panic: {}", short(message)),
        Finding::CountOnly { finding } => format!("**survives**, count only: {}", short(finding)),
        Finding::Survived => "**survives**".to_owned(),
        Finding::OutOfTime => "**survives**, out of time".to_owned(),
        Finding::OutOfMemory => "**survives**, out of memory".to_owned(),
        Finding::Unclear { how } => format!("**survives**, unclear: {}", short(how)),
    }
}

/// At most as much of a text as a cell has room for, without what would end the cell.
fn short(text: &str) -> String {
    const ROOM: usize = 90;
    let mut cell: String = text.chars().take(ROOM).collect();
    if text.chars().count() > ROOM {
        cell.push('…');
    }
    cell.replace('|', "/")
}

/// The sum of all, in one line.
pub fn sum(judged: &[Judged]) -> String {
    let killed = judged.iter().filter(|one| one.is_killed()).count();
    let panics =
        judged.iter().filter(|one| matches!(one.explored, Finding::Panicked { .. })).count();
    let walks = judged.iter().filter(|one| one.is_killed() && !one.explored.is_kill()).count();
    let survive = judged.len() - killed;
    format!(
        "{} mutants: {killed} killed ({panics} by an assertion, {walks} by walks), {survive} survive",
        judged.len()
    )
}

/// As a table.
pub fn markdown(judged: &[Judged]) -> String {
    let mut text = "| mutant | what is wrong | killed by | time |\n|---|---|---|---|\n".to_owned();
    for one in judged {
        let Mutant { name, says, .. } = one.mutant;
        let (words, seconds) = (one.words(), one.time.as_secs_f64());
        let _ = writeln!(text, "| {name} | {} | {words} | {seconds:.1} s |", short(says));
    }
    let _ = writeln!(text, "\n{}", sum(judged));
    text
}

/// For programs.
pub fn json(judged: &[Judged]) -> Value {
    let mutants: Vec<Value> = judged
        .iter()
        .map(|one| {
            json!({
                "name": one.mutant.name,
                "file": one.mutant.file,
                "says": one.mutant.says,
                "killed": one.is_killed(),
                "explored": one.explored,
                "walked": one.walked,
                "seconds": one.time.as_secs_f64(),
            })
        })
        .collect();
    json!({ "mutants": mutants, "sum": sum(judged) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_and_the_sum() {
        let mutant = Mutant {
            name: "m".to_owned(),
            file: "f".to_owned(),
            within: None,
            old: String::new(),
            new: String::new(),
            says: "all | is wrong".to_owned(),
        };
        let property = "no_leak".to_owned();
        let violated = Finding::Violated { property, scenario: "s".to_owned() };
        let time = Duration::from_millis(1500);
        let walked = Some(violated.clone());
        let judged = [
            Judged { mutant: &mutant, explored: violated, walked: None, time },
            Judged { mutant: &mutant, explored: Finding::Survived, walked, time },
            Judged { mutant: &mutant, explored: Finding::OutOfTime, walked: None, time },
        ];
        let expected = "| mutant | what is wrong | killed by | time |\n|---|---|---|---|\n\
            | m | all / is wrong | `no_leak` in s | 1.5 s |\n\
            | m | all / is wrong | `no_leak` in s (walk) | 1.5 s |\n\
            | m | all / is wrong | **survives**, out of time | 1.5 s |\n\n\
            3 mutants: 2 killed (0 by an assertion, 1 by walks), 1 survive\n";
        assert_eq!(markdown(&judged), expected);
        assert_eq!(json(&judged)["mutants"][1]["killed"], true);
    }
}

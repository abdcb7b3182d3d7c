//! What a reader who has not read the protocol needs to know of its words and rules.

mod words;

use counterfoil_protocol::Rule;
use counterfoil_world::scenario::Design;
use serde::Serialize;
use std::collections::BTreeSet;
use words::{OF_2016, OURS, Words};

/// A word, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The word.
    pub word: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// The words of this protocol that occur in these texts, with what they mean.
pub(super) fn terms<'a>(protocol: Design, texts: impl Iterator<Item = &'a str>) -> Vec<Term> {
    let is_between = |c: char| !c.is_alphanumeric() && c != '_';
    let parts = texts.flat_map(|text| text.split(is_between));
    let used: BTreeSet<String> = parts.map(str::to_lowercase).collect();
    let Words { all, always } = words(protocol);
    let (always, others) = all.split_at(always);
    let occurs = |(names, _): &&(&[&str], Term)| names.iter().any(|name| used.contains(*name));
    always.iter().chain(others.iter().filter(occurs)).map(|(_, term)| *term).collect()
}

/// What the last part of a way is that needs to be explained.
pub(super) fn about(protocol: Design, path: &[String]) -> Option<&'static str> {
    let Words { all, .. } = words(protocol);
    let known = |part: &String| {
        all.iter().find(|(names, _)| names.contains(&part.as_str())).map(|(_, term)| term.meaning)
    };
    path.iter().rev().find_map(known)
}

fn words(protocol: Design) -> Words {
    match protocol {
        Design::Counterfoil => OURS,
        Design::Shared2016 | Design::Filter | Design::Caching | Design::Placement => OF_2016,
    }
}

/// The text with one word for what the machines have several for.
pub(crate) fn one_word(text: &str) -> String {
    text.replace("node_life", "life of the node").replace("incarnation", "life")
}

/// A line that has no capital and no full stop, with both.
pub(super) fn sentence(line: &str) -> String {
    let mut rest = line.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

/// What a rule says, what goes wrong without it, and, if that is not yet the harm, what may come of
/// it.
pub fn rule(rule: Rule) -> (&'static str, &'static str, &'static str) {
    match rule {
        Rule::NodeJudgesClaims => (
            "A node grants by what it has itself, never by what the scheduler believes that it has.",
            "Two schedulers that both believe in the last free slot both get it.",
            "",
        ),
        Rule::DurableBeforeTold => (
            "What a node promises is on its disk before anyone is told.",
            "A node crashes right after it granted, and has forgotten its promise.",
            "Whoever was told counts on it, and the node gives it to another.",
        ),
        Rule::GrantedClaimsStayDecided => (
            "A node remembers every decision that a late message could ask for again.",
            "A late copy of a claim that is long over is granted a second time.",
            "",
        ),
        Rule::ClaimsNameAnIncarnation => (
            "A claim is meant for one life of a node. Another life grants nothing for it.",
            "A node that restarted forgot what it decided, and grants an old claim again.",
            "It holds resources for a request that may be over or placed elsewhere.",
        ),
        Rule::IncarnationsOnBothEnds => (
            "Every start of a process has a number, and every name and stamp contains it.",
            "A restarted scheduler takes the answer to an old claim for the answer to a new one.",
            "",
        ),
        Rule::ClientKeepsItsChoice => (
            "A client writes down which allocation it chose, and confirms no other until that is gone.",
            "A client is answered twice, changes its mind, and confirms two allocations.",
            "",
        ),
        Rule::ReservationOutlivesTheVerdict => (
            "A scheduler reserves what it claimed until its copy of the node contains the grant.",
            "A scheduler forgets what it was granted before its copy of the node shows it, and believes that it is still free.",
            "It may send the next claim for what it has just been granted.",
        ),
        Rule::GapsAreNotApplied => (
            "A change that does not follow on what a scheduler knows is not applied.",
            "One lost change, and a scheduler believes in a state that the node never had.",
            "It chooses and rules out nodes by it.",
        ),
        Rule::QuietStreamsCarryTheirStamp => (
            "A node that has nothing new says so again and again, and says which version it is at.",
            "The last change before a long silence is lost, and nobody ever notices.",
            "That scheduler decides by the old state for as long as the silence lasts.",
        ),
        Rule::SnapshotsNeverGoBack => (
            "An older snapshot never replaces newer knowledge.",
            "A late snapshot takes a scheduler back to what was true long ago.",
            "It chooses by what it once knew better.",
        ),
        Rule::UnconfirmedHoldsLapse => (
            "A node takes back by itself what nobody confirms.",
            "A client crashes before it confirms, and what was held for it is lost for ever.",
            "",
        ),
        Rule::RefusalsTeach => (
            "A refusal rules the node out for this request until the scheduler knows more of it.",
            "A scheduler asks the node that refused again and again, with the same old knowledge.",
            "Another node may have room, and is not asked.",
        ),
        Rule::UnavailableNodesAreNotChosen => (
            "Nodes that drain, have left or are suspected to be dead take no new claims.",
            "A scheduler claims on a node that it knows to be going away.",
            "",
        ),
        Rule::GoneEndsTheAttempt => (
            "An attempt ends when its claim is gone, and may make so many claims and no more.",
            "An attempt whose claims lapse makes new ones for ever.",
            "",
        ),
        Rule::BundlesAreChosenWhole => (
            "What is placed together is chosen together, in one write.",
            "A client confirms one member of a bundle before there is a place for another.",
            "If there is none for that, one is confirmed and the other never is.",
        ),
        Rule::RoomIsPassedOn => (
            "Who is asked because a node has room, and does not use it, passes it on to the next that waits.",
            "A node has room again, the first that waits is asked and gives up, and the next is never asked.",
            "It waits for ever beside room that nobody uses.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_of_where_they_occur() {
        let texts = ["n1.durable.allocations[s1.1:n1#0].at", "n1 crashes and starts again"];
        let words: Vec<&str> =
            terms(Design::Counterfoil, texts.into_iter()).iter().map(|term| term.word).collect();
        assert!(words.contains(&"allocation") && words.contains(&"node"), "{words:?}");
        assert!(!words.contains(&"delta"), "{words:?}");
    }

    #[test]
    fn the_last_part_of_a_way_that_has_a_meaning_is_explained() {
        let path = |parts: &[&str]| parts.iter().map(|part| part.to_string()).collect::<Vec<_>>();
        let about = |parts: &[&str]| super::about(Design::Counterfoil, &path(parts));
        let fences = about(&["fences", "s1"]).unwrap();
        assert!(fences.starts_with("What a node decided"), "{fences}");
        assert_eq!(about(&["fences", "s1", "incarnation"]), Some(OURS.all[3].1.meaning));
        assert_eq!(about(&["n1"]), None);
    }

    #[test]
    fn every_rule_says_what_goes_wrong_without_it() {
        for one in Rule::ALL {
            let (says, without, then) = rule(one);
            assert!(says.ends_with('.') && without.ends_with('.'), "{one:?}");
            assert!(then.is_empty() || then.ends_with('.'), "{one:?}");
            assert_ne!(says, without);
        }
    }
}

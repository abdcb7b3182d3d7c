//! What a reader who has not read the protocol needs to know of its words and rules.

mod words;

use super::{Message, Step};
use counterfoil_protocol::Rule;
use counterfoil_world::scenario::Design;
use serde::Serialize;
use words::{ALWAYS, ALWAYS_OF_2016, WHERE_FOUND, WHERE_FOUND_OF_2016};

/// A word, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The word.
    pub word: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// The words that a run uses, with what they mean.
pub(super) fn terms(protocol: Design, messages: &[Message], steps: &[Step]) -> Vec<Term> {
    let mut texts: Vec<&str> = messages.iter().map(|message| message.label.as_str()).collect();
    for step in steps {
        texts.push(&step.what);
        texts.extend(step.decisions.iter().map(String::as_str));
        texts.extend(step.changes.iter().map(|change| change.way.as_str()));
    }
    let used = |word: &str| {
        let is_word = |text: &&str| {
            text.split(|c: char| !c.is_alphanumeric()).any(|part| part.eq_ignore_ascii_case(word))
        };
        texts.iter().any(is_word)
    };
    let (always, where_found) = match protocol {
        Design::Counterfoil => (&ALWAYS[..], &WHERE_FOUND[..]),
        Design::Shared2016 | Design::Filter | Design::Caching | Design::Placement => {
            (&ALWAYS_OF_2016[..], &WHERE_FOUND_OF_2016[..])
        }
    };
    let found = where_found.iter().filter(|(word, _)| used(word)).map(|(_, term)| *term);
    always.iter().copied().chain(found).collect()
}

/// What a rule says, and what goes wrong without it.
pub fn rule(rule: Rule) -> (&'static str, &'static str) {
    match rule {
        Rule::NodeJudgesClaims => (
            "A node grants by what it has itself, never by what the scheduler believes that it has.",
            "Two schedulers that both believe in the last free slot both get it.",
        ),
        Rule::DurableBeforeTold => (
            "What a node promises is on its disk before anyone is told.",
            "A node crashes right after it granted, and has forgotten its promise.",
        ),
        Rule::GrantedClaimsStayDecided => (
            "A node remembers every decision that a late message could ask for again.",
            "A late copy of a claim that is long over is granted a second time.",
        ),
        Rule::ClaimsNameAnIncarnation => (
            "A claim is meant for one life of a node. Another life grants nothing for it.",
            "A node that restarted forgot what it decided, and grants an old claim again.",
        ),
        Rule::IncarnationsOnBothEnds => (
            "Every start of a process has a number, and every name and stamp contains it.",
            "A restarted scheduler takes the answer to an old claim for the answer to a new one.",
        ),
        Rule::ClientKeepsItsChoice => (
            "A client writes down which allocation it chose, and confirms no other until that is gone.",
            "A client is answered twice, changes its mind, and confirms two allocations.",
        ),
        Rule::ReservationOutlivesTheVerdict => (
            "A scheduler sets aside what it claimed until its copy of the node contains the grant.",
            "A scheduler that was granted something believes for a while that it is still free.",
        ),
        Rule::GapsAreNotApplied => (
            "A change that does not follow on what a scheduler knows is not applied.",
            "One lost change, and a scheduler believes in a state that the node never had.",
        ),
        Rule::QuietStreamsCarryTheirStamp => (
            "A node that has nothing new says so again and again, and says which version it is at.",
            "The last change before a long silence is lost, and nobody ever notices.",
        ),
        Rule::SnapshotsNeverGoBack => (
            "An older snapshot never replaces newer knowledge.",
            "A late snapshot takes a scheduler back to what was true long ago.",
        ),
        Rule::UnconfirmedHoldsLapse => (
            "A node takes back by itself what nobody confirms.",
            "A client crashes before it confirms, and what was held for it is lost for ever.",
        ),
        Rule::RefusalsTeach => (
            "A refusal rules the node out for this request until the scheduler knows more of it.",
            "A scheduler asks the node that refused again and again, with the same old knowledge.",
        ),
        Rule::UnavailableNodesAreNotChosen => (
            "Nodes that drain, have left or are suspected to be dead take no new claims.",
            "A scheduler claims on a node that it knows to be going away.",
        ),
        Rule::GoneEndsTheAttempt => (
            "An attempt ends when its claim is gone, and may make so many claims and no more.",
            "An attempt whose claims lapse makes new ones for ever.",
        ),
        Rule::BundlesAreChosenWhole => (
            "What is placed together is chosen together, in one write.",
            "One member of a bundle is confirmed, and there is no place for another.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Change, Sort};

    #[test]
    fn words_are_told_of_where_they_occur() {
        let change = Change {
            mark: '-',
            way: "n1.durable.allocations[s1.1:n1#0].at".to_owned(),
            before: None,
            after: None,
            named: false,
        };
        let step = Step {
            what: "n1 crashes and starts again".to_owned(),
            sort: Sort::Fault,
            actor: None,
            decisions: Vec::new(),
            changes: vec![change],
            sent: Vec::new(),
            notes: Vec::new(),
        };
        let words: Vec<&str> =
            terms(Design::Counterfoil, &[], &[step]).iter().map(|term| term.word).collect();
        assert!(words.contains(&"allocation") && words.contains(&"node"), "{words:?}");
        assert!(!words.contains(&"delta"), "{words:?}");
    }

    #[test]
    fn every_rule_says_what_goes_wrong_without_it() {
        for one in Rule::ALL {
            let (says, without) = rule(one);
            assert!(says.ends_with('.') && without.ends_with('.'), "{one:?}");
            assert_ne!(says, without);
        }
    }
}

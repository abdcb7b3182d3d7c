//! What a reader who has not read the protocol needs to know of its words and rules.

use super::{Message, Step};
use counterfoil_protocol::Rule;
use serde::Serialize;

/// A word, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The word.
    pub word: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// Words that every reader needs.
const ALWAYS: [Term; 4] = [
    Term {
        word: "node",
        meaning: "A machine that has resources and alone decides who gets them. n1, n2, …",
    },
    Term {
        word: "scheduler",
        meaning: "Chooses a node for a request, from its own copy of what the nodes have. s1, s2, …",
    },
    Term {
        word: "datagram",
        meaning: "What schedulers and nodes send each other. It may be late, lost, copied or \
                  overtaken by a later one.",
    },
    Term {
        word: "s1.1:n1#0",
        meaning: "The name of a claim: of scheduler s1 in its life 1, at node n1, number 0.",
    },
];

/// Words that are told of only where they occur: in a message, a step or the name of a value.
const WHERE_FOUND: [(&str, Term); 25] = [
    ("request", Term { word: "request", meaning: "A user wants resources somewhere. r1, r2, …" }),
    (
        "call",
        Term {
            word: "client",
            meaning: "Acts for a user: asks a scheduler, and then confirms what it chose. c1, …",
        },
    ),
    (
        "call",
        Term {
            word: "call, attempt",
            meaning: "A client asks a scheduler to place a request. r1/2 is the second attempt.",
        },
    ),
    ("answer", Term { word: "answer", meaning: "What the scheduler tells the client in the end." }),
    (
        "claim",
        Term {
            word: "claim",
            meaning: "A scheduler asks one node for resources: may I have this?",
        },
    ),
    (
        "verdict",
        Term {
            word: "verdict",
            meaning: "What the node says to a claim, confirm or release. Its word is final.",
        },
    ),
    (
        "gone",
        Term { word: "gone", meaning: "A verdict: this is over, and will never be granted again." },
    ),
    (
        "allocations",
        Term {
            word: "allocation",
            meaning: "What a node granted: held at first, then confirmed by the client. On disk.",
        },
    ),
    (
        "confirm",
        Term { word: "confirm", meaning: "A client tells the node that it takes what is held." },
    ),
    (
        "release",
        Term { word: "release", meaning: "A client tells the node that it does not want it." },
    ),
    (
        "lapse",
        Term {
            word: "lapse",
            meaning: "A node takes back what was held and never confirmed, on its own timer.",
        },
    ),
    (
        "delta",
        Term {
            word: "delta",
            meaning: "A node tells all schedulers what changed from one version to another.",
        },
    ),
    (
        "beat",
        Term { word: "beat", meaning: "A delta without a change: it only says the present stamp." },
    ),
    (
        "snapshot",
        Term { word: "snapshot", meaning: "A node tells one scheduler everything it has." },
    ),
    (
        "resync",
        Term {
            word: "resync",
            meaning: "A scheduler subscribes to a node's changes and asks what it missed.",
        },
    ),
    (
        "gap",
        Term {
            word: "gap",
            meaning: "A delta that does not follow what is known: one is missing.",
        },
    ),
    (
        "stamp",
        Term {
            word: "stamp 1.2",
            meaning: "Which state of a node: its life (1) and, in it, its version (2).",
        },
    ),
    (
        "version",
        Term { word: "version", meaning: "Counts the changes of what a node has, in each life." },
    ),
    (
        "incarnation",
        Term {
            word: "life, incarnation",
            meaning: "Counts the starts of a process. A crash ends one, and the next begins.",
        },
    ),
    (
        "host",
        Term {
            word: "host",
            meaning: "s1.nodes.n1.host: what scheduler s1 believes of node n1, at which stamp.",
        },
    ),
    (
        "covered",
        Term {
            word: "covered",
            meaning: "The scheduler's copy of the node already contains what was granted.",
        },
    ),
    (
        "fences",
        Term {
            word: "fences",
            meaning: "What a node remembers of the claims it decided, so as to decide each once.",
        },
    ),
    (
        "floor",
        Term {
            word: "floor",
            meaning: "The lowest claim number that a scheduler still waits for.",
        },
    ),
    (
        "leave",
        Term { word: "leave", meaning: "A node tells the schedulers that it goes for good." },
    ),
    (
        "bundle",
        Term {
            word: "bundle",
            meaning: "Requests that are to be placed all together or not at all.",
        },
    ),
];

/// The words that a run uses, with what they mean.
pub(super) fn terms(messages: &[Message], steps: &[Step]) -> Vec<Term> {
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
    let found = WHERE_FOUND.iter().filter(|(word, _)| used(word)).map(|(_, term)| *term);
    ALWAYS.into_iter().chain(found).collect()
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
        let words: Vec<&str> = terms(&[], &[step]).iter().map(|term| term.word).collect();
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

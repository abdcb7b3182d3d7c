//! The words, by protocol.

use super::Term;

/// The words of a protocol.
pub(super) struct Words {
    /// Each with the names of fields, and other words in a run, that it explains.
    pub all: &'static [(&'static [&'static str], Term)],
    /// How many of the first every reader needs; the others are told of where they occur.
    pub always: usize,
}

/// Those of the update/claim protocol.
pub(super) const OURS: Words = Words { all: &WORDS, always: 6 };

/// Those of the designs of 2016.
pub(super) const OF_2016: Words = Words { all: &WORDS_OF_2016, always: 3 };

const WORDS: [(&[&str], Term); 47] = [
    (&[], term("node", "A machine that has resources and alone decides who gets them. n1, n2, …")),
    (
        &[],
        term(
            "scheduler",
            "Chooses a node for a request, from its own copy of what the nodes have. s1, s2, …",
        ),
    ),
    (
        &[],
        term(
            "datagram",
            "What schedulers and nodes send each other. It may be late, lost, copied or overtaken \
         by a later one.",
        ),
    ),
    (
        &["life", "incarnation", "node_life"],
        term(
            "life",
            "A crash ends one life of a process, and the next begins. Lives are counted from 1, on \
         disk.",
        ),
    ),
    (
        &["stamp", "version", "at"],
        term(
            "1.2",
            "A stamp: the state of a node in its life 1 at version 2. Versions count its changes.",
        ),
    ),
    (
        &[],
        term(
            "s1.1:n1#0",
            "The name of a claim: of scheduler s1 in its life 1, at node n1, number 0.",
        ),
    ),
    (&["request"], term("request", "A user wants resources somewhere. r1, r2, …")),
    (
        &["call"],
        term("client", "Acts for a user: asks a scheduler, and then confirms what it chose. c1, …"),
    ),
    (&["c0"], term("client c0", "Whoever asked from outside: this scenario has no clients.")),
    (
        &["call"],
        term(
            "call, attempt",
            "A client asks a scheduler to place a request. r1/2 is the second attempt.",
        ),
    ),
    (&["answer"], term("answer", "What the scheduler tells the client in the end.")),
    (
        &["open"],
        term("open", "The attempts of a request that have no answer yet, and at which scheduler."),
    ),
    (
        &["phase"],
        term(
            "phase",
            "How far a request or attempt is: seeking, held, confirming, confirmed, releasing, \
         ended; claiming, waiting, choosing again.",
        ),
    ),
    (
        &["choosing"],
        term("choosing", "Whether a client waits to be told which scheduler to ask next."),
    ),
    (&["claim"], term("claim", "A scheduler asks one node for resources: may I have this?")),
    (
        &["claims"],
        term(
            "reservation",
            "s1.nodes.n1.claims: what scheduler s1 claimed at n1 and does not see in its copy of n1 \
         yet. It counts as taken there.",
        ),
    ),
    (
        &["verdict"],
        term("verdict", "What the node says to a claim, confirm or release. Its word is final."),
    ),
    (&["gone"], term("gone", "A verdict: this is over, and will never be granted again.")),
    (
        &["granted"],
        term(
            "granted",
            "Of a reservation: the stamp from which on the node's state contains the grant.",
        ),
    ),
    (
        &["covered"],
        term(
            "covered",
            "A grant is covered once the stamp of the scheduler's copy is that of the grant or \
         later: the copy contains it.",
        ),
    ),
    (
        &["allocations"],
        term(
            "allocation",
            "What a node granted: held at first, then confirmed by the client. On disk.",
        ),
    ),
    (&["confirm"], term("confirm", "A client tells the node that it takes what is held.")),
    (&["release"], term("release", "A client tells the node that it does not want it.")),
    (
        &["lapse"],
        term("lapse", "A node takes back what was held and never confirmed, on its own timer."),
    ),
    (
        &["early"],
        term(
            "early timer",
            "A timer that fires before its time, while all is well. The bounds say how often it \
         may, as of a fault.",
        ),
    ),
    (
        &["announce"],
        term("timer announce", "A node tells the schedulers what changed, or that nothing did."),
    ),
    (
        &["delta"],
        term("delta", "A node tells all schedulers what changed from one version to another."),
    ),
    (&["beat"], term("beat", "A delta without a change: it only says the present stamp.")),
    (&["snapshot"], term("snapshot", "A node tells one scheduler everything it has.")),
    (
        &["resync"],
        term(
            "resync",
            "A scheduler, on its timer or at a gap, subscribes to a node's changes and asks what it \
         missed.",
        ),
    ),
    (&["gap"], term("gap", "A delta that does not follow what is known: one is missing.")),
    (&["durable"], term("durable", "What a node has on disk. The rest is lost in a crash.")),
    (
        &["host"],
        term("host", "s1.nodes.n1.host: what scheduler s1 believes of node n1, at which stamp."),
    ),
    (
        &["presence"],
        term(
            "presence",
            "Whether a scheduler takes a node for present, suspected to be dead, or departed.",
        ),
    ),
    (
        &["fences"],
        term(
            "fences",
            "What a node decided on the claims of a scheduler in a life of that, by number, so as \
         to decide each once. In memory.",
        ),
    ),
    (
        &["floor"],
        term(
            "floor",
            "The lowest claim number that a scheduler still waits for: what is below is forgotten.",
        ),
    ),
    (&["next"], term("next", "The number of the next claim.")),
    (
        &["recent"],
        term("recent", "The last changes of a node, by version, for the deltas that it will send."),
    ),
    (
        &["subscribers"],
        term(
            "subscribers",
            "The schedulers that a node tells its changes to, and which life of each.",
        ),
    ),
    (&["announced"], term("announced", "The last version that a node told.")),
    (
        &["unwanted"],
        term("unwanted", "Claims that the client was told of and does not want: it releases them."),
    ),
    (
        &["refusals"],
        term("refusals", "Which nodes have refused an attempt, at which stamp, and why."),
    ),
    (&["leave"], term("leave", "A node tells the schedulers that it goes for good.")),
    (&["bundle"], term("bundle", "Requests that are to be placed all together or not at all.")),
    (&["late"], term("late timers", "No timer fires while what it waits for is in flight.")),
    (
        &["calm"],
        term(
            "calm timers",
            "Late timers; and a node says nothing new before its last word has arrived or is lost.",
        ),
    ),
    (
        &["multiset"],
        term(
            "multiset network",
            "Equal datagrams in flight are counted. In a set network they are one.",
        ),
    ),
];

const WORDS_OF_2016: [(&[&str], Term); 22] = [
    (&[], term("node", "A machine that runs instances. n1, n2, …")),
    (
        &[],
        term(
            "scheduler",
            "Selects a node for an instance, from what it knows of all nodes. s1, s2, …",
        ),
    ),
    (
        &[],
        term(
            "conductor",
            "Asks a scheduler for a node, tells the node to build, and keeps the database. c1.",
        ),
    ),
    (&["request"], term("request", "A user wants an instance. r1, r2, …")),
    (&["call"], term("call", "The conductor asks a scheduler for a node.")),
    (&["selected"], term("selected", "The scheduler answers: this node, or none.")),
    (
        &["build"],
        term("build", "The conductor tells the node to build the instance, up to these limits."),
    ),
    (&["building"], term("building", "The node has accepted, and saves that.")),
    (&["reschedule"], term("reschedule", "The node has rejected; another is to be sought.")),
    (&["terminate"], term("terminate", "The instance is deleted.")),
    (
        &["young"],
        term(
            "claim",
            "What a scheduler has set aside on a node and has no reply to: young in the first period, then old, then given back.",
        ),
    ),
    (
        &["delta"],
        term("delta", "A node tells a scheduler what changed, and what became of claims."),
    ),
    (&["refresh"], term("refresh", "A node tells a scheduler all of its state.")),
    (&["report"], term("report", "A scheduler asks a node for all of its state.")),
    (&["notify"], term("notify", "A node that starts tells schedulers to ask for its state.")),
    (
        &["tick"],
        term(
            "tick",
            "The periodic task of a scheduler or node: it reads who is in service, and gives back claims that had no reply.",
        ),
    ),
    (&["window"], term("window", "The number that came last, and the smaller ones that did not.")),
    (&["pipe"], term("pipe", "What waits at a node to be sent to a scheduler in one message.")),
    (&["view"], term("view", "What a scheduler believes of a node, less its own claims.")),
    (&["transient"], term("transient", "One period without a sign of life is borne.")),
    (&["fallen"], term("fallen", "The state is owed: it was asked for.")),
    (&["allocate"], term("allocate", "A scheduler writes a claim to the database.")),
];

const fn term(word: &'static str, meaning: &'static str) -> Term {
    Term { word, meaning }
}

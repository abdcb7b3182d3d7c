//! The words, by protocol.

use super::Term;

/// Words that every reader of a run of the update/claim protocol needs.
pub(super) const ALWAYS: [Term; 4] = [
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

/// Words of it that are told of only where they occur: in a message, a step or the name of a value.
pub(super) const WHERE_FOUND: [(&str, Term); 25] = [
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

/// Words that every reader of a run of a design of 2016 needs.
pub(super) const ALWAYS_OF_2016: [Term; 3] = [
    Term { word: "node", meaning: "A machine that runs instances. n1, n2, …" },
    Term {
        word: "scheduler",
        meaning: "Selects a node for an instance, from what it knows of all nodes. s1, s2, …",
    },
    Term {
        word: "conductor",
        meaning: "Asks a scheduler for a node, tells the node to build, and keeps the database. c1.",
    },
];

/// Words of them that are told of only where they occur: in a message, a step or the name of a value.
pub(super) const WHERE_FOUND_OF_2016: [(&str, Term); 19] = [
    ("request", Term { word: "request", meaning: "A user wants an instance. r1, r2, …" }),
    ("call", Term { word: "call", meaning: "The conductor asks a scheduler for a node." }),
    ("selected", Term { word: "selected", meaning: "The scheduler answers: this node, or none." }),
    (
        "build",
        Term {
            word: "build",
            meaning: "The conductor tells the node to build the instance, up to these limits.",
        },
    ),
    ("building", Term { word: "building", meaning: "The node has accepted, and saves that." }),
    (
        "reschedule",
        Term { word: "reschedule", meaning: "The node has rejected; another is to be sought." },
    ),
    ("terminate", Term { word: "terminate", meaning: "The instance is deleted." }),
    (
        "young",
        Term {
            word: "claim",
            meaning: "What a scheduler has set aside on a node and has no reply to: young in the \
                      first period, then old, then given back.",
        },
    ),
    (
        "delta",
        Term {
            word: "delta",
            meaning: "A node tells a scheduler what changed, and what became of claims.",
        },
    ),
    ("refresh", Term { word: "refresh", meaning: "A node tells a scheduler all of its state." }),
    ("report", Term { word: "report", meaning: "A scheduler asks a node for all of its state." }),
    (
        "notify",
        Term {
            word: "notify",
            meaning: "A node that starts tells schedulers to ask for its state.",
        },
    ),
    (
        "tick",
        Term {
            word: "tick",
            meaning: "The periodic task of a scheduler or node: it reads who is in service, and \
                      gives back claims that had no reply.",
        },
    ),
    (
        "window",
        Term {
            word: "window",
            meaning: "The number that came last, and the smaller ones that did not.",
        },
    ),
    (
        "pipe",
        Term {
            word: "pipe",
            meaning: "What waits at a node to be sent to a scheduler in one message.",
        },
    ),
    (
        "view",
        Term { word: "view", meaning: "What a scheduler believes of a node, less its own claims." },
    ),
    (
        "transient",
        Term { word: "transient", meaning: "One period without a sign of life is borne." },
    ),
    ("fallen", Term { word: "fallen", meaning: "The state is owed: it was asked for." }),
    ("allocate", Term { word: "allocate", meaning: "A scheduler writes a claim to the database." }),
];

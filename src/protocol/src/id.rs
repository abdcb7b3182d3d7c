//! Names and numbers. Every number that crosses a module has a type of its own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($repr:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

number!(
    /// The name of a node, for all its lives. A node that lost its disk takes a new one.
    NodeId(u32),
    "n"
);
number!(
    /// The name of a scheduler, for all its lives.
    SchedulerId(u32),
    "s"
);
number!(
    /// The name of a client, for all its lives.
    ClientId(u32),
    "c"
);
number!(
    /// A request, unique among all clients. The client that made it owns it.
    RequestId(u64),
    "r"
);
number!(
    /// Counts the attempts of one request, from 1.
    AttemptNumber(u32),
    ""
);
number!(
    /// Counts the claims of one scheduler's life on one node, from 0.
    ClaimNumber(u64),
    ""
);
number!(
    /// Which life of a node or scheduler: +1 at every start, the first is 1.
    Incarnation(u64),
    ""
);
number!(
    /// Counts the changes of a node's host state in one life, from 0. Compared only inside a
    /// [`Stamp`].
    Version(u64),
    ""
);

number!(
    /// The place of an attempt among those that wait at one scheduler: whoever came later has a higher
    /// one.
    Turn(u64),
    ""
);

impl ClaimNumber {
    /// The number after this one.
    pub fn next(self) -> Self {
        ClaimNumber(self.0 + 1)
    }
}

impl Incarnation {
    /// The life after this one.
    pub fn next(self) -> Self {
        Incarnation(self.0 + 1)
    }
}

impl Version {
    /// The version after this one.
    pub fn next(self) -> Self {
        Version(self.0 + 1)
    }
}

/// When in a node's history: its life, then its version. Ordered lexicographically.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The life of the node.
    pub incarnation: Incarnation,
    /// The version in that life.
    pub version: Version,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.version)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A claim: one scheduler's attempt to turn a demand into an allocation on one node.
///
/// Numbers count per node, so the numbers open at one node are dense; a retry at another node is
/// another claim by construction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimId {
    /// Who claims.
    pub scheduler: SchedulerId,
    /// In which of its lives.
    pub incarnation: Incarnation,
    /// The node that is asked.
    pub node: NodeId,
    /// Which of the claims of that life on that node.
    pub number: ClaimNumber,
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}:{}#{}", self.scheduler, self.incarnation, self.node, self.number)
    }
}

impl fmt::Debug for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimIdError(String);

impl fmt::Display for ClaimIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no claim: a claim is written as s1.2:n3#4", self.0)
    }
}

impl std::error::Error for ClaimIdError {}

impl FromStr for ClaimId {
    type Err = ClaimIdError;

    /// The claim that is displayed so, and in no other way.
    fn from_str(text: &str) -> Result<Self, ClaimIdError> {
        let parts = || {
            let (life, rest) = text.strip_prefix('s')?.split_once(":n")?;
            let (scheduler, incarnation) = life.split_once('.')?;
            let (node, number) = rest.split_once('#')?;
            Some(ClaimId {
                scheduler: SchedulerId(scheduler.parse().ok()?),
                incarnation: Incarnation(incarnation.parse().ok()?),
                node: NodeId(node.parse().ok()?),
                number: ClaimNumber(number.parse().ok()?),
            })
        };
        let claim = parts().filter(|claim| claim.to_string() == text);
        claim.ok_or_else(|| ClaimIdError(text.to_owned()))
    }
}

/// One attempt of a client to have its request placed, at one scheduler.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The request.
    pub request: RequestId,
    /// Which attempt of it.
    pub number: AttemptNumber,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.request, self.number)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Anyone who sends or receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Actor {
    /// A node.
    Node(NodeId),
    /// A scheduler.
    Scheduler(SchedulerId),
    /// A client.
    Client(ClientId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Node(id) => id.fmt(f),
            Actor::Scheduler(id) => id.fmt(f),
            Actor::Client(id) => id.fmt(f),
        }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An actor and, where it is known, which of its lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The actor.
    pub actor: Actor,
    /// Its life; `None` where it is unknown. Clients count no lives.
    pub incarnation: Option<Incarnation>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.incarnation {
            Some(incarnation) => write!(f, "{}.{incarnation}", self.actor),
            None => self.actor.fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_one_text() {
        for (scheduler, life, node, number) in [(0, 0, 0, 0), (1, 2, 3, 4), (9, 10, 11, 12)] {
            let claim = ClaimId {
                scheduler: SchedulerId(scheduler),
                incarnation: Incarnation(life),
                node: NodeId(node),
                number: ClaimNumber(number),
            };
            assert_eq!(claim.to_string().parse(), Ok(claim));
        }
        let most = format!("s{0}.{1}:n{0}#{1}", u32::MAX, u64::MAX);
        assert_eq!(most.parse::<ClaimId>().unwrap().to_string(), most);
        let one_more = "s4294967296.1:n1#0";
        for other in ["", "s1.1:n3", "s1.1:n3#", "s01.1:n3#0", "s+1.1:n3#0", "s1.1:n3#0 ", one_more]
        {
            assert!(other.parse::<ClaimId>().is_err(), "{other}");
        }
    }
}

//! Who is where.

use counterfoil_protocol::{Address, NodeId, SchedulerId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;

/// An actor and where it listens, as it is written on the command line: `ID=ADDRESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<Id> {
    /// Who.
    pub id: Id,
    /// Where.
    pub address: SocketAddr,
}

/// A text that is no [`Peer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not ID=ADDRESS, such as 1=127.0.0.1:7001")]
pub struct PeerError(String);

/// A number that names an actor.
pub trait Numbered {
    /// The name with this number.
    fn numbered(number: u32) -> Self;
}

impl Numbered for NodeId {
    fn numbered(number: u32) -> Self {
        NodeId(number)
    }
}

impl Numbered for SchedulerId {
    fn numbered(number: u32) -> Self {
        SchedulerId(number)
    }
}

impl<Id: Numbered> FromStr for Peer<Id> {
    type Err = PeerError;
    fn from_str(text: &str) -> Result<Self, PeerError> {
        let parts = text.split_once('=').and_then(|(id, address)| {
            let id = Id::numbered(id.parse().ok()?);
            Some(Peer { id, address: address.parse().ok()? })
        });
        parts.ok_or_else(|| PeerError(text.to_owned()))
    }
}

/// Where to answer: the address that each life of an actor was last heard from.
///
/// # Invariants
/// It holds up to [`Routes::MAX`]; one more takes the place of the one that was silent for longest.
#[derive(Debug, Default)]
pub struct Routes {
    heard: BTreeMap<Address, (SocketAddr, u64)>,
    datagrams: u64,
}

impl Routes {
    /// Addresses that are kept.
    pub const MAX: usize = 4096;

    /// A datagram of `src` came from `address`.
    pub fn heard(&mut self, src: Address, address: SocketAddr) {
        self.datagrams += 1;
        if self.heard.len() >= Self::MAX && !self.heard.contains_key(&src) {
            let silent = self.heard.iter().min_by_key(|(_, (_, at))| *at).map(|(src, _)| *src);
            self.heard.remove(&silent.expect("there are as many as can be kept"));
        }
        self.heard.insert(src, (address, self.datagrams));
    }

    /// Where `dst` was last heard from.
    pub fn to(&self, dst: Address) -> Option<SocketAddr> {
        self.heard.get(&dst).map(|(address, _)| *address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{Actor, ClientId};

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn client(id: u32) -> Address {
        Address { actor: Actor::Client(ClientId(id)), incarnation: None }
    }

    #[test]
    fn a_peer_is_an_id_and_an_address() {
        let peer = Peer { id: NodeId(3), address: address(7) };
        assert_eq!("3=127.0.0.1:7".parse(), Ok(peer));
        for bad in ["", "3", "=127.0.0.1:7", "n3=127.0.0.1:7", "3=localhost", "3=127.0.0.1"] {
            assert!(bad.parse::<Peer<NodeId>>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_goes_where_the_actor_was_last_heard() {
        let mut routes = Routes::default();
        assert_eq!(routes.to(client(1)), None);
        routes.heard(client(1), address(1));
        routes.heard(client(1), address(2));
        assert_eq!(routes.to(client(1)), Some(address(2)));
    }

    #[test]
    fn the_most_silent_makes_room() {
        let mut routes = Routes::default();
        for id in 0..Routes::MAX as u32 {
            routes.heard(client(id), address(1));
        }
        routes.heard(client(0), address(1));
        routes.heard(client(u32::MAX), address(1));
        assert_eq!(routes.heard.len(), Routes::MAX);
        assert!(routes.to(client(0)).is_some());
        assert!(routes.to(client(1)).is_none());
    }
}

//! Datagrams in flight.

use crate::shared::Shared;
use counterfoil_protocol::Map;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// Which network a scenario runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A datagram once sent may be delivered at any time, in any order, again, or never.
    Set,
    /// Each datagram is delivered once, at any time, in any order; loss and copies have budgets.
    Multiset,
}

/// How far a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Flight {
    /// This many equal ones are under way, up to [`Network::EQUAL_MAX`].
    InFlight(u8),
    /// It was delivered, and a copy of it may be delivered again. Only in the set network.
    Delivered,
}

/// The datagrams in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Network<D: Ord + Clone + Hash>(Map<Shared<D>, Flight>);

impl<D: Ord + Clone + Hash> Default for Network<D> {
    fn default() -> Self {
        Network(Map::default())
    }
}

impl<D: Ord + Clone + Hash> Network<D> {
    /// More equal datagrams in flight at once are not told apart. Sending one again while it is
    /// still in flight happens only by a copy or an early timer.
    pub const EQUAL_MAX: u8 = 2;

    /// Puts a datagram in flight.
    pub fn send(&mut self, kind: Kind, datagram: Shared<D>) {
        let count = match (kind, self.0.get(&datagram)) {
            (Kind::Multiset, Some(Flight::InFlight(count))) => (count + 1).min(Self::EQUAL_MAX),
            (Kind::Set, _) | (Kind::Multiset, None | Some(Flight::Delivered)) => 1,
        };
        self.0.insert(datagram, Flight::InFlight(count));
    }

    /// Takes a datagram out of flight, because it is delivered.
    pub fn deliver(&mut self, kind: Kind, datagram: &Shared<D>) {
        match kind {
            Kind::Set => {
                self.0.insert(datagram.clone(), Flight::Delivered);
            }
            Kind::Multiset => self.lose(datagram),
        }
    }

    /// Takes one of these datagrams out of flight for good.
    pub fn lose(&mut self, datagram: &Shared<D>) {
        match self.flight(datagram) {
            Some(Flight::InFlight(count)) if count > 1 => {
                self.0.insert(datagram.clone(), Flight::InFlight(count - 1));
            }
            Some(_) | None => {
                self.0.remove(datagram);
            }
        }
    }

    /// Takes a datagram out of flight altogether.
    pub fn forget(&mut self, datagram: &Shared<D>) {
        self.0.remove(datagram);
    }

    /// Puts a datagram where it is known to be.
    pub(crate) fn put(&mut self, datagram: Shared<D>, flight: Flight) {
        self.0.insert(datagram, flight);
    }

    /// How far this datagram is, if it is known at all.
    pub fn flight(&self, datagram: &Shared<D>) -> Option<Flight> {
        self.0.get(datagram).copied()
    }

    /// Every datagram that may be delivered, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Shared<D>, Flight)> {
        self.0.iter().map(|(datagram, flight)| (datagram, *flight))
    }

    /// The datagrams that have not been delivered yet, in order.
    pub fn in_flight(&self) -> impl Iterator<Item = &D> {
        let fresh = |flight: &Flight| matches!(flight, Flight::InFlight(_));
        self.0.iter().filter(move |(_, flight)| fresh(flight)).map(|(datagram, _)| &**datagram)
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many different datagrams are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multiset_counts_and_the_set_remembers() {
        let mut multiset = Network::default();
        let datagram = Shared::new(7u8);
        multiset.send(Kind::Multiset, datagram.clone());
        multiset.send(Kind::Multiset, datagram.clone());
        multiset.deliver(Kind::Multiset, &datagram);
        assert_eq!(multiset.flight(&datagram), Some(Flight::InFlight(1)));
        multiset.deliver(Kind::Multiset, &datagram);
        assert!(multiset.is_empty());

        let mut set = Network::default();
        set.send(Kind::Set, datagram.clone());
        set.send(Kind::Set, datagram.clone());
        set.deliver(Kind::Set, &datagram);
        assert_eq!(set.flight(&datagram), Some(Flight::Delivered));
        assert_eq!(set.in_flight().count(), 0);
        set.send(Kind::Set, datagram.clone());
        assert_eq!(set.flight(&datagram), Some(Flight::InFlight(1)), "sent anew");
    }
}

//! What a protocol may look at when it says what can happen: the same for every representation of
//! a state.

use crate::cluster::Cluster;
use crate::protocol::Protocol;
use crate::scenario::Fault;
use counterfoil_protocol::Address;

/// A state of the world, to be looked at.
pub trait View<P: Protocol> {
    /// The processes that live, in the order of their addresses.
    fn processes<'a>(&'a self) -> impl Iterator<Item = (Address, &'a P::Process)>
    where
        P: 'a;

    /// The datagrams that have not been delivered yet.
    fn in_flight<'a>(&'a self) -> impl Iterator<Item = &'a P::Datagram>
    where
        P: 'a;

    /// Whether a fault may still happen.
    fn may(&self, fault: Fault) -> bool;

    /// The process of this name and life, if it lives.
    fn process(&self, at: Address) -> Option<&P::Process> {
        self.processes().find(|(address, _)| *address == at).map(|(_, process)| process)
    }

    /// The process that a datagram or letter to `to` reaches: that life, or the latest.
    fn receiver(&self, to: Address) -> Option<Address> {
        let addresses = self.processes().map(|(address, _)| address);
        match to.incarnation {
            Some(_) => addresses.into_iter().find(|address| *address == to),
            None => addresses
                .filter(|address| address.actor == to.actor)
                .max_by_key(|address| address.incarnation),
        }
    }

    /// The answer to a question about two processes that live, or about one, given twice. It depends
    /// on nothing but the question and what these two are, so a representation may remember it.
    fn ask(&self, _question: u32, _of: [Address; 2], answer: impl FnOnce() -> bool) -> bool {
        answer()
    }
}

impl<P: Protocol> View<P> for Cluster<P> {
    fn processes<'a>(&'a self) -> impl Iterator<Item = (Address, &'a P::Process)>
    where
        P: 'a,
    {
        self.processes.iter().map(|(address, process)| (*address, &**process))
    }

    fn in_flight<'a>(&'a self) -> impl Iterator<Item = &'a P::Datagram>
    where
        P: 'a,
    {
        self.network.in_flight()
    }

    fn may(&self, fault: Fault) -> bool {
        Cluster::may(self, fault)
    }

    fn process(&self, at: Address) -> Option<&P::Process> {
        self.processes.get(&at).map(|process| &**process)
    }
}

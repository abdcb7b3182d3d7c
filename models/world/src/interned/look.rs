//! A state made of numbers, as the protocol looks at it.

use super::tables::Tables;
use super::{DELIVERED, FLIGHT_BITS, LIVES, REST, State};
use crate::protocol::Protocol;
use crate::scenario::Fault;
use crate::view::View;
use counterfoil_protocol::Address;

/// A state and what its numbers stand for.
pub(super) struct Look<'a, P: Protocol> {
    tables: &'a Tables<P>,
    state: &'a State,
    alive: &'a [(Address, bool)],
}

impl<'a, P: Protocol> Look<'a, P> {
    pub(super) fn new(tables: &'a Tables<P>, state: &'a State) -> Self {
        Look { tables, state, alive: &tables.lives.get(state.words[LIVES]).alive }
    }

    fn number_of(&self, at: Address) -> Option<u32> {
        let slot = self.alive.iter().position(|(address, _)| *address == at)?;
        Some(self.state.process(slot))
    }
}

impl<P: Protocol> View<P> for Look<'_, P> {
    fn processes<'b>(&'b self) -> impl Iterator<Item = (Address, &'b P::Process)>
    where
        P: 'b,
    {
        self.alive.iter().enumerate().map(|(slot, (address, _))| {
            (*address, &**self.tables.processes.get(self.state.process(slot)))
        })
    }

    fn in_flight<'b>(&'b self) -> impl Iterator<Item = &'b P::Datagram>
    where
        P: 'b,
    {
        let fresh = self.state.network().iter().filter(|word| **word & DELIVERED != DELIVERED);
        fresh.map(|word| &**self.tables.datagrams.get(word >> FLIGHT_BITS))
    }

    fn may(&self, fault: Fault) -> bool {
        self.tables.may(self.state.words[REST]) & 1 << fault as u32 != 0
    }

    fn process(&self, at: Address) -> Option<&P::Process> {
        Some(&**self.tables.processes.get(self.number_of(at)?))
    }

    fn receiver(&self, to: Address) -> Option<Address> {
        let slot = self.tables.slot_of(self.state.words[LIVES], to)?;
        Some(self.alive[slot].0)
    }

    fn ask(&self, question: u32, of: [Address; 2], answer: impl FnOnce() -> bool) -> bool {
        let [one, other] = of.map(|at| self.number_of(at).expect("it lives"));
        let key = (question, one, other);
        if let Some(known) = self.tables.answers.borrow().get(&key) {
            return *known;
        }
        let found = answer();
        self.tables.answers.borrow_mut().insert(key, found);
        found
    }
}

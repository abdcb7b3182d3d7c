//! What a step wrote and sent.

use counterfoil_protocol::node::{Allocation, Change};
use counterfoil_protocol::{
    Body, Claim, ClaimId, Datagram, Output, Record, RequestId, Scheduler, Verdict, client,
};

/// What a node wrote.
pub(crate) fn changes(outputs: &[Output]) -> impl Iterator<Item = &Change> {
    outputs.iter().filter_map(|output| match output {
        Output::Persist(Record::Node(change)) => Some(change),
        Output::Persist(Record::Scheduler(_) | Record::Client(_))
        | Output::Send(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => None,
    })
}

/// The allocations that a node wrote, made or changed.
pub(crate) fn allocations(outputs: &[Output]) -> impl Iterator<Item = (ClaimId, &Allocation)> {
    changes(outputs).filter_map(|change| match change {
        Change::Allocation(claim, allocation) => Some((*claim, allocation)),
        Change::Life(_) | Change::Inventory(_) | Change::Status(_) | Change::End(_) => None,
    })
}

/// The allocations whose end a node wrote.
pub(crate) fn ends(outputs: &[Output]) -> impl Iterator<Item = ClaimId> {
    changes(outputs).filter_map(|change| match change {
        Change::End(claim) => Some(*claim),
        Change::Life(_) | Change::Inventory(_) | Change::Status(_) | Change::Allocation(..) => None,
    })
}

/// The requests for which a client wrote a choice.
pub(crate) fn chosen(outputs: &[Output]) -> impl Iterator<Item = RequestId> {
    outputs.iter().flat_map(|output| match output {
        Output::Persist(Record::Client(client::Change::Choice(id, _))) => vec![*id],
        Output::Persist(Record::Client(client::Change::Choices(choices))) => {
            choices.keys().copied().collect()
        }
        Output::Persist(_)
        | Output::Send(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => Vec::new(),
    })
}

/// The datagrams that were sent.
pub(crate) fn sent(outputs: &[Output]) -> impl Iterator<Item = &Datagram> {
    outputs.iter().filter_map(|output| match output {
        Output::Send(datagram) => Some(datagram),
        Output::Persist(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::SetTimer { .. }
        | Output::Choose(_)
        | Output::Ended(..)
        | Output::Notice(_) => None,
    })
}

/// The verdicts that were sent.
pub(crate) fn verdicts(outputs: &[Output]) -> impl Iterator<Item = &Verdict> {
    sent(outputs).filter_map(|datagram| match &datagram.body {
        Body::Verdict(verdict) => Some(verdict),
        Body::Claim(_)
        | Body::Confirm(_)
        | Body::Release(_)
        | Body::Delta(_)
        | Body::Snapshot(_)
        | Body::Resync(_)
        | Body::Leave(_)
        | Body::Superseded { .. } => None,
    })
}

/// The claims that a scheduler sent and had not sent before: those whose number is new.
pub(crate) fn sent_anew<'a>(
    before: Option<&'a Scheduler>,
    outputs: &'a [Output],
) -> impl Iterator<Item = &'a Claim> {
    sent(outputs).filter_map(move |datagram| {
        let Body::Claim(claim) = &datagram.body else { return None };
        let peer = before.and_then(|before| before.nodes.get(&claim.claim.node));
        peer.is_none_or(|peer| claim.claim.number >= peer.next).then_some(claim)
    })
}

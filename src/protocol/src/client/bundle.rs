//! Bundles: requests that are placed together, or none of them.
//!
//! What is placed for a member is held until something is placed for each; then all are chosen, in
//! one record. When one ends otherwise, the others are given up.

use super::{Change, Chosen, Client, Phase, Request};
use crate::collections::{Map, Set};
use crate::id::{ClaimId, RequestId};
use crate::machine::Output;
use crate::message::Outcome;
use crate::notice::{Notice, notice};
use crate::resources::Demand;

impl Client {
    pub(super) fn on_place_together(
        &mut self,
        demands: Map<RequestId, Demand>,
        outbox: &mut Vec<Output>,
    ) {
        let limits = &self.config.limits;
        if demands.keys().any(|id| self.requests.contains_key(id)) {
            return notice(Notice::RequestRepeated, outbox);
        }
        let too_large = demands.len() > limits.bundle_max;
        if too_large || self.requests.len() + demands.len() > limits.requests_max {
            notice(if too_large { Notice::BundleTooLarge } else { Notice::RequestsFull }, outbox);
            let ended = demands.keys().map(|id| Output::Ended(*id, Outcome::Overloaded));
            return outbox.extend(ended);
        }
        if demands.is_empty() {
            return notice(Notice::UserOrderIgnored, outbox);
        }
        notice(Notice::BundleOpened, outbox);
        let bundle: Set<RequestId> = demands.keys().copied().collect();
        for (id, demand) in demands.iter() {
            let mut request = Request::new(demand.clone().into()).of_bundle(bundle.clone());
            self.attempt(*id, &mut request, outbox);
            self.requests.insert(*id, request);
        }
    }

    /// Something was placed for a member that sought: it is held. If it was the last, every claim
    /// that is held is chosen.
    pub(super) fn hold(
        &mut self,
        id: RequestId,
        mut request: Request,
        claim: ClaimId,
        outbox: &mut Vec<Output>,
    ) {
        let bundle = request.bundle.clone();
        request.choosing = false;
        request.phase = Phase::Held(claim);
        self.requests.insert(id, request);
        let members = self.members(&bundle);
        if members.iter().any(|(_, member)| member.phase == Phase::Seeking) {
            return notice(Notice::PlacedHeld, outbox);
        }
        notice(Notice::BundleChosen, outbox);
        let mut choices = Map::default();
        for (member, mut request) in members {
            if let Phase::Held(claim) = request.phase {
                request.phase = Phase::Confirming(claim);
                choices.insert(member, request.chosen(claim));
                self.requests.insert(member, request);
            }
        }
        self.choose(choices, outbox);
    }

    /// A member is confirmed: the user is told of all, once they all are.
    pub(super) fn tell_confirmed(&self, id: RequestId, claim: ClaimId, outbox: &mut Vec<Output>) {
        let bundle = self.requests.get(&id).map(|request| &request.bundle);
        let members = bundle.map_or_else(Vec::new, |bundle| self.members(bundle));
        let siblings = members.into_iter().filter(|(member, _)| *member != id);
        let mut confirmed = vec![(id, claim)];
        for (sibling, request) in siblings {
            let Phase::Confirmed(claim) = request.phase else {
                return notice(Notice::MemberConfirmed, outbox);
            };
            confirmed.push((sibling, claim));
        }
        notice(Notice::BundleConfirmed, outbox);
        confirmed.sort();
        let told = |(id, claim)| Output::Ended(id, Outcome::Confirmed(claim));
        outbox.extend(confirmed.into_iter().map(told));
    }

    /// Gives up the bundles of those of these requests that have ended.
    pub(super) fn end_bundles_of(&mut self, ids: &[RequestId], outbox: &mut Vec<Output>) {
        let ended = |id: &RequestId| {
            let request = self.requests.get(id)?;
            matches!(request.phase, Phase::Ended(_)).then(|| self.members(&request.bundle))
        };
        let members = ids.iter().filter_map(ended).flatten();
        let siblings: Set<RequestId> =
            members.filter(|(_, member)| !member.is_over()).map(|(id, _)| id).collect();
        if !siblings.is_empty() {
            notice(Notice::BundleGivenUp, outbox);
            self.give_up(&siblings, outbox);
        }
    }

    /// Gives up members of bundles: what is chosen or held is released, what is sought is not any
    /// more.
    pub(super) fn give_up(&mut self, ids: &Set<RequestId>, outbox: &mut Vec<Output>) {
        let (mut choices, mut held) = (Map::default(), Vec::new());
        for id in ids.iter() {
            let mut request = self.requests.get(id).expect("the caller found it").clone();
            match request.phase {
                Phase::Seeking => request.end(*id, Outcome::Released, outbox),
                Phase::Held(claim) => {
                    request.unwanted.insert(claim);
                    request.end(*id, Outcome::Released, outbox);
                    held.push(claim);
                }
                Phase::Confirming(claim) | Phase::Confirmed(claim) => {
                    request.phase = Phase::Releasing(claim);
                    choices.insert(*id, request.chosen(claim));
                }
                Phase::Releasing(_) | Phase::Ended(_) => {}
            }
            self.requests.insert(*id, request);
        }
        self.choose(choices, outbox);
        for claim in held {
            self.ask_node(claim, true, outbox);
        }
    }

    /// Writes choices down, all or none, and confirms or releases them.
    fn choose(&self, choices: Map<RequestId, Chosen>, outbox: &mut Vec<Output>) {
        if choices.is_empty() {
            return;
        }
        self.persist(Change::Choices(choices.clone()), outbox);
        for Chosen { claim, releasing, .. } in choices.values() {
            self.ask_node(*claim, *releasing, outbox);
        }
    }

    /// The requests on record of a bundle. A later request may have the name of an earlier member
    /// that was forgotten: it has another bundle, or none.
    pub(super) fn members(&self, bundle: &Set<RequestId>) -> Vec<(RequestId, Request)> {
        let on_record = |id: &RequestId| {
            let request = self.requests.get(id).filter(|request| request.bundle == *bundle)?;
            Some((*id, request.clone()))
        };
        bundle.iter().filter_map(on_record).collect()
    }
}

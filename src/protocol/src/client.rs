//! The client: owns its requests, and alone confirms and releases what was placed for them.

mod bundle;
mod disk;
mod input;
mod request;

pub use disk::{Change, Chosen, Disk};
pub use input::{Input, Order};
pub use request::{Phase, Request};

use request::Awaited;

use crate::collections::{Given, Map};
use crate::config::{Config, Rule};
use crate::id::{
    Actor, Address, AttemptId, AttemptNumber, ClaimId, ClientId, NodeId, RequestId, SchedulerId,
};
use crate::machine::{Choice, Machine, Output, Record, Timer};
use crate::message::{Answer, Body, Call, Datagram, Decision, Outcome, Placement, Verdict};
use crate::notice::{Notice, notice};
use crate::resources::Demand;
use serde::{Deserialize, Serialize};

/// A client.
///
/// # Invariants
/// - It confirms only what it has written down as its choice, and clears that only when the node
///   says that it is gone: no request has two confirmed allocations (`one_confirmed_per_request`).
///   The price: a client whose chosen node is dead waits.
/// - Of a bundle it confirms none before all are chosen, and tells of none before all are confirmed;
///   when one ends otherwise, it gives up the others (`bundles_end_whole`).
/// - Each map respects its limit (`bounded`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Client {
    /// Its name.
    pub id: ClientId,
    #[serde(skip)]
    config: Given<Config>,
    /// Its requests. One that has ended stays until it is forgotten by order.
    pub requests: Map<RequestId, Request>,
}

impl Client {
    /// Starts client `id` from its disk: it goes on with every choice, and has forgotten the rest. A
    /// bundle of which a part is forgotten is given up.
    pub fn start(
        id: ClientId,
        mut disk: Disk,
        config: Given<Config>,
        outbox: &mut Vec<Output>,
    ) -> Client {
        let mut client = Client { id, config, requests: Map::default() };
        let broken = disk.broken_bundles();
        if !broken.is_empty() {
            notice(Notice::BundleGivenUp, outbox);
            let change = Change::Choices(broken);
            disk.apply(&change);
            client.persist(change, outbox);
        }
        for (request, chosen) in disk.choices.iter() {
            let Chosen { claim, releasing, demand, attempts_made, bundle } = chosen.clone();
            let phase = if releasing { Phase::Releasing(claim) } else { Phase::Confirming(claim) };
            client
                .requests
                .insert(*request, Request { attempts_made, phase, bundle, ..Request::new(demand) });
            client.ask_node(claim, releasing, outbox);
        }
        client
    }

    /// The same, given this: what is given is no part of the serialised form.
    #[must_use]
    pub fn given(self, config: Given<Config>) -> Self {
        Client { config, ..self }
    }

    /// What it is given at construction.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn on_order(&mut self, order: Order, outbox: &mut Vec<Output>) {
        match order {
            Order::Place(id, demand) => self.on_place(id, demand, outbox),
            Order::PlaceTogether(demands) if demands.len() == 1 => {
                let (id, demand) = demands.get_min().expect("there is one").clone();
                self.on_place(id, demand, outbox);
            }
            Order::PlaceTogether(demands) => self.on_place_together(demands, outbox),
            Order::Release(id) => self.on_release(id, outbox),
            Order::NodeOver(node) => self.on_node_over(node, outbox),
            Order::Forget(id) => {
                // With an attempt open its number must not be used again.
                let over = |request: &Request| {
                    let settled = request.unwanted.is_empty() && request.open.is_empty();
                    matches!(request.phase, Phase::Ended(_)) && settled
                };
                if self.requests.get(&id).is_some_and(over) {
                    notice(Notice::RequestForgotten, outbox);
                    self.requests.remove(&id);
                } else {
                    notice(Notice::UserOrderIgnored, outbox);
                }
            }
        }
    }

    fn on_place(&mut self, id: RequestId, demand: Demand, outbox: &mut Vec<Output>) {
        if self.requests.contains_key(&id) {
            return notice(Notice::RequestRepeated, outbox);
        }
        if self.requests.len() >= self.config.limits.requests_max {
            notice(Notice::RequestsFull, outbox);
            return outbox.push(Output::Ended(id, Outcome::Overloaded));
        }
        notice(Notice::RequestOpened, outbox);
        let mut request = Request::new(demand.into());
        self.attempt(id, &mut request, outbox);
        self.requests.insert(id, request);
    }

    fn on_release(&mut self, id: RequestId, outbox: &mut Vec<Output>) {
        let Some(mut request) = self.requests.get(&id).cloned() else {
            return notice(Notice::UserOrderIgnored, outbox);
        };
        if !request.bundle.is_empty() && !request.is_over() {
            notice(Notice::BundleReleased, outbox);
            return self.give_up(&request.bundle, outbox);
        }
        match request.phase {
            Phase::Confirming(claim) | Phase::Confirmed(claim) => {
                notice(Notice::ReleaseStarted, outbox);
                request.phase = Phase::Releasing(claim);
                self.persist_choice(id, &request, claim, outbox);
                self.ask_node(claim, true, outbox);
            }
            Phase::Seeking | Phase::Held(_) => {
                notice(Notice::RequestGivenUp, outbox);
                request.end(id, Outcome::Released, outbox);
            }
            Phase::Releasing(_) | Phase::Ended(_) => notice(Notice::UserOrderIgnored, outbox),
        }
        self.requests.insert(id, request);
    }

    fn on_node_over(&mut self, node: NodeId, outbox: &mut Vec<Output>) {
        let claims: Vec<ClaimId> = self
            .requests
            .values()
            .flat_map(|request| request.awaited().into_iter().chain(request.held()))
            .filter(|claim| claim.node == node)
            .collect();
        if claims.is_empty() {
            return notice(Notice::UserOrderIgnored, outbox);
        }
        notice(Notice::NodeDeclaredOver, outbox);
        let gone = |claim| Verdict { claim, decision: Decision::Gone };
        let concerned = claims.into_iter().filter_map(|claim| self.take_in(gone(claim), outbox));
        let concerned: Vec<RequestId> = concerned.collect();
        self.end_bundles_of(&concerned, outbox);
    }

    fn on_chosen(&mut self, attempt: AttemptId, scheduler: SchedulerId, outbox: &mut Vec<Output>) {
        let asked = |request: &Request| request.choosing && request.attempts_made == attempt.number;
        let Some(request) = self.requests.get_mut(&attempt.request).filter(|r| asked(r)) else {
            return notice(Notice::SchedulerUnasked, outbox);
        };
        notice(Notice::CallSent, outbox);
        request.choosing = false;
        request.open.insert(attempt.number, scheduler);
        let call = Call { attempt, demand: request.demand.clone() };
        outbox.push(Output::Call(scheduler, call));
        self.be_patient(attempt, outbox);
    }

    /// Sets the timer that makes another attempt beside this one.
    fn be_patient(&self, attempt: AttemptId, outbox: &mut Vec<Output>) {
        let after = self.config.intervals.impatience;
        outbox.push(Output::SetTimer { timer: Timer::Impatience(attempt), after });
    }

    fn on_answer(&mut self, answer: Answer, outbox: &mut Vec<Output>) {
        let Answer { attempt, placement } = answer;
        let no_valid_host = match placement {
            Placement::Placed(claim) => return self.on_placed(attempt, claim, outbox),
            Placement::NoValidHost(refusals) => Some(Outcome::NoValidHost(refusals)),
            Placement::Unavailable | Placement::Exhausted | Placement::Overloaded => None,
        };
        let Some(mut request) = self.requests.get(&attempt.request).cloned() else {
            return notice(Notice::FailureIgnored, outbox);
        };
        if request.open.remove(&attempt.number).is_none() {
            return notice(Notice::FailureIgnored, outbox);
        }
        self.after_failure(attempt.request, &mut request, no_valid_host, outbox);
        self.requests.insert(attempt.request, request);
        self.end_bundles_of(&[attempt.request], outbox);
    }

    fn on_placed(&mut self, attempt: AttemptId, claim: ClaimId, outbox: &mut Vec<Output>) {
        let id = attempt.request;
        let Some(mut request) = self.requests.get(&id).cloned() else {
            return notice(Notice::PlacedUnknown, outbox);
        };
        request.open.remove(&attempt.number);
        let keeps = self.config.rules.has(Rule::ClientKeepsItsChoice);
        let whole = self.config.rules.has(Rule::BundlesAreChosenWhole);
        match request.phase {
            Phase::Seeking if whole && !request.bundle.is_empty() => {
                return self.hold(id, request, claim, outbox);
            }
            Phase::Seeking => notice(Notice::ChoiceMade, outbox),
            Phase::Confirming(_) | Phase::Confirmed(_) if !keeps => {
                notice(Notice::ChoiceReplaced, outbox);
            }
            Phase::Held(_)
            | Phase::Confirming(_)
            | Phase::Confirmed(_)
            | Phase::Releasing(_)
            | Phase::Ended(_) => {
                notice(Notice::PlacedUnwanted, outbox);
                request.unwanted.insert(claim);
                self.requests.insert(id, request);
                return self.ask_node(claim, true, outbox);
            }
        }
        request.choosing = false;
        request.phase = Phase::Confirming(claim);
        if keeps {
            self.persist_choice(id, &request, claim, outbox);
        }
        self.requests.insert(id, request);
        self.ask_node(claim, false, outbox);
    }

    fn on_disconnected(&mut self, scheduler: SchedulerId, outbox: &mut Vec<Output>) {
        let ids: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, request)| request.open.values().any(|at| *at == scheduler))
            .map(|(id, _)| *id)
            .collect();
        if ids.is_empty() {
            return notice(Notice::FailureIgnored, outbox);
        }
        for id in &ids {
            let mut request = self.requests.get(id).expect("listed above").clone();
            request.open = request
                .open
                .iter()
                .filter(|(_, at)| **at != scheduler)
                .map(|(n, at)| (*n, *at))
                .collect();
            self.after_failure(*id, &mut request, None, outbox);
            self.requests.insert(*id, request);
        }
        self.end_bundles_of(&ids, outbox);
    }

    /// An attempt has failed and is no longer open: waits for others, makes another, or ends.
    fn after_failure(
        &mut self,
        id: RequestId,
        request: &mut Request,
        no_valid_host: Option<Outcome>,
        outbox: &mut Vec<Output>,
    ) {
        let seeking = request.phase == Phase::Seeking;
        if !seeking || request.choosing || !request.open.is_empty() {
            notice(Notice::OtherAttemptsOpen, outbox);
        } else if let Some(outcome) = no_valid_host {
            notice(Notice::NoValidHostLearnt, outbox);
            request.end(id, outcome, outbox);
        } else {
            self.retry_or_end(id, request, outbox);
        }
    }

    fn retry_or_end(&mut self, id: RequestId, request: &mut Request, outbox: &mut Vec<Output>) {
        if self.may_attempt(request) {
            notice(Notice::RetryArmed, outbox);
            let after = self.config.intervals.retry;
            outbox.push(Output::SetTimer { timer: Timer::Retry(id), after });
        } else {
            notice(Notice::AttemptsUsedUp, outbox);
            request.end(id, Outcome::Exhausted, outbox);
        }
    }

    fn on_datagram(&mut self, datagram: Datagram, outbox: &mut Vec<Output>) {
        let for_me = datagram.dst.actor == Actor::Client(self.id);
        let Body::Verdict(verdict) = datagram.body else {
            return notice(Notice::DatagramMisdirected, outbox);
        };
        if !for_me || datagram.src.actor != Actor::Node(verdict.claim.node) {
            return notice(Notice::DatagramMisdirected, outbox);
        }
        let concerned = self.take_in(verdict, outbox);
        self.end_bundles_of(concerned.as_slice(), outbox);
    }

    /// Takes in what a node said of a claim; the request that it concerns.
    fn take_in(&mut self, verdict: Verdict, outbox: &mut Vec<Output>) -> Option<RequestId> {
        let Verdict { claim, decision } = verdict;
        let awaits = |request: &Request| request.awaits(claim).is_some();
        let found = self.requests.iter().find(|(_, request)| awaits(request));
        let Some((id, mut request)) = found.map(|(id, request)| (*id, request.clone())) else {
            notice(Notice::ClientVerdictStale, outbox);
            return None;
        };
        let awaited = request.awaits(claim).expect("found by it");
        match (decision, awaited) {
            (Decision::Confirmed { .. }, Awaited::Confirmation) => {
                request.phase = Phase::Confirmed(claim);
                if request.bundle.is_empty() {
                    notice(Notice::ChoiceConfirmed, outbox);
                    outbox.push(Output::Ended(id, Outcome::Confirmed(claim)));
                } else {
                    self.tell_confirmed(id, claim, outbox);
                }
            }
            (Decision::Gone, Awaited::Confirmation | Awaited::Nothing) => {
                notice(Notice::ChoiceGone, outbox);
                if let Awaited::Confirmation = awaited {
                    self.persist(Change::Cleared(id), outbox);
                }
                request.phase = Phase::Seeking;
                if request.open.is_empty() {
                    self.retry_or_end(id, &mut request, outbox);
                } else if self.is_impatient(&request, request.attempts_made) {
                    let last = AttemptId { request: id, number: request.attempts_made };
                    self.be_patient(last, outbox);
                }
            }
            (Decision::Gone, Awaited::Release) => {
                notice(Notice::ReleaseDone, outbox);
                self.persist(Change::Cleared(id), outbox);
                request.end(id, Outcome::Released, outbox);
            }
            (Decision::Gone, Awaited::UnwantedRelease) => {
                notice(Notice::UnwantedGone, outbox);
                request.unwanted.remove(&claim);
            }
            (
                Decision::Granted { .. } | Decision::Refused(_) | Decision::Confirmed { .. },
                Awaited::Confirmation
                | Awaited::Release
                | Awaited::UnwantedRelease
                | Awaited::Nothing,
            ) => notice(Notice::ClientVerdictStale, outbox),
        }
        self.requests.insert(id, request);
        Some(id)
    }

    fn on_resend(&mut self, claim: ClaimId, outbox: &mut Vec<Output>) {
        match self.requests.values().find_map(|request| request.awaits(claim)) {
            Some(Awaited::Confirmation) => {
                notice(Notice::ConfirmResent, outbox);
                self.ask_node(claim, false, outbox);
            }
            Some(Awaited::Release | Awaited::UnwantedRelease) => {
                notice(Notice::ReleaseResent, outbox);
                self.ask_node(claim, true, outbox);
            }
            Some(Awaited::Nothing) | None => notice(Notice::ClientTimerIgnored, outbox),
        }
    }

    fn on_retry(&mut self, id: RequestId, outbox: &mut Vec<Output>) {
        let due = self.requests.get(&id).filter(|request| self.retry_is_due(request)).cloned();
        let Some(mut request) = due else {
            return notice(Notice::ClientTimerIgnored, outbox);
        };
        notice(Notice::AttemptRetried, outbox);
        self.attempt(id, &mut request, outbox);
        self.requests.insert(id, request);
    }

    fn on_impatience(&mut self, attempt: AttemptId, outbox: &mut Vec<Output>) {
        let id = attempt.request;
        let due = self.requests.get(&id).filter(|r| self.is_impatient(r, attempt.number)).cloned();
        let Some(mut request) = due else {
            return notice(Notice::ClientTimerIgnored, outbox);
        };
        notice(Notice::AttemptImpatient, outbox);
        self.attempt(id, &mut request, outbox);
        self.requests.insert(id, request);
    }

    /// Makes the next attempt: asks the driver where.
    fn attempt(&self, id: RequestId, request: &mut Request, outbox: &mut Vec<Output>) {
        request.attempts_made = AttemptNumber(request.attempts_made.0 + 1);
        request.choosing = true;
        let attempt = AttemptId { request: id, number: request.attempts_made };
        outbox.push(Output::Choose(Choice::Scheduler(attempt)));
    }

    fn may_attempt(&self, request: &Request) -> bool {
        request.attempts_made.0 < self.config.limits.attempts_max
    }

    fn retry_is_due(&self, request: &Request) -> bool {
        let idle = !request.choosing && request.open.is_empty();
        request.phase == Phase::Seeking && idle && self.may_attempt(request)
    }

    /// Whether another attempt may be made beside attempt `number`, which must be the last.
    fn is_impatient(&self, request: &Request, number: AttemptNumber) -> bool {
        request.phase == Phase::Seeking
            && request.attempts_made == number
            && request.open.contains_key(&number)
            && self.may_attempt(request)
    }

    /// Sends a confirm or release, and sets the timer that sends it again.
    fn ask_node(&self, claim: ClaimId, release: bool, outbox: &mut Vec<Output>) {
        let src = Address { actor: Actor::Client(self.id), incarnation: None };
        let dst = Address { actor: Actor::Node(claim.node), incarnation: None };
        let body = if release { Body::Release(claim) } else { Body::Confirm(claim) };
        outbox.push(Output::Send(Datagram { src, dst, body }));
        let after = self.config.intervals.resend;
        outbox.push(Output::SetTimer { timer: Timer::Resend(claim), after });
    }

    fn persist_choice(
        &self,
        id: RequestId,
        request: &Request,
        claim: ClaimId,
        outbox: &mut Vec<Output>,
    ) {
        self.persist(Change::Choice(id, request.chosen(claim)), outbox);
    }

    fn persist(&self, change: Change, outbox: &mut Vec<Output>) {
        outbox.push(Output::Persist(Record::Client(change)));
    }
}

impl Machine for Client {
    type Input = Input;

    fn handle(&mut self, input: Input, outbox: &mut Vec<Output>) {
        match input {
            Input::Datagram(datagram) => self.on_datagram(datagram, outbox),
            Input::Timer(Timer::Resend(claim)) => self.on_resend(claim, outbox),
            Input::Timer(Timer::Retry(request)) => self.on_retry(request, outbox),
            Input::Timer(Timer::Impatience(attempt)) => self.on_impatience(attempt, outbox),
            Input::Timer(
                Timer::Announce
                | Timer::Lapse(_)
                | Timer::Forget(_)
                | Timer::Resync(_)
                | Timer::Suspect(_),
            ) => notice(Notice::TimerMisdirected, outbox),
            Input::Answer(answer) => self.on_answer(answer, outbox),
            Input::Disconnected(scheduler) => self.on_disconnected(scheduler, outbox),
            Input::Chosen(attempt, scheduler) => self.on_chosen(attempt, scheduler, outbox),
            Input::Order(order) => self.on_order(order, outbox),
        }
    }

    fn timers(&self) -> Vec<Timer> {
        let mut timers = Vec::new();
        for (id, request) in self.requests.iter() {
            timers.extend(request.awaited().into_iter().map(Timer::Resend));
            if self.retry_is_due(request) {
                timers.push(Timer::Retry(*id));
            }
            for number in request.open.keys() {
                if self.is_impatient(request, *number) {
                    timers.push(Timer::Impatience(AttemptId { request: *id, number: *number }));
                }
            }
        }
        timers
    }
}

//! Safety, judged at every step.

use super::{History, Rejected, SAFETY};
use crate::Amounts;
use crate::conductor::{Conductor, State};
use crate::message::{Body, Call, Delta, Letter, Notice, Output, Pick, Selected};
use crate::node::Node;
use crate::protocol::{Process, Seed};
use crate::shared::Scheduler;
use counterfoil_properties::{Violation, path};
use counterfoil_protocol::{Actor, NodeId, RequestId, SchedulerId, Set};
use counterfoil_world::protocol::{Event, Observed, Protocol};

/// What comes of judging a property: nothing if there is nothing to judge.
type Judged = Option<Result<(), Violation>>;

/// Judges every property, in the order of [`SAFETY`].
pub(super) fn judge(step: &Observed<'_, Seed>, history: &History) -> [Judged; SAFETY.len()] {
    let seen = Seen::of(step);
    [
        seen.no_overcommit(),
        seen.one_placement_per_request(history),
        seen.counts_once(),
        seen.no_exception(),
        seen.no_claim_to_unavailable(history),
        seen.no_claim_against_known_refusal(history),
        seen.verdicts_are_true(),
        seen.answers_are_true(history),
        seen.known_losses_are_mended(history),
    ]
}

/// The decisions among what was said.
pub(super) fn notices(outputs: &[Output]) -> impl Iterator<Item = Notice> {
    outputs.iter().filter_map(|output| match output {
        Output::Notice(notice) => Some(*notice),
        Output::Send(_)
        | Output::Post(..)
        | Output::Choose(_)
        | Output::Instance(..)
        | Output::Capacity(_)
        | Output::SetTimer(_)
        | Output::Raise(_) => None,
    })
}

/// A step, by what the properties ask of it.
struct Seen<'a> {
    step: &'a Observed<'a, Seed>,
    actor: Actor,
}

/// A host that a scheduler selects in a step.
struct Placed<'a> {
    scheduler: SchedulerId,
    node: NodeId,
    call: &'a Call,
}

impl<'a> Seen<'a> {
    fn of(step: &'a Observed<'a, Seed>) -> Self {
        Seen { step, actor: Seed::address(step.after).actor }
    }

    fn node(&self) -> Option<(Option<&'a Node>, &'a Node)> {
        let Process::Node(after) = self.step.after else { return None };
        let before = self.step.before.and_then(|process| match process {
            Process::Node(node) => Some(node),
            Process::Shared(_)
            | Process::Reader(_)
            | Process::Writer(_)
            | Process::Conductor(_) => None,
        });
        Some((before, after))
    }

    /// A scheduler that shares state, and what it was.
    fn shared(&self) -> Option<(&'a Scheduler, &'a Scheduler)> {
        match (self.step.before, self.step.after) {
            (Some(Process::Shared(before)), Process::Shared(after)) => Some((before, after)),
            (_, _) => None,
        }
    }

    fn conductor(&self) -> Option<(&'a Conductor, &'a Conductor)> {
        match (self.step.before, self.step.after) {
            (Some(Process::Conductor(before)), Process::Conductor(after)) => Some((before, after)),
            (_, _) => None,
        }
    }

    fn has(&self, notice: Notice) -> bool {
        notices(self.step.outputs).any(|other| other == notice)
    }

    /// The delta that arrives at a scheduler that shares state.
    fn delta(&self) -> Option<(NodeId, &'a Delta)> {
        match self.step.event {
            Some(Event::Datagram(datagram)) => match (datagram.src, &datagram.body) {
                (Actor::Node(node), Body::Delta { delta, .. }) => Some((node, delta)),
                (_, _) => None,
            },
            Some(_) | None => None,
        }
    }

    fn picked(&self) -> Option<(SchedulerId, &'a Call, Option<NodeId>)> {
        match (self.actor, self.step.event) {
            (Actor::Scheduler(scheduler), Some(Event::Picked(Pick::Host(call, node)))) => {
                Some((scheduler, call, *node))
            }
            (_, _) => None,
        }
    }

    fn placed(&self) -> Option<Placed<'a>> {
        let (scheduler, call, node) = self.picked()?;
        Some(Placed { scheduler, node: node?, call })
    }

    fn no_overcommit(&self) -> Judged {
        if let Some((before, after)) = self.node() {
            let new = |instance: &&RequestId| {
                !before.is_some_and(|before| before.instances.contains_key(*instance))
            };
            let accepted = *after.instances.keys().find(new).filter(|_| before.is_some())?;
            // Where the database has the last word, the node is not asked.
            if self.asks_the_database() {
                return None;
            }
            let host = after.host_use();
            let place = |field: &str| path(self.actor, &[&field]);
            return Some(within(accepted, &host.used, &host.capacity, place));
        }
        let (before, after) = self.conductor()?;
        let (node, row) = after.hosts.iter().find(|(node, row)| {
            let was = before.hosts.get(*node).map(|row| row.host.used.clone());
            was.is_some_and(|was| was != row.host.used && was.is_within(&row.host.used))
        })?;
        let (instance, _) = after.allocations.iter().find(|(instance, of)| {
            of.contains_key(node)
                && !before.allocations.get(*instance).is_some_and(|of| of.contains_key(node))
        })?;
        let place = |field: &str| path(self.actor, &[&"hosts", node, &"host", &field]);
        Some(within(*instance, &row.host.used, &row.host.capacity, place))
    }

    fn asks_the_database(&self) -> bool {
        let body = match self.step.event {
            Some(Event::Datagram(datagram)) => &datagram.body,
            Some(_) | None => return false,
        };
        matches!(body, Body::Build(build) if build.limits.is_none())
    }

    fn one_placement_per_request(&self, history: &History) -> Judged {
        let (before, after) = self.node()?;
        let before = before?;
        let instance =
            after.instances.keys().find(|instance| !before.instances.contains_key(*instance))?;
        let other = history.runs.get(instance)?.iter().find(|node| **node != after.id);
        Some(match other {
            None => Ok(()),
            Some(other) => {
                let clause = format!("{instance} runs on {} only, and runs on {other}", after.id);
                let place = path(self.actor, &[&"instances", instance]);
                Err(Violation::new(clause).fact("instance", instance, place))
            }
        })
    }

    fn counts_once(&self) -> Judged {
        let (Some(before), after) = self.node()? else { return None };
        if !self.has(Notice::Accepted) {
            return None;
        }
        let (was, is) = (before.published.as_ref()?, after.published.as_ref()?);
        let said = is.used.minus(&was.used);
        let real = after.host_use().used.minus(&before.host_use().used);
        if said == real {
            return Some(Ok(()));
        }
        let clause = format!("what is published as used grows by {real:?}, and grows by {said:?}");
        let violation = Violation::new(clause)
            .fact("published", &is.used, path(self.actor, &[&"published", &"used"]))
            .fact("instances", &after.instances, path(self.actor, &[&"instances"]));
        Some(Err(violation))
    }

    fn no_exception(&self) -> Judged {
        let raised = self.step.outputs.iter().find_map(|output| match output {
            Output::Raise(exception) => Some(exception),
            Output::Send(_)
            | Output::Post(..)
            | Output::Choose(_)
            | Output::Instance(..)
            | Output::Capacity(_)
            | Output::SetTimer(_)
            | Output::Notice(_) => None,
        });
        let Some(raised) = raised else { return Some(Ok(())) };
        let from = match self.step.event {
            Some(Event::Datagram(datagram)) => match datagram.src {
                Actor::Node(node) => path(self.actor, &[&"nodes", &node, &"window"]),
                Actor::Scheduler(_) | Actor::Client(_) => Vec::new(),
            },
            Some(_) | None => Vec::new(),
        };
        let clause = format!("nothing escapes, and {raised:?} does");
        Some(Err(Violation::new(clause).fact("exception", raised, from)))
    }

    fn no_claim_to_unavailable(&self, history: &History) -> Judged {
        let Placed { scheduler, node, call } = self.placed()?;
        let told = history.unavailable.get(&scheduler);
        if !told.is_some_and(|nodes| nodes.contains(&node)) {
            return Some(Ok(()));
        }
        let instance = call.instance;
        let clause = format!(
            "{node} was not in service when {scheduler} last read, and {instance} goes there"
        );
        let place = path(self.actor, &[&"nodes", &node, &"peer", &"mode"]);
        Some(Err(Violation::new(clause).fact("node", node, place)))
    }

    fn no_claim_against_known_refusal(&self, history: &History) -> Judged {
        let Placed { scheduler, node, call } = self.placed()?;
        let rejected = history.rejected.get(&(scheduler, node))?;
        let (before, _) = self.shared()?;
        let used = &before.nodes.get(&node)?.view.as_ref()?.used;
        if rejected.used != *used || !rejected.amounts.is_within(&call.amounts) {
            return Some(Ok(()));
        }
        let clause = format!(
            "{node} rejected {:?} of {scheduler}, whose view is the same, and {} goes there",
            rejected.amounts, call.instance
        );
        let place = path(self.actor, &[&"nodes", &node, &"view", &"used"]);
        Some(Err(Violation::new(clause).fact("used", used, place)))
    }

    fn verdicts_are_true(&self) -> Judged {
        let (before, after) = self.shared()?;
        let (node, delta) = self.delta()?;
        let (was, is) = (before.nodes.get(&node)?, after.nodes.get(&node)?);
        let own = delta.replies.iter().filter(|reply| reply.origin == after.id);
        let mut ended = own.filter_map(|reply| {
            let claim = was.claim(reply.number)?;
            is.claim(reply.number).is_none().then_some((reply, claim))
        });
        let judge = |(reply, claim): (&crate::message::Reply, &crate::message::Claim)| {
            if reply.instance == claim.instance {
                return Ok(());
            }
            let (number, of, to) = (claim.number, claim.instance, reply.instance);
            let clause = format!("claim {number} is for {of}, and a reply for {to} ends it");
            let place = path(self.actor, &[&"nodes", &node, &"young", &number, &"instance"]);
            Err(Violation::new(clause).fact("instance", of, place))
        };
        let first = judge(ended.next()?);
        Some(ended.map(judge).fold(first, Result::and))
    }

    fn answers_are_true(&self, history: &History) -> Judged {
        let (scheduler, call, None) = self.picked()? else { return None };
        let mut judged = false;
        for Known { node, used, capacity, own } in hosts(self.step.before?) {
            if call.tried.contains(&node) {
                continue;
            }
            judged = true;
            let Some(dead) = history.dead.get(&(scheduler, node)) else { continue };
            let nobody = own.iter().filter(|(instance, _)| dead.contains(instance));
            let hidden = Amounts::sum(nobody.map(|(_, amounts)| amounts));
            let without = used.minus(&hidden).plus(&call.amounts);
            if !hidden.is_nothing() && without.is_within(&capacity) {
                let instance = call.instance;
                let clause = format!(
                    "there is room for {instance} on {node} but for {hidden:?} that {scheduler} sets \
                     aside for instances that nobody builds, and the answer is no valid host"
                );
                let place = path(self.actor, &[&"nodes", &node]);
                return Some(Err(Violation::new(clause).fact("hidden", hidden, place)));
            }
        }
        judged.then_some(Ok(()))
    }

    fn known_losses_are_mended(&self, history: &History) -> Judged {
        if let Some(Placed { scheduler, node, call }) = self.placed() {
            if !history.lost.contains(&(scheduler, node)) {
                return Some(Ok(()));
            }
            let clause = format!(
                "{scheduler} knows that its view of {node} is wrong, and {} goes there",
                call.instance
            );
            let place = path(self.actor, &[&"nodes", &node, &"window"]);
            return Some(Err(Violation::new(clause).fact("node", node, place)));
        }
        let (_, after) = self.shared()?;
        let (node, delta) = self.delta()?;
        let remote = after.nodes.get(&node)?;
        if !self.has(Notice::VersionDiffers) || !remote.window.missing.is_empty() {
            return None;
        }
        let asks = |output: &Output| matches!(output, Output::Send(datagram) if matches!(datagram.body, Body::Report(_)));
        if remote.peer.fallen || self.step.outputs.iter().any(asks) {
            return Some(Ok(()));
        }
        let expected = delta.update.as_ref()?.expects?;
        let version = remote.view.as_ref()?.version;
        let clause = format!(
            "no message is missing, the version of {node} is {expected} and that of the view \
             {version}, and {} does not ask for the state",
            after.id
        );
        let place = path(self.actor, &[&"nodes", &node, &"view", &"version"]);
        Some(Err(Violation::new(clause).fact("version", version, place)))
    }
}

/// What a scheduler knows of a host that it may select.
struct Known {
    node: NodeId,
    used: Amounts,
    capacity: Amounts,
    /// What of that it has set aside itself, and for what.
    own: Vec<(RequestId, Amounts)>,
}

/// What a scheduler knows of every host that it may select.
fn hosts(process: &Process) -> Vec<Known> {
    match process {
        Process::Shared(scheduler) => {
            let active = scheduler.nodes.iter().filter(|(_, remote)| remote.peer.is_active());
            let known = active.filter_map(|(node, remote)| {
                let view = remote.view.clone()?;
                let own = remote.claims().map(|of| (of.instance, of.amounts.clone())).collect();
                Some(Known { node: *node, used: view.used, capacity: view.capacity, own })
            });
            known.collect()
        }
        Process::Reader(scheduler) => {
            let up = scheduler.hosts.iter().filter(|(_, entry)| entry.row.up);
            let known = up.map(|(node, entry)| {
                let capacity = entry.row.host.capacity.clone();
                let own = entry.placed.iter().map(|(id, of)| (*id, of.clone())).collect();
                Known { node: *node, used: entry.used(), capacity, own }
            });
            known.collect()
        }
        Process::Writer(_) | Process::Node(_) | Process::Conductor(_) => Vec::new(),
    }
}

/// Whether no more is used than may be.
fn within(
    instance: RequestId,
    used: &Amounts,
    capacity: &Amounts,
    place: impl Fn(&str) -> Vec<String>,
) -> Result<(), Violation> {
    if used.is_within(capacity) {
        return Ok(());
    }
    let clause = format!("with {instance} used {used:?} is within capacity {capacity:?}");
    let violation = Violation::new(clause).fact("used", used, Vec::new());
    Err(violation.fact("capacity", capacity, place("capacity")))
}

/// Takes note of a step.
pub(super) fn note(step: &Observed<'_, Seed>, history: &mut History) {
    let seen = Seen::of(step);
    if let Some((before, after)) = seen.node() {
        let was = before.map(|before| before.instances.clone()).unwrap_or_default();
        for instance in was.keys().filter(|instance| !after.instances.contains_key(*instance)) {
            let mut nodes = history.runs.get(instance).cloned().unwrap_or_default();
            nodes.remove(&after.id);
            history.runs.insert(*instance, nodes);
        }
        for instance in after.instances.keys().filter(|instance| !was.contains_key(*instance)) {
            history.runs.entry(*instance).or_default().insert(after.id);
        }
    }
    if let Some((before, after)) = seen.conductor() {
        note_dead(step, before, after, history);
    }
    if let Actor::Scheduler(scheduler) = seen.actor {
        note_read(step, scheduler, history);
    }
    if let Some((before, after)) = seen.shared() {
        note_shared(&seen, before, after, history);
    }
}

/// Notes what a conductor will not have built.
fn note_dead(
    step: &Observed<'_, Seed>,
    before: &Conductor,
    after: &Conductor,
    history: &mut History,
) {
    let mut dead = |scheduler, node, instance| {
        history.dead.entry((scheduler, node)).or_default().insert(instance);
    };
    if let Some(Event::Letter(
        Actor::Scheduler(scheduler),
        Letter::Selected(Selected { instance, host: Some(host), .. }),
    )) = step.event
    {
        let now = after.instances.get(instance).map(|instance| instance.state);
        if now != Some(State::Building(host.node, *scheduler)) || before == after {
            dead(*scheduler, host.node, *instance);
        }
    }
    if let Some(Event::Datagram(datagram)) = step.event
        && let Body::Reschedule(instance) = datagram.body
        && let Some(State::Building(node, scheduler)) =
            before.instances.get(&instance).map(|instance| instance.state)
    {
        dead(scheduler, node, instance);
    }
}

/// Notes which nodes were in service when a scheduler read.
fn note_read(step: &Observed<'_, Seed>, scheduler: SchedulerId, history: &mut History) {
    let (listed, all): (Set<NodeId>, Set<NodeId>) = match step.event {
        Some(Event::Letter(_, Letter::Nodes(nodes))) => {
            let known = match step.before {
                Some(Process::Shared(scheduler)) => scheduler.nodes.keys().copied().collect(),
                Some(_) | None => Set::default(),
            };
            (nodes.keys().copied().collect(), known)
        }
        Some(Event::Letter(_, Letter::Rows { rows, .. })) => {
            let up = rows.iter().filter(|(_, row)| row.up).map(|(node, _)| *node);
            (up.collect(), rows.keys().copied().collect())
        }
        Some(_) | None => return,
    };
    let unavailable: Set<NodeId> = all.iter().copied().filter(|n| !listed.contains(n)).collect();
    // One that was not listed once and is forgotten since stays so until it is listed.
    let before = history.unavailable.get(&scheduler).cloned().unwrap_or_default();
    let still = before.iter().copied().filter(|node| !listed.contains(node));
    let unavailable = unavailable.iter().copied().chain(still).collect();
    history.unavailable.insert(scheduler, unavailable);
}

/// Notes what a scheduler that shares state could tell of its views.
fn note_shared(seen: &Seen, before: &Scheduler, after: &Scheduler, history: &mut History) {
    let id = after.id;
    if let Some((node, delta)) = seen.delta() {
        if seen.has(Notice::MessagesLost) {
            history.lost.insert((id, node));
        }
        for reply in delta.replies.iter().filter(|reply| reply.origin == id && !reply.accepted) {
            let claim = before.nodes.get(&node).and_then(|remote| remote.claim(reply.number));
            let view = after.nodes.get(&node).and_then(|remote| remote.view.as_ref());
            if let (Some(claim), Some(view)) = (claim, view) {
                let (amounts, used) = (claim.amounts.clone(), view.used.clone());
                history.rejected.insert((id, node), Rejected { amounts, used });
            }
        }
    }
    if seen.has(Notice::StateTaken)
        && let Some(Event::Datagram(datagram)) = seen.step.event
        && let Actor::Node(node) = datagram.src
    {
        history.lost.remove(&(id, node));
        history.rejected.remove(&(id, node));
    }
}

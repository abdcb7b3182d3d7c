//! What the properties see of a step and of a state.

use super::input::stepped;
use super::{Counterfoil, Process, Question};
use crate::cluster::{Cluster, World};
use crate::protocol::{Coverage, Observed};
use crate::scenario::Lapses;
use crate::view::View;
use counterfoil_properties::{
    Check, History, Liveness, Safety, Snapshot, Step, Unmet, Violation, Witness,
};
use counterfoil_protocol::{Actor, Address, Body, Datagram, Notice, Output};

/// Takes note of a step and judges every safety property at it.
pub(super) fn observe(
    step: Observed<'_, Counterfoil>,
    cluster: &Cluster<Counterfoil>,
    history: &mut History,
    coverage: Option<&mut Coverage<Notice>>,
) -> Vec<(usize, Violation)> {
    let mut input = None;
    let step = Step { process: stepped(&step, &mut input), outputs: step.outputs };
    history.observe(&step);
    let mut violations = Vec::new();
    let mut premises = [false; Safety::ALL.len()];
    for (index, property) in Safety::ALL.into_iter().enumerate() {
        match property.check(&step, history) {
            Check::Vacuous => {}
            Check::Holds => premises[index] = true,
            Check::Violated(violation) => {
                premises[index] = true;
                violations.push((index, violation));
            }
        }
    }
    history.forget_settled(&step);
    if let Some(coverage) = coverage {
        cover(&step, cluster, &premises, coverage);
    }
    violations
}

/// Notes what a step covers.
fn cover(
    step: &Step<'_>,
    cluster: &Cluster<Counterfoil>,
    premises: &[bool],
    coverage: &mut Coverage<Notice>,
) {
    coverage.steps += 1;
    for (index, premise) in premises.iter().enumerate() {
        coverage.premises[index] += u64::from(*premise);
    }
    for output in step.outputs {
        if let Output::Notice(notice) = output {
            *coverage.arms.entry(*notice).or_default() += 1;
        }
    }
    let in_flight = || cluster.network.iter().map(|(datagram, _)| &**datagram).collect();
    let lives = |datagram: &Datagram| match &datagram.body {
        Body::Confirm(claim) => cluster.processes.contains_key(&Address {
            actor: Actor::Scheduler(claim.scheduler),
            incarnation: Some(claim.incarnation),
        }),
        Body::Claim(_)
        | Body::Verdict(_)
        | Body::Release(_)
        | Body::Delta(_)
        | Body::Snapshot(_)
        | Body::Resync(_)
        | Body::Leave(_)
        | Body::Superseded { .. } => true,
    };
    for witness in Witness::seen(step, in_flight, lives) {
        coverage.witnesses[witness as usize] += 1;
    }
}

/// What keeps a liveness property from being true now.
pub(super) fn goal<'a>(
    world: &World<Counterfoil>,
    view: &'a impl View<Counterfoil>,
    liveness: usize,
) -> Option<Unmet<'a>> {
    let liveness = Liveness::ALL[liveness];
    if is_out_of_bounds(world, liveness) {
        return None;
    }
    liveness.check(&of(view.processes().map(|(_, process)| process)))
}

/// Whether a liveness property is true now: by asking about processes one by one or in pairs, as
/// each of them speaks of no more at a time.
pub(super) fn is_reached(
    world: &World<Counterfoil>,
    view: &impl View<Counterfoil>,
    liveness: usize,
) -> bool {
    let liveness = Liveness::ALL[liveness];
    if is_out_of_bounds(world, liveness) {
        return true;
    }
    let all = |question: Question, one: fn(&Process) -> bool, other: fn(&Process) -> bool| {
        let question = question as u32;
        let ones = || view.processes().filter(move |(_, process)| one(process));
        let others = || view.processes().filter(move |(_, process)| other(process));
        ones().all(|(a, first)| {
            others().all(|(b, second)| {
                let now = || of([first, second].into_iter());
                view.ask(question, [a, b], || liveness.check(&now()).is_none())
            })
        })
    };
    let is_node = |process: &Process| matches!(process, Process::Node(_));
    let is_scheduler = |process: &Process| matches!(process, Process::Scheduler(_));
    let is_client = |process: &Process| matches!(process, Process::Client(_));
    match liveness {
        Liveness::Convergence => all(Question::Converged, is_scheduler, is_node),
        Liveness::EveryRequestEnds => view.processes().all(|(address, process)| {
            let now = || of(std::iter::once(process));
            view.ask(Question::Ended as u32, [address; 2], || liveness.check(&now()).is_none())
        }),
        // What one client wants may be what another does not.
        Liveness::NoLeak if view.processes().filter(|(_, p)| is_client(p)).count() > 1 => {
            goal(world, view, liveness as usize).is_none()
        }
        Liveness::NoLeak => all(Question::NoLeak, is_node, is_client),
    }
}

/// Where holds lapse only by a budget, one may be left over when it is used up.
fn is_out_of_bounds(world: &World<Counterfoil>, liveness: Liveness) -> bool {
    liveness == Liveness::NoLeak && world.scenario.lapses == Lapses::Budget
}

/// These processes, as liveness sees them.
fn of<'a>(processes: impl Iterator<Item = &'a Process>) -> Snapshot<'a> {
    let mut now = Snapshot { nodes: Vec::new(), schedulers: Vec::new(), clients: Vec::new() };
    for process in processes {
        match process {
            Process::Node(node) if !node.left => now.nodes.push(node),
            Process::Scheduler(scheduler) if !scheduler.stopped => now.schedulers.push(scheduler),
            Process::Client(client) => now.clients.push(client),
            Process::Node(_) | Process::Scheduler(_) => {}
        }
    }
    now
}

//! Drives the parts of a design: the same loops for all designs, whatever carries their messages.

use super::conductor::Conductor;
use super::tally::{Tally, Time, Witness};
use super::transport::Transport;
use crate::baselines::{
    Amounts, Change, End, Envelope, Event, Given, NodesPart, Outbox, PartError, SchedulerPart,
    now_ns,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// For how long a turn takes up attempts, at most: then what has arrived is taken in.
const TURN: Duration = Duration::from_micros(100);

/// How long one waits for anything at most before one looks whether to stop.
const LOOK: Duration = Duration::from_millis(10);

/// Changes of a node that are remembered. What is further behind counts as behind by the oldest.
const CHANGES_MAX: usize = 256;

/// When parts begin and stop.
#[derive(Debug, Default)]
pub struct Control {
    ready: AtomicU32,
    go: AtomicBool,
    stop: AtomicBool,
}

impl Control {
    /// A scheduler knows all nodes.
    pub(super) fn say_ready(&self) {
        self.ready.fetch_add(1, Ordering::SeqCst);
    }

    /// How many schedulers know all nodes.
    pub fn ready(&self) -> u32 {
        self.ready.load(Ordering::SeqCst)
    }

    /// The run begins.
    pub fn go(&self) {
        self.go.store(true, Ordering::SeqCst);
    }

    /// Whether it has begun.
    pub fn goes(&self) -> bool {
        self.go.load(Ordering::SeqCst)
    }

    /// The run is over.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Whether it is over.
    pub fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Runs a scheduler until every request of its conductor has ended, or it is told to stop.
///
/// # Errors
/// If the part or the transport cannot go on.
pub fn run_scheduler(
    part: &mut dyn SchedulerPart,
    transport: &mut dyn Transport,
    mut conductor: Conductor,
    control: &Control,
) -> Result<Tally, PartError> {
    let mut out = Outbox::default();
    let mut arrived = Vec::new();
    part.begin(&mut out)?;
    let (mut knows_all, mut going) = (false, None);
    let (mut idle, mut before) = (Duration::ZERO, transport.traffic());
    loop {
        let is_done = going.is_some() && conductor.is_done();
        if is_done || control.stops() {
            break;
        }
        let now = Instant::now();
        if !knows_all && part.knows_all() {
            knows_all = true;
            control.say_ready();
        }
        if going.is_none() && control.goes() {
            conductor.begin();
            before = transport.traffic();
            (going, idle, out.spent) = (Some(now), Duration::ZERO, Default::default());
        }
        // News before decisions, as in the service: what is decided is decided by all that has arrived.
        for Envelope { from, message, .. } in arrived.drain(..) {
            if let End::Node(from) = from {
                part.hear(from, message, &mut out)?;
            }
        }
        tell(&mut out.events, &mut conductor);
        let mut more = false;
        while going.is_some() {
            let Some(ask) = conductor.next(now) else { break };
            part.ask(ask, &mut out)?;
            tell(&mut out.events, &mut conductor);
            more = now.elapsed() > TURN;
            if more {
                break;
            }
        }
        part.turn(now, &mut out)?;
        let told = !out.events.is_empty();
        tell(&mut out.events, &mut conductor);
        transport.send(&mut out.envelopes)?;
        let waits = Instant::now();
        let own = part.deadline().into_iter().chain(conductor.deadline());
        let until = own.fold(waits + LOOK, Instant::min);
        transport.receive((!more && !told).then_some(until), &mut arrived)?;
        idle += waits.elapsed();
    }
    conductor.cut();
    let tally = conductor.tally();
    let all = going.map_or(Duration::ZERO, |began| began.elapsed());
    tally.time = Time { spent: out.spent, idle, all };
    tally.traffic = transport.traffic().since(&before);
    tally.errors = out.errors;
    Ok(conductor.into_tally())
}

fn tell(events: &mut Vec<Event>, conductor: &mut Conductor) {
    events.drain(..).for_each(|event| conductor.on_event(event));
}

/// Runs all nodes until they are told to stop.
///
/// # Errors
/// If the part or the transport cannot go on.
pub fn run_nodes(
    part: &mut dyn NodesPart,
    transport: &mut dyn Transport,
    (given, schedulers): (&[Given], u32),
    control: &Control,
) -> Result<Witness, PartError> {
    let mut out = Outbox::default();
    let mut arrived: Vec<Envelope> = Vec::new();
    let mut changes = vec![VecDeque::new(); given.len()];
    let mut witness = Witness::default();
    part.begin(schedulers, &mut out)?;
    let (mut going, mut idle, mut before) = (None, Duration::ZERO, transport.traffic());
    while !control.stops() {
        let now = Instant::now();
        if going.is_none() && control.goes() {
            before = transport.traffic();
            (going, idle, out.spent) = (Some(now), Duration::ZERO, Default::default());
        }
        let now_ns = now_ns();
        for Envelope { from, to, sent_ns, knew, message } in arrived.drain(..) {
            let (End::Scheduler(from), End::Node(node)) = (from, to) else { continue };
            if going.is_some() {
                let on_the_way = Duration::from_nanos(now_ns.saturating_sub(sent_ns));
                witness.on_the_way.note(on_the_way);
            }
            if let Some(knew) = knew {
                let stale = stale(&changes[node as usize - 1], from, knew.changes, knew.at_ns);
                witness.stale += u64::from(!stale.is_zero());
                witness.staleness.note(stale);
            }
            part.hear(node, from, message, &mut out)?;
            remember(&mut out.changes, &mut changes);
        }
        part.turn(now, &mut out)?;
        remember(&mut out.changes, &mut changes);
        transport.send(&mut out.envelopes)?;
        let waits = Instant::now();
        let until = part.deadline().into_iter().fold(waits + LOOK, Instant::min);
        transport.receive(Some(until), &mut arrived)?;
        idle += waits.elapsed();
    }
    let all = going.map_or(Duration::ZERO, |began| began.elapsed());
    witness.time = Time { spent: out.spent, idle, all };
    witness.traffic = transport.traffic().since(&before);
    judge(&part.used(), given, &mut witness);
    Ok(witness)
}

/// What is allocated, in the end.
pub fn judge(used: &[Amounts], given: &[Given], witness: &mut Witness) {
    for (used, given) in used.iter().zip(given) {
        witness.overcommitted += u64::from(!given.capacity().has(*used));
        witness.memory_mib += used.memory_mib();
    }
}

/// A change of a node: its number, whose claim made it, and when, in nanoseconds.
type Remembered = (u64, u32, u64);

fn remember(changed: &mut Vec<Change>, changes: &mut [VecDeque<Remembered>]) {
    for Change { node, count, by } in changed.drain(..) {
        let of_node = &mut changes[node as usize - 1];
        if of_node.len() == CHANGES_MAX {
            of_node.pop_front();
        }
        of_node.push_back((count, by, now_ns()));
    }
}

/// For how long, at `at_ns`, a view with so many changes had been out of date: since the first other
/// change that was not a claim of the viewer.
fn stale(changes: &VecDeque<Remembered>, viewer: u32, known: u64, at_ns: u64) -> Duration {
    let unknown = changes.partition_point(|(count, ..)| *count <= known);
    let others = changes.range(unknown..).find(|(_, by, _)| *by != viewer);
    let since_ns = others.map_or(at_ns, |(.., since_ns)| *since_ns);
    Duration::from_nanos(at_ns.saturating_sub(since_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_stale_since_the_first_unknown_change_of_another() {
        let changes = VecDeque::from([(1, 2, 10), (2, 1, 20), (3, 2, 30), (4, 2, 40)]);
        let stale = |viewer, known, at_ns| stale(&changes, viewer, known, at_ns).as_nanos();
        assert_eq!(stale(1, 4, 50), 0, "it knows all");
        assert_eq!(stale(1, 3, 50), 10);
        assert_eq!(stale(1, 1, 50), 20, "change 2 was its own");
        assert_eq!(stale(2, 1, 50), 30);
        assert_eq!(stale(1, 1, 25), 0, "it chose before the change");
    }
}

//! The runtime of stateright, `actor::spawn`, with an equivalent exchange and nothing else: a claim
//! goes one way, its verdict the other, both in the form that the service gives them.
//!
//! It never ends by itself, so it runs in a process of its own.

use crate::Figures;
use counterfoil_protocol::{
    Actor, Address, Body, Claim, ClaimId, ClaimNumber, Datagram, Decision, Demand, Incarnation,
    NodeId, RequestId, ResourceClass, SchedulerId, Stamp, Verdict, Version,
};
use counterfoil_service::wire::{Message, decode_message, encode_message};
use stateright::actor::{self, Id, Out};
use std::borrow::Cow;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How much longer than it was told to a process may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Claims that wait for their verdict at once.
const WINDOW: u64 = 256;

/// Begins the exchange, or answers.
#[derive(Clone)]
enum End {
    Claims { of: Id, time: Duration },
    Answers,
}

/// What one end has seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    verdicts: u64,
    /// How many there were when the timer fired last.
    before: u64,
    until: Option<Instant>,
    start: Option<Instant>,
}

fn address(actor: Actor) -> Address {
    Address { actor, incarnation: Some(Incarnation(1)) }
}

fn id(number: u64) -> ClaimId {
    ClaimId {
        scheduler: SchedulerId(1),
        incarnation: Incarnation(1),
        node: NodeId(1),
        number: ClaimNumber(number),
    }
}

/// A claim as the load of the benchmark makes it.
pub fn claim(number: u64) -> Datagram {
    let resources = [(ResourceClass::Vcpu, 1), (ResourceClass::MemoryMb, 512)];
    let demand = Demand { resources: resources.into_iter().collect(), ..Demand::default() };
    let (request, floor) = (RequestId(number), ClaimNumber(number.saturating_sub(9)));
    Datagram {
        src: address(Actor::Scheduler(SchedulerId(1))),
        dst: address(Actor::Node(NodeId(1))),
        body: Body::Claim(Claim { claim: id(number), request, demand: demand.into(), floor }),
    }
}

/// A verdict as nodes give it.
pub fn verdict(number: u64) -> Datagram {
    let at = Stamp { incarnation: Incarnation(1), version: Version(number) };
    Datagram {
        src: address(Actor::Node(NodeId(1))),
        dst: address(Actor::Scheduler(SchedulerId(1))),
        body: Body::Verdict(Verdict { claim: id(number), decision: Decision::Granted { at } }),
    }
}

/// The length of the form of a datagram, in bytes.
pub fn bytes(datagram: Datagram) -> usize {
    let mut bytes = Vec::new();
    encode_message(&Message::Datagram(datagram), &mut bytes).expect("it is short")
}

impl actor::Actor for End {
    type Msg = Datagram;
    type State = Seen;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> Seen {
        match self {
            End::Claims { of, time } => {
                for number in 0..WINDOW {
                    out.send(*of, claim(number));
                }
                out.set_timer((), AGAIN..AGAIN);
                let now = Instant::now();
                Seen { verdicts: 0, before: 0, start: Some(now), until: Some(now + *time) }
            }
            End::Answers => Seen { verdicts: 0, before: 0, start: None, until: None },
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, Seen>, (): &(), out: &mut Out<Self>) {
        let seen = state.to_mut();
        if let End::Claims { of, .. } = self {
            if seen.verdicts == seen.before {
                (0..WINDOW).for_each(|number| out.send(*of, claim(number)));
            }
            seen.before = seen.verdicts;
            out.set_timer((), AGAIN..AGAIN);
        }
    }

    fn on_msg(
        &self,
        _: Id,
        state: &mut Cow<'_, Seen>,
        src: Id,
        msg: Datagram,
        out: &mut Out<Self>,
    ) {
        let seen = state.to_mut();
        seen.verdicts += 1;
        match self {
            End::Answers => out.send(src, verdict(seen.verdicts)),
            End::Claims { of, .. } => {
                let _ = std::hint::black_box(msg);
                out.send(*of, claim(WINDOW + seen.verdicts));
                if seen.until.is_some_and(|until| Instant::now() >= until) {
                    let time = seen.start.expect("it began").elapsed();
                    println!("{} {}", seen.verdicts, time.as_nanos());
                    std::process::exit(0);
                }
            }
        }
    }
}

/// After so long without a verdict all is asked again: what was sent before the other end listened is
/// lost.
const AGAIN: Duration = Duration::from_millis(50);

fn form(datagram: &Datagram) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let message = Message::Datagram(datagram.clone());
    encode_message(&message, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn meaning(bytes: &[u8]) -> Result<Datagram, String> {
    let form = bytes.get(1..).unwrap_or_default();
    match decode_message(form).map_err(|error| error.to_string())? {
        Message::Datagram(datagram) => Ok(datagram),
        other @ (Message::Peers(_)
        | Message::WhoIsThere { .. }
        | Message::Order(..)
        | Message::Ordered(_)
        | Message::Look(_)
        | Message::Seen(..)) => Err(format!("{other:?}")),
    }
}

/// Exchanges claims and verdicts for `time`, prints how many and in how many nanoseconds, and exits.
pub fn serve(time: Duration) -> ExitCode {
    let free = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok::<_, std::io::Error>(socket.local_addr()?.port())
    };
    let (Ok(one), Ok(two)) = (free(), free()) else { return ExitCode::from(3) };
    let id = |port| Id::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let ends = vec![(id(two), End::Answers), (id(one), End::Claims { of: id(two), time })];
    let nothing = |_: &()| Ok(Vec::new());
    let none = |_: &[u8]| Err("nothing is stored".to_owned());
    let _ = actor::spawn(form, meaning, nothing, none, ends);
    ExitCode::from(3)
}

/// Round trips per second of [`serve`], in a process of its own, started by `again`.
///
/// # Errors
/// If the process does not say how many.
pub fn round_trips_per_s(mut again: Command, time: Duration) -> std::io::Result<Figures> {
    let mut child = again.stdout(Stdio::piped()).spawn()?;
    let until = Instant::now() + time + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::other("stateright's runtime did not come to an end"));
        }
        std::thread::sleep(AGAIN);
    }
    let mut text = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut text)?;
    let parse = || {
        let (count, nanos) = text.trim().split_once(' ')?;
        let time = Duration::from_nanos(nanos.parse().ok()?);
        Some(Figures { count: count.parse().ok()?, time })
    };
    parse().ok_or_else(|| std::io::Error::other(format!("stateright's runtime said {text:?}")))
}

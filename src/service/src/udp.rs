//! The UDP socket of a node or scheduler.

use crate::wire::{DATAGRAM_MAX, DecodeError, decode_datagram, encode_datagram};
use counterfoil_protocol::Datagram;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    /// It has no meaning.
    Undecodable(DecodeError),
    /// It is from or for someone whom this process does not know.
    Stranger,
    /// It says what its sender may not have passed on.
    NotToBePassedOn,
    /// It would be too long.
    TooLong,
    /// The system did not take it.
    NotSent,
}

impl Drop {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Drop::Undecodable(DecodeError::NotOurs) => "not_ours",
            Drop::Undecodable(DecodeError::Version(_)) => "version",
            Drop::Undecodable(DecodeError::Truncated) => "truncated",
            Drop::Undecodable(DecodeError::Malformed) => "malformed",
            Drop::Undecodable(DecodeError::TooLong(_)) => "too_long",
            Drop::Undecodable(DecodeError::Limit(_)) => "limit",
            Drop::Stranger => "stranger",
            Drop::NotToBePassedOn => "not_to_be_passed_on",
            Drop::TooLong => "too_long_to_send",
            Drop::NotSent => "not_sent",
        }
    }
}

/// How many datagrams were dropped, by why.
#[derive(Clone, Debug, Default)]
pub struct Dropped(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Dropped {
    /// One more.
    pub fn note(&self, why: Drop) {
        tracing::debug!(why = why.name(), "dropped a datagram");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(why.name()).or_default() += 1;
    }

    /// Logs the counts: one event for each reason that there was.
    pub fn report(&self) {
        for (why, count) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            tracing::info!(why, count, "datagrams dropped");
        }
    }
}

/// What the reading thread of a socket has to say.
#[derive(Debug)]
pub enum Arrival {
    /// A datagram, and where it came from.
    Datagram(Box<Datagram>, SocketAddr),
    /// The socket broke; nothing more will arrive.
    Broken(io::Error),
}

/// A UDP socket, with a thread that reads from it.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    dropped: Dropped,
}

impl Udp {
    /// Listens at `address`, and hands everything that arrives to `deliver`, on a thread of its
    /// own, until that breaks.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn listen(
        address: SocketAddr,
        dropped: Dropped,
        deliver: impl FnMut(Arrival) -> ControlFlow<()> + Send + 'static,
    ) -> io::Result<Udp> {
        let socket = UdpSocket::bind(address)?;
        let (reader, counts) = (socket.try_clone()?, dropped.clone());
        thread::Builder::new()
            .name("udp".to_owned())
            .spawn(move || read(&reader, &counts, deliver))?;
        Ok(Udp { socket, dropped })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends `datagram` to `address`; it may be lost.
    pub fn send(&self, datagram: &Datagram, address: Option<SocketAddr>) {
        let Some(address) = address else { return self.dropped.note(Drop::Stranger) };
        match encode_datagram(datagram) {
            Ok(bytes) => {
                if self.socket.send_to(&bytes, address).is_err() {
                    self.dropped.note(Drop::NotSent);
                }
            }
            Err(too_long) => {
                tracing::warn!(%too_long, dst = %datagram.dst, "datagram not sent");
                self.dropped.note(Drop::TooLong);
            }
        }
    }

    /// The counts of what was dropped.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }
}

fn read(
    socket: &UdpSocket,
    dropped: &Dropped,
    mut deliver: impl FnMut(Arrival) -> ControlFlow<()>,
) {
    // One byte more than is allowed, so that a longer datagram shows.
    let mut buffer = [0; DATAGRAM_MAX + 1];
    loop {
        let arrival = match socket.recv_from(&mut buffer) {
            Ok((length, from)) => match decode_datagram(&buffer[..length]) {
                Ok(datagram) => Arrival::Datagram(Box::new(datagram), from),
                Err(error) => {
                    dropped.note(Drop::Undecodable(error));
                    continue;
                }
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Arrival::Broken(error),
        };
        let broken = matches!(arrival, Arrival::Broken(_));
        if deliver(arrival).is_break() || broken {
            return;
        }
    }
}

//! What carries messages: queues between threads, or sockets between processes.

use super::tally::Traffic;
use crate::baselines::{End, Envelope, now_ns};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What carries the messages of one part.
pub trait Transport: Send {
    /// Takes in what has arrived; if that is nothing, waits for it until then.
    ///
    /// # Errors
    /// If nothing can arrive any more.
    fn receive(&mut self, until: Option<Instant>, into: &mut Vec<Envelope>) -> io::Result<()>;

    /// Sends all of these.
    ///
    /// # Errors
    /// If nothing can be sent.
    fn send(&mut self, envelopes: &mut Vec<Envelope>) -> io::Result<()>;

    /// What was sent so far.
    fn traffic(&self) -> Traffic;
}

/// The parts of a cluster: all nodes are together in the first, and every scheduler is one.
fn part(end: End) -> usize {
    match end {
        End::Node(_) => 0,
        End::Scheduler(id) => id as usize,
    }
}

/// Queues between the threads of one process. What a turn has for one part goes in one piece.
#[derive(Debug)]
pub struct Queues {
    arrives: Receiver<Vec<Envelope>>,
    leaves: Vec<Sender<Vec<Envelope>>>,
    bundles: Vec<Vec<Envelope>>,
    traffic: Traffic,
}

impl Queues {
    /// Queues for the nodes and so many schedulers, in this order.
    pub fn between(schedulers: u32) -> Vec<Queues> {
        let (leaves, arrives): (Vec<_>, Vec<_>) = (0..=schedulers).map(|_| channel()).unzip();
        let queues = |arrives| Queues {
            arrives,
            leaves: leaves.clone(),
            bundles: vec![Vec::new(); leaves.len()],
            traffic: Traffic::default(),
        };
        arrives.into_iter().map(queues).collect()
    }
}

impl Transport for Queues {
    fn receive(&mut self, until: Option<Instant>, into: &mut Vec<Envelope>) -> io::Result<()> {
        loop {
            while let Ok(mut bundle) = self.arrives.try_recv() {
                into.append(&mut bundle);
            }
            let Some(wait) = until.map(|at| at.saturating_duration_since(Instant::now())) else {
                return Ok(());
            };
            if !into.is_empty() || wait.is_zero() {
                return Ok(());
            }
            match self.arrives.recv_timeout(wait) {
                Ok(mut bundle) => into.append(&mut bundle),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::ErrorKind::NotConnected.into());
                }
            }
        }
    }

    fn send(&mut self, envelopes: &mut Vec<Envelope>) -> io::Result<()> {
        let sent_ns = now_ns();
        self.traffic.messages += envelopes.len() as u64;
        for mut envelope in envelopes.drain(..) {
            envelope.sent_ns = sent_ns;
            self.bundles[part(envelope.to)].push(envelope);
        }
        for (bundle, leaves) in self.bundles.iter_mut().zip(&self.leaves) {
            if !bundle.is_empty() {
                self.traffic.packets += 1;
                // A part that is done hears no more.
                let _ = leaves.send(std::mem::take(bundle));
            }
        }
        Ok(())
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

/// Packets are filled up to so many bytes, as the service's; a larger message goes alone.
const PACKET_MAX: usize = counterfoil_service::packet::PACKET_MAX;

/// The largest packet that loopback carries, in bytes.
const LARGEST: usize = 65_507;

/// What a socket says when there is nothing to take in, no room, or nobody at the other end.
const NOTHING: [io::ErrorKind; 4] = [
    io::ErrorKind::WouldBlock,
    io::ErrorKind::TimedOut,
    io::ErrorKind::Interrupted,
    io::ErrorKind::ConnectionRefused,
];

/// Packets that are taken in before anything is done with them, at most.
const PACKETS_MAX: usize = 256;

/// Sockets on loopback. What a turn has for one part goes in as few packets as it fits.
#[derive(Debug)]
pub struct Socket {
    socket: UdpSocket,
    /// Where each part listens: the nodes, then the schedulers.
    parts: Vec<SocketAddr>,
    packets: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    traffic: Traffic,
}

impl Socket {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bind() -> io::Result<Socket> {
        let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        // Room for what comes while others have the processor.
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20)?;
        let buffer = vec![0; LARGEST];
        let (parts, packets) = (Vec::new(), Vec::new());
        Ok(Socket { socket, parts, packets, buffer, traffic: Traffic::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Others listen here: the nodes, then the schedulers.
    pub fn meet(&mut self, parts: Vec<SocketAddr>) {
        self.packets = vec![Vec::new(); parts.len()];
        self.parts = parts;
    }

    /// Takes one packet, if there is one in time.
    fn take(&mut self, into: &mut Vec<Envelope>) -> io::Result<bool> {
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => {
                let mut rest = &self.buffer[..length];
                while !rest.is_empty() {
                    let (envelope, after) =
                        postcard::take_from_bytes(rest).map_err(io::Error::other)?;
                    into.push(envelope);
                    rest = after;
                }
                Ok(true)
            }
            Err(error) if NOTHING.contains(&error.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self, part: usize) -> io::Result<()> {
        let packet = &mut self.packets[part];
        if packet.is_empty() {
            return Ok(());
        }
        self.traffic.packets += 1;
        self.traffic.bytes += packet.len() as u64;
        let sent = self.socket.send_to(packet, self.parts[part]);
        packet.clear();
        match sent {
            // Who is done hears no more; and what there is no room for is lost, as any packet may be.
            Err(error) if !NOTHING.contains(&error.kind()) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl Transport for Socket {
    fn receive(&mut self, until: Option<Instant>, into: &mut Vec<Envelope>) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        for _ in 0..PACKETS_MAX {
            if !self.take(into)? {
                break;
            }
        }
        let wait = until.map(|at| at.saturating_duration_since(Instant::now()));
        let Some(wait) = wait.filter(|wait| into.is_empty() && !wait.is_zero()) else {
            return Ok(());
        };
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        self.take(into).map(|_| ())
    }

    fn send(&mut self, envelopes: &mut Vec<Envelope>) -> io::Result<()> {
        let sent_ns = now_ns();
        self.traffic.messages += envelopes.len() as u64;
        for mut envelope in envelopes.drain(..) {
            envelope.sent_ns = sent_ns;
            let part = part(envelope.to);
            let form = postcard::to_stdvec(&envelope).map_err(io::Error::other)?;
            if self.packets[part].len() + form.len() > PACKET_MAX {
                self.flush(part)?;
            }
            self.packets[part].extend_from_slice(&form);
        }
        (0..self.packets.len()).try_for_each(|part| self.flush(part))
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::Message;

    fn envelopes(count: u64) -> Vec<Envelope> {
        let verdict = |request| Envelope {
            from: End::Node(1),
            to: End::Scheduler(1),
            sent_ns: 0,
            knew: None,
            message: Message::Verdict { request, granted: true },
        };
        (0..count).map(verdict).collect()
    }

    /// Sends many messages one way, and takes in as many.
    fn exchange(nodes: &mut dyn Transport, scheduler: &mut dyn Transport) {
        nodes.send(&mut envelopes(500)).unwrap();
        let mut arrived = Vec::new();
        let until = Instant::now() + Duration::from_secs(20);
        while arrived.len() < 500 && Instant::now() < until {
            scheduler.receive(Some(until), &mut arrived).unwrap();
        }
        assert!(arrived.iter().all(|envelope| envelope.sent_ns > 0));
        arrived.iter_mut().for_each(|envelope| envelope.sent_ns = 0);
        assert_eq!(arrived, envelopes(500));
        assert_eq!(nodes.traffic().messages, 500);
        scheduler.receive(None, &mut arrived).unwrap();
        assert_eq!(arrived.len(), 500, "without a time to wait for, it does not wait");
    }

    #[test]
    fn queues_carry_what_is_sent_in_its_order() {
        let mut queues = Queues::between(1);
        let (mut scheduler, mut nodes) = (queues.remove(1), queues.remove(0));
        exchange(&mut nodes, &mut scheduler);
        assert_eq!(nodes.traffic().packets, 1);
    }

    #[test]
    fn sockets_carry_what_is_sent_in_few_packets() {
        let (mut nodes, mut scheduler) = (Socket::bind().unwrap(), Socket::bind().unwrap());
        let parts = vec![nodes.address().unwrap(), scheduler.address().unwrap()];
        nodes.meet(parts.clone());
        scheduler.meet(parts);
        exchange(&mut nodes, &mut scheduler);
        assert!(nodes.traffic().packets < 20, "{:?}", nodes.traffic());
    }
}

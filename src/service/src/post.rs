//! The UDP socket of a process: takes in and sends many packets at a time.
//!
//! Nothing here waits but [`Post::wait`]. Messages for one process are packed together and leave at
//! [`Post::flush`]; the system is handed many packets for one destination in one call, and hands
//! over many in one call, where it can (GSO, GRO, recvmmsg).

use crate::key::Keys;
use crate::meters::{Direction, Drop, Meters};
use crate::packet::{Packets, Seal, open};
use crate::wire::Message;
use ahash::AHashMap;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Buffers that one call to the system fills.
const BUFFERS: usize = 8;

/// The system may put many packets into one buffer.
const BUFFER_BYTES: usize = 1 << 16;

/// What the system is asked to keep of what has arrived and was not taken in, in bytes.
const QUEUE_BYTES: usize = 8 << 20;

/// How long to wait for the system to take more, before a packet is dropped.
const CONGESTED: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Errors of a socket that is of use all the same.
const PASSING: [ErrorKind; 6] = [
    ErrorKind::WouldBlock,
    ErrorKind::Interrupted,
    ErrorKind::ConnectionRefused,
    ErrorKind::ConnectionReset,
    ErrorKind::HostUnreachable,
    ErrorKind::NetworkUnreachable,
];

/// The UDP socket of a process.
#[derive(Debug)]
pub struct Post {
    socket: UdpSocket,
    state: UdpSocketState,
    woken: UnixStream,
    waker: Waker,
    listens_at: SocketAddr,
    keys: Option<Keys>,
    seal: Seal,
    buffers: Vec<Vec<u8>>,
    outgoing: AHashMap<SocketAddr, Packets>,
    meters: Arc<Meters>,
}

/// Ends the waiting of a [`Post`], from any thread.
#[derive(Clone, Debug)]
pub struct Waker {
    stream: Arc<UnixStream>,
    /// Whether it was woken since it last began to wait.
    pending: Arc<AtomicBool>,
}

impl Waker {
    /// Ends the waiting.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // It fails only if nobody waits any more.
            let _ = (&*self.stream).write(&[0]);
        }
    }
}

impl Post {
    /// Listens at `listen`. Others are told that this process listens at `advertise`, or where it
    /// does if that is not given.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn listen(
        listen: SocketAddr,
        advertise: Option<SocketAddr>,
        keys: Option<Keys>,
        meters: Arc<Meters>,
    ) -> io::Result<Post> {
        let socket = UdpSocket::bind(listen)?;
        let state = UdpSocketState::new((&socket).into())?;
        // It gets as much of this as the system allows.
        let _ = state.set_recv_buffer_size((&socket).into(), QUEUE_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), QUEUE_BYTES);
        let listens_at = socket.local_addr()?;
        let advertised = advertise.unwrap_or(listens_at);
        let (woken, waking) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        waking.set_nonblocking(true)?;
        let waker = Waker { stream: Arc::new(waking), pending: Arc::default() };
        let seal = Seal::new(advertised, keys.as_ref());
        Ok(Post {
            socket,
            state,
            woken,
            waker,
            listens_at: advertised,
            keys,
            seal,
            buffers: vec![vec![0; BUFFER_BYTES]; BUFFERS],
            outgoing: AHashMap::new(),
            meters,
        })
    }

    /// Where others are told that it listens.
    pub fn address(&self) -> SocketAddr {
        self.listens_at
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn bound_to(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What ends its waiting.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// From now on other keys seal and are accepted.
    pub fn set_keys(&mut self, keys: Option<Keys>) {
        self.seal = Seal::new(self.listens_at, keys.as_ref());
        self.keys = keys;
    }

    /// Waits until something has arrived, it is woken, or `deadline` has come.
    ///
    /// # Errors
    /// If the system cannot wait.
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec::try_from(left).expect("no timer is years away"));
        let mut ends =
            [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.woken, PollFlags::IN)];
        match poll(&mut ends, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.waker.pending.load(Ordering::Acquire) {
            let _ = self.woken.read(&mut [0; 8]);
            self.waker.pending.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Takes in what has arrived, as much as one call to the system gives: every message, with where
    /// its sender listens. What is not to be believed or has no meaning is counted and dropped.
    ///
    /// # Errors
    /// If the socket is of no more use.
    pub fn receive(&mut self, mut take: impl FnMut(SocketAddr, Message)) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BUFFERS];
        let mut slices: Vec<IoSliceMut<'_>> =
            self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let filled = match self.state.recv((&self.socket).into(), &mut slices, &mut metas) {
            Ok(filled) => filled,
            // What an earlier packet met with at its destination.
            Err(error) if PASSING.contains(&error.kind()) => return Ok(()),
            Err(error) => return Err(error),
        };
        let meters = &self.meters;
        for (meta, buffer) in metas.iter().zip(&self.buffers).take(filled) {
            for packet in buffer[..meta.len].chunks(meta.stride.max(1)) {
                meters.packet(Direction::In, packet.len());
                match open(packet, self.keys.as_ref()) {
                    Err(error) => meters.dropped(Drop::Undecodable(error)),
                    Ok((from, messages)) => messages.for_each(|message| match message {
                        Ok(message) => {
                            meters.message(Direction::In, &message);
                            take(from, message);
                        }
                        Err(error) => meters.dropped(Drop::Undecodable(error)),
                    }),
                }
            }
            if meta.len == 0 {
                meters.packet(Direction::In, 0);
                meters.dropped(Drop::Undecodable(crate::wire::DecodeError::Truncated));
            }
        }
        Ok(())
    }

    /// Packs a message for the process that listens at `to`. It leaves at [`Post::flush`], or before.
    pub fn send(&mut self, to: SocketAddr, message: &Message) {
        let packets = self.outgoing.entry(to).or_default();
        match packets.push(&self.seal, message) {
            Ok(()) => self.meters.message(Direction::Out, message),
            Err(_) => self.meters.dropped(Drop::TooLong),
        }
        if packets.len() > self.state.max_gso_segments().min(SEGMENTS_MAX) {
            let (state, socket) = (&self.state, &self.socket);
            transmit(state, socket, to, packets, &self.seal, &self.meters);
        }
    }

    /// Sends everything that was packed. What the system does not take is lost.
    pub fn flush(&mut self) {
        for (to, packets) in &mut self.outgoing {
            if !packets.is_empty() {
                transmit(&self.state, &self.socket, *to, packets, &self.seal, &self.meters);
            }
        }
        if self.outgoing.len() > DESTINATIONS_MAX {
            self.outgoing.clear();
        }
    }
}

/// Packets for one destination that are handed over in one call, at most: 64 kB hold no more.
const SEGMENTS_MAX: usize = 50;

/// Destinations whose buffers are kept from one flush to the next.
const DESTINATIONS_MAX: usize = 4096;

fn transmit(
    state: &UdpSocketState,
    socket: &UdpSocket,
    to: SocketAddr,
    packets: &mut Packets,
    seal: &Seal,
    meters: &Meters,
) {
    let bytes = packets.finish(seal);
    let at_once = state.max_gso_segments().clamp(1, SEGMENTS_MAX);
    for contents in bytes.chunks(at_once * crate::packet::PACKET_MAX) {
        let count = contents.len().div_ceil(crate::packet::PACKET_MAX);
        let segment_size = (count > 1).then_some(crate::packet::PACKET_MAX);
        let transmit =
            Transmit { destination: to, ecn: None, contents, segment_size, src_ip: None };
        let mut sent = state.try_send(socket.into(), &transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&CONGESTED));
            sent = state.try_send(socket.into(), &transmit);
        }
        for packet in contents.chunks(crate::packet::PACKET_MAX) {
            match &sent {
                Ok(()) => meters.packet(Direction::Out, packet.len()),
                Err(_) => meters.dropped(Drop::NotSent),
            }
        }
        if let Err(error) = sent {
            tracing::debug!(%to, %error, "packets not sent");
        }
    }
    packets.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const WHO: Message = Message::WhoIsThere { nodes: true };

    fn post(keys: Option<&Keys>) -> (Post, Arc<Meters>) {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let meters = Arc::new(Meters::default());
        let post = Post::listen(any, None, keys.cloned(), Arc::clone(&meters)).unwrap();
        (post, meters)
    }

    fn received(post: &mut Post, count: usize) -> Vec<(SocketAddr, Message)> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut messages = Vec::new();
        while messages.len() < count && Instant::now() < deadline {
            post.wait(Some(deadline)).unwrap();
            post.receive(|from, message| messages.push((from, message))).unwrap();
        }
        messages
    }

    #[test]
    fn many_messages_arrive_in_order_and_in_few_packets() {
        let keys = Keys::from(Key::generate().unwrap());
        let ((mut one, sent), (mut two, _)) = (post(Some(&keys)), post(Some(&keys)));
        for _ in 0..3000 {
            one.send(two.address(), &WHO);
        }
        one.flush();
        let messages = received(&mut two, 3000);
        assert_eq!(messages.len(), 3000);
        assert!(messages.iter().all(|(from, _)| *from == one.address()));
        assert!(sent.packets(Direction::Out) < 10, "{}", sent.packets(Direction::Out));
    }

    #[test]
    fn what_another_cluster_says_is_dropped_and_counted() {
        let key = || Keys::from(Key::generate().unwrap());
        let (ours, theirs) = (key(), key());
        for other in [Some(&theirs), None] {
            let ((mut stranger, _), (mut friend, _)) = (post(other), post(Some(&ours)));
            let (mut me, meters) = post(Some(&ours));
            stranger.send(me.address(), &WHO);
            stranger.flush();
            friend.send(me.address(), &WHO);
            friend.flush();
            let messages = received(&mut me, 1);
            assert_eq!(messages, [(friend.address(), WHO)]);
            let why = Drop::Undecodable(crate::wire::DecodeError::Unauthenticated);
            assert_eq!(meters.dropped_for(why), 1);
        }
    }

    #[test]
    fn a_waker_ends_the_waiting_every_time() {
        let (mut post, _) = post(None);
        let waker = post.waker();
        for _ in 0..3 {
            let waker = waker.clone();
            let waking = std::thread::spawn(move || waker.wake());
            post.wait(None).unwrap();
            waking.join().unwrap();
        }
    }
}

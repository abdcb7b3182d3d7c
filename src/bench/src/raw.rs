//! The limit: two sockets on loopback that only ask and answer.

use crate::Figures;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The largest datagram, in bytes: as the service's packets.
const DATAGRAM_MAX: usize = counterfoil_service::packet::PACKET_MAX;

/// Requests that wait for their response at once.
const WINDOW: usize = 256;

/// How long a side waits for the other before it begins anew.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Datagrams that one call hands to the system, at most, where many go in one.
const SEGMENTS: usize = 32;

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket)
}

/// Pairs of a request and its response per second, each a datagram of `bytes` bytes, sent and
/// received one by one, for `time`.
///
/// # Errors
/// If the system refuses a socket.
pub fn pairs_per_s(bytes: usize, time: Duration) -> io::Result<Figures> {
    let (client, server) = (socket()?, socket()?);
    client.connect(server.local_addr()?)?;
    server.connect(client.local_addr()?)?;
    let over = Arc::new(AtomicBool::new(false));
    let answering = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            let mut buffer = [0; DATAGRAM_MAX];
            while !over.load(Ordering::Relaxed) {
                if let Ok(length) = server.recv(&mut buffer) {
                    let _ = server.send(&buffer[..length]);
                }
            }
        })
    };
    let request = vec![7; bytes.min(DATAGRAM_MAX)];
    let mut buffer = [0; DATAGRAM_MAX];
    let (start, mut pairs) = (Instant::now(), 0u64);
    let mut open = 0;
    while start.elapsed() < time {
        while open < WINDOW {
            client.send(&request)?;
            open += 1;
        }
        match client.recv(&mut buffer) {
            Ok(_) => {
                pairs += 1;
                open -= 1;
            }
            // Some were lost: begin anew.
            Err(_) => open = 0,
        }
    }
    over.store(true, Ordering::Relaxed);
    answering.join().expect("it does not panic");
    Ok(Figures { count: pairs, time: start.elapsed() })
}

/// The same with `per_datagram` requests in each datagram of the largest size, and as many datagrams
/// in one call as the system takes (GSO and GRO).
///
/// # Errors
/// If the system refuses a socket.
pub fn packed_pairs_per_s(per_datagram: u64, time: Duration) -> io::Result<Figures> {
    let (client, server) = (Ends::new()?, Ends::new()?);
    let (to_client, to_server) = (client.address()?, server.address()?);
    let over = Arc::new(AtomicBool::new(false));
    let answering = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            let mut server = server;
            let response = vec![7; DATAGRAM_MAX * SEGMENTS];
            while !over.load(Ordering::Relaxed) {
                let bytes = server.receive();
                for part in response[..bytes.min(response.len())].chunks(DATAGRAM_MAX * SEGMENTS) {
                    server.send(to_client, part);
                }
            }
        })
    };
    let mut client = client;
    let request = vec![7; DATAGRAM_MAX * SEGMENTS];
    let (start, mut datagrams) = (Instant::now(), 0u64);
    let mut open = 0usize;
    while start.elapsed() < time {
        while open < 2 * SEGMENTS {
            client.send(to_server, &request);
            open += SEGMENTS;
        }
        match client.receive().div_ceil(DATAGRAM_MAX) {
            0 => open = 0,
            received => {
                datagrams += received as u64;
                open = open.saturating_sub(received);
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    answering.join().expect("it does not panic");
    Ok(Figures { count: datagrams * per_datagram, time: start.elapsed() })
}

/// A socket through which many datagrams go at a time.
struct Ends {
    socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
}

impl Ends {
    fn new() -> io::Result<Ends> {
        let socket = socket()?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Ends { socket, state, buffers: vec![vec![0; 1 << 16]; 8] })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn send(&self, to: SocketAddr, contents: &[u8]) {
        let segment_size = (contents.len() > DATAGRAM_MAX).then_some(DATAGRAM_MAX);
        let transmit =
            Transmit { destination: to, ecn: None, contents, segment_size, src_ip: None };
        // What is not taken is lost, and begun anew.
        let _ = self.state.try_send((&self.socket).into(), &transmit);
    }

    /// How many bytes have arrived; 0 if none did for a while.
    ///
    /// A call for many datagrams that is to wait would wait until there are as many: so this waits for
    /// one, and then takes what there is.
    fn receive(&mut self) -> usize {
        match self.take() {
            0 => {
                let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&PATIENCE));
                self.take()
            }
            bytes => bytes,
        }
    }

    fn take(&mut self) -> usize {
        let mut metas = [RecvMeta::default(); 8];
        let mut slices: Vec<IoSliceMut<'_>> =
            self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let filled = self.state.recv((&self.socket).into(), &mut slices, &mut metas);
        filled.map_or(0, |filled| metas[..filled].iter().map(|meta| meta.len).sum())
    }
}

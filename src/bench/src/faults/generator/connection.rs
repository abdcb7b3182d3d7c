//! A kept connection of HTTP/1.1 to a scheduler: what is sent on it is answered in order.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long it may take to be made: schedulers are on this machine, and all clients wait meanwhile.
const CONNECT: Duration = Duration::from_millis(20);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(65);

/// The longest answer, in bytes.
const ANSWER_MAX: usize = 1 << 20;

/// Headers of an answer, at most.
const HEADERS_MAX: usize = 32;

/// Read at once, in bytes.
const READ: usize = 16 << 10;

/// A connection, with what was sent on it and is not answered.
pub(super) struct Connection<Job> {
    pub(super) stream: TcpStream,
    to_send: Vec<u8>,
    read: Vec<u8>,
    open: VecDeque<(Job, Instant)>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The status of HTTP.
    pub(super) status: u16,
    /// What was said.
    pub(super) body: Vec<u8>,
}

impl<Job> Connection<Job> {
    /// Makes it.
    pub(super) fn open(to: SocketAddr) -> io::Result<Connection<Job>> {
        let stream = TcpStream::connect_timeout(&to, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, to_send: Vec::new(), read: Vec::new(), open: VecDeque::new() })
    }

    /// How much was sent and is not answered.
    pub(super) fn waits_for(&self) -> usize {
        self.open.len()
    }

    /// Sends a request, behind those before it.
    pub(super) fn send(&mut self, request: &[u8], job: Job) -> io::Result<()> {
        self.to_send.extend_from_slice(request);
        self.open.push_back((job, Instant::now()));
        self.flush()
    }

    /// Sends as much as the system takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            if sent == self.to_send.len() {
                break Ok(());
            }
            match self.stream.write(&self.to_send[sent..]) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(more) => sent += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.to_send.drain(..sent);
        result
    }

    /// Reads all that has come; the answers that are whole.
    pub(super) fn receive(&mut self, answered: &mut Vec<(Job, Reply)>) -> io::Result<()> {
        let mut buffer = [0; READ];
        let ended = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Ok(some) => self.read.extend_from_slice(&buffer[..some]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let mut taken = 0;
        while let Some((reply, length)) = parse(&self.read[taken..])? {
            taken += length;
            let Some((job, _)) = self.open.pop_front() else {
                return Err(io::Error::other("an answer to nothing"));
            };
            answered.push((job, reply));
        }
        self.read.drain(..taken);
        ended
    }

    /// Whether the first request has waited for longer than any may.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.open.front().is_some_and(|(_, sent)| now - *sent > ANSWER)
    }

    /// What will not be answered any more.
    pub(super) fn unanswered(self) -> impl Iterator<Item = Job> {
        self.open.into_iter().map(|(job, _)| job)
    }
}

/// The first answer in `bytes` and how long it is, if it is whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let wrong = |what: String| io::Error::new(ErrorKind::InvalidData, what);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(bytes).map_err(|error| wrong(error.to_string()))?;
    let httparse::Status::Complete(start) = parsed else { return Ok(None) };
    let length = head.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length: usize = length.ok_or_else(|| wrong("an answer without a length".to_owned()))?;
    if length > ANSWER_MAX {
        return Err(wrong(format!("an answer of {length} bytes")));
    }
    let status = head.code.ok_or_else(|| wrong("an answer without a status".to_owned()))?;
    let body = bytes.get(start..start + length).map(<[u8]>::to_vec);
    Ok(body.map(|body| (Reply { status, body }, start + length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn answers_come_in_order_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        for job in 0..3 {
            connection.send(b"GET / HTTP/1.1\r\n\r\n", job).unwrap();
        }
        assert_eq!(connection.waits_for(), 3);
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab\
                    HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n\
                    HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut";
        let mut answered = Vec::new();
        for byte in text.bytes() {
            other.write_all(&[byte]).unwrap();
            while !matches!(connection.stream.peek(&mut [0]), Ok(1..)) {}
            connection.receive(&mut answered).unwrap();
        }
        let ab = Reply { status: 200, body: b"ab".to_vec() };
        assert_eq!(answered, [(0, ab), (1, Reply { status: 503, body: Vec::new() })]);
        drop(other);
        let ended = loop {
            if let Err(ended) = connection.receive(&mut answered) {
                break ended;
            }
        };
        assert!(matches!(ended.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset));
        assert_eq!(connection.unanswered().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in ["nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER_MAX + 1);
        assert!(parse(long.as_bytes()).is_err());
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n").unwrap(), None);
    }
}

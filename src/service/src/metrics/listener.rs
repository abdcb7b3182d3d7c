//! A small HTTP/1.1 server for a process that has no other: metrics and health, read only.
//!
//! It is plain HTTP: it tells everyone who can reach it how much there is to do and what was
//! refused, but no key, token, or what anyone asked for. So it belongs on loopback or on a network
//! that only operators reach, and nothing binds it elsewhere unless it is told to.

use super::CONTENT_TYPE;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Connections that are served at a time. Others wait in the queue of the system.
const AT_A_TIME: usize = 4;

/// How long one connection may take, from when it is accepted.
const DEADLINE: Duration = Duration::from_secs(2);

/// Bytes of a request, at most.
const REQUEST_MAX: usize = 8 << 10;

/// How long to wait when the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Answers GET and HEAD of `/metrics` with what `render` gives then, and of `/health/live` and
/// `/health/ready` with 200, as long as the process lives: one request to a connection. Says where
/// it listens.
///
/// # Errors
/// If it cannot listen at `listen`, or have threads.
pub fn serve(
    listen: SocketAddr,
    render: impl Fn() -> String + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = Arc::new(TcpListener::bind(listen)?);
    let bound_to = listener.local_addr()?;
    let render = Arc::new(render);
    for _ in 0..AT_A_TIME {
        let (listener, render) = (Arc::clone(&listener), Arc::clone(&render));
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            loop {
                match listener.accept() {
                    Ok((stream, from)) => {
                        if let Err(error) = answer(&stream, &*render) {
                            tracing::debug!(%from, %error, "no metrics were read");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no connection for metrics");
                        thread::sleep(NO_ROOM);
                    }
                }
            }
        })?;
    }
    Ok(bound_to)
}

fn answer(stream: &TcpStream, render: &impl Fn() -> String) -> io::Result<()> {
    let until = Instant::now() + DEADLINE;
    let request = read_head(stream, until)?;
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let response = respond(&String::from_utf8_lossy(line), request.len(), render);
    write_all(stream, response.as_bytes(), until)
}

/// The response to a request that begins with `line`.
fn respond(line: &str, length: usize, render: &impl Fn() -> String) -> String {
    let plain = "text/plain; charset=utf-8";
    let parts: Vec<&str> = line.trim_end().split(' ').collect();
    let [method, target, "HTTP/1.0" | "HTTP/1.1"] = parts[..] else {
        return response("400 Bad Request", plain, "this is not HTTP/1.1\n", true);
    };
    if length > REQUEST_MAX {
        let (status, body) = ("431 Request Header Fields Too Large", "the request is too long\n");
        return response(status, plain, body, true);
    }
    let with_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return response("405 Method Not Allowed\r\nAllow: GET, HEAD", plain, "", true),
    };
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    match path {
        "/metrics" => response("200 OK", CONTENT_TYPE, &render(), with_body),
        "/health/live" | "/health/ready" => response("200 OK", plain, "ok\n", with_body),
        _ => {
            let known = "there are /metrics, /health/live and /health/ready\n";
            response("404 Not Found", plain, known, with_body)
        }
    }
}

fn response(status: &str, content_type: &str, body: &str, with_body: bool) -> String {
    let (length, body) = (body.len(), if with_body { body } else { "" });
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
         {body}"
    )
}

/// The head of a request; cut off soon after [`REQUEST_MAX`] bytes.
fn read_head(mut stream: &TcpStream, until: Instant) -> io::Result<Vec<u8>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() <= REQUEST_MAX {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => head.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

fn write_all(mut stream: &TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The time that is left.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn said_to(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        let mut response = Vec::new();
        // What was too long is not all read, and the system may say so after the response.
        let _ = stream.read_to_end(&mut response);
        String::from_utf8(response).unwrap()
    }

    fn listener() -> SocketAddr {
        serve((Ipv4Addr::LOCALHOST, 0).into(), || "counted 1\n".to_owned()).unwrap()
    }

    #[test]
    fn metrics_and_health_are_read_and_nothing_else() {
        let address = listener();
        let get = |path: &str| said_to(address, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        let metrics = get("/metrics");
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
        assert!(metrics.contains(&format!("\r\nContent-Type: {CONTENT_TYPE}\r\n")), "{metrics}");
        assert!(metrics.ends_with(
            "\r\nContent-Length: 10\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\ncounted 1\n"
        ));
        assert!(get("/metrics?name=x").ends_with("\r\n\r\ncounted 1\n"));
        assert!(get("/health/live").ends_with("\r\n\r\nok\n"));
        assert!(get("/health/ready").starts_with("HTTP/1.1 200 "));
        assert!(get("/").starts_with("HTTP/1.1 404 "));
        let head = said_to(address, b"HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(head.contains("Content-Length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let post = said_to(address, b"POST /metrics HTTP/1.1\r\n\r\n");
        assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET, HEAD\r\n"));
    }

    #[test]
    fn what_is_no_request_or_does_not_end_is_turned_away_and_others_are_served() {
        let address = listener();
        let silent: Vec<_> = (1..AT_A_TIME).map(|_| TcpStream::connect(address).unwrap()).collect();
        for bad in [b"\r\n\r\n".as_slice(), b"GET\r\n\r\n", b"\xff\xff \0 \r\n\r\n"] {
            assert!(said_to(address, bad).starts_with("HTTP/1.1 400 "));
        }
        let endless = [b"GET /metrics HTTP/1.1\r\n".as_slice(), &[b'x'; REQUEST_MAX]].concat();
        let refused = said_to(address, &endless);
        assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
        drop(silent);
        assert!(said_to(address, b"GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }
}

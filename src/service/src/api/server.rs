//! The connections of the API.

use super::tls::Tls;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// How long a connection may be silent between requests, and the head of one may take.
const HEAD: Duration = Duration::from_secs(30);

/// How long the handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait when the system gives no connection, for want of files.
const WITHOUT: Duration = Duration::from_millis(50);

/// The longest head of a request, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// Connections that wait to be accepted, at most. Of more the system drops the first packet, and
/// whoever connects tries again after a second, then after two: longer than clients are patient.
const WAITING_MAX: u32 = 1024;

/// Listens at `address`.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A scheduler that was killed finds its own port when it comes back.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// How many more connections there may be.
#[derive(Clone)]
pub(super) struct Connections {
    room: Arc<Semaphore>,
    max: usize,
}

impl Connections {
    pub(super) fn new(max: usize) -> Connections {
        Connections { room: Arc::new(Semaphore::new(max)), max }
    }

    /// Waits until there is none.
    pub(super) async fn ended(&self) {
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        // It is never closed.
        let _ = self.room.acquire_many(all).await;
    }
}

/// Accepts connections until `ended` says so, each when there is room for it.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    connections: Connections,
    mut ended: watch::Receiver<bool>,
) {
    loop {
        let next = async {
            let room = Arc::clone(&connections.room).acquire_owned().await;
            (room, listener.accept().await)
        };
        let (room, accepted) = tokio::select! {
            next = next => next,
            _ = ended.changed() => return,
        };
        match (room, accepted) {
            (Ok(room), Ok((stream, _))) => {
                let (router, tls, ended) = (router.clone(), tls.clone(), ended.clone());
                tokio::spawn(connection(stream, router, tls, room, ended));
            }
            (Err(_), _) => return,
            (Ok(_), Err(error)) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(WITHOUT).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    tls: Option<Tls>,
    _room: OwnedSemaphorePermit,
    ended: watch::Receiver<bool>,
) {
    // Without it answers come later, no more.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return speak(stream, router, ended).await };
    match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, router, ended).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not speak TLS"),
        Err(_) => tracing::debug!("a connection took too long to speak TLS"),
    }
}

/// Answers one request after the other. When its other end is gone, so is the work on its request.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    mut ended: watch::Receiver<bool>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let end = async {
        // It fails only if nobody is left to say so.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = end => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection of the API broke");
    }
}

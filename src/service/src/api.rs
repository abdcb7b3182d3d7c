//! The HTTP API of a scheduler, on threads of its own.
//!
//! It speaks to the loop of the scheduler through [`Front`] and shares nothing else with it, so it
//! can neither hold it up nor take it down. Everything is bounded: connections, requests at once,
//! the size of a request, and how long its head and body may take. The names are those of
//! OpenStack Placement; `GET /openapi.json` describes every route.

mod access;
mod allocations;
mod demand;
mod lines;
mod nodes;
mod numbers;
pub mod openapi;
pub mod page;
mod placing;
mod problem;
mod routes;
mod server;
mod tls;

pub use access::{Access, AccessError, Role, TOKEN_MAX, TOKEN_MIN, TOKENS_MAX};
pub use routes::Route;
pub use tls::{TlsError, TlsFiles};

use crate::scheduler::{Event, Front, NotTaken, View};
use lines::Lines;
use server::Connections;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot, watch};

/// Threads that the API runs on.
const THREADS: usize = 2;

/// How long the answers that are under way may take once the scheduler has stopped.
const GRACE: Duration = Duration::from_secs(1);

/// What the API is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may do what: see [`Access`]. Without it everyone may do everything, and it listens on
    /// loopback only.
    pub token_file: Option<PathBuf>,
    /// With what it speaks TLS. Without it, it listens on loopback only, or must be told to be
    /// `insecure`.
    pub tls: Option<TlsFiles>,
    /// Whether tokens may be sent over a network without TLS.
    pub insecure: bool,
    /// What is never exceeded.
    pub limits: Limits,
}

impl Settings {
    /// That it listens here, and nothing else.
    pub fn at(listen: SocketAddr) -> Settings {
        Settings { listen, token_file: None, tls: None, insecure: false, limits: Limits::default() }
    }

    /// Whether what is said goes together.
    ///
    /// # Errors
    /// [`ApiError::Tokenless`] or [`ApiError::Plain`] if it would listen to strangers.
    pub fn check(&self) -> Result<(), ApiError> {
        let Settings { listen, .. } = self;
        if listen.ip().is_loopback() {
            Ok(())
        } else if self.token_file.is_none() {
            Err(ApiError::Tokenless(*listen))
        } else if self.tls.is_none() && !self.insecure {
            Err(ApiError::Plain(*listen))
        } else {
            Ok(())
        }
    }

    /// Whether the tokens, the certificate and its key can be used.
    ///
    /// # Errors
    /// [`ApiError::Access`] or [`ApiError::Tls`] if not.
    pub fn check_files(&self) -> Result<(), ApiError> {
        Access::read(self.token_file.as_deref())?;
        self.tls.as_ref().map(tls::Tls::read).transpose()?;
        Ok(())
    }
}

/// What the API never exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. One more waits until another ends.
    pub connections_max: usize,
    /// Requests being worked on at once. One more is answered 503 `overloaded`.
    pub requests_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections_max: 1024, requests_max: 512 }
    }
}

/// Why the API cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Everyone who reaches it would be an operator.
    #[error(
        "without tokens the API listens on loopback only, not at {0}: write a file with lines \
         `ROLE TOKEN`, where ROLE is read, place or admin, and name it with --token-file"
    )]
    Tokenless(SocketAddr),
    /// Tokens would cross a network for everyone to read.
    #[error(
        "without TLS the API listens on loopback only, not at {0}: name a certificate with \
         --tls-cert and its key with --tls-key, or take the risk with --api-insecure"
    )]
    Plain(SocketAddr),
    /// The tokens cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It cannot listen.
    #[error("the API cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system does not play along.
    #[error("the system refused the API a thread or its randomness")]
    System(#[from] io::Error),
}

/// What every request can use.
pub(crate) struct Shared {
    front: Front,
    lines: Lines,
    access: RwLock<Arc<Access>>,
    /// How many more requests may be worked on.
    room: Semaphore,
    /// How long a node holds what nobody confirms.
    lapse: Duration,
    started: Instant,
    stopping: AtomicBool,
}

/// What every request can use.
pub(crate) type Api = Arc<Shared>;

impl Shared {
    fn new(front: Front, access: Access, lapse: Duration, limits: Limits) -> io::Result<Shared> {
        Ok(Shared {
            lines: Lines::new(front.clone())?,
            front,
            access: RwLock::new(Arc::new(access)),
            room: Semaphore::new(limits.requests_max),
            lapse,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
        })
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// What the scheduler knows now.
    async fn view(&self) -> Result<View, NotTaken> {
        let (tell, told) = oneshot::channel();
        self.front.offer(Event::Look(Box::new(|view| drop(tell.send(view)))))?;
        told.await.map_err(|_| NotTaken::Stopped)
    }
}

/// The API, running.
pub struct Server {
    address: SocketAddr,
    runtime: Runtime,
    connections: Connections,
    end: watch::Sender<bool>,
    handle: Handle,
}

/// Tells the API what happens to its process, from any thread.
#[derive(Clone)]
pub struct Handle {
    api: Api,
    settings: Settings,
    tls: Option<tls::Tls>,
}

impl Server {
    /// Starts the API of whoever takes events from `front`. Nodes hold what nobody confirms for
    /// `lapse`.
    ///
    /// # Errors
    /// If what it is told does not go together, cannot be used, or it cannot listen.
    pub fn start(settings: &Settings, front: Front, lapse: Duration) -> Result<Server, ApiError> {
        settings.check()?;
        let access = Access::read(settings.token_file.as_deref())?;
        let tls = settings.tls.as_ref().map(tls::Tls::read).transpose()?;
        let Settings { listen, limits, .. } = settings;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("api")
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            server::listen(*listen)
                .map_err(|source| ApiError::Listen { address: *listen, source })?
        };
        let address = listener.local_addr()?;
        let api = Arc::new(Shared::new(front, access, lapse, *limits)?);
        let connections = Connections::new(limits.connections_max);
        let (end, ended) = watch::channel(false);
        let router = routes::router(&api);
        runtime.spawn(server::accept(listener, router, tls.clone(), connections.clone(), ended));
        let handle = Handle { api, settings: settings.clone(), tls };
        Ok(Server { address, runtime, connections, end, handle })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it what happens to its process.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends every connection once its answer has left, or after a while.
    pub fn stop(self) {
        self.handle.stopping();
        // It fails only if nobody accepts any more.
        let _ = self.end.send(true);
        let all = self.connections.ended();
        // What is not done by then is cut off.
        let _ = self.runtime.block_on(async { tokio::time::timeout(GRACE, all).await });
        self.runtime.shutdown_background();
    }
}

impl Handle {
    /// The scheduler is about to stop: new work is refused.
    pub fn stopping(&self) {
        self.api.stopping.store(true, Ordering::Relaxed);
    }

    /// Reads the tokens, the certificate and its key again. What cannot be used is logged and
    /// changes nothing.
    pub fn reload(&self) {
        match Access::read(self.settings.token_file.as_deref()) {
            Ok(access) => {
                let mut current = self.api.access.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(access);
            }
            Err(error) => tracing::error!(%error, "the tokens stay what they were"),
        }
        if let (Some(tls), Some(files)) = (&self.tls, &self.settings.tls)
            && let Err(error) = tls.reload(files)
        {
            tracing::error!(%error, "the certificate stays what it was");
        }
    }
}

#[cfg(test)]
mod tests;

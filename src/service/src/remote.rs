//! Speaks to the API of schedulers, over HTTP.

mod around;
mod claim;
mod said;

pub use around::{AroundClient, Asked, Channel, Work};
pub use claim::{group, path_of};
pub(crate) use said::demand as demand_form;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// How long an answer may take. A scheduler asks a node for up to 5 s.
const ANSWER: Duration = Duration::from_secs(30);

/// Connections that are kept for the next request.
const IDLE_MAX: usize = 256;

/// The largest answer, in bytes: all that is said of 100,000 nodes fits.
const ANSWER_MAX: u64 = 256 << 20;

/// Nodes of one answer.
const PAGE: usize = 1000;

/// Speaks to schedulers.
#[derive(Clone)]
pub struct Remote {
    agent: ureq::Agent,
    urls: Vec<String>,
    token: Option<String>,
}

/// Which requests an API understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Get,
    /// Orders something new.
    Post,
    /// Confirms.
    Put,
    /// Releases.
    Delete,
}

/// What a scheduler answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// What was said, or null if it has no meaning.
    pub body: Value,
}

/// Why no scheduler can be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address of an API is none.
    #[error("{0:?} is no address of an API: write http://HOST:PORT or https://HOST:PORT")]
    Url(String),
    /// A file cannot be read.
    #[error("{path:?} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path:?} holds no {what}")]
    Holds {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody can be reached.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// It was refused.
    #[error("{url} refuses it with status {status}: {message}")]
    Refused {
        /// By whom.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// Why.
        message: String,
    },
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.urls).finish()
    }
}

impl Remote {
    /// Speaks to the schedulers at `urls`, with the token that is in the file `token`, if there is
    /// one. Who is spoken to over TLS must be vouched for by a certificate in the file `ca`, or by
    /// an authority that browsers trust.
    ///
    /// # Errors
    /// If an address is none or a file cannot be used.
    pub fn new(
        urls: &[String],
        token: Option<&Path>,
        ca: Option<&Path>,
    ) -> Result<Remote, RemoteError> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = ca {
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates(path)?));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .max_idle_connections(IDLE_MAX)
            .max_idle_connections_per_host(IDLE_MAX)
            .tls_config(tls.build());
        Ok(Remote {
            agent: ureq::Agent::new_with_config(config.build()),
            urls: urls.iter().map(|url| checked(url)).collect::<Result<_, _>>()?,
            token: token.map(token_in).transpose()?,
        })
    }

    /// Where the schedulers are.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Speaks to each scheduler alone.
    pub fn each(&self) -> impl Iterator<Item = Remote> {
        self.urls.iter().map(|url| Remote { urls: vec![url.clone()], ..self.clone() })
    }

    /// Asks one scheduler. Whatever it answers is an answer.
    ///
    /// # Errors
    /// If it cannot be reached, or says nothing.
    pub fn ask(
        &self,
        url: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, NoAnswer> {
        let whole = format!("{url}{path}");
        let unreachable = |error: ureq::Error| NoAnswer::Unreachable {
            url: url.to_owned(),
            why: error.to_string(),
        };
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let text = body.map_or_else(String::new, Value::to_string);
        let asked = match method {
            Method::Get | Method::Delete => {
                let agent = &self.agent;
                let get = method == Method::Get;
                let mut request = if get { agent.get(&whole) } else { agent.delete(&whole) };
                if let Some(bearer) = &bearer {
                    request = request.header("Authorization", bearer);
                }
                request.call()
            }
            Method::Post | Method::Put => {
                let agent = &self.agent;
                let post = method == Method::Post;
                let mut request = if post { agent.post(&whole) } else { agent.put(&whole) };
                if let Some(bearer) = &bearer {
                    request = request.header("Authorization", bearer);
                }
                request.header("Content-Type", "application/json").send(&text)
            }
        };
        let mut response = asked.map_err(unreachable)?;
        let status = response.status().as_u16();
        let bytes = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let body = serde_json::from_slice(&bytes.map_err(unreachable)?).unwrap_or(Value::Null);
        Ok(Reply { status, body })
    }

    /// Asks one scheduler after the other, until one is there and does not say that it stops.
    ///
    /// # Errors
    /// If all are out of reach; then why of the last.
    pub fn ask_any(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(String, Reply), NoAnswer> {
        let mut last = None;
        for url in &self.urls {
            match self.ask(url, method, path, body) {
                Ok(reply) if reply.status == 503 && reply.error() == "stopping" => {
                    last = Some(Err(reply.refused_by(url)));
                }
                Ok(reply) => return Ok((url.clone(), reply)),
                Err(error) => {
                    tracing::info!(%error, "trying the next");
                    last = Some(Err(error));
                }
            }
        }
        last.expect("there is at least one address")
    }
}

impl Remote {
    /// All nodes that the first scheduler that answers knows, page by page, and which it is.
    ///
    /// # Errors
    /// If none answers, or it refuses.
    pub fn nodes(&self) -> Result<(String, Vec<Value>), NoAnswer> {
        let (url, mut reply) = self.ask_any(Method::Get, "/v1/nodes", None)?;
        let mut nodes = Vec::new();
        loop {
            let Some(page) = reply.body.as_array_mut().filter(|_| reply.status == 200) else {
                return Err(reply.refused_by(&url));
            };
            nodes.append(page);
            let last = nodes.last().and_then(|node| node["node"].as_u64());
            // A page that is not full is the last.
            let Some(last) = last.filter(|_| nodes.len().is_multiple_of(PAGE)) else {
                return Ok((url, nodes));
            };
            reply = self.ask(&url, Method::Get, &format!("/v1/nodes?after={last}"), None)?;
            if reply.body.as_array().is_some_and(Vec::is_empty) {
                return Ok((url, nodes));
            }
        }
    }
}

impl Reply {
    /// What kind of refusal it is, or "".
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// What is said of the refusal, for people.
    pub fn message(&self) -> String {
        match self.body["message"].as_str() {
            Some(message) => message.to_owned(),
            None => format!("it says {}", self.body),
        }
    }

    /// The same as an error.
    pub fn refused_by(&self, url: &str) -> NoAnswer {
        let (url, status, message) = (url.to_owned(), self.status, self.message());
        NoAnswer::Refused { url, status, message }
    }
}

fn checked(url: &str) -> Result<String, RemoteError> {
    let no_url = || RemoteError::Url(url.to_owned());
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = host.ok_or_else(no_url)?.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
        return Err(no_url());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The token in a file: the last word of its first line that says something, so that a line of the
/// file of a scheduler, `ROLE TOKEN`, will do.
fn token_in(path: &Path) -> Result<String, RemoteError> {
    let unreadable = |source| RemoteError::Unreadable { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let token = line.and_then(|line| line.split_whitespace().last()).map(str::to_owned);
    token.ok_or_else(|| RemoteError::Holds { path: path.to_owned(), what: "token" })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, RemoteError> {
    let unreadable = |source| RemoteError::Unreadable { path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(unreadable)?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let Ok(PemItem::Certificate(certificate)) = item {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(RemoteError::Holds { path: path.to_owned(), what: "certificate in PEM form" });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_nothing_more() {
        assert_eq!(checked("http://127.0.0.1:80/").unwrap(), "http://127.0.0.1:80");
        assert_eq!(checked("https://[::1]:80").unwrap(), "https://[::1]:80");
        for bad in ["", "127.0.0.1:80", "ftp://x", "http://", "http://x/v1", "http://x?y"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_stands_alone_or_after_its_role() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["secret\n", "# mine\n\nadmin secret\nread other\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(token_in(&path).unwrap(), "secret");
        }
        std::fs::write(&path, "# none\n").unwrap();
        assert!(matches!(token_in(&path), Err(RemoteError::Holds { .. })));
    }
}

//! Who may do what: roles, given to whoever knows a token.
//!
//! A token file holds lines `ROLE TOKEN`; empty lines and lines that begin with `#` are left out. A
//! role may have any number of tokens. Without a file everyone who reaches the API is an operator,
//! and it listens on loopback only; then pages of other sites that a browser on the same machine
//! shows must not reach it, so a request must name a host of loopback, and come from no other site.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::problem::Problem;

/// The shortest token, in characters.
pub const TOKEN_MIN: usize = 16;

/// The longest token, in characters.
pub const TOKEN_MAX: usize = 256;

/// Tokens in one file, at most.
pub const TOKENS_MAX: usize = 1024;

/// What someone may do: everything that a lesser role may, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To look at everything.
    Read,
    /// To ask for places, and to confirm and release them.
    Place,
    /// To give orders to nodes.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Role; 3] = [Role::Read, Role::Place, Role::Admin];

    /// The name in token files.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Place => "place",
            Role::Admin => "admin",
        }
    }

    fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error("the token file {path:?} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line says something else.
    #[error(
        "line {line} of the token file {path:?} is no `ROLE TOKEN`: ROLE is read, place or admin, \
         TOKEN is {TOKEN_MIN} to {TOKEN_MAX} letters, digits and -._~+/="
    )]
    NoToken {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There are none, or more than [`TOKENS_MAX`].
    #[error("the token file {path:?} holds {count} tokens: it must hold 1 to {TOKENS_MAX}")]
    Count {
        /// Which file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

/// Who may do what.
#[derive(Clone)]
pub struct Access {
    /// The hash of each token, with its role; `None` if everyone may do everything.
    tokens: Option<Vec<(blake3::Hash, Role)>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Access").field(&self.tokens.as_ref().map(Vec::len)).finish()
    }
}

impl Access {
    /// What the token file at `path` says; without one, everyone may do everything.
    ///
    /// # Errors
    /// If it cannot be read, or says something else.
    pub fn read(path: Option<&Path>) -> Result<Access, AccessError> {
        let Some(path) = path else { return Ok(Access { tokens: None }) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| AccessError::Unreadable { path: path.to_owned(), source })?;
        let mut tokens = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let no_token = || AccessError::NoToken { path: path.to_owned(), line };
            let (role, token) = parse(text).ok_or_else(no_token)?;
            tokens.push((blake3::hash(token.as_bytes()), role));
        }
        if tokens.is_empty() || tokens.len() > TOKENS_MAX {
            return Err(AccessError::Count { path: path.to_owned(), count: tokens.len() });
        }
        Ok(Access { tokens: Some(tokens) })
    }

    /// Whether whoever sends `headers` may do what needs this role.
    pub(super) fn allows(&self, needed: Role, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(tokens) = &self.tokens else { return from_this_machine(headers) };
        let token = bearer(headers).ok_or_else(|| unknown("a token is needed"))?;
        let hash = blake3::hash(token.as_bytes());
        // All are compared, and each comparison takes as long wherever they differ.
        let roles = tokens.iter().filter(|(known, _)| *known == hash).map(|(_, role)| *role);
        let role = roles.fold(None, |best, role| best.max(Some(role)));
        let role = role.ok_or_else(|| unknown("the token is not known"))?;
        if role >= needed {
            return Ok(());
        }
        let message = format!("this needs the role {needed}; the token gives {role}");
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message))
    }
}

fn parse(line: &str) -> Option<(Role, &str)> {
    let (role, token) = line.split_once(char::is_whitespace)?;
    let (role, token) = (Role::named(role)?, token.trim_start());
    let fits = (TOKEN_MIN..=TOKEN_MAX).contains(&token.len());
    let letters = token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    (fits && letters).then_some((role, token))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn unknown(message: &str) -> Problem {
    let how = "send it as `Authorization: Bearer TOKEN`";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", format!("{message}: {how}"))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a request is for a host of loopback, and comes from no page of another site.
fn from_this_machine(headers: &HeaderMap) -> Result<(), Problem> {
    let forbidden = |message| Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
    let host = text(headers, header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        let message = "without tokens the API answers only at an address of loopback or localhost";
        return forbidden(message);
    }
    let origin = text(headers, header::ORIGIN);
    let site = |origin: &str| origin.split_once("://").is_some_and(|(_, site)| site == host);
    if headers.contains_key(header::ORIGIN) && !origin.is_some_and(site) {
        return forbidden("without tokens the API answers no page of another site");
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn read(text: &str) -> Result<Access, AccessError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        Access::read(Some(&path))
    }

    #[test]
    fn a_token_gives_its_role_and_the_lesser_ones() {
        let text = "# of the trial\nread aaaaaaaaaaaaaaaa\n\nplace  bbbbbbbbbbbbbbbb\n\
                    admin cccccccccccccccc\nadmin dddddddddddddddd\n";
        let access = read(text).unwrap();
        for (letter, roles) in [("a", 1), ("b", 2), ("c", 3), ("d", 3), ("e", 0)] {
            let token = format!("Bearer {}", letter.repeat(16));
            let headers = headers(&[(header::AUTHORIZATION, &token)]);
            let allowed = Role::ALL.into_iter().filter(|r| access.allows(*r, &headers).is_ok());
            assert_eq!(allowed.count(), roles, "{letter}");
        }
        for other in ["", "Bearer", "Bearer ", "Basic aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa"] {
            assert!(
                access.allows(Role::Read, &headers(&[(header::AUTHORIZATION, other)])).is_err()
            );
        }
        assert!(access.allows(Role::Read, &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_file_that_says_something_else_is_refused_with_its_line() {
        for (text, line) in [
            ("read aaaaaaaaaaaaaaaa\nwrite bbbbbbbbbbbbbbbb", 2),
            ("read short", 1),
            ("\nread", 2),
            ("read aaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbb", 1),
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(error, AccessError::NoToken { line: at, .. } if at == line), "{text}");
        }
        assert!(matches!(read("# none\n"), Err(AccessError::Count { count: 0, .. })));
    }

    #[test]
    fn without_tokens_only_this_machine_is_answered_and_no_page_of_another_site() {
        let access = Access::read(None).unwrap();
        let allowed = |pairs: &[_]| access.allows(Role::Admin, &headers(pairs)).is_ok();
        for host in ["127.0.0.1:80", "localhost", "LOCALHOST:8000", "[::1]:1", "127.8.8.8"] {
            assert!(allowed(&[(header::HOST, host)]), "{host}");
            let origin = &*format!("http://{host}");
            let own = headers(&[(header::HOST, host), (header::ORIGIN, origin)]);
            assert!(access.allows(Role::Admin, &own).is_ok(), "{host}");
            assert!(!allowed(&[(header::HOST, host), (header::ORIGIN, "http://else.example")]));
            assert!(!allowed(&[(header::HOST, host), (header::ORIGIN, "null")]));
        }
        for host in ["else.example", "127.0.0.1.else.example", "10.0.0.1", "[::2]", ""] {
            assert!(!allowed(&[(header::HOST, host)]), "{host}");
        }
    }
}

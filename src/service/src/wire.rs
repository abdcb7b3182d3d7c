//! The form of what is said: datagrams over UDP, frames over TCP.
//!
//! A datagram is the two bytes `CF`, the version of the format (one byte), and a [`Datagram`] in
//! postcard form, up to [`DATAGRAM_MAX`] bytes in all. A frame is its length in bytes (u32, little
//! endian; the length itself left out), the version, and a [`FromClient`] or [`ToClient`] in
//! postcard form.
//!
//! Whatever arrives, decoding ends with a value or a [`DecodeError`]: it never panics, and never
//! takes more memory than a small multiple of what arrived.

use counterfoil_protocol::{
    Answer, Body, Call, Changes, ClientId, Datagram, Demand, HostState, Inventory, Placement,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// The largest datagram, in bytes: it fits any network unfragmented.
pub const DATAGRAM_MAX: usize = 1200;

/// The largest frame from a client, in bytes.
pub const FROM_CLIENT_MAX: usize = 16 << 10;

/// The largest frame to a client, in bytes: a refusal for each of 100,000 nodes fits.
pub const TO_CLIENT_MAX: usize = 4 << 20;

/// Resource classes, groups among them, that one demand, inventory or change may name.
pub const CLASSES_MAX: usize = 64;

/// Names that one set of traits or aggregates may hold.
pub const NAMES_MAX: usize = 64;

const MAGIC: [u8; 2] = *b"CF";
const VERSION: u8 = 2;

/// Client to scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromClient {
    /// Who it is. The first frame of a connection, and only that.
    Hello(ClientId),
    /// Find a place.
    Call(Call),
    /// A confirm or release, for the scheduler to pass on to the node that it is for.
    Datagram(Datagram),
}

/// Scheduler to client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToClient {
    /// What came of an attempt.
    Answer(Answer),
    /// What a node said to the client, passed on.
    Datagram(Datagram),
}

/// Why what arrived has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// It does not begin like ours.
    #[error("is not of this protocol")]
    NotOurs,
    /// It is of a version that this program does not speak.
    #[error("is of version {0}; this program speaks {VERSION}")]
    Version(u8),
    /// It ends too early.
    #[error("ends too early")]
    Truncated,
    /// It has no meaning, or goes on after its end.
    #[error("has no meaning")]
    Malformed,
    /// It is longer than is allowed.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// It names more of these than is allowed.
    #[error("names too many {0}")]
    Limit(&'static str),
}

/// A message that is too long to be sent, with its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("would be {0} bytes long")]
pub struct TooLong(pub usize);

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection ended or broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// What arrived has no meaning.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// The bytes of a datagram.
///
/// # Errors
/// If it would be longer than [`DATAGRAM_MAX`].
pub fn encode_datagram(datagram: &Datagram) -> Result<Vec<u8>, TooLong> {
    let [c, f] = MAGIC;
    encode(vec![c, f, VERSION], datagram, DATAGRAM_MAX)
}

/// The datagram that `bytes` are.
///
/// # Errors
/// If they have no meaning.
pub fn decode_datagram(bytes: &[u8]) -> Result<Datagram, DecodeError> {
    if bytes.len() > DATAGRAM_MAX {
        return Err(DecodeError::TooLong(DATAGRAM_MAX));
    }
    let Some(bytes) = bytes.strip_prefix(&MAGIC) else {
        return Err(if MAGIC.starts_with(bytes) {
            DecodeError::Truncated
        } else {
            DecodeError::NotOurs
        });
    };
    decode(bytes)
}

/// The bytes of a frame, its length included.
///
/// # Errors
/// If it would be longer than `max` bytes.
pub fn encode_frame(frame: &impl Serialize, max: usize) -> Result<Vec<u8>, TooLong> {
    let mut bytes = encode(vec![0, 0, 0, 0, VERSION], frame, max)?;
    let length = u32::try_from(bytes.len() - 4).expect("a frame is shorter than 4 GiB");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Reads one frame of up to `max` bytes.
///
/// # Errors
/// If the connection ends, or what arrives has no meaning; the connection is then of no more use.
pub fn read_frame<T: DeserializeOwned + Limited>(
    connection: &mut impl Read,
    max: usize,
) -> Result<T, FrameError> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > max {
        return Err(DecodeError::TooLong(max).into());
    }
    let mut body = Vec::new();
    connection.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(decode(&body)?)
}

fn encode(mut bytes: Vec<u8>, value: &impl Serialize, max: usize) -> Result<Vec<u8>, TooLong> {
    bytes = postcard::to_extend(value, bytes).expect("values of the protocol have a postcard form");
    if bytes.len() > max { Err(TooLong(bytes.len())) } else { Ok(bytes) }
}

/// Decodes what follows the magic: the version, then the body.
fn decode<T: DeserializeOwned + Limited>(bytes: &[u8]) -> Result<T, DecodeError> {
    let Some((version, body)) = bytes.split_first() else { return Err(DecodeError::Truncated) };
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let mut deserializer = postcard::Deserializer::from_bytes(body);
    let value = T::deserialize(&mut deserializer).map_err(|error| {
        let ended = error == postcard::Error::DeserializeUnexpectedEnd;
        if ended { DecodeError::Truncated } else { DecodeError::Malformed }
    })?;
    if !deserializer.finalize().is_ok_and(<[u8]>::is_empty) {
        return Err(DecodeError::Malformed);
    }
    value.limited()?;
    Ok(value)
}

/// What names no more than is allowed.
pub trait Limited {
    /// Whether it does.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] if it names more.
    fn limited(&self) -> Result<(), DecodeError>;
}

fn within(what: &'static str, length: usize, max: usize) -> Result<(), DecodeError> {
    if length > max { Err(DecodeError::Limit(what)) } else { Ok(()) }
}

impl Limited for Demand {
    fn limited(&self) -> Result<(), DecodeError> {
        within("resource classes", self.resources.len(), CLASSES_MAX)?;
        within("traits", self.required.len(), NAMES_MAX)?;
        within("traits", self.forbidden.len(), NAMES_MAX)?;
        within("groups", self.near.len().max(self.apart.len()), CLASSES_MAX)?;
        within("aggregates", self.aggregates.len(), NAMES_MAX)
    }
}

impl Limited for Inventory {
    fn limited(&self) -> Result<(), DecodeError> {
        within("resource classes", self.classes.len(), CLASSES_MAX)?;
        within("traits", self.traits.len(), NAMES_MAX)?;
        within("aggregates", self.aggregates.len(), NAMES_MAX)
    }
}

impl Limited for HostState {
    fn limited(&self) -> Result<(), DecodeError> {
        self.inventory.limited()?;
        within("resource classes", self.used.len(), CLASSES_MAX)
    }
}

impl Limited for Changes {
    fn limited(&self) -> Result<(), DecodeError> {
        self.inventory.iter().try_for_each(Limited::limited)?;
        within("resource classes", self.used.len(), CLASSES_MAX)
    }
}

impl Limited for Datagram {
    fn limited(&self) -> Result<(), DecodeError> {
        match &self.body {
            Body::Claim(claim) => claim.demand.limited(),
            Body::Delta(delta) => delta.changes.limited(),
            Body::Snapshot(snapshot) => snapshot.state.limited(),
            Body::Verdict(_)
            | Body::Confirm(_)
            | Body::Release(_)
            | Body::Resync(_)
            | Body::Leave(_)
            | Body::Superseded { .. } => Ok(()),
        }
    }
}

impl Limited for FromClient {
    fn limited(&self) -> Result<(), DecodeError> {
        match self {
            FromClient::Hello(_) => Ok(()),
            FromClient::Call(call) => call.demand.limited(),
            FromClient::Datagram(datagram) => datagram.limited(),
        }
    }
}

impl Limited for ToClient {
    fn limited(&self) -> Result<(), DecodeError> {
        match self {
            ToClient::Datagram(datagram) => datagram.limited(),
            // The map of refusals is bounded by the length of the frame.
            ToClient::Answer(Answer { placement, .. }) => match placement {
                Placement::NoValidHost(_)
                | Placement::Placed(_)
                | Placement::Unavailable
                | Placement::Exhausted
                | Placement::Overloaded => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests;

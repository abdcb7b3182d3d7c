//! A packet: messages for one process, sealed together.
//!
//! ```text
//!  bytes     what
//!  2         "CF"
//!  1         the version of the format, 2
//!  1         the number of the key that it is sealed with, 0 if it is not sealed
//!  7 or 19   where the sender listens: 4 or 6, the IP address, the port (little endian)
//!  ...       messages: each its length (one byte below 128; else two, the low seven bits first, with
//!            the highest bit of the first set), then its postcard form. Length 0 is padding to
//!            the end
//!  16        the tag, if sealed: the first bytes of the keyed BLAKE3 hash of all before it
//! ```
//!
//! A packet is up to [`PACKET_MAX`] bytes, so it fits any network unfragmented. The tag is looked at
//! before anything else is believed: what does not carry a right one costs a hash and a count.
//! Sealing does not keep a packet from being sent again by someone who has seen it. That is left
//! to the protocol, in which a copy has no effect: lives, stamps and claim numbers tell the old from
//! the new.

use crate::key::{Key, KeyNumber, Keys, TAG_BYTES};
use crate::wire::{DecodeError, Message, TooLong, decode_message, encode_message};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The largest packet, in bytes.
pub const PACKET_MAX: usize = 1200;

const MAGIC: [u8; 2] = *b"CF";
pub(crate) const VERSION: u8 = 2;

/// The largest form of a message, in bytes, so that it fits a packet alone: the longest head, the
/// length and the tag go off.
pub const MESSAGE_MAX: usize = PACKET_MAX - 23 - 2 - TAG_BYTES;

/// Fills packets for one process, one after the other in one buffer: all but the last are exactly
/// [`PACKET_MAX`] bytes long, so that the system can be handed many at once.
#[derive(Debug, Default)]
pub struct Packets {
    bytes: Vec<u8>,
    /// Where the open packet begins.
    start: usize,
}

/// What every packet of this process begins with, and what it is sealed with.
#[derive(Clone, Debug)]
pub struct Seal {
    head: Vec<u8>,
    key: Option<Key>,
}

impl Seal {
    /// For a process that listens at `address`; `None` seals nothing.
    pub fn new(address: SocketAddr, keys: Option<&Keys>) -> Seal {
        let [c, f] = MAGIC;
        let sealing = keys.map(Keys::sealing);
        let number = sealing.map_or(KeyNumber::NONE, |(number, _)| number);
        let mut head = vec![c, f, VERSION, number.0];
        match address.ip() {
            IpAddr::V4(ip) => {
                head.push(4);
                head.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                head.push(6);
                head.extend(ip.octets());
            }
        }
        head.extend(address.port().to_le_bytes());
        Seal { head, key: sealing.map(|(_, key)| key.clone()) }
    }

    fn tag_bytes(&self) -> usize {
        if self.key.is_some() { TAG_BYTES } else { 0 }
    }
}

impl Packets {
    /// Adds a message.
    ///
    /// # Errors
    /// If it fits no packet.
    pub fn push(&mut self, seal: &Seal, message: &Message) -> Result<(), TooLong> {
        if self.bytes.len() == self.start {
            self.bytes.extend(&seal.head);
        }
        let before = self.bytes.len();
        let end = encode_message(message, &mut self.bytes)?;
        if end + seal.tag_bytes() > self.start + PACKET_MAX {
            // It begins the next packet.
            let form = self.bytes.split_off(before);
            self.close(seal, true);
            self.bytes.extend(&seal.head);
            self.bytes.extend(form);
        }
        Ok(())
    }

    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.bytes.len().div_ceil(PACKET_MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Closes the last packet; then the bytes of all.
    pub fn finish(&mut self, seal: &Seal) -> &[u8] {
        if self.bytes.len() > self.start {
            self.close(seal, false);
        }
        &self.bytes
    }

    /// Begins anew, in the same memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    fn close(&mut self, seal: &Seal, pad: bool) {
        if pad {
            self.bytes.resize(self.start + PACKET_MAX - seal.tag_bytes(), 0);
        }
        if let Some(key) = &seal.key {
            let tag = key.tag(&self.bytes[self.start..]);
            self.bytes.extend(tag);
        }
        self.start = self.bytes.len();
    }
}

/// Where the sender of `packet` listens, and the messages in it, if it may be believed.
///
/// # Errors
/// If it is not of this protocol and version, or not sealed as it must be.
pub fn open<'a>(
    packet: &'a [u8],
    keys: Option<&Keys>,
) -> Result<(SocketAddr, Messages<'a>), DecodeError> {
    if packet.len() > PACKET_MAX {
        return Err(DecodeError::TooLong(PACKET_MAX));
    }
    let rest = match packet.strip_prefix(&MAGIC) {
        Some(rest) => rest,
        None if MAGIC.starts_with(packet) => return Err(DecodeError::Truncated),
        None => return Err(DecodeError::NotOurs),
    };
    let [version, number, ..] = rest else { return Err(DecodeError::Truncated) };
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let body = match keys {
        None if *number == KeyNumber::NONE.0 => &rest[2..],
        None => return Err(DecodeError::Unauthenticated),
        Some(keys) => {
            let end = packet.len().checked_sub(TAG_BYTES).filter(|end| *end >= 4);
            let (sealed, tag) = packet.split_at(end.ok_or(DecodeError::Unauthenticated)?);
            if !keys.accept(KeyNumber(*number), sealed, tag) {
                return Err(DecodeError::Unauthenticated);
            }
            &sealed[4..]
        }
    };
    let (address, messages) = sender(body).ok_or(DecodeError::Truncated)?;
    Ok((address, Messages(messages)))
}

/// Where the sender of `packet` says that it listens, whether or not it may be believed: for those
/// who carry packets and cannot open them. `None` if it is not of this protocol.
pub fn claimed_sender(packet: &[u8]) -> Option<SocketAddr> {
    let body = packet.strip_prefix(&MAGIC)?.get(2..)?;
    sender(body).map(|(address, _)| address)
}

/// Where the sender listens, and what follows.
fn sender(body: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (family, rest) = body.split_first()?;
    let (ip, rest): (IpAddr, _) = match family {
        4 => {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*octets).into(), rest)
        }
        6 => {
            let (octets, rest) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*octets).into(), rest)
        }
        _ => return None,
    };
    let (port, rest) = rest.split_first_chunk::<2>()?;
    Some((SocketAddr::new(ip, u16::from_le_bytes(*port)), rest))
}

/// The messages of a packet. One that has no meaning is an error; those after it are read all the
/// same, so that a program reads around the messages of a later version.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl Iterator for Messages<'_> {
    type Item = Result<Message, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = match self.0 {
            [] | [0, ..] => return None,
            [short, rest @ ..] if *short < 0x80 => (usize::from(*short), rest),
            [low, high, rest @ ..] if *high < 0x80 => {
                (usize::from(low & 0x7f) | usize::from(*high) << 7, rest)
            }
            [_, ..] => (usize::MAX, self.0),
        };
        let Some((form, rest)) = rest.split_at_checked(length) else {
            self.0 = &[];
            return Some(Err(DecodeError::Truncated));
        };
        self.0 = rest;
        Some(decode_message(form))
    }
}

#[cfg(test)]
mod tests;

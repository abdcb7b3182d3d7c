//! What the fuzz targets share.

pub mod cluster;
pub mod words;

use counterfoil_service::key::{Key, Keys};
use counterfoil_service::packet::{Packets, Seal};
use counterfoil_service::wire::Message;
use std::net::SocketAddr;

/// The keys of the fuzzed cluster.
pub fn keys() -> Keys {
    Keys::from(key("17"))
}

/// A key that the fuzzed cluster does not know.
pub fn other_keys() -> Keys {
    Keys::from(key("18"))
}

fn key(byte: &str) -> Key {
    Key::from_hex(&byte.repeat(32)).expect("64 digits")
}

/// Where the fuzzer says that it listens.
pub fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// `messages` in sealed packets; `None` if one of them fits no packet.
pub fn packed(seal: &Seal, messages: &[Message]) -> Option<Vec<u8>> {
    let mut packets = Packets::default();
    for message in messages {
        packets.push(seal, message).ok()?;
    }
    Some(packets.finish(seal).to_vec())
}

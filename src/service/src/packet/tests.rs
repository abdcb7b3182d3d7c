use super::*;
use counterfoil_protocol::{Actor, Incarnation, NodeId};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::wire::Peer;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn message() -> impl Strategy<Value = Message> {
    let peer = (any::<u32>(), any::<u64>(), address()).prop_map(|(id, life, address)| Peer {
        actor: Actor::Node(NodeId(id)),
        incarnation: Incarnation(life),
        address,
    });
    prop_oneof![
        any::<bool>().prop_map(|nodes| Message::WhoIsThere { nodes }),
        vec(peer, 0..20).prop_map(Message::Peers),
    ]
}

fn keys() -> Keys {
    Keys::from(Key::from_hex(&"17".repeat(32)).unwrap())
}

fn packed(seal: &Seal, messages: &[Message]) -> Vec<u8> {
    let mut packets = Packets::default();
    for message in messages {
        packets.push(seal, message).unwrap();
    }
    packets.finish(seal).to_vec()
}

proptest! {
    #[test]
    fn messages_arrive_in_order_with_where_their_sender_listens(
        from in address(),
        messages in vec(message(), 0..60),
        sealed in any::<bool>(),
    ) {
        let keys = sealed.then(keys);
        let bytes = packed(&Seal::new(from, keys.as_ref()), &messages);
        let mut arrived = Vec::new();
        for packet in bytes.chunks(PACKET_MAX) {
            let (sender, messages) = open(packet, keys.as_ref()).unwrap();
            prop_assert_eq!(sender, from);
            arrived.extend(messages.map(Result::unwrap));
        }
        prop_assert_eq!(arrived, messages);
    }

    #[test]
    fn a_sealed_packet_that_was_changed_anywhere_is_refused(
        messages in vec(message(), 1..4),
        place in any::<prop::sample::Index>(),
        bit in 0..8u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let keys = keys();
        let mut bytes = packed(&Seal::new(at(1), Some(&keys)), &messages);
        bytes.truncate(PACKET_MAX);
        prop_assert!(open(&bytes[..cut.index(bytes.len())], Some(&keys)).is_err());
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(open(&bytes, Some(&keys)).is_err());
    }

    #[test]
    fn whatever_arrives_is_opened_or_refused(
        bytes in vec(any::<u8>(), 0..1400),
        version in 1..4u8,
    ) {
        let keys = keys();
        let mut ours = b"CF".to_vec();
        ours.push(version);
        ours.push(0);
        ours.extend(&bytes);
        for bytes in [&bytes, &ours] {
            for keys in [None, Some(&keys)] {
                if let Ok((_, messages)) = open(bytes, keys) {
                    prop_assert!(messages.count() <= bytes.len());
                }
            }
        }
    }
}

#[test]
fn foreign_future_and_too_long_packets_are_told_apart() {
    let seal = Seal::new(at(1), None);
    let bytes = packed(&seal, &[Message::WhoIsThere { nodes: true }]);
    for early in [b"".as_slice(), b"C", b"CF", b"CF\x02"] {
        assert_eq!(open(early, None).err(), Some(DecodeError::Truncated));
    }
    assert_eq!(open(b"HTTP/1.1", None).err(), Some(DecodeError::NotOurs));
    let mut future = bytes.clone();
    future[2] = 3;
    assert_eq!(open(&future, None).err(), Some(DecodeError::Version(3)));
    let long = [bytes, vec![0; PACKET_MAX]].concat();
    assert_eq!(open(&long, None).err(), Some(DecodeError::TooLong(PACKET_MAX)));
}

#[test]
fn who_has_keys_believes_no_one_without_and_the_other_way_round() {
    let (keys, message) = (keys(), [Message::WhoIsThere { nodes: true }]);
    let sealed = packed(&Seal::new(at(1), Some(&keys)), &message);
    let open_to_all = packed(&Seal::new(at(1), None), &message);
    assert_eq!(open(&sealed, None).err(), Some(DecodeError::Unauthenticated));
    assert_eq!(open(&open_to_all, Some(&keys)).err(), Some(DecodeError::Unauthenticated));
    let other = Keys::from(Key::from_hex(&"18".repeat(32)).unwrap());
    assert_eq!(open(&sealed, Some(&other)).err(), Some(DecodeError::Unauthenticated));
}

#[test]
fn the_messages_of_a_later_version_are_read_around() {
    let seal = Seal::new(at(1), None);
    let who = Message::WhoIsThere { nodes: false };
    let mut bytes = packed(&seal, std::slice::from_ref(&who));
    // A message of a kind that is not known, three bytes long.
    bytes.extend([3, 200, 1, 2]);
    bytes.extend(&packed(&seal, std::slice::from_ref(&who))[seal.head.len()..]);
    let (_, messages) = open(&bytes, None).unwrap();
    let messages: Vec<_> = messages.collect();
    assert_eq!(messages, [Ok(who.clone()), Err(DecodeError::Malformed), Ok(who)]);
}

#[test]
fn all_packets_but_the_last_are_full() {
    let keys = keys();
    let peers = Message::Peers(vec![
        Peer {
            actor: Actor::Node(NodeId(1)),
            incarnation: Incarnation(1),
            address: at(1)
        };
        20
    ]);
    let seal = Seal::new(at(1), Some(&keys));
    let bytes = packed(&seal, &vec![peers; 40]);
    assert!(bytes.len() > 5 * PACKET_MAX);
    for packet in bytes.chunks(PACKET_MAX) {
        assert!(open(packet, Some(&keys)).unwrap().1.all(|message| message.is_ok()));
    }
}

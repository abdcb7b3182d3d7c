use super::*;
use counterfoil_service::packet::{Packets, Seal};
use counterfoil_service::wire::Message;
use std::net::Ipv4Addr;

const LOSSY: Links = Links {
    loss: 100,
    copies: 50,
    reorder: 20,
    delay_min: Duration::ZERO,
    delay_max: Duration::from_millis(2),
};

#[test]
fn what_becomes_of_a_packet_is_as_likely_as_it_is_said_and_the_same_again() {
    let all = |seed| (0..20_000).map(|count| fate(seed, (1, 2), count, &LOSSY)).collect::<Vec<_>>();
    let fates = all(7);
    assert_eq!(fates, all(7));
    assert_ne!(fates, all(8));
    let near = |found: usize, chance: usize| found.abs_diff(chance * 20) < chance * 4;
    let count = |of: fn(&Fate) -> bool| fates.iter().filter(|fate| of(fate)).count();
    assert!(near(count(|fate| fate.lost), 100), "{}", count(|fate| fate.lost));
    assert!(near(count(|fate| fate.copied), 50), "{}", count(|fate| fate.copied));
    assert!(near(count(|fate| fate.reordered), 20), "{}", count(|fate| fate.reordered));
    assert!(fates.iter().all(|fate| fate.delays[1] <= LOSSY.delay_max));
}

/// Two processes, and the relay between them.
struct Pair {
    relay: Relay,
    sockets: [UdpSocket; 2],
}

impl Pair {
    fn new(links: Links) -> Pair {
        let names = ["a".to_owned(), "b".to_owned()];
        let relay = Relay::start(1, Ipv4Addr::LOCALHOST.into(), &names, links).unwrap();
        let sockets = [0, 1].map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        for (name, socket) in names.iter().zip(&sockets) {
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            relay.set_target(name, socket.local_addr().unwrap());
        }
        Pair { relay, sockets }
    }

    fn send(&self, from: usize, to: usize) {
        let names = ["a", "b"];
        let seal = Seal::new(self.relay.address(names[from]), None);
        let mut packets = Packets::default();
        packets.push(&seal, &Message::WhoIsThere { nodes: true }).unwrap();
        let to = self.relay.address(names[to]);
        self.sockets[from].send_to(packets.finish(&seal), to).unwrap();
    }

    /// How many packets arrive until none does for a while.
    fn arrive(&self, at: usize) -> usize {
        let mut buffer = [0; PACKET_MAX];
        std::iter::from_fn(|| self.sockets[at].recv(&mut buffer).ok()).count()
    }
}

#[test]
fn packets_are_forwarded_parted_one_way_and_healed() {
    let pair = Pair::new(Links::default());
    let exchange = || {
        pair.send(0, 1);
        pair.send(1, 0);
        (pair.arrive(1), pair.arrive(0))
    };
    assert_eq!(exchange(), (1, 1));
    pair.relay.part(&["a".to_owned()], &["b".to_owned()], Way::OneWay);
    assert_eq!(exchange(), (0, 1));
    pair.relay.part(&["a".to_owned()], &["b".to_owned()], Way::TwoWay);
    assert_eq!(exchange(), (0, 0));
    pair.relay.heal();
    assert_eq!(exchange(), (1, 1));
    let Counts { forwarded, parted, .. } = pair.relay.counts();
    assert_eq!((forwarded, parted), (5, 3));
}

#[test]
fn all_is_lost_or_copied_if_it_is_said_and_strangers_pass() {
    let pair = Pair::new(Links { loss: 1000, ..Links::default() });
    pair.send(0, 1);
    assert_eq!(pair.arrive(1), 0);
    pair.relay.set_links(Links { copies: 1000, ..Links::default() });
    pair.send(0, 1);
    assert_eq!(pair.arrive(1), 2);
    pair.relay.set_links(Links { loss: 1000, ..Links::default() });
    let seal = Seal::new(SocketAddr::from(([127, 0, 0, 1], 1)), None);
    let mut packets = Packets::default();
    packets.push(&seal, &Message::WhoIsThere { nodes: true }).unwrap();
    let to = pair.relay.address("b");
    pair.sockets[0].send_to(packets.finish(&seal), to).unwrap();
    assert_eq!(pair.arrive(1), 1);
}

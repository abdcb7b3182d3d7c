//! The connections of clients over TCP: frames both ways.

use crate::link::{Incoming, split};
use crate::scheduler::{Connection, ConnectionNumber, Event, Front};
use crate::wire::{FROM_CLIENT_MAX, FromClient, TO_CLIENT_MAX};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

/// Connections at once. One more is turned away.
const CONNECTIONS_MAX: usize = 256;

/// Accepts connections on a thread of its own; each is read on a thread of its own.
pub(crate) fn accept(listener: TcpListener, front: Front) -> io::Result<()> {
    let accepting = thread::Builder::new().name("accept".to_owned());
    accepting.spawn(move || {
        // Every connection holds one, and so does this thread.
        let open = Arc::new(());
        for (number, stream) in (0..).map(ConnectionNumber).zip(listener.incoming()) {
            let token = Arc::clone(&open);
            if Arc::strong_count(&open) > CONNECTIONS_MAX + 1 {
                tracing::warn!("a connection was turned away: there are too many");
                continue;
            }
            let opened = stream.and_then(|stream| {
                let (link, incoming) = split(stream, TO_CLIENT_MAX, FROM_CLIENT_MAX)?;
                let front = front.clone();
                let say = Box::new(move |said| link.send(&said));
                let reading = thread::Builder::new().name("client".to_owned());
                reading.spawn(move || {
                    let _token = token;
                    read(incoming, Connection { number, say }, &front);
                })
            });
            if let Err(error) = opened {
                tracing::warn!(%error, "a connection was not accepted");
            }
        }
    })?;
    Ok(())
}

/// Reads a connection to its end.
fn read(mut incoming: Incoming, connection: Connection, front: &Front) {
    let client = match incoming.read() {
        Ok(FromClient::Hello(client)) => client,
        Ok(FromClient::Call(_) | FromClient::Datagram(_)) => {
            return tracing::warn!("a connection did not begin with a hello");
        }
        Err(error) => return tracing::warn!(%error, "a connection did not begin with a hello"),
    };
    let number = connection.number;
    let mut event = Event::Opened(client, connection);
    while front.say(event).is_ok() {
        event = match incoming.read() {
            Ok(said) => Event::Said(client, number, said),
            Err(error) => {
                tracing::info!(%client, %error, "a connection ended");
                let _ = front.say(Event::Closed(client, number));
                return;
            }
        };
    }
}

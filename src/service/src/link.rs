//! A connection between a client and a scheduler: frames both ways.

use crate::wire::{FrameError, Limited, encode_frame, read_frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Frames that may wait to be sent. One more, and the other end is too slow: the connection is
/// shut.
const WAITING_MAX: usize = 4096;

/// The sending half of a connection.
#[derive(Debug)]
pub struct Link {
    frames: SyncSender<Vec<u8>>,
    stream: TcpStream,
    frame_max: usize,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Incoming {
    stream: BufReader<TcpStream>,
    frame_max: usize,
}

/// Splits a connection. Frames to the other end are up to `out_max` bytes, from it up to `in_max`.
///
/// # Errors
/// If the system does not play along.
pub fn split(stream: TcpStream, out_max: usize, in_max: usize) -> io::Result<(Link, Incoming)> {
    stream.set_nodelay(true)?;
    let (frames, waiting) = sync_channel(WAITING_MAX);
    let writer = stream.try_clone()?;
    thread::Builder::new().name("link".to_owned()).spawn(move || write(writer, &waiting))?;
    let incoming = BufReader::new(stream.try_clone()?);
    Ok((
        Link { frames, stream, frame_max: out_max },
        Incoming { stream: incoming, frame_max: in_max },
    ))
}

impl Link {
    /// Sends a frame, without waiting. If the other end is too slow, or the frame too long, the
    /// connection is shut, and its receiving half ends.
    pub fn send(&self, frame: &impl Serialize) {
        match encode_frame(frame, self.frame_max) {
            Ok(bytes) => {
                if self.frames.try_send(bytes).is_err() {
                    tracing::debug!("the other end of a connection is too slow or gone");
                    self.shut();
                }
            }
            Err(too_long) => {
                tracing::warn!(%too_long, "frame not sent");
                self.shut();
            }
        }
    }

    /// Ends the connection.
    pub fn shut(&self) {
        // It fails only if the connection has ended, which is what is wanted.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Incoming {
    /// The next frame.
    ///
    /// # Errors
    /// If the connection has ended, or what arrives has no meaning.
    pub fn read<T: DeserializeOwned + Limited>(&mut self) -> Result<T, FrameError> {
        read_frame(&mut self.stream, self.frame_max)
    }
}

fn write(mut stream: TcpStream, waiting: &Receiver<Vec<u8>>) {
    while let Ok(frame) = waiting.recv() {
        if stream.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

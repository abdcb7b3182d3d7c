//! Reads a recording.

use crate::format::{BODY_MAX, Batch, Header, MAGIC, VERSION};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Reads a recording, batch by batch.
#[derive(Debug)]
pub struct Reader<F = BufReader<File>> {
    file: F,
    /// Bytes read so far.
    offset: u64,
    header: Header,
    ending: Option<Ending>,
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After a whole frame.
    Whole,
    /// In the middle of a frame: its writer was killed while it wrote, so nothing came of that
    /// batch.
    Torn {
        /// Where the unfinished frame begins, in bytes.
        offset: u64,
    },
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// The first bytes are others.
    #[error("is no recording")]
    NotARecording,
    /// It was written by a later version of this program.
    #[error("has format version {0}; this program reads {VERSION}")]
    Version(u16),
    /// It ends before its header does: its writer was killed before it did anything.
    #[error("ends within its header")]
    NoHeader,
    /// A whole frame is damaged.
    #[error("the frame at byte {offset} is damaged: {damage}")]
    Damaged {
        /// Where the frame begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its length is larger than any frame's.
    #[error("its length cannot be right")]
    Length,
    /// Its body is not what was written.
    #[error("its checksum is another")]
    Checksum,
    /// Its body is what was written, but no value of the expected type.
    #[error("its body has no meaning")]
    Body,
}

enum Frame {
    Whole(Vec<u8>),
    Torn,
    End,
}

impl Reader<BufReader<File>> {
    /// Opens the recording at `path` and reads its header.
    ///
    /// # Errors
    /// If it cannot be read or has no whole header.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Reader::new(BufReader::new(File::open(path)?))
    }
}

impl<F: Read> Reader<F> {
    /// Reads the header of the recording in `file`.
    ///
    /// # Errors
    /// If it cannot be read or has no whole header.
    pub fn new(mut file: F) -> Result<Self, Error> {
        let mut magic = Vec::new();
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if !MAGIC.starts_with(&magic) {
            return Err(Error::NotARecording);
        }
        let mut version = Vec::new();
        file.by_ref().take(2).read_to_end(&mut version)?;
        let Ok(version) = <[u8; 2]>::try_from(version) else { return Err(Error::NoHeader) };
        let version = u16::from_le_bytes(version);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let mut offset = MAGIC.len() as u64 + 2;
        let header = match read_frame(&mut file, &mut offset)? {
            Frame::Whole(body) => decode(&body, MAGIC.len() as u64 + 2)?,
            Frame::Torn | Frame::End => return Err(Error::NoHeader),
        };
        Ok(Reader { file, offset, header, ending: None })
    }

    /// What the run starts from.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next whole batch; `None` at the end, and [`Reader::ending`] then says which.
    ///
    /// # Errors
    /// If the file cannot be read or a whole frame is damaged. A damaged length mostly looks like a
    /// torn frame, because it points beyond the end.
    pub fn batch<I: DeserializeOwned>(&mut self) -> Result<Option<Batch<I>>, Error> {
        if self.ending.is_some() {
            return Ok(None);
        }
        let offset = self.offset;
        match read_frame(&mut self.file, &mut self.offset)? {
            Frame::Whole(body) => return Ok(Some(decode(&body, offset)?)),
            Frame::Torn => self.ending = Some(Ending::Torn { offset }),
            Frame::End => self.ending = Some(Ending::Whole),
        }
        Ok(None)
    }

    /// How the recording ends, once it has been read to its end.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }
}

fn read_frame(file: &mut impl Read, offset: &mut u64) -> Result<Frame, Error> {
    let start = *offset;
    let damaged = |damage| Error::Damaged { offset: start, damage };
    let mut head = Vec::new();
    *offset += file.by_ref().take(8).read_to_end(&mut head)? as u64;
    let Ok([l0, l1, l2, l3, c0, c1, c2, c3]) = <[u8; 8]>::try_from(head.as_slice()) else {
        return Ok(if head.is_empty() { Frame::End } else { Frame::Torn });
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > BODY_MAX {
        return Err(damaged(Damage::Length));
    }
    let mut body = Vec::new();
    *offset += file.by_ref().take(length as u64).read_to_end(&mut body)? as u64;
    if body.len() < length {
        return Ok(Frame::Torn);
    }
    if crc32fast::hash(&body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(damaged(Damage::Checksum));
    }
    Ok(Frame::Whole(body))
}

fn decode<T: DeserializeOwned>(body: &[u8], offset: u64) -> Result<T, Error> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Error::Damaged { offset, damage: Damage::Body }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Entry, Origin};
    use crate::writer::Writer;
    use counterfoil_protocol::{Config, NodeId, Timer, node};
    use std::time::Duration;

    fn header() -> Header {
        let origin = Origin::Node(NodeId(3), node::Disk::default());
        Header { origin, config: Config::default(), running: None, started: 7 }
    }

    fn batch(outputs: u32) -> Batch<node::Input> {
        let entry = Entry { input: node::Input::Timer(Timer::Announce), outputs };
        Batch { elapsed: Duration::from_millis(5), entries: vec![entry.clone(), entry] }
    }

    /// A recording of two batches, and where each of its frames begins.
    fn recording() -> (Vec<u8>, [usize; 3]) {
        let mut bytes = Vec::new();
        let mut writer = Writer::start(&mut bytes, &header()).unwrap();
        writer.write(&batch(1)).unwrap();
        writer.write(&batch(2)).unwrap();
        let length = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let first = 10 + 8 + length(10);
        let second = first + 8 + length(first);
        (bytes, [10, first, second])
    }

    type Batches = Vec<Batch<node::Input>>;

    fn read(bytes: &[u8]) -> Result<(Header, Batches, Ending), Error> {
        let mut reader = Reader::new(bytes)?;
        let mut batches = Vec::new();
        while let Some(batch) = reader.batch()? {
            batches.push(batch);
        }
        Ok((reader.header().clone(), batches, reader.ending().unwrap()))
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, _) = recording();
        let read = read(&bytes).unwrap();
        assert_eq!(read, (header(), vec![batch(1), batch(2)], Ending::Whole));
    }

    #[test]
    fn a_recording_cut_anywhere_gives_its_whole_frames_and_no_more() {
        let (bytes, [_, first, second]) = recording();
        for end in 0..bytes.len() {
            let found = read(&bytes[..end]);
            if end < first {
                assert!(matches!(found, Err(Error::NoHeader)), "cut at {end}");
                continue;
            }
            let (_, batches, ending) = found.unwrap();
            let whole = if end < second { vec![] } else { vec![batch(1)] };
            let start = if end < second { first } else { second };
            let torn = Ending::Torn { offset: start as u64 };
            assert_eq!(batches, whole, "cut at {end}");
            assert_eq!(ending, if end == start { Ending::Whole } else { torn }, "cut at {end}");
        }
    }

    #[test]
    fn a_changed_byte_of_a_checksum_or_body_is_damage() {
        let (bytes, starts) = recording();
        let in_a_length = |at: usize| starts.iter().any(|start| (*start..start + 4).contains(&at));
        for at in (10..bytes.len()).filter(|at| !in_a_length(*at)) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let offset = *starts.iter().rfind(|start| **start <= at).unwrap() as u64;
            match read(&bytes) {
                Err(Error::Damaged { offset: found, damage: Damage::Checksum }) => {
                    assert_eq!(found, offset, "changed at {at}");
                }
                other => panic!("changed at {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_damage() {
        let (mut bytes, [_, first, _]) = recording();
        bytes[first + 3] = 0xff;
        let found = read(&bytes);
        assert!(matches!(found, Err(Error::Damaged { damage: Damage::Length, .. })), "{found:?}");
    }

    #[test]
    fn a_body_of_another_type_is_damage() {
        let (bytes, _) = recording();
        let mut reader = Reader::new(bytes.as_slice()).unwrap();
        let found = reader.batch::<u8>();
        assert!(matches!(found, Err(Error::Damaged { damage: Damage::Body, .. })), "{found:?}");
    }

    #[test]
    fn other_files_and_other_versions_are_told_apart() {
        let (mut bytes, _) = recording();
        bytes[8] = 1;
        assert!(matches!(read(&bytes), Err(Error::Version(1))));
        bytes[0] = b'X';
        assert!(matches!(read(&bytes), Err(Error::NotARecording)));
        assert!(matches!(read(b"vmId,tenantId"), Err(Error::NotARecording)));
    }
}

//! Writes a recording.

use crate::format::{Batch, Header, MAGIC, VERSION, body};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Writes a recording, each batch with one write.
#[derive(Debug)]
pub struct Writer<W = File> {
    file: W,
    bytes: u64,
}

impl Writer<File> {
    /// Starts the recording at `path`.
    ///
    /// # Errors
    /// If the file cannot be made, or is there: a recording is never continued or overwritten.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Writer::start(file, header)
    }
}

impl<W: Write> Writer<W> {
    /// Starts a recording in `file`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn start(mut file: W, header: &Header) -> io::Result<Self> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        append_frame(&mut bytes, header);
        file.write_all(&bytes)?;
        Ok(Writer { file, bytes: bytes.len() as u64 })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// If it cannot be written. The recording then ends torn, and nothing that the batch leads to
    /// may be carried out.
    pub fn write<I: Serialize>(&mut self, batch: &Batch<I>) -> io::Result<()> {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, batch);
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn append_frame(bytes: &mut Vec<u8>, value: &impl Serialize) {
    let body = body(value);
    let length = u32::try_from(body.len()).expect("a frame is far smaller than 4 GiB");
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
}

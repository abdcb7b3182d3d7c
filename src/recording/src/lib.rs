//! What a process was given, input by input: enough to rebuild its run exactly.
//!
//! A machine is deterministic, so the disk that it started from and every input in order say
//! everything about a run. A recording is a file:
//!
//! | part | content |
//! |---|---|
//! | magic | 8 bytes, `CFRECORD` |
//! | version | u16, little endian, of this format |
//! | frame | [`Header`] |
//! | frame, any number | [`Batch`] |
//!
//! and a frame is the length of its body in bytes (u32, little endian), the CRC-32 of its body
//! (u32, little endian), and the body: one value in postcard form.
//!
//! One life of an actor is one file, or several, each of which begins with the machine as the one
//! before leaves it behind. The process writes a batch, with one write, before it carries
//! out anything that the batch leads to: first the batch, then the commit of what it persists, then
//! what it sends. So whoever is killed has recorded everything that it told, and of what it
//! recorded only the last batch may have had no effect. [`Run`] finds out by the disk that the next
//! life started from. Recordings outlive their process, not the machine that it ran on: nothing is
//! flushed.

pub mod audit;
mod format;
mod reader;
mod role;
mod run;
mod writer;

pub use format::{Batch, Entry, Header, MAGIC, Origin, Running, VERSION, digest};
pub use reader::{Damage, Ending, Error, Reader};
pub use role::Role;
pub use run::{Run, RunError, Start, Step};
pub use writer::Writer;

//! Drives a machine: waits for inputs, hands them to it, carries out what it says.
//!
//! One turn takes a bounded batch of inputs. What came of them is first recorded, then committed,
//! then carried out, so that nothing is told that a crash could take back, and nothing that was
//! told is missing from the recording.

use crate::store::{Store, StoreError};
use crate::timers::Timers;
use counterfoil_protocol::{Choice, Config, Given, Output, Record};
use counterfoil_recording::{Batch, Entry, Header, Role, Writer, digest};
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Inputs that one turn takes from outside, at most; and timers, at most.
pub const BATCH_MAX: usize = 256;

/// What is around a machine.
pub trait Outside<R: Role> {
    /// Waits until something happens or `deadline` has come, and appends up to [`BATCH_MAX`]
    /// inputs. Breaks when the machine is to stop.
    ///
    /// # Errors
    /// If nothing can happen any more.
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<R::Input>,
    ) -> io::Result<ControlFlow<()>>;

    /// Makes a choice for the machine; `None` if it will be made later.
    fn choose(&mut self, machine: &R, choice: &Choice) -> Option<R::Input>;

    /// Carries out a send, a call, an answer, or what became of a request. What cannot be carried
    /// out is lost, like a datagram.
    fn carry_out(&mut self, output: Output);
}

/// Why a driver cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// What must be kept cannot be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recording cannot be written.
    #[error("the recording {path:?} cannot be written")]
    Recording {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can be waited for.
    #[error("nothing more can arrive")]
    Wait(#[from] io::Error),
}

/// Drives one machine.
#[derive(Debug)]
pub struct Driver<R: Role> {
    machine: R,
    store: Store<R>,
    recording: Option<(Writer, PathBuf)>,
    timers: Timers,
    started: Instant,
}

/// What came of a batch so far.
struct Effects<I> {
    entries: Vec<Entry<I>>,
    records: Vec<Record>,
    outward: Vec<Output>,
}

/// What is still to be handed to the machine.
enum Next<I> {
    Input(I),
    Choice(Choice),
}

impl<R: Role> Driver<R> {
    /// Starts the next life of `id` from `disk`, which was loaded from `store`, and records it in
    /// `recording`, if given.
    ///
    /// # Errors
    /// If its start cannot be recorded or committed; then it has not started.
    pub fn start(
        id: R::Id,
        (store, disk): (Store<R>, R::Disk),
        config: Config,
        recording: Option<&Path>,
        outside: &mut impl Outside<R>,
    ) -> Result<Self, DriverError> {
        let mut outputs = Vec::new();
        let machine = R::start(id, disk.clone(), Given::new(config.clone()), &mut outputs);
        let origin = R::origin(id, disk);
        let header = Header { origin, config, started: digest(&outputs) };
        let create = |path: &Path| {
            let writer = Writer::create(path, &header)
                .map_err(|source| DriverError::Recording { path: path.to_owned(), source })?;
            Ok::<_, DriverError>((writer, path.to_owned()))
        };
        let recording = recording.map(create).transpose()?;
        let (timers, started) = (Timers::default(), Instant::now());
        let mut driver = Driver { machine, store, recording, timers, started };
        let (mut effects, mut todo) = (Effects::none(), VecDeque::new());
        driver.sort(outputs, &mut effects, &mut todo);
        driver.finish(todo, effects, outside)?;
        Ok(driver)
    }

    /// The machine.
    pub fn machine(&self) -> &R {
        &self.machine
    }

    /// Hands `inputs` to the machine, as one batch, and carries out what comes of them.
    ///
    /// # Errors
    /// If the batch cannot be recorded or committed; then nothing of it was carried out.
    pub fn give(
        &mut self,
        inputs: impl IntoIterator<Item = R::Input>,
        outside: &mut impl Outside<R>,
    ) -> Result<(), DriverError> {
        self.finish(inputs.into_iter().map(Next::Input).collect(), Effects::none(), outside)
    }

    /// One turn: waits, and gives the machine what happened. Breaks when it is to stop.
    ///
    /// # Errors
    /// As [`Driver::give`], and if nothing can be waited for.
    pub fn turn(&mut self, outside: &mut impl Outside<R>) -> Result<ControlFlow<()>, DriverError> {
        let mut inputs = Vec::new();
        let flow = outside.wait(self.timers.next(), &mut inputs)?;
        let now = Instant::now();
        let due = std::iter::from_fn(|| self.timers.take_due(now)).take(BATCH_MAX);
        inputs.extend(due.map(R::timer));
        self.give(inputs, outside)?;
        Ok(flow)
    }

    /// Takes turns until it is to stop.
    ///
    /// # Errors
    /// As [`Driver::turn`].
    pub fn run(&mut self, outside: &mut impl Outside<R>) -> Result<(), DriverError> {
        while self.turn(outside)?.is_continue() {}
        Ok(())
    }

    fn finish(
        &mut self,
        mut todo: VecDeque<Next<R::Input>>,
        mut effects: Effects<R::Input>,
        outside: &mut impl Outside<R>,
    ) -> Result<(), DriverError> {
        while let Some(next) = todo.pop_front() {
            let input = match next {
                Next::Input(input) => input,
                Next::Choice(choice) => match outside.choose(&self.machine, &choice) {
                    Some(input) => input,
                    None => continue,
                },
            };
            let mut outputs = Vec::new();
            self.machine.handle(input.clone(), &mut outputs);
            effects.entries.push(Entry { input, outputs: digest(&outputs) });
            self.sort(outputs, &mut effects, &mut todo);
        }
        if let Some((writer, path)) = &mut self.recording
            && !effects.entries.is_empty()
        {
            let batch = Batch { elapsed: self.started.elapsed(), entries: effects.entries };
            let written = writer.write(&batch);
            written.map_err(|source| DriverError::Recording { path: path.clone(), source })?;
        }
        if !effects.records.is_empty() {
            self.store.commit(&effects.records)?;
        }
        for output in effects.outward {
            outside.carry_out(output);
        }
        Ok(())
    }

    /// Sets timers; puts choices before everything else that is to be handed in; keeps the rest for
    /// when the batch is committed.
    fn sort(
        &mut self,
        outputs: Vec<Output>,
        effects: &mut Effects<R::Input>,
        todo: &mut VecDeque<Next<R::Input>>,
    ) {
        let mut choices = Vec::new();
        for output in outputs {
            match output {
                Output::Persist(record) => effects.records.push(record),
                Output::SetTimer { timer, after } => self.timers.set(timer, Instant::now() + after),
                Output::Choose(choice) => choices.push(choice),
                Output::Notice(notice) => tracing::trace!(?notice),
                Output::Send(_) | Output::Call(..) | Output::Answer(..) | Output::Ended(..) => {
                    effects.outward.push(output);
                }
            }
        }
        for choice in choices.into_iter().rev() {
            todo.push_front(Next::Choice(choice));
        }
    }
}

impl<I> Effects<I> {
    fn none() -> Self {
        Effects { entries: Vec::new(), records: Vec::new(), outward: Vec::new() }
    }
}

#[cfg(test)]
mod tests;

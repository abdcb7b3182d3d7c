//! Drives machines: waits for inputs, hands them over, carries out what the machines say.
//!
//! A driver has the machines of one process, all of one role: one scheduler, or as many nodes as
//! live in it. One turn takes a bounded batch of inputs for any of them. What came of them is first
//! recorded, then committed, all with one flush to disk, then carried out; so nothing is told that a
//! crash could take back, and nothing that was told is missing from a recording.

use crate::meters::{Gauge, Meters};
use crate::monitor::{Monitor, OnViolation, Violated, Watch};
use crate::recorder::{Extent, Recorder, RecorderError};
use crate::store::{Kept, Store, StoreError};
use crate::timers::Timers;
use counterfoil_protocol::{Choice, Config, Given, Output, Record, Timer};
use counterfoil_recording::audit::Judged;
use counterfoil_recording::{Batch, Entry, Header, Role, digest};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Timers that one turn takes, at most.
pub const TIMERS_MAX: usize = 1024;

/// From one time that what there is is counted to the next, at least.
const COUNTED: Duration = Duration::from_millis(500);

/// What is around the machines of a process.
pub trait Outside<R: Role> {
    /// Waits until something happens or `deadline` has come, and appends what is to be handed over:
    /// a bounded number of inputs, each with the actor that it is for. Breaks when the machines are
    /// to stop.
    ///
    /// # Errors
    /// If nothing can happen any more.
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        inputs: &mut Vec<(R::Id, R::Input)>,
    ) -> io::Result<ControlFlow<()>>;

    /// The machine is about to take this input.
    fn before(&mut self, _: &R::Input) {}

    /// The machine has taken the input that was shown before.
    fn after(&mut self, _: &R) {}

    /// Makes a choice for the machine; `None` if it will be made later.
    fn choose(&mut self, machine: &R, choice: &Choice) -> Option<R::Input>;

    /// Carries out a send, a call, an answer, or what became of a request, for actor `id`. What
    /// cannot be carried out is lost, like a datagram.
    fn carry_out(&mut self, id: R::Id, output: Output);

    /// All of a turn was carried out.
    fn flush(&mut self) {}

    /// Where to count what happens, if anywhere.
    fn meters(&self) -> Option<&Meters> {
        None
    }

    /// Counts what there is, about twice a second while the driver takes turns.
    fn count(&self, _: &mut dyn Iterator<Item = &R>) {}
}

/// Why a driver cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// What must be kept cannot be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recording cannot be written.
    #[error(transparent)]
    Recording(#[from] RecorderError),
    /// A property was violated, and the process is to stop then.
    #[error(transparent)]
    Violated(#[from] Box<Violated>),
    /// Nothing can be waited for.
    #[error("nothing more can arrive")]
    Wait(#[from] io::Error),
}

/// Drives the machines of one process.
#[derive(Debug)]
pub struct Driver<R: Role> {
    actors: BTreeMap<R::Id, Actor<R>>,
    store: Store<R>,
    timers: Timers<(R::Id, Timer)>,
    started: Instant,
    /// When it began to hand over what it hands over.
    now: Instant,
    config: Config,
    effects: Effects<R>,
    /// What a turn is given; then room for it.
    inputs: Vec<(R::Id, R::Input)>,
    /// When what there is is counted next.
    counts_at: Instant,
    monitor: Option<Monitor>,
}

/// A machine, and where it is recorded.
#[derive(Debug)]
struct Actor<R: Role> {
    machine: R,
    recorder: Option<Recorder>,
    /// What is recorded of the turn so far.
    entries: Vec<Entry<R::Input>>,
}

/// What came of a turn so far.
#[derive(Debug)]
struct Effects<R: Role> {
    records: Vec<(R::Id, Record)>,
    outward: Vec<(R::Id, Output)>,
    /// Actors with entries to record.
    recorded: Vec<R::Id>,
    /// A violation after which nothing of the turn may be told.
    violated: Option<Box<Violated>>,
}

impl<R: Judged> Driver<R> {
    /// Starts the next life of every actor from its disk, which was loaded from the store, and
    /// records it from the file on that `recording` names for it, if it does.
    ///
    /// # Errors
    /// If a start cannot be recorded or committed; then none has started.
    pub fn start(
        (store, disks): Kept<R>,
        (config, watch): (&Config, Watch),
        recording: impl Fn(R::Id) -> Option<(PathBuf, Extent)>,
        outside: &mut impl Outside<R>,
    ) -> Result<Self, DriverError> {
        let given = Given::new(config.clone());
        let mut driver = Driver {
            actors: BTreeMap::new(),
            store,
            timers: Timers::default(),
            started: Instant::now(),
            now: Instant::now(),
            config: config.clone(),
            effects: Effects::none(),
            inputs: Vec::new(),
            counts_at: Instant::now(),
            monitor: Monitor::new(watch),
        };
        let mut choices = VecDeque::new();
        for (id, disk) in disks {
            let mut outputs = Vec::new();
            let machine = R::start(id, disk.clone(), given.clone(), &mut outputs);
            let header = Header {
                origin: R::origin(id, disk),
                config: config.clone(),
                running: None,
                started: digest(&outputs),
            };
            let record = |(path, extent)| Recorder::start(path, &header, extent);
            let recorder = recording(id).map(record).transpose()?;
            if let Some(monitor) = &mut driver.monitor {
                monitor.started(&machine, &outputs);
            }
            driver.actors.insert(id, Actor { machine, recorder, entries: Vec::new() });
            driver.sort(id, &mut outputs, &mut choices, outside);
        }
        driver.finish(outside)?;
        Ok(driver)
    }

    /// The machine of an actor of this process.
    ///
    /// # Panics
    /// If it is of another process.
    pub fn machine(&self, id: R::Id) -> &R {
        &self.actors[&id].machine
    }

    /// The machines, by name.
    pub fn machines(&self) -> impl Iterator<Item = (R::Id, &R)> {
        self.actors.iter().map(|(id, actor)| (*id, &actor.machine))
    }

    /// Hands `inputs` over, as one batch, and carries out what comes of them. One for an actor of
    /// another process is left out.
    ///
    /// # Errors
    /// If the batch cannot be recorded or committed; then nothing of it was carried out.
    pub fn give(
        &mut self,
        inputs: impl IntoIterator<Item = (R::Id, R::Input)>,
        outside: &mut impl Outside<R>,
    ) -> Result<(), DriverError> {
        self.hand_over(inputs, outside);
        self.finish(outside)
    }

    /// One turn: waits, and hands over what happened, and then the timers that are due, those too that
    /// were set in this turn: what changed is told together with what it answers. Breaks when it is to
    /// stop.
    ///
    /// # Errors
    /// As [`Driver::give`], and if nothing can be waited for.
    pub fn turn(&mut self, outside: &mut impl Outside<R>) -> Result<ControlFlow<()>, DriverError> {
        let mut inputs = std::mem::take(&mut self.inputs);
        let flow = outside.wait(self.timers.next(), &mut inputs)?;
        let began = Instant::now();
        let arrived = inputs.len();
        self.hand_over(inputs.drain(..), outside);
        let now = Instant::now();
        let due = std::iter::from_fn(|| self.timers.take_due(now)).take(TIMERS_MAX);
        inputs.extend(due.map(|(id, timer)| (id, R::timer(timer))));
        let size = arrived + inputs.len();
        self.hand_over(inputs.drain(..), outside);
        self.inputs = inputs;
        self.finish(outside)?;
        self.count(size, began, outside);
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

    /// Counts a turn of `size` inputs that began at `began` and, from time to time, what there is.
    fn count(&mut self, size: usize, began: Instant, outside: &impl Outside<R>) {
        let Some(meters) = outside.meters() else { return };
        if size > 0 {
            meters.turned(size, began.elapsed());
        }
        if self.counts_at <= began {
            self.counts_at = began + COUNTED;
            meters.set(Gauge::TimersSet, self.timers.len());
            outside.count(&mut self.actors.values().map(|actor| &actor.machine));
        }
    }

    /// Hands `inputs` over; what comes of them is kept for [`Driver::finish`].
    fn hand_over(
        &mut self,
        inputs: impl IntoIterator<Item = (R::Id, R::Input)>,
        outside: &mut impl Outside<R>,
    ) {
        let (mut outputs, mut choices) = (Vec::new(), VecDeque::new());
        self.now = Instant::now();
        for (id, input) in inputs {
            let mut next = Some(input);
            while let Some(input) = next {
                self.step(id, input, &mut outputs, outside);
                self.sort(id, &mut outputs, &mut choices, outside);
                // What is chosen is handed over before anything else.
                next = std::iter::from_fn(|| choices.pop_front())
                    .find_map(|choice| self.choose(id, &choice, outside));
            }
        }
    }

    /// Makes a choice for an actor; `None` if it will be made later.
    fn choose(
        &self,
        id: R::Id,
        choice: &Choice,
        outside: &mut impl Outside<R>,
    ) -> Option<R::Input> {
        outside.choose(&self.actors.get(&id)?.machine, choice)
    }

    fn step(
        &mut self,
        id: R::Id,
        input: R::Input,
        outputs: &mut Vec<Output>,
        outside: &mut impl Outside<R>,
    ) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        outside.before(&input);
        let recorded = actor.recorder.is_some().then(|| input.clone());
        let watched = self.monitor.as_mut().and_then(|m| m.begin(&actor.machine, &input));
        actor.machine.handle(input, outputs);
        outside.after(&actor.machine);
        if let (Some(monitor), Some(under_way)) = (&mut self.monitor, watched) {
            for (property, violation) in monitor.end(&under_way, &actor.machine, outputs) {
                if let Some(meters) = outside.meters() {
                    meters.violated(property);
                }
                let actor = R::actor(id);
                let violated = Box::new(Violated { property, actor, violation });
                match monitor.on_violation() {
                    OnViolation::Off | OnViolation::Count => {}
                    OnViolation::Log => tracing::error!(%violated, facts = ?violated.violation),
                    OnViolation::Abort => {
                        self.effects.violated.get_or_insert(violated);
                    }
                }
            }
        }
        if let Some(input) = recorded {
            if actor.entries.is_empty() {
                self.effects.recorded.push(id);
            }
            actor.entries.push(Entry { input, outputs: digest(outputs) });
        }
    }

    /// Sets timers; puts choices before those that were asked for earlier; keeps the rest
    /// for when the turn is committed.
    fn sort(
        &mut self,
        id: R::Id,
        outputs: &mut Vec<Output>,
        choices: &mut VecDeque<Choice>,
        outside: &impl Outside<R>,
    ) {
        let mut asked = Vec::new();
        for output in outputs.drain(..) {
            match output {
                Output::Persist(record) => self.effects.records.push((id, record)),
                Output::SetTimer { timer, after } => {
                    self.timers.set((id, timer), self.now + after);
                }
                Output::Choose(choice) => asked.push(choice),
                Output::Notice(notice) => {
                    tracing::trace!(?notice);
                    if let Some(meters) = outside.meters() {
                        meters.noticed(notice);
                    }
                }
                Output::Send(_) | Output::Call(..) | Output::Answer(..) | Output::Ended(..) => {
                    self.effects.outward.push((id, output));
                }
            }
        }
        for choice in asked.into_iter().rev() {
            choices.push_front(choice);
        }
    }

    /// Records, commits and carries out what came of the turn.
    fn finish(&mut self, outside: &mut impl Outside<R>) -> Result<(), DriverError> {
        let elapsed = self.started.elapsed();
        for id in &self.effects.recorded {
            let actor = self.actors.get_mut(id).expect("it took a step");
            let entries = std::mem::take(&mut actor.entries);
            let recorder = actor.recorder.as_mut().expect("it has entries");
            let bytes = recorder.write::<R>(&Batch { elapsed, entries })?;
            if let Some(meters) = outside.meters() {
                meters.recorded(bytes);
            }
        }
        if let Some(violated) = self.effects.violated.take() {
            return Err(violated.into());
        }
        if !self.effects.records.is_empty() {
            let began = Instant::now();
            self.store.commit(&self.effects.records)?;
            if let Some(meters) = outside.meters() {
                meters.committed(self.effects.records.len(), began.elapsed());
            }
            self.effects.records.clear();
        }
        for id in self.effects.recorded.drain(..) {
            let actor = self.actors.get_mut(&id).expect("it took a step");
            let recorder = actor.recorder.as_mut().expect("it has entries");
            recorder.rotate(id, &actor.machine, &self.config)?;
        }
        for (id, output) in self.effects.outward.drain(..) {
            if let (Output::Answer(_, answer), Some(meters)) = (&output, outside.meters()) {
                meters.answered(&answer.placement);
            }
            outside.carry_out(id, output);
        }
        outside.flush();
        Ok(())
    }
}

impl<R: Role> Effects<R> {
    fn none() -> Self {
        Effects { records: Vec::new(), outward: Vec::new(), recorded: Vec::new(), violated: None }
    }
}

#[cfg(test)]
mod tests;

//! Rebuilds a run from its recording.

use crate::format::{Batch, digest};
use crate::reader::{Ending, Error, Reader};
use crate::role::Role;
use counterfoil_protocol::{Given, Output};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read};
use std::time::Duration;

/// A run, rebuilt: starts the machine as it was started, gives it what it was given, and compares
/// what it puts out with what it put out. Yields the steps in order and ends after the first error.
#[derive(Debug)]
pub struct Run<R: Role, F = BufReader<File>> {
    reader: Reader<F>,
    id: R::Id,
    machine: R,
    disk: R::Disk,
    start: Option<Start<R>>,
    next_disk: Option<R::Disk>,
    ahead: Option<Batch<R::Input>>,
    ready: VecDeque<Step<R>>,
    steps: u64,
    steps_without_effect: u64,
    over: bool,
}

/// How a run began.
#[derive(Clone, Debug)]
pub struct Start<R: Role> {
    /// The disk before.
    pub disk: R::Disk,
    /// The machine after.
    pub machine: R,
    /// What it put out.
    pub outputs: Vec<Output>,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct Step<R: Role> {
    /// Counts the steps of the run, from 1.
    pub number: u64,
    /// Since the start of the process; for people only.
    pub elapsed: Duration,
    /// The machine before.
    pub before: R,
    /// What it was given.
    pub input: R::Input,
    /// What it put out.
    pub outputs: Vec<Output>,
    /// The machine after.
    pub after: R,
}

/// Why a run cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its recording cannot be read.
    #[error(transparent)]
    Recording(#[from] Error),
    /// It is the recording of another role.
    #[error("is the recording of {0}, of another role")]
    OtherRole(counterfoil_protocol::Actor),
    /// The machine put out something else than it did then.
    #[error("step {step} puts out something else than it did when it was recorded")]
    Diverged {
        /// The step; 0 is the start.
        step: u64,
    },
    /// The disk of the next life is neither what this life leaves behind, nor what it left behind
    /// before its last batch.
    #[error("the disk that the next life started from is not what this one left behind")]
    OtherDisk,
}

impl<R: Role, F: Read> Run<R, F> {
    /// Begins to rebuild the run in `reader`.
    ///
    /// `next_disk` is the disk that the next life of the same actor started from, if there was one.
    /// It shows whether the last batch had an effect: if it was recorded and its changes never
    /// reached the disk, nothing that it sends left either, and its steps are left out.
    ///
    /// # Errors
    /// If the recording is of another role, or damaged, or the machine starts another way.
    pub fn rebuild(
        mut reader: Reader<F>,
        next_disk: Option<R::Disk>,
    ) -> Result<Run<R, F>, RunError> {
        let header = reader.header();
        let Some((id, before)) = R::of(&header.origin) else {
            return Err(RunError::OtherRole(header.origin.actor()));
        };
        let before = before.clone();
        let mut outputs = Vec::new();
        let config = Given::new(header.config.clone());
        let machine = match &header.running {
            Some(running) => R::resumed(running, config)
                .ok_or_else(|| RunError::OtherRole(header.origin.actor()))?,
            None => R::start(id, before.clone(), config, &mut outputs),
        };
        if digest(&outputs) != header.started {
            return Err(RunError::Diverged { step: 0 });
        }
        let begins = header.running.is_none();
        let mut disk = before.clone();
        persist::<R>(&mut disk, &outputs);
        let ahead = reader.batch()?;
        let in_effect = match &next_disk {
            Some(next) if ahead.is_none() => took_effect(&before, &disk, next)?,
            Some(_) | None => true,
        };
        let start = Start { disk: before, machine: machine.clone(), outputs };
        Ok(Run {
            reader,
            id,
            machine,
            disk,
            start: (in_effect && begins).then_some(start),
            next_disk,
            ahead,
            ready: VecDeque::new(),
            steps: 0,
            steps_without_effect: 0,
            over: false,
        })
    }

    /// Whose run it is.
    pub fn id(&self) -> R::Id {
        self.id
    }

    /// How it began; `None` if it began in an earlier recording, or the process was killed before its
    /// start had any effect.
    pub fn start(&self) -> Option<&Start<R>> {
        self.start.as_ref()
    }

    /// The machine after the last step of the last batch that was rebuilt.
    pub fn machine(&self) -> &R {
        &self.machine
    }

    /// Steps that were recorded and had no effect, because the process was killed before it
    /// committed them. Known once the run has been rebuilt to its end.
    pub fn steps_without_effect(&self) -> u64 {
        self.steps_without_effect
    }

    /// How the recording ends, once the run has been rebuilt to its end.
    pub fn ending(&self) -> Option<Ending> {
        self.reader.ending()
    }

    fn rebuild_batch(&mut self, batch: Batch<R::Input>) -> Result<(), RunError> {
        let (disk_before, machine_before) = (self.disk.clone(), self.machine.clone());
        let steps_before = self.steps;
        for entry in batch.entries {
            self.steps += 1;
            let before = self.machine.clone();
            let mut outputs = Vec::new();
            self.machine.handle(entry.input.clone(), &mut outputs);
            if digest(&outputs) != entry.outputs {
                return Err(RunError::Diverged { step: self.steps });
            }
            persist::<R>(&mut self.disk, &outputs);
            self.ready.push_back(Step {
                number: self.steps,
                elapsed: batch.elapsed,
                before,
                input: entry.input,
                outputs,
                after: self.machine.clone(),
            });
        }
        self.ahead = self.reader.batch()?;
        if let (None, Some(next)) = (&self.ahead, &self.next_disk)
            && !took_effect(&disk_before, &self.disk, next)?
        {
            self.steps_without_effect = self.steps - steps_before;
            self.ready.clear();
            (self.disk, self.machine) = (disk_before, machine_before);
        }
        Ok(())
    }
}

impl<R: Role, F: Read> Iterator for Run<R, F> {
    type Item = Result<Step<R>, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.over {
            let Some(batch) = self.ahead.take() else { break };
            if let Err(error) = self.rebuild_batch(batch) {
                self.over = true;
                self.ready.clear();
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Whether the last batch, which leads from disk `before` to `after`, took effect, if the next life
/// started from `next`. A batch that changes nothing on disk did, as far as anyone can tell.
fn took_effect<D: PartialEq>(before: &D, after: &D, next: &D) -> Result<bool, RunError> {
    if next == after {
        Ok(true)
    } else if next == before {
        Ok(false)
    } else {
        Err(RunError::OtherDisk)
    }
}

fn persist<R: Role>(disk: &mut R::Disk, outputs: &[Output]) {
    for output in outputs {
        if let Output::Persist(record) = output {
            R::write(disk, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Entry, Header};
    use crate::writer::Writer;
    use counterfoil_protocol::{
        Actor, Address, Body, Claim, ClaimId, ClaimNumber, Config, Datagram, Demand, Incarnation,
        Machine, Node, NodeId, RequestId, Scheduler, SchedulerId, Timer, node,
    };

    const NODE: NodeId = NodeId(1);

    fn claim(number: u64) -> node::Input {
        let life = Some(Incarnation(1));
        let claim = ClaimId {
            scheduler: SchedulerId(1),
            incarnation: Incarnation(1),
            node: NODE,
            number: ClaimNumber(number),
        };
        let (request, floor) = (RequestId(number), ClaimNumber(0));
        node::Input::Datagram(Datagram {
            src: Address { actor: Actor::Scheduler(SchedulerId(1)), incarnation: life },
            dst: Address { actor: Actor::Node(NODE), incarnation: life },
            body: Body::Claim(Claim { claim, request, demand: Demand::default().into(), floor }),
        })
    }

    /// A recorded run of a node, and the disks before, and after each batch beginning with the
    /// start.
    fn recorded(batches: &[Vec<node::Input>]) -> (Vec<u8>, Vec<node::Disk>) {
        let mut outputs = Vec::new();
        let mut disks = vec![node::Disk::default()];
        let config = Config::default();
        let given = Given::new(config.clone());
        let mut node = Node::start(NODE, node::Disk::default(), given, &mut outputs);
        let origin = <Node as Role>::origin(NODE, node::Disk::default());
        let mut bytes = Vec::new();
        let header = Header { origin, config, running: None, started: digest(&outputs) };
        let mut writer = Writer::start(&mut bytes, &header).unwrap();
        disks.push(node.durable.clone());
        for inputs in batches {
            let entry = |input: &node::Input| {
                let mut outputs = Vec::new();
                node.handle(input.clone(), &mut outputs);
                Entry { input: input.clone(), outputs: digest(&outputs) }
            };
            let entries = inputs.iter().map(entry).collect();
            writer.write(&Batch { elapsed: Duration::ZERO, entries }).unwrap();
            disks.push(node.durable.clone());
        }
        (bytes, disks)
    }

    type Rebuilt<'a> = Result<(Vec<Step<Node>>, Run<Node, &'a [u8]>), RunError>;

    fn rebuild(bytes: &[u8], next_disk: Option<node::Disk>) -> Rebuilt<'_> {
        let reader = Reader::new(bytes)?;
        let mut run = Run::rebuild(reader, next_disk)?;
        let steps = run.by_ref().collect::<Result<Vec<_>, _>>()?;
        Ok((steps, run))
    }

    #[test]
    fn a_rebuilt_run_takes_the_recorded_steps() {
        let batches = [vec![claim(0), claim(1)], vec![node::Input::Timer(Timer::Announce)]];
        let (bytes, disks) = recorded(&batches);
        let (steps, run) = rebuild(&bytes, None).unwrap();
        let inputs: Vec<_> = steps.iter().map(|step| step.input.clone()).collect();
        assert_eq!(inputs, batches.concat());
        assert_eq!(steps.iter().map(|step| step.number).collect::<Vec<_>>(), [1, 2, 3]);
        for pair in steps.windows(2) {
            assert_eq!(pair[0].after, pair[1].before);
        }
        assert_eq!(run.start().unwrap().machine, steps[0].before);
        assert_eq!(run.machine().durable, disks[3]);
        assert_eq!(run.ending(), Some(Ending::Whole));
    }

    #[test]
    fn a_run_that_goes_another_way_is_noticed_at_the_step() {
        let (bytes, _) = recorded(&[vec![claim(0)], vec![claim(1)]]);
        let mut reader = Reader::new(bytes.as_slice()).unwrap();
        let first: Batch<node::Input> = reader.batch().unwrap().unwrap();
        let second: Batch<node::Input> = reader.batch().unwrap().unwrap();
        let mut other = Vec::new();
        let mut writer = Writer::start(&mut other, reader.header()).unwrap();
        writer.write(&second).unwrap();
        writer.write(&first).unwrap();
        let found = rebuild(&other, None).map(|_| ());
        assert!(matches!(found, Err(RunError::Diverged { step: 1 })), "{found:?}");

        let header = Header { started: 1, ..reader.header().clone() };
        let mut other = Vec::new();
        Writer::start(&mut other, &header).unwrap();
        let found = rebuild(&other, None).map(|_| ());
        assert!(matches!(found, Err(RunError::Diverged { step: 0 })), "{found:?}");
    }

    #[test]
    fn the_disk_of_the_next_life_says_whether_the_last_batch_took_effect() {
        let (bytes, disks) = recorded(&[vec![claim(0)], vec![claim(1), claim(2)]]);
        let (steps, run) = rebuild(&bytes, Some(disks[3].clone())).unwrap();
        assert_eq!((steps.len(), run.steps_without_effect()), (3, 0));

        let (steps, run) = rebuild(&bytes, Some(disks[2].clone())).unwrap();
        assert_eq!((steps.len(), run.steps_without_effect()), (1, 2));
        assert_eq!(run.machine().durable, disks[2]);

        let found = rebuild(&bytes, Some(disks[1].clone())).map(|_| ());
        assert!(matches!(found, Err(RunError::OtherDisk)), "{found:?}");
    }

    #[test]
    fn a_life_killed_before_its_start_was_committed_did_not_begin() {
        let (bytes, disks) = recorded(&[]);
        let (_, run) = rebuild(&bytes, Some(disks[0].clone())).unwrap();
        assert!(run.start().is_none());
        let (_, run) = rebuild(&bytes, Some(disks[1].clone())).unwrap();
        assert!(run.start().is_some());
    }

    #[test]
    fn the_recording_of_another_role_is_refused() {
        let (bytes, _) = recorded(&[]);
        let reader = Reader::new(bytes.as_slice()).unwrap();
        let found = Run::<Scheduler, _>::rebuild(reader, None).map(|_| ());
        assert!(matches!(found, Err(RunError::OtherRole(Actor::Node(NODE)))), "{found:?}");
    }
}

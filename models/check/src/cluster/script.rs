//! What is around a driver: instead of sockets and people, a script.

use counterfoil_protocol::{Address, Choice, Client, Node, Output, Scheduler};
use counterfoil_recording::Role;
use counterfoil_recording::audit::Judged;
use counterfoil_service::driver::Outside;
use counterfoil_world::counterfoil::{Pick, Process, client_input, node_input, scheduler_input};
use counterfoil_world::protocol::{Event, Protocol};
use counterfoil_world::{Cluster, Counterfoil, Shared, World};
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

/// A machine of any role.
pub(super) trait Cast: Judged {
    /// The machine as a process of the world.
    fn process(&self) -> Process;

    /// What an event is to it.
    fn input(event: Event<Counterfoil>) -> Option<Self::Input>;
}

macro_rules! cast {
    ($($machine:ident by $input:ident)*) => {
        $(impl Cast for $machine {
            fn process(&self) -> Process {
                Process::$machine(self.clone())
            }

            fn input(event: Event<Counterfoil>) -> Option<Self::Input> {
                $input(event)
            }
        })*
    };
}

cast! { Node by node_input Scheduler by scheduler_input Client by client_input }

/// What is around every driver of the cluster.
pub(super) struct Script {
    /// The scenario.
    world: World<Counterfoil>,
    /// Everyone who lives, as they were when the driver was last given something.
    pub(super) lives: Cluster<Counterfoil>,
    /// What drivers carried out, in order, and has not been taken up yet.
    pub(super) said: Vec<Output>,
    /// Questions that the script answers later.
    pub(super) open: BTreeSet<(Address, Choice)>,
    /// How much a driver still carries out before its process crashes, if it is to crash.
    pub(super) until_crash: Option<usize>,
}

impl Script {
    pub(super) fn new(world: World<Counterfoil>, nobody: Cluster<Counterfoil>) -> Self {
        Script { world, lives: nobody, said: Vec::new(), open: BTreeSet::new(), until_crash: None }
    }

    /// What is said to a question: the one answer that there is. Where there are several, or a question
    /// is open already, the trace says which is given, and when.
    fn pick(&mut self, process: Process, choice: &Choice) -> Option<Pick> {
        if self.until_crash.is_some() {
            return None;
        }
        let address = Counterfoil::address(&process);
        self.lives.processes.insert(address, Shared::new(process));
        let mut picks = Counterfoil::picks(&self.world, &self.lives, address, choice);
        if picks.len() == 1 && self.open.is_empty() {
            return picks.pop();
        }
        self.open.insert((address, choice.clone()));
        None
    }
}

impl<R: Cast> Outside<R> for Script {
    fn wait(
        &mut self,
        _: Option<Instant>,
        _: &mut Vec<(R::Id, R::Input)>,
    ) -> io::Result<ControlFlow<()>> {
        Err(io::Error::other("the script hands over what happens, and waits for nothing"))
    }

    fn choose(&mut self, machine: &R, choice: &Choice) -> Option<R::Input> {
        let pick = self.pick(machine.process(), choice)?;
        R::input(Event::Picked(pick))
    }

    fn carry_out(&mut self, _: <R as Role>::Id, output: Output) {
        match &mut self.until_crash {
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                self.said.push(output);
            }
            None => self.said.push(output),
        }
    }
}

//! The tables as they are written and read again, so that a search can go on later.

use super::tables::{Lives, Rest};
use super::{Interned, State};
use crate::cluster::{Action, Mail};
use crate::protocol::{Coverage, Protocol};
use crate::shared::Shared;
use counterfoil_protocol::{Actor, Address, Set};
use serde::{Deserialize, Serialize};

/// What every number stands for, in order, and what was covered.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Stored<P: Protocol> {
    processes: Vec<P::Parts>,
    disks: Vec<(Actor, P::DiskParts)>,
    histories: Vec<P::History>,
    datagrams: Vec<P::Datagram>,
    mail: Vec<Mail<P>>,
    mail_sets: Vec<Vec<u32>>,
    choices: Vec<Set<(Address, P::Choice)>>,
    rests: Vec<Rest>,
    lives: Vec<Lives>,
    others: Vec<Action<P>>,
    coverage: Coverage<P::Arm>,
}

/// A state as it is written.
#[derive(Serialize, Deserialize)]
pub struct StoredState(Vec<u32>, u64);

impl From<&State> for StoredState {
    fn from(state: &State) -> Self {
        StoredState(state.words.clone(), state.print)
    }
}

impl From<StoredState> for State {
    fn from(StoredState(words, print): StoredState) -> Self {
        State { words, print }
    }
}

impl<P: Protocol> Interned<P> {
    /// What every number stands for.
    pub fn stored(&self) -> Stored<P> {
        let tables = &self.tables;
        let disks = tables.disks.values().iter();
        Stored {
            processes: tables.processes.values().iter().map(|process| P::parts(process)).collect(),
            disks: disks.map(|(actor, disk)| (*actor, P::disk_parts(disk))).collect(),
            histories: tables
                .histories
                .values()
                .iter()
                .map(|history| (**history).clone())
                .collect(),
            datagrams: tables.datagrams.values().iter().map(|d| (**d).clone()).collect(),
            mail: tables.mail.values().to_vec(),
            mail_sets: tables.mail_sets.values().to_vec(),
            choices: tables.choices.values().to_vec(),
            rests: tables.rests.values().to_vec(),
            lives: tables.lives.values().to_vec(),
            others: tables.others.values().to_vec(),
            coverage: crate::Representation::coverage(self),
        }
    }

    /// Takes the numbers over from a search that is to go on. To be called before any other.
    pub fn restore(&mut self, stored: Stored<P>) {
        let tables = &mut self.tables;
        for parts in stored.processes {
            let process = P::assemble(&self.world.setting, parts);
            tables.process(&Shared::new(process));
        }
        for (actor, parts) in stored.disks {
            tables.disks.number(&(actor, Shared::new(P::assemble_disk(parts))));
        }
        for history in stored.histories {
            tables.histories.number(&Shared::new(history));
        }
        for datagram in stored.datagrams {
            tables.datagrams.number(&Shared::new(datagram));
        }
        stored.mail.iter().for_each(|mail| {
            tables.mail.number(mail);
        });
        for set in stored.mail_sets {
            tables.mail_set(set);
        }
        stored.choices.iter().for_each(|choices| {
            tables.choices.number(choices);
        });
        for rest in stored.rests {
            tables.rest(rest);
        }
        stored.lives.iter().for_each(|lives| {
            tables.lives.number(lives);
        });
        stored.others.iter().for_each(|action| {
            tables.other(action);
        });
        self.slow.merge(&stored.coverage);
    }
}

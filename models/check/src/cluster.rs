//! A trace on the running service: its drivers and stores, one for each process, all in this process,
//! with a network that does what the trace says instead of sockets.
//!
//! What is compared is what the world of the checker cannot show by itself: that the driver hands over,
//! answers, commits and carries out as the world assumes, that stores bring back what was promised,
//! and that every message survives its form on the wire. After each step every machine must be what it
//! is in the trace, and whatever is in flight there must have been sent here.

mod compare;
mod life;
mod outcome;
mod script;

use counterfoil_protocol::{Actor, Address, Config, Datagram, Map, Output, Set};
use counterfoil_service::wire::{Message, decode_message, encode_message};
use counterfoil_world::changes::brief;
use counterfoil_world::counterfoil::{Disk, Letter};
use counterfoil_world::network::{Kind, Network};
use counterfoil_world::protocol::{Effect, Event, Protocol};
use counterfoil_world::scenario::{Outside, Start};
use counterfoil_world::{Action, Cluster, Counterfoil, Mail, Replay, Shared, World, itf};
use life::Life;
use outcome::Stop;
pub use outcome::{ClusterError, Driven};
use script::Script;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// Takes a run, which was replayed and did not diverge, on the cluster.
///
/// # Errors
/// If a driver or a store fails, which a trace is no reason for.
pub fn drive(
    actions: &[Action<Counterfoil>],
    replay: &Replay<Counterfoil>,
) -> Result<Driven, ClusterError> {
    let mut cluster = Driving::new(&replay.world)?;
    let mut taken = 0;
    let mut run = || -> Result<(), Stop> {
        cluster.open()?;
        cluster.compare(&replay.states[0])?;
        for (action, state) in actions.iter().zip(&replay.states[1..]) {
            taken += 1;
            cluster.take(action)?;
            cluster.compare(state)?;
        }
        Ok(())
    };
    match run() {
        Ok(()) => Ok(Driven::Same { steps: taken, started: cluster.started }),
        Err(Stop::Unlike(what)) => Ok(Driven::Unlike { step: taken, what }),
        Err(Stop::CannotHappen(why)) => Ok(Driven::CannotHappen { step: taken, why }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// The cluster.
struct Driving {
    world: World<Counterfoil>,
    config: Config,
    folder: TempDir,
    /// Where each actor keeps what it promised.
    stores: BTreeMap<Actor, PathBuf>,
    lives: Vec<Life>,
    script: Script,
    /// Datagrams on the way, in their form on the wire, and how many equal ones.
    network: BTreeMap<Vec<u8>, usize>,
    mail: Set<Mail<Counterfoil>>,
    started: usize,
}

impl Driving {
    fn new(world: &World<Counterfoil>) -> Result<Driving, ClusterError> {
        Ok(Driving {
            config: (*world.setting).clone(),
            folder: TempDir::new()?,
            stores: BTreeMap::new(),
            lives: Vec::new(),
            script: Script::new(world.clone(), nobody()),
            network: BTreeMap::new(),
            mail: Set::default(),
            started: 0,
            world: world.clone(),
        })
    }

    /// Everyone starts; where the scenario starts warm, they meet.
    fn open(&mut self) -> Result<(), Stop> {
        for actor in self.world.actors_at_start().collect::<Vec<_>>() {
            self.start(actor)?;
        }
        for action in &self.world.opening() {
            self.take(action)?;
        }
        if self.world.scenario.start == Start::Warm {
            self.network.clear();
        }
        Ok(())
    }

    /// Everyone who lives.
    fn view(&self) -> Cluster<Counterfoil> {
        let processes = self.lives.iter().map(|life| {
            let process = life.process();
            (Counterfoil::address(&process), Shared::new(process))
        });
        Cluster { processes: processes.collect(), ..nobody() }
    }

    /// Takes one action.
    fn take(&mut self, action: &Action<Counterfoil>) -> Result<(), Stop> {
        match self.event(action)? {
            Some((address, event)) => self.give(address, event)?,
            None => self.befall(action)?,
        }
        self.answer_alone()
    }

    /// What an action is to one process, and to whom; what is under way is taken out of it.
    fn event(
        &mut self,
        action: &Action<Counterfoil>,
    ) -> Result<Option<(Address, Event<Counterfoil>)>, Stop> {
        Ok(match action {
            Action::Deliver(datagram) => self.arrive(datagram, true)?,
            Action::Copy(datagram) => self.arrive(datagram, false)?,
            Action::Mail(mail) => {
                if self.mail.remove(mail).is_none() {
                    return Err(Stop::Unlike(format!("{} is not under way", said(mail))));
                }
                let from = mail.from.actor;
                let event = match &mail.letter {
                    Some(letter) => Event::Letter(from, letter.clone()),
                    None => Event::Broken(from),
                };
                Some((mail.to, event))
            }
            Action::Fire(address, timer) => Some((*address, Event::Timer(timer.clone()))),
            Action::Pick(address, pick) => {
                let view = self.view();
                let answers = |(asker, choice): &&(Address, _)| {
                    let picks = Counterfoil::picks(&self.world, &view, *asker, choice);
                    asker == address && picks.contains(pick)
                };
                let asked = self.script.open.iter().find(answers).cloned();
                let Some(asked) = asked else {
                    return Err(Stop::Unlike(format!(
                        "{address} asks nothing that has this answer"
                    )));
                };
                self.script.open.remove(&asked);
                Some((*address, Event::Picked(pick.clone())))
            }
            Action::Tell(address, tiding) => Some((*address, Event::Tiding(*tiding))),
            Action::Outside(index, at) => {
                Counterfoil::outside(&self.world, &self.view(), *index, *at)
            }
            Action::Lose(_)
            | Action::LoseAll
            | Action::Restart(_)
            | Action::Torn(..)
            | Action::Die(_)
            | Action::Twin(_)
            | Action::Disconnect(..) => None,
        })
    }

    /// What happens to more than one process, or to what is between them.
    fn befall(&mut self, action: &Action<Counterfoil>) -> Result<(), Stop> {
        match action {
            Action::Lose(datagram) => self.leave(datagram),
            Action::LoseAll => {
                self.network.clear();
                Ok(())
            }
            Action::Outside(index, _) => match self.world.outside[usize::from(*index)] {
                Outside::Join(actor) => self.start(actor),
                Outside::Place(_)
                | Outside::PlaceTogether(_)
                | Outside::Release(_)
                | Outside::Drain(_)
                | Outside::Undrain(_)
                | Outside::Inventory(..)
                | Outside::Disable(_)
                | Outside::Leave(_) => {
                    Err(Stop::Unlike(format!("outside input {index} would change nothing")))
                }
            },
            Action::Restart(actor) => {
                self.end(*actor);
                self.start(*actor)
            }
            Action::Torn(inner, kept) => self.tear(inner, usize::from(*kept)),
            Action::Die(actor) => {
                self.end(*actor);
                Ok(())
            }
            Action::Twin(actor) => self.twin(*actor),
            Action::Disconnect(client, scheduler) => {
                let ends = [*client, *scheduler];
                let between =
                    |mail: &Mail<Counterfoil>| ends.contains(&mail.from) && ends.contains(&mail.to);
                self.mail = self.mail.iter().filter(|mail| !between(mail)).cloned().collect();
                self.notice_broken(*client, *scheduler);
                self.notice_broken(*scheduler, *client);
                Ok(())
            }
            // To a life that is over: nobody is there.
            Action::Deliver(_) | Action::Copy(_) => Ok(()),
            Action::Mail(_) | Action::Fire(..) | Action::Pick(..) | Action::Tell(..) => {
                unreachable!("each concerns one process")
            }
        }
    }

    /// A datagram arrives: it is read from its form on the wire.
    fn arrive(
        &mut self,
        datagram: &Shared<Datagram>,
        is_taken: bool,
    ) -> Result<Option<(Address, Event<Counterfoil>)>, Stop> {
        let form = form(datagram);
        if !self.network.contains_key(&form) {
            return Err(Stop::Unlike(format!("{} was not sent", said(&**datagram))));
        }
        if is_taken && self.world.scenario.network == Kind::Multiset {
            self.leave(datagram)?;
        }
        let read = match decode_message(&form) {
            Ok(Message::Datagram(read)) => read,
            Ok(other) => return Err(Stop::Unlike(format!("{other:?} arrives as a datagram"))),
            Err(error) => {
                return Err(Stop::Unlike(format!("{} is not read: {error}", said(&**datagram))));
            }
        };
        let to = self.view().receiver(Counterfoil::destination(&read));
        Ok(to.map(|to| (to, Event::Datagram(read))))
    }

    /// One of these datagrams is gone.
    fn leave(&mut self, datagram: &Shared<Datagram>) -> Result<(), Stop> {
        let form = form(datagram);
        match self.network.get_mut(&form) {
            None => Err(Stop::Unlike(format!("{} was not sent", said(&**datagram)))),
            Some(1) => {
                self.network.remove(&form);
                Ok(())
            }
            Some(count) => {
                *count -= 1;
                Ok(())
            }
        }
    }

    /// Hands an event to a process, and takes up what its driver carries out.
    fn give(&mut self, address: Address, event: Event<Counterfoil>) -> Result<(), Stop> {
        self.script.lives = self.view();
        let is_it = |life: &&mut Life| Counterfoil::address(&life.process()) == address;
        let Some(life) = self.lives.iter_mut().find(is_it) else {
            return Err(Stop::Unlike(format!("{address} does not live")));
        };
        life.give(event, &mut self.script)?;
        let now = Counterfoil::address(&life.process());
        self.take_up(now);
        Ok(())
    }

    /// Puts under way what a process said.
    fn take_up(&mut self, from: Address) {
        for output in std::mem::take(&mut self.script.said) {
            match Counterfoil::effect(&output) {
                Effect::Send(datagram) => *self.network.entry(form(datagram)).or_default() += 1,
                Effect::Letter(to, letter) => self.post(from, to, letter),
                // The driver keeps these to itself, or has nothing to do.
                Effect::Persist | Effect::Choose(_) | Effect::SetTimer(_) | Effect::Nothing => {}
            }
        }
    }

    /// Posts a letter. To an actor that is not there no connection can be made.
    fn post(&mut self, from: Address, to: Actor, letter: Letter) {
        let nobody = Address { actor: to, incarnation: None };
        match self.view().receiver(nobody) {
            Some(to) => {
                self.mail.insert(Mail { from, to, letter: Some(letter) });
            }
            None => self.notice_broken(nobody, from),
        }
    }

    /// `to` will notice that its connection to `from` broke, if that means anything to it.
    fn notice_broken(&mut self, from: Address, to: Address) {
        let view = self.view();
        let Some(process) = view.processes.get(&to) else { return };
        let mut tried = (**process).clone();
        Counterfoil::handle(&mut tried, Event::Broken(from.actor), &mut Vec::new());
        if tried != **process {
            self.mail.insert(Mail { from, to, letter: None });
        }
    }

    /// Gives every question that has one answer that answer, in the order of the questions.
    fn answer_alone(&mut self) -> Result<(), Stop> {
        loop {
            let view = self.view();
            let mut open = self.script.open.iter().filter_map(|asked| {
                let mut picks = Counterfoil::picks(&self.world, &view, asked.0, &asked.1);
                let pick = picks.pop()?;
                Some((asked.clone(), picks.is_empty().then_some(pick)))
            });
            let Some((asked, Some(pick))) = open.next() else { return Ok(()) };
            self.script.open.remove(&asked);
            self.give(asked.0, Event::Picked(pick))?;
        }
    }

    /// Starts the next life of an actor from its store, and tells it who is there.
    fn start(&mut self, actor: Actor) -> Result<(), Stop> {
        let file = self.folder.path().join(format!("{actor}.store"));
        let store = self.stores.entry(actor).or_insert(file).clone();
        let disk =
            matches!(actor, Actor::Node(_)).then(|| Counterfoil::disk(&self.world.scenario, actor));
        let initial = match &disk {
            Some(Disk::Node(disk)) => Some(disk),
            Some(Disk::Scheduler(_) | Disk::Client(_)) | None => None,
        };
        self.script.lives = self.view();
        let life = Life::start(actor, &store, &self.config, initial, &mut self.script)?;
        let address = Counterfoil::address(&life.process());
        self.lives.push(life);
        self.started += 1;
        self.take_up(address);
        for (to, tiding) in Counterfoil::tidings(&self.view()) {
            if to == address {
                self.give(to, Event::Tiding(tiding))?;
            }
        }
        Ok(())
    }

    /// Starts an actor a second time, from a copy of its store, while the first runs on.
    fn twin(&mut self, actor: Actor) -> Result<(), Stop> {
        if let Some(store) = self.stores.get(&actor) {
            let copy = self.folder.path().join(format!("{actor}.{}.store", self.started));
            std::fs::copy(store, &copy)?;
            self.stores.insert(actor, copy);
        }
        self.start(actor)
    }

    /// Ends every life of an actor: what is under way to it over connections is lost, and the other
    /// ends notice.
    fn end(&mut self, actor: Actor) {
        let lives = self.view().processes.keys().copied().collect::<Vec<_>>();
        self.lives.retain(|life| Counterfoil::address(&life.process()).actor != actor);
        self.script.open.retain(|(asker, _)| asker.actor != actor);
        for address in lives.iter().filter(|address| address.actor == actor) {
            let is_over = |mail: &Mail<Counterfoil>| mail.from == *address || mail.to == *address;
            self.mail = self.mail.iter().filter(|mail| !is_over(mail)).cloned().collect();
            for other in lives.iter().filter(|other| other.actor != actor) {
                self.notice_broken(*address, *other);
            }
        }
    }

    /// An actor crashes after it did the first `kept` things that an action made it say. A driver
    /// commits all that a turn writes, or nothing, and only then sends: so it crashes before, or after
    /// and before it sent so much.
    fn tear(&mut self, inner: &Action<Counterfoil>, kept: usize) -> Result<(), Stop> {
        let Some((address, event)) = self.event(inner)? else {
            return Err(Stop::Unlike("nobody is there to crash".to_owned()));
        };
        let view = self.view();
        let Some(process) = view.processes.get(&address) else {
            return Err(Stop::Unlike(format!("{address} does not live")));
        };
        let mut outputs = Vec::new();
        Counterfoil::handle(&mut (**process).clone(), event.clone(), &mut outputs);
        let count = |of: &[Output], written: bool| {
            let counts = |output: &&Output| match Counterfoil::effect(output) {
                Effect::Persist => written,
                Effect::Send(_) | Effect::Letter(..) => !written,
                Effect::Choose(_) | Effect::SetTimer(_) | Effect::Nothing => false,
            };
            of.iter().filter(counts).count()
        };
        let done = &outputs[..kept.min(outputs.len())];
        let (written, sent) = (count(done, true), count(done, false));
        match (written, sent) {
            (0, 0) => {}
            (written, sent) if written == count(&outputs, true) => {
                self.script.until_crash = Some(sent);
                let given = self.give(address, event);
                self.script.until_crash = None;
                given?;
            }
            (written, _) => {
                let all = count(&outputs, true);
                let why = format!(
                    "the crash leaves {written} of {all} changes on disk and {sent} messages sent, and \
                     a driver commits all that it has to write, or nothing, before it sends anything"
                );
                return Err(Stop::CannotHappen(why));
            }
        }
        self.end(address.actor);
        self.start(address.actor)
    }
}

/// A state in which nobody lives and nothing is under way.
fn nobody() -> Cluster<Counterfoil> {
    Cluster {
        processes: Map::default(),
        disks: Map::default(),
        network: Network::default(),
        mail: Set::default(),
        choices: Set::default(),
        to_come: Set::default(),
        budget: Map::default(),
        history: Shared::default(),
        violated: Map::default(),
    }
}

/// The form of a datagram on the wire, without its length.
fn form(datagram: &Datagram) -> Vec<u8> {
    let (message, mut bytes) = (Message::Datagram(datagram.clone()), Vec::new());
    encode_message(&message, &mut bytes).expect("messages of a small cluster are short");
    // The length has as many bytes as say that more follow, and one.
    let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    bytes.split_off(length)
}

/// A value in few words.
fn said(of: &impl serde::Serialize) -> String {
    itf::value(of).map_or_else(|error| error.to_string(), |value| brief(&value))
}

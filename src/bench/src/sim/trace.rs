//! A run that went wrong, as a run of the world of the checker: so it can be shown, explained and
//! minimised like any counterexample.
//!
//! The world has the same machines and the same names. What was done in the simulation is done there
//! again, one thing after the other; what the world does by itself, or what changes nothing, is left
//! out. Where the two should come apart, there is no trace, and it is said why.

use super::cast::AnyInput;
use super::engine::Deed;
use super::schedule::Schedule;
use counterfoil_protocol::{Actor, Address, Choice, Datagram, Timer, client, node, scheduler};
use counterfoil_world::cluster::Cluster;
use counterfoil_world::counterfoil::{Letter, Pick};
use counterfoil_world::minimise::Budget;
use counterfoil_world::protocol::{Protocol, Tiding};
use counterfoil_world::scenario::Outside;
use counterfoil_world::walk::{Sought, heal};
use counterfoil_world::{
    Action, Counterfoil, Mail, Minimised, Outcome, Shared, Trace, World, minimise, replay,
};

/// How much the minimisation of a run of so many steps may take: a simulated cluster is larger than
/// most scenarios, and each try of a long run takes as long as the run.
fn budget(steps: usize) -> Budget {
    Budget { tries_max: (400_000 / steps.max(1)).min(4_000), states_max: 20_000 }
}

/// Why there is no trace of a run.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    /// The world comes to another end.
    #[error("in the world of the checker the same does not violate {0}")]
    Holds(String),
    /// The world does not get that far.
    #[error("in the world of the checker it cannot happen at step {step} that {what}")]
    Stuck {
        /// After how many steps.
        step: usize,
        /// What.
        what: String,
    },
}

/// The least run to the violation of `property` that comes of what was done.
pub(crate) fn trace(
    schedule: &Schedule,
    deeds: &[Deed],
    property: &str,
    command: &str,
) -> Result<Minimised<Counterfoil>, NotShown> {
    let world = World::new(schedule.scenario.clone());
    let now = world.initial();
    let mut telling = Telling { world, now, before: None, steps: Vec::new() };
    let sought = Sought::named::<Counterfoil>(property);
    for deed in deeds {
        telling.tell(deed)?;
        let violated = |index| telling.now.violated.contains_key(&index);
        if matches!(sought, Some(Sought::Safety(index)) if violated(index)) {
            break;
        }
    }
    let mut trace = match sought {
        Some(Sought::Liveness(_)) => telling.left_alone(property)?,
        Some(Sought::Safety(_) | Sought::Any) | None => {
            Trace::new(schedule.scenario.clone(), property, telling.steps)
        }
    };
    trace.engine = "a simulation".to_owned();
    trace.command = command.to_owned();
    let holds = || NotShown::Holds(property.to_owned());
    match replay(&trace).outcome {
        Outcome::Violated { .. } => {
            minimise(&trace, budget(trace.steps.len())).map_err(|_| holds())
        }
        Outcome::Holds { .. } => Err(holds()),
        Outcome::Diverged(divergence) => {
            Err(NotShown::Stuck { step: trace.steps.len(), what: divergence.to_string() })
        }
    }
}

/// A run of the world that is being told.
struct Telling {
    world: World<Counterfoil>,
    now: Cluster<Counterfoil>,
    /// The state before the last thing that was given to a machine, if it was a step of the world.
    before: Option<Cluster<Counterfoil>>,
    steps: Vec<Action<Counterfoil>>,
}

impl Telling {
    /// Does what was done.
    fn tell(&mut self, deed: &Deed) -> Result<(), NotShown> {
        let action = match deed {
            Deed::Given(at, input) => return self.given(*at, input),
            Deed::Torn(actor, kept) => return self.torn(*actor, *kept),
            Deed::Restart(actor) => Action::Restart(*actor),
            Deed::Die(id) => Action::Die(Actor::Scheduler(*id)),
            Deed::Join(actor) => {
                let join = Outside::Join(*actor);
                let index = self.world.outside.iter().position(|outside| *outside == join);
                // Who is there at the start does not join.
                let Some(index) = index else { return Ok(()) };
                Action::Outside(index as u8, None)
            }
            Deed::Disconnect(client, id) => {
                let client = Address { actor: Actor::Client(*client), incarnation: None };
                let scheduler = Address { actor: Actor::Scheduler(*id), incarnation: None };
                let Some(scheduler) = self.now.receiver(scheduler) else { return Ok(()) };
                Action::Disconnect(client, scheduler)
            }
            Deed::LoseAll if self.now.network.is_empty() => return Ok(()),
            Deed::LoseAll => Action::LoseAll,
            Deed::Outside(index) => {
                let index = *index as u8;
                let order = Counterfoil::outside(&self.world, &self.now, index, None);
                // An order that changes nothing does not happen in the world.
                if order.is_none() {
                    return Ok(());
                }
                Action::Outside(index, None)
            }
        };
        self.take(action);
        Ok(())
    }

    fn take(&mut self, action: Action<Counterfoil>) {
        self.before = Some(self.now.clone());
        self.now = self.world.apply(&self.now, &action);
        self.steps.push(action);
    }

    /// A machine was given something; or, if the world has done that by itself or it changes nothing,
    /// nothing happens.
    fn given(&mut self, at: Address, input: &AnyInput) -> Result<(), NotShown> {
        let comes_from_outside = match input {
            AnyInput::Node(input) => matches!(input, node::Input::Order(_)),
            AnyInput::Client(client::Input::Order(order)) => {
                !matches!(order, client::Order::NodeOver(_))
            }
            AnyInput::Client(_) | AnyInput::Scheduler(_) => false,
        };
        if comes_from_outside {
            return Ok(());
        }
        self.before = None;
        let action = match input {
            AnyInput::Node(input) => match input {
                node::Input::Datagram(datagram) => self.delivered(datagram),
                node::Input::Timer(timer) => self.fired(at, timer),
                node::Input::Order(_) => None,
            },
            AnyInput::Scheduler(input) => self.given_to_scheduler(at, input),
            AnyInput::Client(client::Input::Order(client::Order::NodeOver(node))) => {
                self.told(at, Tiding::Over(Actor::Node(*node)))
            }
            AnyInput::Client(input) => self.given_to_client(at, input),
        };
        let Some(action) = action else { return Ok(()) };
        let answers = matches!(action, Action::Pick(..));
        if !self.now.choices.is_empty() && !answers {
            let what = format!("{action:?} comes before a choice is made");
            return Err(NotShown::Stuck { step: self.steps.len(), what });
        }
        self.take(action);
        Ok(())
    }

    fn given_to_scheduler(
        &self,
        at: Address,
        input: &scheduler::Input,
    ) -> Option<Action<Counterfoil>> {
        match input {
            scheduler::Input::Datagram(datagram) => self.delivered(datagram),
            scheduler::Input::Timer(timer) => self.fired(at, timer),
            scheduler::Input::Call(_, call) => {
                self.mail(at, |mail| mail.letter == Some(Letter::Call(call.clone())))
            }
            scheduler::Input::Disconnected(client) => self.lost(at, Actor::Client(*client)),
            scheduler::Input::Chosen(attempt, node) => {
                let asked = (at, Choice::Node(*attempt));
                let open = self.now.choices.contains(&asked);
                open.then(|| Action::Pick(at, Pick::Node(*attempt, *node)))
            }
            scheduler::Input::Meet(node) => self.told(at, Tiding::Joined(Actor::Node(*node))),
        }
    }

    fn given_to_client(&self, at: Address, input: &client::Input) -> Option<Action<Counterfoil>> {
        match input {
            client::Input::Datagram(datagram) => self.delivered(datagram),
            client::Input::Timer(timer) => self.fired(at, timer),
            client::Input::Answer(answer) => {
                self.mail(at, |mail| mail.letter == Some(Letter::Answer(answer.clone())))
            }
            client::Input::Disconnected(id) => self.lost(at, Actor::Scheduler(*id)),
            client::Input::Chosen(attempt, to) => {
                let asked = (at, Choice::Scheduler(*attempt));
                let open = self.now.choices.contains(&asked);
                open.then(|| Action::Pick(at, Pick::Scheduler(*attempt, *to)))
            }
            client::Input::Order(_) => None,
        }
    }

    /// A datagram arrives, unless the world has forgotten it: then it can do nothing.
    fn delivered(&self, datagram: &Datagram) -> Option<Action<Counterfoil>> {
        let datagram = Shared::new(datagram.clone());
        let arrives = self.now.network.flight(&datagram).is_some()
            && self.now.receiver(Counterfoil::destination(&datagram)).is_some();
        arrives.then_some(Action::Deliver(datagram))
    }

    /// A timer fires, if it matters.
    fn fired(&self, at: Address, timer: &Timer) -> Option<Action<Counterfoil>> {
        let process = self.now.processes.get(&at)?;
        let matters = Counterfoil::timers(process).contains(timer);
        matters.then(|| Action::Fire(at, timer.clone()))
    }

    fn mail(
        &self,
        at: Address,
        is_it: impl Fn(&Mail<Counterfoil>) -> bool,
    ) -> Option<Action<Counterfoil>> {
        let mail = self.now.mail.iter().find(|mail| mail.to == at && is_it(mail))?;
        Some(Action::Mail(mail.clone()))
    }

    /// A connection is noticed to be gone, if that means anything.
    fn lost(&self, at: Address, other: Actor) -> Option<Action<Counterfoil>> {
        self.mail(at, |mail| mail.letter.is_none() && mail.from.actor == other)
    }

    fn told(&self, at: Address, tiding: Tiding) -> Option<Action<Counterfoil>> {
        let tidings = Counterfoil::tidings(&self.now);
        tidings.contains(&(at, tiding)).then_some(Action::Tell(at, tiding))
    }

    /// The last step was cut short; if it was no step of the world, only the crash remains.
    fn torn(&mut self, actor: Actor, kept: usize) -> Result<(), NotShown> {
        let Some(before) = self.before.take() else {
            self.take(Action::Restart(actor));
            return Ok(());
        };
        let action = self.steps.pop().expect("the state before it is known");
        let kept = u8::try_from(kept).map_err(|_| NotShown::Stuck {
            step: self.steps.len(),
            what: format!("{action:?} is cut after {kept} outputs"),
        })?;
        self.now = before;
        self.take(Action::Torn(Box::new(action), kept));
        Ok(())
    }

    /// Everything in flight is lost, and then nothing goes wrong any more: the run to where nothing
    /// changes, or only repeats itself, and the property is not true.
    fn left_alone(mut self, property: &str) -> Result<Trace<Counterfoil>, NotShown> {
        if !self.now.network.is_empty() {
            self.take(Action::LoseAll);
        }
        let Telling { world, now, steps, .. } = self;
        let sought = Sought::named::<Counterfoil>(property).unwrap_or(Sought::Any);
        let healed = heal(world, now, steps, sought);
        healed.trace().ok_or_else(|| NotShown::Holds(property.to_owned()))
    }
}

//! Judges the steps of all machines as they happen, by the properties of the checker.
//!
//! In a small cluster every step is judged whole. In a large one the step of a scheduler is judged by
//! what it knows of the one node that it is about, which costs the same however many it knows; of
//! very many nodes only some are watched, with all that is said of them.

use super::cast::Lives;
use counterfoil_properties::{Check, History, Safety, Step};
use counterfoil_protocol::{NodeId, Output, Scheduler};
use counterfoil_service::monitor::Violated;
use counterfoil_world::random::scattered;
use serde::Serialize;

/// How closely steps are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Of so many nodes one is watched.
    pub nodes_one_of: u32,
    /// Of so many steps of a watched node the limits of one are judged: that costs as much as the
    /// node has allocations.
    pub bounded_one_of: u64,
    /// Whether a scheduler is judged by all that it knows, at every step.
    pub whole: bool,
}

impl Reach {
    /// Everything, at every step.
    pub const ALL: Reach = Reach { nodes_one_of: 1, bounded_one_of: 1, whole: true };

    /// What is affordable among so many nodes.
    pub fn affordable(nodes: u32) -> Reach {
        let nodes_one_of = nodes.div_ceil(10_000);
        Reach { nodes_one_of, bounded_one_of: 16, whole: false }
    }

    fn watches(&self, node: NodeId) -> bool {
        self.nodes_one_of == 1
            || scattered(u64::from(node.0)).is_multiple_of(u64::from(self.nodes_one_of))
    }
}

/// Judges steps, and keeps what truly happened.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) reach: Reach,
    history: History,
    /// Steps of all machines, starts included.
    pub(crate) steps: u64,
    /// Of these, steps that were judged.
    pub(crate) judged: u64,
    /// Steps that changed nothing and said nothing.
    pub(crate) unchanged: u64,
    /// By property: how often its premise was true.
    pub(crate) premises: [u64; Safety::ALL.len()],
    /// The first violation. Nothing is judged after it.
    pub(crate) violated: Option<Box<Violated>>,
    node_steps: u64,
}

/// A step that is under way.
pub(crate) struct Seen<R: Lives> {
    before: Before<R>,
    input: R::Input,
    about: Option<NodeId>,
}

/// What a machine was before a step.
enum Before<R: Lives> {
    Whole(R),
    Kept(R::Kept),
}

impl Judge {
    pub(crate) fn new(reach: Reach) -> Judge {
        Judge {
            reach,
            history: History::default(),
            steps: 0,
            judged: 0,
            unchanged: 0,
            premises: [0; Safety::ALL.len()],
            violated: None,
            node_steps: 0,
        }
    }

    /// A life has begun.
    pub(crate) fn started<R: Lives>(
        &mut self,
        id: R::Id,
        node: Option<NodeId>,
        machine: &R,
        said: &[Output],
    ) {
        self.steps += 1;
        if self.violated.is_none() && node.is_none_or(|node| self.reach.watches(node)) {
            let process = R::process(None, None, machine);
            self.judge::<R>(id, &Step { process, outputs: said }, |_| true);
        }
    }

    /// A life of a scheduler is over.
    pub(crate) fn ended(&mut self, scheduler: &Scheduler) {
        self.history.scheduler_ended(scheduler.id, scheduler.incarnation);
    }

    /// The machine is about to take an input; `None` if the step is not judged.
    pub(crate) fn begin<R: Lives>(&mut self, machine: &R, input: &R::Input) -> Option<Seen<R>> {
        self.steps += 1;
        let about = machine.about(input);
        let watched = about.is_none_or(|node| self.reach.watches(node));
        if !watched || self.violated.is_some() {
            return None;
        }
        let before = match self.reach.whole {
            true => Before::Whole(machine.clone()),
            false => Before::Kept(machine.keep(about)),
        };
        Some(Seen { before, input: input.clone(), about })
    }

    /// The machine has taken the input, and said this.
    pub(crate) fn end<R: Lives>(
        &mut self,
        id: R::Id,
        seen: &Seen<R>,
        machine: &R,
        outputs: &[Output],
    ) {
        let kept = match &seen.before {
            Before::Whole(before) => {
                return self.judge::<R>(
                    id,
                    &step::<R>(before, &seen.input, machine, outputs),
                    |_| true,
                );
            }
            Before::Kept(kept) => kept,
        };
        // What is as it was has been judged when it came to be so.
        if machine.is_unchanged((seen.about, kept), &seen.input) && !outputs.iter().any(says) {
            self.unchanged += 1;
            return;
        }
        let (before, after) = (machine.was(seen.about, kept), machine.seen(seen.about));
        self.node_steps += 1;
        let limits = self.node_steps.is_multiple_of(self.reach.bounded_one_of);
        let sums_up = R::sums_up(&seen.input);
        let of_one = |property: Safety| match property {
            Safety::Bounded => limits,
            Safety::AnswersAreTrue => !sums_up,
            Safety::NoOvercommit
            | Safety::GroupsAreKept
            | Safety::OneGrantPerClaim
            | Safety::ViewsNeverGoBack
            | Safety::OwnClaimsCountOnce
            | Safety::NoClaimAgainstKnownRefusal
            | Safety::NoClaimToUnavailable
            | Safety::ViewsAreRealStates
            | Safety::VerdictsAreTrue
            | Safety::AllocationsSurviveRestart
            | Safety::OneConfirmedPerRequest
            | Safety::BundlesEndWhole => true,
        };
        self.judge::<R>(id, &step::<R>(&before, &seen.input, &after, outputs), of_one);
        if sums_up && self.reach.nodes_one_of == 1 {
            self.check::<R>(
                id,
                Safety::AnswersAreTrue,
                &step::<R>(&before, &seen.input, machine, outputs),
            );
        }
    }

    fn judge<R: Lives>(&mut self, id: R::Id, step: &Step, which: impl Fn(Safety) -> bool) {
        self.judged += 1;
        self.history.observe(step);
        for property in Safety::ALL {
            if which(property) {
                self.check::<R>(id, property, step);
            }
        }
    }

    fn check<R: Lives>(&mut self, id: R::Id, property: Safety, step: &Step) {
        match property.check(step, &self.history) {
            Check::Vacuous => {}
            Check::Holds => self.premises[property as usize] += 1,
            Check::Violated(violation) => {
                let actor = R::actor(id);
                self.violated
                    .get_or_insert_with(|| Box::new(Violated { property, actor, violation }));
            }
        }
    }
}

fn step<'a, R: Lives>(
    before: &'a R,
    input: &'a R::Input,
    after: &'a R,
    outputs: &'a [Output],
) -> Step<'a> {
    Step { process: R::process(Some(before), Some(input), after), outputs }
}

/// Whether an output is more than a timer or a notice.
fn says(output: &Output) -> bool {
    match output {
        Output::Persist(_)
        | Output::Send(_)
        | Output::Call(..)
        | Output::Answer(..)
        | Output::Choose(_)
        | Output::Ended(..) => true,
        Output::SetTimer { .. } | Output::Notice(_) => false,
    }
}

//! What else could have happened: the actions that a state allows, and what each of them leads to.
//!
//! A state is judged by what *fair steps* can make of it: no faults, nothing from outside. It is
//! *safe* if they can lead from it, without a violation, to where the property is true whatever fair
//! steps follow. It is *doomed* if not: then only a fault or something from outside could still turn
//! it. That is exact, and says the same of safety and of liveness: what is violated once stays
//! violated, and a goal must become and stay true. Where it would take more steps than a budget to
//! tell, it is not told ([`Fate::Unknown`]), and only the next step is judged ([`Leads::Unknown`]
//! says that it does not violate at once).

use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::replay::describe;
use crate::trace::{Kind, kind_of};
use serde::Serialize;
use std::collections::HashMap;

/// How many steps are tried to tell the fate of one state.
pub const STEPS_MAX: usize = 20_000;

/// How many steps are tried in all, by one [`Judge`].
pub const STEPS_IN_ALL: usize = 60_000;

/// What fair steps can make of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// They can lead to where the property is true whatever fair steps follow.
    Safe,
    /// Nowhere that they lead does the property become and stay true.
    Doomed,
    /// It would take too many steps to tell.
    Unknown,
}

/// What an action leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leads {
    /// The property is violated by it, or was before. Never of liveness.
    Violates,
    /// To a state from which fair steps cannot keep the property any more.
    Doomed,
    /// To a state from which they can: the action keeps the property.
    Safe,
    /// It does not violate at once; what then follows would take too many steps to tell.
    Unknown,
}

/// Something that may happen at a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(bound = "")]
pub struct Choice<P: Protocol> {
    /// Counts what may happen there, in order, from 1.
    pub number: usize,
    /// The action.
    pub action: Action<P>,
    /// The action in words.
    pub text: String,
    /// Its kind, as in [`Action::KINDS`].
    pub kind: &'static str,
    /// Who acts, if it is one actor.
    pub actor: Option<String>,
    /// Whether it is fair: no fault, and not from outside.
    pub is_fair: bool,
    /// Whether the run took it.
    pub is_taken: bool,
    /// What it leads to.
    pub leads: Leads,
}

/// The last moment at which a violation could still be avoided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastSafe {
    /// The step that was taken then, from 1: it was chosen at the state before it.
    pub step: usize,
    /// What it was.
    pub taken: String,
    /// How many actions could happen there.
    pub enabled: usize,
    /// Those that were safe, in words, the fair ones first.
    pub safe: Vec<String>,
    /// How many of these are faults or come from outside; the last ones.
    pub unfair: usize,
    /// What is claimed of them.
    pub claim: Claim,
}

/// What is claimed of choices that are called safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// After them fair steps could keep the property for ever; after the step that was taken, and
    /// after every later one of the run, they could not.
    ForGood,
    /// They do not violate at once. What then follows would take too many steps to tell.
    NextStep,
}

/// Tells the fate of states of one world for one property. It remembers what it was asked.
#[derive(Clone, Debug)]
pub struct Judge<P: Protocol> {
    world: World<P>,
    kind: Kind,
    /// The index of the property, among those of its kind.
    property: usize,
    fates: HashMap<Cluster<P>, Fate>,
    steps_left: usize,
}

impl<P: Protocol> Judge<P> {
    /// Of the property of this name; `None` if there is none.
    pub fn new(world: &World<P>, property: &str) -> Option<Self> {
        let kind = kind_of::<P>(property)?;
        let all = match kind {
            Kind::Safety => P::safety(),
            Kind::Liveness => P::liveness(),
        };
        let property = all.iter().position(|known| known.name == property)?;
        let (world, fates) = (world.clone(), HashMap::new());
        Some(Judge { world, kind, property, fates, steps_left: STEPS_IN_ALL })
    }

    /// Everything that may happen at a state, in the order of [`World::enabled`].
    pub fn choices(&mut self, state: &Cluster<P>, taken: Option<&Action<P>>) -> Vec<Choice<P>> {
        let enabled = self.world.enabled(state).into_iter().enumerate();
        let choices = enabled.map(|(index, action)| Choice {
            number: index + 1,
            text: describe(&self.world, &action),
            kind: action.kind(),
            actor: action.actor().map(|actor| actor.to_string()),
            is_fair: self.world.is_fair(state, &action),
            is_taken: taken == Some(&action),
            leads: self.leads(state, &action),
            action,
        });
        choices.collect()
    }

    /// What an action leads to.
    pub fn leads(&mut self, state: &Cluster<P>, action: &Action<P>) -> Leads {
        let next = self.world.apply(state, action);
        if self.violates(&next) {
            return Leads::Violates;
        }
        match self.fate(&next) {
            Fate::Safe => Leads::Safe,
            Fate::Doomed => Leads::Doomed,
            Fate::Unknown => Leads::Unknown,
        }
    }

    /// What fair steps can make of a state.
    pub fn fate(&mut self, state: &Cluster<P>) -> Fate {
        if self.violates(state) {
            return Fate::Doomed;
        }
        match self.fates.get(state) {
            Some(fate) => *fate,
            None => self.explore(state),
        }
    }

    /// The last state of a run at which a violation at `step` could still be avoided, and what could
    /// have happened there instead. `None` if it could not from the start, if nothing was chosen,
    /// or, for liveness, if it would take too many states to tell.
    pub fn last_safe(
        &mut self,
        states: &[Cluster<P>],
        steps: &[Action<P>],
        step: usize,
    ) -> Option<LastSafe> {
        for at in (0..step.min(steps.len())).rev() {
            match self.fate(&states[at]) {
                Fate::Safe => return Some(self.choice_at(&states[at], &steps[at], at)),
                Fate::Doomed => {}
                Fate::Unknown => break,
            }
        }
        let at = step.checked_sub(1)?;
        let before = (states.get(at)?, steps.get(at)?);
        let known = self.fate(before.0) != Fate::Unknown;
        if known || self.kind == Kind::Liveness {
            return None;
        }
        // Of what does not violate at once no more is asked.
        let left = std::mem::take(&mut self.steps_left);
        let choice = self.choice_at(before.0, before.1, at);
        self.steps_left = left;
        Some(LastSafe { claim: Claim::NextStep, ..choice })
    }

    fn choice_at(&mut self, state: &Cluster<P>, taken: &Action<P>, at: usize) -> LastSafe {
        let for_good = self.fate(state) == Fate::Safe;
        let choices = self.choices(state, Some(taken));
        let enabled = choices.len();
        let safe = choices.into_iter().filter(|choice| match choice.leads {
            Leads::Safe => true,
            Leads::Unknown => !for_good,
            Leads::Doomed | Leads::Violates => false,
        });
        let (fair, unfair): (Vec<_>, Vec<_>) = safe.partition(|choice| choice.is_fair);
        LastSafe {
            step: at + 1,
            taken: describe(&self.world, taken),
            enabled,
            unfair: unfair.len(),
            safe: fair.into_iter().chain(unfair).map(|choice| choice.text).collect(),
            claim: Claim::ForGood,
        }
    }

    /// Whether it is violated already.
    fn violates(&self, state: &Cluster<P>) -> bool {
        self.kind == Kind::Safety && state.violated.contains_key(&self.property)
    }

    /// Whether the property is true now.
    fn is_true(&self, state: &Cluster<P>) -> bool {
        match self.kind {
            Kind::Safety => !self.violates(state),
            Kind::Liveness => P::is_reached(&self.world, state, self.property),
        }
    }

    /// Looks at what fair steps lead to, depth first, until something is found that tells the fate of
    /// `root`, or all is seen.
    fn explore(&mut self, root: &Cluster<P>) -> Fate {
        let mut graph = Graph::of(root.clone());
        let (mut stack, mut steps) = (vec![0], 0);
        while let Some(at) = stack.pop() {
            if self.steps_left == 0 || steps > STEPS_MAX {
                graph.nodes[at].is_open = true;
                stack.iter().for_each(|at| graph.nodes[*at].is_open = true);
                break;
            }
            let state = graph.nodes[at].state.clone();
            graph.nodes[at].is_bad = !self.is_true(&state);
            if self.violates(&state) {
                continue;
            }
            let mut new = Vec::new();
            for action in self.world.enabled(&state) {
                if !self.world.is_fair(&state, &action) {
                    continue;
                }
                let next = self.world.apply(&state, &action);
                self.steps_left = self.steps_left.saturating_sub(1);
                steps += 1;
                if next == state {
                    continue;
                }
                let known = self.fates.get(&next).copied();
                let (index, is_new) = graph.add(at, next);
                match known {
                    Some(Fate::Safe) => return self.safe_up_to(&graph, at),
                    Some(Fate::Doomed) => graph.nodes[index].is_bad = true,
                    Some(Fate::Unknown) => graph.nodes[index].is_open = true,
                    None if is_new => new.push(index),
                    None => {}
                }
            }
            let is_at_rest = graph.nodes[at].nexts.is_empty();
            if is_at_rest && !graph.nodes[at].is_bad {
                return self.safe_up_to(&graph, at);
            }
            // What is enabled first is looked at first: timers come last.
            stack.extend(new.into_iter().rev());
        }
        self.judge(&graph)
    }

    /// Notes that the state of a node is safe, and so are those on the way to it.
    fn safe_up_to(&mut self, graph: &Graph<P>, at: usize) -> Fate {
        let mut way = Some(at);
        while let Some(at) = way {
            let node = &graph.nodes[at];
            self.fates.insert(node.state.clone(), Fate::Safe);
            way = node.parent;
        }
        Fate::Safe
    }

    /// The fate of the first node of a graph that was looked at as far as it can be.
    fn judge(&mut self, graph: &Graph<P>) -> Fate {
        let nodes = &graph.nodes;
        let may_go_wrong = graph.leading_to(|node| node.is_bad || node.is_open);
        let settled: Vec<bool> = may_go_wrong.iter().map(|may| !may).collect();
        let safe = graph.leading_to_any(settled);
        let unknown = graph.leading_to(|node| node.is_open);
        let fate = |index: usize| match (safe[index], unknown[index]) {
            (true, _) => Fate::Safe,
            (false, true) => Fate::Unknown,
            (false, false) => Fate::Doomed,
        };
        // That it is unknown is remembered only if there was a budget to tell.
        let known = (0..nodes.len()).filter(|index| match fate(*index) {
            Fate::Safe | Fate::Doomed => true,
            Fate::Unknown => *index == 0 && self.steps_left > 0,
        });
        self.fates.extend(known.map(|index| (nodes[index].state.clone(), fate(index))));
        fate(0)
    }
}

/// The states that fair steps lead to from one.
struct Graph<P: Protocol> {
    nodes: Vec<Node<P>>,
    index: HashMap<Cluster<P>, usize>,
}

struct Node<P: Protocol> {
    state: Cluster<P>,
    /// From where it was found.
    parent: Option<usize>,
    nexts: Vec<usize>,
    /// Whether the property is not true here, or cannot become and stay true.
    is_bad: bool,
    /// Whether it was not looked at any further.
    is_open: bool,
}

impl<P: Protocol> Graph<P> {
    fn of(root: Cluster<P>) -> Self {
        let node =
            |state| Node { state, parent: None, nexts: Vec::new(), is_bad: false, is_open: false };
        Graph { index: HashMap::from([(root.clone(), 0)]), nodes: vec![node(root)] }
    }

    /// The number of a state that follows that of `from`, and whether it is new.
    fn add(&mut self, from: usize, state: Cluster<P>) -> (usize, bool) {
        let new = self.nodes.len();
        let index = *self.index.entry(state.clone()).or_insert(new);
        if index == new {
            let (parent, nexts) = (Some(from), Vec::new());
            self.nodes.push(Node { state, parent, nexts, is_bad: false, is_open: false });
        }
        self.nodes[from].nexts.push(index);
        (index, index == new)
    }

    fn leading_to(&self, is_aim: impl Fn(&Node<P>) -> bool) -> Vec<bool> {
        self.leading_to_any(self.nodes.iter().map(is_aim).collect())
    }

    /// By node: whether it is, or leads to, one that is marked.
    fn leading_to_any(&self, mut marked: Vec<bool>) -> Vec<bool> {
        let mut befores = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.nexts.iter().for_each(|next| befores[*next].push(index));
        }
        let mut queue: Vec<usize> = (0..marked.len()).filter(|index| marked[*index]).collect();
        while let Some(at) = queue.pop() {
            for before in &befores[at] {
                if !std::mem::replace(&mut marked[*before], true) {
                    queue.push(*before);
                }
            }
        }
        marked
    }
}

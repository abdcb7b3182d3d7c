//! Liveness, judged on the graph of fair steps.
//!
//! Let C be the largest set of states in which every liveness goal is true and that no fair step
//! leaves. A state in which the goals happen to be true while something that will change that is
//! still under way is not in C. Over all states that are reachable with faults:
//!
//! - b1, *heals*: from every state a state of C can be reached by fair steps;
//! - b2, *stable*: no fair step leaves C. It is so by the choice of C; what is said is how many
//!   states it leaves out;
//! - b3: every bottom component of the graph lies in C. Then, in a finite graph, every run that is
//!   fair from some point on ends in C and stays (strong fairness), and so does, with probability 1,
//!   every run under a scheduler that gives each enabled step a chance;
//! - b4: a component outside C can be stayed in for ever under weak fairness if, and only if, every
//!   action that is enabled in all its states is taken inside it.
//!
//! A search that was cut off is not judged: its frontier looks like dead ends.

use crate::explore::Graph;
use std::collections::{BTreeSet, HashSet};

/// What the graph says of liveness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// b1: states from which C cannot be reached by fair steps.
    pub unhealed: u64,
    /// b1: the most fair steps that the shortest way to C takes from any state.
    pub heal_steps_max: u32,
    /// b2: states in which every goal is true but that a fair run may leave: not in C.
    pub transient: u64,
    /// b3: by liveness property: a state of a bottom component in which it is false, the one with
    /// the lowest index.
    pub violated: Vec<Option<u32>>,
    /// b3: how many bottom components there are.
    pub bottoms: u64,
    /// b4: components outside C that can be stayed in for ever under weak fairness.
    pub livelocks: u64,
}

/// Judges a whole graph. `goals` says by state, bit i, whether property i is true in it.
pub fn judge(fair: &Graph, goals: &[u8], properties: usize) -> Judgement {
    let all = ((1u16 << properties) - 1) as u8;
    let (stable, transient) = stable(fair, |state| goals[state as usize] & all == all);
    let converged = |state: u32| stable[state as usize];
    let (unhealed, heal_steps_max) = heal(fair, &converged);
    let components = components(fair);
    let mut judgement = Judgement {
        unhealed,
        heal_steps_max,
        transient,
        violated: vec![None; properties],
        ..Judgement::default()
    };
    for component in &components {
        let inside: HashSet<u32> = component.iter().copied().collect();
        let is_bottom =
            component.iter().all(|s| fair.steps(*s).iter().all(|(to, _)| inside.contains(to)));
        if is_bottom {
            judgement.bottoms += 1;
            for (property, found) in judgement.violated.iter_mut().enumerate() {
                let false_in =
                    component.iter().filter(|s| goals[**s as usize] & (1 << property) == 0);
                let lowest = false_in.min().copied();
                *found = match (*found, lowest) {
                    (Some(known), Some(new)) => Some(known.min(new)),
                    (known, new) => known.or(new),
                };
            }
        }
        let outside = component.iter().any(|state| !converged(*state));
        if outside && can_be_stayed_in(fair, component, &inside) {
            judgement.livelocks += 1;
        }
    }
    judgement
}

/// A way through a component from `state` back to it, by fair steps: the states on it after
/// `state`. Empty if nothing fair changes anything any more.
pub fn cycle(fair: &Graph, state: u32) -> Vec<u32> {
    let mut from = std::collections::HashMap::new();
    let mut queue = std::collections::VecDeque::from([state]);
    while let Some(at) = queue.pop_front() {
        for (to, _) in fair.steps(at).iter().filter(|(to, _)| *to != at) {
            if *to == state {
                let mut way = vec![state];
                let mut back = at;
                while back != state {
                    way.push(back);
                    back = from[&back];
                }
                way.reverse();
                return way;
            }
            if !from.contains_key(to) {
                from.insert(*to, at);
                queue.push_back(*to);
            }
        }
    }
    Vec::new()
}

/// The fair steps backwards.
struct Backwards {
    starts: Vec<u32>,
    from: Vec<u32>,
}

impl Backwards {
    fn of(fair: &Graph) -> Self {
        let count = fair.len();
        let mut starts: Vec<u32> = vec![0; count + 1];
        for state in 0..count as u32 {
            for (to, _) in fair.steps(state) {
                starts[*to as usize + 1] += 1;
            }
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut from = vec![0u32; starts[count] as usize];
        for state in 0..count as u32 {
            for (to, _) in fair.steps(state) {
                from[next[*to as usize] as usize] = state;
                next[*to as usize] += 1;
            }
        }
        Backwards { starts, from }
    }

    fn steps(&self, state: u32) -> &[u32] {
        let (start, end) = (self.starts[state as usize], self.starts[state as usize + 1]);
        &self.from[start as usize..end as usize]
    }
}

/// The largest set of states in which the goals are true and that no fair step leaves; and how many
/// states in which they are true are not in it.
fn stable(fair: &Graph, goals: impl Fn(u32) -> bool) -> (Vec<bool>, u64) {
    let backwards = Backwards::of(fair);
    let states = || 0..fair.len() as u32;
    let mut stable: Vec<bool> = states().map(&goals).collect();
    let mut leaving: Vec<u32> = states().filter(|state| !stable[*state as usize]).collect();
    let mut transient = 0;
    while let Some(state) = leaving.pop() {
        for from in backwards.steps(state) {
            if std::mem::replace(&mut stable[*from as usize], false) {
                transient += 1;
                leaving.push(*from);
            }
        }
    }
    (stable, transient)
}

/// How many states cannot reach a converged one, and how far the others are at most.
fn heal(fair: &Graph, converged: &impl Fn(u32) -> bool) -> (u64, u32) {
    let count = fair.len();
    let backwards = Backwards::of(fair);
    let mut healed = vec![false; count];
    let mut layer: Vec<u32> = (0..count as u32).filter(|state| converged(*state)).collect();
    layer.iter().for_each(|state| healed[*state as usize] = true);
    let (mut reached, mut steps) = (layer.len(), 0);
    loop {
        let mut before = Vec::new();
        for state in layer {
            for from in backwards.steps(state) {
                if !std::mem::replace(&mut healed[*from as usize], true) {
                    before.push(*from);
                }
            }
        }
        if before.is_empty() {
            return ((count - reached) as u64, steps);
        }
        reached += before.len();
        steps += 1;
        layer = before;
    }
}

/// Whether a run may stay in this component for ever although no action that stays enabled is put
/// off for ever.
fn can_be_stayed_in(fair: &Graph, component: &[u32], inside: &HashSet<u32>) -> bool {
    let mut always: Option<BTreeSet<u32>> = None;
    let mut taken = HashSet::new();
    let mut moves = component.len() > 1;
    for state in component {
        let steps = fair.steps(*state);
        let enabled: BTreeSet<u32> = steps.iter().map(|(_, action)| *action).collect();
        for (_, action) in steps.iter().filter(|(to, _)| inside.contains(to)) {
            taken.insert(*action);
            moves = true;
        }
        always = Some(match always {
            Some(always) => always.intersection(&enabled).copied().collect(),
            None => enabled,
        });
    }
    let always = always.unwrap_or_default();
    // A single state without a step cannot be left either.
    (moves || always.is_empty()) && always.iter().all(|action| taken.contains(action))
}

/// The strongly connected components, by Tarjan's algorithm, without recursion.
fn components(fair: &Graph) -> Vec<Vec<u32>> {
    const UNSEEN: u32 = u32::MAX;
    let count = fair.len();
    let (mut order, mut low) = (vec![UNSEEN; count], vec![0u32; count]);
    let mut on_stack = vec![false; count];
    let (mut stack, mut calls, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let mut clock = 0;
    for root in 0..count as u32 {
        if order[root as usize] != UNSEEN {
            continue;
        }
        calls.push((root, 0usize));
        while let Some((state, step)) = calls.pop() {
            let at = state as usize;
            if step == 0 {
                order[at] = clock;
                low[at] = clock;
                clock += 1;
                stack.push(state);
                on_stack[at] = true;
            }
            let steps = fair.steps(state);
            let mut descended = false;
            for (index, (to, _)) in steps.iter().enumerate().skip(step) {
                let to_at = *to as usize;
                if order[to_at] == UNSEEN {
                    calls.push((state, index + 1));
                    calls.push((*to, 0));
                    descended = true;
                    break;
                }
                if on_stack[to_at] {
                    low[at] = low[at].min(order[to_at]);
                }
            }
            if descended {
                continue;
            }
            if low[at] == order[at] {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member as usize] = false;
                    component.push(member);
                    if member == state {
                        break;
                    }
                }
                found.push(component);
            }
            if let Some((parent, _)) = calls.last() {
                let parent = *parent as usize;
                low[parent] = low[parent].min(low[at]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One goal, true in the states of `converged`.
    fn judged(steps: &[&[(u32, u32)]], converged: &[u32]) -> Judgement {
        let goals: Vec<u8> =
            (0..steps.len() as u32).map(|state| u8::from(converged.contains(&state))).collect();
        judge(&Graph::of(steps), &goals, 1)
    }

    #[test]
    fn a_chain_that_ends_converged_heals_and_stays() {
        let chain = judged(&[&[(1, 0)], &[(2, 1)], &[]], &[2]);
        assert_eq!(chain.unhealed, 0);
        assert_eq!(chain.heal_steps_max, 2);
        assert_eq!((chain.transient, chain.livelocks, chain.bottoms), (0, 0, 1));
        assert_eq!(chain.violated, [None]);
    }

    #[test]
    fn a_dead_end_outside_is_found() {
        let dead_end = judged(&[&[(1, 0), (2, 1)], &[], &[]], &[2]);
        assert_eq!(dead_end.unhealed, 1);
        assert_eq!(dead_end.violated, [Some(1)]);
        assert_eq!(dead_end.livelocks, 1);
    }

    #[test]
    fn a_cycle_that_can_be_left_is_a_livelock_only_under_weak_fairness() {
        // 0 and 1 alternate; the way out of 1 is enabled in 1 only.
        let cycle = judged(&[&[(1, 0)], &[(0, 1), (2, 2)], &[]], &[2]);
        assert_eq!((cycle.unhealed, cycle.livelocks), (0, 1));
        assert_eq!(cycle.violated, [None]);
        // The way out is enabled in both.
        let cycle = judged(&[&[(1, 0), (2, 2)], &[(0, 1), (2, 2)], &[]], &[2]);
        assert_eq!((cycle.unhealed, cycle.livelocks), (0, 0));
    }

    #[test]
    fn a_step_that_changes_nothing_does_not_keep_a_run_from_going_on() {
        let pause = judged(&[&[(0, 0), (1, 1)], &[(1, 0)]], &[1]);
        assert_eq!((pause.unhealed, pause.livelocks), (0, 0));
        assert_eq!(pause.violated, [None]);
    }

    #[test]
    fn leaving_the_converged_states_is_found_even_if_one_comes_back() {
        let swing = judged(&[&[(1, 0)], &[(0, 1)]], &[0]);
        assert_eq!((swing.unhealed, swing.transient), (2, 1));
        assert_eq!(swing.violated, [Some(1)]);
    }

    #[test]
    fn a_lasso_closes() {
        let graph = Graph::of(&[&[(1, 0)], &[(2, 0), (1, 5)], &[(1, 0)]]);
        assert_eq!(cycle(&graph, 1), [2, 1]);
        assert_eq!(cycle(&graph, 2), [1, 2]);
        assert!(cycle(&Graph::of(&[&[(0, 0)]]), 0).is_empty());
    }
}

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
use std::collections::BTreeSet;

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
    /// b4: components outside C that can be stayed in for ever under weak fairness; `None` if
    /// actions have no names.
    pub livelocks: Option<u64>,
}

/// Judges a whole graph. `goals` says by state, bit i, whether property i is true in it; `named`,
/// whether an action is told by its number.
pub fn judge(fair: &Graph, goals: &[u8], properties: usize, named: bool) -> Judgement {
    let all = ((1u16 << properties) - 1) as u8;
    let is_reached = |state: u32| goals[state as usize] & all == all;
    let stable = stable(fair, is_reached);
    let transient = (0..fair.len() as u32).filter(|s| is_reached(*s) && !stable[*s as usize]);
    let transient = transient.count() as u64;
    let (unhealed, heal_steps_max) = heal(fair, &stable);
    let mut judgement = Judgement {
        unhealed,
        heal_steps_max,
        transient,
        violated: vec![None; properties],
        livelocks: named.then_some(0),
        ..Judgement::default()
    };
    components(fair, |component, is_inside| {
        let leaves = |state: &u32| fair.targets(*state).iter().any(|to| !is_inside(*to));
        if !component.iter().any(leaves) {
            judgement.bottoms += 1;
            for (property, found) in judgement.violated.iter_mut().enumerate() {
                let false_in =
                    component.iter().filter(|s| goals[**s as usize] & 1 << property == 0);
                let lowest = false_in.min().copied();
                *found = match (*found, lowest) {
                    (Some(known), Some(new)) => Some(known.min(new)),
                    (known, new) => known.or(new),
                };
            }
        }
        let outside = component.iter().any(|state| !stable[*state as usize]);
        if let Some(livelocks) = &mut judgement.livelocks
            && outside
            && can_be_stayed_in(fair, component, is_inside)
        {
            *livelocks += 1;
        }
    });
    judgement
}

/// A way through a component from `state` back to it, by fair steps: the states on it after
/// `state`. Empty if nothing fair changes anything any more.
pub fn cycle(fair: &Graph, state: u32) -> Vec<u32> {
    let mut from = std::collections::HashMap::new();
    let mut queue = std::collections::VecDeque::from([state]);
    while let Some(at) = queue.pop_front() {
        for to in fair.targets(at).iter().filter(|to| **to != at) {
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

/// The largest set of states in which the goals are true and that no fair step leaves.
///
/// Sweeps from the last state to the first: most steps lead to states that were reached later, so
/// few sweeps are enough, and the steps need not be kept backwards.
fn stable(fair: &Graph, goals: impl Fn(u32) -> bool) -> Vec<bool> {
    let states = 0..fair.len() as u32;
    let mut stable: Vec<bool> = states.clone().map(goals).collect();
    loop {
        let mut changed = false;
        for state in states.clone().rev() {
            let leaves = || fair.targets(state).iter().any(|to| !stable[*to as usize]);
            if stable[state as usize] && leaves() {
                stable[state as usize] = false;
                changed = true;
            }
        }
        if !changed {
            return stable;
        }
    }
}

/// How many states cannot reach a converged one, and how far the others are at most. In sweeps, as
/// above.
fn heal(fair: &Graph, converged: &[bool]) -> (u64, u32) {
    const NEVER: u32 = u32::MAX;
    let start = |converged: &bool| if *converged { 0 } else { NEVER };
    let mut steps: Vec<u32> = converged.iter().map(start).collect();
    loop {
        let mut changed = false;
        for state in (0..fair.len() as u32).rev() {
            let best = fair.targets(state).iter().map(|to| steps[*to as usize].saturating_add(1));
            let best = best.min().unwrap_or(NEVER);
            if best < steps[state as usize] {
                steps[state as usize] = best;
                changed = true;
            }
        }
        if !changed {
            let unhealed = steps.iter().filter(|steps| **steps == NEVER).count();
            let most = steps.iter().filter(|steps| **steps != NEVER).max();
            return (unhealed as u64, most.copied().unwrap_or(0));
        }
    }
}

/// Whether a run may stay in this component for ever although no action that stays enabled is put
/// off for ever.
fn can_be_stayed_in(fair: &Graph, component: &[u32], is_inside: &dyn Fn(u32) -> bool) -> bool {
    let mut always: Option<BTreeSet<u16>> = None;
    let mut taken = BTreeSet::new();
    let mut moves = component.len() > 1;
    for state in component {
        let actions = fair.actions(*state);
        for (to, action) in fair.targets(*state).iter().zip(actions) {
            if is_inside(*to) {
                taken.insert(*action);
                moves = true;
            }
        }
        let enabled: BTreeSet<u16> = actions.iter().copied().collect();
        always = Some(match always {
            Some(always) => always.intersection(&enabled).copied().collect(),
            None => enabled,
        });
    }
    let always = always.unwrap_or_default();
    // A single state without a step cannot be left either.
    (moves || always.is_empty()) && always.iter().all(|action| taken.contains(action))
}

/// Calls `each` with every strongly connected component, and whether a state is in it. By Tarjan's
/// algorithm, without recursion.
fn components(fair: &Graph, mut each: impl FnMut(&[u32], &dyn Fn(u32) -> bool)) {
    const UNSEEN: u32 = u32::MAX;
    const DONE: u32 = u32::MAX - 1;
    let count = fair.len();
    let (mut order, mut low) = (vec![UNSEEN; count], vec![0u32; count]);
    let (mut stack, mut calls) = (Vec::new(), Vec::new());
    let mut clock = 0;
    for root in 0..count as u32 {
        if order[root as usize] != UNSEEN {
            continue;
        }
        calls.push((root, 0u32));
        while let Some((state, step)) = calls.pop() {
            let at = state as usize;
            if step == 0 {
                order[at] = clock;
                low[at] = clock;
                clock += 1;
                stack.push(state);
            }
            let mut descended = false;
            for (index, to) in fair.targets(state).iter().enumerate().skip(step as usize) {
                let to_at = *to as usize;
                if order[to_at] == UNSEEN {
                    calls.push((state, index as u32 + 1));
                    calls.push((*to, 0));
                    descended = true;
                    break;
                }
                if order[to_at] != DONE {
                    low[at] = low[at].min(order[to_at]);
                }
            }
            if descended {
                continue;
            }
            if low[at] == order[at] {
                let start =
                    stack.iter().rposition(|member| *member == state).expect("on the stack");
                let component = &stack[start..];
                // What is above the root on the stack, and not done, is in its component.
                let root = order[at];
                let is_inside = |state: u32| (root..DONE).contains(&order[state as usize]);
                each(component, &is_inside);
                for member in stack.drain(start..) {
                    order[member as usize] = DONE;
                }
            }
            if let Some((parent, _)) = calls.last() {
                let parent = *parent as usize;
                low[parent] = low[parent].min(low[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One goal, true in the states of `converged`.
    fn judged(steps: &[&[(u32, u16)]], converged: &[u32]) -> Judgement {
        let goals: Vec<u8> =
            (0..steps.len() as u32).map(|state| u8::from(converged.contains(&state))).collect();
        judge(&Graph::of(steps), &goals, 1, true)
    }

    #[test]
    fn a_chain_that_ends_converged_heals_and_stays() {
        let chain = judged(&[&[(1, 0)], &[(2, 1)], &[]], &[2]);
        assert_eq!(chain.unhealed, 0);
        assert_eq!(chain.heal_steps_max, 2);
        assert_eq!((chain.transient, chain.livelocks, chain.bottoms), (0, Some(0), 1));
        assert_eq!(chain.violated, [None]);
    }

    #[test]
    fn a_dead_end_outside_is_found() {
        let dead_end = judged(&[&[(1, 0), (2, 1)], &[], &[]], &[2]);
        assert_eq!(dead_end.unhealed, 1);
        assert_eq!(dead_end.violated, [Some(1)]);
        assert_eq!(dead_end.livelocks, Some(1));
    }

    #[test]
    fn a_cycle_that_can_be_left_is_a_livelock_only_under_weak_fairness() {
        // 0 and 1 alternate; the way out of 1 is enabled in 1 only.
        let cycle = judged(&[&[(1, 0)], &[(0, 1), (2, 2)], &[]], &[2]);
        assert_eq!((cycle.unhealed, cycle.livelocks), (0, Some(1)));
        assert_eq!(cycle.violated, [None]);
        // The way out is enabled in both.
        let cycle = judged(&[&[(1, 0), (2, 2)], &[(0, 1), (2, 2)], &[]], &[2]);
        assert_eq!((cycle.unhealed, cycle.livelocks), (0, Some(0)));
    }

    #[test]
    fn a_step_that_changes_nothing_does_not_keep_a_run_from_going_on() {
        let pause = judged(&[&[(0, 0), (1, 1)], &[(1, 0)]], &[1]);
        assert_eq!((pause.unhealed, pause.livelocks), (0, Some(0)));
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

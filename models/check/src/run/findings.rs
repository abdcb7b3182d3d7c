//! What came of a scenario, held against what it expects, and what each engine and each
//! representation says against what the others say.

use super::{Answer, Make, Options, Report};
use counterfoil_world::protocol::Protocol;
use counterfoil_world::{Expect, Scenario};
use std::collections::BTreeSet;

/// What is not as it should be.
pub(super) fn findings<P: Protocol>(report: &Report<P>, options: &Options) -> Vec<String> {
    let mut findings = Vec::new();
    let answer = &report.answer;
    for answer in std::iter::once(answer).chain(&report.others) {
        if !answer.is_cut_off() {
            findings.extend(disagreements(answer));
        }
    }
    for other in report.others.iter().filter(|_| !answer.is_cut_off()) {
        if other.is_cut_off() {
            continue;
        }
        if answer.make.is_exact() && other.make.is_exact() {
            findings.extend(differences(answer, other));
        } else if verdict(&report.scenario, answer) != verdict(&report.scenario, other) {
            findings.push(format!(
                "the {} and the {} world come to other verdicts: violated {:?} and {:?}",
                answer.make.name(),
                other.make.name(),
                answer.violated,
                other.violated
            ));
        }
    }
    let expect = if options.as_declared { &report.scenario.expect } else { &Expect::Holds };
    match expect {
        Expect::Holds => {
            findings.extend(answer.violated.iter().map(|p| format!("{p} is violated")))
        }
        Expect::Violates(property) if answer.violated.contains(property.as_str()) => {}
        Expect::Violates(property) if !report.is_inconclusive() => {
            findings.push(format!("{property} should be violated, and is not"));
        }
        Expect::Violates(_) => {}
    }
    let counted = match expect {
        Expect::Holds => answer.stopped.is_none(),
        Expect::Violates(_) => !answer.is_cut_off() && options.depth.is_none(),
    };
    // The count that is pinned is that of the world that is declared.
    let declared = Make::Interned.of(&report.scenario);
    let same = |make: Make| make == declared || (make.is_exact() && declared.is_exact());
    let counted = counted && options.as_declared && options.reduced && same(answer.make);
    if let (true, Some(pinned)) = (counted, report.scenario.distinct)
        && pinned != answer.distinct
    {
        findings.push(format!(
            "{} distinct states, and the scenario says {pinned}: its meaning changed",
            answer.distinct
        ));
    }
    findings
}

/// Where the two engines disagree.
fn disagreements<P: Protocol>(answer: &Answer<P>) -> Vec<String> {
    let mut findings = Vec::new();
    let make = answer.make.name();
    let mut disagree = |what: String| {
        findings.push(format!("the engines disagree in the {make} world: {what}"));
    };
    let (ours, theirs) = (answer.distinct, answer.stateright.distinct);
    if ours != theirs {
        disagree(format!("{ours} and {theirs} distinct states"));
    }
    let live = |name: &&&str| P::liveness().iter().any(|known| known.name == **name);
    let safe: BTreeSet<&str> = answer.violated.iter().filter(|p| !live(p)).copied().collect();
    let theirs = &answer.stateright.violated;
    if safe != *theirs {
        disagree(format!("violated {safe:?} and {theirs:?}"));
    }
    let ours = !answer.violated.iter().any(|property| live(&property));
    if answer.stateright.heals.is_some_and(|heals| heals != ours) {
        disagree(format!("it heals: {ours} and {}", !ours));
    }
    findings
}

/// What an answer says of the scenario: whether the property that is expected to be violated is, or
/// whether any is; and whether everything heals.
fn verdict<P: Protocol>(scenario: &Scenario, answer: &Answer<P>) -> (bool, Option<bool>) {
    let violated = match &scenario.expect {
        Expect::Violates(property) => answer.violated.contains(property.as_str()),
        Expect::Holds => !answer.violated.is_empty(),
    };
    (violated, answer.judgement.as_ref().map(|judgement| judgement.unhealed == 0))
}

/// Where two representations differ.
fn differences<P: Protocol>(one: &Answer<P>, other: &Answer<P>) -> Vec<String> {
    let (first, second) = (one.make.name(), other.make.name());
    let judged = |answer: &Answer<P>| {
        answer.judgement.as_ref().map(|judgement| {
            let violated: Vec<bool> = judgement.violated.iter().map(Option::is_some).collect();
            (judgement.unhealed, judgement.heal_steps_max, judgement.transient, violated)
        })
    };
    let in_components = |answer: &Answer<P>| {
        answer.judgement.as_ref().map(|judgement| (judgement.bottoms, judgement.livelocks))
    };
    let pairs = [
        (
            "states",
            format!("{} {}", one.states, one.distinct),
            format!("{} {}", other.states, other.distinct),
        ),
        ("depth", one.depth.to_string(), other.depth.to_string()),
        ("violated", format!("{:?}", one.violated), format!("{:?}", other.violated)),
        ("liveness", format!("{:?}", judged(one)), format!("{:?}", judged(other))),
        ("components", format!("{:?}", in_components(one)), format!("{:?}", in_components(other))),
        ("coverage", format!("{:?}", one.coverage), format!("{:?}", other.coverage)),
    ];
    let differ = pairs.into_iter().filter(|(_, one, other)| one != other);
    differ
        .map(|(what, one, other)| {
            format!("the {first} and the {second} world differ in {what}: {one} and {other}")
        })
        .collect()
}

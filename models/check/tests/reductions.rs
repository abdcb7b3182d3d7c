//! Reductions change counts and no verdict: each is switched off, in every scenario.

use counterfoil_check::run::{Make, Options, run};
use counterfoil_check::suite::Suite;
use counterfoil_world::Counterfoil;

/// Scenarios that are compared to a depth only: on the set network what is spent makes several hundred
/// times as many states of the first, and the order of names over twenty times as many of the second.
const TOO_MANY: [(&str, usize); 2] =
    [("late_claim_after_node_restart", 18), ("restarted_scheduler_claims_twice", 11)];

#[test]
fn no_reduction_changes_a_verdict() {
    let mut wrong = Vec::new();
    for scenario in Suite::Quick.scenarios().unwrap() {
        let too_many = TOO_MANY.iter().find(|(name, _)| *name == scenario.name);
        let depth = too_many.map(|(_, depth)| *depth);
        let options = Options {
            seed: 0,
            time: None,
            memory_bytes_max: None,
            depth,
            threads: 2,
            makes: vec![Make::Interned, Make::Symmetric, Make::AnyOrder, Make::SpentKept],
            reduced: true,
            checkpoint: None,
            as_declared: depth.is_none(),
        };
        let report = run::<Counterfoil>(&scenario, &options).unwrap();
        wrong.extend(report.findings.iter().map(|finding| format!("{}: {finding}", scenario.name)));
        let complete = |stopped: Option<_>| depth.is_some() || stopped.is_none();
        let holds =
            scenario.without.is_empty() && scenario.expect == counterfoil_world::Expect::Holds;
        for answer in std::iter::once(&report.answer).chain(&report.others) {
            if holds && !complete(answer.stopped) {
                wrong.push(format!("{}: not explored to its end", scenario.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

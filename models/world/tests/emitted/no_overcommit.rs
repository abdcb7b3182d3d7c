//! A run of without_node_judges_claims in which `no_overcommit` is violated, taken through the real machines.
//!
//! Written by `check replay TRACE --emit-test`.

use counterfoil_world::Counterfoil;
use counterfoil_world::{Action, Outcome, Scenario, Trace, replay};

/// The scenario.
const SCENARIO: &str = r#"
{"name":"without_node_judges_claims",
"question":"What goes wrong without the rule node_judges_claims?",
"expect":{"violates":"no_overcommit"},"protocol":"counterfoil","flaw":null,"answer":null,
"numbers":[],"symmetry":false,"distinct":null,"without":["node_judges_claims"],
"network":"multiset","timers":"late","start":"warm","lapses":"budget","schedulers":2,
"clients":true,"nodes":[{"classes":{"VCPU":{"total":1,"reserved":0,
"allocation_ratio_milli":1000,"min_unit":1,"max_unit":18446744073709551615,"step_unit":1}},
"traits":[],"zone":null,"aggregates":[]}],"nodes_at_start":1,"requests":[{"id":1,
"resources":{"VCPU":1},"near":[],"apart":{},"at":null,"bundle":[]},{"id":2,
"resources":{"VCPU":1},"near":[],"apart":{},"at":null,"bundle":[]}],"orders":[],"faults":{},
"only_lose":[],"faults_in_all":null,"limits":{"allocations_max":4096,"groups_max":40,
"subscribers_max":64,"fences_max":256,"delta_log_max":64,"claims_open_max":64,
"nodes_max":100000,"attempts_pending_max":4096,"claims_per_attempt_max":16,
"requests_max":1000000,"bundle_max":16,"attempts_max":2}}
"#;

/// What happens, step by step.
const STEPS: [&str; 8] = [
    // 1: request r1 for {VCPU: 1} is made
    r#"{"outside":[0,null]}"#,
    // 2: c1 picks scheduler r1/1 s1
    r#"
{"pick":[{"actor":{"Client":1},"incarnation":null},{"scheduler":[{"request":1,"number":1},
1]}]}
"#,
    // 3: request r2 for {VCPU: 1} is made
    r#"{"outside":[1,null]}"#,
    // 4: c1 picks scheduler r2/1 s2
    r#"
{"pick":[{"actor":{"Client":1},"incarnation":null},{"scheduler":[{"request":2,"number":1},
2]}]}
"#,
    // 5: call of c1 reaches s2
    r#"
{"mail":{"from":{"actor":{"Client":1},"incarnation":null},"to":{"actor":{"Scheduler":2},
"incarnation":1},"letter":{"call":{"attempt":{"request":2,"number":1},
"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],"zone":null,"aggregates":[],
"near":[],"apart":{}}}}}}
"#,
    // 6: call of c1 reaches s1
    r#"
{"mail":{"from":{"actor":{"Client":1},"incarnation":null},"to":{"actor":{"Scheduler":1},
"incarnation":1},"letter":{"call":{"attempt":{"request":1,"number":1},
"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],"zone":null,"aggregates":[],
"near":[],"apart":{}}}}}}
"#,
    // 7: claim of s1 reaches n1
    r#"
{"deliver":{"src":{"actor":{"Scheduler":1},"incarnation":1},"dst":{"actor":{"Node":1},
"incarnation":1},"body":{"Claim":{"claim":{"scheduler":1,"incarnation":1,"node":1,
"number":0},"request":1,"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],
"zone":null,"aggregates":[],"near":[],"apart":{}},"floor":0}}}}
"#,
    // 8: claim of s2 reaches n1
    r#"
{"deliver":{"src":{"actor":{"Scheduler":2},"incarnation":1},"dst":{"actor":{"Node":1},
"incarnation":1},"body":{"Claim":{"claim":{"scheduler":2,"incarnation":1,"node":1,
"number":0},"request":2,"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],
"zone":null,"aggregates":[],"near":[],"apart":{}},"floor":0}}}}
"#,
];

/// What is violated.
const CLAUSE: &str = "n1 grants s2.1:n1#0: allocated VCPU = 2 <= capacity = 1";

#[test]
fn no_overcommit_is_violated_at_step_8() {
    let scenario: Scenario = serde_json::from_str(SCENARIO).unwrap();
    let steps = STEPS.map(|step| serde_json::from_str::<Action<Counterfoil>>(step).unwrap());
    let trace = Trace::new(scenario, "no_overcommit", steps.to_vec());
    match replay(&trace).outcome {
        Outcome::Violated { step, violation } => {
            assert_eq!((step, violation.clause.as_str()), (8, CLAUSE));
        }
        Outcome::Holds { because } => panic!("it holds: {because}"),
        Outcome::Diverged(divergence) => panic!("{divergence}"),
    }
}

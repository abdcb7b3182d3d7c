//! A run of copy_of_a_grant in which `views_are_real_states` holds, taken through the real machines.
//!
//! Written by `check replay TRACE --emit-test`.

use counterfoil_world::Counterfoil;
use counterfoil_world::{Action, Outcome, Scenario, Trace, replay};

/// The scenario.
const SCENARIO: &str = r#"
{"name":"copy_of_a_grant",
"question":"Every datagram may arrive again at any time: is a granted claim granted again after it lapsed?",
"expect":"holds","protocol":"counterfoil","flaw":null,"answer":null,"numbers":[],
"symmetry":false,"distinct":8625,"without":[],"network":"set","timers":"any","start":"warm",
"lapses":"budget","schedulers":1,"clients":true,"nodes":[{"classes":{"VCPU":{"total":1,
"reserved":0,"allocation_ratio_milli":1000,"min_unit":1,"max_unit":18446744073709551615,
"step_unit":1}},"traits":[],"zone":null,"aggregates":[]}],"nodes_at_start":1,
"requests":[{"id":1,"resources":{"VCPU":1},"near":[],"apart":{},"at":null,"bundle":[]}],
"orders":[],"faults":{"lapse":1},"only_lose":[],"faults_in_all":null,
"limits":{"allocations_max":4096,"groups_max":40,"subscribers_max":64,"fences_max":256,
"delta_log_max":64,"claims_open_max":64,"nodes_max":100000,"attempts_pending_max":4096,
"claims_per_attempt_max":16,"requests_max":1000000,"bundle_max":16,"attempts_max":1}}
"#;

/// What happens, step by step.
const STEPS: [&str; 8] = [
    // 1: request r1 for {VCPU: 1} is made
    r#"{"outside":[0,null]}"#,
    // 2: call of c1 reaches s1
    r#"
{"mail":{"from":{"actor":{"Client":1},"incarnation":null},"to":{"actor":{"Scheduler":1},
"incarnation":1},"letter":{"call":{"attempt":{"request":1,"number":1},
"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],"zone":null,"aggregates":[],
"near":[],"apart":{}}}}}}
"#,
    // 3: claim of s1 reaches n1
    r#"
{"deliver":{"src":{"actor":{"Scheduler":1},"incarnation":1},"dst":{"actor":{"Node":1},
"incarnation":1},"body":{"Claim":{"claim":{"scheduler":1,"incarnation":1,"node":1,
"number":0},"request":1,"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],
"zone":null,"aggregates":[],"near":[],"apart":{}},"floor":0}}}}
"#,
    // 4: timer announce fires at n1
    r#"{"fire":[{"actor":{"Node":1},"incarnation":1},"Announce"]}"#,
    // 5: delta of n1 reaches s1
    r#"
{"deliver":{"src":{"actor":{"Node":1},"incarnation":1},"dst":{"actor":{"Scheduler":1},
"incarnation":1},"body":{"Delta":{"from":0,"to":1,"changes":{"inventory":null,"status":null,
"used":{"VCPU":1}}}}}}
"#,
    // 6: timer lapse s1.1:n1#0 fires at n1
    r#"
{"fire":[{"actor":{"Node":1},"incarnation":1},{"Lapse":{"scheduler":1,"incarnation":1,
"node":1,"number":0}}]}
"#,
    // 7: timer announce fires at n1
    r#"{"fire":[{"actor":{"Node":1},"incarnation":1},"Announce"]}"#,
    // 8: delta of n1 reaches s1
    r#"
{"deliver":{"src":{"actor":{"Node":1},"incarnation":1},"dst":{"actor":{"Scheduler":1},
"incarnation":1},"body":{"Delta":{"from":1,"to":2,"changes":{"inventory":null,"status":null,
"used":{"VCPU":0}}}}}}
"#,
];

#[test]
fn views_are_real_states_holds() {
    let scenario: Scenario = serde_json::from_str(SCENARIO).unwrap();
    let steps = STEPS.map(|step| serde_json::from_str::<Action<Counterfoil>>(step).unwrap());
    let trace = Trace::new(scenario, "views_are_real_states", steps.to_vec());
    let outcome = replay(&trace).outcome;
    assert!(matches!(outcome, Outcome::Holds { .. }), "{outcome:?}");
}

//! A run of without_quiet_streams_carry_their_stamp in which `convergence` is violated, taken through the real machines.
//!
//! Written by `check replay TRACE --emit-test`.

use counterfoil_world::Counterfoil;
use counterfoil_world::{Action, Outcome, Scenario, Trace, replay};

/// The scenario.
const SCENARIO: &str = r#"
{"name":"without_quiet_streams_carry_their_stamp",
"question":"What goes wrong without the rule quiet_streams_carry_their_stamp?",
"expect":{"violates":"convergence"},"protocol":"counterfoil","flaw":null,"answer":null,
"numbers":[],"symmetry":false,"distinct":null,"without":["quiet_streams_carry_their_stamp"],
"network":"multiset","timers":"late","start":"warm","lapses":"budget","schedulers":2,
"clients":false,"nodes":[{"classes":{"VCPU":{"total":1,"reserved":0,
"allocation_ratio_milli":1000,"min_unit":1,"max_unit":18446744073709551615,"step_unit":1}},
"traits":[],"zone":null,"aggregates":[]}],"nodes_at_start":1,"requests":[{"id":1,
"resources":{"VCPU":1},"near":[],"apart":{},"at":null,"bundle":[]}],"orders":[],
"faults":{"lose":3},"only_lose":[],"faults_in_all":null,"limits":{"allocations_max":4096,
"groups_max":40,"subscribers_max":64,"fences_max":256,"delta_log_max":64,"claims_open_max":64,
"nodes_max":100000,"attempts_pending_max":4096,"claims_per_attempt_max":16,
"requests_max":1000000,"bundle_max":16,"attempts_max":8}}
"#;

/// What happens, step by step.
const STEPS: [&str; 8] = [
    // 1: request r1 for {VCPU: 1} is made at s1
    r#"{"outside":[0,{"actor":{"Scheduler":1},"incarnation":1}]}"#,
    // 2: claim of s1 reaches n1
    r#"
{"deliver":{"src":{"actor":{"Scheduler":1},"incarnation":1},"dst":{"actor":{"Node":1},
"incarnation":1},"body":{"Claim":{"claim":{"scheduler":1,"incarnation":1,"node":1,
"number":0},"request":1,"demand":{"resources":{"VCPU":1},"required":[],"forbidden":[],
"zone":null,"aggregates":[],"near":[],"apart":{}},"floor":0}}}}
"#,
    // 3: timer announce fires at n1
    r#"{"fire":[{"actor":{"Node":1},"incarnation":1},"Announce"]}"#,
    // 4: verdict granted of n1 reaches s1
    r#"
{"deliver":{"src":{"actor":{"Node":1},"incarnation":1},"dst":{"actor":{"Scheduler":1},
"incarnation":1},"body":{"Verdict":{"claim":{"scheduler":1,"incarnation":1,"node":1,
"number":0},"decision":{"Granted":{"at":{"incarnation":1,"version":1}}}}}}}
"#,
    // 5: delta of n1 reaches s1
    r#"
{"deliver":{"src":{"actor":{"Node":1},"incarnation":1},"dst":{"actor":{"Scheduler":1},
"incarnation":1},"body":{"Delta":{"from":0,"to":1,"changes":{"inventory":null,"status":null,
"used":{"VCPU":1}}}}}}
"#,
    // 6: delta of n1 to s2 is lost
    r#"
{"lose":{"src":{"actor":{"Node":1},"incarnation":1},"dst":{"actor":{"Scheduler":2},
"incarnation":1},"body":{"Delta":{"from":0,"to":1,"changes":{"inventory":null,"status":null,
"used":{"VCPU":1}}}}}}
"#,
    // 7: timer announce fires at n1
    r#"{"fire":[{"actor":{"Node":1},"incarnation":1},"Announce"]}"#,
    // 8: delta of n1 reaches s2
    r#"
{"deliver":{"src":{"actor":{"Node":1},"incarnation":1},"dst":{"actor":{"Scheduler":2},
"incarnation":1},"body":{"Delta":{"from":1,"to":1,"changes":{"inventory":null,"status":null,
"used":{}}}}}}
"#,
];

/// What is violated.
const CLAUSE: &str =
    "s2 is subscribed to n1, caches for it what it is, and sets nothing aside there";

#[test]
fn convergence_is_violated_at_step_6() {
    let scenario: Scenario = serde_json::from_str(SCENARIO).unwrap();
    let steps = STEPS.map(|step| serde_json::from_str::<Action<Counterfoil>>(step).unwrap());
    let mut trace = Trace::new(scenario, "convergence", steps.to_vec());
    trace.back_to = Some(6);
    match replay(&trace).outcome {
        Outcome::Violated { step, violation } => {
            assert_eq!((step, violation.clause.as_str()), (6, CLAUSE));
        }
        Outcome::Holds { because } => panic!("it holds: {because}"),
        Outcome::Diverged(divergence) => panic!("{divergence}"),
    }
}

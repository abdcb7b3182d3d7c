//! Why the kept traces violate, as data; and that what is said of choices is so.

use counterfoil_world::choices::{Claim, Fate};
use counterfoil_world::trace::{BYTES_MAX, Kind};
use counterfoil_world::why::{Difference, LastChoice, Verdict};
use counterfoil_world::{
    Cluster, Counterfoil, Judge, Leads, Outcome, Protocol, Trace, TraceError, Why, World, replay,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces")
}

fn kept() -> Vec<(String, Trace<Counterfoil>)> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut traces: Vec<(String, Trace<Counterfoil>)> = files
        .filter(|path| path.to_string_lossy().ends_with(".itf.json"))
        .map(|path| (path.display().to_string(), Trace::load(&path).unwrap()))
        .collect();
    traces.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(traces.len() > 10);
    traces
}

/// Takes fair steps that change something, chosen by `random`, until there are none.
fn fair_run(
    world: &World<Counterfoil>,
    from: &Cluster<Counterfoil>,
    mut random: u64,
) -> Cluster<Counterfoil> {
    const STEPS_MAX: usize = 300;
    let mut now = from.clone();
    for _ in 0..STEPS_MAX {
        let fair = world.enabled(&now).into_iter().filter(|action| world.is_fair(&now, action));
        let mut nexts: Vec<Cluster<Counterfoil>> =
            fair.map(|action| world.apply(&now, &action)).filter(|next| *next != now).collect();
        if nexts.is_empty() {
            break;
        }
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        now = nexts.swap_remove((random >> 33) as usize % nexts.len());
    }
    now
}

#[test]
fn after_the_last_safe_choice_fair_steps_come_to_the_violation() {
    let mut told = 0;
    for (name, trace) in kept() {
        let replayed = replay(&trace);
        let Outcome::Violated { .. } = replayed.outcome else { continue };
        let why = Why::of(&trace, &replayed);
        let LastChoice::At(last) = why.choice else { panic!("{name}: {:?}", why.choice) };
        assert_eq!(last.claim, Claim::ForGood, "{name}");
        assert!(last.safe.len() <= last.enabled && last.unfair <= last.safe.len(), "{name}");
        let property = |all: &[counterfoil_world::protocol::Property]| {
            all.iter().position(|known| known.name == trace.property)
        };
        let is_wrong = |state: &Cluster<Counterfoil>| match trace.kind {
            Kind::Safety => state.violated.contains_key(&property(Counterfoil::safety()).unwrap()),
            Kind::Liveness => {
                let index = property(Counterfoil::liveness()).unwrap();
                Counterfoil::goal(&replayed.world, state, index).is_some()
            }
        };
        for random in 0..20 {
            let end = fair_run(&replayed.world, &replayed.states[last.step], random);
            assert!(is_wrong(&end), "{name}: after step {} it can be avoided", last.step);
        }
        // What is called safe there leads to a state from which some fair run ends well.
        let mut judge = Judge::new(&replayed.world, &trace.property).unwrap();
        let before = &replayed.states[last.step - 1];
        let choices = judge.choices(before, Some(&trace.steps[last.step - 1]));
        assert_eq!(choices.len(), last.enabled, "{name}");
        assert_eq!(choices.iter().filter(|choice| choice.is_taken).count(), 1, "{name}");
        let safe = choices.iter().filter(|choice| choice.leads == Leads::Safe);
        assert_eq!(safe.clone().count(), last.safe.len(), "{name}");
        for choice in safe {
            let next = replayed.world.apply(before, &choice.action);
            let ends = (0..200).any(|random| !is_wrong(&fair_run(&replayed.world, &next, random)));
            assert!(ends, "{name}: {} is called safe", choice.text);
            assert_eq!(judge.fate(&next), Fate::Safe);
        }
        told += 1;
    }
    assert!(told > 10);
}

#[test]
fn the_messages_that_made_a_difference_are_named() {
    let differences = |name: &str| -> Vec<Difference> {
        let trace: Trace<Counterfoil> = Trace::load(&folder().join(name)).unwrap();
        let why = Why::of(&trace, &replay(&trace));
        assert_eq!(why.verdict, Verdict::Violated);
        why.messages.into_iter().flat_map(|message| message.differences).collect()
    };
    let overtaken = differences("views_are_real_states__without_gaps_are_not_applied.itf.json");
    assert!(matches!(overtaken.as_slice(), [Difference::Overtaken { .. }]), "{overtaken:?}");
    let lost = differences("convergence__without_quiet_streams_carry_their_stamp.itf.json");
    assert!(lost.contains(&Difference::Lost { step: 6 }), "{lost:?}");
    let copied = differences("one_grant_per_claim__without_granted_claims_stay_decided.itf.json");
    assert!(copied.contains(&Difference::Copied { steps: vec![5] }), "{copied:?}");
    let none = differences("no_overcommit__without_node_judges_claims.itf.json");
    assert!(none.is_empty(), "{none:?}");
}

#[test]
fn every_kept_trace_is_told_in_one_sentence_and_as_json() {
    let mut sentences = String::new();
    for (_, trace) in kept() {
        let why = Why::of(&trace, &replay(&trace));
        assert!(why.sentence.ends_with('.') && !why.sentence.contains('\n'));
        sentences += &format!("{}\n", why.sentence);
        let json = serde_json::to_value(&why).unwrap();
        assert_eq!(json["property"], trace.property.as_str());
        assert_eq!(json["facts"].as_array().unwrap().len(), why.facts.len());
    }
    insta::assert_snapshot!(sentences);
}

#[test]
fn a_file_that_is_no_trace_is_refused_whatever_is_wrong_with_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.itf.json");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Trace::<Counterfoil>::load(&path).unwrap_err()
    };
    let (_, trace) = kept().swap_remove(0);
    trace.save(&path).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    let without = whole.replacen("\"version\": 1", "\"version\": 0", 1);
    assert!(matches!(refused(without.as_bytes()), TraceError::NoTrace { .. }));
    let many = whole.replacen("\"schedulers\":1", "\"schedulers\":4000000000", 1);
    assert_ne!(many, whole);
    let error = refused(many.as_bytes());
    assert!(error.to_string().contains("4000000000 schedulers: up to 64"), "{error}");
    let other = whole.replacen("\"scenario\":", "\"scenery\":", 1);
    let error = refused(other.as_bytes());
    assert!(error.to_string().contains("missing field `scenario`"), "{error}");
    assert!(matches!(refused(b"\xff\xfe{}"), TraceError::Damaged { .. }));
    assert!(matches!(refused("[".repeat(100_000).as_bytes()), TraceError::Damaged { .. }));

    let file = std::fs::File::create(&path).unwrap();
    file.set_len(BYTES_MAX + 1).unwrap();
    let error = Trace::<Counterfoil>::load(&path).unwrap_err();
    assert!(error.to_string().contains("is larger than any trace: over 64 MiB"), "{error}");
}

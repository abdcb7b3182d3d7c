//! Branches: another action is chosen, and the real machines go on from there.

use crate::{kept, press, screen, type_in, viewer};
use counterfoil_viewer::terminal::Viewer;
use counterfoil_world::replay::describe;
use counterfoil_world::{Counterfoil, Expected, Outcome, Trace, World, replay};

/// The place, among what could happen after `step`, of what begins so.
fn place(trace: &Trace<Counterfoil>, step: usize, what: &str) -> usize {
    let world: World<Counterfoil> = World::new(trace.scenario.clone());
    let mut state = world.initial();
    for action in &trace.steps[..step] {
        state = world.apply(&state, action);
    }
    let texts: Vec<String> =
        world.enabled(&state).iter().map(|action| describe(&world, action)).collect();
    let found = texts.iter().position(|text| text.starts_with(what));
    found.unwrap_or_else(|| panic!("not {what}, but: {texts:#?}"))
}

/// Chooses an action of those that may happen at the step that is shown.
fn choose(viewer: &mut Viewer<Counterfoil>, place: usize) {
    press(viewer, "Esc b");
    // Whatever has the cursor: first to the top.
    for _ in 0..200 {
        press(viewer, "Up");
    }
    for _ in 0..place {
        press(viewer, "Down");
    }
    press(viewer, "Enter");
}

#[test]
fn a_branch_is_judged_undone_and_saved() {
    let trace = kept("no_overcommit__without_node_judges_claims");
    let mut viewer = viewer(&trace);
    press(&mut viewer, "h h");
    assert_eq!(viewer.step(), 6);
    // The other claim first: the violation comes with the second, as it does in the run.
    choose(&mut viewer, place(&trace, 6, "claim of s2 reaches n1"));
    assert_eq!((viewer.step(), viewer.branched(), viewer.violation()), (7, Some(6), None));
    assert!(viewer.note().unwrap().starts_with("✓ no_overcommit is not violated"));
    let text = screen(&mut viewer, 80, 24);
    assert!(text.contains("branch after step 6, 1 step"), "{text}");

    let mut other = trace.clone();
    other.steps[6] = trace.steps[7].clone();
    choose(&mut viewer, place(&other, 7, "claim of s1 reaches n1"));
    assert_eq!((viewer.step(), viewer.violation()), (8, Some(8)));
    assert_eq!(viewer.note(), Some("✗ no_overcommit is violated on this branch, at step 8"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("branch.itf.json");
    press(&mut viewer, "S");
    for _ in 0..200 {
        press(&mut viewer, "Backspace");
    }
    type_in(&mut viewer, &file.display().to_string());
    press(&mut viewer, "Enter");
    assert!(viewer.note().unwrap().starts_with("saved; check replay"), "{:?}", viewer.note());
    let saved: Trace<Counterfoil> = Trace::load(&file).unwrap();
    assert_eq!((saved.steps.len(), saved.expect), (8, Expected::Witness));
    assert_eq!(saved.stored().len(), 9, "every state is there to be compared");
    let again = replay(&saved);
    assert!(matches!(again.outcome, Outcome::Violated { step: 8, .. }), "{:?}", again.outcome);

    press(&mut viewer, "u");
    assert_eq!((viewer.step(), viewer.branched(), viewer.violation()), (7, Some(6), None));
    press(&mut viewer, "u");
    assert_eq!((viewer.step(), viewer.branched(), viewer.violation()), (6, None, Some(8)));
    assert_eq!(viewer.note(), Some("this is the run of the file again"));
    press(&mut viewer, "u");
    assert!(viewer.note().unwrap().starts_with("there is nothing to undo"));
}

#[test]
fn what_the_run_does_itself_is_no_branch() {
    let trace = kept("no_overcommit__without_node_judges_claims");
    let mut viewer = viewer(&trace);
    press(&mut viewer, "g b");
    let text = screen(&mut viewer, 80, 24);
    assert!(text.contains("▸"), "{text}");
    press(&mut viewer, "Enter");
    assert_eq!((viewer.step(), viewer.branched()), (1, None));
}

#[test]
fn a_branch_is_left_and_come_back_to() {
    let trace = kept("no_overcommit__without_node_judges_claims");
    let mut viewer = viewer(&trace);
    press(&mut viewer, "h h h h");
    let before = screen(&mut viewer, 120, 40);
    choose(&mut viewer, place(&trace, 4, "call of c1 reaches s1"));
    assert_eq!((viewer.step(), viewer.branched()), (5, Some(4)));
    let branch = screen(&mut viewer, 120, 40);
    press(&mut viewer, "Esc U");
    assert_eq!((viewer.step(), viewer.branched()), (4, None));
    press(&mut viewer, "x");
    assert_eq!(screen(&mut viewer, 120, 40).lines().next(), before.lines().next());
    press(&mut viewer, "u");
    assert_eq!((viewer.step(), viewer.branched()), (5, Some(4)));
    // An earlier branch, and back to the later one.
    press(&mut viewer, "g l l");
    choose(&mut viewer, place(&trace, 2, "call of c1 reaches s1"));
    assert_eq!((viewer.step(), viewer.branched()), (3, Some(2)));
    press(&mut viewer, "u x Esc G");
    assert_eq!((viewer.step(), viewer.branched()), (5, Some(4)));
    assert_eq!(screen(&mut viewer, 120, 40).lines().next(), branch.lines().next());
    // Beside its run.
    press(&mut viewer, "c");
    let text = screen(&mut viewer, 120, 40);
    assert!(text.contains("4 steps in common; ≠ first difference at step 5"), "{text}");
    assert!(text.contains("the branch"), "{text}");
    press(&mut viewer, "c");
    assert!(screen(&mut viewer, 120, 40).contains("branch after step 4"));
}

#[test]
fn a_branch_of_a_lasso_is_judged_by_what_goes_on_for_ever() {
    let trace = kept("convergence__without_quiet_streams_carry_their_stamp");
    let mut viewer = viewer(&trace);
    let start = trace.back_to.unwrap();
    press(&mut viewer, "g L h");
    assert_eq!(viewer.step(), start);
    // Once round the loop, by hand, from its end: that is a loop again.
    press(&mut viewer, "G");
    let mut steps = trace.clone();
    for action in &trace.steps[start..] {
        let at = steps.steps.len();
        let world: World<Counterfoil> = World::new(trace.scenario.clone());
        let what = describe(&world, action);
        choose(&mut viewer, place(&steps, at, &what));
        steps.steps.push(action.clone());
    }
    assert_eq!(viewer.branched(), Some(trace.steps.len()));
    assert!(viewer.violation().is_some(), "it leads back, and the goal is false");
}

//! What keys do.

use crate::runs::{lost_and_copied, walked};
use crate::{drawn, kept, key, press, screen, traces, type_in, viewer};
use counterfoil_viewer::terminal::{Flow, Palette, Viewer};
use counterfoil_world::{Counterfoil, Outcome, Trace};
use proptest::prelude::*;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::LazyLock;

#[test]
fn steps_are_gone_through() {
    let mut viewer = viewer(&kept("no_overcommit__without_node_judges_claims"));
    assert_eq!((viewer.step(), viewer.violation()), (8, Some(8)), "it opens at the violation");
    press(&mut viewer, "h Left");
    assert_eq!(viewer.step(), 6);
    press(&mut viewer, "g h");
    assert_eq!(viewer.step(), 0, "nothing is before the start");
    press(&mut viewer, "l Right Down");
    assert_eq!(viewer.step(), 3);
    press(&mut viewer, "v");
    assert_eq!(viewer.step(), 8);
    press(&mut viewer, "l");
    assert_eq!(viewer.step(), 8);
    assert_eq!(viewer.note(), Some("this is the end; b goes on from here"));
    press(&mut viewer, "g G Home End");
    assert_eq!(viewer.step(), 8);
}

#[test]
fn the_steps_of_an_actor_and_the_changes_of_a_value_are_gone_through() {
    // c1 acts at 1 to 4, s2 at 5, s1 at 6, n1 at 7 and 8.
    let mut viewer = viewer(&kept("no_overcommit__without_node_judges_claims"));
    press(&mut viewer, "[");
    assert_eq!(viewer.step(), 7, "n1 is shown, since it acts");
    press(&mut viewer, "[");
    assert_eq!(viewer.note(), Some("n1 does nothing earlier"));
    press(&mut viewer, "]");
    assert_eq!(viewer.step(), 8);
    // The value under the cursor: allocations, in what is durable.
    press(&mut viewer, "} ");
    assert!(viewer.note().unwrap().starts_with("choose a value first"));
    press(&mut viewer, "g a Tab Down");
    let text = screen(&mut viewer, 120, 40);
    assert!(text.contains("state of"), "{text}");
    press(&mut viewer, "a a a");
    press(&mut viewer, "Down Down Down");
    press(&mut viewer, "}");
    let first = viewer.step();
    press(&mut viewer, "{");
    assert!(viewer.step() < first || viewer.note().is_some());
}

#[test]
fn the_loop_is_gone_to() {
    let trace = kept("convergence__without_quiet_streams_carry_their_stamp");
    let start = trace.back_to.unwrap();
    let mut viewer = viewer(&trace);
    press(&mut viewer, "g L");
    assert_eq!(viewer.step(), start + 1);
    press(&mut viewer, "L");
    assert_eq!(viewer.step(), trace.steps.len());
    press(&mut viewer, "l");
    assert_eq!(
        viewer.note(),
        Some(&*format!("here it goes back to after step {start}: L goes there"))
    );
}

#[test]
fn text_is_searched_in_steps_and_messages() {
    let mut viewer = viewer(&kept("no_overcommit__without_node_judges_claims"));
    press(&mut viewer, "g /");
    type_in(&mut viewer, "VERDICT granted");
    press(&mut viewer, "Enter");
    assert_eq!(viewer.step(), 7, "it sends the first verdict");
    press(&mut viewer, "n");
    assert_eq!(viewer.step(), 8);
    press(&mut viewer, "n");
    assert_eq!(viewer.step(), 7, "from the end it goes on at the start");
    press(&mut viewer, "N");
    assert_eq!(viewer.step(), 8);
    press(&mut viewer, "/");
    type_in(&mut viewer, "nowherf");
    press(&mut viewer, "Backspace Enter");
    assert_eq!(viewer.note(), Some("\"nowher\" is at no step"));
    assert_eq!(viewer.step(), 8);
}

#[test]
fn lines_lead_to_their_steps() {
    let mut viewer = viewer(&kept("no_overcommit__without_node_judges_claims"));
    viewer.think(true);
    // The sentence, the statement, the clause, then what is allocated: written at 7 and 8.
    press(&mut viewer, "w Down Down Down Down Enter");
    assert_eq!(viewer.step(), 7);
    // At 7, the claim of s2 is under way, which arrives at 8.
    press(&mut viewer, "BackTab BackTab BackTab Tab Tab Tab Tab Enter");
    assert_eq!(viewer.step(), 8);
}

#[test]
fn actors_are_left_out_of_the_diagram() {
    let mut viewer = viewer(&kept("no_overcommit__without_node_judges_claims"));
    let all = screen(&mut viewer, 80, 24);
    assert!(all.lines().any(|line| line.contains("c1") && line.contains("s2")), "{all}");
    press(&mut viewer, "f Enter f");
    let fewer = screen(&mut viewer, 80, 24);
    let names = |text: &str| text.lines().nth(4).unwrap().to_owned();
    assert_ne!(names(&all), names(&fewer), "{fewer}");
    press(&mut viewer, "f a f");
    assert_eq!(names(&screen(&mut viewer, 80, 24)), names(&all));
}

#[test]
fn a_run_that_diverged_has_a_banner() {
    let mut trace = kept("no_overcommit__without_node_judges_claims");
    trace.steps.swap(1, 7);
    let mut viewer = viewer(&trace);
    assert!(matches!(viewer.outcome(), Outcome::Diverged(_)));
    let text = screen(&mut viewer, 80, 24);
    assert!(text.contains("✗ the run of no_overcommit diverged"), "{text}");
    assert!(text.contains("diverged at step 2: it cannot happen that"), "{text}");
    assert_eq!(viewer.step(), 1, "up to there it is shown");
}

#[test]
fn it_ends_when_told_to() {
    let mut viewer = viewer(&lost_and_copied());
    let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(viewer.key(control), Flow::Interrupted);
    press(&mut viewer, "/");
    assert_eq!(viewer.key(key("q")), Flow::On, "a letter of what is searched for");
    assert_eq!(viewer.key(control), Flow::Interrupted);
    press(&mut viewer, "Esc ? q");
    assert_eq!(viewer.key(key("q")), Flow::Quit, "the help is closed first");
}

static ALL: LazyLock<Vec<(String, Trace<Counterfoil>)>> = LazyLock::new(|| {
    let mut all: Vec<(String, Trace<Counterfoil>)> = std::fs::read_dir(traces())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| (path.display().to_string(), Trace::load(&path).unwrap()))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all.push(("walk".to_owned(), walked(60)));
    assert!(all.len() > 15, "the kept counterexamples are found");
    all
});

/// Any key but those that quit and those that write files.
fn any_key() -> impl Strategy<Value = KeyEvent> {
    const NAMED: [&str; 12] = [
        "Enter",
        "Tab",
        "BackTab",
        "Esc",
        "Backspace",
        "Up",
        "Down",
        "Left",
        "Right",
        "Home",
        "PageUp",
        "PageDown",
    ];
    let letters = "hljkgGvL[]{}aA0wbuUfnNc?/x ";
    prop_oneof![
        1 => prop::sample::select(NAMED.to_vec()).prop_map(key),
        2 => prop::sample::select(letters.chars().collect::<Vec<char>>())
            .prop_map(|letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn no_keys_make_it_panic(
        keys in prop::collection::vec(any_key(), 0..60),
        sizes in prop::collection::vec((1..200u16, 1..60u16), 1..4),
        ascii in any::<bool>(),
    ) {
        for (name, trace) in ALL.iter() {
            let palette = Palette { ascii, ..Palette::default() };
            let mut viewer = Viewer::new(name, trace.clone(), palette);
            for (index, key) in keys.iter().enumerate() {
                let (width, height) = sizes[index * sizes.len() / keys.len()];
                viewer.key(*key);
                viewer.think(false);
                drawn(&mut viewer, width.max(80 * u16::from(index % 4 > 0)), height);

            }
        }
    }
}

//! Screens, compared with the last ones that were looked at.

use crate::runs::{equal_twice, lost_and_copied, walked};
use crate::{drawn, kept, press, screen, viewer};
use counterfoil_viewer::terminal::{Palette, Viewer};
use counterfoil_world::{Counterfoil, Trace};
use insta::assert_snapshot;
use ratatui::style::Color;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn assert_screens(name: &str, trace: &Trace<Counterfoil>, keys: &str) {
    for (width, height) in SIZES {
        let mut viewer = viewer(trace);
        drawn(&mut viewer, width, height);
        press(&mut viewer, keys);
        assert_snapshot!(format!("{name}_{width}"), screen(&mut viewer, width, height));
    }
}

#[test]
fn a_run_of_five_steps() {
    let trace = kept("bundles_end_whole__without_bundles_are_chosen_whole");
    assert_eq!(trace.steps.len(), 5);
    assert_screens("five_steps", &trace, "");
    assert_screens("five_steps_why", &trace, "w");
    assert_screens("five_steps_next", &trace, "h b");
}

#[test]
fn a_long_run_with_eight_nodes() {
    let trace = walked(60);
    assert_screens("sixty_steps", &trace, "g PageDown PageDown");
    assert_screens("sixty_steps_end", &trace, "G Tab Tab Tab Tab");
}

#[test]
fn a_lasso_has_a_rail() {
    let trace = kept("convergence__without_quiet_streams_carry_their_stamp");
    assert!(trace.back_to.is_some());
    assert_screens("lasso", &trace, "L");
    assert_screens("lasso_why", &trace, "w");
}

#[test]
fn what_is_lost_and_copied_has_its_line() {
    assert_screens("lost_and_copied", &lost_and_copied(), "");
    assert_screens("lost_and_copied_flight", &lost_and_copied(), "g l l BackTab");
}

#[test]
fn an_equal_message_sent_twice_is_two_arrows() {
    let mut viewer = viewer(&equal_twice());
    let text = screen(&mut viewer, 80, 24);
    let arrows: Vec<&str> = text.lines().filter(|line| line.contains(['◀', '◁'])).collect();
    assert_eq!(arrows.len(), 2, "{text}");
    assert!(arrows[0].contains("m2") && arrows[1].contains("m3"), "{text}");
}

#[test]
fn the_help_has_every_key_and_sign() {
    assert_screens("help", &lost_and_copied(), "?");
}

#[test]
fn two_runs_stand_side_by_side() {
    for (width, height) in SIZES {
        let mut viewer = viewer(&kept("no_overcommit__without_node_judges_claims"));
        viewer.compare_with("OTHER.itf.json", kept("groups_are_kept__anti_affinity_not_judged"));
        assert_snapshot!(format!("comparison_{width}"), screen(&mut viewer, width, height));
    }
}

#[test]
fn a_terminal_that_is_too_small_is_told_so() {
    let mut viewer = viewer(&lost_and_copied());
    for (width, height) in [(79, 24), (80, 23), (20, 3), (1, 1)] {
        let text = screen(&mut viewer, width, height);
        assert!(!text.contains("no_overcommit"), "{text}");
    }
    let text = screen(&mut viewer, 79, 24);
    assert!(text.starts_with("This terminal is 79 x 24; the viewer needs 80 x 24."), "{text}");
    assert!(screen(&mut viewer, 80, 24).contains("✗ no_overcommit is violated"), "it grew");
}

#[test]
fn ascii_is_ascii_and_no_colour_is_no_colour() {
    let trace = lost_and_copied();
    for keys in ["", "w", "b", "?", "f", "g"] {
        let look = |palette: Palette| {
            let mut viewer = Viewer::new("TRACE.itf.json", trace.clone(), palette);
            press(&mut viewer, keys);
            viewer.think(true);
            drawn(&mut viewer, 120, 40)
        };
        let text = |palette| -> String {
            look(palette).content.iter().map(|cell| cell.symbol().to_owned()).collect()
        };
        let ascii = text(Palette { ascii: true, ..Palette::default() });
        assert!(ascii.is_ascii(), "{ascii}");
        assert!(!ascii.replace(" ?", "").contains('?') || keys == "?" || keys == "b", "{ascii}");
        let plain = look(Palette::default());
        let hueless = |color: Color| color == Color::Reset;
        assert!(plain.content.iter().all(|cell| hueless(cell.fg) && hueless(cell.bg)));
        let coloured = Palette { colour: true, ..Palette::default() };
        assert!(look(coloured).content.iter().any(|cell| !hueless(cell.fg)));
        assert_eq!(text(coloured), text(Palette::default()), "hues say nothing alone");
    }
}

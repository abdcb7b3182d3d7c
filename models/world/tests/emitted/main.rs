//! Tests that `check replay TRACE --emit-test FILE` wrote, as it wrote them.

mod convergence;
mod no_overcommit;
mod views_are_real_states;

use counterfoil_world::emit::emit;
use counterfoil_world::{Counterfoil, Trace, replay};
use std::path::Path;

/// A run that repeats itself for ever, a violation at a step, and a property that holds again.
const EMITTED: [(&str, &str); 3] = [
    ("convergence__without_quiet_streams_carry_their_stamp", include_str!("convergence.rs")),
    ("no_overcommit__without_node_judges_claims", include_str!("no_overcommit.rs")),
    ("views_are_real_states__a_sum_ends_at_nothing", include_str!("views_are_real_states.rs")),
];

#[test]
fn they_are_what_is_written_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces");
    for (name, kept) in EMITTED {
        let path = folder.join(format!("{name}.itf.json"));
        let trace: Trace<Counterfoil> = Trace::load(&path).unwrap();
        let written = emit(&trace, &replay(&trace));
        assert!(written == kept, "{name} is now:\n{written}");
    }
}

//! Writes the trace of a random walk with eight nodes, to try a viewer with: `walked FILE STEPS`.

use counterfoil_world::Trace;
use std::path::PathBuf;

#[allow(dead_code, reason = "the other runs are for tests")]
#[path = "../tests/terminal/runs.rs"]
mod runs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: walked FILE STEPS";
    let file = PathBuf::from(arguments.next().ok_or(usage)?);
    let steps: usize = arguments.next().ok_or(usage)?.parse()?;
    let trace: Trace<counterfoil_world::Counterfoil> = runs::walked(steps);
    Ok(trace.save(&file)?)
}

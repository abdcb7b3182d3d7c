//! Writes the trace of a random walk, to try a viewer with: `walked FILE STEPS NODES [NUMBER]`.

use counterfoil_world::walk::{Plan, Plans, Sought, walk};
use counterfoil_world::{Counterfoil, Trace};
use std::path::PathBuf;

/// More walks than this are not tried.
const TRIED_MAX: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: walked FILE STEPS NODES [NUMBER]";
    let file = PathBuf::from(arguments.next().ok_or(usage)?);
    let steps: usize = arguments.next().ok_or(usage)?.parse()?;
    let nodes: u32 = arguments.next().ok_or(usage)?.parse()?;
    let first: u64 = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let plans = Plans::random(steps.max(400), &[]);
    for number in first..TRIED_MAX {
        let plan: Plan = plans.plan(1, number).current();
        if plan.scenario.nodes_at_start != nodes || plan.length < steps.min(400) / 2 {
            continue;
        }
        let mut taken = walk::<Counterfoil>(&plan, Sought::Any).steps;
        if taken.len() < steps {
            continue;
        }
        taken.truncate(steps);
        println!("walk {number}: {}", plan.scenario.bounds());
        return Ok(Trace::new(plan.scenario, "no_overcommit", taken).save(&file)?);
    }
    Err("no walk is as long".into())
}

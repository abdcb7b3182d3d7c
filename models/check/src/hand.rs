//! Exploring by hand: choose actions, undo, walk at random.

use counterfoil_world::replay::describe;
use counterfoil_world::{Cluster, Protocol, World};
use std::io::{BufRead, Write};

/// Lets a person choose actions, reading commands from `input` and answering on `output`.
pub fn explore<P: Protocol>(
    world: &World<P>,
    input: impl BufRead,
    mut output: impl Write,
) -> std::io::Result<()> {
    let mut way: Vec<Cluster<P>> = vec![world.initial()];
    writeln!(output, "{}: {}", world.scenario.name, world.scenario.bounds())?;
    writeln!(output, "NUMBER choose · u undo · r N walk N steps at random · s state · q quit")?;
    show(world, &way, &mut output)?;
    for line in input.lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        match (words.next(), words.next().and_then(|count| count.parse::<usize>().ok())) {
            (None, _) => continue,
            (Some("q"), _) => return Ok(()),
            (Some("u"), _) if way.len() > 1 => {
                way.pop();
            }
            (Some("u"), _) => writeln!(output, "this is where it starts")?,
            (Some("s"), _) => {
                for (address, process) in way[way.len() - 1].processes.iter() {
                    writeln!(output, "{address}: {process:?}")?;
                }
            }
            (Some("r"), steps) => walk(world, &mut way, steps.unwrap_or(10), &mut output)?,
            (Some(word), _) => {
                let now = &way[way.len() - 1];
                let mut enabled = world.enabled(now);
                match word.parse::<usize>() {
                    Ok(number) if (1..=enabled.len()).contains(&number) => {
                        let next = world.apply(now, &enabled.swap_remove(number - 1));
                        way.push(next);
                    }
                    Ok(_) | Err(_) => {
                        writeln!(output, "{word:?}: use 1 to {}, u, r N, s or q", enabled.len())?;
                    }
                }
            }
        }
        show(world, &way, &mut output)?;
    }
    Ok(())
}

fn show<P: Protocol>(
    world: &World<P>,
    way: &[Cluster<P>],
    output: &mut impl Write,
) -> std::io::Result<()> {
    let now = &way[way.len() - 1];
    writeln!(output, "\nstep {}", way.len() - 1)?;
    for (property, violation) in now.violated.iter() {
        let name = P::safety()[*property].name;
        writeln!(output, "✗ {name} is violated: {}", violation.clause)?;
    }
    for (index, property) in P::liveness().iter().enumerate() {
        if let Some(unmet) = P::goal(world, now, index) {
            writeln!(output, "  {} not yet: {}", property.name, unmet().clause)?;
        }
    }
    for (index, action) in world.enabled(now).iter().enumerate() {
        let fair = if world.is_fair(now, action) { ' ' } else { '!' };
        writeln!(output, "{:>3} {fair} {}", index + 1, describe(world, action))?;
    }
    output.flush()
}

/// Walks at random, with a fixed seed: the same commands give the same walk.
fn walk<P: Protocol>(
    world: &World<P>,
    way: &mut Vec<Cluster<P>>,
    steps: usize,
    output: &mut impl Write,
) -> std::io::Result<()> {
    let mut random = way.len() as u64;
    for _ in 0..steps {
        let now = &way[way.len() - 1];
        let mut enabled = world.enabled(now);
        if enabled.is_empty() {
            return writeln!(output, "nothing can happen any more");
        }
        // The generator of Knuth's MMIX; its upper bits are good enough to walk by.
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let choice = (random >> 33) as usize % enabled.len();
        let action = enabled.swap_remove(choice);
        writeln!(output, "    {}", describe(world, &action))?;
        way.push(world.apply(now, &action));
    }
    Ok(())
}

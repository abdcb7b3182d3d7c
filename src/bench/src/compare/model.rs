//! The setting of the model: threads of this process, with queues between them. Every scheduler has a
//! thread, and all nodes share one, for every design alike.

use super::CompareError;
use super::cell::Cell;
use super::conductor::Conductor;
use super::drive::{Control, judge, run_nodes, run_scheduler};
use super::parts;
use super::spec::{Scene, Spec};
use super::tally::{Tally, Witness};
use super::transport::Queues;
use crate::baselines::database::{Database, Place};
use crate::baselines::{Given, PartError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// From one look at how far the run is to the next.
const LOOK: Duration = Duration::from_millis(2);

/// Measures a cell; the rows of its designs.
///
/// # Errors
/// If a part cannot start or go on.
pub fn measure(
    spec: &Spec,
    folder: &Path,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Cell>, CompareError> {
    let scene = spec.scene()?;
    let place = spec.place().within(folder);
    let owned = spec.has_database().then(|| parts::database(&scene.given, &place)).transpose()?;
    let (tallies, mut witness) = run(spec, &scene, &place, interrupted)?;
    let without_nodes = witness.is_none();
    let witness = witness.get_or_insert_default();
    if let (Some(mut database), true) = (owned, without_nodes) {
        look(&mut *database, &scene.given, witness)?;
    }
    Ok(rows(spec, &scene, &tallies, witness))
}

/// What is allocated in the end, where the database is the authority.
pub(super) fn look(
    database: &mut dyn Database,
    given: &[Given],
    witness: &mut Witness,
) -> Result<(), PartError> {
    let mut rows = Vec::new();
    database.hosts(&mut rows)?;
    rows.sort_by_key(|row| row.node);
    let used: Vec<_> = rows.iter().map(|row| row.used).collect();
    judge(&used, given, witness);
    Ok(())
}

/// A row for each design.
pub(super) fn rows(spec: &Spec, scene: &Scene, tallies: &[Tally], witness: &Witness) -> Vec<Cell> {
    let mut names: Vec<&str> = spec.designs.iter().map(|design| design.name()).collect();
    names.sort_unstable();
    names.dedup();
    let row = |name: &str| {
        let mut sum = Tally::default();
        let of_name = spec.designs.iter().zip(tallies).filter(|(of, _)| of.name() == name);
        of_name.for_each(|(_, tally)| sum.add(tally));
        Cell::new(spec, scene, name, (&sum, witness))
    };
    names.into_iter().map(row).collect()
}

fn run(
    spec: &Spec,
    scene: &Scene,
    place: &Place,
    interrupted: &dyn Fn() -> bool,
) -> Result<(Vec<Tally>, Option<Witness>), PartError> {
    let control = Control::default();
    let mut queues = Queues::between(spec.schedulers());
    let nodes = parts::nodes(spec, &scene.given, place)?;
    let mut schedulers = Vec::new();
    for id in 1..=spec.schedulers() {
        let conductor =
            Conductor::new(scene.share(id, spec.schedulers()), spec.window, spec.attempts_max);
        schedulers.push((parts::scheduler(spec, id, scene.given.len() as u32, place)?, conductor));
    }
    thread::scope(|scope| {
        let mut ends = queues.drain(..);
        let mut nodes_end = ends.next().expect("the first queue is that of the nodes");
        let control = &control;
        let witness = nodes.map(|mut part| {
            let about = (&scene.given[..], spec.schedulers());
            scope.spawn(move || run_nodes(&mut *part, &mut nodes_end, about, control))
        });
        let running: Vec<_> = schedulers
            .into_iter()
            .zip(ends)
            .map(|((mut part, conductor), mut end)| {
                scope.spawn(move || run_scheduler(&mut *part, &mut end, conductor, control))
            })
            .collect();
        let running_nodes = || witness.as_ref().is_none_or(|witness| !witness.is_finished());
        let starts = Instant::now();
        while running.iter().any(|scheduler| !scheduler.is_finished()) {
            if control.ready() == spec.schedulers() {
                control.go();
            }
            // A part that failed leaves the others without an answer.
            let failed = running.iter().any(|part| part.is_finished()) && !control.goes();
            let late = starts.elapsed() > spec.limit;
            if failed || late || interrupted() || !running_nodes() {
                control.stop();
            }
            thread::sleep(LOOK);
        }
        control.stop();
        let tallies: Result<Vec<Tally>, PartError> = running
            .into_iter()
            .map(|scheduler| scheduler.join().expect("a scheduler panicked"))
            .collect();
        let witness = witness.map(|nodes| nodes.join().expect("the nodes panicked")).transpose()?;
        Ok((tallies?, witness))
    })
}

//! A search kept in a file, to go on later.

use crate::explore::{Exploration, Search};
use counterfoil_world::interned::{State, StoredState};
use counterfoil_world::{Interned, Protocol, Scenario};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Where a search is kept, and whether it goes on from there.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The file.
    pub file: PathBuf,
    /// Whether to go on from what it holds.
    pub resume: bool,
}

/// What a search is: only the same search can go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Which {
    /// What states are made of.
    pub make: String,
    /// The seed of the fingerprints.
    pub seed: u64,
    /// The scenario.
    pub scenario: Scenario,
}

/// Why a search cannot go on, or cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no search, or is damaged.
    #[error("{path}: no kept search, or cut short: {source}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        source: postcard::Error,
    },
    /// The file is of another build: its machines may do other things.
    #[error("{path}: kept by another build of check: start anew without --resume")]
    OtherBuild {
        /// Which.
        path: PathBuf,
    },
    /// The file holds another search.
    #[error("{path}: a search of {kept}, with other bounds, seed or symmetry: start anew")]
    OtherSearch {
        /// Which.
        path: PathBuf,
        /// The scenario that it is of.
        kept: String,
    },
}

const MAGIC: &[u8; 24] = b"counterfoil checkpoint 1";

/// Keeps a search. The file is whole at any time: it is written beside and then renamed.
pub fn keep<P: Protocol>(
    path: &Path,
    which: &Which,
    world: &Interned<P>,
    search: &Search<Interned<P>>,
) -> Result<(), CheckpointError> {
    let failed = |source| CheckpointError::Io { path: path.to_owned(), source };
    let beside = path.with_extension("part");
    let mut file = BufWriter::new(File::create(&beside).map_err(failed)?);
    let mut write = || -> Result<(), std::io::Error> {
        file.write_all(MAGIC)?;
        file.write_all(&build()?.to_le_bytes())?;
        put(which, &mut file)?;
        put(&world.stored(), &mut file)?;
        put(&search.queue.len(), &mut file)?;
        for state in &search.queue {
            put(&StoredState::from(state), &mut file)?;
        }
        put(&search.seen, &mut file)?;
        file.flush()?;
        file.get_ref().sync_all()
    };
    write().and_then(|()| std::fs::rename(&beside, path)).map_err(failed)
}

/// The search that a file holds, if it is this one.
pub fn resume<P: Protocol>(
    path: &Path,
    which: &Which,
    world: &mut Interned<P>,
) -> Result<Search<Interned<P>>, CheckpointError> {
    let failed = |source| CheckpointError::Io { path: path.to_owned(), source };
    let damaged = |source| CheckpointError::Damaged { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (mut magic, mut by) = ([0; MAGIC.len()], [0; 4]);
    file.read_exact(&mut magic).and_then(|()| file.read_exact(&mut by)).map_err(failed)?;
    if magic != *MAGIC {
        return Err(damaged(postcard::Error::DeserializeBadEncoding));
    }
    if u32::from_le_bytes(by) != build().map_err(failed)? {
        return Err(CheckpointError::OtherBuild { path: path.to_owned() });
    }
    let kept: Which = get(&mut file).map_err(damaged)?;
    if kept != *which {
        let kept = kept.scenario.name;
        return Err(CheckpointError::OtherSearch { path: path.to_owned(), kept });
    }
    world.restore(get(&mut file).map_err(damaged)?);
    let count: usize = get(&mut file).map_err(damaged)?;
    let mut queue = std::collections::VecDeque::new();
    for _ in 0..count {
        let state: StoredState = get(&mut file).map_err(damaged)?;
        queue.push_back(State::from(state));
    }
    let mut seen: Exploration<P> = get(&mut file).map_err(damaged)?;
    seen.index();
    Ok(Search { seen, queue })
}

fn put(value: &impl Serialize, file: &mut impl Write) -> Result<(), std::io::Error> {
    postcard::to_io(value, file).map(|_| ()).map_err(std::io::Error::other)
}

fn get<T: DeserializeOwned>(file: &mut impl Read) -> Result<T, postcard::Error> {
    // Names and words are read through this.
    let mut scratch = [0; 4096];
    postcard::from_io((file, &mut scratch)).map(|(value, _)| value)
}

/// What tells this build of the program from others: a checksum of it.
fn build() -> Result<u32, std::io::Error> {
    let mut program = BufReader::new(File::open(std::env::current_exe()?)?);
    let (mut hasher, mut block) = (crc32fast::Hasher::new(), [0; 1 << 16]);
    loop {
        match program.read(&mut block)? {
            0 => return Ok(hasher.finalize()),
            count => hasher.update(&block[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{Bound, begin, explore, go_on};
    use crate::progress::{Limit, Progress, Stop};
    use counterfoil_world::Counterfoil;
    use counterfoil_world::World;

    fn world(scenario: &Scenario) -> Interned<Counterfoil> {
        Interned::new(World::new(scenario.clone()), 0)
    }

    #[test]
    fn a_search_that_was_kept_goes_on_as_if_it_had_not_stopped() {
        let scenario = crate::suite::find("last_slot_race").unwrap();
        let which = Which { make: "interned".to_owned(), seed: 0, scenario: scenario.clone() };
        let bound = Bound::default();
        let whole =
            explore(&mut world(&scenario), bound, &Progress::new("whole", None, Limit::default()));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("search");
        let limit = Limit::default();
        limit.end(Stop::Time);
        let progress = Progress::new("first", None, limit);
        let mut first = world(&scenario);
        let mut search = begin(&mut first, &bound);
        // It ends at once: 256 states are looked at between two looks at the limit.
        let mut parts = 0;
        loop {
            let mut kept = false;
            let seen = go_on(&mut first, search, bound, &progress, |world, search| {
                keep(&file, &which, world, search).unwrap();
                kept = true;
            });
            parts += 1;
            if !kept {
                assert_eq!(seen.states, whole.states);
                assert_eq!(seen.distinct(), whole.distinct());
                assert_eq!(seen.depth(), whole.depth());
                assert_eq!(seen.goals, whole.goals);
                assert_eq!(format!("{:?}", seen.coverage), format!("{:?}", whole.coverage));
                break;
            }
            first = world(&scenario);
            search = resume(&file, &which, &mut first).unwrap();
        }
        assert!(parts > 2);
    }

    #[test]
    fn what_is_not_this_search_is_refused() {
        let scenario = crate::suite::find("last_slot_race").unwrap();
        let which = Which { make: "interned".to_owned(), seed: 0, scenario: scenario.clone() };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("search");
        let mut first = world(&scenario);
        let search = begin(&mut first, &Bound::default());
        keep(&file, &which, &first, &search).unwrap();
        let other = Which { seed: 1, ..which.clone() };
        let refused = resume(&file, &other, &mut world(&scenario));
        assert!(matches!(refused, Err(CheckpointError::OtherSearch { .. })));

        let bytes = std::fs::read(&file).unwrap();
        for length in [0, 10, 30, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..length]).unwrap();
            assert!(resume(&file, &which, &mut world(&scenario)).is_err(), "{length} bytes");
        }
        let mut of_another = bytes.clone();
        of_another[MAGIC.len()] ^= 1;
        std::fs::write(&file, of_another).unwrap();
        let refused = resume(&file, &which, &mut world(&scenario));
        assert!(matches!(refused, Err(CheckpointError::OtherBuild { .. })));
    }
}

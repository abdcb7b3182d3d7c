//! Many fault schedules, by seed: taken, counted, and put together.
//!
//! A schedule depends on its seed and the rules that are off alone. What all came to is added up in
//! the order of the seeds, so it is the same on any number of threads, and of machines: a shard takes
//! every n-th seed, and the tallies of all shards merge to that of the whole range.

use super::schedule::schedule;
use super::small::{self, Outcome, Wrong};
use super::trace::{NotShown, trace};
use counterfoil_properties::{Liveness, Safety};
use counterfoil_protocol::{Notice, Rule};
use counterfoil_world::{Counterfoil, Minimised};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of seeds that go wrong so many are named.
const NAMED_MAX: usize = 100;

/// Seeds that a thread takes at a time.
const BLOCK: u64 = 16;

/// Which seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Of so many shards.
    pub shards: u64,
    /// This one, from 0: the seeds that leave this remainder.
    pub shard: u64,
}

/// Why these are no seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It does not read like one.
    #[error("{0:?} is no range of seeds: write FIRST..LAST, as 1..1000")]
    Seeds(String),
    /// It ends before it begins.
    #[error("{first}..{last} has no seed: the last is before the first")]
    Empty {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// It does not read like one.
    #[error("{0:?} is no shard: write I/N, as 0/10, with I from 0 to N-1")]
    Shard(String),
    /// There is no such shard.
    #[error("there is no shard {shard} of {shards}: they are numbered from 0 to {last}", last = .shards - 1)]
    NoSuchShard {
        /// Which.
        shard: u64,
        /// Of how many.
        shards: u64,
    },
}

impl Range {
    /// The seeds of this shard, `None` for all, of this range, both in the form of the command.
    ///
    /// # Errors
    /// If one cannot be.
    pub fn parse(seeds: &str, shard: Option<&str>) -> Result<Range, RangeError> {
        let number = |text: &str| text.parse::<u64>().ok();
        let (first, last) = seeds
            .split_once("..")
            .and_then(|(first, last)| Some((number(first)?, number(last)?)))
            .ok_or_else(|| RangeError::Seeds(seeds.to_owned()))?;
        if last < first {
            return Err(RangeError::Empty { first, last });
        }
        let Some(text) = shard else { return Ok(Range { first, last, shards: 1, shard: 0 }) };
        let (shard, shards) = text
            .split_once('/')
            .and_then(|(shard, shards)| Some((number(shard)?, number(shards)?)))
            .filter(|(_, shards)| *shards > 0)
            .ok_or_else(|| RangeError::Shard(text.to_owned()))?;
        if shard >= shards {
            return Err(RangeError::NoSuchShard { shard, shards });
        }
        Ok(Range { first, last, shards, shard })
    }

    /// How many seeds there are.
    pub fn count(&self) -> u64 {
        let skipped = (self.shard + self.shards - self.first % self.shards) % self.shards;
        let Some(from) = self.first.checked_add(skipped).filter(|from| *from <= self.last) else {
            return 0;
        };
        (self.last - from) / self.shards + 1
    }

    /// The seed of this place, from 0.
    fn seed(&self, place: u64) -> u64 {
        let skipped = (self.shard + self.shards - self.first % self.shards) % self.shards;
        self.first + skipped + place * self.shards
    }
}

/// A seed whose schedule goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// Which.
    pub seed: u64,
    /// The property that is violated first.
    pub property: String,
    /// The clause that is false.
    pub clause: String,
}

/// What schedules came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Schedules.
    pub schedules: u64,
    /// Steps of all machines, every one judged.
    pub steps: u64,
    /// The fewest steps of a schedule that did not go wrong, and the fewest faults: crashes, torn
    /// writes, broken connections, partitions, losses of all that is in flight.
    pub least: Option<(u64, u64)>,
    /// The most steps.
    pub steps_max: u64,
    /// Virtual time, in microseconds.
    pub virtual_us: u64,
    /// The longest time until all had settled, in microseconds.
    pub settled_max_us: u64,
    /// How often each fault happened.
    pub faults: BTreeMap<String, u64>,
    /// By property: how often its premise was true.
    pub premises: BTreeMap<String, u64>,
    /// How often decisions went every way that one went.
    pub notices: BTreeMap<Notice, u64>,
    /// How many schedules went wrong.
    pub wrong: u64,
    /// The first of them.
    pub found: Vec<Found>,
}

/// What the schedules of a range came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Which seeds.
    pub range: Range,
    /// The rules that were off.
    pub without: Vec<Rule>,
    /// Whether it was to end at the first that goes wrong.
    pub until_found: bool,
    /// How many seeds of the range were taken.
    pub taken: u64,
    /// What they came to.
    pub tally: Tally,
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        let faults: u64 = outcome.faults.values().sum();
        // One that goes wrong ends early.
        if outcome.wrong.is_none() {
            let whole = (outcome.steps, faults);
            let (steps, faults) = self.least.unwrap_or(whole);
            self.least = Some((steps.min(whole.0), faults.min(whole.1)));
        }
        self.schedules += 1;
        self.steps += outcome.steps;
        self.steps_max = self.steps_max.max(outcome.steps);
        self.virtual_us += outcome.virtual_us;
        self.settled_max_us = self.settled_max_us.max(outcome.settled_us);
        let datagrams =
            ["lost", "copied", "reordered", "parted"].into_iter().zip(outcome.datagrams);
        for (name, times) in
            outcome.faults.iter().map(|(name, times)| (*name, *times)).chain(datagrams)
        {
            *self.faults.entry(name.to_owned()).or_default() += times;
        }
        for (property, times) in Safety::ALL.iter().zip(outcome.premises) {
            *self.premises.entry(property.name().to_owned()).or_default() += times;
        }
        for property in Liveness::ALL {
            *self.premises.entry(property.name().to_owned()).or_default() += 1;
        }
        for (notice, times) in outcome.notices.iter().filter(|(_, times)| *times > 0) {
            *self.notices.entry(*notice).or_default() += times;
        }
        if let Some(Wrong { property, clause }) = &outcome.wrong {
            self.wrong += 1;
            self.found.push(Found {
                seed,
                property: (*property).to_owned(),
                clause: clause.clone(),
            });
        }
    }

    /// Adds what other schedules came to.
    pub fn merge(&mut self, other: &Tally) {
        let both = self.least.zip(other.least);
        let least = both.map(|(mine, others)| (mine.0.min(others.0), mine.1.min(others.1)));
        self.least = least.or(self.least).or(other.least);
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.steps_max = self.steps_max.max(other.steps_max);
        self.virtual_us += other.virtual_us;
        self.settled_max_us = self.settled_max_us.max(other.settled_max_us);
        for (mine, others) in
            [(&mut self.faults, &other.faults), (&mut self.premises, &other.premises)]
        {
            for (name, times) in others {
                *mine.entry(name.clone()).or_default() += times;
            }
        }
        for (notice, times) in &other.notices {
            *self.notices.entry(*notice).or_default() += times;
        }
        self.wrong += other.wrong;
        self.found.extend(other.found.iter().cloned());
        self.found.sort();
        self.found.truncate(NAMED_MAX);
    }
}

/// Takes the schedules of a range, `without` these rules; if `until_found`, up to the first that goes
/// wrong. `told` hears after each block how far it is, and how many steps all had.
pub fn take(
    range: Range,
    without: &[Rule],
    until_found: bool,
    threads: usize,
    told: &(dyn Fn(u64, u64) + Sync),
) -> Counted {
    let (next, ends) = (AtomicU64::new(0), AtomicU64::new(range.count()));
    let steps = AtomicU64::new(0);
    let blocks: Mutex<BTreeMap<u64, Tally>> = Mutex::default();
    let work = || {
        loop {
            let first = next.fetch_add(BLOCK, Ordering::Relaxed);
            let last = ends.load(Ordering::Relaxed).min(first.saturating_add(BLOCK));
            if first >= last {
                return;
            }
            let mut tally = Tally::default();
            for place in first..last {
                let seed = range.seed(place);
                let outcome = small::run(&schedule(seed, without), seed, false);
                tally.add(seed, &outcome);
                if until_found && outcome.wrong.is_some() {
                    ends.fetch_min(place + 1, Ordering::Relaxed);
                    break;
                }
            }
            let all = steps.fetch_add(tally.steps, Ordering::Relaxed) + tally.steps;
            blocks.lock().expect("no schedule panics").insert(first, tally);
            told(last, all);
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    let ends = ends.into_inner();
    let mut counted = Counted {
        range,
        without: without.to_vec(),
        until_found,
        taken: 0,
        tally: Tally::default(),
    };
    // What comes after the first that goes wrong does not count, nor what comes after a gap.
    for (first, tally) in blocks.into_inner().expect("no schedule panics") {
        if first < ends && first == counted.taken {
            counted.tally.merge(&tally);
            counted.taken += tally.schedules;
        }
    }
    counted
}

/// A trace of the schedule of a seed that goes wrong: the property, and the least run that violates
/// it. `None` if the schedule does not go wrong.
///
/// # Errors
/// If the world of the checker does not come to the same.
pub fn trace_of(
    seed: u64,
    without: &[Rule],
) -> Option<(&'static str, Result<Minimised<Counterfoil>, NotShown>)> {
    let schedule = schedule(seed, without);
    let outcome = small::run(&schedule, seed, true);
    let property = outcome.wrong?.property;
    let mut command = format!("bench sim --seeds {seed}..{seed}");
    without.iter().for_each(|rule| command += &format!(" --without {rule}"));
    let told = |until: usize| trace(&schedule, &outcome.deeds[..until], property, &command);
    let lives = Liveness::ALL.iter().any(|liveness| liveness.name() == property);
    let shown = match lives {
        true => told(outcome.calm_from[0]).or_else(|_| told(outcome.calm_from[1])),
        false => told(outcome.deeds.len()),
    };
    Some((property, shown))
}

/// Why tallies cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is none.
    #[error("there is nothing to merge")]
    Nothing,
    /// They are of different things.
    #[error("shard {0} is of other seeds, shards or rules than the first")]
    Unlike(u64),
    /// One is there twice.
    #[error("shard {0} is there twice")]
    Twice(u64),
    /// One ended early.
    #[error("shard {0} was not taken to its end")]
    Unfinished(u64),
    /// Some are missing.
    #[error("of {shards} shards these are missing: {missing:?}")]
    Missing {
        /// How many there are to be.
        shards: u64,
        /// Which are not there.
        missing: Vec<u64>,
    },
}

/// Puts the tallies of all shards of a range together.
///
/// # Errors
/// If they are not those of all shards of one range, each once and taken to its end.
pub fn merge(shards: &[Counted]) -> Result<Counted, MergeError> {
    let first = shards.first().ok_or(MergeError::Nothing)?;
    let whole = Range { shards: 1, shard: 0, ..first.range };
    let mut by_number: BTreeMap<u64, &Counted> = BTreeMap::new();
    for counted in shards {
        let number = counted.range.shard;
        let alike = Range { shard: number, ..first.range } == counted.range
            && counted.without == first.without;
        if !alike {
            return Err(MergeError::Unlike(number));
        }
        if counted.taken != counted.range.count() {
            return Err(MergeError::Unfinished(number));
        }
        if by_number.insert(number, counted).is_some() {
            return Err(MergeError::Twice(number));
        }
    }
    let shards = first.range.shards;
    let missing: Vec<u64> = (0..shards).filter(|number| !by_number.contains_key(number)).collect();
    if !missing.is_empty() {
        return Err(MergeError::Missing { shards, missing });
    }
    let mut tally = Tally::default();
    by_number.values().for_each(|counted| tally.merge(&counted.tally));
    let taken = tally.schedules;
    Ok(Counted { range: whole, without: first.without.clone(), until_found: false, taken, tally })
}

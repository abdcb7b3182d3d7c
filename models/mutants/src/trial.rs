//! One run of the checker with one mutant on, within a time and an amount of memory.

use crate::copy::VARIABLE;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much address space a run may take: a wrong version may have states without end.
pub const MEMORY_MAX_BYTES: u64 = 12 << 30;

/// How long a run goes on once one of its threads has panicked: another may not notice.
const AFTER_PANIC: Duration = Duration::from_secs(3);

/// How often a run is looked at.
const POLL: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The checker of the copy.
    pub check: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The number of the mutant that is on, if one is.
    pub mutant: Option<u32>,
    /// How long it may take.
    pub time_max: Duration,
    /// Where its output is kept.
    pub folder: PathBuf,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Whether it was ended for taking too long.
    pub out_of_time: bool,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
    /// How long it took.
    pub time: Duration,
}

/// Runs it.
pub fn run(trial: &Trial) -> io::Result<Ending> {
    fs::create_dir_all(&trial.folder)?;
    let (stdout, stderr) = (trial.folder.join("stdout"), trial.folder.join("stderr"));
    let mut command = Command::new(&trial.check);
    command.args(&trial.arguments).stdin(Stdio::null()).env_remove(VARIABLE);
    command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    if let Some(number) = trial.mutant {
        command.env(VARIABLE, number.to_string());
    }
    let started = Instant::now();
    let mut child = command.spawn()?;
    limit_memory(&child);
    let (status, out_of_time) = wait(&mut child, &stderr, started + trial.time_max)?;
    let text =
        |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Ending {
        code: status.code(),
        out_of_time,
        stdout: text(&stdout)?,
        stderr: text(&stderr)?,
        time: started.elapsed(),
    })
}

fn limit_memory(child: &Child) {
    let limit = Rlimit { current: Some(MEMORY_MAX_BYTES), maximum: Some(MEMORY_MAX_BYTES) };
    // One that has ended already needs no limit.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let _ = prlimit(pid, Resource::As, limit);
}

/// Waits for the child, and ends it when its time is over; whether it was ended so.
fn wait(child: &mut Child, stderr: &Path, deadline: Instant) -> io::Result<(ExitStatus, bool)> {
    let mut deadline = deadline;
    let mut panicked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if !panicked && fs::read_to_string(stderr).is_ok_and(|text| text.contains("panicked at")) {
            panicked = true;
            deadline = deadline.min(Instant::now() + AFTER_PANIC);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            return Ok((child.wait()?, true));
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time_max: Duration) -> Ending {
        let folder = tempfile::tempdir().unwrap();
        let trial = Trial {
            check: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            mutant: Some(7),
            time_max,
            folder: folder.path().to_owned(),
        };
        run(&trial).unwrap()
    }

    #[test]
    fn a_run_says_what_it_said_and_how_it_ended() {
        let ending = shell("echo $COUNTERFOIL_MUTANT; echo no >&2; exit 4", Duration::from_secs(9));
        assert_eq!((ending.code, ending.out_of_time), (Some(4), false));
        assert_eq!((ending.stdout.as_str(), ending.stderr.as_str()), ("7\n", "no\n"));
    }

    #[test]
    fn a_run_that_takes_too_long_is_ended() {
        let ending = shell("exec sleep 60", Duration::from_millis(200));
        assert_eq!((ending.code, ending.out_of_time), (None, true));
        assert!(ending.time < Duration::from_secs(30));
    }

    #[test]
    fn memory_is_limited() {
        let ending = shell("sleep 0.3; ulimit -v", Duration::from_secs(9));
        assert_eq!(ending.stdout.trim(), (MEMORY_MAX_BYTES >> 10).to_string());
    }
}

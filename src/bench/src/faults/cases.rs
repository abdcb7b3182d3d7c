//! Single faults: what a daemon says, how it ends, and that nothing was damaged.

mod run;

use super::{FaultError, Folder, Recordings};
use run::{Case, Daemon};
use rustix::process::Signal;
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a case is about, and what does it.
type Scripted = (&'static str, &'static str, fn(&mut Case) -> Result<(), FaultError>);

/// All cases.
const CASES: [Scripted; 9] = [
    ("disk-full", "the file system of a node's store fills up while it grants", disk_full),
    ("disk-read-only", "the file system of a node's store may no longer be written", read_only),
    ("port-taken", "someone else listens where a node is to", port_taken),
    ("no-such-host", "the name of a peer means nothing", no_such_host),
    ("wrong-key", "a node has another key than its scheduler", wrong_key),
    ("broken-key", "the file of the key holds no key", broken_key),
    ("other-store", "a node is given the store of another", other_store),
    ("damaged-store", "the store of a node is cut in half", damaged_store),
    ("clock", "the wall clock jumps by an hour, both ways", clock),
];

/// The names of all cases, and what each is about.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    CASES.iter().map(|(name, about, _)| (*name, *about))
}

/// What came of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which.
    pub case: String,
    /// What was found, step by step.
    pub found: Vec<String>,
    /// What was not as it should be.
    pub problems: Vec<String>,
    /// What the recordings say.
    pub recordings: Recordings,
    /// Why it could not be carried out here, if it could not.
    pub left_out: Option<String>,
    /// Whether nothing was wrong.
    pub fine: bool,
}

/// Carries out the case of this name; `None` if there is none.
///
/// # Errors
/// If it could not be carried out although it should.
pub fn case(name: &str, keep: Option<&Path>) -> Result<Option<Report>, FaultError> {
    let Some((_, _, script)) = CASES.iter().find(|(known, ..)| *known == name) else {
        return Ok(None);
    };
    let folder = Folder::new(keep)?;
    let mut case = Case::new(folder.path())?;
    script(&mut case)?;
    let recordings = Recordings::read(&case.recordings())?;
    let Case { found, problems, left_out, .. } = case;
    let fine = problems.is_empty() && recordings.is_fine();
    Ok(Some(Report { case: name.to_owned(), found, problems, recordings, left_out, fine }))
}

/// Fills a small file system under a node that grants, until it can write no more. Then it must end
/// with an error before it says what it cannot keep, and find all it promised once there is room.
fn disk_full(case: &mut Case) -> Result<(), FaultError> {
    let Some(disk) = case.small_disk("3m")? else { return Ok(()) };
    let mut scheduler = case.scheduler()?;
    let mut node = case.node("n1", &disk.path.join("n1"), &[])?;
    let filler = disk.path.join("filler");
    case.confirm(&scheduler, 5)?;
    disk.fill(&filler)?;
    case.place_until_it_ends(&scheduler, &mut node)?;
    case.ends(&mut node, 5, &["the store", "cannot be used"]);
    std::fs::remove_file(&filler)?;
    let mut node = case.node("n1", &disk.path.join("n1"), &[])?;
    case.keeps_what_it_promised(&scheduler)?;
    case.stop(&mut node)?;
    case.stop(&mut scheduler)?;
    drop(disk);
    Ok(())
}

/// A node whose disk is read only must not start, and must say why. What becomes of one that runs
/// is not tried.
fn read_only(case: &mut Case) -> Result<(), FaultError> {
    let Some(disk) = case.small_disk("16m")? else { return Ok(()) };
    let mut scheduler = case.scheduler()?;
    let mut node = case.node("n1", &disk.path.join("n1"), &[])?;
    case.confirm(&scheduler, 5)?;
    case.stop(&mut node)?;
    disk.remount("ro")?;
    let mut node = case.begin("n1", &disk.path.join("n1"), &[])?;
    case.ends(&mut node, 5, &["the store", "cannot be used"]);
    disk.remount("rw")?;
    let mut node = case.node("n1", &disk.path.join("n1"), &[])?;
    case.keeps_what_it_promised(&scheduler)?;
    case.stop(&mut node)?;
    case.stop(&mut scheduler)?;
    drop(disk);
    Ok(())
}

fn port_taken(case: &mut Case) -> Result<(), FaultError> {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = taken.local_addr()?.to_string();
    let data = case.root.join("n1");
    let mut node = case.begin("n1", &data, &["--listen", &address])?;
    case.ends(&mut node, 3, &["cannot listen at", &address]);
    drop(taken);
    let mut node = case.node("n1", &data, &["--listen", &address])?;
    case.found.push("it starts once the port is free".to_owned());
    case.stop(&mut node)
}

/// A daemon must go on without a peer that has no address, and say so.
fn no_such_host(case: &mut Case) -> Result<(), FaultError> {
    let mut scheduler = case.scheduler()?;
    let data = case.root.join("n1");
    let mut node = case.node("n1", &data, &["--peer", "no-such-host.invalid:1"])?;
    case.confirm(&scheduler, 1)?;
    case.says(&node, &["the peer has no address", "no-such-host.invalid:1"]);
    case.stop(&mut node)?;
    case.stop(&mut scheduler)
}

/// What is sealed with another key must have no effect. That it is counted is not looked at.
fn wrong_key(case: &mut Case) -> Result<(), FaultError> {
    let mut scheduler = case.scheduler()?;
    let other = case.other_key()?;
    let data = case.root.join("n1");
    let mut node = case.node("n1", &data, &["--key-file", &other])?;
    case.has_no_valid_host(&scheduler)?;
    case.stop(&mut node)?;
    let mut node = case.node("n1", &data, &[])?;
    case.confirm(&scheduler, 1)?;
    case.found.push("with the right key it is heard".to_owned());
    case.stop(&mut node)?;
    case.stop(&mut scheduler)
}

fn broken_key(case: &mut Case) -> Result<(), FaultError> {
    let path = case.root.join("broken-key");
    std::fs::write(&path, "not a key\n")?;
    let data = case.root.join("n1");
    let path = path.display().to_string();
    let mut node = case.begin("n1", &data, &["--key-file", &path])?;
    case.ends(&mut node, 2, &["is no key: a key is 64 hexadecimal digits"]);
    Ok(())
}

fn other_store(case: &mut Case) -> Result<(), FaultError> {
    let data = case.root.join("n1");
    let mut node = case.node("n1", &data, &[])?;
    case.stop(&mut node)?;
    let mut other = case.begin("n2", &data, &[])?;
    case.ends(&mut other, 5, &["belongs to n1, not to n2"]);
    let mut node = case.node("n1", &data, &[])?;
    case.found.push("its owner still starts".to_owned());
    case.stop(&mut node)
}

/// A store that is damaged must be refused, not taken for an empty one.
fn damaged_store(case: &mut Case) -> Result<(), FaultError> {
    let mut scheduler = case.scheduler()?;
    let data = case.root.join("n1");
    let mut node = case.node("n1", &data, &[])?;
    case.confirm(&scheduler, 5)?;
    case.stop(&mut node)?;
    let (store, whole) = (data.join("store"), std::fs::read(data.join("store"))?);
    std::fs::write(&store, &whole[..whole.len() / 2])?;
    let mut node = case.begin("n1", &data, &[])?;
    case.ends(&mut node, 5, &["the store"]);
    std::fs::write(&store, whole)?;
    let mut node = case.node("n1", &data, &[])?;
    case.keeps_what_it_promised(&scheduler)?;
    case.stop(&mut node)?;
    case.stop(&mut scheduler)
}

/// Has the wall clock of running daemons jump an hour ahead, and two hours back. No hold may lapse
/// early, nobody may be suspected, and everything must go on.
fn clock(case: &mut Case) -> Result<(), FaultError> {
    let Some(clock) = Clock::new(&case.root)? else {
        case.left_out = Some(
            "no program can be given another wall clock here: there is no faketime; that daemons \
             read no wall clock is checked in their source by a test"
                .to_owned(),
        );
        return Ok(());
    };
    case.by = clock.by();
    let mut scheduler = case.scheduler()?;
    let data = case.root.join("n1");
    let mut node = case.node("n1", &data, &[])?;
    case.confirm(&scheduler, 3)?;
    let held = case.hold(&scheduler);
    for (shift, seconds) in [("+3600", 3600), ("-3600", -3600)] {
        clock.set(shift)?;
        let shown = clock.shift()?;
        if (shown - seconds).abs() > 60 {
            case.problems.push(format!("the clock is at {shown} s, not at {seconds} s"));
        }
        case.confirm(&scheduler, 3)?;
        case.holds(&scheduler, held);
        case.found.push(format!("it goes on with the clock {shown} s from the right time"));
    }
    case.stop(&mut node)?;
    let mut node = case.node("n1", &data, &[])?;
    case.keeps_what_it_promised(&scheduler)?;
    case.stop(&mut node)?;
    case.stop(&mut scheduler)
}

/// A wall clock that can be set, for the programs that are told to read it.
struct Clock {
    library: OsString,
    file: PathBuf,
}

impl Clock {
    /// One that is right; none if there cannot be one.
    fn new(root: &Path) -> Result<Option<Clock>, FaultError> {
        let library =
            Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let Ok(library) = library else { return Ok(None) };
        let library = OsString::from_vec(library.stdout.trim_ascii().to_vec());
        let clock = Clock { library, file: root.join("clock") };
        clock.set("+0")?;
        Ok(Some(clock))
    }

    fn set(&self, shift: &str) -> Result<(), FaultError> {
        Ok(std::fs::write(&self.file, format!("{shift}\n"))?)
    }

    /// What starts a program that reads it. What measures durations is not touched.
    fn by(&self) -> Vec<OsString> {
        let said = |name: &str, value: &OsStr| {
            let mut said = OsString::from(name);
            said.push(value);
            said
        };
        vec![
            "env".into(),
            said("LD_PRELOAD=", &self.library),
            said("FAKETIME_TIMESTAMP_FILE=", self.file.as_os_str()),
            "FAKETIME_NO_CACHE=1".into(),
            "DONT_FAKE_MONOTONIC=1".into(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
        ]
    }

    /// How far from the right time it is, in seconds.
    fn shift(&self) -> Result<i64, FaultError> {
        let by = self.by();
        let date = Command::new(&by[0]).args(&by[1..]).args(["date", "+%s"]).output()?;
        let shown: i64 = String::from_utf8_lossy(&date.stdout).trim().parse().unwrap_or(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(shown - i64::try_from(now).unwrap_or(0))
    }
}

impl Daemon {
    /// Asks it to stop.
    fn ask_to_stop(&self) {
        // It fails only if it has ended.
        let _ = rustix::process::kill_process(self.pid(), Signal::TERM);
    }
}

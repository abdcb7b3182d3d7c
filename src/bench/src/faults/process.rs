//! The processes of a cluster that is put to the test: each is killed and started again.

use super::FaultError;
use counterfoil_service::serve::said_ready;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long a process may take to become ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// From one look whether a process has ended to the next.
const LOOK: Duration = Duration::from_millis(5);

/// How to start a process in each of its lives.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The actor that it is: `s1`, `n3`.
    pub(crate) name: String,
    /// What is started.
    pub(crate) program: PathBuf,
    /// What it is started by, if not directly: a program and its arguments.
    pub(crate) by: Vec<OsString>,
    /// The subcommand and its options, but for the recording.
    pub(crate) args: Vec<OsString>,
    /// The folder of the recordings, if it records.
    pub(crate) recordings: Option<PathBuf>,
    /// Where what it says on standard error goes.
    pub(crate) log: PathBuf,
}

/// A process of the cluster. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) spec: Spec,
    /// How many lives were started.
    lives: u32,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Held open: the process stops when this closes, even if this program is killed.
    _stdin: ChildStdin,
}

impl Spec {
    fn command(&self) -> Command {
        match self.by.split_first() {
            None => Command::new(&self.program),
            Some((by, args)) => {
                let mut command = Command::new(by);
                command.args(args).arg(&self.program);
                command
            }
        }
    }
}

impl Process {
    /// A process that was not started yet.
    pub(crate) fn new(spec: Spec) -> Process {
        Process { spec, lives: 0, running: None }
    }

    /// The actor that it is.
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// How many lives were started.
    pub(crate) fn lives(&self) -> u32 {
        self.lives
    }

    /// Its number in the system, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Starts the next life, and waits until it is ready; the addresses that it says it listens at.
    pub(crate) fn start(&mut self) -> Result<Vec<SocketAddr>, FaultError> {
        let failed = |source| FaultError::Process { name: self.spec.name.clone(), source };
        self.lives += 1;
        let log = OpenOptions::new().create(true).append(true).open(&self.spec.log);
        let mut command = self.spec.command();
        command.args(&self.spec.args).arg("--until-stdin-closes");
        if let Some(recordings) = &self.spec.recordings {
            command.arg("--recording").arg(recordings);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.map_err(failed)?);
        let mut child = command.spawn().map_err(failed)?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        self.running = Some(Running { child, _stdin: stdin });
        let (say, said) = channel();
        let reading = std::thread::Builder::new().name(self.spec.name.clone());
        reading
            .spawn(move || {
                let mut stdout = BufReader::new(stdout);
                let mut line = String::new();
                let _ = stdout.read_line(&mut line);
                let _ = say.send(line);
                // It is read to its end, so that whoever writes it is not held up.
                let _ = std::io::copy(&mut stdout, &mut std::io::sink());
            })
            .map_err(failed)?;
        let line = said.recv_timeout(PATIENCE).unwrap_or_default();
        said_ready(&line).ok_or_else(|| FaultError::NotReady {
            name: self.spec.name.clone(),
            log: self.spec.log.clone(),
        })
    }

    /// Kills it with SIGKILL, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(Running { mut child, .. }) = self.running.take() {
            // It fails only if the process has ended, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it was started and ended although nobody ended it.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.running
            .as_mut()
            .is_some_and(|running| running.child.try_wait().is_ok_and(|s| s.is_some()))
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        if let Some(running) = &self.running {
            // It fails only if the process has ended, which is seen when it is waited for.
            let _ = kill_process(Pid::from_child(&running.child), Signal::TERM);
        }
    }

    /// Waits until it has ended, in order.
    pub(crate) fn wait(&mut self) -> Result<(), FaultError> {
        let Some(Running { mut child, _stdin }) = self.running.take() else { return Ok(()) };
        match wait(&mut child, PATIENCE) {
            Some(status) if status.success() => Ok(()),
            Some(_) | None => {
                let _ = child.kill();
                let _ = child.wait();
                let (name, log) = (self.spec.name.clone(), self.spec.log.clone());
                Err(FaultError::Disorder { name, log })
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until a process has ended, for so long.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// A link in the folder `root` by whose name this program is the daemons' program: what is put to
/// the test is what was built with this.
pub(crate) fn program(root: &Path) -> Result<PathBuf, FaultError> {
    let link = root.join("counterfoil");
    let folder = |source| FaultError::Folder { path: link.clone(), source };
    if !link.exists() {
        std::os::unix::fs::symlink(std::env::current_exe().map_err(folder)?, &link)
            .map_err(folder)?;
    }
    Ok(link)
}

/// Ports that are free for both UDP and TCP, outside of those that the system gives to whoever names
/// none: a process that was killed finds its own free when it comes back.
#[derive(Debug)]
pub(crate) struct Ports {
    ip: IpAddr,
    next: u16,
}

impl Ports {
    /// Ports of this address.
    pub(crate) fn of(ip: IpAddr) -> Ports {
        let first = 10_000 + (std::process::id() as u16 % 1000) * 20;
        Ports { ip, next: first }
    }

    /// The next that is free.
    pub(crate) fn next(&mut self) -> SocketAddr {
        loop {
            let address = SocketAddr::new(self.ip, self.next);
            self.next = if self.next >= 32_000 { 10_000 } else { self.next + 1 };
            if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    }
}

/// What the system says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Memory that it has, in KiB.
    pub(crate) rss_kib: u64,
    /// Descriptors that are open.
    pub(crate) descriptors: u64,
}

impl Usage {
    /// Of process `pid`, if it runs.
    pub(crate) fn of(pid: u32) -> Option<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib = line.split_whitespace().next()?.parse().ok()?;
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        Some(Usage { rss_kib, descriptors })
    }
}

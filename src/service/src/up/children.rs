//! The processes that `up` starts.

use crate::serve::said_ready;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Lines of what a process logged that are kept to say why it ended.
const TAIL_LINES: usize = 5;

/// How to start a process of this program, in each of its lives.
#[derive(Clone)]
pub(crate) struct Spec {
    /// The actor that it is, as it is printed; of many, the first and the last.
    pub(crate) actor: String,
    /// Its subcommand and options, but for where it listens and records.
    pub(crate) args: Vec<OsString>,
    /// The folder of the recordings, if it records.
    pub(crate) recordings: Option<PathBuf>,
    /// Where what it logs is added to; or it goes where this program logs.
    pub(crate) log: Option<PathBuf>,
    /// Called when it ends although nobody ended it.
    pub(crate) gone: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A process of this program. It is killed when this is dropped.
pub(crate) struct Child {
    spec: Spec,
    life: u32,
    process: std::process::Child,
    /// Held open: the process stops when this closes, even if this program is killed.
    _stdin: ChildStdin,
    /// Where it listens, as it said.
    pub(crate) addresses: Vec<SocketAddr>,
    ended_by_us: Arc<AtomicBool>,
    tail: Arc<Mutex<VecDeque<String>>>,
    logging: Option<JoinHandle<()>>,
}

/// Why a process is not there.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started, or ended.
    #[error("the process {actor} could not be started or ended")]
    Process {
        /// Which.
        actor: String,
        /// Why.
        source: io::Error,
    },
    /// It ended, or said something else, before it was ready.
    #[error("the process {actor} did not become ready: {why}")]
    NotReady {
        /// Which.
        actor: String,
        /// How it ended, and the last that it logged.
        why: String,
    },
    /// It ended although nobody ended it.
    #[error("the process {actor} ended by itself: {why}")]
    Gone {
        /// Which.
        actor: String,
        /// How it ended, and the last that it logged.
        why: String,
    },
    /// It ended with an error when it was asked to stop.
    #[error("the process {0} did not stop in order")]
    Disorder(String),
}

impl Spec {
    /// Starts life number `life` of the process, and waits until it is ready. It listens at
    /// `addresses`: the first for datagrams, the second, if there is one, for clients.
    pub(crate) fn start(self, life: u32, addresses: &[SocketAddr]) -> Result<Child, ChildError> {
        let failed = |source| ChildError::Process { actor: self.actor.clone(), source };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        // What the environment says is said to this program, not to them.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COUNTERFOIL_") {
                command.env_remove(name);
            }
        }
        command.args(&self.args).arg("--until-stdin-closes");
        if let Some(recordings) = &self.recordings {
            let recording = recordings.join(format!("{}.{life}.recording", self.actor));
            command.arg("--recording").arg(recording);
        }
        for (option, address) in ["--listen", "--api"].into_iter().zip(addresses) {
            command.arg(option).arg(address.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let stdin = process.stdin.take().expect("it is piped");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let stderr = process.stderr.take().expect("it is piped");
        let mut child = Child {
            spec: self,
            life,
            process,
            _stdin: stdin,
            addresses: Vec::new(),
            ended_by_us: Arc::default(),
            tail: Arc::default(),
            logging: None,
        };
        child.keep_log(stderr)?;
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        match read.ok().and_then(|_| said_ready(&line)) {
            Some(addresses) => child.addresses = addresses,
            None => {
                let actor = child.spec.actor.clone();
                return Err(ChildError::NotReady { actor, why: child.why_it_ended() });
            }
        }
        child.watch(stdout)?;
        Ok(child)
    }
}

impl Child {
    /// The actor that it is.
    pub(crate) fn actor(&self) -> &str {
        &self.spec.actor
    }

    /// Its number in the system.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills the process without a warning, as a crash does.
    pub(crate) fn kill(&mut self) -> Result<(), ChildError> {
        self.ended_by_us.store(true, Ordering::SeqCst);
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed.map(|_| ()).map_err(|source| self.failed(source))
    }

    /// Kills the process, and starts the next life at the same addresses.
    pub(crate) fn start_again(mut self) -> Result<Child, ChildError> {
        self.kill()?;
        self.next_life().start()
    }

    /// What starts the next life, at the same addresses, once this one has ended.
    pub(crate) fn next_life(&self) -> NextLife {
        let addresses = self.addresses.clone();
        NextLife { spec: self.spec.clone(), life: self.life + 1, addresses }
    }

    /// Asks the process to stop.
    pub(crate) fn ask_to_stop(&self) -> Result<(), ChildError> {
        self.ended_by_us.store(true, Ordering::SeqCst);
        let asked = kill_process(Pid::from_child(&self.process), Signal::TERM);
        asked.map_err(|error| self.failed(error.into()))
    }

    /// Asks the process to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), ChildError> {
        self.ask_to_stop()?;
        let status = self.process.wait().map_err(|source| self.failed(source))?;
        if status.success() { Ok(()) } else { Err(ChildError::Disorder(self.spec.actor.clone())) }
    }

    /// How the process ended, and the last that it logged. It is ended if it has not.
    pub(crate) fn why_it_ended(&mut self) -> String {
        // Unless it has only closed its output, it has ended.
        self.ended_by_us.store(true, Ordering::SeqCst);
        let status = self.process.try_wait().ok().flatten();
        let status = status.or_else(|| {
            // It closes its output shortly before its end.
            self.process.wait().ok()
        });
        if let Some(logging) = self.logging.take() {
            let _ = logging.join();
        }
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = tail.iter().map(String::as_str).collect();
        let status = status.map_or_else(|| "it cannot be asked".to_owned(), describe);
        if lines.is_empty() { status } else { format!("{status}; it said: {}", lines.join(" | ")) }
    }

    /// Reads what it logs, on a thread of its own.
    fn keep_log(&mut self, stderr: ChildStderr) -> Result<(), ChildError> {
        let open = |path: &PathBuf| OpenOptions::new().create(true).append(true).open(path);
        let mut file: Option<File> =
            self.spec.log.as_ref().map(open).transpose().map_err(|source| self.failed(source))?;
        let tail = Arc::clone(&self.tail);
        let keep = move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                match &mut file {
                    Some(file) => drop(writeln!(file, "{line}")),
                    None => eprintln!("{line}"),
                }
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.push_back(line);
                if tail.len() > TAIL_LINES {
                    tail.pop_front();
                }
            }
        };
        let name = format!("log of {}", self.spec.actor);
        let started = thread::Builder::new().name(name).spawn(keep);
        self.logging = Some(started.map_err(|source| self.failed(source))?);
        Ok(())
    }

    /// The end of its output is the end of the process.
    fn watch(&self, mut stdout: impl Read + Send + 'static) -> Result<(), ChildError> {
        let (spec, ended_by_us) = (self.spec.clone(), Arc::clone(&self.ended_by_us));
        let watch = move || {
            let _ = io::copy(&mut stdout, &mut io::sink());
            if !ended_by_us.load(Ordering::SeqCst) {
                (spec.gone)(&spec.actor);
            }
        };
        let started = thread::Builder::new().name(self.spec.actor.clone()).spawn(watch);
        started.map(|_| ()).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ChildError {
        ChildError::Process { actor: self.spec.actor.clone(), source }
    }
}

/// Starts the next life of a process.
#[derive(Clone)]
pub(crate) struct NextLife {
    spec: Spec,
    life: u32,
    addresses: Vec<SocketAddr>,
}

impl NextLife {
    /// Starts it.
    pub(crate) fn start(self) -> Result<Child, ChildError> {
        self.spec.start(self.life, &self.addresses)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.ended_by_us.store(true, Ordering::SeqCst);
        // It fails only if the process has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

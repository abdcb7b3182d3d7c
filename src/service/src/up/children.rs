//! The processes that a trial run starts.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// How to start a process of this program, in each of its lives.
#[derive(Clone)]
pub(crate) struct Spec {
    /// The actor that it is, as it is printed.
    pub(crate) actor: String,
    /// Its subcommand and options, but for where it listens and records.
    pub(crate) args: Vec<OsString>,
    /// The folder of the recordings.
    pub(crate) recordings: PathBuf,
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
    #[error("the process {0} did not become ready")]
    NotReady(String),
    /// It ended although nobody ended it.
    #[error("the process {0} ended by itself")]
    Gone(String),
    /// It ended with an error when it was asked to stop.
    #[error("the process {0} did not stop in order")]
    Disorder(String),
}

impl Spec {
    /// Starts life number `life` of the process, and waits until it is ready. It listens at
    /// `addresses`: the first for datagrams, the second, if there is one, for clients.
    pub(crate) fn start(self, life: u32, addresses: &[SocketAddr]) -> Result<Child, ChildError> {
        let failed = |source| ChildError::Process { actor: self.actor.clone(), source };
        let recording = self.recordings.join(format!("{}.{life}.recording", self.actor));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(&self.args).arg("--until-stdin-closes").arg("--recording").arg(recording);
        for (option, address) in ["--listen", "--api"].into_iter().zip(addresses) {
            command.arg(option).arg(address.to_string());
        }
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let stdin = process.stdin.take().expect("it is piped");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let ended_by_us = Arc::new(AtomicBool::new(false));
        let mut child =
            Child { spec: self, life, process, _stdin: stdin, addresses: Vec::new(), ended_by_us };
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let ready = read.ok().and_then(|_| parse_ready(&line));
        child.addresses = ready.ok_or_else(|| ChildError::NotReady(child.spec.actor.clone()))?;
        child.watch(stdout)?;
        Ok(child)
    }
}

impl Child {
    /// Kills the process without a warning, as a crash does.
    pub(crate) fn kill(&mut self) -> Result<(), ChildError> {
        self.ended_by_us.store(true, Ordering::SeqCst);
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed.map(|_| ()).map_err(|source| self.failed(source))
    }

    /// Kills the process, and starts the next life at the same addresses.
    pub(crate) fn start_again(mut self) -> Result<Child, ChildError> {
        self.kill()?;
        self.spec.clone().start(self.life + 1, &self.addresses)
    }

    /// Asks the process to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), ChildError> {
        self.ended_by_us.store(true, Ordering::SeqCst);
        let asked = kill_process(Pid::from_child(&self.process), Signal::TERM);
        asked.map_err(|error| self.failed(error.into()))?;
        let status = self.process.wait().map_err(|source| self.failed(source))?;
        if status.success() { Ok(()) } else { Err(ChildError::Disorder(self.spec.actor.clone())) }
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

impl Drop for Child {
    fn drop(&mut self) {
        self.ended_by_us.store(true, Ordering::SeqCst);
        // It fails only if the process has ended, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn parse_ready(line: &str) -> Option<Vec<SocketAddr>> {
    let addresses = line.strip_suffix('\n')?.strip_prefix("ready ")?;
    addresses.split(' ').map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_is_ready() {
        let addresses = parse_ready("ready 127.0.0.1:1 127.0.0.1:2\n").unwrap();
        assert_eq!(addresses.iter().map(SocketAddr::port).collect::<Vec<_>>(), [1, 2]);
        for bad in ["", "ready", "ready 127.0.0.1:1", "ready x\n", "error: no\n"] {
            assert_eq!(parse_ready(bad), None, "{bad:?}");
        }
    }
}

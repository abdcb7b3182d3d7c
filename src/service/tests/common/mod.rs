//! A cluster that runs while a test looks at it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use counterfoil_service::serve::said_ready;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// From one look to the next, while something is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// `counterfoil up` without a terminal.
pub(crate) struct Up {
    process: Child,
    /// It stops when this closes.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// Its processes: name, number in the system.
    pub(crate) processes: Vec<(String, u32)>,
    /// The schedulers.
    pub(crate) urls: Vec<String>,
    pub(crate) token: PathBuf,
    state: tempfile::TempDir,
}

/// A process of this program, without what the environment of the test says to it.
pub(crate) fn counterfoil() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERFOIL_") {
            command.env_remove(name);
        }
    }
    command
}

impl Up {
    /// Starts a cluster and waits until every scheduler knows every node.
    pub(crate) fn start(args: &[&str]) -> Up {
        let mut process = counterfoil()
            .arg("up")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut up = Up {
            process,
            stdin,
            stdout: BufReader::new(stdout),
            processes: Vec::new(),
            urls: Vec::new(),
            token: PathBuf::new(),
            state: tempfile::tempdir().unwrap(),
        };
        loop {
            let line = up.line();
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["ready"] => break,
                ["folder", folder] => up.token = PathBuf::from(folder).join("token"),
                [actor, "pid", pid, rest @ ..] => {
                    up.processes.push(((*actor).to_owned(), pid.parse().unwrap()));
                    up.urls.extend(rest.get(1).map(|url| (*url).to_owned()));
                }
                ["try", ..] => {}
                _ => panic!("{line}"),
            }
        }
        let count: usize = up.processes.iter().map(|(actor, _)| nodes(actor)).sum();
        for url in up.urls.clone() {
            up.until(&["nodes", "--api", &url, "--format", "json"], |output| {
                let nodes: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
                let nodes = nodes.as_array().into_iter().flatten();
                nodes.filter(|node| !node["stamp"].is_null()).count() == count
            });
        }
        up
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it ended after {line:?}");
        line.trim_end().to_owned()
    }

    /// What a command that speaks to the schedulers comes to.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A command that speaks to the schedulers, unless it says to which.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = counterfoil();
        command
            .args(args)
            .env("COUNTERFOIL_API", self.urls.join(","))
            .env("COUNTERFOIL_TOKEN_FILE", &self.token)
            .env("XDG_STATE_HOME", self.state.path());
        command
    }

    /// What a command that must end with `code` prints.
    pub(crate) fn says(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stdout} {stderr}");
        format!("{stdout}{stderr}")
    }

    /// Runs a command again and again, until it comes to what is wanted.
    pub(crate) fn until(&self, args: &[&str], is_wanted: impl Fn(&Output) -> bool) {
        while !is_wanted(&self.run(args)) {
            thread::sleep(LOOK);
        }
    }

    /// The number of a process in the system.
    pub(crate) fn pid(&self, actor: &str) -> u32 {
        self.processes.iter().find(|(name, _)| name == actor).expect("it is there").1
    }

    /// Sends a signal to the cluster itself.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Lets its standard input end; its exit code and the rest of what it says.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        drop(self.stdin.take());
        self.ended()
    }

    /// Waits until it has ended; its exit code and the rest of what it says.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Its processes stop when it ends.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A daemon that was started alone. It is killed when this is dropped.
pub(crate) struct Daemon {
    process: Child,
    /// Where it listens.
    pub(crate) addresses: Vec<String>,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Daemon {
        let mut command = counterfoil();
        command.args(args).arg("--until-stdin-closes");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = said_ready(&line).expect("it becomes ready");
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Daemon { process, addresses }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Its number in the system.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How many nodes a process is.
fn nodes(actor: &str) -> usize {
    let Some(ids) = actor.strip_prefix('n') else { return 0 };
    let ids: Vec<usize> = ids.split('-').map(|id| id.parse().unwrap()).collect();
    ids[ids.len() - 1] - ids[0] + 1
}

/// Kills a process without a warning.
pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Whether a process runs. One that has ended and that nobody has asked about does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// Waits until a process has ended.
pub(crate) fn wait_until_gone(pid: u32) {
    while runs(pid) {
        thread::sleep(LOOK);
    }
}

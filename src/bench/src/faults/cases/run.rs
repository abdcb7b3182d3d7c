//! What the scripts of single faults are written in.

use crate::faults::FaultError;
use crate::faults::process::{Ports, program, wait};
use counterfoil_protocol::ClaimId;
use counterfoil_service::key::Key;
use counterfoil_service::remote::{Method, Remote, path_of};
use rustix::process::Pid;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long anything may take before that is a finding.
const PATIENCE: Duration = Duration::from_secs(30);

/// From one try to the next.
const AGAIN: Duration = Duration::from_millis(50);

/// A case that is being carried out.
pub(super) struct Case {
    pub(super) root: PathBuf,
    pub(super) found: Vec<String>,
    pub(super) problems: Vec<String>,
    pub(super) left_out: Option<String>,
    /// What daemons are started by from now on, if not directly.
    pub(super) by: Vec<OsString>,
    key: PathBuf,
    ports: Ports,
    peer: Option<SocketAddr>,
    promised: Vec<ClaimId>,
}

/// A daemon of a case. It is killed when this is dropped.
pub(super) struct Daemon {
    name: String,
    child: Child,
    _stdin: Option<ChildStdin>,
    log: PathBuf,
    api: Option<Remote>,
    /// Whether it said that it works.
    ready: bool,
}

/// A small file system. It is unmounted when this is dropped.
pub(super) struct Disk {
    pub(super) path: PathBuf,
}

impl Daemon {
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        wait(&mut self.child, patience)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It fails only if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Case {
    pub(super) fn new(root: &Path) -> Result<Case, FaultError> {
        let key = root.join("key");
        std::fs::create_dir_all(root.join("recordings"))?;
        std::fs::write(&key, format!("{}\n", Key::generate()?.to_hex()))?;
        Ok(Case {
            root: root.to_owned(),
            found: Vec::new(),
            problems: Vec::new(),
            left_out: None,
            by: Vec::new(),
            key,
            ports: Ports::of(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            peer: None,
            promised: Vec::new(),
        })
    }

    /// Another key of a cluster.
    pub(super) fn other_key(&self) -> Result<String, FaultError> {
        let path = self.root.join("other-key");
        std::fs::write(&path, format!("{}\n", Key::generate()?.to_hex()))?;
        Ok(path.display().to_string())
    }

    fn start(&self, name: &str, args: Vec<String>) -> Result<Daemon, FaultError> {
        let log = self.root.join(format!("{name}.log"));
        let program = program(&self.root)?;
        let mut command = match self.by.split_first() {
            None => Command::new(&program),
            Some((by, more)) => {
                let mut command = Command::new(by);
                command.args(more).arg(&program);
                command
            }
        };
        command.args(args).arg("--until-stdin-closes");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        let (say, said) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = say.send(line);
        });
        let line = said.recv_timeout(PATIENCE).unwrap_or_default();
        let ready = line.starts_with("ready ");
        Ok(Daemon { name: name.to_owned(), child, _stdin: stdin, log, api: None, ready })
    }

    /// A scheduler, which nodes that are started later speak to.
    pub(super) fn scheduler(&mut self) -> Result<Daemon, FaultError> {
        let (listen, api) = (self.ports.next(), self.ports.next());
        let mut args = self.common("scheduler", "s1", &self.root.join("s1"), listen);
        args.extend(["--api".to_owned(), api.to_string()]);
        let mut daemon = self.start("s1", args)?;
        self.peer = Some(listen);
        daemon.api = Some(Remote::new(&[format!("http://{api}")], None, None)?);
        self.must_be_ready(&daemon)?;
        Ok(daemon)
    }

    /// The folder of the recordings.
    pub(super) fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    fn common(&self, role: &str, name: &str, data: &Path, listen: SocketAddr) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let args = [role, "--id", &name[1..], "--listen", &listen.to_string()];
        let mut args: Vec<String> = args.map(str::to_owned).to_vec();
        args.extend(["--data".to_owned(), text(data), "--key-file".to_owned(), text(&self.key)]);
        args.extend(["--recording".to_owned(), text(&self.recordings())]);
        args
    }

    fn args_of_node(&mut self, name: &str, data: &Path, more: &[&str]) -> Vec<String> {
        let listen = self.ports.next();
        let mut args = self.common("node", name, data, listen);
        if let Some(peer) = self.peer {
            args.extend(["--peer".to_owned(), peer.to_string()]);
        }
        for option in more.chunks(2) {
            let [name, value] = option else { continue };
            // An option is given once, but for peers.
            match args.iter().position(|arg| arg == name).filter(|_| *name != "--peer") {
                Some(at) => args[at + 1] = (*value).to_owned(),
                None => args.extend([(*name).to_owned(), (*value).to_owned()]),
            }
        }
        args
    }

    /// A node, whether or not it comes to work.
    pub(super) fn begin(
        &mut self,
        name: &str,
        data: &Path,
        more: &[&str],
    ) -> Result<Daemon, FaultError> {
        let args = self.args_of_node(name, data, more);
        self.start(name, args)
    }

    /// A node that works.
    pub(super) fn node(
        &mut self,
        name: &str,
        data: &Path,
        more: &[&str],
    ) -> Result<Daemon, FaultError> {
        let daemon = self.begin(name, data, more)?;
        self.must_be_ready(&daemon)?;
        Ok(daemon)
    }

    fn must_be_ready(&self, daemon: &Daemon) -> Result<(), FaultError> {
        if daemon.ready {
            return Ok(());
        }
        Err(FaultError::NotReady { name: daemon.name.clone(), log: daemon.log.clone() })
    }

    /// It must end with this code, and say all this.
    pub(super) fn ends(&mut self, daemon: &mut Daemon, code: i32, texts: &[&str]) {
        let name = daemon.name.clone();
        match daemon.ended(PATIENCE) {
            Some(status) if status.code() == Some(code) => {
                self.found.push(format!("{name} ends with {code}"));
            }
            Some(status) => self.problems.push(format!("{name} ends with {status}, not {code}")),
            None => self.problems.push(format!("{name} goes on")),
        }
        self.says(daemon, texts);
    }

    /// It must say all this.
    pub(super) fn says(&mut self, daemon: &Daemon, texts: &[&str]) {
        let until = Instant::now() + PATIENCE;
        let all = |log: &str| texts.iter().all(|text| log.contains(text));
        while !all(&daemon.log()) && Instant::now() < until {
            std::thread::sleep(AGAIN);
        }
        let log = daemon.log();
        let line = log.lines().find(|line| all(line)).or(log.lines().last());
        let line = line.unwrap_or("nothing").to_owned();
        if all(&log) {
            self.found.push(format!("{} says: {line}", daemon.name));
        } else {
            self.problems.push(format!("{} does not say {texts:?}, but: {line}", daemon.name));
        }
    }

    /// Stops it, in order.
    pub(super) fn stop(&mut self, daemon: &mut Daemon) -> Result<(), FaultError> {
        daemon.ask_to_stop();
        match daemon.ended(PATIENCE) {
            Some(status) if status.success() => {}
            Some(_) | None => self.problems.push(format!("{} did not stop in order", daemon.name)),
        }
        Ok(())
    }

    /// Places and confirms so many, whenever that becomes possible.
    pub(super) fn confirm(&mut self, scheduler: &Daemon, count: usize) -> Result<(), FaultError> {
        let until = Instant::now() + PATIENCE;
        let mut confirmed = 0;
        while confirmed < count {
            match place(scheduler) {
                Some(claim) => {
                    self.promised.push(claim);
                    confirmed += 1;
                }
                None if Instant::now() < until => std::thread::sleep(AGAIN),
                None => {
                    self.problems.push(format!("{confirmed} of {count} could be confirmed"));
                    break;
                }
            }
        }
        self.found.push(format!("{confirmed} confirmed"));
        Ok(())
    }

    /// Nothing may be placed.
    pub(super) fn has_no_valid_host(&mut self, scheduler: &Daemon) -> Result<(), FaultError> {
        // Longer than a node needs to make itself known.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if let Some(claim) = place(scheduler) {
                self.problems.push(format!("{claim} was placed"));
            }
            std::thread::sleep(AGAIN);
        }
        self.found.push("nothing is placed".to_owned());
        Ok(())
    }

    /// Places until the node has ended.
    pub(super) fn place_until_it_ends(
        &mut self,
        scheduler: &Daemon,
        node: &mut Daemon,
    ) -> Result<(), FaultError> {
        let until = Instant::now() + PATIENCE;
        while node.ended(Duration::ZERO).is_none() && Instant::now() < until {
            self.promised.extend(place(scheduler));
        }
        self.found.push(format!("{} promised before it ended", self.promised.len()));
        Ok(())
    }

    /// Places something that nobody confirms.
    pub(super) fn hold(&mut self, scheduler: &Daemon) -> Option<ClaimId> {
        let body = json!({ "resources": { "VCPU": 1 } });
        let (_, said) = ask(scheduler, Method::Post, "/v1/requests", Some(&body))?;
        said["placed"][0]["claim"].as_str()?.parse().ok()
    }

    /// What was placed must still be held.
    pub(super) fn holds(&mut self, scheduler: &Daemon, claim: Option<ClaimId>) {
        let said = claim.and_then(|claim| ask(scheduler, Method::Get, &path_of(claim), None));
        match said {
            Some((200, body)) if body["state"] == "held" => {
                self.found.push("what is held has not lapsed".to_owned());
            }
            other => self.problems.push(format!("{claim:?} was held, and is {other:?}")),
        }
    }

    /// Everything that was confirmed must still be.
    pub(super) fn keeps_what_it_promised(&mut self, scheduler: &Daemon) -> Result<(), FaultError> {
        for claim in &self.promised {
            let until = Instant::now() + PATIENCE;
            loop {
                let said = ask(scheduler, Method::Get, &path_of(*claim), None);
                match said {
                    Some((200, body)) if body["state"] == "confirmed" => break,
                    _ if Instant::now() < until => std::thread::sleep(AGAIN),
                    other => {
                        self.problems.push(format!("{claim} was confirmed, and is {other:?}"));
                        break;
                    }
                }
            }
        }
        self.found.push(format!("all {} that were promised are there", self.promised.len()));
        Ok(())
    }

    /// A file system of so many bytes; none if this may not mount one.
    pub(super) fn small_disk(&mut self, size: &str) -> Result<Option<Disk>, FaultError> {
        let path = self.root.join("disk");
        std::fs::create_dir_all(&path)?;
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "counterfoil-bench"]).arg(&path);
        match mount.output() {
            Ok(output) if output.status.success() => Ok(Some(Disk { path })),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                self.left_out = Some(format!("no file system may be mounted here: {why}"));
                Ok(None)
            }
            Err(error) => {
                self.left_out = Some(format!("there is no mount here: {error}"));
                Ok(None)
            }
        }
    }
}

fn ask(daemon: &Daemon, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
    let remote = daemon.api.as_ref()?;
    let (_, reply) = remote.ask_any(method, path, body).ok()?;
    Some((reply.status, reply.body))
}

/// Places and confirms one.
fn place(scheduler: &Daemon) -> Option<ClaimId> {
    let body = json!({ "resources": { "VCPU": 1 } });
    let (status, said) = ask(scheduler, Method::Post, "/v1/requests", Some(&body))?;
    let claim: ClaimId = said["placed"][0]["claim"].as_str()?.parse().ok()?;
    let confirmed = ask(scheduler, Method::Put, &path_of(claim), None);
    (status == 200 && confirmed.is_some_and(|(status, _)| status == 200)).then_some(claim)
}

impl Disk {
    /// Fills it but for a few pages.
    pub(super) fn fill(&self, filler: &Path) -> Result<(), FaultError> {
        let mut file = File::create(filler)?;
        while file.write_all(&[7; 4096]).is_ok() {}
        Ok(())
    }

    /// Mounts it anew with this option.
    pub(super) fn remount(&self, option: &str) -> Result<(), FaultError> {
        let option = format!("remount,{option}");
        run("mount", &[OsStr::new("-o"), OsStr::new(&option), self.path.as_os_str()])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still writes to it has ended, or ends with it.
        let _ = run("umount", &[OsStr::new("-l"), self.path.as_os_str()]);
    }
}

fn run(program: &str, args: &[&OsStr]) -> Result<(), FaultError> {
    let output = Command::new(program).args(args).output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(FaultError::System(std::io::Error::other(format!("{program}: {why}"))))
}

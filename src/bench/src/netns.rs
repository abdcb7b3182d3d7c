//! Network namespaces: each process of a cluster has one of its own, joined by a bridge, and a
//! partition is a rule of the system's packet filter.
//!
//! Nothing outside is touched: the harness begins by moving into a namespace of its own, in which
//! the bridge is, and no namespace has a name. They go when the processes in them have ended, however
//! they end: whoever holds one open ends when the harness does.

use crate::faults::FaultError;
use crate::relay::Way;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Said to the program that is started again inside a namespace of its own.
const INSIDE: &str = "COUNTERFOIL_BENCH_INSIDE";

/// How long the system may take to make a namespace.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the harness is.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Namespaces that were made. They go when this is dropped.
#[derive(Debug)]
pub(crate) struct Namespaces {
    of: BTreeMap<String, Namespace>,
}

#[derive(Debug)]
struct Namespace {
    address: Ipv4Addr,
    /// Holds it open, until its standard input ends.
    holder: Child,
}

/// Starts this program again, with the same arguments, in a network namespace of its own, and waits
/// for it; `None` if this is already it.
///
/// # Errors
/// If none may be made.
pub fn inside() -> Result<Option<ExitStatus>, FaultError> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    for (program, args) in [
        ("unshare", &["--net", "true"][..]),
        ("nft", &["--version"]),
        ("ip", &["-V"]),
        ("nsenter", &["-V"]),
    ] {
        run(Command::new(program).args(args), None)?;
    }
    let program = std::env::current_exe()?;
    let mut again = Command::new("unshare");
    again.arg("--net").arg("--").arg(program).args(std::env::args_os().skip(1));
    Ok(Some(again.env(INSIDE, "1").status()?))
}

/// Runs a command to its end, with `input` on its standard input.
fn run(command: &mut Command, input: Option<&str>) -> Result<(), FaultError> {
    let shown = format!("{command:?}");
    let apart = |why: String| FaultError::Apart { command: shown.clone(), why };
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| apart(error.to_string()))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).map_err(|error| apart(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| apart(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(apart(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn ip(args: &str) -> Result<(), FaultError> {
    run(Command::new("ip").args(args.split(' ')), None)
}

impl Namespaces {
    /// Makes one for each process, all joined by a bridge.
    pub(crate) fn make(names: &[String]) -> Result<Namespaces, FaultError> {
        if std::env::var_os(INSIDE).is_none() {
            let why = "it is not in a namespace of its own".to_owned();
            return Err(FaultError::Apart { command: "bench".to_owned(), why });
        }
        ip("link set lo up")?;
        ip("link add cf0 type bridge")?;
        ip(&format!("addr add {OWN}/16 dev cf0"))?;
        ip("link set cf0 up")?;
        let mut of = BTreeMap::new();
        for (number, name) in (1u16..).zip(names) {
            let [high, low] = number.to_be_bytes();
            let address = Ipv4Addr::new(10, 77, 1 + high, low);
            of.insert(name.clone(), Namespace::make(number, address)?);
        }
        Ok(Namespaces { of })
    }

    /// Where a process listens.
    ///
    /// # Panics
    /// If it has no namespace.
    pub(crate) fn address(&self, name: &str) -> IpAddr {
        IpAddr::V4(self.of[name].address)
    }

    /// Where the harness listens.
    pub(crate) fn own_address(&self) -> IpAddr {
        IpAddr::V4(OWN)
    }

    /// What starts a program in the namespace of a process.
    pub(crate) fn enter(&self, name: &str) -> Vec<OsString> {
        self.of[name].enter()
    }

    /// Nothing passes from these to those.
    pub(crate) fn part(
        &self,
        these: &[String],
        those: &[String],
        way: Way,
    ) -> Result<(), FaultError> {
        let drop_at = |at: &[String], from: &[String]| {
            let from = from.iter().filter_map(|name| self.of.get(name));
            let from: Vec<String> = from.map(|space| space.address.to_string()).collect();
            if from.is_empty() {
                return Ok(());
            }
            let rule = format!("add element ip counterfoil parted {{ {} }}\n", from.join(", "));
            at.iter().filter_map(|name| self.of.get(name)).try_for_each(|space| space.nft(&rule))
        };
        drop_at(those, these)?;
        match way {
            Way::OneWay => Ok(()),
            Way::TwoWay => drop_at(these, those),
        }
    }

    /// Everything passes.
    pub(crate) fn heal(&self) -> Result<(), FaultError> {
        self.of.values().try_for_each(|space| space.nft("flush set ip counterfoil parted\n"))
    }
}

impl Namespace {
    fn make(number: u16, address: Ipv4Addr) -> Result<Namespace, FaultError> {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let space = Namespace { address, holder: holder.spawn()? };
        let (pid, until) = (space.holder.id(), Instant::now() + PATIENCE);
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        while of(&pid.to_string()).is_none_or(|net| Some(net) == of("self")) {
            if Instant::now() > until {
                let why = "no namespace was made".to_owned();
                return Err(FaultError::Apart { command: "unshare --net".to_owned(), why });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        ip(&format!("link add v{number} type veth peer name eth0 netns {pid}"))?;
        ip(&format!("link set v{number} master cf0 up"))?;
        let inside = |args: String| {
            let mut enter = space.command();
            run(enter.arg("ip").args(args.split(' ')), None)
        };
        inside(format!("addr add {address}/16 dev eth0"))?;
        inside("link set eth0 up".to_owned())?;
        inside("link set lo up".to_owned())?;
        space.nft(
            "table ip counterfoil {\n\
               set parted { type ipv4_addr; }\n\
               chain input { type filter hook input priority 0; ip saddr @parted drop; }\n\
             }\n",
        )?;
        Ok(space)
    }

    fn enter(&self) -> Vec<OsString> {
        let net = format!("--net=/proc/{}/ns/net", self.holder.id());
        vec!["nsenter".into(), net.into(), "--".into()]
    }

    fn command(&self) -> Command {
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]);
        command
    }

    fn nft(&self, rules: &str) -> Result<(), FaultError> {
        run(self.command().args(["nft", "-f", "-"]), Some(rules))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It fails only if it has ended, which is what is wanted.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

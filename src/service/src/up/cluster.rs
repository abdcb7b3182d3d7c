//! The processes of a cluster on this machine.

use super::UpError;
use super::children::{Child, Spec};
use crate::cli::write_secret;
use crate::key::Key;
use crate::remote::Remote;
use counterfoil_placement::PolicyName;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Up to so many nodes have a process each, so that one alone can be killed.
const ALONE_MAX: u32 = 16;

/// Of more nodes so many share a process.
const TOGETHER_MAX: u32 = 500;

/// What the processes of a cluster are told.
#[derive(Clone, Debug)]
pub struct Size {
    /// How many schedulers.
    pub schedulers: u32,
    /// How many nodes.
    pub nodes: u32,
    /// What every node has, as options of the subcommand `node`.
    pub node_args: Vec<OsString>,
    /// How the schedulers pick a node.
    pub policy: PolicyName,
    /// Where random choices start.
    pub seed: u64,
    /// What the processes log, as their option `--log`.
    pub log: String,
}

/// The processes of a cluster. Those that are dropped are killed.
#[derive(Default)]
pub(super) struct Processes {
    pub(super) schedulers: Vec<Child>,
    pub(super) nodes: Vec<Child>,
}

/// Where a cluster keeps what is its own.
pub(super) struct Place {
    /// The folder.
    pub(super) root: PathBuf,
    /// The folder of the recordings, if it records.
    pub(super) recordings: Option<PathBuf>,
    /// Whether what the processes log goes to files; or it goes where this program logs.
    pub(super) logs: bool,
}

/// Called with the name of a process that ends although nobody ended it.
pub(super) type Gone = Arc<dyn Fn(&str) + Send + Sync>;

impl Processes {
    /// Asks all to stop, and waits until they have.
    pub(super) fn stop(self) -> Result<(), UpError> {
        let Processes { schedulers, nodes } = self;
        let all: Vec<Child> = schedulers.into_iter().chain(nodes).collect();
        for child in &all {
            child.ask_to_stop()?;
        }
        all.into_iter().try_for_each(Child::stop)?;
        Ok(())
    }
}

impl Place {
    /// The key of the cluster.
    fn key(&self) -> PathBuf {
        self.root.join("key")
    }

    /// The token of the API, with which everything may be asked.
    pub(super) fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// Makes key and token, if they are not there.
    ///
    /// # Errors
    /// If they cannot be made.
    fn make_secrets(&self) -> Result<(), UpError> {
        let folder = |source| UpError::Folder { path: self.root.clone(), source };
        let secret =
            || Key::generate().map_err(|error| folder(io::Error::other(error.to_string())));
        let write = |path: &Path, text: &str| match write_secret(path, text) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            written => written.map_err(folder),
        };
        write(&self.key(), &format!("{}\n", secret()?.to_hex()))?;
        write(&self.token(), &format!("admin {}\n", secret()?.to_hex()))
    }

    /// Starts all processes, and waits until each is ready.
    ///
    /// # Errors
    /// If one is not.
    pub(super) fn start(&self, size: &Size, gone: &Gone) -> Result<Processes, UpError> {
        self.make_secrets()?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut processes = Processes::default();
        let mut peers: Vec<OsString> = Vec::new();
        for id in 1..=size.schedulers {
            let seed = size.seed.wrapping_add(u64::from(id)) % (i64::MAX as u64);
            let mut args: Vec<OsString> = vec!["scheduler".into()];
            args.extend(["--token-file".into(), self.token().into()]);
            args.extend(["--policy".into(), size.policy.as_str().into()]);
            args.extend(["--seed".into(), seed.to_string().into()]);
            args.extend(peers.iter().cloned());
            let spec = self.spec(&format!("s{id}"), args, size, gone);
            let child = spec.start(1, &[any, any])?;
            peers.extend(["--peer".into(), child.addresses[0].to_string().into()]);
            processes.schedulers.push(child);
        }
        for ids in nodes(size.nodes) {
            let mut args: Vec<OsString> = vec!["node".into()];
            args.extend(size.node_args.iter().chain(&peers).cloned());
            processes.nodes.push(self.spec(&format!("n{ids}"), args, size, gone).start(1, &[any])?);
        }
        Ok(processes)
    }

    fn spec(&self, actor: &str, mut args: Vec<OsString>, size: &Size, gone: &Gone) -> Spec {
        args.extend(["--id".into(), actor[1..].into()]);
        args.extend(["--log".into(), size.log.clone().into()]);
        args.extend(["--data".into(), self.root.join(actor).into()]);
        args.extend(["--key-file".into(), self.key().into()]);
        let log = self.logs.then(|| self.root.join(format!("{actor}.log")));
        let recordings = self.recordings.clone();
        Spec { actor: actor.to_owned(), args, recordings, log, gone: Arc::clone(gone) }
    }

    /// Speaks to the schedulers.
    pub(super) fn remote(&self, processes: &Processes) -> Result<Remote, UpError> {
        let urls: Vec<String> = processes.schedulers.iter().map(url).collect();
        Ok(Remote::new(&urls, Some(&self.token()), None)?)
    }
}

/// Where a scheduler serves clients.
pub(super) fn url(scheduler: &Child) -> String {
    format!("http://{}", scheduler.addresses[1])
}

/// The numbers of the nodes of each process, as its option `--id`.
fn nodes(count: u32) -> Vec<String> {
    if count <= ALONE_MAX {
        return (1..=count).map(|id| id.to_string()).collect();
    }
    let firsts = (1..=count).step_by(TOGETHER_MAX as usize);
    firsts.map(|first| format!("{first}-{}", count.min(first + TOGETHER_MAX - 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::nodes;

    #[test]
    fn few_nodes_have_a_process_each_and_many_share_some() {
        assert_eq!(nodes(3), ["1", "2", "3"]);
        assert_eq!(nodes(17), ["1-17"]);
        assert_eq!(nodes(1000), ["1-500", "501-1000"]);
        assert_eq!(nodes(1001), ["1-500", "501-1000", "1001-1001"]);
    }
}

//! Records the run of an actor, in one file or in several of limited size.

use counterfoil_protocol::Config;
use counterfoil_recording::audit::EXTENSION;
use counterfoil_recording::{Batch, Header, Role, Writer, digest};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// How much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// A file that has become this long is ended, and the run goes on in the next; in bytes.
    pub file_bytes_max: u64,
    /// So many files of one actor's life are kept, the last ones; 0 keeps all. What was before the
    /// first that is kept is then unknown to whoever judges the run.
    pub files_max: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Extent { file_bytes_max: 256 << 20, files_max: 0 }
    }
}

/// Records the run of an actor.
#[derive(Debug)]
pub(crate) struct Recorder {
    writer: Writer,
    path: PathBuf,
    extent: Extent,
    /// The files of this life that are ended and kept, the oldest first.
    ended: VecDeque<PathBuf>,
}

/// Why a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("the recording {path:?} cannot be written")]
pub struct RecorderError {
    /// Where it was to be.
    pub path: PathBuf,
    source: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RecorderError + use<> {
    let path = path.to_owned();
    move |source| RecorderError { path, source }
}

/// The first path in `folder` at which there is no recording of the actor `name` yet: they are
/// numbered from 1.
pub(crate) fn next_in(folder: &Path, name: &str) -> PathBuf {
    let path = |number: u32| folder.join(format!("{name}.{number}.{EXTENSION}"));
    (1..).map(path).find(|path| !path.exists()).expect("numbers do not end")
}

impl Recorder {
    /// Begins the recording of a life at `path`, where there must be nothing. If it goes on in other
    /// files, they are numbered on from this one.
    pub(crate) fn start(
        path: PathBuf,
        header: &Header,
        extent: Extent,
    ) -> Result<Recorder, RecorderError> {
        let writer = Writer::create(&path, header).map_err(failed(&path))?;
        Ok(Recorder { writer, path, extent, ended: VecDeque::new() })
    }

    /// Records what was handled together, and says how many bytes that took. Nothing that it leads
    /// to may be carried out before.
    pub(crate) fn write<R: Role>(&mut self, batch: &Batch<R::Input>) -> Result<u64, RecorderError> {
        let before = self.writer.bytes();
        self.writer.write(batch).map_err(failed(&self.path))?;
        Ok(self.writer.bytes() - before)
    }

    /// Goes on in another file if this one is long enough. What was recorded has been committed.
    pub(crate) fn rotate<R: Role>(
        &mut self,
        id: R::Id,
        machine: &R,
        config: &Config,
    ) -> Result<(), RecorderError> {
        if self.writer.bytes() < self.extent.file_bytes_max {
            return Ok(());
        }
        let (Some((running, disk)), Some((folder, name))) = (machine.running(), self.place())
        else {
            return Ok(());
        };
        let header = Header {
            origin: R::origin(id, disk),
            config: config.clone(),
            running: Some(running),
            started: digest(&[]),
        };
        let path = next_in(folder, name);
        let writer = Writer::create(&path, &header).map_err(failed(&path))?;
        self.writer = writer;
        self.ended.push_back(std::mem::replace(&mut self.path, path));
        while self.extent.files_max > 0 && self.ended.len() >= self.extent.files_max {
            let oldest = self.ended.pop_front().expect("there is more than none");
            if let Err(error) = std::fs::remove_file(&oldest) {
                tracing::warn!(path = ?oldest, %error, "an old recording cannot be removed");
            }
        }
        Ok(())
    }

    /// The folder of the recording, and whose it is, by its name.
    fn place(&self) -> Option<(&Path, &str)> {
        let name = self.path.file_name()?.to_str()?;
        Some((self.path.parent()?, name.split('.').next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{Given, Machine, Node, NodeId, Timer, node};
    use counterfoil_recording::Entry;
    use counterfoil_recording::audit::audit;
    use std::time::Duration;

    const NODE: NodeId = NodeId(1);

    /// Records `steps` announcements of a node.
    fn recorded(folder: &Path, extent: Extent, steps: usize) {
        let (config, mut outputs) = (Config::default(), Vec::new());
        let disk = node::Disk::default();
        let mut node = Node::start(NODE, disk.clone(), Given::new(config.clone()), &mut outputs);
        let origin = <Node as Role>::origin(NODE, disk);
        let started = digest(&outputs);
        let header = Header { origin, config: config.clone(), running: None, started };
        let mut recorder = Recorder::start(next_in(folder, "n1"), &header, extent).unwrap();
        for _ in 0..steps {
            let (input, mut outputs) = (node::Input::Timer(Timer::Announce), Vec::new());
            node.handle(input.clone(), &mut outputs);
            let entries = vec![Entry { input, outputs: digest(&outputs) }];
            let batch = Batch { elapsed: Duration::ZERO, entries };
            recorder.write::<Node>(&batch).unwrap();
            recorder.rotate(NODE, &node, &config).unwrap();
        }
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_run_in_many_files_is_rebuilt_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let extent = Extent { file_bytes_max: 200, files_max: 0 };
        recorded(dir.path(), extent, 100);
        assert!(files(dir.path()) > 3, "{}", files(dir.path()));
        let found = audit(dir.path()).unwrap();
        assert!(found.is_fine() && found.incomplete.is_empty(), "{found:?}");
        assert_eq!(found.steps, 1 + 100);
    }

    #[test]
    fn of_a_run_whose_first_files_are_gone_the_rest_is_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let extent = Extent { file_bytes_max: 200, files_max: 2 };
        recorded(dir.path(), extent, 100);
        assert_eq!(files(dir.path()), 2);
        let found = audit(dir.path()).unwrap();
        assert!(found.is_fine(), "{found:?}");
        assert_eq!(found.incomplete.len(), 1);
        assert!((1..100).contains(&found.steps) && found.left_out > 0, "{found:?}");
    }
}

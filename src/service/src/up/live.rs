//! A cluster that goes on until it is asked to stop.

use super::UpError;
use super::children::{Child, NextLife};
use super::cluster::{Gone, Place, Processes, Size, url};
use crate::cli::{Screen, Seen, aligned, frame, look};
use crate::remote::{NoAnswer, Remote};
use crate::stop::{self, Asked};
use rustix::fs::{FileType, fstat};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// From the end of a process to the next time that it is started.
const AGAIN: Duration = Duration::from_secs(1);

/// From one look at the cluster to the next.
const LOOK: Duration = Duration::from_secs(1);

/// What happens.
enum Event {
    /// A process ended by itself.
    Gone(String),
    /// This is known of the nodes.
    Seen(Result<Seen, NoAnswer>),
    /// This process was asked to stop.
    Stop,
}

/// A process, or what is left of it.
enum Member {
    Runs(Child),
    Ended { actor: String, why: String, next: Box<NextLife>, at: Instant },
}

/// A cluster that runs.
struct Live<'a> {
    size: &'a Size,
    place: Place,
    members: Vec<Member>,
    seen: Option<Result<Seen, NoAnswer>>,
    screen: Screen,
}

/// Starts a cluster in the folder `keep`, which may be of an earlier one, or in one that goes with
/// it; shows it, and starts again what dies, until it is asked to stop. Then it stops everything.
///
/// # Errors
/// If it cannot start, or not stop in order.
pub fn live(size: &Size, keep: Option<&Path>) -> Result<(), UpError> {
    let temporary;
    let root = match keep {
        Some(path) => path,
        None => {
            temporary = tempfile::Builder::new().prefix("counterfoil-").tempdir()?;
            temporary.path()
        }
    };
    prepare(root, size)?;
    let folder = |source| UpError::Folder { path: root.to_owned(), source };
    let root = &root.canonicalize().map_err(folder)?;
    let (say, events) = channel();
    let saying = Mutex::new(say.clone());
    let gone: Gone = Arc::new(move |actor: &str| {
        let saying = saying.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = saying.send(Event::Gone(actor.to_owned()));
    });
    let on_stop = say.clone();
    stop::when_asked(stdin_can_end(), move |asked| match asked {
        Asked::Stop => {
            let _ = on_stop.send(Event::Stop);
        }
        Asked::Reload => {}
    })?;
    let place = Place { root: root.to_owned(), recordings: None, logs: true };
    let processes = place.start(size, &gone)?;
    let remote = place.remote(&processes)?;
    write_environment(&place, &remote)?;
    let Processes { schedulers, nodes } = processes;
    schedulers.iter().chain(&nodes).for_each(|child| write_pid(root, child));
    let members = schedulers.into_iter().chain(nodes).map(Member::Runs).collect();
    let live = Live { size, place, members, seen: None, screen: Screen::open() };
    live.run(&remote, &say, &events)
}

/// Makes the folder, or looks whether it is of such a cluster.
fn prepare(root: &Path, size: &Size) -> Result<(), UpError> {
    let folder = |source| UpError::Folder { path: root.to_owned(), source };
    std::fs::create_dir_all(root).map_err(folder)?;
    let wanted = format!("{} schedulers and {} nodes", size.schedulers, size.nodes);
    let about = root.join("cluster");
    match std::fs::read_to_string(&about) {
        Ok(found) if found.trim() == wanted => Ok(()),
        Ok(found) => {
            let found = found.trim().to_owned();
            Err(UpError::Other { path: root.to_owned(), found, wanted })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if std::fs::read_dir(root).map_err(folder)?.next().is_some() {
                return Err(UpError::NotEmpty(root.to_owned()));
            }
            std::fs::write(&about, format!("{wanted}\n")).map_err(folder)
        }
        Err(error) => Err(folder(error)),
    }
}

/// Writes the file that tells a shell where the schedulers are, and where this program is.
fn write_environment(place: &Place, remote: &Remote) -> Result<(), UpError> {
    let path = place.root.join("env");
    let (urls, token) = (remote.urls().join(","), quoted(&place.token()));
    let mut text =
        format!("export COUNTERFOIL_API={urls}\nexport COUNTERFOIL_TOKEN_FILE={token}\n");
    let program = std::env::current_exe()?;
    if let Some(folder) = program.parent() {
        text.push_str(&format!("export PATH={}:\"$PATH\"\n", quoted(folder)));
    }
    std::fs::write(&path, text).map_err(|source| UpError::Folder { path, source })
}

/// Writes down the number of a process in the system, for whoever wants to kill it.
fn write_pid(root: &Path, child: &Child) {
    let path = root.join(format!("{}.pid", child.actor()));
    // The cluster runs without it, and says the number, too.
    if let Err(error) = std::fs::write(&path, format!("{}\n", child.pid())) {
        tracing::warn!(?path, %error, "cannot be written");
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Whether someone holds the other end of standard input. A terminal, or nothing, does not end.
fn stdin_can_end() -> bool {
    let kind = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

impl Live<'_> {
    fn run(
        mut self,
        remote: &Remote,
        say: &Sender<Event>,
        events: &Receiver<Event>,
    ) -> Result<(), UpError> {
        self.introduce();
        if self.screen.is_terminal() {
            keep_looking(remote.clone(), say.clone())?;
        }
        loop {
            self.start_what_is_due();
            if self.screen.is_terminal() {
                self.screen.draw(&self.lines());
            }
            match events.recv_timeout(self.next_due()) {
                Ok(Event::Gone(actor)) => self.on_gone(&actor),
                Ok(Event::Seen(seen)) => self.seen = Some(seen),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let Live { members, screen, .. } = self;
        drop(screen);
        let running = members.into_iter().filter_map(|member| match member {
            Member::Runs(child) => Some(child),
            Member::Ended { .. } => None,
        });
        Processes { schedulers: running.collect(), nodes: Vec::new() }.stop()?;
        say_line("stopped");
        Ok(())
    }

    /// Until what ended is to be started again.
    fn next_due(&self) -> Duration {
        let due = self.members.iter().filter_map(|member| match member {
            Member::Runs(_) => None,
            Member::Ended { at, .. } => Some(at.saturating_duration_since(Instant::now())),
        });
        due.min().unwrap_or(LOOK).min(LOOK)
    }

    /// A process that ended is to be started again. Once is enough, however often it is said.
    fn on_gone(&mut self, actor: &str) {
        let named = |member: &&mut Member| matches!(member, Member::Runs(c) if c.actor() == actor);
        let Some(member) = self.members.iter_mut().find(named) else { return };
        let Member::Runs(child) = member else { return };
        let (why, next) = (child.why_it_ended(), Box::new(child.next_life()));
        if !self.screen.is_terminal() {
            say_line(&format!("{actor} ended: {why}"));
        }
        let at = Instant::now() + AGAIN;
        *member = Member::Ended { actor: actor.to_owned(), why, next, at };
    }

    fn start_what_is_due(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            let Member::Ended { actor, why, next, at } = member else { continue };
            if *at > now {
                continue;
            }
            match next.as_ref().clone().start() {
                Ok(child) => {
                    write_pid(&self.place.root, &child);
                    if !self.screen.is_terminal() {
                        say_line(&format!("{actor} is back, pid {}", child.pid()));
                    }
                    *member = Member::Runs(child);
                }
                Err(error) => {
                    tracing::warn!(actor, %error, "not started again; trying once more");
                    *why = error.to_string();
                    *at = Instant::now() + AGAIN;
                }
            }
        }
    }

    /// A command to try.
    fn example(&self) -> String {
        let environment = quoted(&self.place.root.join("env"));
        format!(". {environment} && counterfoil place --vcpu 1 --memory-mb 512")
    }

    /// Says what there is, for whoever reads lines.
    fn introduce(&self) {
        if self.screen.is_terminal() {
            return;
        }
        say_line(&format!("folder {}", self.place.root.display()));
        for member in &self.members {
            if let Member::Runs(child) = member {
                let api = child.addresses.get(1).map(|_| format!(" api {}", url(child)));
                let (actor, pid) = (child.actor(), child.pid());
                say_line(&format!("{actor} pid {pid}{}", api.unwrap_or_default()));
            }
        }
        say_line(&format!("try {}", self.example()));
        say_line("ready");
    }

    /// What is drawn on a terminal.
    fn lines(&self) -> Vec<String> {
        let (columns, rows) = self.screen.size();
        let Size { schedulers, nodes, .. } = self.size;
        let root = self.place.root.display();
        let mut lines = vec![format!(
            "counterfoil up: {schedulers} schedulers, {nodes} nodes in {root} · Ctrl-C stops"
        )];
        // So that it can be copied, however narrow the terminal is.
        lines.extend(wrapped(&format!("try: {}", self.example()), columns));
        let pid = quoted(&self.place.root.join("n1.pid"));
        lines.extend(wrapped(&format!("kill one: kill -9 $(cat {pid}); it comes back"), columns));
        lines.push(String::new());
        let mut table = vec![["PROCESS", "PID", "STATE"].map(str::to_owned).to_vec()];
        table.extend(self.members.iter().map(Member::row));
        lines.extend(aligned(&table));
        lines.push(String::new());
        let left = rows.saturating_sub(lines.len());
        match &self.seen {
            None => lines.push("…".to_owned()),
            Some(Ok(seen)) => lines.extend(frame(seen, left)),
            Some(Err(error)) => lines.push(error.to_string()),
        }
        lines
    }
}

impl Member {
    fn row(&self) -> Vec<String> {
        match self {
            Member::Runs(child) => {
                let api = child.addresses.get(1).map(|_| format!("runs, API {}", url(child)));
                let state = api.unwrap_or_else(|| "runs".to_owned());
                vec![child.actor().to_owned(), child.pid().to_string(), state]
            }
            Member::Ended { actor, why, .. } => {
                vec![actor.clone(), "-".to_owned(), format!("is started again: {why}")]
            }
        }
    }
}

/// `text` in lines of so many columns, broken at spaces where there are some.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        let needed = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if needed + 2 <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            line.push_str(" \\");
            lines.push(format!("  {word}"));
        }
    }
    lines
}

/// Looks at the cluster again and again, on a thread of its own.
fn keep_looking(remote: Remote, say: Sender<Event>) -> io::Result<()> {
    thread::Builder::new().name("look".to_owned()).spawn(move || {
        while say.send(Event::Seen(look(&remote))).is_ok() {
            thread::sleep(LOOK);
        }
    })?;
    Ok(())
}

fn say_line(line: &str) {
    let mut out = io::stdout().lock();
    // If nobody reads it, nothing is lost.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::{quoted, wrapped};
    use std::path::Path;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a-1.b")), "/tmp/a-1.b");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }

    #[test]
    fn a_command_is_broken_so_that_it_can_be_copied() {
        assert_eq!(wrapped("a bb ccc", 80), ["a bb ccc"]);
        assert_eq!(wrapped("aaa bbb ccc", 9), ["aaa bbb \\", "  ccc"]);
    }
}

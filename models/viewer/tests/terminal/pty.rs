//! The command on a terminal of its own.

use crate::traces;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A terminal with the viewer on it: `script` of util-linux makes one.
struct Terminal {
    child: Child,
    keys: ChildStdin,
}

impl Terminal {
    fn open(arguments: &str) -> Terminal {
        let program = env!("CARGO_BIN_EXE_trace");
        let file = traces().join("no_overcommit__without_node_judges_claims.itf.json");
        let command =
            format!("stty rows 24 cols 80; exec '{program}' view '{}' {arguments}", file.display());
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is there");
        let keys = child.stdin.take().unwrap();
        Terminal { child, keys }
    }

    /// What was shown up to where `text` is.
    fn until(&mut self, text: &str) -> String {
        let mut shown = Vec::new();
        let screen = self.child.stdout.as_mut().unwrap();
        let mut some = [0; 4096];
        while !String::from_utf8_lossy(&shown).contains(text) {
            let count = screen.read(&mut some).unwrap();
            assert_ne!(count, 0, "not {text}: {}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&some[..count]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// What was shown after that, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut shown = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut shown).unwrap();
        drop(self.keys);
        let code = self.child.wait().unwrap().code();
        (String::from_utf8_lossy(&shown).into_owned(), code)
    }
}

const ENTERS: &str = "\x1b[?1049h";
const LEAVES: &str = "\x1b[?1049l";

#[test]
fn on_a_terminal_it_opens_and_leaves_the_terminal_as_it_was() {
    let mut terminal = Terminal::open("");
    let opened = terminal.until("q quit");
    assert!(opened.contains(ENTERS), "{opened}");
    assert!(opened.contains("no_overcommit is violated at step 8"), "{opened}");
    terminal.keys.write_all(b"hhq").unwrap();
    let (shown, code) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(LEAVES), "{shown}");
}

#[test]
fn an_interrupt_leaves_the_terminal_as_it_was() {
    let mut terminal = Terminal::open("--ascii --color never");
    terminal.until("q quit");
    terminal.keys.write_all(b"\x03").unwrap();
    let (shown, code) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains(LEAVES), "{shown}");
}

#[test]
fn plain_prints_on_a_terminal_too() {
    let (shown, code) = Terminal::open("--plain").end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains(ENTERS) && shown.contains("why"), "{shown}");
    assert!(shown.contains("\x1b[31m"), "what is violated is red: {shown}");
    let (shown, _) = Terminal::open("--plain --color never").end();
    assert!(!shown.contains('\x1b'), "{shown}");
}

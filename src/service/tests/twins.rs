//! Two processes that have the same number.

mod common;

use common::counterfoil;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Stdio};

/// A scheduler, number 5, that is about to find out that it is not alone.
struct Scheduler {
    process: Child,
    /// It would stop if this closed.
    _stdin: Option<ChildStdin>,
    udp: String,
}

impl Scheduler {
    fn start(data: &str, peers: &[&str]) -> Scheduler {
        let any = "127.0.0.1:0";
        let args = ["scheduler", "--id", "5", "--listen", any, "--api", any, "--data", data];
        let mut process = counterfoil()
            .args(args)
            .args(peers.iter().flat_map(|peer| ["--peer", peer]))
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let udp = line.split(' ').nth(1).expect("it becomes ready").to_owned();
        Scheduler { _stdin: process.stdin.take(), process, udp }
    }

    /// Waits until it ends by itself; its exit code and what it said.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code(), said)
    }
}

#[test]
fn two_schedulers_of_one_number_in_one_life_say_so_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let one = Scheduler::start(&folder("one"), &[]);
    let two = Scheduler::start(&folder("two"), &[&one.udp]);
    let addresses = [one.udp.clone(), two.udp.clone()];
    let said = [one.ended(), two.ended()];
    for ((code, said), other) in said.iter().zip(addresses.iter().rev()) {
        assert_eq!(*code, Some(1), "{said}");
        let expected = format!("another process is s5, too, in life 1, at {other}");
        assert!(said.contains(&expected), "{said}");
    }
}

//! A scheduler and nodes, as processes.

use counterfoil_service::serve::said_ready;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ANY: &str = "127.0.0.1:0";

/// After this long what was said counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process under test; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Process {
    /// Starts a process and waits until it says that it is ready.
    fn start(role: &str, id: u32, data: &Path, args: &[&str]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args([role, "--id", &id.to_string(), "--listen", ANY, "--until-stdin-closes"])
            .arg("--data")
            .arg(data.join(format!("{role}{id}")))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = said_ready(&line).expect("it becomes ready");
        Process { child, addresses }
    }

    /// A node with two processors, which tells its metrics at its last address.
    pub(crate) fn node(id: u32, data: &Path) -> Process {
        let args = ["--vcpu", "2", "--cpu-ratio", "1", "--metrics", ANY];
        Process::start("node", id, data, &args)
    }

    /// A scheduler that finds `nodes`, and has its API at its last address.
    pub(crate) fn scheduler(nodes: &[&Process], data: &Path) -> Process {
        let peers: Vec<String> = nodes.iter().map(|node| node.addresses[0].to_string()).collect();
        let mut args = vec!["--api", ANY];
        args.extend(peers.iter().flat_map(|peer| ["--peer", peer]));
        Process::start("scheduler", 1, data, &args)
    }

    /// Where it listens for HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        *self.addresses.last().unwrap()
    }

    /// The head and the body of what it answers.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.http()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.http(),
            body.len(),
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// The value of a series among its metrics.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let (head, body) = self.ask("GET", "/metrics", "");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        body.lines().find_map(value).unwrap_or_else(|| panic!("no {series} in {body}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The API of a scheduler, as a process, spoken to over HTTP.

use counterfoil_protocol::ClaimId;
use counterfoil_service::serve::said_ready;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const ANY: &str = "127.0.0.1:0";

/// After this long what was said counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// From one try to the next.
const AGAIN: Duration = Duration::from_millis(50);

/// A process under test; it is killed when this is dropped.
struct Process {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl Process {
    /// Starts a process and waits until it says that it is ready.
    fn start(args: &[&str]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args(args)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = said_ready(&line).expect("it becomes ready");
        Process { child, addresses }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node with two processors, and a scheduler that knows it.
struct Cluster {
    scheduler: Process,
    _node: Process,
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        let cluster = Cluster::with(tempfile::tempdir().unwrap(), &[]);
        // A page of nodes is empty until the node is known.
        cluster.until(|| cluster.get("/v1/nodes/1").body["status"] == "up");
        cluster
    }

    fn with(folder: tempfile::TempDir, args: &[&str]) -> Cluster {
        let data = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let inventory = ["--vcpu", "2", "--cpu-ratio", "1"];
        let node = ["node", "--id", "1", "--listen", ANY, "--data", &data("n1")];
        let node = Process::start(&[node.as_slice(), &inventory].concat());
        let peer = node.addresses[0].to_string();
        let own = ["scheduler", "--id", "1", "--listen", ANY, "--api", ANY];
        let rest = ["--peer", &peer, "--data", &data("s1")];
        let scheduler = Process::start(&[own.as_slice(), &rest, args].concat());
        Cluster { scheduler, _node: node, folder }
    }

    fn http(&self) -> SocketAddr {
        self.scheduler.addresses[1]
    }

    fn until(&self, is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::sleep(AGAIN);
        }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        ask(TcpStream::connect(self.http()).unwrap(), &request(method, path, headers, body))
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "", "")
    }

    fn post(&self, body: &Value) -> Reply {
        self.ask("POST", "/v1/requests", JSON, &body.to_string())
    }

    /// Asks until there is a place: what was released may not be known at once.
    fn place(&self, body: &Value) -> ClaimId {
        loop {
            let reply = self.post(body);
            if reply.status == 200 {
                return reply.body["placed"][0]["claim"].as_str().unwrap().parse().unwrap();
            }
            assert!([409, 503].contains(&reply.status), "{reply:?}");
            std::thread::sleep(AGAIN);
        }
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Value,
}

impl Reply {
    fn is(&self, status: u16, error: &str) -> bool {
        self.status == status && self.body["error"] == error && self.body["message"].is_string()
    }
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn ask(mut stream: impl Read + Write, request: &str) -> Reply {
    // The answer may come before all was said.
    let _ = stream.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply {
        status,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
    }
}

fn path_of(claim: ClaimId) -> String {
    format!("/v1/allocations/{}", claim.to_string().replace('#', "%23"))
}

fn one() -> Value {
    json!({ "resources": { "VCPU": 1, "MEMORY_MB": 512 } })
}

#[test]
fn what_is_placed_can_be_confirmed_looked_at_and_released() {
    let cluster = Cluster::start();
    let reply = cluster.post(&one());
    assert_eq!((reply.status, &reply.body["placed"][0]["node"]), (200, &json!(1)), "{reply:?}");
    assert_eq!(reply.body["lapses_in_ms"], 30_000);
    let request = &reply.body["request"];
    let claim: ClaimId = reply.body["placed"][0]["claim"].as_str().unwrap().parse().unwrap();
    let path = path_of(claim);
    let seen = cluster.get(&path);
    assert_eq!((seen.status, &seen.body["state"]), (200, &json!("held")), "{seen:?}");
    assert_eq!((&seen.body["request"], &seen.body["node"]), (request, &json!(1)));
    assert_eq!(seen.body["resources"], one()["resources"]);
    for _ in 0..2 {
        let confirmed = cluster.ask("PUT", &path, "", "");
        assert_eq!((confirmed.status, &confirmed.body["state"]), (200, &json!("confirmed")));
        assert_eq!(confirmed.body["at"], seen.body["at"]);
    }
    assert_eq!(cluster.get(&path).body["state"], "confirmed");
    cluster.until(|| cluster.get("/v1/nodes/1").body["used"] == one()["resources"]);
    let free = &cluster.get("/v1/nodes").body[0]["free"];
    assert_eq!(free["VCPU"], 1);
    for _ in 0..2 {
        let released = cluster.ask("DELETE", &path, "", "");
        assert_eq!((released.status, &released.body["state"]), (200, &json!("gone")));
    }
    assert!(cluster.get(&path).is(404, "gone"));
    assert!(cluster.ask("PUT", &path, "", "").is(410, "gone"));
    let recent = cluster.get("/v1/requests/recent").body;
    assert_eq!((&recent[0]["request"], &recent[0]["result"]), (request, &json!("placed")));
    let served = cluster.get("/openapi.json").body;
    assert_eq!(served["openapi"], "3.1.0");
}

#[test]
fn a_node_that_drains_takes_nothing_until_it_is_told_to() {
    let cluster = Cluster::start();
    let ask = |path: &str| cluster.ask("POST", path, "", "");
    let drained = ask("/v1/nodes/1/drain");
    assert_eq!((drained.status, drained.body), (200, json!({ "node": 1, "status": "draining" })));
    cluster.until(|| cluster.get("/v1/nodes/1").body["status"] == "draining");
    let reply = cluster.post(&one());
    assert!(reply.is(409, "no_valid_host"), "{reply:?}");
    assert_eq!(reply.body["excluded"][0]["filter"], "ComputeFilter");
    assert_eq!((&reply.body["excluded"][0]["nodes"], &reply.body["nodes"]), (&json!(1), &json!(1)));
    assert!(reply.body["oldest_view_ms"].is_u64());
    let recent = cluster.get("/v1/requests/recent").body;
    assert_eq!(recent[0]["result"], "no_valid_host");
    assert!(recent[0]["why"].as_str().unwrap().contains("ComputeFilter"));
    assert_eq!(ask("/v1/nodes/1/undrain").body["status"], "up");
    cluster.place(&one());
    for path in ["/v1/nodes/2/drain", "/v1/nodes/2/undrain"] {
        assert!(ask(path).is(404, "not_found"), "{path}");
    }
    assert!(cluster.get("/v1/nodes/2").is(404, "not_found"));
}

#[test]
fn two_instances_with_room_for_one_leave_nothing_held() {
    let cluster = Cluster::start();
    let mut both = one();
    both["instances"] = json!(3);
    let reply = cluster.post(&both);
    assert!(reply.is(409, "no_valid_host"), "{reply:?}");
    assert_eq!(reply.body["excluded"][0]["filter"], "CoreFilter");
    for number in 0..4 {
        let path = format!("/v1/allocations/s1.1:n1%23{number}");
        assert!(cluster.get(&path).is(404, "gone"), "{path}");
    }
    both["instances"] = json!(2);
    cluster.place(&both);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_and_where() {
    let cluster = Cluster::start();
    let mut cases = vec![
        ("{".to_owned(), "EOF while parsing"),
        ("[]".to_owned(), "invalid length"),
        ("{} {}".to_owned(), "missing field `resources`"),
        (one().to_string() + " x", "trailing characters"),
    ];
    let fields = [
        (json!({ "instances": 0 }), "instances is 0: ask for 1 to 64"),
        (json!({ "instances": 65 }), "instances is 65: ask for 1 to 64"),
        (json!({ "instances": -1 }), "instances: invalid value: integer `-1`"),
        (json!({ "instances": "two" }), "instances: invalid type: string"),
        (json!({ "flavor": "small" }), "unknown field `flavor`"),
        (json!({ "resources": {} }), "resources is empty"),
        (json!({ "resources": { "VCPU": 0 } }), "resources.VCPU is 0"),
        (json!({ "resources": { "VCPU": 1.5 } }), "resources.VCPU: invalid type: floating point"),
        (json!({ "resources": { "vcpu": 1 } }), "\"vcpu\" is no name"),
        (json!({ "zone": "" }), "zone: \"\" is no name"),
        (json!({ "required_traits": ["ssd"] }), "required_traits[0]: \"ssd\" is no name"),
        (json!({ "groups": { "near": [""] } }), "groups: \"\" is no name of a group"),
        (json!({ "groups": { "apart": { "web": -1 } } }), "groups.apart.web: invalid value"),
        (json!({ "groups": { "far": [] } }), "groups.far: unknown field"),
        (json!({ "client": 7 }), "give all four, or none"),
        (
            json!({ "client": 1_u32 << 31, "connection": 1, "request": 1, "attempt": 1 }),
            "use a number below 2147483648",
        ),
        (
            json!({ "instances": 2, "client": 1, "connection": 1, "request": 1, "attempt": 1 }),
            "one at a time",
        ),
    ];
    for (field, message) in fields {
        let mut body = one();
        body.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        cases.push((body.to_string(), message));
    }
    let traits: Vec<String> = (0..65).map(|number| format!("T_{number}")).collect();
    let mut many = one();
    many["required_traits"] = json!(traits);
    cases.push((many.to_string(), "too many traits"));
    for (body, message) in cases {
        let reply = cluster.ask("POST", "/v1/requests", JSON, &body);
        assert!(reply.is(400, "bad_request"), "{body}: {reply:?}");
        let said = reply.body["message"].as_str().unwrap();
        assert!(said.contains(message), "{body}: {said}");
    }
    assert!(cluster.post(&json!({ "resources": { "CUSTOM_FPGA": 1 } })).is(409, "no_valid_host"));
}

#[test]
fn what_is_asked_in_another_form_or_elsewhere_is_refused() {
    let cluster = Cluster::start();
    let body = one().to_string();
    let reply = cluster.ask("POST", "/v1/requests", "", &body);
    assert!(reply.is(415, "unsupported_media_type"), "{reply:?}");
    let long = format!("{body}{}", " ".repeat(64 << 10));
    assert!(cluster.ask("POST", "/v1/requests", JSON, &long).is(413, "too_large"));
    let reply = cluster.ask("PATCH", "/v1/requests", JSON, &body);
    assert!(reply.is(405, "method_not_allowed") && reply.head.contains("allow: POST"), "{reply:?}");
    assert!(cluster.get("/v2/requests").is(404, "not_found"));
    for claim in ["s1.1:n1", "s1.1:n1%23x", "n1", "%FF", "s1.1:n1%230%20"] {
        for method in ["GET", "PUT", "DELETE"] {
            let reply = cluster.ask(method, &format!("/v1/allocations/{claim}"), "", "");
            assert!(reply.is(400, "bad_request"), "{claim}: {reply:?}");
        }
    }
    assert!(cluster.get("/v1/allocations/s7.1:n1%230").is(404, "gone"));
    assert!(cluster.get("/v1/allocations/s1.1:n9%230").is(504, "unanswered"));
    for path in ["/v1/nodes/n1", "/v1/nodes/-1", "/v1/nodes?limit=0", "/v1/nodes?first=1"] {
        assert!(cluster.get(path).is(400, "bad_request"), "{path}");
    }
    assert_eq!(cluster.get("/v1/nodes?after=1").body, json!([]));
    let other = "Origin: http://else.example\r\n";
    assert!(cluster.ask("POST", "/v1/nodes/1/drain", other, "").is(403, "forbidden"));
    assert_eq!(cluster.get("/health/ready").body, json!({ "ready": true, "nodes": 1 }));
}

#[test]
fn a_connection_of_a_client_is_over_when_it_names_a_later_one() {
    let cluster = Cluster::start();
    let call = |connection: u64, request: u64| {
        let mut body = one();
        let caller = json!({
            "client": 3, "connection": connection, "request": request, "attempt": 1,
        });
        body.as_object_mut().unwrap().extend(caller.as_object().unwrap().clone());
        cluster.post(&body)
    };
    let placed = call(2, 1 << 60);
    assert_eq!((placed.status, placed.body["request"].as_u64()), (200, Some(1 << 60)));
    let over = call(1, 2);
    assert!(over.is(503, "connection_over") && over.head.contains("retry-after: 1"), "{over:?}");
    assert_eq!(call(3, 3).status, 200);
    assert!(call(2, 4).is(503, "connection_over"));
}

/// Writes a file of this name and content.
fn written(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_token_gives_a_role_and_the_tokens_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = "read reading-reading-1\nplace placing-placing-1\nadmin ordering-orders-1\n";
    let file = written(folder.path(), "tokens", tokens);
    let cluster = Cluster::with(folder, &["--token-file", &file]);
    let body = one().to_string();
    let header = |token: &str| format!("{JSON}Authorization: Bearer {token}\r\n");
    let status = |method, path: &str, token: &str| {
        let body = if path == "/v1/requests" { &*body } else { "" };
        cluster.ask(method, path, &header(token), body).status
    };
    cluster.until(|| status("GET", "/v1/nodes/1", "reading-reading-1") == 200);
    let claim = "/v1/allocations/s9.1:n1%230";
    let routes = [
        ("GET", "/v1/nodes", [200, 200, 200]),
        ("GET", "/v1/requests/recent", [200, 200, 200]),
        ("GET", "/metrics", [200, 200, 200]),
        ("GET", claim, [404, 404, 404]),
        ("PUT", claim, [403, 410, 410]),
        ("DELETE", claim, [403, 200, 200]),
        ("POST", "/v1/requests", [403, 200, 200]),
        ("POST", "/v1/nodes/1/drain", [403, 403, 200]),
    ];
    for (method, path, expected) in routes {
        let tokens = ["reading-reading-1", "placing-placing-1", "ordering-orders-1"];
        assert_eq!(tokens.map(|token| status(method, path, token)), expected, "{method} {path}");
        assert_eq!(status(method, path, "reading-reading-2"), 401);
        let reply = cluster.ask(method, path, JSON, "");
        assert!(reply.is(401, "unauthorized") && reply.head.contains("www-authenticate: Bearer"));
    }
    assert_eq!(["/health/live", "/"].map(|path| cluster.get(path).status), [200, 200]);
    written(cluster.folder.path(), "tokens", "read reading-reading-2\n");
    cluster.scheduler.signal(Signal::HUP);
    cluster.until(|| status("GET", "/v1/nodes", "reading-reading-2") == 200);
    assert_eq!(status("GET", "/v1/nodes", "reading-reading-1"), 401);
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = written(folder.path(), "cert.pem", &made.cert.pem());
    let key = written(folder.path(), "key.pem", &made.signing_key.serialize_pem());
    let cluster = Cluster::with(folder, &["--tls-cert", &certificate, "--tls-key", &key]);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = StreamOwned::new(connection, TcpStream::connect(cluster.http()).unwrap());
    let reply = ask(stream, &request("GET", "/health/live", "", ""));
    assert_eq!((reply.status, reply.body), (200, json!({ "live": true })));
    let mut plain = TcpStream::connect(cluster.http()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(request("GET", "/health/live", "", "").as_bytes()).unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
}

#[test]
fn it_does_not_listen_to_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = written(folder.path(), "tokens", "admin ordering-orders-1\n");
    let nonsense = written(folder.path(), "nonsense", "admin\n");
    let data = folder.path().join("s1").to_str().unwrap().to_owned();
    let start = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args(["scheduler", "--id", "1", "--listen", ANY, "--data", &data])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let all = ["--api", "0.0.0.0:0"];
    let cases = [
        (all.to_vec(), 2, "without tokens the API listens on loopback only"),
        ([all.as_slice(), &["--token-file", &tokens]].concat(), 2, "without TLS the API listens"),
        (vec!["--api", ANY, "--token-file", &nonsense], 2, "line 1 of the token file"),
        (vec!["--api", ANY, "--token-file", "none"], 2, "cannot be read"),
        (
            vec!["--api", ANY, "--tls-cert", &tokens, "--tls-key", &tokens],
            2,
            "cannot be read as a private key",
        ),
    ];
    for (args, code, message) in cases {
        let (is, said) = start(&args);
        assert!(is == Some(code) && said.contains(message), "{args:?}: {is:?} {said}");
    }
}

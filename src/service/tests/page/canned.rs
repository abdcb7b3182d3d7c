//! Serves the page, and answers it like a scheduler that knows what a test says.

use counterfoil_service::api::page;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server knows and does.
#[derive(Clone, Default)]
pub(crate) struct Canned {
    pub(crate) nodes: Vec<Value>,
    pub(crate) recent: Vec<Value>,
    /// Whoever does not send this is told to.
    pub(crate) token: Option<&'static str>,
    /// Whether it only says that it is stopping.
    pub(crate) stopping: bool,
}

/// A server that goes on until its test ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    canned: Arc<Mutex<Canned>>,
}

impl Server {
    pub(crate) fn start(canned: Canned) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let canned = Arc::new(Mutex::new(canned));
        let shared = Arc::clone(&canned);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                // A browser opens connections that it may never use.
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Server { address, canned }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on it is otherwise.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Canned)) {
        change(&mut self.canned.lock().unwrap());
    }
}

/// Answers one request; whoever breaks off gets no answer.
fn answer(mut stream: TcpStream, canned: &Mutex<Canned>) -> Option<()> {
    let lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = head.first()?.split(' ').nth(1)?.to_owned();
    let token = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    let canned = canned.lock().unwrap().clone();
    let (status, body) = canned.respond(&target, token.as_deref());
    let headers: String = if target == "/" {
        page::headers().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    } else {
        "Content-Type: application/json\r\n".to_owned()
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).ok()
}

impl Canned {
    fn respond(&self, target: &str, token: Option<&str>) -> (&'static str, String) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let problem =
            |error: &str, message: &str| json!({ "error": error, "message": message }).to_string();
        if path == "/" {
            return ("200 OK", page::HTML.to_owned());
        }
        if self.stopping {
            return ("503 Service Unavailable", problem("stopping", "the scheduler stops"));
        }
        let expected = self.token.map(|token| format!("Bearer {token}"));
        if expected.is_some() && expected.as_deref() != token {
            return ("401 Unauthorized", problem("unauthorized", "the token is not known"));
        }
        let answer = match path {
            "/v1/nodes" => self.page(query),
            "/v1/requests/recent" => self.recent.clone(),
            _ => return ("404 Not Found", problem("not_found", path)),
        };
        ("200 OK", Value::from(answer).to_string())
    }

    /// The part of the nodes that was asked for.
    fn page(&self, query: &str) -> Vec<Value> {
        let asked = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(of, _)| *of == name).map(|(_, value)| value.parse::<u64>().unwrap())
        };
        let after = asked("after");
        let is_after =
            |node: &&Value| after.is_none_or(|after| node["node"].as_u64() > Some(after));
        let limit = asked("limit").unwrap() as usize;
        self.nodes.iter().filter(is_after).take(limit).cloned().collect()
    }
}

/// A node with its load: how much of its 64 processors is used and set aside.
pub(crate) fn node(id: u32, used: u64, aside: u64) -> Value {
    let class = |total: u64, ratio: f64, factor: u64| {
        let capacity = (total as f64 * ratio) as u64;
        let (used, aside) = (used * factor, aside * factor);
        let inventory = json!({
            "total": total, "reserved": 0, "allocation_ratio": ratio, "min_unit": 1,
            "max_unit": total, "step_unit": 1, "capacity": capacity,
        });
        (inventory, used, aside, capacity.saturating_sub(used + aside))
    };
    let classes = [
        ("VCPU", class(16, 4.0, 1)),
        ("MEMORY_MB", class(524_288, 1.0, 8192)),
        ("DISK_GB", class(4096, 1.0, 40)),
    ];
    let of = |what: fn(&(Value, u64, u64, u64)) -> Value| -> Value {
        classes.iter().map(|(name, class)| (name.to_string(), what(class))).collect()
    };
    json!({
        "node": id, "status": "up", "presence": "present", "stamp": format!("3.{}", 17 * id),
        "heard_ms": u64::from(id) * 37 % 480, "address": format!("127.0.0.1:{}", 7000 + id),
        "inventory": of(|class| class.0.clone()), "used": of(|class| class.1.into()),
        "free": of(|class| class.3.into()), "set_aside": of(|class| class.2.into()),
        "traits": if id.is_multiple_of(2) { json!(["HW_NVME"]) } else { json!([]) },
        "zone": if id.is_multiple_of(2) { "east" } else { "west" }, "aggregates": [],
    })
}

/// A few nodes, each in another state.
pub(crate) fn mixed() -> Canned {
    let mut nodes: Vec<Value> = (1..=9).map(|id| node(id, u64::from(id) * 5, 0)).collect();
    nodes[1] = node(2, 12, 7);
    nodes[2]["status"] = json!("draining");
    nodes[3]["presence"] = json!("suspected");
    nodes[3]["heard_ms"] = json!(12_345);
    nodes[4]["presence"] = json!("departed");
    nodes[4]["heard_ms"] = json!(7_200_000);
    nodes[5] = node(6, 80, 0);
    nodes[6] = json!({
        "node": 7, "status": null, "presence": "present", "stamp": null, "heard_ms": null,
        "address": null, "inventory": {}, "used": {}, "free": {}, "set_aside": {}, "traits": [],
        "zone": null, "aggregates": [],
    });
    let why = "no valid host: of 9 nodes, 5 have too little VCPU free (most free 59), 2 are \
               suspected, 1 is draining, 1 is not known yet";
    let recent = vec![
        decision(u64::MAX - 1, "placed", json!(2), Value::Null, 0, 412),
        decision(18, "no_valid_host", Value::Null, json!(why), 0, 65),
        decision(17, "placed", json!(8), Value::Null, 2, 2841),
        decision(16, "exhausted", Value::Null, Value::Null, 9, 15_020),
    ];
    Canned { nodes, recent, ..Canned::default() }
}

fn decision(request: u64, result: &str, node: Value, why: Value, retries: u32, us: u64) -> Value {
    json!({
        "request": request, "attempt": 1, "result": result, "node": node, "claim": null,
        "why": why, "excluded": null, "retries": retries, "microseconds": us,
    })
}

use super::*;
use crate::meters::Meters;
use crate::post::Post;
use crate::scheduler::{Connection, ConnectionNumber, EVENTS_MAX};
use crate::wire::{FromClient, ToClient};
use axum::Router;
use axum::routing::get;
use counterfoil_protocol::{
    Actor, Address, Answer, Body, Call, ClaimId, ClientId, Datagram, Decision, Map, Placement,
    ResourceClass, Verdict,
};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and what it says to a scheduler, whose part a test takes.
struct Bench {
    server: Option<Server>,
    front: Front,
    events: Receiver<Event>,
    _post: Post,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        let meters = Arc::new(Meters::default());
        let post = Post::listen(LOOPBACK, None, None, Arc::clone(&meters)).unwrap();
        let (front, events) = Front::new(post.waker(), meters);
        let settings = Settings { limits, ..Settings::at(LOOPBACK) };
        let server = Server::start(&settings, front.clone(), PATIENCE).unwrap();
        Bench { server: Some(server), front, events, _post: post }
    }

    /// Sends a request, without waiting for the answer.
    fn send(&self, method: &str, path: &str, body: &str) -> Caller {
        Caller::send(self.server.as_ref().unwrap().address(), method, path, body)
    }

    fn place(&self, body: &str) -> Caller {
        self.send("POST", "/v1/requests", body)
    }

    /// The next event. Whoever only looks sees nothing.
    fn event(&self) -> Event {
        loop {
            match self.events.recv_timeout(PATIENCE).expect("something happens") {
                Event::Look(_) => {}
                event @ (Event::Opened(..)
                | Event::Said(..)
                | Event::Closed(..)
                | Event::Ask(..)
                | Event::Order(..)
                | Event::Seeds(_)
                | Event::Keys(_)
                | Event::Stop) => return event,
            }
        }
    }

    fn opened(&self) -> (ClientId, Connection) {
        let Event::Opened(client, connection) = self.event() else { panic!("not opened") };
        (client, connection)
    }

    fn said(&self) -> (ClientId, ConnectionNumber, FromClient) {
        let Event::Said(client, number, said) = self.event() else { panic!("not said") };
        (client, number, said)
    }

    fn call(&self) -> Call {
        let (_, _, FromClient::Call(call)) = self.said() else { panic!("no call") };
        call
    }

    fn closed(&self) -> (ClientId, ConnectionNumber) {
        let Event::Closed(client, number) = self.event() else { panic!("not closed") };
        (client, number)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.take().into_iter().for_each(Server::stop);
    }
}

struct Caller(TcpStream);

impl Caller {
    fn send(to: SocketAddr, method: &str, path: &str, body: &str) -> Caller {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Caller(stream)
    }

    /// The head and body of the answer.
    fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A call of client 7 over its connection.
fn named(connection: u64, request: u64) -> String {
    format!(
        "{{\"resources\": {{\"VCPU\": 1}}, \"client\": 7, \"connection\": {connection}, \
         \"request\": {request}, \"attempt\": 1}}"
    )
}

const ONE: &str = "{\"resources\": {\"VCPU\": 1}}";

fn claim() -> ClaimId {
    "s1.1:n3#0".parse().unwrap()
}

fn answer(call: &Call, placement: Placement) -> ToClient {
    ToClient::Answer(Answer { attempt: call.attempt, placement })
}

fn is(answer: &str, status: u16, error: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
        && answer.contains(&format!("\"error\":\"{error}\""))
}

#[test]
fn a_call_of_anyone_is_of_a_client_and_a_connection_of_its_own() {
    let bench = Bench::new(Limits::default());
    let caller = bench.place(ONE);
    let (client, connection) = bench.opened();
    assert!(client.0 >= lines::MADE_UP);
    let call = bench.call();
    (connection.say)(answer(&call, Placement::Placed(claim())));
    let said = caller.answer();
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("s1.1:n3#0"), "{said}");
    assert_eq!(bench.closed(), (client, connection.number));
}

#[test]
fn a_caller_that_goes_away_before_the_answer_ends_its_connection() {
    let bench = Bench::new(Limits::default());
    let caller = bench.place(ONE);
    let (client, connection) = bench.opened();
    bench.call();
    drop(caller);
    assert_eq!(bench.closed(), (client, connection.number));
}

#[test]
fn a_client_that_breaks_off_one_request_ends_its_connection_for_all() {
    let bench = Bench::new(Limits::default());
    let first = bench.place(&named(5, 1));
    let (client, connection) = bench.opened();
    assert_eq!((client, bench.call().attempt.request.0), (ClientId(7), 1));
    let second = bench.place(&named(5, 2));
    assert_eq!(bench.call().attempt.request.0, 2);
    drop(first);
    assert_eq!(bench.closed(), (client, connection.number));
    assert!(is(&second.answer(), 503, "connection_over"));
    for over in [5, 4] {
        assert!(is(&bench.place(&named(over, 3)).answer(), 503, "connection_over"));
    }
    let third = bench.place(&named(6, 3));
    let (_, newer) = bench.opened();
    assert!(newer.number > connection.number);
    (newer.say)(answer(&bench.call(), Placement::Exhausted));
    assert!(is(&third.answer(), 503, "exhausted"));
}

#[test]
fn a_higher_number_ends_the_connection_before_and_a_repeated_attempt_is_refused() {
    let bench = Bench::new(Limits::default());
    let first = bench.place(&named(1, 1));
    let (_, older) = bench.opened();
    bench.call();
    assert!(is(&bench.place(&named(1, 1)).answer(), 400, "bad_request"));
    let second = bench.place(&named(2, 2));
    let (_, newer) = bench.opened();
    // The scheduler does so when it takes the new one in.
    drop(older);
    assert!(is(&first.answer(), 503, "connection_over"));
    (newer.say)(answer(&bench.call(), Placement::Placed(claim())));
    assert!(second.answer().starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_whole_number_may_be_written_with_a_point() {
    let bench = Bench::new(Limits::default());
    let caller = bench.place("{\"resources\": {\"VCPU\": 2.0}}");
    let (_, connection) = bench.opened();
    let call = bench.call();
    assert_eq!(call.demand.resources.get(&ResourceClass::Vcpu), 2);
    (connection.say)(answer(&call, Placement::Placed(claim())));
    assert!(caller.answer().starts_with("HTTP/1.1 200 "));
    assert!(is(&bench.place("{\"resources\": {\"VCPU\": 2.5}}").answer(), 400, "bad_request"));
}

#[test]
fn what_is_held_is_released_when_another_instance_has_no_place() {
    let bench = Bench::new(Limits::default());
    let caller = bench.place("{\"resources\": {\"VCPU\": 1}, \"instances\": 2}");
    let (_, connection) = bench.opened();
    let calls = [bench.call(), bench.call()];
    assert_ne!(calls[0].attempt, calls[1].attempt);
    (connection.say)(answer(&calls[0], Placement::Placed(claim())));
    (connection.say)(answer(&calls[1], Placement::NoValidHost(Map::default())));
    let (client, releasing) = bench.opened();
    for _ in 0..2 {
        // It is said again until it is answered.
        let (_, _, FromClient::Datagram(datagram)) = bench.said() else { panic!("no datagram") };
        assert_eq!(datagram.body, Body::Release(claim()));
    }
    let address = |actor| Address { actor, incarnation: None };
    (releasing.say)(ToClient::Datagram(Datagram {
        src: address(Actor::Node(claim().node)),
        dst: address(Actor::Client(client)),
        body: Body::Verdict(Verdict { claim: claim(), decision: Decision::Gone }),
    }));
    assert!(is(&caller.answer(), 409, "no_valid_host"));
}

#[test]
fn what_is_too_much_is_answered_at_once_and_whether_it_lives_even_then() {
    let bench = Bench::new(Limits { requests_max: 1, ..Limits::default() });
    let open = bench.place(ONE);
    let (_, connection) = bench.opened();
    let call = bench.call();
    let over = bench.place(ONE).answer();
    assert!(is(&over, 503, "overloaded") && over.contains("retry-after: 1"), "{over}");
    let metrics = bench.send("GET", "/metrics", "").answer();
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    assert!(metrics.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    (connection.say)(answer(&call, Placement::Unavailable));
    assert!(is(&open.answer(), 503, "unavailable"));
    bench.closed();
    for _ in 0..EVENTS_MAX {
        bench.front.offer(Event::Stop).unwrap();
    }
    let requests = [("POST", "/v1/requests", ONE), ("GET", "/v1/nodes", "")];
    for (method, path, body) in requests {
        assert!(is(&bench.send(method, path, body).answer(), 503, "overloaded"), "{path}");
    }
    assert!(bench.send("GET", "/health/live", "").answer().starts_with("HTTP/1.1 200 "));
}

#[test]
fn who_waits_when_the_scheduler_stops_is_told_so() {
    let bench = Bench::new(Limits::default());
    let (place, get) = (bench.place(ONE), bench.send("GET", "/v1/allocations/s1.1:n3%230", ""));
    let mut events = Vec::new();
    while events.len() < 3 {
        events.push(bench.event());
    }
    drop(events);
    assert!(is(&place.answer(), 503, "stopping"));
    assert!(is(&get.answer(), 503, "stopping"));
    bench.server.as_ref().unwrap().handle().stopping();
    assert!(is(&bench.place(ONE).answer(), 503, "stopping"));
    assert!(is(&bench.send("GET", "/health/ready", "").answer(), 503, "stopping"));
    bench.closed();
    let silent = bench.events.recv_timeout(Duration::ZERO);
    assert!(matches!(silent, Err(RecvTimeoutError::Timeout)), "nothing more was said");
}

#[test]
fn what_panics_is_one_answer_and_no_more() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let faulty = async || -> &'static str { panic!("on purpose") };
    let router = Router::new()
        .route("/faulty", get(faulty))
        .route("/fine", get(async || "fine"))
        .layer(axum::middleware::from_fn(routes::caught));
    let listener = runtime.block_on(tokio::net::TcpListener::bind(LOOPBACK)).unwrap();
    let address = listener.local_addr().unwrap();
    let (_end, ended) = watch::channel(false);
    let connections = Connections::new(2);
    runtime.spawn(server::accept(listener, router, None, connections, ended));
    for _ in 0..3 {
        assert!(is(&Caller::send(address, "GET", "/faulty", "").answer(), 500, "internal"));
        assert!(Caller::send(address, "GET", "/fine", "").answer().ends_with("fine"));
    }
}

#[test]
fn as_many_may_connect_at_once_as_are_let_wait() {
    // One is accepted; nobody makes room for the others.
    let bench = Bench::new(Limits { connections_max: 1, ..Limits::default() });
    let address = bench.server.as_ref().unwrap().address();
    let connect = |_| TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    let connected: Vec<TcpStream> = (0..600).map(connect).collect();
    assert_eq!(connected.len(), 600);
}

use super::*;
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{Answer, AttemptId, AttemptNumber, Call, Demand, Placement, RequestId};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const CLIENT: ClientId = ClientId(1);

/// What is around a scheduler without nodes, and what says what happens there.
fn around() -> (AroundScheduler, SyncSender<Event>) {
    let (say, events) = sync_channel(EVENTS_MAX);
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let udp = Udp::listen(any, Dropped::default(), |_| ControlFlow::Continue(())).unwrap();
    let (nodes, clients) = (BTreeMap::new(), BTreeMap::new());
    let index = Index::new(PolicyName::Spread.policy(), 1);
    let (indexed, held) = (Map::default(), VecDeque::new());
    (AroundScheduler { udp, nodes, clients, index, indexed, events, held }, say)
}

/// A connection of the client, and its other end.
fn connection(number: u64) -> (Event, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let other_end = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    other_end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let (link, _) = split(stream, TO_CLIENT_MAX, FROM_CLIENT_MAX).unwrap();
    let connected = Connected { connection: ConnectionNumber(number), link };
    (Event::Opened(CLIENT, connected), other_end)
}

fn call(request: u64) -> Call {
    let attempt = AttemptId { request: RequestId(request), number: AttemptNumber(1) };
    Call { attempt, demand: Demand::default() }
}

fn called(connection: u64, request: u64) -> Event {
    Event::Frame(CLIENT, ConnectionNumber(connection), FromClient::Call(call(request)))
}

fn closed(connection: u64) -> Event {
    Event::Closed(CLIENT, ConnectionNumber(connection))
}

/// The inputs of the next batch.
fn batch(around: &mut AroundScheduler) -> Vec<Input> {
    let mut inputs = Vec::new();
    let _ = around.wait(Some(Instant::now()), &mut inputs).unwrap();
    inputs
}

/// Whether the connection was shut before anything was sent over it.
fn is_shut(mut other_end: TcpStream) -> bool {
    other_end.read(&mut [0]).is_ok_and(|length| length == 0)
}

#[test]
fn the_end_of_an_old_connection_comes_before_the_calls_over_the_new_one_and_not_after() {
    let (mut around, say) = around();
    let ((first, first_end), (second, _second_end)) = (connection(0), connection(1));
    for event in [first, called(0, 1), second, called(1, 2), called(0, 3), closed(0), called(1, 4)]
    {
        say.send(event).unwrap();
    }
    assert_eq!(batch(&mut around), [Input::Call(CLIENT, call(1))]);
    let second = [Input::Disconnected(CLIENT), Input::Call(CLIENT, call(2))];
    assert_eq!(batch(&mut around), second);
    assert_eq!(batch(&mut around), [Input::Call(CLIENT, call(4))]);
    assert_eq!(batch(&mut around), []);
    assert!(is_shut(first_end));
    say.send(closed(1)).unwrap();
    assert_eq!(batch(&mut around), [Input::Disconnected(CLIENT)]);
}

#[test]
fn a_connection_whose_hello_is_read_late_does_not_replace_a_newer_one() {
    let (mut around, say) = around();
    let ((first, first_end), (second, _second_end)) = (connection(0), connection(1));
    for event in [second, called(1, 2), first, called(0, 1), closed(0), called(1, 3)] {
        say.send(event).unwrap();
    }
    let mut inputs = Vec::new();
    for _ in 0..3 {
        inputs.extend(batch(&mut around));
    }
    assert_eq!(inputs, [Input::Call(CLIENT, call(2)), Input::Call(CLIENT, call(3))]);
    assert!(is_shut(first_end));
}

#[test]
fn an_answer_to_a_call_over_an_old_connection_does_not_leave_over_the_new_one() {
    let (mut around, say) = around();
    let ((first, mut first_end), (second, _second_end)) = (connection(0), connection(1));
    for event in [first, called(0, 1), second] {
        say.send(event).unwrap();
    }
    assert_eq!(batch(&mut around), [Input::Call(CLIENT, call(1))]);
    let placement = Placement::Overloaded;
    around.carry_out(Output::Answer(CLIENT, Answer { attempt: call(1).attempt, placement }));
    let answer: ToClient = crate::wire::read_frame(&mut first_end, TO_CLIENT_MAX).unwrap();
    assert!(matches!(answer, ToClient::Answer(_)));
    assert_eq!(batch(&mut around), [Input::Disconnected(CLIENT)]);
}

use super::*;
use crate::scheduler::Front;
use counterfoil_placement::PolicyName;
use counterfoil_protocol::{AttemptId, AttemptNumber, Demand, RequestId};
use std::net::Ipv4Addr;
use std::sync::mpsc::{TryRecvError, channel};

const CLIENT: ClientId = ClientId(1);

const ID: SchedulerId = SchedulerId(1);

/// What is around a scheduler without nodes, and what says what happens there.
fn around() -> (AroundScheduler, Front) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let meters = Arc::new(Meters::default());
    let post = Post::listen(any, None, None, Arc::clone(&meters)).unwrap();
    let (front, events) = Front::new(post.waker(), Arc::clone(&meters));
    (
        AroundScheduler::new(ID, post, Picker::new(PolicyName::Spread.policy(), 1), events, meters),
        front,
    )
}

/// A connection of the client, and its other end.
fn connection(number: u64) -> (Event, Receiver<ToClient>) {
    let (said, other_end) = channel();
    let say = Box::new(move |to_client| drop(said.send(to_client)));
    (Event::Opened(CLIENT, Connection { number: ConnectionNumber(number), say }), other_end)
}

fn call(request: u64) -> Call {
    let attempt = AttemptId { request: RequestId(request), number: AttemptNumber(1) };
    Call { attempt, demand: Demand::default().into() }
}

fn called(connection: u64, request: u64) -> Event {
    Event::Said(CLIENT, ConnectionNumber(connection), FromClient::Call(call(request)))
}

fn closed(connection: u64) -> Event {
    Event::Closed(CLIENT, ConnectionNumber(connection))
}

/// The inputs of the next batch.
fn batch(around: &mut AroundScheduler) -> Vec<Input> {
    let mut inputs = Vec::new();
    let _ = around.wait(Some(Instant::now()), &mut inputs).unwrap();
    inputs.into_iter().map(|(_, input)| input).collect()
}

/// Whether the connection was shut before anything was sent over it.
fn is_shut(other_end: &Receiver<ToClient>) -> bool {
    other_end.try_recv() == Err(TryRecvError::Disconnected)
}

#[test]
fn the_end_of_an_old_connection_comes_before_the_calls_over_the_new_one_and_not_after() {
    let (mut around, front) = around();
    let ((first, first_end), (second, _second_end)) = (connection(0), connection(1));
    for event in [first, called(0, 1), second, called(1, 2), called(0, 3), closed(0), called(1, 4)]
    {
        front.say(event).unwrap();
    }
    let waiting = || front.meters().gauge(Gauge::EventsWaiting);
    assert_eq!(waiting(), 7);
    assert_eq!(batch(&mut around), [Input::Call(CLIENT, call(1))]);
    assert_eq!(waiting(), 5, "what was left for the next turn waits");
    let second = [Input::Disconnected(CLIENT), Input::Call(CLIENT, call(2))];
    assert_eq!(batch(&mut around), second);
    assert_eq!(batch(&mut around), [Input::Call(CLIENT, call(4))]);
    assert_eq!(batch(&mut around), []);
    assert_eq!(waiting(), 0);
    assert!(is_shut(&first_end));
    front.say(closed(1)).unwrap();
    assert_eq!(batch(&mut around), [Input::Disconnected(CLIENT)]);
}

#[test]
fn a_connection_whose_hello_is_read_late_does_not_replace_a_newer_one() {
    let (mut around, front) = around();
    let ((first, first_end), (second, _second_end)) = (connection(0), connection(1));
    for event in [second, called(1, 2), first, called(0, 1), closed(0), called(1, 3)] {
        front.say(event).unwrap();
    }
    let mut inputs = Vec::new();
    for _ in 0..3 {
        inputs.extend(batch(&mut around));
    }
    assert_eq!(inputs, [Input::Call(CLIENT, call(2)), Input::Call(CLIENT, call(3))]);
    assert!(is_shut(&first_end));
}

#[test]
fn an_answer_to_a_call_over_an_old_connection_does_not_leave_over_the_new_one() {
    let (mut around, front) = around();
    let ((first, first_end), (second, _second_end)) = (connection(0), connection(1));
    for event in [first, called(0, 1), second] {
        front.say(event).unwrap();
    }
    assert_eq!(batch(&mut around), [Input::Call(CLIENT, call(1))]);
    let placement = Placement::Overloaded;
    let answer = Answer { attempt: call(1).attempt, placement };
    around.carry_out(ID, Output::Answer(CLIENT, answer));
    let answer = first_end.try_recv().unwrap();
    assert!(matches!(answer, ToClient::Answer(_)));
    assert_eq!(batch(&mut around), [Input::Disconnected(CLIENT)]);
}

#[test]
fn the_share_of_a_scheduler_is_beside_those_of_the_others_that_it_hears_of() {
    let (mut around, _front) = around();
    assert_eq!(batch(&mut around), []);
    assert_eq!(around.picker.index().share(), Share::ALL);
    for other in [7, 4] {
        let actor = Actor::Scheduler(SchedulerId(other));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let peer = Peer { actor, incarnation: Incarnation(1), address };
        around.book.learn(peer, Instant::now());
    }
    around.next_round = Instant::now();
    assert_eq!(batch(&mut around), []);
    let share = Share::beside(ID, [4, 7].map(SchedulerId));
    assert_eq!(around.picker.index().share(), share);
    assert_ne!(share, Share::ALL);
}

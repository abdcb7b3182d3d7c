//! What every input does in every state, as text; and the contract that each step must keep.

use crate::samples::notices;
use counterfoil_protocol::{
    Body, Decision, Machine, Notice, Output, Record, RequestId, Timer, client, node, scheduler,
};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fmt::Write;

/// A machine under test.
pub(crate) trait Subject: Machine<Input: Clone + Debug> {
    /// What is written of each of its fields, by name.
    fn fields(&self) -> Vec<(&'static str, String)>;

    /// The timer that an input is, if it is one.
    fn fired(input: &Self::Input) -> Option<Timer>;

    /// This machine, had its disk been written by `outputs` alone; `None` if none of its fields is
    /// on disk.
    fn disk_after(&self, outputs: &[Output]) -> Option<String>;

    /// What is on disk, as the machine sees it.
    fn disk(&self) -> Option<String>;
}

/// States and inputs by name.
pub(crate) type Named<T> = Vec<(&'static str, T)>;

/// The table of a machine, and the notices in it.
pub(crate) struct Table {
    pub(crate) text: String,
    pub(crate) seen: BTreeSet<Notice>,
}

/// Gives every input to every state. Inputs of the same effect stand together, and so do states;
/// "else" are the states that are not named, if they are the most.
pub(crate) fn table<M: Subject>(states: &Named<M>, inputs: &Named<M::Input>) -> Table {
    let mut seen = BTreeSet::new();
    let mut rows: Vec<(Vec<&str>, String)> = Vec::new();
    for (input_name, input) in inputs {
        let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
        for (state_name, state) in states {
            let mut after = state.clone();
            let context = format!("{input_name} in {state_name}");
            let outputs = step(&mut after, input, &context);
            seen.extend(notices(&outputs));
            let outcome = describe(state, &after, &outputs);
            match outcomes.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, names)) => names.push(state_name),
                None => outcomes.push((outcome, vec![state_name])),
            }
        }
        let row = row(outcomes, states.len());
        match rows.iter_mut().find(|(_, known)| *known == row) {
            Some((names, _)) => names.push(input_name),
            None => rows.push((vec![input_name], row)),
        }
    }
    let rows = rows.into_iter().map(|(names, row)| wrapped(&names.join(" | "), 0) + &row);
    Table { text: rows.collect(), seen }
}

/// What one input does in all states.
fn row(mut outcomes: Vec<(String, Vec<&str>)>, states: usize) -> String {
    outcomes.sort_by_key(|(_, names)| 2 * names.len() > states);
    let line = |(outcome, names): (String, Vec<&str>)| {
        let most = 2 * names.len() > states;
        let names = if most { "else".to_owned() } else { names.join(" | ") };
        wrapped(&format!("{names}: {outcome}"), 4)
    };
    outcomes.into_iter().map(line).collect()
}

/// Asserts that `table` reads as `kept`.
pub(crate) fn assert_reads(table: &Table, kept: &str, path: &str) {
    if table.text == kept {
        return;
    }
    let differs = table.text.lines().zip(kept.lines()).find(|(now, then)| now != then);
    let found = std::env::temp_dir().join(path);
    let written = std::fs::write(&found, &table.text);
    panic!("the table is another than {path}, first at {differs:?}; see {found:?} ({written:?})");
}

/// Gives `input` to `machine` and asserts the contract of [`Machine`].
pub(crate) fn step<M: Subject>(machine: &mut M, input: &M::Input, context: &str) -> Vec<Output> {
    let before = machine.clone();
    let (mut outputs, mut again) = (Vec::new(), Vec::new());
    machine.handle(input.clone(), &mut outputs);

    let mut twin = before.clone();
    twin.handle(input.clone(), &mut again);
    assert_eq!((&*machine, &outputs), (&twin, &again), "{context}: not deterministic");
    assert!(!notices(&outputs).is_empty(), "{context}: no notice");
    assert_timers_are_set(&before, machine, M::fired(input), &outputs, context);
    assert_eq!(before.disk_after(&outputs), machine.disk(), "{context}: the disk lacks something");
    let first_send = outputs.iter().position(|output| matches!(output, Output::Send(_)));
    let last_write = outputs.iter().rposition(|output| matches!(output, Output::Persist(_)));
    if let (Some(send), Some(write)) = (first_send, last_write) {
        assert!(write < send, "{context}: told before it was written down");
    }
    let speaks = outputs.iter().any(|output| !matches!(output, Output::Notice(_)));
    let ignored = notices(&outputs).iter().all(|notice| is_ignoring(*notice));
    assert!(!ignored || *machine == before, "{context}: ignored, but the state is another");
    assert!(!ignored || !speaks, "{context}: ignored, but answered");
    outputs
}

/// Asserts that every timer that matters was set: it mattered before and was not given, or this
/// step set it.
fn assert_timers_are_set<M: Subject>(
    before: &M,
    after: &M,
    fired: Option<Timer>,
    outputs: &[Output],
    context: &str,
) {
    let mut armed: BTreeSet<Timer> = before.timers().into_iter().collect();
    if let Some(fired) = fired {
        armed.remove(&fired);
    }
    for output in outputs {
        if let Output::SetTimer { timer, .. } = output {
            armed.insert(timer.clone());
        }
    }
    for timer in after.timers() {
        assert!(armed.contains(&timer), "{context}: {timer:?} matters and was never set");
    }
}

/// Whether this alone means that nothing came of the input.
fn is_ignoring(notice: Notice) -> bool {
    const IGNORING: &[Notice] = &[
        Notice::ClaimBelowFloor,
        Notice::ClaimMalformed,
        Notice::LapseIgnored,
        Notice::ResyncTooMany,
        Notice::ForgetIgnored,
        Notice::OrderChangesNothing,
        Notice::LeaveRefused,
        Notice::AttemptRepeated,
        Notice::ChoiceUnasked,
        Notice::NodeKnown,
        Notice::NodesFull,
        Notice::SuspectIgnored,
        Notice::ClaimResendIgnored,
        Notice::ResyncIgnored,
        Notice::SupersededIgnored,
        Notice::RequestRepeated,
        Notice::UserOrderIgnored,
        Notice::SchedulerUnasked,
        Notice::PlacedUnknown,
        Notice::FailureIgnored,
        Notice::ClientVerdictStale,
        Notice::ClientTimerIgnored,
        Notice::DatagramMisdirected,
        Notice::TimerMisdirected,
    ];
    IGNORING.contains(&notice)
}

fn describe<M: Subject>(before: &M, after: &M, outputs: &[Output]) -> String {
    let names: Vec<String> = notices(outputs).iter().map(|notice| format!("{notice:?}")).collect();
    let mut parts = vec![names.join(" ")];
    parts.extend(outputs.iter().filter_map(said));
    let fields = before.fields().into_iter().zip(after.fields());
    let changed: Vec<&str> =
        fields.filter(|(then, now)| then != now).map(|((name, _), _)| name).collect();
    if !changed.is_empty() {
        parts.push(format!("changes {}", changed.join(" ")));
    }
    parts.join("; ")
}

/// One output in a few words.
fn said(output: &Output) -> Option<String> {
    Some(match output {
        Output::Notice(_) => return None,
        Output::Persist(record) => format!("writes {}", written(record)),
        Output::Send(datagram) => format!("tells {} {}", datagram.dst, body(&datagram.body)),
        Output::Call(scheduler, call) => format!("calls {scheduler} for {}", call.attempt),
        Output::Answer(client, answer) => {
            format!("answers {client} {}: {:?}", answer.attempt, answer.placement)
        }
        Output::SetTimer { timer, .. } => format!("sets {timer:?}"),
        Output::Choose(choice) => format!("asks {choice:?}"),
        Output::Ended(request, outcome) => format!("ends {request}: {outcome:?}"),
    })
}

fn written(record: &Record) -> String {
    match record {
        Record::Node(node::Change::Life(life)) => format!("life {life}"),
        Record::Node(node::Change::Inventory(_)) => "inventory".into(),
        Record::Node(node::Change::Status(status)) => format!("{status:?}"),
        Record::Node(node::Change::Allocation(claim, it)) => format!("{claim} {:?}", it.state),
        Record::Node(node::Change::End(claim)) => format!("end of {claim}"),
        Record::Scheduler(scheduler::Change::Life(life)) => format!("life {life}"),
        Record::Client(client::Change::Choice(request, chosen)) => chose(*request, chosen),
        Record::Client(client::Change::Choices(choices)) => {
            let choices = choices.iter().map(|(request, chosen)| chose(*request, chosen));
            format!("together {}", choices.collect::<Vec<String>>().join(" and "))
        }
        Record::Client(client::Change::Cleared(request)) => format!("{request} cleared"),
    }
}

fn chose(request: RequestId, chosen: &client::Chosen) -> String {
    let releasing = if chosen.releasing { ", releasing" } else { "" };
    format!("{request} chose {}{releasing}", chosen.claim)
}

fn body(body: &Body) -> String {
    match body {
        Body::Claim(claim) => format!("claim {} floor {}", claim.claim, claim.floor),
        Body::Verdict(verdict) => match &verdict.decision {
            Decision::Granted { at } => format!("granted at {at}"),
            Decision::Confirmed { at } => format!("confirmed at {at}"),
            Decision::Gone => "gone".into(),
            Decision::Refused(refusal) => format!("refused {:?} at {}", refusal.reason, refusal.at),
        },
        Body::Confirm(claim) => format!("confirm {claim}"),
        Body::Release(claim) => format!("release {claim}"),
        Body::Delta(delta) if delta.from == delta.to => format!("beat {}", delta.to),
        Body::Delta(delta) => format!("delta ({}, {}]", delta.from, delta.to),
        Body::Snapshot(snapshot) => format!("snapshot {}", snapshot.at),
        Body::Resync(resync) => match resync.have {
            Some(have) => format!("resync {have}"),
            None => "resync nothing".into(),
        },
        Body::Leave(leave) => format!("leave {}", leave.at),
        Body::Superseded { by } => format!("superseded by {by}"),
    }
}

/// `text` in lines of up to 100 columns, indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    for word in text.split(' ') {
        if line.len() + word.len() + 1 > 100 {
            writeln!(lines, "{}", line.trim_end()).unwrap();
            line = " ".repeat(indent + 2);
        }
        line.push_str(word);
        line.push(' ');
    }
    writeln!(lines, "{}", line.trim_end()).unwrap();
    lines
}

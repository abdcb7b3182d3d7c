//! Machines, their steps, and the history of them.

use counterfoil_properties::{Check, History, Process, Safety, Step};
use counterfoil_protocol::{
    Actor, Address, AttemptId, AttemptNumber, Body, Call, Claim, ClaimId, ClaimNumber,
    ClassInventory, Client, ClientId, Config, Datagram, Decision, Delta, Demand, Given, HostState,
    Incarnation, Inventory, Machine, Node, NodeId, Output, RequestId, ResourceClass, Rule, Rules,
    Scheduler, SchedulerId, Snapshot, Stamp, Verdict, Version, client, node, scheduler,
};

pub(crate) const NODE: NodeId = NodeId(1);
pub(crate) const SCHEDULER: SchedulerId = SchedulerId(1);
pub(crate) const CLIENT: ClientId = ClientId(1);

/// A machine that the properties can judge.
pub(crate) trait Judged: Machine {
    fn process<'a>(
        before: Option<&'a Self>,
        input: Option<&'a Self::Input>,
        after: &'a Self,
    ) -> Process<'a>;
}

macro_rules! judged {
    ($machine:ident) => {
        impl Judged for $machine {
            fn process<'a>(
                before: Option<&'a Self>,
                input: Option<&'a Self::Input>,
                after: &'a Self,
            ) -> Process<'a> {
                Process::$machine { before, input, after }
            }
        }
    };
}

judged!(Node);
judged!(Scheduler);
judged!(Client);

/// A step that was taken.
pub(crate) struct Taken<M: Machine> {
    pub(crate) before: Option<M>,
    pub(crate) input: Option<M::Input>,
    pub(crate) after: M,
    pub(crate) outputs: Vec<Output>,
}

impl<M: Judged> Taken<M> {
    pub(crate) fn step(&self) -> Step<'_> {
        let process = M::process(self.before.as_ref(), self.input.as_ref(), &self.after);
        Step { process, outputs: &self.outputs }
    }

    /// The only datagram that `is_meant` accepts.
    pub(crate) fn sent(&self, is_meant: impl Fn(&Body) -> bool) -> Datagram {
        let datagrams = self.outputs.iter().filter_map(|output| match output {
            Output::Send(datagram) => Some(datagram),
            Output::Persist(_)
            | Output::Call(..)
            | Output::Answer(..)
            | Output::SetTimer { .. }
            | Output::Choose(_)
            | Output::Ended(..)
            | Output::Notice(_) => None,
        });
        let meant: Vec<_> = datagrams.filter(|datagram| is_meant(&datagram.body)).collect();
        assert_eq!(meant.len(), 1, "{:?}", self.outputs);
        meant[0].clone()
    }

    pub(crate) fn verdict(&self) -> Datagram {
        self.sent(|body| matches!(body, Body::Verdict(_)))
    }

    pub(crate) fn claim(&self) -> Datagram {
        self.sent(|body| matches!(body, Body::Claim(_)))
    }
}

/// What truly happened.
#[derive(Default)]
pub(crate) struct Truth(pub(crate) History);

impl Truth {
    pub(crate) fn start<M: Judged>(
        &mut self,
        start: impl FnOnce(&mut Vec<Output>) -> M,
    ) -> Taken<M> {
        let mut outputs = Vec::new();
        let after = start(&mut outputs);
        self.observed(Taken { before: None, input: None, after, outputs })
    }

    pub(crate) fn step<M: Judged<Input: Clone>>(
        &mut self,
        machine: &mut M,
        input: M::Input,
    ) -> Taken<M> {
        let before = machine.clone();
        let mut outputs = Vec::new();
        machine.handle(input.clone(), &mut outputs);
        let after = machine.clone();
        self.observed(Taken { before: Some(before), input: Some(input), after, outputs })
    }

    pub(crate) fn observed<M: Judged>(&mut self, taken: Taken<M>) -> Taken<M> {
        self.0.observe(&taken.step());
        taken
    }

    pub(crate) fn node(&mut self, disk: node::Disk, rules: Rules) -> Node {
        self.start(|outputs| Node::start(NODE, disk, given(rules), outputs)).after
    }

    /// A scheduler that caches what `node` is.
    pub(crate) fn scheduler(&mut self, node: &Node, rules: Rules) -> Scheduler {
        let disk = scheduler::Disk::default();
        let start = |outputs: &mut _| Scheduler::start(SCHEDULER, disk, given(rules), outputs);
        let mut scheduler = self.start(start).after;
        self.step(&mut scheduler, scheduler::Input::Datagram(snapshot(node)));
        scheduler
    }

    pub(crate) fn client(&mut self, rules: Rules) -> Client {
        let disk = client::Disk::default();
        self.start(|outputs| Client::start(CLIENT, disk, given(rules), outputs)).after
    }

    /// Has a scheduler try to place a request on the node.
    pub(crate) fn place(&mut self, scheduler: &mut Scheduler, request: u64) -> Taken<Scheduler> {
        let call = Call { attempt: attempt(request), demand: one().into() };
        self.step(scheduler, scheduler::Input::Call(CLIENT, call));
        self.step(scheduler, scheduler::Input::Chosen(attempt(request), Some(NODE)))
    }

    pub(crate) fn check<M: Judged>(&self, property: Safety, taken: &Taken<M>) -> Check {
        property.check(&taken.step(), &self.0)
    }

    /// Asserts that a property is violated, by this clause and these facts.
    pub(crate) fn violates<M: Judged>(
        &self,
        property: Safety,
        taken: &Taken<M>,
        clause: &str,
        facts: &[(&str, &str, &str)],
    ) {
        let check = self.check(property, taken);
        let Check::Violated(violation) = check else { panic!("{check:?}") };
        assert_eq!(violation.clause, clause);
        let found: Vec<(String, String, String)> = violation
            .facts
            .iter()
            .map(|fact| (fact.name.clone(), fact.value.clone(), fact.path.join("/")))
            .collect();
        let expected: Vec<(String, String, String)> = facts
            .iter()
            .map(|(name, value, path)| (name.to_string(), value.to_string(), path.to_string()))
            .collect();
        assert_eq!(found, expected);
    }
}

pub(crate) fn given(rules: Rules) -> Given<Config> {
    Given::new(Config { rules, ..Config::default() })
}

pub(crate) fn without(rule: Rule) -> Rules {
    Rules::ALL.without(rule)
}

/// The disk of a node with so many processors.
pub(crate) fn processors(total: u64) -> node::Disk {
    node::Disk::new(inventory(total))
}

pub(crate) fn inventory(total: u64) -> Inventory {
    let classes = [(ResourceClass::Vcpu, ClassInventory::of(total))].into_iter().collect();
    Inventory { classes, ..Inventory::default() }
}

/// A demand for one processor.
pub(crate) fn one() -> Demand {
    let resources = [(ResourceClass::Vcpu, 1)].into_iter().collect();
    Demand { resources, ..Demand::default() }
}

pub(crate) fn attempt(request: u64) -> AttemptId {
    AttemptId { request: RequestId(request), number: AttemptNumber(1) }
}

pub(crate) fn claim_id(number: u64) -> ClaimId {
    let (scheduler, incarnation) = (SCHEDULER, Incarnation(1));
    ClaimId { scheduler, incarnation, node: NODE, number: ClaimNumber(number) }
}

pub(crate) fn stamp(incarnation: u64, version: u64) -> Stamp {
    Stamp { incarnation: Incarnation(incarnation), version: Version(version) }
}

pub(crate) fn of_node(incarnation: u64) -> Address {
    Address { actor: Actor::Node(NODE), incarnation: Some(Incarnation(incarnation)) }
}

pub(crate) fn of_scheduler() -> Address {
    Address { actor: Actor::Scheduler(SCHEDULER), incarnation: Some(Incarnation(1)) }
}

pub(crate) fn of_client() -> Address {
    Address { actor: Actor::Client(CLIENT), incarnation: None }
}

/// A claim of one processor, for the request of the same number.
pub(crate) fn claims(number: u64) -> node::Input {
    let claim = Claim {
        claim: claim_id(number),
        request: RequestId(number),
        demand: one().into(),
        floor: ClaimNumber(0),
    };
    node::Input::Datagram(Datagram {
        src: of_scheduler(),
        dst: of_node(1),
        body: Body::Claim(claim),
    })
}

/// What the client says to the node.
pub(crate) fn from_client(body: Body) -> node::Input {
    node::Input::Datagram(Datagram { src: of_client(), dst: of_node(1), body })
}

/// What the node could say of a claim, true or not.
pub(crate) fn verdict(dst: Address, number: u64, decision: Decision) -> Datagram {
    let body = Body::Verdict(Verdict { claim: claim_id(number), decision });
    Datagram { src: of_node(1), dst, body }
}

pub(crate) fn snapshot(node: &Node) -> Datagram {
    snapshot_of(node.version, node.host_state())
}

pub(crate) fn snapshot_of(at: Version, state: HostState) -> Datagram {
    let body = Body::Snapshot(Snapshot { at, state });
    Datagram { src: of_node(1), dst: of_scheduler(), body }
}

/// What changed from version `from` to the present one, as the node would announce it.
pub(crate) fn delta(node: &Node, from: u64) -> Datagram {
    let touched = node.recent.touched_since(Version(from), node.version).unwrap();
    let changes = node.host_state().changes(&touched);
    let body = Body::Delta(Delta { from: Version(from), to: node.version, changes });
    Datagram { src: of_node(1), dst: of_scheduler(), body }
}

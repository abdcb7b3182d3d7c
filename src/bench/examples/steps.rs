//! What the machines cost alone: placements without a network, a disk or a policy.
//!
//! `cargo run --release -p counterfoil-bench --example steps -- [PLACEMENTS]`

use counterfoil_protocol::*;
use std::time::Instant;

const NODES: u32 = 1000;
const SCHEDULERS: u32 = 2;

fn main() {
    let placements: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let config = Given::new(Config::default());
    let mut out = Vec::new();
    let classes = [(ResourceClass::Vcpu, 2000u64), (ResourceClass::MemoryMb, 8_000_000)];
    let classes = classes.into_iter().map(|(c, n)| (c, ClassInventory::of(n))).collect();
    let inventory = Inventory { classes, ..Inventory::default() };
    let mut nodes: Vec<Node> = (0..NODES)
        .map(|id| {
            let disk = node::Disk::new(inventory.clone());
            Node::start(NodeId(id), disk, config.clone(), &mut out)
        })
        .collect();
    let mut schedulers: Vec<Scheduler> = (0..SCHEDULERS)
        .map(|id| {
            Scheduler::start(SchedulerId(id), scheduler::Disk::default(), config.clone(), &mut out)
        })
        .collect();
    let mut spent = [0u128; 8];
    out.clear();
    for scheduler in &mut schedulers {
        for node in &mut nodes {
            scheduler.handle(scheduler::Input::Meet(node.id), &mut out);
            let resync = datagram(&mut out).unwrap();
            node.handle(node::Input::Datagram(resync), &mut out);
            let snapshot = datagram(&mut out).unwrap();
            scheduler.handle(scheduler::Input::Datagram(snapshot), &mut out);
            out.clear();
        }
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut held = std::collections::VecDeque::new();
    let start = Instant::now();
    for number in 0..placements {
        let s = random.usize(..schedulers.len());
        let n = random.u32(..NODES);
        let attempt = AttemptId { request: RequestId(number), number: AttemptNumber(1) };
        let resources = [(ResourceClass::Vcpu, 1), (ResourceClass::MemoryMb, 512)];
        let demand = Demand { resources: resources.into_iter().collect(), ..Demand::default() };
        let mut step = |place: usize, f: &mut dyn FnMut()| {
            let start = Instant::now();
            f();
            spent[place] += start.elapsed().as_nanos();
        };
        let call = Call { attempt, demand: demand.into() };
        step(0, &mut || {
            schedulers[s].handle(scheduler::Input::Call(ClientId(1), call.clone()), &mut out)
        });
        out.clear();
        let chosen = scheduler::Input::Chosen(attempt, Some(NodeId(n)));
        step(1, &mut || schedulers[s].handle(chosen.clone(), &mut out));
        let Some(claim) = datagram(&mut out) else { panic!("no claim") };
        let Body::Claim(Claim { claim: id, .. }) = claim.body else { panic!() };
        let node = &mut nodes[n as usize];
        step(2, &mut || node.handle(node::Input::Datagram(claim.clone()), &mut out));
        let verdict = datagram(&mut out).unwrap();
        step(3, &mut || {
            schedulers[s].handle(scheduler::Input::Datagram(verdict.clone()), &mut out)
        });
        out.clear();
        step(4, &mut || node.handle(node::Input::Timer(Timer::Announce), &mut out));
        let mut deltas = Vec::new();
        while let Some(delta) = datagram(&mut out) {
            deltas.push(delta);
        }
        for (scheduler, delta) in schedulers.iter_mut().zip(deltas) {
            step(5, &mut || scheduler.handle(scheduler::Input::Datagram(delta.clone()), &mut out));
            out.clear();
        }
        held.push_back((n, id));
        if held.len() > 50_000 {
            let (n, id) = held.pop_front().unwrap();
            let node = &mut nodes[n as usize];
            step(6, &mut || node.handle(node::Input::Timer(Timer::Lapse(id)), &mut out));
            out.clear();
        }
    }
    let per = |spent: u128| spent as f64 / placements as f64 / 1000.0;
    let total = start.elapsed().as_nanos();
    for (name, spent) in
        ["call", "chosen", "claim", "verdict", "announce", "deltas", "lapse"].iter().zip(spent)
    {
        println!("{name:<10} {:6.2} us", per(spent));
    }
    println!("{:<10} {:6.2} us per placement", "all", per(total));
}

/// Takes the first datagram off.
fn datagram(out: &mut Vec<Output>) -> Option<Datagram> {
    let place = out.iter().position(|output| matches!(output, Output::Send(_)))?;
    if let Output::Send(datagram) = out.remove(place) { Some(datagram) } else { None }
}

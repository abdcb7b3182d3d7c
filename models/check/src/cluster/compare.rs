//! The cluster, held against a state of the trace.

use super::{Driving, Stop, form, said};
use counterfoil_protocol::{Address, Map, Set};
use counterfoil_world::changes::{brief, changes, way};
use counterfoil_world::counterfoil::Process;
use counterfoil_world::network::Flight;
use counterfoil_world::{Cluster, Counterfoil, Shared, itf};

impl Driving {
    /// Holds the cluster against a state of the trace.
    pub(super) fn compare(&self, state: &Cluster<Counterfoil>) -> Result<(), Stop> {
        let mine = self.view();
        let value = |processes: &Map<Address, Shared<Process>>| {
            itf::value(processes).expect("what can be hashed has no floats")
        };
        if mine.processes != state.processes {
            let (written, driven) = (value(&state.processes), value(&mine.processes));
            let found = changes(&written, &driven).into_iter().next();
            let text = |value: Option<_>| value.as_ref().map_or("nothing".to_owned(), brief);
            return Err(Stop::Unlike(found.map_or_else(
                || "a machine is not what it is in the trace".to_owned(),
                |change| {
                    let (at, trace, cluster) =
                        (way(&change.path), text(change.before), text(change.after));
                    format!("{at} is {cluster}, and in the trace it is {trace}")
                },
            )));
        }
        for (datagram, flight) in state.network.iter() {
            let known = self.network.get(&form(datagram)).copied().unwrap_or_default();
            let needed = match flight {
                Flight::InFlight(count) => usize::from(count),
                Flight::Delivered => 1,
            };
            if known < needed {
                return Err(Stop::Unlike(format!("{} is not in flight", said(&**datagram))));
            }
        }
        if self.mail != state.mail {
            let (mine, other) = (said(&self.mail), said(&state.mail));
            return Err(Stop::Unlike(format!(
                "over connections goes {mine}, in the trace {other}"
            )));
        }
        let open: Set<_> = self.script.open.iter().cloned().collect();
        if open != state.choices {
            let (mine, other) = (said(&open), said(&state.choices));
            return Err(Stop::Unlike(format!("open questions are {mine}, in the trace {other}")));
        }
        Ok(())
    }
}

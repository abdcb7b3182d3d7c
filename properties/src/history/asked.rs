//! What became of the requests of clients.

use super::History;
use crate::outputs::chosen;
use counterfoil_protocol::{Choice, Client, ClientId, Output, RequestId, Set, client};

impl History {
    /// Takes note of a step of a client.
    pub(super) fn observe_client(
        &mut self,
        before: Option<&Client>,
        input: Option<&client::Input>,
        after: &Client,
        outputs: &[Output],
    ) {
        let requests = (after.id, RequestId(0))..=(after.id, RequestId(u64::MAX));
        let on_record = |(_, request): &(ClientId, RequestId)| after.requests.contains_key(request);
        let forgotten = self.asked.range(requests).map(|(key, _)| *key);
        for key in forgotten.filter(|key| !on_record(key)).collect::<Vec<_>>() {
            self.asked.remove(&key);
        }
        for output in outputs {
            if let Output::Choose(Choice::Scheduler(attempt)) = output {
                self.asked.entry((after.id, attempt.request)).or_default().attempts += 1;
            }
        }
        if let (Some(client::Input::Order(order)), Some(before)) = (input, before) {
            self.note_order(before, order, after);
        }
        for id in chosen(outputs) {
            let asked = self.asked.get_mut(&(after.id, id)).filter(|a| !a.bundle.is_empty());
            asked.into_iter().for_each(|asked| asked.chosen = true);
        }
    }

    /// Takes note of what a user orders.
    fn note_order(&mut self, before: &Client, order: &client::Order, after: &Client) {
        let is_sought = |id: &RequestId| {
            let request = before.requests.get(id);
            request.is_some_and(|r| !matches!(r.phase, client::Phase::Ended(_)))
        };
        match order {
            client::Order::Release(id) if is_sought(id) => {
                let asked = self.asked.entry((after.id, *id)).or_default();
                asked.given_up = true;
                let bundle = asked.bundle.clone();
                for member in bundle.iter() {
                    let asked = self.asked.get_mut(&(after.id, *member));
                    let of_it = asked.filter(|asked| asked.bundle == bundle);
                    of_it.into_iter().for_each(|asked| asked.given_up = true);
                }
            }
            client::Order::PlaceTogether(demands) if demands.len() > 1 => {
                let bundle: Set<RequestId> = demands.keys().copied().collect();
                let is_new = |id: &RequestId| {
                    after.requests.contains_key(id) && !before.requests.contains_key(id)
                };
                for id in bundle.iter().filter(|id| is_new(id)) {
                    self.asked.entry((after.id, *id)).or_default().bundle = bundle.clone();
                }
            }
            client::Order::PlaceTogether(_)
            | client::Order::Place(..)
            | client::Order::Release(_)
            | client::Order::Forget(_)
            | client::Order::NodeOver(_) => {}
        }
    }
}

//! Telling schedulers what changed.

use super::Node;
use crate::config::Rule;
use crate::id::{Address, Incarnation, SchedulerId, Stamp};
use crate::machine::{Output, Timer};
use crate::message::{Body, Delta, Resync, Snapshot};
use crate::notice::{Notice, notice};

impl Node {
    pub(super) fn on_resync(
        &mut self,
        src: Address,
        scheduler: SchedulerId,
        life: Incarnation,
        resync: Resync,
        outbox: &mut Vec<Output>,
    ) {
        if let Some(by) = self.later_life(scheduler, life) {
            notice(Notice::ResyncSuperseded, outbox);
            return self.send(src, Body::Superseded { by }, outbox);
        }
        let full = self.subscribers.len() >= self.config.limits.subscribers_max;
        if full && !self.subscribers.contains_key(&scheduler) {
            return notice(Notice::ResyncTooMany, outbox);
        }
        let known = self.subscribers.insert(scheduler, life) == Some(life);
        self.set_timer(Timer::Forget(scheduler), self.config.intervals.silence, outbox);
        let stamps_compared = self.config.rules.has(Rule::QuietStreamsCarryTheirStamp);
        if !stamps_compared && known && resync.have.is_none() {
            return notice(Notice::ResyncUnanswered, outbox);
        }
        let update = self.update_since(resync.have);
        let arm = match update {
            Update::Beat(_) => Notice::ResyncUpToDate,
            Update::Delta(_) => Notice::ResyncByDelta,
            Update::Snapshot(_) => Notice::ResyncBySnapshot,
        };
        notice(arm, outbox);
        self.send(src, update.into_body(), outbox);
    }

    pub(super) fn on_announce(&mut self, outbox: &mut Vec<Output>) {
        let from = Stamp { incarnation: self.incarnation(), version: self.announced };
        let update = self.update_since(Some(from));
        let arm = match update {
            Update::Beat(_) => Notice::AnnouncedBeat,
            Update::Delta(_) => Notice::AnnouncedDelta,
            Update::Snapshot(_) => Notice::AnnouncedSnapshot,
        };
        notice(arm, outbox);
        self.announced = self.version;
        self.send_to_subscribers(update.into_body(), outbox);
        self.set_timer(Timer::Announce, self.config.intervals.beat, outbox);
    }

    /// What a scheduler that has `have` misses: nothing, a delta if the log reaches back, or
    /// everything.
    fn update_since(&self, have: Option<Stamp>) -> Update {
        let state = self.host_state();
        let to = self.version;
        let followed =
            have.filter(|have| have.incarnation == self.incarnation() && have.version <= to);
        let touched = followed.and_then(|have| self.recent.touched_since(have.version, to));
        match (followed, touched) {
            (Some(have), Some(touched)) => {
                let from = have.version;
                let delta = Delta { from, to, changes: state.changes(&touched) };
                if from == to { Update::Beat(delta) } else { Update::Delta(delta) }
            }
            (None, _) | (_, None) => Update::Snapshot(Snapshot { at: to, state }),
        }
    }
}

/// What a scheduler misses.
enum Update {
    Beat(Delta),
    Delta(Delta),
    Snapshot(Snapshot),
}

impl Update {
    fn into_body(self) -> Body {
        match self {
            Update::Beat(delta) | Update::Delta(delta) => Body::Delta(delta),
            Update::Snapshot(snapshot) => Body::Snapshot(snapshot),
        }
    }
}

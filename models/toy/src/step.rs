//! The rules: which actions a state has, and what each does.

use crate::message::{MESSAGES, Message, Word};
use crate::state::{COPIES_MAX, GRANTED, LOSSES_MAX, OPEN, PENDING, State, TIMERS_MAX};

/// How large a toy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many claims there are, 1 to 3. The second is the other scheduler's.
    pub claims: u8,
    /// How many claims fit on a node, 1 or 2.
    pub capacity: u8,
    /// How many messages may be lost, 0 to 3.
    pub losses: u8,
    /// How many messages may be delivered and stay on their way, 0 to 3.
    pub copies: u8,
    /// How many beats are sent and claims sent again, 0 to 7.
    pub timers: u8,
}

impl Bounds {
    /// About ten thousand states: the second claim on a node is refused.
    pub const SMALL: Bounds = Bounds { claims: 2, capacity: 1, losses: 1, copies: 1, timers: 0 };
    /// About a million: beats and claims sent again, gaps.
    pub const MIDDLE: Bounds = Bounds { claims: 2, capacity: 2, losses: 2, copies: 1, timers: 1 };
    /// About ten million: refusals and gaps.
    pub const LARGE: Bounds = Bounds { claims: 3, capacity: 2, losses: 2, copies: 1, timers: 0 };
}

/// A toy: its size, and whether its nodes judge.
#[derive(Clone, Copy, Debug)]
pub struct Toy {
    bounds: Bounds,
    judges: bool,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The scheduler of a claim sends it to a node that has room, by its cache.
    Place {
        /// Which claim.
        claim: u8,
        /// Where.
        node: u8,
    },
    /// A claim that waits for its verdict is sent again.
    Resend {
        /// Which claim.
        claim: u8,
    },
    /// A node tells a scheduler its version.
    Beat {
        /// From whom, to whom.
        link: u8,
    },
    /// The message of this bit arrives.
    Deliver(u8),
    /// The message of this bit arrives, and will once more.
    Copy(u8),
    /// The message of this bit is lost.
    Lose(u8),
}

impl Toy {
    /// A toy of this size. Without `judges` nodes grant whatever they are asked.
    ///
    /// # Panics
    ///
    /// If the bounds are not those that a state has bits for.
    pub fn new(bounds: Bounds, judges: bool) -> Toy {
        assert!((1..=3).contains(&bounds.claims), "one to three claims");
        assert!((1..=2).contains(&bounds.capacity), "a capacity of one or two");
        assert!(bounds.losses <= LOSSES_MAX, "at most {LOSSES_MAX} losses");
        assert!(bounds.copies <= COPIES_MAX, "at most {COPIES_MAX} copies");
        assert!(bounds.timers <= TIMERS_MAX, "at most {TIMERS_MAX} timers");
        Toy { bounds, judges }
    }

    /// Before anything happened.
    pub fn initial(&self) -> State {
        State::initial(self.bounds.losses, self.bounds.copies, self.bounds.timers)
    }

    /// No node grants more than it has.
    #[inline]
    pub fn no_overcommit(&self, state: State) -> bool {
        state.version(0) <= self.bounds.capacity && state.version(1) <= self.bounds.capacity
    }

    /// Appends every action that this state has.
    #[inline]
    pub fn enabled(&self, state: State, actions: &mut Vec<Action>) {
        for claim in 0..self.bounds.claims {
            if state.at(claim) == OPEN {
                for node in 0..2 {
                    if self.has_room(state, claim, node) {
                        actions.push(Action::Place { claim, node });
                    }
                }
            }
        }
        if state.timers() > 0 {
            for claim in 0..self.bounds.claims {
                if let Some(message) = pending(state, claim)
                    && state.network & message.mask() == 0
                {
                    actions.push(Action::Resend { claim });
                }
            }
            for link in 0..4 {
                let version = state.version(link / 2);
                if version > 0 && state.network & (Message::Beat { link, version }).mask() == 0 {
                    actions.push(Action::Beat { link });
                }
            }
        }
        let (loses, copies) = (state.losses() > 0, state.copies() > 0);
        let mut rest = state.network;
        while rest != 0 {
            let bit = rest.trailing_zeros() as u8;
            rest &= rest - 1;
            actions.push(Action::Deliver(bit));
            if copies {
                actions.push(Action::Copy(bit));
            }
            if loses {
                actions.push(Action::Lose(bit));
            }
        }
    }

    /// The state after an action that this state has.
    #[inline]
    pub fn apply(&self, mut state: State, action: Action) -> State {
        match action {
            Action::Place { claim, node } => {
                state.put(claim, PENDING + u64::from(node));
                state.network |= Message::Claim { claim, node }.mask();
            }
            Action::Resend { claim } => {
                state.spend_timer();
                state.network |= pending(state, claim).map_or(0, Message::mask);
            }
            Action::Beat { link } => {
                state.spend_timer();
                let version = state.version(link / 2);
                state.network |= Message::Beat { link, version }.mask();
            }
            Action::Deliver(bit) => {
                state.network &= !(1 << bit);
                self.deliver(&mut state, MESSAGES[usize::from(bit)]);
            }
            Action::Copy(bit) => {
                state.spend_copy();
                self.deliver(&mut state, MESSAGES[usize::from(bit)]);
            }
            Action::Lose(bit) => {
                state.spend_loss();
                state.network &= !(1 << bit);
            }
        }
        state
    }

    #[inline]
    fn deliver(&self, state: &mut State, message: Message) {
        match message {
            Message::Claim { claim, node } => self.on_claim(state, claim, node),
            Message::Verdict { claim, node, word } => on_verdict(state, claim, node, word),
            Message::Update { link, from, to } => on_update(state, link, from, to),
            Message::Beat { link, version } => {
                let have = state.cached(link);
                if version > have {
                    state.network |= Message::Resync { link, have }.mask();
                }
            }
            Message::Resync { link, have } => {
                let to = state.version(link / 2);
                if to > have {
                    state.network |= Message::Update { link, from: have, to }.mask();
                }
            }
        }
    }

    #[inline]
    fn on_claim(&self, state: &mut State, claim: u8, node: u8) {
        let version = state.version(node);
        let word = if state.is_granted(claim, node) {
            Word::Granted(version)
        } else if state.is_refused(claim, node) {
            Word::Refused
        } else if self.judges && version >= self.bounds.capacity {
            state.refuse(claim, node);
            Word::Refused
        } else {
            state.grant(claim, node);
            if version == self.bounds.capacity {
                // Overcommitted. The search ends here, and the network has no bits for more.
                return;
            }
            for scheduler in 0..2 {
                let link = node * 2 + scheduler;
                state.network |= Message::Update { link, from: version, to: version + 1 }.mask();
            }
            Word::Granted(version + 1)
        };
        state.network |= Message::Verdict { claim, node, word }.mask();
    }

    /// Does this claim fit on this node, by all that its scheduler knows?
    #[inline]
    fn has_room(&self, state: State, claim: u8, node: u8) -> bool {
        let scheduler = claim & 1;
        let cached = state.cached(node * 2 + scheduler);
        let mut used = cached;
        let mut own = scheduler;
        while own < 3 {
            used += u8::from(weighs(state.at(own), node, cached));
            own += 2;
        }
        used < self.bounds.capacity && !state.knows_refusal(claim, node)
    }
}

/// The message of a claim that waits for its verdict.
#[inline]
fn pending(state: State, claim: u8) -> Option<Message> {
    let at = state.at(claim);
    let node = (at & 1) as u8;
    (at & !1 == PENDING).then_some(Message::Claim { claim, node })
}

/// Does a claim that is there weigh on this node beyond what the cache has of it?
#[inline]
fn weighs(at: u64, node: u8, cached: u8) -> bool {
    let phase = at & !1;
    at & 1 == u64::from(node)
        && (phase == PENDING || phase > PENDING && phase - GRANTED > u64::from(cached) * 2)
}

#[inline]
fn on_verdict(state: &mut State, claim: u8, node: u8, word: Word) {
    if state.at(claim) == PENDING + u64::from(node) {
        match word {
            Word::Refused => {
                state.put(claim, OPEN);
                state.learn_refusal(claim, node);
            }
            Word::Granted(version) => {
                state.put(claim, GRANTED + u64::from(version) * 2 + u64::from(node));
            }
        }
    }
}

#[inline]
fn on_update(state: &mut State, link: u8, from: u8, to: u8) {
    let have = state.cached(link);
    if have >= to {
        // Stale.
    } else if have < from {
        state.network |= Message::Resync { link, have }.mask();
    } else {
        state.cache(link, to);
    }
}

//! A state, packed into two words.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A state of the toy: the network, and what nodes and schedulers know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The network is a set: one bit for each message that can be.
    pub(crate) network: u64,
    /// From the lowest bit: granted (node * 3 + claim) · refused (likewise) · the cached version of
    /// each link (two bits) · for each claim where it is (three bits) and who refused it (two) ·
    /// what is left of losses, copies and timers (two, two, three bits).
    pub(crate) local: u64,
}

const REFUSED: u32 = 6;
const CACHED: u32 = 12;
const CLAIMS: u32 = 20;
const LOSSES: u32 = 35;
const COPIES: u32 = 37;
const TIMERS: u32 = 39;

/// The most that two bits and three bits of a budget hold.
pub(crate) const LOSSES_MAX: u8 = 3;
pub(crate) const COPIES_MAX: u8 = 3;
pub(crate) const TIMERS_MAX: u8 = 7;

/// Where a claim is: its phase * 2 + the node. The phase is open, pending, granted at 1 or at 2.
pub(crate) const OPEN: u64 = 0;
pub(crate) const PENDING: u64 = 2;
pub(crate) const GRANTED: u64 = 2;

impl State {
    pub(crate) fn initial(losses: u8, copies: u8, timers: u8) -> State {
        assert!(losses <= LOSSES_MAX && copies <= COPIES_MAX && timers <= TIMERS_MAX);
        let local = (u64::from(losses) << LOSSES)
            | (u64::from(copies) << COPIES)
            | (u64::from(timers) << TIMERS);
        State { network: 0, local }
    }

    /// The claims that this node granted, one bit each.
    #[inline]
    pub(crate) fn granted(self, node: u8) -> u64 {
        (self.local >> (node * 3)) & 7
    }

    /// The version of a node: nothing is ever given back, so it is the number of its grants.
    #[inline]
    pub(crate) fn version(self, node: u8) -> u8 {
        // Three bits are counted fastest by looking them up in a word.
        ((0x3221_2110_u64 >> (self.granted(node) * 4)) & 3) as u8
    }

    #[inline]
    pub(crate) fn is_granted(self, claim: u8, node: u8) -> bool {
        self.local >> (node * 3 + claim) & 1 != 0
    }

    #[inline]
    pub(crate) fn grant(&mut self, claim: u8, node: u8) {
        self.local |= 1 << (node * 3 + claim);
    }

    #[inline]
    pub(crate) fn is_refused(self, claim: u8, node: u8) -> bool {
        self.local >> (REFUSED as u8 + node * 3 + claim) & 1 != 0
    }

    #[inline]
    pub(crate) fn refuse(&mut self, claim: u8, node: u8) {
        self.local |= 1 << (REFUSED as u8 + node * 3 + claim);
    }

    /// The version of the node that the scheduler of this link has.
    #[inline]
    pub(crate) fn cached(self, link: u8) -> u8 {
        (self.local >> (CACHED as u8 + link * 2) & 3) as u8
    }

    #[inline]
    pub(crate) fn cache(&mut self, link: u8, version: u8) {
        let shift = CACHED as u8 + link * 2;
        self.local = self.local & !(3 << shift) | u64::from(version) << shift;
    }

    /// Where a claim is, for its scheduler.
    #[inline]
    pub(crate) fn at(self, claim: u8) -> u64 {
        self.local >> (CLAIMS as u8 + claim * 5) & 7
    }

    #[inline]
    pub(crate) fn put(&mut self, claim: u8, at: u64) {
        let shift = CLAIMS as u8 + claim * 5;
        self.local = self.local & !(7 << shift) | at << shift;
    }

    /// Does the scheduler know that this node refused this claim?
    #[inline]
    pub(crate) fn knows_refusal(self, claim: u8, node: u8) -> bool {
        self.local >> (CLAIMS as u8 + claim * 5 + 3 + node) & 1 != 0
    }

    #[inline]
    pub(crate) fn learn_refusal(&mut self, claim: u8, node: u8) {
        self.local |= 1 << (CLAIMS as u8 + claim * 5 + 3 + node);
    }

    #[inline]
    pub(crate) fn losses(self) -> u64 {
        self.local >> LOSSES & u64::from(LOSSES_MAX)
    }

    #[inline]
    pub(crate) fn copies(self) -> u64 {
        self.local >> COPIES & u64::from(COPIES_MAX)
    }

    #[inline]
    pub(crate) fn timers(self) -> u64 {
        self.local >> TIMERS & u64::from(TIMERS_MAX)
    }

    #[inline]
    pub(crate) fn spend_loss(&mut self) {
        self.local -= 1 << LOSSES;
    }

    #[inline]
    pub(crate) fn spend_copy(&mut self) {
        self.local -= 1 << COPIES;
    }

    #[inline]
    pub(crate) fn spend_timer(&mut self) {
        self.local -= 1 << TIMERS;
    }
}

impl Hash for State {
    /// Both words at once: a hasher is called once a state.
    #[inline]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u128(u128::from(self.network) << 64 | u128::from(self.local));
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<_> = crate::message::MESSAGES
            .iter()
            .filter(|message| self.network & message.mask() != 0)
            .collect();
        f.debug_struct("State")
            .field("granted", &[self.granted(0), self.granted(1)])
            .field("cached", &[0, 1, 2, 3].map(|link| self.cached(link)))
            .field("claims", &[0, 1, 2].map(|claim| self.at(claim)))
            .field("budgets", &[self.losses(), self.copies(), self.timers()])
            .field("network", &messages)
            .finish()
    }
}

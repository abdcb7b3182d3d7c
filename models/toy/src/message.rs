//! The messages, and the bit that each has in the network.

/// What a node says to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// No, and never.
    Refused,
    /// Yes: the node's state contains the grant from this version on.
    Granted(u8),
}

/// A message. A link is a pair of a node and a scheduler: node * 2 + scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A scheduler asks a node.
    Claim {
        /// Which claim.
        claim: u8,
        /// Of which node.
        node: u8,
    },
    /// The node answers.
    Verdict {
        /// Which claim.
        claim: u8,
        /// Who answers.
        node: u8,
        /// The answer.
        word: Word,
    },
    /// A node tells a scheduler what changed between two of its versions.
    Update {
        /// From whom, to whom.
        link: u8,
        /// The version that it applies to, or any before `to` that is later.
        from: u8,
        /// The version that it leads to.
        to: u8,
    },
    /// A node tells a scheduler its version.
    Beat {
        /// From whom, to whom.
        link: u8,
        /// The version.
        version: u8,
    },
    /// A scheduler asks a node for what it misses.
    Resync {
        /// To whom, from whom.
        link: u8,
        /// The version that the scheduler has.
        have: u8,
    },
}

/// How many messages there can be.
pub(crate) const MESSAGES_MAX: usize = 52;

/// The message of each bit.
pub(crate) const MESSAGES: [Message; MESSAGES_MAX] = {
    let mut messages = [Message::Claim { claim: 0, node: 0 }; MESSAGES_MAX];
    let mut bit = 0;
    while bit < MESSAGES_MAX {
        messages[bit] = of_bit(bit as u8);
        bit += 1;
    }
    messages
};

impl Message {
    /// The network that holds this message alone.
    #[inline]
    pub(crate) const fn mask(self) -> u64 {
        1 << match self {
            Message::Claim { claim, node } => claim * 2 + node,
            Message::Verdict { claim, node, word } => {
                let word = match word {
                    Word::Refused => 0,
                    Word::Granted(version) => version,
                };
                6 + (claim * 2 + node) * 3 + word
            }
            // The spans 0 to 1, 0 to 2 and 1 to 2.
            Message::Update { link, from, to } => 24 + link * 3 + from + to - 1,
            Message::Beat { link, version } => 36 + link * 2 + version - 1,
            Message::Resync { link, have } => 44 + link * 2 + have,
        }
    }
}

const fn of_bit(bit: u8) -> Message {
    match bit {
        0..6 => Message::Claim { claim: bit / 2, node: bit % 2 },
        6..24 => {
            let (pair, word) = ((bit - 6) / 3, (bit - 6) % 3);
            let word = if word == 0 { Word::Refused } else { Word::Granted(word) };
            Message::Verdict { claim: pair / 2, node: pair % 2, word }
        }
        24..36 => {
            let span = (bit - 24) % 3;
            let from = if span == 2 { 1 } else { 0 };
            let to = if span == 0 { 1 } else { 2 };
            Message::Update { link: (bit - 24) / 3, from, to }
        }
        36..44 => Message::Beat { link: (bit - 36) / 2, version: (bit - 36) % 2 + 1 },
        _ => Message::Resync { link: (bit - 44) / 2, have: (bit - 44) % 2 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_one_message() {
        for (bit, message) in MESSAGES.iter().enumerate() {
            assert_eq!(message.mask(), 1 << bit, "{message:?}");
        }
    }
}

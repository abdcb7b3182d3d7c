//! Wrong versions of the protocol, and whether the checker finds each of them out.
//!
//! A checker that finds nothing may have nothing to find, or may not look. Here the protocol is made
//! wrong on purpose, in one small place at a time, and each wrong version must be found out: by a
//! property that is violated in some scenario, or by an assertion of the machines or their world.
//!
//! The wrong versions are data ([`table`]); the protocol itself knows nothing of them. A copy of the
//! sources is made in which every such place is a switch ([`rewrite`], [`copy`]). It is built once, and
//! then checked once for each wrong version, with that one switched on ([`trial`]). What the checker
//! said is read by [`finding`], and put into words by [`report`].

pub mod copy;
pub mod finding;
pub mod report;
pub mod rewrite;
pub mod table;
pub mod trial;

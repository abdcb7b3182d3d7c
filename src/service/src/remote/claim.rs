//! Claims and groups as people write them.

use counterfoil_protocol::{
    ClaimId, ClaimNumber, GroupId, Incarnation, NodeId, SchedulerId, Stamp, Version,
};
use std::str::FromStr;

/// A text that is no claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no claim: one is written as s1.1:n3#0")]
pub struct NoClaim(String);

/// The claim that is written as `text`.
///
/// # Errors
/// If it is none.
pub fn parse_claim(text: &str) -> Result<ClaimId, NoClaim> {
    let read = || {
        let (scheduler, rest) = text.strip_prefix('s')?.split_once('.')?;
        let (incarnation, rest) = rest.split_once(":n")?;
        let (node, number) = rest.split_once('#')?;
        Some(ClaimId {
            scheduler: SchedulerId(digits(scheduler)?),
            incarnation: Incarnation(digits(incarnation)?),
            node: NodeId(digits(node)?),
            number: ClaimNumber(digits(number)?),
        })
    };
    read().ok_or_else(|| NoClaim(text.to_owned()))
}

/// The group of this name: any text.
pub fn group(name: &str) -> GroupId {
    let mut number = [0; 8];
    number.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..8]);
    GroupId(u64::from_le_bytes(number))
}

/// The stamp that is written as `text`.
pub(super) fn parse_stamp(text: &str) -> Option<Stamp> {
    let (incarnation, version) = text.split_once('.')?;
    let (incarnation, version) = (Incarnation(digits(incarnation)?), Version(digits(version)?));
    Some(Stamp { incarnation, version })
}

/// The path of the allocation of a claim.
pub fn path_of(claim: ClaimId) -> String {
    format!("/v1/allocations/{}", claim.to_string().replace('#', "%23"))
}

/// A number of digits alone.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_as_it_is_written() {
        let claim = parse_claim("s4294967295.7:n3#12").unwrap();
        assert_eq!(claim.to_string(), "s4294967295.7:n3#12");
        assert_eq!(path_of(claim), "/v1/allocations/s4294967295.7:n3%2312");
        for bad in ["", "s1.1:n3", "s1.1:n3#", "1.1:3#0", "s1.1:n3#+1", "s1.1:n4294967296#0"] {
            assert!(parse_claim(bad).is_err(), "{bad}");
        }
    }
}

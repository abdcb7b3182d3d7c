//! Claims and groups as people write them.

use counterfoil_protocol::{ClaimId, GroupId, Incarnation, Stamp, Version};
use std::str::FromStr;

/// The group of this name, as schedulers understand it: any text.
pub fn group(name: &str) -> GroupId {
    if let Ok(numbered) = name.parse() {
        return numbered;
    }
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
    fn a_claim_and_a_stamp_are_written_so_that_they_can_be_read() {
        let claim = "s4294967295.7:n3#12".parse().unwrap();
        assert_eq!(path_of(claim), "/v1/allocations/s4294967295.7:n3%2312");
        assert_eq!(parse_stamp("3.17").unwrap().to_string(), "3.17");
        for bad in ["", "3", "3.", "3.+1", "3.1.7"] {
            assert_eq!(parse_stamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_group_is_named_by_any_text_or_by_its_number() {
        assert_eq!(group("GROUP_7"), GroupId(7));
        assert_ne!(group("web"), group("db"));
    }
}

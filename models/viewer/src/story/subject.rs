//! Which request a message is about. Some name it; others name a claim of it, which an earlier one
//! brought together with it.

use super::Message;
use std::collections::HashMap;

/// Finds the request of each message.
pub(super) fn find(messages: &mut [Message]) {
    let mut of_claim: HashMap<String, String> = HashMap::new();
    for message in messages {
        let is_between = |c: char| !c.is_alphanumeric() && !"/.:#".contains(c);
        let names: Vec<&str> = message.text.split(is_between).collect();
        let claim = names.iter().find(|name| name.contains('#'));
        let request = names.iter().find_map(|name| request(name));
        if let (Some(claim), Some(request)) = (claim, request) {
            of_claim.insert((*claim).to_owned(), request.to_owned());
        }
        let of_its_claim = || of_claim.get(*claim?).cloned();
        message.about = request.map(str::to_owned).or_else(of_its_claim);
    }
}

/// The request that `r1` or, as one attempt for it, `r1/2` names.
fn request(name: &str) -> Option<&str> {
    let (request, attempt) = name.split_once('/').unwrap_or((name, "1"));
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    (is_number(request.strip_prefix('r')?) && is_number(attempt)).then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_other_names() {
        assert_eq!(request("r1"), Some("r1"));
        assert_eq!(request("r12/2"), Some("r12"));
        for other in ["r", "request", "s1.1:n1#0", "r1/x", "1"] {
            assert_eq!(request(other), None);
        }
    }
}

//! What a relay is told while it runs, a line at a time.

use super::{Links, Relay, Way};
use std::time::Duration;

/// How it is told, for people.
pub const HELP: &str = "\
part A,B C,D [one-way] | heal | loss N | copies N | reorder N | delay MIN MAX (in microseconds) | \
counts";

/// Does what `line` says; what there is to say of it.
///
/// # Errors
/// If it makes no sense: then how it is told.
pub fn obey(relay: &Relay, links: &mut Links, line: &str) -> Result<Option<String>, &'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let chance = |word: &str| word.parse::<u16>().ok().filter(|chance| *chance <= 1000).ok_or(HELP);
    let micros = |word: &str| word.parse().map(Duration::from_micros).map_err(|_| HELP);
    let names = |word: &str| word.split(',').map(str::to_owned).collect::<Vec<_>>();
    match words[..] {
        [] => {}
        ["heal"] => relay.heal(),
        ["part", these, those] => relay.part(&names(these), &names(those), Way::TwoWay),
        ["part", these, those, "one-way"] => {
            relay.part(&names(these), &names(those), Way::OneWay);
        }
        ["loss", of] => links.loss = chance(of)?,
        ["copies", of] => links.copies = chance(of)?,
        ["reorder", of] => links.reorder = chance(of)?,
        ["delay", min, max] => {
            (links.delay_min, links.delay_max) = (micros(min)?, micros(max)?.max(micros(min)?));
        }
        ["counts"] => {
            let counts = serde_json::to_string(&relay.counts()).expect("counts have a JSON form");
            return Ok(Some(counts));
        }
        [..] => return Err(HELP),
    }
    relay.set_links(*links);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_relay_does_what_it_is_told_or_says_how_to_tell_it() {
        let names = ["a".to_owned(), "b".to_owned()];
        let mut links = Links::default();
        let relay = Relay::start(1, Ipv4Addr::LOCALHOST.into(), &names, links).unwrap();
        let mut tell = |line| obey(&relay, &mut links, line);
        for line in ["", "part a b", "part a b one-way", "heal", "loss 10", "delay 5 1"] {
            assert_eq!(tell(line), Ok(None), "{line}");
        }
        assert!(tell("counts").unwrap().is_some_and(|counts| counts.contains("\"forwarded\":0")));
        for line in ["loss", "loss 1001", "loss x", "part a", "delay 1", "what"] {
            assert_eq!(tell(line), Err(HELP), "{line}");
        }
        assert_eq!(links.loss, 10);
        assert_eq!(links.delay_max, Duration::from_micros(5));
    }
}

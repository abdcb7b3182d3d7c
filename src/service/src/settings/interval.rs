//! Times as people write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long something takes: a whole number with its unit, `us`, `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(pub Duration);

/// A text that is no [`Interval`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: write a whole number with its unit, as 500ms, 30s or 2m")]
pub struct NoInterval(String);

/// Units, the largest first, in microseconds.
const UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)];

impl FromStr for Interval {
    type Err = NoInterval;

    fn from_str(text: &str) -> Result<Self, NoInterval> {
        let no_interval = || NoInterval(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(no_interval)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| no_interval())?;
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit.trim());
        let micros = unit.and_then(|(_, micros)| number.checked_mul(micros));
        Ok(Interval(Duration::from_micros(micros.ok_or_else(no_interval)?)))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let whole = |(_, unit): &(&str, u64)| {
            micros >= u128::from(*unit) && micros.is_multiple_of(u128::from(*unit))
        };
        match UNITS.into_iter().find(whole) {
            Some((name, unit)) => write!(f, "{}{name}", micros / u128::from(unit)),
            None => f.write_str("0s"),
        }
    }
}

impl TryFrom<String> for Interval {
    type Error = NoInterval;
    fn try_from(text: String) -> Result<Self, NoInterval> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> String {
        interval.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_unit_and_read_back() {
        for text in ["500ms", "1s", "30s", "2m", "48h", "5us", "1500ms", "0s"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        assert_eq!("1000ms".parse::<Interval>().unwrap().to_string(), "1s");
        for bad in
            ["", "5", "s", "-1s", "1.5s", "5 weeks", "99999999999999999999s", "9999999999999999h"]
        {
            assert!(bad.parse::<Interval>().is_err(), "{bad}");
        }
    }
}

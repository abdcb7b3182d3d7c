//! Whole numbers, however they are written.

use std::borrow::Cow;

/// The same JSON with `3.0` and `3e0` as `3`: to JSON Schema each of them is an integer, and some programs
/// write all numbers so. What is no whole number from 0 to 2^64 - 1 stays as it is, and so does what is no
/// JSON.
pub(super) fn whole(json: &[u8]) -> Cow<'_, [u8]> {
    let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let mut rewritten = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while at < json.len() {
        let length = match json[at] {
            b'"' => string(&json[at..]),
            b'0'..=b'9' | b'-' => {
                let number = &json[at..];
                let number = &number[..number.iter().take_while(|byte| in_number(byte)).count()];
                if let Some(value) = as_whole(number) {
                    rewritten.extend_from_slice(&json[copied..at]);
                    rewritten.extend_from_slice(value.to_string().as_bytes());
                    copied = at + number.len();
                }
                number.len()
            }
            _ => 1,
        };
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    rewritten.extend_from_slice(&json[copied..]);
    Cow::Owned(rewritten)
}

/// How long the string is that starts here, with its quotes.
fn string(json: &[u8]) -> usize {
    let mut at = 1;
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// The whole number that is written with a point or an exponent.
fn as_whole(number: &[u8]) -> Option<u64> {
    if !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return None;
    }
    let value: f64 = serde_json::from_slice(number).ok()?;
    // 2^64 is the least that is too large, and a float.
    let fits = value.fract() == 0.0 && (0.0..18_446_744_073_709_551_616.0).contains(&value);
    fits.then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_written_as_such_and_nothing_else_is_touched() {
        for (json, expected) in [
            (r#"{"VCPU": 1.0}"#, r#"{"VCPU": 1}"#),
            (r#"[1e3,2.50e1,-0.0,7]"#, "[1000,25,0,7]"),
            (
                r#"[1.5,-1.0,1e20,1.8446744073709552e19]"#,
                r#"[1.5,-1.0,1e20,1.8446744073709552e19]"#,
            ),
            (r#"{"1.0\"2.0": "3.0", "\\": 4.0}"#, r#"{"1.0\"2.0": "3.0", "\\": 4}"#),
            (r#"[1., 1.e2, .5, 1.0.0, 01.0, 1e]"#, r#"[1., 1.e2, .5, 1.0.0, 01.0, 1e]"#),
            (r#"{"open \"1.0"#, r#"{"open \"1.0"#),
            (r#""\"#, r#""\"#),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(whole(json.as_bytes()).into_owned()).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_given_it_means_the_same(json in proptest::collection::vec(
            proptest::sample::select(&b"0123456789.eE+-\"\\,:[]{} tn"[..]), 0..40,
        )) {
            let now = whole(&json);
            let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).ok();
            let as_floats = |value: Option<serde_json::Value>| value.map(floats);
            prop_assert_eq!(as_floats(value(&json)), as_floats(value(&now)));
            prop_assert_eq!(whole(&now), Cow::Borrowed(&*now));
        }
    }

    fn floats(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            // -0.0 is 0.
            Value::Number(number) => Value::from(number.as_f64().expect("not too large") + 0.0),
            Value::Array(values) => values.into_iter().map(floats).collect(),
            Value::Object(fields) => fields.into_iter().map(|(key, v)| (key, floats(v))).collect(),
            other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
        }
    }
}

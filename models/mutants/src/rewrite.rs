//! Puts switches into a source file.

use crate::table::Mutant;
use std::ops::Range;

/// Why a file cannot be rewritten.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The text does not stand in its surroundings exactly once.
    #[error("mutant {name}: its text stands {times} times where it should stand once")]
    NotOnce {
        /// Of which mutant.
        name: String,
        /// How often it stands there.
        times: usize,
    },
    /// Two mutants change places that overlap and are not the same.
    #[error("mutants {one} and {other} change places that overlap")]
    Overlap {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
}

/// A place that mutants change.
struct Place<'a> {
    range: Range<usize>,
    mutants: Vec<(u32, &'a Mutant)>,
}

/// The source with every place that a mutant changes made a switch. Several mutants may change one
/// place; places that overlap otherwise are an error.
pub fn with_switches(source: &str, mutants: &[(u32, &Mutant)]) -> Result<String, RewriteError> {
    let mut places: Vec<Place> = Vec::new();
    for (number, mutant) in mutants {
        let range = place(source, mutant)?;
        match places.iter_mut().find(|known| known.range == range) {
            Some(known) => known.mutants.push((*number, mutant)),
            None => places.push(Place { range, mutants: vec![(*number, mutant)] }),
        }
    }
    places.sort_by_key(|place| place.range.start);
    for pair in places.windows(2) {
        let [one, other] = pair else { continue };
        if other.range.start < one.range.end {
            let name = |place: &Place| place.mutants[0].1.name.clone();
            return Err(RewriteError::Overlap { one: name(one), other: name(other) });
        }
    }
    let mut text = String::new();
    let mut done = 0;
    for Place { range, mutants } in places {
        text.push_str(&source[done..range.start]);
        done = range.end;
        text.push_str(&switch(&source[range], &mutants));
    }
    text.push_str(&source[done..]);
    Ok(text)
}

/// Where the text stands that the mutant changes.
pub fn place(source: &str, mutant: &Mutant) -> Result<Range<usize>, RewriteError> {
    let within = mutant.within.as_deref().unwrap_or(&mutant.old);
    let around = once(source, within, mutant)?;
    let inside = once(within, &mutant.old, mutant)?;
    let start = around + inside;
    Ok(start..start + mutant.old.len())
}

/// Where `text` stands in `source`, if it does so exactly once.
fn once(source: &str, text: &str, mutant: &Mutant) -> Result<usize, RewriteError> {
    let mut found = source.match_indices(text);
    match (found.next(), found.count()) {
        (Some((at, _)), 0) => Ok(at),
        (first, more) => {
            let times = more + usize::from(first.is_some());
            Err(RewriteError::NotOnce { name: mutant.name.clone(), times })
        }
    }
}

/// What stands in the place of `old`: statements for statements, an expression for an expression.
fn switch(old: &str, mutants: &[(u32, &Mutant)]) -> String {
    let cases: String = mutants
        .iter()
        .map(|(number, m)| format!("if crate::mutant::is_on({number}) {{ {} }} else ", m.new))
        .collect();
    let whole = format!("{cases}{{ {old} }}");
    if old.ends_with([';', '}']) { whole } else { format!("({whole})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "fn at(a: u8) -> u8 {\n    note(a);\n    if a < 3 { a } else { a + 1 }\n}\n";

    fn mutant(name: &str, within: Option<&str>, old: &str, new: &str) -> Mutant {
        Mutant {
            name: name.to_owned(),
            file: String::new(),
            within: within.map(str::to_owned),
            old: old.to_owned(),
            new: new.to_owned(),
            says: String::new(),
        }
    }

    #[test]
    fn statements_and_expressions_become_switches() {
        let lost = mutant("lost", None, "note(a);", "");
        let off_by_one = mutant("off_by_one", None, "a < 3", "a <= 3");
        let reversed = mutant("reversed", None, "a < 3", "a > 3");
        let inner = mutant("inner", Some("a + 1"), "1", "2");
        let mutants = [(1, &lost), (2, &off_by_one), (7, &reversed), (8, &inner)];
        let expected = "fn at(a: u8) -> u8 {\n    \
            if crate::mutant::is_on(1) {  } else { note(a); }\n    \
            if (if crate::mutant::is_on(2) { a <= 3 } else if crate::mutant::is_on(7) { a > 3 } \
            else { a < 3 }) { a } else { a + (if crate::mutant::is_on(8) { 2 } else { 1 }) }\n}\n";
        assert_eq!(with_switches(SOURCE, &mutants).as_deref(), Ok(expected));
    }

    #[test]
    fn a_text_that_does_not_stand_there_once_is_an_error() {
        let error = |times| RewriteError::NotOnce { name: "m".to_owned(), times };
        let absent = mutant("m", None, "b", "");
        assert_eq!(with_switches(SOURCE, &[(1, &absent)]), Err(error(0)));
        let many = mutant("m", None, "{", "");
        assert_eq!(with_switches(SOURCE, &[(1, &many)]), Err(error(3)));
    }

    #[test]
    fn places_that_overlap_are_an_error() {
        let wide = mutant("wide", None, "a < 3", "true");
        let narrow = mutant("narrow", Some("a < 3"), "3", "4");
        let error = RewriteError::Overlap { one: "wide".to_owned(), other: "narrow".to_owned() };
        assert_eq!(with_switches(SOURCE, &[(1, &wide), (2, &narrow)]), Err(error));
    }
}

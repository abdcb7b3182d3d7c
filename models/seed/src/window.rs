//! The message window of 2016: which numbers came, and which are missing.

use serde::{Deserialize, Serialize};

/// The numbers that came from a node, as far as a scheduler remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The largest number that came; `None` before the first state, and after a loss.
    pub last: Option<u64>,
    /// The smaller ones that did not, in order.
    pub missing: Vec<u64>,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next.
    Next,
    /// It comes after a gap.
    AfterAGap,
    /// It was missing.
    Late,
    /// It is not taken.
    Ignored,
}

/// Why a message is not even ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Messages are lost. The window was closed; this message is not taken.
    Lost,
    /// The number is looked for in the list of the missing ones, and would stand behind its end.
    IndexError,
}

impl Window {
    /// How far numbers may be apart.
    pub const CAPACITY: u64 = 7;

    /// Forgets everything.
    pub fn close(&mut self) {
        *self = Window::default();
    }

    /// Begins at this number.
    pub fn begin(&mut self, number: u64) {
        *self = Window { last: Some(number), missing: Vec::new() };
    }

    /// Begins at this number, unless it seems to be one of a state that was overtaken: a little
    /// smaller than the last. Whether it began.
    pub fn try_begin(&mut self, number: u64) -> bool {
        let overtaken = |last| number < last && last - number < Self::CAPACITY;
        if self.last.is_some_and(overtaken) {
            return false;
        }
        self.begin(number);
        true
    }

    /// Takes a number in. As in 2016, 0 is taken for no number at all.
    pub fn proceed(&mut self, number: u64) -> Result<Arrival, Escape> {
        let Some(last) = self.last.filter(|last| *last != 0) else {
            return Ok(Arrival::Ignored);
        };
        let arrival = if number == last {
            return Ok(Arrival::Ignored);
        } else if number < last {
            match self.missing.binary_search(&number) {
                Ok(at) => {
                    self.missing.remove(at);
                    Arrival::Late
                }
                Err(at) if at == self.missing.len() => return Err(Escape::IndexError),
                Err(_) => return Ok(Arrival::Ignored),
            }
        } else if number == last + 1 {
            self.last = Some(number);
            Arrival::Next
        } else if number - last > Self::CAPACITY {
            self.close();
            return Err(Escape::Lost);
        } else {
            self.missing.extend(last + 1..number);
            self.last = Some(number);
            Arrival::AfterAGap
        };
        let last = self.last.unwrap_or_default();
        if self.missing.first().is_some_and(|first| last - first >= Self::CAPACITY) {
            self.close();
            return Err(Escape::Lost);
        }
        Ok(arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u64, missing: &[u64]) -> Window {
        Window { last: Some(last), missing: missing.to_vec() }
    }

    #[test]
    fn a_lost_message_is_declared_lost_by_the_seventh_after_it() {
        let mut window = at(10, &[]);
        assert_eq!(window.proceed(12), Ok(Arrival::AfterAGap), "11 is lost");
        for number in 13..=17 {
            assert_eq!(window.proceed(number), Ok(Arrival::Next));
        }
        assert_eq!(window, at(17, &[11]), "six after it are not enough");
        assert_eq!(window.proceed(18), Err(Escape::Lost));
        assert_eq!(window, Window::default());
        assert_eq!(window.proceed(19), Ok(Arrival::Ignored), "until all of the state comes");
    }

    #[test]
    fn a_jump_of_seven_is_borne_and_one_of_eight_is_not() {
        assert_eq!(at(10, &[]).proceed(17), Ok(Arrival::AfterAGap));
        assert_eq!(at(10, &[]).proceed(18), Err(Escape::Lost));
    }

    #[test]
    fn the_last_number_again_is_ignored_and_an_older_one_escapes_as_an_index_error() {
        assert_eq!(at(12, &[]).proceed(12), Ok(Arrival::Ignored));
        assert_eq!(at(12, &[]).proceed(11), Err(Escape::IndexError));
        assert_eq!(at(12, &[9]).proceed(10), Err(Escape::IndexError), "larger than all missing");
        assert_eq!(at(12, &[9]).proceed(8), Ok(Arrival::Ignored), "smaller than one missing");
    }

    #[test]
    fn a_missing_message_is_taken_when_it_comes_late() {
        let mut window = at(12, &[10, 11]);
        assert_eq!(window.proceed(10), Ok(Arrival::Late));
        assert_eq!(window, at(12, &[11]));
    }

    #[test]
    fn a_window_that_begins_at_0_takes_nothing() {
        let mut window = Window::default();
        assert!(window.try_begin(0));
        for number in 1..20 {
            assert_eq!(window.proceed(number), Ok(Arrival::Ignored));
        }
    }

    #[test]
    fn a_state_that_fewer_than_seven_messages_overtook_is_refused() {
        for (number, begins) in [(12, true), (11, false), (6, false), (5, true), (13, true)] {
            assert_eq!(at(12, &[]).try_begin(number), begins, "{number}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_missing_is_in_order_and_within_the_capacity(
            numbers in proptest::collection::vec(1u64..40, 0..60)
        ) {
            let mut window = at(1, &[]);
            for number in numbers {
                if window.proceed(number) == Err(Escape::Lost) {
                    window.begin(number);
                }
                let last = window.last.unwrap();
                assert!(window.missing.is_sorted());
                assert!(window.missing.iter().all(|m| *m < last && last - m < Window::CAPACITY));
            }
        }
    }
}

//! By which a scheduler of 2016 notices that a message was lost.

/// How far messages may be out of order.
const CAPACITY: u64 = 7;

/// Which messages have come, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The highest number. Nothing, or 0, switches the window off.
    last: Option<u64>,
    /// Numbers below that have not come, in order.
    missing: Vec<u64>,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proceed {
    /// It is new.
    Apply,
    /// It is not, or the window is off.
    Ignore,
    /// It is not, and the prototype throws an error here, which nobody catches.
    Crash,
}

/// A message was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss;

impl Window {
    /// A window after a refresh of this number.
    pub fn after(number: u64) -> Window {
        Window { last: Some(number), missing: Vec::new() }
    }

    /// Whether a refresh of this number is to be taken: not if it is a little older than the last.
    pub fn try_reset(&self, number: u64) -> bool {
        !self.last.is_some_and(|last| number < last && last - number < CAPACITY)
    }

    /// A message of this number comes.
    ///
    /// # Errors
    /// If one before it must have been lost: then the window is off until a refresh.
    pub fn proceed(&mut self, number: u64) -> Result<Proceed, Loss> {
        let Some(last) = self.last.filter(|last| *last != 0) else { return Ok(Proceed::Ignore) };
        let mut proceed = Proceed::Apply;
        if number == last {
            proceed = Proceed::Ignore;
        } else if number < last {
            proceed = match self.missing.iter().position(|missing| *missing >= number) {
                Some(place) if self.missing[place] == number => {
                    self.missing.remove(place);
                    Proceed::Apply
                }
                Some(_) => Proceed::Ignore,
                None => Proceed::Crash,
            };
        } else {
            if number - last > CAPACITY {
                return self.lose();
            }
            self.missing.extend(last + 1..number);
            self.last = Some(number);
        }
        let last = last.max(number);
        if self.missing.first().is_some_and(|first| last - first >= CAPACITY) {
            return self.lose();
        }
        Ok(proceed)
    }

    fn lose(&mut self) -> Result<Proceed, Loss> {
        *self = Window::default();
        Err(Loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_message_is_noticed_when_the_seventh_after_it_comes() {
        let mut window = Window::after(10);
        (12..18).for_each(|number| assert_eq!(window.proceed(number), Ok(Proceed::Apply)));
        assert_eq!(window.proceed(18), Err(Loss));
        assert_eq!(window.proceed(19), Ok(Proceed::Ignore), "it is deaf until a refresh");
    }

    #[test]
    fn a_jump_of_seven_is_borne_and_one_of_eight_is_not() {
        assert_eq!(Window::after(10).proceed(17), Ok(Proceed::Apply));
        assert_eq!(Window::after(10).proceed(18), Err(Loss));
    }

    #[test]
    fn late_messages_are_applied_once_and_old_copies_throw() {
        let mut window = Window::after(10);
        assert_eq!(window.proceed(13), Ok(Proceed::Apply));
        assert_eq!(window.proceed(11), Ok(Proceed::Apply));
        assert_eq!(window.proceed(11), Ok(Proceed::Ignore), "12 is still missing");
        assert_eq!(window.proceed(13), Ok(Proceed::Ignore));
        assert_eq!(window.proceed(12), Ok(Proceed::Apply));
        assert_eq!(window.proceed(12), Ok(Proceed::Crash), "nothing is missing");
    }

    #[test]
    fn number_nought_switches_the_window_off() {
        assert_eq!(Window::after(0).proceed(1), Ok(Proceed::Ignore));
    }

    #[test]
    fn a_refresh_that_is_a_little_older_is_left_out() {
        let window = Window::after(10);
        assert!(!window.try_reset(9) && !window.try_reset(4));
        assert!(window.try_reset(3) && window.try_reset(10) && window.try_reset(11));
        assert!(Window::default().try_reset(1));
    }
}

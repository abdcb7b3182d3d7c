//! What is to happen, by when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is to happen, by when; of two things at one time the one comes first that was put in first.
///
/// The heap holds only times, numbers and places; what is to happen stands still beside it.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    places: Vec<Option<T>>,
    free: Vec<u32>,
    numbered: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { heap: BinaryHeap::new(), places: Vec::new(), free: Vec::new(), numbered: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts in what is to happen at `at`.
    pub(crate) fn push(&mut self, at: u64, what: T) {
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = Some(what);
                place
            }
            None => {
                self.places.push(Some(what));
                u32::try_from(self.places.len() - 1).expect("fewer than 2^32 are under way")
            }
        };
        self.heap.push(Reverse((at, self.numbered, place)));
        self.numbered += 1;
    }

    /// When the next happens.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes out everything that is like this. Its time still comes, and nothing happens then.
    pub(crate) fn drop_all(&mut self, is_out: impl Fn(&T) -> bool) {
        for place in &mut self.places {
            *place = place.take().filter(|what| !is_out(what));
        }
    }

    /// Takes off what happens next; `None` if nothing is left or it was taken out.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let Reverse((_, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.places[place as usize].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_first_comes_first_and_of_one_time_what_was_put_in_first() {
        let mut queue = Queue::default();
        for (at, what) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            queue.push(at, what);
        }
        assert_eq!(queue.next(), Some(3));
        assert_eq!((queue.pop(), queue.pop()), (Some('b'), Some('d')));
        queue.push(4, 'e');
        let rest: Vec<char> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, ['e', 'a', 'c']);
        assert_eq!(queue.places.len(), 4, "a place is used again");
    }
}

//! The toy as stateright sees it.

use crate::{Action, State, Toy};
use stateright::{Model, Property};

impl Model for Toy {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    #[inline]
    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.enabled(*state, actions);
    }

    #[inline]
    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.apply(*state, action))
    }

    fn properties(&self) -> Vec<Property<Toy>> {
        vec![Property::always("no_overcommit", |toy: &Toy, state| toy.no_overcommit(*state))]
    }
}

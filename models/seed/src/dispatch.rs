//! Which protocol a scenario or trace is of.

use crate::Seed;
use counterfoil_world::scenario::Design;
use counterfoil_world::{Counterfoil, Protocol};

/// Something that can be done with any protocol.
pub trait Task {
    /// What comes of it.
    type Outcome;

    /// Does it.
    fn with<P: Protocol>(self) -> Self::Outcome;
}

/// Does something with the protocol of a design: the one place that knows which that is.
pub fn with<T: Task>(design: Design, task: T) -> T::Outcome {
    match design {
        Design::Counterfoil => task.with::<Counterfoil>(),
        Design::Shared2016 | Design::Filter | Design::Caching | Design::Placement => {
            task.with::<Seed>()
        }
    }
}

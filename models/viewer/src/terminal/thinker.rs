//! What takes long to work out, beside the screen: why a run violates its property, and what else
//! could happen at a state.

use counterfoil_world::choices::{Choice, Judge};
use counterfoil_world::why::Why;
use counterfoil_world::{Action, Cluster, Protocol, Replay, Trace};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

/// A question, about an edition of the run.
pub(crate) enum Question<P: Protocol> {
    Why(Box<(Trace<P>, Replay<P>)>),
    Choices(Box<Place<P>>),
}

/// A state, and what the run does there.
pub(crate) struct Place<P: Protocol> {
    pub(crate) step: usize,
    pub(crate) state: Cluster<P>,
    pub(crate) taken: Option<Action<P>>,
    pub(crate) property: String,
    pub(crate) world: counterfoil_world::World<P>,
}

/// What came of it.
pub(crate) enum Answer<P: Protocol> {
    Why(Box<Why>),
    Choices(usize, Vec<Choice<P>>),
}

/// Works in a thread of its own, which ends with it.
pub(crate) struct Thinker<P: Protocol> {
    questions: Sender<(usize, Question<P>)>,
    answers: Receiver<(usize, Answer<P>)>,
    open: usize,
}

impl<P: Protocol> Thinker<P> {
    pub(crate) fn start() -> Self {
        let (questions, asked) = channel::<(usize, Question<P>)>();
        let (tell, answers) = channel();
        std::thread::spawn(move || {
            while let Ok((edition, question)) = asked.recv() {
                if tell.send((edition, answer(question))).is_err() {
                    return;
                }
            }
        });
        Thinker { questions, answers, open: 0 }
    }

    /// Whether an answer is still to come.
    pub(crate) fn is_busy(&self) -> bool {
        self.open > 0
    }

    pub(crate) fn ask(&mut self, edition: usize, question: Question<P>) {
        if self.questions.send((edition, question)).is_ok() {
            self.open += 1;
        }
    }

    /// An answer that has come; waits for one, if told to.
    pub(crate) fn answer(&mut self, wait: bool) -> Option<(usize, Answer<P>)> {
        if self.open == 0 {
            return None;
        }
        let come = match wait {
            true => self.answers.recv().map_err(|_| TryRecvError::Disconnected),
            false => self.answers.try_recv(),
        };
        match come {
            Ok(answer) => {
                self.open -= 1;
                Some(answer)
            }
            Err(TryRecvError::Empty) => None,
            // It is over; nothing will come any more.
            Err(TryRecvError::Disconnected) => {
                self.open = 0;
                None
            }
        }
    }
}

fn answer<P: Protocol>(question: Question<P>) -> Answer<P> {
    match question {
        Question::Why(run) => Answer::Why(Box::new(Why::of(&run.0, &run.1))),
        Question::Choices(place) => {
            let judge = Judge::new(&place.world, &place.property);
            let choices = judge.map(|mut judge| judge.choices(&place.state, place.taken.as_ref()));
            Answer::Choices(place.step, choices.unwrap_or_default())
        }
    }
}

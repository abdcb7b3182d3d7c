//! What every key does: one table, from which the help is drawn, too.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Back,
    On,
    First,
    Last,
    PageUp,
    PageDown,
    Violation,
    Loop,
    ActorBack,
    ActorOn,
    FieldBack,
    FieldOn,
    NextActor,
    PreviousActor,
    Follow,
    NextPane,
    PreviousPane,
    Up,
    Down,
    Enter,
    Why,
    Branch,
    Undo,
    Leave,
    Save,
    Actors,
    Search,
    SearchOn,
    SearchBack,
    Compare,
    Help,
    Escape,
    Quit,
    Interrupt,
}

/// The keys as they are told to people: keys, what they do.
pub(crate) const HELP: [(&str, &str); 21] = [
    ("← →  h l", "a step back, a step on"),
    ("g G  Home End", "to the start, to the end"),
    ("v", "to the step that violates the property"),
    ("L", "to the start of the loop, and to its end"),
    ("[ ]", "back, on to a step of the actor that is shown"),
    ("{ }", "back, on to a change of the value under the cursor"),
    ("a A  0", "the next, the last actor; whoever acts"),
    ("Tab  Shift-Tab", "the next pane, the one before"),
    ("↑ ↓  k j", "a line up, down; in the diagram a step"),
    ("PgUp PgDn", "as many as there is room for"),
    ("Enter", "open a value; go to the step of a line; take an action"),
    ("w", "why the property is violated"),
    ("b", "branch: what else could happen here; Enter takes it"),
    ("u U", "undo what the branch did last; leave the branch"),
    ("S", "save the branch as a trace"),
    ("f", "which actors are drawn"),
    ("/  n N", "search in steps and messages; the next, the one before"),
    ("c", "compare with another trace, or the branch with its run"),
    ("Esc", "back from here"),
    ("?", "this"),
    ("q", "quit"),
];

/// What a key asks for, if anything.
pub(crate) fn command(key: KeyEvent) -> Option<Command> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Command::Interrupt);
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "other keys do nothing")]
    let command = match key.code {
        KeyCode::Left | KeyCode::Char('h') => Command::Back,
        KeyCode::Right | KeyCode::Char('l') => Command::On,
        KeyCode::Home | KeyCode::Char('g') => Command::First,
        KeyCode::End | KeyCode::Char('G') => Command::Last,
        KeyCode::PageUp => Command::PageUp,
        KeyCode::PageDown => Command::PageDown,
        KeyCode::Char('v') => Command::Violation,
        KeyCode::Char('L') => Command::Loop,
        KeyCode::Char('[') => Command::ActorBack,
        KeyCode::Char(']') => Command::ActorOn,
        KeyCode::Char('{') => Command::FieldBack,
        KeyCode::Char('}') => Command::FieldOn,
        KeyCode::Char('a') => Command::NextActor,
        KeyCode::Char('A') => Command::PreviousActor,
        KeyCode::Char('0') => Command::Follow,
        KeyCode::Tab => Command::NextPane,
        KeyCode::BackTab => Command::PreviousPane,
        KeyCode::Up | KeyCode::Char('k') => Command::Up,
        KeyCode::Down | KeyCode::Char('j') => Command::Down,
        KeyCode::Enter | KeyCode::Char(' ') => Command::Enter,
        KeyCode::Char('w') => Command::Why,
        KeyCode::Char('b') => Command::Branch,
        KeyCode::Char('u') => Command::Undo,
        KeyCode::Char('U') => Command::Leave,
        KeyCode::Char('S') => Command::Save,
        KeyCode::Char('f') => Command::Actors,
        KeyCode::Char('/') => Command::Search,
        KeyCode::Char('n') => Command::SearchOn,
        KeyCode::Char('N') => Command::SearchBack,
        KeyCode::Char('c') => Command::Compare,
        KeyCode::Char('?') => Command::Help,
        KeyCode::Esc => Command::Escape,
        KeyCode::Char('q') => Command::Quit,
        _ => return None,
    };
    Some(command)
}

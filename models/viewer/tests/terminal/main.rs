//! The viewer on a terminal, without one: keys go in, screens come out.

mod branches;
mod keys;
mod pty;
mod runs;
mod screens;

use counterfoil_viewer::terminal::{Flow, Palette, Viewer};
use counterfoil_world::{Counterfoil, Trace};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::path::{Path, PathBuf};

/// The folder of the kept counterexamples.
fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces")
}

/// A kept counterexample.
fn kept(name: &str) -> Trace<Counterfoil> {
    let file = traces().join(format!("{name}.itf.json"));
    Trace::load(&file).unwrap_or_else(|error| panic!("{error}"))
}

fn viewer(trace: &Trace<Counterfoil>) -> Viewer<Counterfoil> {
    Viewer::new("TRACE.itf.json", trace.clone(), Palette::default())
}

/// What is on the screen, as it was drawn.
fn drawn(viewer: &mut Viewer<Counterfoil>, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| viewer.draw(frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// What is on the screen, as text, once everything is worked out.
fn screen(viewer: &mut Viewer<Counterfoil>, width: u16, height: u16) -> String {
    viewer.think(true);
    let buffer = drawn(viewer, width, height);
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(width)) {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The key of this name, or the letter itself.
fn key(name: &str) -> KeyEvent {
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Esc" => KeyCode::Esc,
        "Backspace" => KeyCode::Backspace,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        letter => KeyCode::Char(letter.chars().next().unwrap()),
    };
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// Presses keys, named and separated by spaces.
fn press(viewer: &mut Viewer<Counterfoil>, keys: &str) {
    for name in keys.split_whitespace() {
        assert_eq!(viewer.key(key(name)), Flow::On, "{name}");
    }
}

/// Types letters.
fn type_in(viewer: &mut Viewer<Counterfoil>, text: &str) {
    for letter in text.chars() {
        viewer.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
    }
}

//! The viewer on a terminal: the space-time diagram with the state, why, what else could happen,
//! and what is in flight beside it; branches, and two runs side by side.
//!
//! A [`Viewer`] is what is shown and takes keys; [`open`] gives it a terminal. Whatever is shown is
//! worked out once per run, or per step that is looked at, and what takes long is worked out beside
//! the screen.

mod compare;
mod comparing;
mod diagram;
mod fields;
mod keys;
mod list;
mod palette;
mod panes;
mod rows;
mod run;
mod screen;
mod thinker;
mod told;
mod viewer;
mod writes;

pub use palette::Palette;
pub use screen::SIZE_MIN;
pub use viewer::{Flow, Viewer};

use counterfoil_world::Protocol;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a key is waited for before it is looked whether something else happened.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same while something is being worked out.
const IMPATIENCE: Duration = Duration::from_millis(30);

/// Shows a viewer on the terminal until it is told to quit. However it ends, the terminal is as it
/// was before. Whether it was interrupted.
pub fn open<P: Protocol>(viewer: &mut Viewer<P>) -> std::io::Result<bool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut terminal = ratatui::try_init()?;
    let ended = converse(viewer, &mut terminal, &stop);
    ratatui::try_restore()?;
    ended
}

fn converse<P: Protocol>(
    viewer: &mut Viewer<P>,
    terminal: &mut ratatui::DefaultTerminal,
    stop: &AtomicBool,
) -> std::io::Result<bool> {
    loop {
        terminal.draw(|frame| viewer.draw(frame))?;
        viewer.think(false);
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(true);
            }
            let patience = if viewer.is_busy() { IMPATIENCE } else { PATIENCE };
            if event::poll(patience)? {
                break;
            }
            if viewer.think(false) {
                terminal.draw(|frame| viewer.draw(frame))?;
            }
        }
        // Keys that came meanwhile are taken before the screen is drawn again.
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match viewer.key(key) {
                    Flow::On => {}
                    Flow::Quit => return Ok(false),
                    Flow::Interrupted => return Ok(true),
                },
                Event::Key(_)
                | Event::Resize(..)
                | Event::FocusGained
                | Event::FocusLost
                | Event::Mouse(_)
                | Event::Paste(_) => {}
            }
        }
    }
}

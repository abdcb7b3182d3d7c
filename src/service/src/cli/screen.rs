//! Lines of text that are drawn again and again in the same place.

use rustix::termios::{isatty, tcgetwinsize};
use std::io::{self, Write};

/// The terminal, while something is drawn on it. What was on it comes back when this is dropped.
pub(crate) struct Screen {
    terminal: bool,
}

/// The size of a terminal that does not say how large it is: columns and lines.
const USUAL: (usize, usize) = (80, 24);

impl Screen {
    /// Draws on standard output, if it is a terminal; else each frame is written after the last.
    pub(crate) fn open() -> Screen {
        let terminal = isatty(io::stdout());
        if terminal {
            // The other screen; no cursor.
            write("\x1b[?1049h\x1b[?25l");
        }
        Screen { terminal }
    }

    /// Whether it is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Columns and lines.
    pub(crate) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout()).ok().filter(|_| self.terminal);
        let size = size.map(|size| (size.ws_col.into(), size.ws_row.into()));
        size.filter(|(columns, lines)| *columns > 0 && *lines > 0).unwrap_or(USUAL)
    }

    /// Draws `lines`. On a terminal what does not fit is cut off.
    pub(crate) fn draw(&self, lines: &[String]) {
        if !self.terminal {
            return write(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
        let (columns, rows) = self.size();
        let fitting: Vec<String> = lines.iter().take(rows).map(|line| cut(line, columns)).collect();
        // From the top left; what was to the right and below is erased.
        write(&format!("\x1b[H{}\x1b[K\x1b[J", fitting.join("\x1b[K\r\n")));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal {
            write("\x1b[?25h\x1b[?1049l");
        }
    }
}

/// `line`, no longer than `columns`.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // If nobody looks, nothing is lost.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

//! Lines in a pane, of which one has the cursor.

use super::diagram::put;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A line: texts one after the other, each in its style.
pub(crate) type Line = Vec<(String, Style)>;

/// Draws entries of one or more lines each, so that the one with the cursor is in sight. How many
/// lines there was room for.
pub(crate) fn list(
    entries: &[Vec<Line>],
    cursor: Option<(usize, Style)>,
    area: Rect,
    buffer: &mut Buffer,
) -> usize {
    let height = usize::from(area.height);
    if height == 0 {
        return 0;
    }
    let first_line = |entry: usize| entries.iter().take(entry).map(Vec::len).sum::<usize>();
    let total = first_line(entries.len());
    let top = match cursor {
        Some((at, _)) => {
            let (start, end) = (first_line(at), first_line(at + 1));
            let middle = start.saturating_sub(height / 3);
            middle.max(end.saturating_sub(height).min(start)).min(total.saturating_sub(height))
        }
        None => 0,
    };
    let lines = entries
        .iter()
        .enumerate()
        .flat_map(|(entry, lines)| lines.iter().map(move |line| (entry, line)));
    for (row, (entry, line)) in lines.skip(top).take(height).enumerate() {
        let place = Rect { y: area.y + row as u16, height: 1, ..area };
        let mut at = 0;
        for (text, style) in line {
            put(buffer, place, at, text, *style);
            at += text.chars().count();
        }
        if let Some((_, style)) = cursor.filter(|(at, _)| *at == entry) {
            buffer.set_style(place, style);
        }
    }
    // Beside the lines, where every pane leaves a column free.
    let more = Rect { x: area.right(), width: 1, ..area };
    if top > 0 {
        put(buffer, more, 0, "↑", Style::new());
    }
    if top + height < total {
        put(buffer, Rect { y: area.bottom() - 1, height: 1, ..more }, 0, "↓", Style::new());
    }
    height
}

//! Draws a screen of the viewer as a picture: `picture FILE [KEYS [WIDTH HEIGHT]] > PICTURE.svg`.
//!
//! KEYS are letters as they would be pressed. The picture is what the viewer draws, cell by cell.

use counterfoil_viewer::terminal::{Palette, Viewer};
use counterfoil_world::{Counterfoil, Trace};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};
use std::fmt::Write;
use std::path::Path;

/// A cell, in pixels.
const CELL: (f32, f32) = (8.0, 16.0);
/// Background, letters, and letters beside the point.
const SHADES: (&str, &str, &str) = ("#16181d", "#e4e6eb", "#8b909a");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: picture FILE [KEYS [WIDTH HEIGHT]]")?;
    let keys = arguments.next().unwrap_or_default();
    let width: u16 = arguments.next().map_or(Ok(120), |width| width.parse())?;
    let height: u16 = arguments.next().map_or(Ok(40), |height| height.parse())?;
    let palette = Palette { colour: true, rich: true, ..Palette::default() };
    let mut viewer = Viewer::<Counterfoil>::new(&file, Trace::load(Path::new(&file))?, palette);
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    terminal.draw(|frame| viewer.draw(frame))?;
    for letter in keys.chars() {
        let code = if letter == '\t' { KeyCode::Tab } else { KeyCode::Char(letter) };
        viewer.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    viewer.think(true);
    terminal.draw(|frame| viewer.draw(frame))?;
    print!("{}", picture(terminal.backend().buffer()));
    Ok(())
}

fn picture(buffer: &Buffer) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let (width, height) = (f32::from(columns) * CELL.0 + 16.0, f32::from(rows) * CELL.1 + 16.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"'DejaVu Sans Mono', 'Menlo', \
         'Consolas', monospace\" font-size=\"13.3\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        SHADES.0
    );
    for y in 0..rows {
        let mut x = 0;
        while x < columns {
            let cell = &buffer[(x, y)];
            let run = (x..columns).take_while(|at| is_alike(&buffer[(*at, y)], cell)).count();
            let run = run as u16;
            let letters: String = (x..x + run).map(|at| buffer[(at, y)].symbol()).collect();
            draw_run(&mut text, &letters, cell, (x, y), run);
            x += run;
        }
    }
    text.push_str("</svg>\n");
    text
}

fn is_alike(one: &Cell, other: &Cell) -> bool {
    one.fg == other.fg && one.modifier == other.modifier
}

fn draw_run(text: &mut String, letters: &str, cell: &Cell, (x, y): (u16, u16), run: u16) {
    let (left, top) = (f32::from(x) * CELL.0 + 8.0, f32::from(y) * CELL.1 + 8.0);
    let width = f32::from(run) * CELL.0;
    let has = |modifier| cell.modifier.contains(modifier);
    let hue = if let Color::Rgb(red, green, blue) = cell.fg {
        format!("#{red:02x}{green:02x}{blue:02x}")
    } else {
        let shade = if has(Modifier::DIM) { SHADES.2 } else { SHADES.1 };
        shade.to_owned()
    };
    let fill = if has(Modifier::REVERSED) { SHADES.0.to_owned() } else { hue.clone() };
    if has(Modifier::REVERSED) {
        let height = CELL.1;
        let _ = writeln!(
            text,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"{hue}\"/>"
        );
    }
    if letters.trim().is_empty() {
        return;
    }
    let weight = if has(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let letters = letters.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{}\" textLength=\"{width}\" fill=\"{fill}\"{weight} \
         xml:space=\"preserve\">{letters}</text>",
        top + 12.5
    );
}

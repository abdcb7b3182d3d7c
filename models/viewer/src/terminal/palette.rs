//! Hues and signs. Every fact has a sign or a word; hues only make it quicker to find.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// What the viewer may use of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// Use hues.
    pub colour: bool,
    /// The background is light.
    pub light: bool,
    /// The terminal knows every hue, not only the 256 of xterm.
    pub rich: bool,
    /// Use only letters and signs of ASCII.
    pub ascii: bool,
}

/// A hue of Okabe and Ito, and what of the 256 is nearest to it.
type Hue = (u8, u8, u8, u8);

const VERMILLION: Hue = (0xd5, 0x5e, 0x00, 166);
const GREEN: Hue = (0x00, 0x9e, 0x73, 36);
const BLUE: Hue = (0x00, 0x72, 0xb2, 25);
const SKY: Hue = (0x56, 0xb4, 0xe9, 74);
const PURPLE: Hue = (0xcc, 0x79, 0xa7, 175);
const ORANGE: Hue = (0xe6, 0x9f, 0x00, 178);

impl Palette {
    fn hue(&self, (red, green, blue, near): Hue) -> Style {
        match (self.colour, self.rich) {
            (false, _) => Style::new(),
            (true, true) => Style::new().fg(Color::Rgb(red, green, blue)),
            (true, false) => Style::new().fg(Color::Indexed(near)),
        }
    }

    /// What is violated, lost, removed, differs.
    pub(crate) fn bad(&self) -> Style {
        self.hue(VERMILLION).add_modifier(Modifier::BOLD)
    }

    /// What holds, is added.
    pub(crate) fn good(&self) -> Style {
        self.hue(GREEN)
    }

    /// What changed.
    pub(crate) fn changed(&self) -> Style {
        self.hue(if self.light { BLUE } else { SKY })
    }

    /// Faults and copies.
    pub(crate) fn fault(&self) -> Style {
        self.hue(PURPLE)
    }

    /// What overtook, and what asks for attention.
    pub(crate) fn notice(&self) -> Style {
        // Orange is too pale on white.
        self.hue(if self.light { VERMILLION } else { ORANGE })
    }

    /// What is beside the point.
    pub(crate) fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// A heading, or what the step is about.
    pub(crate) fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What the next key is about.
    pub(crate) fn chosen(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The frame of the pane that has the keys.
    pub(crate) fn frame(&self, focused: bool) -> Style {
        if focused { self.changed().add_modifier(Modifier::BOLD) } else { self.dim() }
    }

    /// Writes what was drawn in signs of ASCII, each as wide as what it stands for.
    pub(crate) fn spell(&self, buffer: &mut Buffer) {
        if !self.ascii {
            return;
        }
        for cell in &mut buffer.content {
            let Some(sign) = cell.symbol().chars().next().filter(|sign| !sign.is_ascii()) else {
                continue;
            };
            cell.set_char(ascii(sign));
        }
    }
}

fn ascii(sign: char) -> char {
    match sign {
        '─' | '━' => '-',
        '═' => '=',
        '≈' => '~',
        '╌' | '·' | '…' => '.',
        '│' | '├' | '┤' | '┃' => '|',
        '┼' | '╭' | '╰' | '╮' | '╯' | '┌' | '┐' | '└' | '┘' | '┏' | '┓' | '┗' | '┛' | '┬' | '┴' => {
            '+'
        }
        '║' | '┊' => ':',
        '▶' | '▷' | '→' | '▸' | '›' => '>',
        '◀' | '◁' | '←' | '‹' => '<',
        '↑' => '^',
        '▾' | '↓' => 'v',
        '●' => 'o',
        '◆' => '@',
        '○' => '.',
        '✗' => 'x',
        '✓' => 'v',
        '≠' => '#',
        '≡' => '=',
        '×' => 'x',
        '—' => '-',
        _ => '?',
    }
}

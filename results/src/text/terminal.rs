//! Text for a terminal: optional colour, tables that fit the width, and no external text that could send control sequences to the
//! terminal.

use crate::results_json::{RunVerdict, Verdict};
use heckle_history::printable::printable;

/// Whether to use colour. The caller checks for a terminal and for `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Colour by ANSI escape sequences.
    Ansi,
    /// No colour.
    Never,
}

/// The style of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A good result.
    Good,
    /// A bad result.
    Bad,
    /// An unknown result or a warning.
    Doubt,
    /// Secondary text.
    Dim,
    /// A heading.
    Strong,
    /// Unstyled text.
    Plain,
}

impl Colour {
    /// Formats `words` in the given style.
    pub fn paint(self, look: Style, words: &str) -> String {
        let code = match look {
            Style::Good => "32",
            Style::Bad => "1;31",
            Style::Doubt => "33",
            Style::Dim => "2",
            Style::Strong => "1",
            Style::Plain => "",
        };
        if self == Colour::Never || code.is_empty() { words.to_owned() } else { format!("\x1b[{code}m{words}\x1b[0m") }
    }
}

/// Returns the style for the verdict of a run.
pub fn run_verdict_style(verdict: RunVerdict) -> Style {
    match verdict {
        RunVerdict::Valid => Style::Good,
        RunVerdict::Invalid | RunVerdict::Error => Style::Bad,
        RunVerdict::Unknown | RunVerdict::GateMissed => Style::Doubt,
    }
}

/// Returns the style for the verdict of a check.
pub fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Valid => Style::Good,
        Verdict::Invalid => Style::Bad,
        Verdict::Unknown => Style::Doubt,
    }
}

/// Returns external text on one line and without control sequences: see [`heckle_history::printable`].
pub fn clean(words: &str) -> String {
    printable(words).into_owned()
}

/// Truncates `words` to at most `letters` characters.
pub fn shorten(words: &str, letters: usize) -> String {
    if words.chars().count() <= letters { words.to_owned() } else { words.chars().take(letters.saturating_sub(1)).chain(['…']).collect() }
}

/// Breaks `words` into lines of at most `width` characters, at spaces where possible.
pub fn wrap(words: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let used = lines.last().map_or(0, |l| l.chars().count());
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width {
                let line = lines.last_mut().expect("never empty");
                line.extend(std::iter::repeat_n(' ', gap).chain(word));
                break;
            }
            if used > 0 {
                lines.push(String::new());
            } else {
                // A word that is wider than the line is split rather than lost.
                let rest = word.split_off(width);
                lines.last_mut().expect("never empty").extend(word);
                lines.push(String::new());
                word = rest;
            }
        }
    }
    lines
}

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

/// A cell of a table.
pub type Cell = (Style, String);

/// Formats a table: a heading, rows, two spaces between columns, lines truncated at `width`.
pub fn table(heading: &[(&str, Align)], rows: &[Vec<Cell>], width: usize, colour: Colour) -> String {
    let length = |s: &str| s.chars().count();
    let widths: Vec<usize> = (0..heading.len())
        .map(|i| rows.iter().filter_map(|r| r.get(i)).map(|c| length(&c.1)).max().unwrap_or(0).max(length(heading[i].0)))
        .collect();
    let line = |cells: Vec<Cell>| -> String {
        let mut left = width;
        let mut out = String::new();
        let last = cells.len() - 1;
        for (i, (look, words)) in cells.into_iter().enumerate() {
            let pad = " ".repeat(widths[i] - length(&words));
            let (before, after) = if heading[i].1 == Align::Right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let gap = if i == 0 { "" } else { "  " };
            // Only the last column is truncated, so the figures before it stay complete.
            let room = left.saturating_sub(gap.len() + before.len());
            let shown = if i == last { shorten(&words, room) } else { words };
            left = room.saturating_sub(length(&shown) + after.len());
            out += &format!("{gap}{before}{}{}", colour.paint(look, &shown), if i == last { "" } else { after });
        }
        // Trailing spaces would be a nuisance when the text is copied.
        out.trim_end_matches(' ').to_owned() + "\n"
    };
    let mut out = line(heading.iter().map(|(words, _)| (Style::Dim, (*words).to_owned())).collect());
    for row in rows {
        out += &line(row.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_keep_all_words() {
        assert_eq!(wrap("a stale read of 17 by op 901", 20), ["a stale read of 17", "by op 901"]);
        assert_eq!(wrap(&"x".repeat(45), 20), ["x".repeat(20), "x".repeat(20), "x".repeat(5)]);
        assert_eq!(wrap("", 20), [""]);
    }

    #[test]
    fn names_cannot_control_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn tables_fit_the_width_and_plain_ones_have_no_escapes() {
        let rows =
            vec![vec![(Style::Good, "valid".to_owned()), (Style::Plain, "7".into()), (Style::Dim, "a long reason that goes on".into())]];
        let heading = [("verdict", Align::Left), ("ops", Align::Right), ("why", Align::Left)];
        assert_eq!(table(&heading, &rows, 30, Colour::Never), "verdict  ops  why\nvalid      7  a long reason t…\n");
        assert!(table(&heading, &rows, 30, Colour::Ansi).contains("\x1b[32mvalid\x1b[0m"));
    }
}

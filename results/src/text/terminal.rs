//! Text for a terminal: colour only where it is asked for, tables that fit the width, and nothing from outside that
//! could steer the terminal.

use crate::results_json::{RunVerdict, Verdict};
use heckle_history::printable::printable;

/// Whether to colour. The caller knows of terminals and `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With escape sequences.
    Ansi,
    /// Plain.
    Never,
}

/// How words are to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// In doubt.
    Doubt,
    /// Of the second rank.
    Dim,
    /// A heading.
    Strong,
    /// As it is.
    Plain,
}

impl Colour {
    /// `words` in that look.
    pub fn paint(self, look: Look, words: &str) -> String {
        let code = match look {
            Look::Good => "32",
            Look::Bad => "1;31",
            Look::Doubt => "33",
            Look::Dim => "2",
            Look::Strong => "1",
            Look::Plain => "",
        };
        if self == Colour::Never || code.is_empty() { words.to_owned() } else { format!("\x1b[{code}m{words}\x1b[0m") }
    }
}

/// The look of a run's verdict.
pub fn look_of_run(verdict: RunVerdict) -> Look {
    match verdict {
        RunVerdict::Valid => Look::Good,
        RunVerdict::Invalid | RunVerdict::Error => Look::Bad,
        RunVerdict::Unknown | RunVerdict::GateMissed => Look::Doubt,
    }
}

/// The look of a check's verdict.
pub fn look_of(verdict: Verdict) -> Look {
    match verdict {
        Verdict::Valid => Look::Good,
        Verdict::Invalid => Look::Bad,
        Verdict::Unknown => Look::Doubt,
    }
}

/// What came from outside, on one line and with nothing that steers: see [`heckle_history::printable`].
pub fn clean(words: &str) -> String {
    printable(words).into_owned()
}

/// At most `letters` letters of `words`.
pub fn shorten(words: &str, letters: usize) -> String {
    if words.chars().count() <= letters { words.to_owned() } else { words.chars().take(letters.saturating_sub(1)).chain(['…']).collect() }
}

/// Breaks `words` into lines of at most `width` letters, at spaces where there are any.
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
                // A word wider than the line is cut rather than lost.
                let rest = word.split_off(width);
                lines.last_mut().expect("never empty").extend(word);
                lines.push(String::new());
                word = rest;
            }
        }
    }
    lines
}

/// Which way a column leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lean {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A cell.
pub type Cell = (Look, String);

/// Rows under a heading, columns two spaces apart, lines cut at `width`.
pub fn table(heading: &[(&str, Lean)], rows: &[Vec<Cell>], width: usize, colour: Colour) -> String {
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
            let (before, after) = if heading[i].1 == Lean::Right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let gap = if i == 0 { "" } else { "  " };
            // Only the last column is cut: figures before it stay whole.
            let room = left.saturating_sub(gap.len() + before.len());
            let shown = if i == last { shorten(&words, room) } else { words };
            left = room.saturating_sub(length(&shown) + after.len());
            out += &format!("{gap}{before}{}{}", colour.paint(look, &shown), if i == last { "" } else { after });
        }
        // What is padded at the end of a line is only in the way when it is copied.
        out.trim_end_matches(' ').to_owned() + "\n"
    };
    let mut out = line(heading.iter().map(|(words, _)| (Look::Dim, (*words).to_owned())).collect());
    for row in rows {
        out += &line(row.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_lose_nothing() {
        assert_eq!(wrap("a stale read of 17 by op 901", 20), ["a stale read of 17", "by op 901"]);
        assert_eq!(wrap(&"x".repeat(45), 20), ["x".repeat(20), "x".repeat(20), "x".repeat(5)]);
        assert_eq!(wrap("", 20), [""]);
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn tables_fit_and_plain_ones_have_no_escapes() {
        let rows =
            vec![vec![(Look::Good, "valid".to_owned()), (Look::Plain, "7".into()), (Look::Dim, "a long reason that goes on".into())]];
        let heading = [("verdict", Lean::Left), ("ops", Lean::Right), ("why", Lean::Left)];
        assert_eq!(table(&heading, &rows, 30, Colour::Never), "verdict  ops  why\nvalid      7  a long reason t…\n");
        assert!(table(&heading, &rows, 30, Colour::Ansi).contains("\x1b[32mvalid\x1b[0m"));
    }
}

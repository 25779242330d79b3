//! A drawing as shapes, before it becomes SVG or PNG. Both are made from the same shapes, so they look the same.

#[cfg(test)]
use crate::charts::audit::{Sheet, TextBox};
use crate::charts::style::{self, FONT};
use plotters::prelude::{FontDesc, FontFamily, FontStyle};

/// The meaning of a colour. Style sheet and PNG map each meaning to the same colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Primary text.
    Ink,
    /// Secondary text.
    Dim,
    /// The background, used to cut bars.
    Paper,
    /// An op that was answered.
    Answered,
    /// An op that failed.
    Failed,
    /// An op without a known end.
    Open,
    /// The op that shows the contradiction.
    Violation,
    /// The band of a fault.
    Band,
    /// The name of a fault and the edges of its band.
    Fault,
}

/// A position and a size in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A text, positioned by the left end of its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) size: f64,
    pub(super) strong: bool,
    pub(super) tone: Tone,
    pub(super) words: String,
}

/// A shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A filled rectangle.
    Fill(Area, Tone),
    /// The dashed outline of a rectangle.
    Outline(Area, Tone),
    /// A line through points, dotted or solid.
    Line(Vec<(f64, f64)>, Tone, LineStyle),
    /// A text.
    Text(Text),
    /// The shapes of one op, to be highlighted together.
    Op(u64, Vec<Shape>),
}

/// Style of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineStyle {
    Solid,
    Dotted,
}

/// A drawing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
}

#[cfg(test)]
impl Text {
    /// Returns the box that the letters cover.
    pub(super) fn covers(&self) -> TextBox {
        let width = width(&self.words, self.size, self.strong);
        TextBox { words: self.words.clone(), x: self.x, y: self.y - self.size * 0.76, width, height: self.size }
    }
}

#[cfg(test)]
impl Drawing {
    /// Returns the texts in the form required by an audit.
    pub(super) fn sheet(&self) -> Sheet {
        let texts = self.texts().into_iter().map(Text::covers).collect();
        Sheet { width: self.width, height: self.height, texts }
    }

    /// Returns all texts, including those of ops.
    pub(super) fn texts(&self) -> Vec<&Text> {
        fn collect<'a>(shapes: &'a [Shape], out: &mut Vec<&'a Text>) {
            for shape in shapes {
                match shape {
                    Shape::Text(text) => out.push(text),
                    Shape::Op(_, inner) => collect(inner, out),
                    Shape::Fill(..) | Shape::Outline(..) | Shape::Line(..) => {}
                }
            }
        }
        let mut out = vec![];
        collect(&self.shapes, &mut out);
        out
    }
}

/// Maximum ratio of a bold letter's width to a regular one.
const STRONG: f64 = 1.14;

/// Ratio of a font's line height to its em. Plotters sizes a font by its line height, a style sheet by its em.
pub(super) const LINE: f64 = 1.17;

/// Returns the width of `words` in pixels. Pages specify the same font first, and most other fonts are narrower.
pub(super) fn width(words: &str, size: f64, strong: bool) -> f64 {
    style::register_fonts();
    let font = FontDesc::new(FontFamily::Name(FONT), size * LINE, FontStyle::Normal);
    let plain = font.box_size(words).map_or(0.0, |(w, _)| f64::from(w));
    if strong { plain * STRONG } else { plain }
}

/// Breaks `words` into lines of at most `room` pixels, at spaces where possible.
pub(super) fn wrap(words: &str, size: f64, strong: bool, room: f64) -> Vec<String> {
    let fits = |line: &str| width(line, size, strong) <= room;
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let line = lines.last_mut().expect("never empty");
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if fits(&longer) {
            *line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        // A word that is wider than the line is split.
        for letter in word.chars() {
            let line = lines.last_mut().expect("never empty");
            line.push(letter);
            if !fits(line) && line.chars().count() > 1 {
                line.pop();
                lines.push(letter.to_string());
            }
        }
    }
    lines
}

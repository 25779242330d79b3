//! Draws text and shapes for all charts.

use super::audit;
use super::canvas::Area;
use super::style::{self, FONT};
use crate::terminal::shorten;
use plotters::element::{PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The direction of hatching. It distinguishes areas of the same colour, including in print and for colour-blind readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hatch {
    /// Lines from lower left to upper right.
    Rising,
    /// Horizontal lines.
    Level,
}

/// Distance between hatching lines, in pixels.
const HATCH_SPACING: i32 = 5;

/// Returns a text style of `size` and `colour` with the given alignment.
pub fn text_style(size: i32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    let font = FontDesc::new(FontFamily::Name(FONT), f64::from(size), FontStyle::Normal);
    TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(h, v) }
}

/// Draws text.
pub fn text(area: &Area<'_>, at: (i32, i32), words: &str, style: &TextStyle<'_>) {
    // The font's box has more space above the letters than below, so text centred by the box looks too high.
    let lower = if matches!(style.pos.v_pos, VPos::Center) { (style.font.get_size() / 6.0).round() as i32 } else { 0 };
    let at = (at.0, at.1 + lower);
    audit::add(|| text_box(area, at, words, style));
    area.draw(&Text::new(words.to_owned(), at, style.clone())).expect("drawing into memory does not fail");
}

/// The box of the letters of a text.
fn text_box(area: &Area<'_>, at: (i32, i32), words: &str, style: &TextStyle<'_>) -> audit::TextBox {
    let (width, size) = (f64::from(width(area, words, style)), style.font.get_size());
    let x = f64::from(at.0)
        - match style.pos.h_pos {
            HPos::Left => 0.0,
            HPos::Center => width / 2.0,
            HPos::Right => width,
        };
    let y = f64::from(at.1)
        + match style.pos.v_pos {
            // The offset of the letters from the anchor, as drawn by plotters.
            VPos::Top => -size * 0.1,
            VPos::Center => -size * 0.5,
            VPos::Bottom => -size * 0.9,
        };
    audit::TextBox { words: words.to_owned(), x, y, width, height: size * 0.75 }
}

/// Draws a line through `points`.
pub fn line(area: &Area<'_>, points: Vec<(i32, i32)>, style: impl Into<ShapeStyle>) {
    area.draw(&PathElement::new(points, style)).expect("drawing into memory does not fail");
}

/// Draws a rectangle between two corners.
pub fn rectangle(area: &Area<'_>, corners: [(i32, i32); 2], style: impl Into<ShapeStyle>) {
    area.draw(&Rectangle::new(corners, style)).expect("drawing into memory does not fail");
}

/// Draws hatching between two corners, the upper left one first. The lines of adjacent areas meet.
pub fn hatch(area: &Area<'_>, [(left, top), (right, bottom)]: [(i32, i32); 2], hatch: Hatch) {
    let style = ShapeStyle { color: style::PAPER.mix(0.9), filled: false, stroke_width: 1 };
    let first = |from: i32| from + (HATCH_SPACING - from.rem_euclid(HATCH_SPACING)) % HATCH_SPACING;
    match hatch {
        Hatch::Level => {
            for y in (first(top)..=bottom).step_by(HATCH_SPACING as usize) {
                line(area, vec![(left, y), (right, y)], style);
            }
        }
        Hatch::Rising => {
            // All points of a line have the same sum of column and row.
            for sum in (first(left + top)..=right + bottom).step_by(HATCH_SPACING as usize) {
                let (from, to) = (left.max(sum - bottom), right.min(sum - top));
                if from <= to {
                    line(area, vec![(from, sum - from), (to, sum - to)], style);
                }
            }
        }
    }
}

/// Returns the width of `words` in pixels.
pub fn width(area: &Area<'_>, words: &str, style: &TextStyle<'_>) -> i32 {
    area.estimate_text_size(words, style).map_or(0, |(w, _)| w as i32)
}

/// Truncates `words` to fit into `room` pixels.
pub fn fit(area: &Area<'_>, words: &str, style: &TextStyle<'_>, room: i32) -> String {
    let letters = words.chars().count();
    let cut = (1..=letters).rev().map(|n| shorten(words, n)).find(|cut| width(area, cut, style) <= room);
    cut.unwrap_or_default()
}

/// Draws a triangle that points up.
pub fn up(area: &Area<'_>, at: (i32, i32), r: i32, colour: RGBColor) {
    let points = vec![(at.0 - r, at.1 + r), (at.0 + r, at.1 + r), (at.0, at.1 - r)];
    area.draw(&Polygon::new(points, colour.filled())).expect("drawing into memory does not fail");
}

/// Draws a diagonal cross.
pub fn cross(area: &Area<'_>, at: (i32, i32), r: i32, colour: RGBColor) {
    for d in [1, -1] {
        line(area, vec![(at.0 - r, at.1 - d * r), (at.0 + r, at.1 + d * r)], colour.stroke_width(2));
    }
}

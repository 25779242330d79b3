//! Fault bars above a plot: one bar per fault, with kind and targets inside or next to it, in as many rows as needed.
//!
//! Labels never overlap, and none is missing as long as there is room for a number. If there are too many faults for full labels,
//! the targets are left out. If that is not enough, each fault is labelled with its number, which also appears in the tables of
//! the report. Above the bars is a row for the numbers of violations.

use super::Scene;
use super::canvas::{Area, LANES_TOP, LEFT, RIGHT};
use super::draw::{line, rectangle, text, text_style, width};
use super::style::{self, FAULT, INK, SMALL, VIOLATION};
use crate::faults::FaultWindow;
use crate::terminal::shorten;
use plotters::prelude::{Color, ShapeStyle, WHITE};
use plotters::style::text_anchor::{HPos, VPos};

/// Maximum number of rows of bars.
const MAX_LANES: usize = 4;
/// Height of a row in pixels.
pub(super) const HEIGHT: i32 = 23;
/// Maximum length of a label, in characters. The table in the report contains the full label.
const MAX_LABEL: usize = 28;

/// The bar of a fault.
pub(super) struct Bar {
    /// Upper edge.
    top: i32,
    from: i32,
    to: i32,
    label: Option<Label>,
    effective: bool,
    detail: Detail,
}

struct Label {
    x: i32,
    inside: bool,
    words: String,
}

/// The level of detail of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    All,
    Kind,
    Number,
    /// A number, where there is room.
    Room,
}

/// Assigns each fault to the first row that has room for it and its label. Also returns the upper edge of the plot below the rows.
pub(super) fn place(area: &Area<'_>, scene: Scene<'_>, column: impl Fn(f64) -> i32) -> (i32, Vec<Bar>) {
    style::register_fonts();
    let try_with = |says| try_place(area, scene, &column, says);
    let bars = [Detail::All, Detail::Kind, Detail::Number].into_iter().find_map(try_with);
    let bars = bars.or_else(|| try_with(Detail::Room)).expect("bars share the last row");
    let below = bars.iter().map(|bar| bar.top + HEIGHT).max();
    (below.map_or(first_row(scene) + 26, |edge| edge + 32), bars)
}

/// Returns the upper edge of the first row of bars, below the numbers of violations.
fn first_row(scene: Scene<'_>) -> i32 {
    LANES_TOP + if scene.violations.is_empty() { 0 } else { HEIGHT - 3 }
}

/// Returns a remark about labels that are only numbers.
pub(super) fn remark(bars: &[Bar]) -> &'static str {
    match bars.first().map(|bar| bar.detail) {
        Some(Detail::Number | Detail::Room) => "; faults by number, as in the report",
        Some(Detail::All | Detail::Kind) | None => "",
    }
}

/// Like [`place`], with a fixed level of detail. Returns `None` if labels would overlap.
fn try_place(area: &Area<'_>, scene: Scene<'_>, column: &impl Fn(f64) -> i32, says: Detail) -> Option<Vec<Bar>> {
    let style = text_style(SMALL, INK, HPos::Left, VPos::Center);
    let mut free_from = [i32::MIN; MAX_LANES];
    let mut bars = vec![];
    for fault in &scene.measured.faults {
        let from = column(fault.began.as_secs_f64());
        let to = column(fault.end(scene.history.end).as_secs_f64()).max(from + 3);
        let words = label_text(fault, says);
        let wide = width(area, &words, &style);
        let inside = wide + 8 <= to - from;
        // Inside the bar if possible, otherwise to its right, otherwise to its left.
        let (x, left, right) = match (inside, to + 6 + wide <= RIGHT + 20) {
            (true, _) => (from + 4, from, to),
            (false, true) => (to + 6, from, to + 6 + wide),
            (false, false) => (from - 6 - wide, from - 6 - wide, to),
        };
        let (lane, shown) = match ((0..MAX_LANES).find(|lane| free_from[*lane] <= left), says) {
            (Some(lane), _) => (lane, true),
            (None, Detail::All | Detail::Kind | Detail::Number) => return None,
            (None, Detail::Room) => (MAX_LANES - 1, false),
        };
        free_from[lane] = free_from[lane].max(if shown { right + 4 } else { to });
        let label = shown.then_some(Label { x, inside, words });
        let top = first_row(scene) + lane as i32 * HEIGHT;
        bars.push(Bar { top, from, to, label, effective: fault.effective, detail: says });
    }
    Some(bars)
}

fn label_text(fault: &FaultWindow, says: Detail) -> String {
    let label = match says {
        Detail::All => shorten(&fault.label(), MAX_LABEL),
        Detail::Kind => shorten(&fault.kind, MAX_LABEL),
        // The outline of the bar already shows whether there was no effect.
        Detail::Number | Detail::Room => return fault.id.to_string(),
    };
    if fault.effective { label } else { label + " (no effect)" }
}

/// Draws the numbers of violations, each above its line, if there is room.
fn violations(area: &Area<'_>, scene: Scene<'_>, bottom: i32) {
    let style = text_style(SMALL, VIOLATION, HPos::Left, VPos::Center);
    let scale = super::axis::Scale::Linear { min: 0.0, max: scene.history.end.as_secs_f64().max(0.001) };
    let mut free = i32::MIN;
    for (i, (t, id)) in scene.violations.iter().enumerate() {
        let x = LEFT + (scale.place(*t) * f64::from(RIGHT - LEFT)).round() as i32;
        line(area, vec![(x, LANES_TOP), (x, bottom)], VIOLATION.stroke_width(2));
        let words = if i == 0 { format!("violation {id}") } else { id.to_string() };
        let wide = width(area, &words, &style);
        let at = if x + 6 + wide <= RIGHT + 20 { x + 6 } else { x - 6 - wide };
        if at >= free {
            text(area, (at, LANES_TOP + 9), &words, &style);
            free = at.max(x) + wide + 8;
        }
    }
}

/// Draws the bars, their edges down to `bottom`, and the violations.
pub(super) fn draw(area: &Area<'_>, bars: &[Bar], scene: Scene<'_>, bottom: i32) {
    for bar in bars {
        let top = bar.top;
        let corners = [(bar.from, top), (bar.to, top + HEIGHT - 4)];
        if bar.effective {
            rectangle(area, corners, FAULT.filled());
        } else {
            rectangle(area, corners, ShapeStyle { color: FAULT.to_rgba(), filled: false, stroke_width: 2 });
        }
        for x in [bar.from, bar.to] {
            line(area, vec![(x, top), (x, bottom)], FAULT.mix(0.35));
        }
        if let Some(Label { x, inside, words }) = &bar.label {
            let colour = if *inside && bar.effective { WHITE } else { INK };
            text(area, (*x, top + HEIGHT / 2 - 2), words, &text_style(SMALL, colour, HPos::Left, VPos::Center));
        }
    }
    violations(area, scene, bottom);
}

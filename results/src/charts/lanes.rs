//! Fault bars above a plot: one bar per fault, with kind and targets inside or beside it, in as many rows as needed.
//!
//! Labels never overlap. If there are too many faults for full labels, all targets are left out; if that is not enough, all
//! labels are. The bands through the plot and the tables still show the faults.

use super::Scene;
use super::canvas::Area;
use super::frame::{LANES_TOP, RIGHT, line, rectangle, text, text_style, width};
use super::style::{self, FAULT, INK, SMALL};
use crate::faults::FaultWindow;
use crate::terminal::shorten;
use plotters::prelude::{Color, ShapeStyle, WHITE};
use plotters::style::text_anchor::{HPos, VPos};

/// Maximum number of rows of bars.
const MAX_LANES: usize = 3;
/// Height of a row in pixels.
pub(super) const HEIGHT: i32 = 23;
/// Maximum length of a label in characters. The table in the report has it in full.
const MAX_LABEL: usize = 28;

/// The bar of a fault.
pub(super) struct Bar {
    /// Its row.
    pub(super) lane: usize,
    /// Its left edge.
    pub(super) from: i32,
    /// Its right edge.
    pub(super) to: i32,
    label: Option<Label>,
    effective: bool,
}

struct Label {
    x: i32,
    inside: bool,
    words: String,
}

/// The level of detail of a label.
#[derive(Clone, Copy)]
enum Detail {
    All,
    Kind,
    Nothing,
}

/// Assigns each fault to the first row that has room for it and its label.
pub(super) fn place(area: &Area<'_>, scene: Scene<'_>, column: impl Fn(f64) -> i32) -> Vec<Bar> {
    style::register_fonts();
    let try_with = |says| try_place(area, scene, &column, says);
    try_with(Detail::All).or_else(|| try_with(Detail::Kind)).or_else(|| try_with(Detail::Nothing)).expect("bars without labels always fit")
}

/// Like [`place`] with a fixed level of detail; `None` if labels would overlap.
fn try_place(area: &Area<'_>, scene: Scene<'_>, column: &impl Fn(f64) -> i32, says: Detail) -> Option<Vec<Bar>> {
    let style = text_style(SMALL, INK, HPos::Left, VPos::Center);
    let mut free_from = [i32::MIN; MAX_LANES];
    let mut bars = vec![];
    for fault in &scene.measured.faults {
        let from = column(fault.began.as_secs_f64());
        let to = column(fault.end(scene.history.end).as_secs_f64()).max(from + 3);
        let words = label_text(fault, says);
        let wide = width(area, &words, &style);
        let inside = wide + 10 <= to - from;
        let end = if inside || words.is_empty() { to } else { to + 6 + wide };
        let lane = match ((0..MAX_LANES).find(|lane| free_from[*lane] <= from), says) {
            (Some(lane), _) => lane,
            (None, Detail::All | Detail::Kind) => return None,
            // If more faults overlap than there are rows, their bars share the last row.
            (None, Detail::Nothing) => MAX_LANES - 1,
        };
        free_from[lane] = free_from[lane].max(end + 4);
        // There is no room beyond the right edge, so the bar gets no label.
        let shown = !words.is_empty() && end <= RIGHT + 20;
        let label = shown.then(|| Label { x: if inside { from + 5 } else { to + 6 }, inside, words });
        bars.push(Bar { lane, from, to, label, effective: fault.effective });
    }
    Some(bars)
}

fn label_text(fault: &FaultWindow, says: Detail) -> String {
    let label = match says {
        Detail::All => shorten(&fault.label(), MAX_LABEL),
        Detail::Kind => shorten(&fault.kind, MAX_LABEL),
        Detail::Nothing => return String::new(),
    };
    if fault.effective { label } else { label + " (no effect)" }
}

/// Draws the bars, and their edges down to `bottom`.
pub(super) fn draw(area: &Area<'_>, bars: &[Bar], bottom: i32) {
    for bar in bars {
        let top = LANES_TOP + bar.lane as i32 * HEIGHT;
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
}

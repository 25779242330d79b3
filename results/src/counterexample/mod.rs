//! The counterexample: the few operations of a violation, drawn to show what was lost and why.
//!
//! One bar for each op of the argument, the faults between them as bands, a time axis without the long pauses, and the states,
//! step by step, up to the point where no further step is possible. The same drawing is part of `report.html`, the page
//! `violations/1/timeline.html` and the image `violations/1/counterexample.png`; `explain.txt` contains it as lines of text. The
//! argument itself comes from [`heckle_checker::explain::argument`]. Modules in reading order:

mod drawing; // shapes, before they become SVG or PNG
mod axis; // a time axis without the long pauses
mod layout; // places ops, faults and times
mod svg; // a drawing as inline SVG
mod png; // a drawing as an image
mod steps; // the states step by step, with buttons
mod subject; // the data from which a counterexample is drawn
mod context; // all ops on the key at that time, in lanes
mod page; // timeline.html

pub use subject::Subject;

use crate::report::markup::{Html, note};
use crate::results_json::{Crash, Violation};
use heckle_checker::explain::argument::Argument;
use heckle_history::{History, Nanos, OpId};
use layout::Frame;

/// Widths in pixels: for a wide window, for a telephone, and for an image.
const WIDE: f64 = 860.0;
const NARROW: f64 = 350.0;
const IMAGE: f64 = 853.0;

/// Returns the argument of a violation, or `None` if the history contains none of its ops.
pub fn of_violation(history: &History, violation: &Violation) -> Option<Argument> {
    let ops: Vec<OpId> = violation.ops.iter().map(|op| OpId(*op)).collect();
    Argument::of(history, &violation.key, &ops, &violation.words)
}

/// Returns the argument of a crash.
pub fn of_crash(history: &History, crash: &Crash) -> Argument {
    let t = Nanos((crash.t_s * 1e9).round().max(0.0) as u64);
    Argument::of_crash(history, &crash.node, t, &crash.how, &crash.words)
}

/// Draws an argument as an image that stands alone.
pub fn png(argument: &Argument) -> Vec<u8> {
    png::of(&layout::draw(argument, Frame { width: IMAGE, title: true }))
}

/// Returns the drawing for a page, in two widths, one of which the style sheet shows, and the steps.
pub(crate) fn section(argument: &Argument) -> Html {
    let drawing = |width, class| svg::of(&layout::draw(argument, Frame { width, title: false }), class, &argument.title);
    let both = drawing(WIDE, "a-wide").and(drawing(NARROW, "a-narrow"));
    let inner = Html::element("figure", &[("class", "a-figure")], both).and(note(&layout::how_to_read(argument))).and(steps::of(argument));
    Html::element("div", &[("class", "argument")], inner)
}

#[cfg(test)]
mod tests;

//! The frame that all charts share: title, legend, fault bars with bands through the plot, axes with units.

use super::axis::{Scale, Tick};
use super::canvas::{Area, Canvas, HEIGHT, LEFT, RIGHT, WIDTH};
pub use super::draw::{Hatch, cross, fit, hatch, line, rectangle, text, text_style, up, width};
use super::style::{self, BAND, FAINT, GREY, GRID, INK, LABEL, SMALL, TITLE};
use super::time_ticks::time_ticks;
use super::{Caption, Scene, lanes};
use crate::results_json::RunVerdict;
use crate::terminal::shorten;
use plotters::element::Circle;
use plotters::prelude::{Color, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

const LEGEND_Y: i32 = 84;
const BOTTOM: i32 = HEIGHT as i32 - 62;

/// The symbol of a legend entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A dot.
    Dot,
    /// A triangle pointing up, for a lower bound.
    AtLeast,
    /// A cross.
    Cross,
    /// A line.
    Line,
    /// A solid square.
    Fill,
    /// A hatched square.
    Hatched(Hatch),
    /// An unfilled circle.
    Hollow,
    /// A circle around a dot.
    Ring,
}

/// The plot area of a chart, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plot {
    /// Left edge.
    pub left: i32,
    /// Right edge.
    pub right: i32,
    /// Upper edge.
    pub top: i32,
    /// Lower edge.
    pub bottom: i32,
    /// Horizontal scale.
    pub x: Scale,
    /// Vertical scale.
    pub y: Scale,
}

impl Plot {
    /// Returns the pixel column of `value` on the horizontal axis.
    pub fn column(&self, value: f64) -> i32 {
        self.left + (self.x.place(value) * f64::from(self.right - self.left)).round() as i32
    }

    /// Returns the pixel row of `value` on the vertical axis.
    pub fn row(&self, value: f64) -> i32 {
        self.bottom - (self.y.place(value) * f64::from(self.bottom - self.top)).round() as i32
    }
}

/// Draws the title with the coloured verdict, and below it a description of the chart.
pub fn title(area: &Area<'_>, caption: &Caption, shows: &str) {
    style::register_fonts();
    let style = text_style(TITLE, INK, HPos::Left, VPos::Top);
    let mut end = if caption.seed.is_empty() { String::new() } else { format!("  ·  seed {}", caption.seed) };
    end += if caption.verdict.is_some() { "  ·  " } else { "" };
    let verdict = caption.verdict.map_or("", verdict_words);
    let room = area.dim_in_pixel().0 as i32 - 48 - width(area, &end, &style) - width(area, verdict, &style);
    let plan = if caption.plan.is_empty() { "history" } else { &caption.plan };
    let words = fit(area, &shorten(plan, 48), &style, room) + &end;
    if let Some(verdict) = caption.verdict {
        let at = 24 + width(area, &words, &style);
        text(area, (at, 14), verdict_words(verdict), &text_style(TITLE, verdict_colour(verdict), HPos::Left, VPos::Top));
    }
    text(area, (24, 14), &words, &style);
    let style = text_style(LABEL, GREY, HPos::Left, VPos::Top);
    text(area, (24, 49), &fit(area, shows, &style, area.dim_in_pixel().0 as i32 - 48), &style);
}

fn verdict_words(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Valid => "VALID",
        RunVerdict::Invalid => "INVALID",
        RunVerdict::Unknown => "UNKNOWN",
        RunVerdict::GateMissed => "GATE MISSED",
        RunVerdict::Error => "ERROR",
    }
}

fn verdict_colour(verdict: RunVerdict) -> RGBColor {
    match verdict {
        RunVerdict::Valid => style::GREEN,
        RunVerdict::Invalid | RunVerdict::Error => style::VIOLATION,
        RunVerdict::Unknown | RunVerdict::GateMissed => RGBColor(156, 106, 0),
    }
}

/// Draws the frame of a chart over time: everything but the data. `y_label` names the vertical axis and its unit.
pub fn over_time(canvas: &mut Canvas, scene: Scene<'_>, shows: &str, y: Scale, y_label: &str, value: fn(f64) -> String) -> Plot {
    let plot = rows_over_time(canvas, scene, shows, BOTTOM, y);
    let area = canvas.area();
    grid(&area, &plot, value);
    text(&area, (plot.left, plot.top - 5), y_label, &text_style(SMALL, GREY, HPos::Left, VPos::Bottom));
    plot
}

/// Draws the same frame down to `bottom`, but without the lines and labels of the vertical axis, for charts that label their own rows.
pub fn rows_over_time(canvas: &mut Canvas, scene: Scene<'_>, shows: &str, bottom: i32, y: Scale) -> Plot {
    let area = canvas.area();
    let (top, lanes) = lanes::place(&area, scene, column(scene));
    title(&area, scene.caption, &format!("{shows}{}", lanes::remark(&lanes)));
    let plot = Plot { left: LEFT, right: RIGHT, top, bottom, x: time_scale(scene), y };
    bands(&area, &plot, scene);
    time_axis(&area, &plot, scene);
    lanes::draw(&area, &lanes, scene, plot.bottom);
    plot
}

/// Returns the upper edge of a plot below the fault lanes of this run.
pub(super) fn plot_top(canvas: &mut Canvas, scene: Scene<'_>) -> i32 {
    lanes::place(&canvas.area(), scene, column(scene)).0
}

fn time_scale(scene: Scene<'_>) -> Scale {
    Scale::Linear { min: 0.0, max: scene.history.end.as_secs_f64().max(0.001) }
}

/// Returns a function from a time in seconds to its pixel column.
fn column(scene: Scene<'_>) -> impl Fn(f64) -> i32 {
    let scale = time_scale(scene);
    move |s| LEFT + (scale.place(s) * f64::from(RIGHT - LEFT)).round() as i32
}

/// Draws the bands of the faults through a plot.
fn bands(area: &Area<'_>, plot: &Plot, scene: Scene<'_>) {
    for fault in &scene.measured.faults {
        let (from, to) = (plot.column(fault.began.as_secs_f64()), plot.column(fault.end(scene.history.end).as_secs_f64()));
        rectangle(area, [(from, plot.top), (to.max(from + 3), plot.bottom)], BAND.mix(0.75).filled());
    }
}

/// Adds another plot over the same time below the first one, with bands, edges and violations, and without a separate axis.
pub(super) fn panel(area: &Area<'_>, scene: Scene<'_>, (top, bottom): (i32, i32), y: Scale) -> Plot {
    let plot = Plot { left: LEFT, right: RIGHT, top, bottom, x: time_scale(scene), y };
    bands(area, &plot, scene);
    fault_edges(area, &plot, scene);
    plot
}

/// Draws horizontal lines at round values, with their labels.
pub fn grid(area: &Area<'_>, plot: &Plot, value: fn(f64) -> String) {
    let labels = text_style(LABEL, INK, HPos::Right, VPos::Center);
    for tick in plot.y.ticks(6) {
        let (v, colour) = match tick {
            Tick::Major(v) => (v, GRID),
            Tick::Minor(v) => (v, FAINT),
        };
        let row = plot.row(v);
        line(area, vec![(plot.left, row), (plot.right, row)], colour);
        if let Tick::Major(v) = tick {
            text(area, (plot.left - 10, row), &value(v), &labels);
        }
    }
    line(area, vec![(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)], GREY);
}

fn time_axis(area: &Area<'_>, plot: &Plot, scene: Scene<'_>) {
    let labels = text_style(LABEL, INK, HPos::Center, VPos::Top);
    for (v, words) in time_ticks(scene.history.end.as_secs_f64().max(0.001), 10) {
        let x = plot.column(v);
        line(area, vec![(x, plot.bottom), (x, plot.bottom + 5)], GREY);
        // The first label must not touch the labels of the vertical axis, and the last one must stay inside the picture.
        let half = width(area, &words, &labels) / 2;
        text(area, (x.clamp(plot.left + half - 4, WIDTH as i32 - 4 - half), plot.bottom + 8), &words, &labels);
    }
    // Show the phases of the run below the times, since figures do not cover the time before and after the load.
    let Some((start, end)) = scene.history.header.load_window else {
        let words = "time since the start of the run";
        return text(area, (plot.right, plot.bottom + 34), words, &text_style(SMALL, GREY, HPos::Right, VPos::Top));
    };
    let (start, end) = (plot.column(start as f64 / 1e9), plot.column(end as f64 / 1e9));
    let style = text_style(SMALL, GREY, HPos::Center, VPos::Center);
    let y = plot.bottom + 43;
    for (from, to, words) in [(plot.left, start, "warm-up"), (start, end, "load"), (end, plot.right, "quiet tail")] {
        let needed = width(area, words, &style) + 8;
        if to - from < 4 {
            continue;
        }
        let (middle, ends) = ((from + to) / 2, [(from + 1, y - 5), (from + 1, y), (to - 1, y), (to - 1, y - 5)]);
        if to - from > needed + 8 {
            line(area, vec![ends[0], ends[1], (middle - needed / 2, y)], GREY);
            line(area, vec![(middle + needed / 2, y), ends[2], ends[3]], GREY);
            text(area, (middle, y), words, &style);
        } else {
            line(area, ends.to_vec(), GREY);
        }
    }
}

/// Draws the edges of the fault bands again, for charts whose data covers the bands.
pub fn fault_edges(area: &Area<'_>, plot: &Plot, scene: Scene<'_>) {
    for fault in &scene.measured.faults {
        for t in [fault.began, fault.end(scene.history.end)] {
            let x = plot.column(t.as_secs_f64());
            line(area, vec![(x, plot.top), (x, plot.bottom)], INK.mix(0.55));
        }
    }
    for (t, _) in scene.violations {
        let x = plot.column(*t);
        line(area, vec![(x, plot.top), (x, plot.bottom)], style::VIOLATION.stroke_width(2));
    }
}

/// Draws the line of the op timeout with its label.
pub(super) fn timeout(area: &Area<'_>, plot: &Plot, scene: Scene<'_>) {
    let Some(ns) = scene.history.header.op_timeout_ns else { return };
    let ms = ns as f64 / 1e6;
    let (Scale::Log { min, max } | Scale::Linear { min, max }) = plot.y;
    if ms < min || ms > max {
        return;
    }
    let row = plot.row(ms);
    for x in (plot.left..plot.right).step_by(9) {
        line(area, vec![(x, row), (x + 4, row)], style::VERMILLION.mix(0.6));
    }
    let words = format!("op timeout {}", super::axis::duration(ms));
    let style = text_style(SMALL, GREY, HPos::Right, VPos::Bottom);
    // Place the label below the line if the upper edge is too near.
    let at = if row - plot.top > 24 { row - 3 } else { row + 24 };
    text(area, (plot.right - 4, at), &words, &style);
}

/// Draws the legend: a row of symbols with their meanings, above the data.
pub fn legend(area: &Area<'_>, entries: &[(Mark, RGBColor, String)]) {
    let of_size = |size: i32| text_style(size, INK, HPos::Left, VPos::Center);
    let total = |size: i32| entries.iter().map(|(.., words)| 25 + width(area, words, &of_size(size)) + size + 8).sum::<i32>();
    let room = area.dim_in_pixel().0 as i32 - 24;
    // If there are many entries, use a smaller font, so that none is cut off.
    let size = [LABEL, SMALL, SMALL - 3].into_iter().find(|size| total(*size) <= room).unwrap_or(SMALL - 5);
    let (style, gap) = (of_size(size), size + 8);
    let each = room / entries.len().max(1) as i32 - 25 - gap;
    let fits = total(size) <= room;
    let mut x = 24;
    for (mark, colour, words) in entries {
        let words = &if fits { words.clone() } else { fit(area, words, &style, each) };
        let (middle, y) = (x + 9, LEGEND_Y + 2);
        match mark {
            Mark::Dot => area.draw(&Circle::new((middle, y), 5, colour.filled())).expect("drawing into memory does not fail"),
            Mark::Hollow => circle(area, (middle, y), 5, *colour),
            Mark::Ring => {
                circle(area, (middle, y), 9, *colour);
                area.draw(&Circle::new((middle, y), 4, colour.filled())).expect("drawing into memory does not fail");
            }
            Mark::AtLeast => up(area, (middle, y), 6, *colour),
            Mark::Cross => cross(area, (middle, y), 5, *colour),
            Mark::Line => line(area, vec![(x, y), (x + 18, y)], colour.stroke_width(3)),
            Mark::Fill | Mark::Hatched(_) => {
                let corners = [(x + 1, y - 8), (x + 17, y + 8)];
                rectangle(area, corners, colour.filled());
                if let Mark::Hatched(lines) = mark {
                    hatch(area, corners, *lines);
                }
            }
        }
        text(area, (x + 25, y), words, &style);
        x += 25 + width(area, words, &style) + gap;
    }
}

/// Draws an unfilled circle.
pub fn circle(area: &Area<'_>, at: (i32, i32), r: i32, colour: RGBColor) {
    area.draw(&Circle::new(at, r, colour.stroke_width(2))).expect("drawing into memory does not fail");
}

//! The frame that all charts share: title, legend, fault bars with bands through the plot, axes with units.

use super::audit;
use super::axis::{Scale, Tick};
use super::canvas::{Area, Canvas, HEIGHT, WIDTH};
use super::style::{self, BAND, FAINT, FONT, GREY, GRID, INK, LABEL, SMALL, TITLE};
use super::time_ticks::time_ticks;
use super::{Caption, Scene, lanes};
use crate::results_json::RunVerdict;
use crate::terminal::shorten;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Left edge of a plot.
pub(super) const LEFT: i32 = 92;
/// Right edge of a plot.
pub(super) const RIGHT: i32 = WIDTH as i32 - 28;
const LEGEND_Y: i32 = 84;
/// Upper edge of the fault lanes.
pub(super) const LANES_TOP: i32 = 110;
const BOTTOM: i32 = HEIGHT as i32 - 62;

/// The symbol of a legend entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A dot.
    Dot,
    /// A triangle that points up, for a lower bound.
    AtLeast,
    /// A cross.
    Cross,
    /// A line.
    Line,
    /// A solid square.
    Fill,
    /// A hatched square.
    Hatched(Hatch),
    /// A circle without filling.
    Hollow,
    /// A circle around a dot.
    Ring,
}

/// The direction of hatching. It distinguishes parts of the same colour, also in print and for colour-blind readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hatch {
    /// Lines from lower left to upper right.
    Rising,
    /// Horizontal lines.
    Level,
}

/// Pixels between the lines of a hatching.
const HATCH_SPACING: i32 = 5;

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

/// Returns a text style of `size` and `colour` with the given alignment.
pub fn text_style(size: i32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    let font = FontDesc::new(FontFamily::Name(FONT), f64::from(size), FontStyle::Normal);
    TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(h, v) }
}

/// Draws text.
pub fn text(area: &Area<'_>, at: (i32, i32), words: &str, style: &TextStyle<'_>) {
    // The font's box has more space above its letters than below them, so text centred by the box looks too high.
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
            // Where plotters draws the letters relative to the anchor.
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

/// Cuts `words` until they fit into `room` pixels.
pub fn fit(area: &Area<'_>, words: &str, style: &TextStyle<'_>, room: i32) -> String {
    let letters = words.chars().count();
    let cut = (1..=letters).rev().map(|n| shorten(words, n)).find(|cut| width(area, cut, style) <= room);
    cut.unwrap_or_default()
}

/// Draws the title with the coloured verdict, and below it what the chart shows.
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

/// Draws the same frame down to `bottom`, without lines and labels of the vertical axis, for charts that label their rows
/// themselves.
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

/// The upper edge of a plot below the fault lanes of this run.
pub(super) fn plot_top(canvas: &mut Canvas, scene: Scene<'_>) -> i32 {
    lanes::place(&canvas.area(), scene, column(scene)).0
}

fn time_scale(scene: Scene<'_>) -> Scale {
    Scale::Linear { min: 0.0, max: scene.history.end.as_secs_f64().max(0.001) }
}

/// The column of a time in seconds.
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

/// Adds another plot over the same time below the first one, with bands, edges and violations, and without an axis of its own.
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
        // The first label stays clear of those of the vertical axis, and the last one inside the picture.
        let half = width(area, &words, &labels) / 2;
        text(area, (x.clamp(plot.left + half - 4, WIDTH as i32 - 4 - half), plot.bottom + 8), &words, &labels);
    }
    // The phases of a run, below the times. Figures do not cover the time before and after the load.
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

/// Draws the edges of the fault bands again, for charts whose data cover the bands.
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
    // Below the line if the upper edge is too near.
    let at = if row - plot.top > 24 { row - 3 } else { row + 24 };
    text(area, (plot.right - 4, at), &words, &style);
}

/// Draws the legend: a row of symbols with their meaning, above the data.
pub fn legend(area: &Area<'_>, entries: &[(Mark, RGBColor, String)]) {
    let of_size = |size: i32| text_style(size, INK, HPos::Left, VPos::Center);
    let total = |size: i32| entries.iter().map(|(.., words)| 25 + width(area, words, &of_size(size)) + size + 8).sum::<i32>();
    let room = area.dim_in_pixel().0 as i32 - 24;
    // Many entries are smaller, so that none is cut off.
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

/// Draws a circle without filling.
pub fn circle(area: &Area<'_>, at: (i32, i32), r: i32, colour: RGBColor) {
    area.draw(&Circle::new(at, r, colour.stroke_width(2))).expect("drawing into memory does not fail");
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

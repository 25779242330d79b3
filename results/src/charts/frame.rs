//! The frame that all charts share: title, legend, fault bars with bands through the plot, axes with units.

use super::audit;
use super::axis::{Scale, Tick, duration};
use super::canvas::{Area, Canvas, HEIGHT, WIDTH};
use super::style::{self, BAND, FAINT, FONT, GREY, GRID, INK, LABEL, SMALL, TITLE};
use super::{Caption, Scene, lanes};
use crate::results_json::RunVerdict;
use crate::terminal::shorten;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

const LEFT: i32 = 92;
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

/// Draws the title with the coloured verdict, and below it what the chart shows.
pub fn title(area: &Area<'_>, caption: &Caption, shows: &str) {
    style::register_fonts();
    let style = text_style(TITLE, INK, HPos::Left, VPos::Top);
    let plan = shorten(if caption.plan.is_empty() { "history" } else { &caption.plan }, 48);
    let mut words = plan.clone();
    if !caption.seed.is_empty() {
        words += &format!("  ·  seed {}", caption.seed);
    }
    if let Some(verdict) = caption.verdict {
        words += "  ·  ";
        let at = 24 + width(area, &words, &style);
        text(area, (at, 14), verdict_words(verdict), &text_style(TITLE, verdict_colour(verdict), HPos::Left, VPos::Top));
    }
    text(area, (24, 14), &words, &style);
    text(area, (24, 49), shows, &text_style(LABEL, GREY, HPos::Left, VPos::Top));
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
        RunVerdict::Invalid | RunVerdict::Error => style::VERMILLION,
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
    let end = scene.history.end.as_secs_f64().max(0.001);
    let area = canvas.area();
    title(&area, scene.caption, shows);
    let lanes = lanes::place(&area, scene, |s| LEFT + ((s / end) * f64::from(RIGHT - LEFT)).round() as i32);
    let top =
        LANES_TOP + lanes.iter().map(|l| l.lane + 1).max().unwrap_or(0) as i32 * lanes::HEIGHT + if lanes.is_empty() { 26 } else { 32 };
    let plot = Plot { left: LEFT, right: RIGHT, top, bottom, x: Scale::Linear { min: 0.0, max: end }, y };
    for bar in &lanes {
        rectangle(&area, [(bar.from, plot.top), (bar.to, plot.bottom)], BAND.mix(0.75).filled());
    }
    time_axis(&area, &plot, scene);
    lanes::draw(&area, &lanes, plot.bottom);
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
    for tick in plot.x.ticks(10) {
        if let Tick::Major(v) = tick {
            let x = plot.column(v);
            line(area, vec![(x, plot.bottom), (x, plot.bottom + 5)], GREY);
            text(area, (x, plot.bottom + 8), &if v == 0.0 { "0 s".into() } else { duration(v * 1e3) }, &labels);
        }
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
}

/// Draws the legend: a row of symbols with their meaning, above the data.
pub fn legend(area: &Area<'_>, entries: &[(Mark, RGBColor, String)]) {
    let style = text_style(LABEL, INK, HPos::Left, VPos::Center);
    let mut x = 24;
    for (mark, colour, words) in entries {
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
        x += 25 + width(area, words, &style) + 26;
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

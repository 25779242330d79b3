//! Percentiles of latency over time, with a panel for each kind of operation, since the costs of reads and CASes differ. Slices
//! hold about the same number of operations, and enough of them for the percentiles shown. Percentile lines never cross: from the
//! bottom, they are the median, 90, 95 and 99 %. Gaps are periods in which nothing was answered.

use super::Scene;
use super::axis::{Scale, duration};
use super::canvas::{Area, Canvas, WIDTH};
use super::frame::{self, Mark, Plot};
use super::style::{BLUE, GREY, INK, NAVY, SMALL, VERMILLION};
use crate::latency_slices::{self, LatencySlice};
use crate::measure::{ALL, sort_rank};
use plotters::element::Circle;
use plotters::prelude::{Color, RGBAColor};
use plotters::style::text_anchor::{HPos, VPos};

/// Height of a panel, and of the space above it for its name and figures, in pixels.
const PANEL: i32 = 190;
const NAME: i32 = 34;
/// Height of the axis with its labels.
const BELOW: i32 = 62;

type Percentile = fn(&LatencySlice) -> Option<f64>;

/// The percentiles with their colours and line widths, the lowest first.
fn lines() -> [(&'static str, Percentile, RGBAColor, u32); 4] {
    [
        ("p50", |s| Some(s.p50_ms), BLUE.mix(1.0), 3),
        ("p90", |s| s.p90_ms, BLUE.mix(0.6), 2),
        ("p95", |s| s.p95_ms, NAVY.mix(0.55), 2),
        ("p99", |s| s.p99_ms, NAVY.mix(1.0), 3),
    ]
}

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let by_kind = latency_slices::of(scene.history, |op| op.intended);
    let totals = latency_slices::totals(scene.history);
    let mut kinds: Vec<&String> = by_kind.keys().collect();
    kinds.sort_by_key(|kind| (sort_rank(kind), kind.as_str()));
    // With only one kind, the total would repeat it.
    if kinds.len() == 2 {
        kinds.retain(|kind| kind.as_str() != ALL);
    }
    let top = frame::plot_top(&mut Canvas::new(), scene) + NAME - 20;
    let panels = kinds.len().max(1) as i32;
    let bottom = top + panels * (PANEL + NAME) - NAME;
    let mut canvas = Canvas::sized(WIDTH, (bottom + BELOW) as u32);
    let known = || by_kind.values().flatten();
    let (min, max) = known().fold((f64::MAX, 0f64), |(min, max), s| (min.min(s.p50_ms), max.max(s.max_ms)));
    let timeout = scene.history.header.op_timeout_ns.map_or(0.0, |ns| ns as f64 / 1e6);
    let scale = if max == 0.0 { Scale::logarithmic(0.1, 100.0) } else { Scale::logarithmic(min * 0.6, max.max(timeout)) };
    let shows = "latency of ok ops, from when they were due";
    let first = frame::rows_over_time(&mut canvas, scene, shows, bottom, scale);
    let area = canvas.area();
    // The frame has a single plot from top to bottom, so clear the space between the panels.
    for (i, kind) in (0i32..).zip(&kinds) {
        let at = top + i * (PANEL + NAME);
        frame::rectangle(
            &area,
            [(0, if i == 0 { first.top } else { at - NAME + 1 }), (WIDTH as i32, at - 1)],
            super::style::PAPER.filled(),
        );
        let plot = frame::panel(&area, scene, (at, at + PANEL), scale);
        frame::grid(&area, &plot, duration);
        name(&area, &plot, kind, totals.get(*kind));
        percentiles(&area, &plot, &by_kind[*kind]);
        frame::timeout(&area, &plot, scene);
        unanswered(&area, &plot, scene, kind);
    }
    if kinds.is_empty() {
        let style = frame::text_style(SMALL, GREY, HPos::Center, VPos::Center);
        frame::text(&area, (WIDTH as i32 / 2, (first.top + bottom) / 2), "no op was answered ok", &style);
    }
    let mut legend: Vec<_> = lines().into_iter().map(|(words, _, colour, _)| (Mark::Line, flat(colour), words.to_owned())).collect();
    legend.push((Mark::Dot, GREY, "slowest".into()));
    legend.push((Mark::AtLeast, VERMILLION, "unknown outcomes, in no percentile".into()));
    frame::legend(&area, &legend);
    drop(area);
    canvas.png()
}

/// Returns the colour as it appears on white.
fn flat(colour: RGBAColor) -> plotters::prelude::RGBColor {
    let channel = |c: u8| (f64::from(c) * colour.3 + 255.0 * (1.0 - colour.3)).round() as u8;
    plotters::prelude::RGBColor(channel(colour.0), channel(colour.1), channel(colour.2))
}

/// Draws the name of a panel, with the figures of the whole run.
fn name(area: &Area<'_>, plot: &Plot, kind: &str, total: Option<&LatencySlice>) {
    let bold = frame::text_style(SMALL + 2, INK, HPos::Left, VPos::Bottom);
    let words = if kind == ALL { "all kinds" } else { kind };
    frame::text(area, (plot.left, plot.top - 5), words, &bold);
    let Some(total) = total else { return };
    let mut figures: Vec<String> = lines().iter().filter_map(|(name, of, ..)| Some(format!("{name} {}", duration(of(total)?)))).collect();
    figures.push(format!("slowest {}", duration(total.max_ms)));
    let style = frame::text_style(SMALL, GREY, HPos::Left, VPos::Bottom);
    let x = plot.left + frame::width(area, words, &bold) + 18;
    let words = format!("{} ops ok in the whole run:  {}", super::axis::count(total.ops), figures.join(",  "));
    frame::text(area, (x, plot.top - 5), &words, &style);
}

fn percentiles(area: &Area<'_>, plot: &Plot, slices: &[LatencySlice]) {
    let middle = |s: &LatencySlice| plot.column((s.start_s + s.end_s) / 2.0);
    for slice in slices {
        area.draw(&Circle::new((middle(slice), plot.row(slice.max_ms)), 3, GREY.mix(0.75).filled()))
            .expect("drawing into memory does not fail");
    }
    for (_, of, colour, wide) in lines() {
        // A gap between two slices becomes a gap in the line.
        let mut stretch: Vec<(i32, i32)> = vec![];
        let mut before: Option<f64> = None;
        let finish = |stretch: &mut Vec<(i32, i32)>| {
            match stretch[..] {
                [] => {}
                [one] => area.draw(&Circle::new(one, 4, colour.filled())).expect("drawing into memory does not fail"),
                _ => frame::line(area, stretch.clone(), colour.stroke_width(wide)),
            }
            stretch.clear();
        };
        for slice in slices {
            let apart = before.is_some_and(|end| slice.start_s - end > 1.0);
            before = Some(slice.end_s);
            if apart {
                finish(&mut stretch);
            }
            match of(slice) {
                Some(ms) => stretch.push((middle(slice), plot.row(ms))),
                None => finish(&mut stretch),
            }
        }
        finish(&mut stretch);
    }
}

/// Marks unknown outcomes at the upper edge, since percentiles do not include them.
fn unanswered(area: &Area<'_>, plot: &Plot, scene: Scene<'_>, kind: &str) {
    let mut last = i32::MIN;
    for op in scene.history.ops.iter().filter(|op| kind == ALL || op.name() == kind) {
        if matches!(op.outcome, heckle_history::Outcome::Unknown | heckle_history::Outcome::Open) {
            let x = plot.column(op.intended.as_secs_f64());
            if x.saturating_sub(last) >= 10 || last == i32::MIN {
                frame::up(area, (x, plot.top + 8), 5, VERMILLION);
                last = x;
            }
        }
    }
}

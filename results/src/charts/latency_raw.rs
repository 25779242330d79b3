//! Every operation as a point: the time at which it was sent, and its latency from the due time.
//!
//! A million points do not fit into a thousand columns, so points are counted per cell of the chart, and the darkness of a cell
//! shows the count on a log scale, so that single slow operations stay visible next to dense areas. If a cell contains two
//! outcomes, their colours are mixed by count. Rare outcomes are drawn over frequent ones.

use super::axis::{Scale, count, duration};
use super::canvas::Canvas;
use super::frame::{self, Mark, Plot};
use super::style::{BLUE, NAVY, ORANGE, SKY, VERMILLION};
use super::{Scene, mix, style};
use heckle_history::{Nanos, Operation, Outcome, Seen};
use plotters::prelude::RGBColor;
use rustc_hash::{FxHashMap, FxHashSet};

/// Maximum number of operations drawn as separate dots. Beyond it, cells of a few pixels show the density.
const MAX_DOTS: usize = 30_000;
/// Minimum distance between marks of rare outcomes, so that a thousand of them do not merge into a black bar.
const MARK_GRID: i32 = 7;
/// Colour of a cell with one operation.
const PALE: RGBColor = RGBColor(150, 200, 232);

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let shows = "latency of every op, from when it was due, by the time it was sent";
    let plot = frame::over_time(&mut canvas, scene, shows, scale(scene), "latency (log)", duration);
    points(&mut canvas, &plot, scene);
    let area = canvas.area();
    marks(&area, &plot, scene);
    let ops = scene.measured.whole.ops;
    let entry = |mark, colour, words: &str, n: u64| (mark, colour, format!("{words} {}", count(n)));
    let legend = [
        entry(Mark::Dot, BLUE, "ok, applied", ops.applied),
        entry(Mark::Dot, SKY, "condition not met", ops.condition_not_met),
        entry(Mark::Cross, ORANGE, "failed", ops.failed),
        entry(Mark::AtLeast, VERMILLION, "unknown, at least so long", ops.unknown),
    ];
    frame::legend(&area, &legend);
    drop(area);
    canvas.png()
}

/// Returns the latency to draw. For unknown outcomes it is the time until the client gave up.
fn latency_ms(op: &Operation, end: Nanos) -> f64 {
    op.completed.min(end).since(op.intended).as_ms_f64()
}

fn scale(scene: Scene<'_>) -> Scale {
    let end = scene.history.end;
    let drawn = || scene.history.ops.iter().filter(|op| !matches!(op.outcome, Outcome::Open)).map(|op| latency_ms(op, end));
    let (min, max) = drawn().fold((f64::MAX, 0f64), |(min, max), ms| (min.min(ms), max.max(ms)));
    let timeout = scene.history.header.op_timeout_ns.map_or(0.0, |ns| ns as f64 / 1e6);
    if max == 0.0 { Scale::logarithmic(0.1, timeout.max(100.0)) } else { Scale::logarithmic(min.max(0.01), max.max(timeout)) }
}

fn points(canvas: &mut Canvas, plot: &Plot, scene: Scene<'_>) {
    let end = scene.history.end;
    let dots = scene.history.ops.len() <= MAX_DOTS;
    let mut cells: FxHashMap<(i32, i32), [u32; 2]> = FxHashMap::default();
    for op in &scene.history.ops {
        let class = match op.outcome {
            Outcome::Ok(Seen::ConditionNotMet(_)) => 1,
            Outcome::Ok(Seen::Applied | Seen::Written | Seen::Value(_)) => 0,
            Outcome::Failed | Outcome::Unknown | Outcome::Open => continue,
        };
        let at = (plot.column(op.invoked.as_secs_f64()), plot.row(latency_ms(op, end)));
        let at = if dots { at } else { (at.0 & !1, at.1 & !1) };
        cells.entry(at).or_default()[class] += 1;
    }
    // Draw in an order that does not depend on hashes, so that the chart is the same every time.
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_unstable();
    let fullest = cells.iter().map(|(_, n)| n[0] + n[1]).max().unwrap_or(1);
    for ((x, y), n) in cells {
        let total = n[0] + n[1];
        let hue = mix(BLUE, SKY, f64::from(n[1]) / f64::from(total));
        if dots {
            dot(canvas, (x, y), hue);
            continue;
        }
        // A single operation is pale but visible, and the fullest cell is nearly black. A cell is two by two pixels.
        let weight = f64::from(total - 1).ln_1p() / f64::from(fullest - 1).ln_1p().max(1e-9);
        let colour = if weight < 0.5 { mix(PALE, hue, weight * 2.0) } else { mix(hue, NAVY, weight * 2.0 - 1.0) };
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            canvas.blend(x + dx, y + dy, colour, 1.0);
        }
    }
}

/// Draws a round dot of four pixels with paler corners.
fn dot(canvas: &mut Canvas, at: (i32, i32), colour: RGBColor) {
    for dy in -1..=2 {
        for dx in -1..=2 {
            let corner = (dx == -1 || dx == 2) && (dy == -1 || dy == 2);
            canvas.blend(at.0 + dx, at.1 + dy, colour, if corner { 0.15 } else { 0.5 });
        }
    }
}

fn marks(area: &super::canvas::Area<'_>, plot: &Plot, scene: Scene<'_>) {
    frame::timeout(area, plot, scene);
    let end = scene.history.end;
    for (wanted, radius) in [(Outcome::Failed, 3), (Outcome::Unknown, 5)] {
        let mut taken: FxHashSet<(i32, i32)> = FxHashSet::default();
        for op in &scene.history.ops {
            let outcome = if op.outcome == Outcome::Open { Outcome::Unknown } else { op.outcome };
            if outcome != wanted {
                continue;
            }
            let at = (plot.column(op.invoked.as_secs_f64()), plot.row(latency_ms(op, end)));
            if !taken.insert((at.0 / MARK_GRID, at.1 / MARK_GRID)) {
                continue;
            }
            match wanted {
                Outcome::Failed => frame::cross(area, at, radius, ORANGE),
                _ => frame::up(area, at, radius, style::VERMILLION),
            }
        }
    }
}

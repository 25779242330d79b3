//! What came of the ops sent in each slice, stacked: the height is the rate, the colours are the outcomes.

use super::Scene;
use super::axis::{Scale, count, digits, duration};
use super::canvas::Canvas;
use super::frame::{self, Mark};
use super::style::{BLUE, ORANGE, SKY, VERMILLION};
use crate::series::Slice;
use plotters::prelude::Color;

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let (slices, length) = (&scene.series.slices, scene.series.slice_s);
    let peak = slices.iter().map(|s| s.invoked).max().unwrap_or(0) as f64 / length;
    let shows = format!("what came of the ops sent in each {}", duration(length * 1e3));
    let mut canvas = Canvas::new();
    let plot = frame::over_time(&mut canvas, scene, &shows, Scale::from_zero(peak), "ops per second", digits);
    let area = canvas.area();
    // What went wrong stands at the bottom, where heights compare by eye.
    type Count = fn(&Slice) -> u64;
    let parts: [(Count, _); 4] =
        [(|s| s.unknown, VERMILLION), (|s| s.failed, ORANGE), (|s| s.condition_not_met, SKY), (|s| s.applied, BLUE)];
    for slice in slices {
        let (left, right) = (plot.column(slice.start_s), plot.column(slice.start_s + length));
        let mut below = 0;
        for (figure, colour) in parts {
            let n = figure(slice);
            if n == 0 {
                continue;
            }
            let (low, high) = (plot.row(below as f64 / length), plot.row((below + n) as f64 / length));
            below += n;
            // Bars touch; one that rounds to nothing is still a line, since a single unknown outcome matters.
            frame::rectangle(&area, [(left, high.min(low - 1)), (right, low)], colour.filled());
        }
    }
    frame::fault_edges(&area, &plot, scene);
    let ops = scene.measured.ops;
    let entry = |colour, words: &str, n: u64| (Mark::Fill, colour, format!("{words} {}", count(n)));
    let legend = [
        entry(BLUE, "ok, applied", ops.applied),
        entry(SKY, "condition not met", ops.condition_not_met),
        entry(ORANGE, "failed", ops.failed),
        entry(VERMILLION, "unknown", ops.unknown),
    ];
    frame::legend(&area, &legend);
    drop(area);
    canvas.png()
}

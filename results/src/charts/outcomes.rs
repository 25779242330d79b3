//! Outcomes of the operations sent in each slice, stacked: the height is the rate, the colours are the outcomes.

use super::Scene;
use super::axis::{Scale, count, digits, duration};
use super::canvas::Canvas;
use super::frame::{self, Hatch, Mark};
use super::style::{BLUE, ORANGE, SKY, VERMILLION};
use crate::series::Slice;
use plotters::prelude::{Color, RGBColor};

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let (slices, length) = (&scene.series.slices, scene.series.slice_s);
    let peak = slices.iter().map(|s| s.invoked).max().unwrap_or(0) as f64 / length;
    let shows = format!("what came of the ops sent in each {}", duration(length * 1e3));
    let mut canvas = Canvas::new();
    let plot = frame::over_time(&mut canvas, scene, &shows, Scale::from_zero(peak), "ops per second", digits);
    let area = canvas.area();
    // Failures are at the bottom of the stack, where heights are easy to compare.
    type Count = fn(&Slice) -> u64;
    let parts: [(Count, RGBColor, Option<Hatch>); 6] = [
        (|s| s.unknown - s.unknown_applied - s.unknown_not_applied, VERMILLION, None),
        (|s| s.unknown_applied, VERMILLION, Some(Hatch::Rising)),
        (|s| s.unknown_not_applied, VERMILLION, Some(Hatch::Level)),
        (|s| s.failed, ORANGE, None),
        (|s| s.condition_not_met, SKY, None),
        (|s| s.applied, BLUE, None),
    ];
    for slice in slices {
        let (left, right) = (plot.column(slice.start_s), plot.column(slice.start_s + length));
        let mut below = 0;
        for (figure, colour, hatch) in parts {
            let n = figure(slice);
            if n == 0 {
                continue;
            }
            let (low, high) = (plot.row(below as f64 / length), plot.row((below + n) as f64 / length));
            below += n;
            // Bars touch each other. A bar too small to be visible is still drawn as a line, since even a single unknown outcome matters.
            let corners = [(left, high.min(low - 1)), (right, low)];
            frame::rectangle(&area, corners, colour.filled());
            if let Some(hatch) = hatch {
                frame::hatch(&area, corners, hatch);
            }
        }
    }
    frame::fault_edges(&area, &plot, scene);
    let (ops, fates) = (scene.measured.whole.ops, scene.measured.fates);
    let entry = |mark, colour, words: &str, n: u64| (mark, colour, format!("{words} {}", count(n)));
    let untold = ops.unknown.saturating_sub(fates.applied + fates.not_applied);
    let mut legend = vec![
        entry(Mark::Fill, BLUE, "ok, applied", ops.applied),
        entry(Mark::Fill, SKY, "condition not met", ops.condition_not_met),
        entry(Mark::Fill, ORANGE, "failed", ops.failed),
        entry(Mark::Fill, VERMILLION, "unknown", untold),
    ];
    // Only if fates were queried: otherwise there is nothing to distinguish.
    if fates.applied + fates.not_applied > 0 {
        legend.push(entry(Mark::Hatched(Hatch::Rising), VERMILLION, "found applied", fates.applied));
        legend.push(entry(Mark::Hatched(Hatch::Level), VERMILLION, "found not applied", fates.not_applied));
    }
    frame::legend(&area, &legend);
    drop(area);
    canvas.png()
}

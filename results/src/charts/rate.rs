//! Operations due, sent and answered per second. If *sent* falls below *due*, the cause is the harness or the in-flight limit. If
//! *answered* falls below *sent*, it is the cluster.

use super::Scene;
use super::axis::{Scale, digits, duration};
use super::canvas::Canvas;
use super::frame::{self, Mark};
use super::style::{BLUE, GREY, INK};
use crate::series::Slice;
use plotters::prelude::Color;

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let (slices, length) = (&scene.series.slices, scene.series.slice_s);
    let peak = slices.iter().map(|s| s.due.max(s.invoked).max(s.answered)).max().unwrap_or(0) as f64 / length;
    let shows = format!("ops per second in slices of {}", duration(length * 1e3));
    let mut canvas = Canvas::new();
    let plot = frame::over_time(&mut canvas, scene, &shows, Scale::from_zero(peak), "ops per second", digits);
    let area = canvas.area();
    // Leave out the last slice: it may be shorter than the others, which would look like a drop.
    let whole = &slices[..slices.len().saturating_sub(1).max(1).min(slices.len())];
    type Count = fn(&Slice) -> u64;
    let lines: [(Count, _, _); 3] = [(|s| s.due, GREY, 7), (|s| s.invoked, INK, 2), (|s| s.answered, BLUE, 3)];
    for (figure, colour, wide) in lines {
        let steps = whole.iter().flat_map(|s| {
            let row = plot.row(figure(s) as f64 / length);
            [(plot.column(s.start_s), row), (plot.column(s.start_s + length), row)]
        });
        frame::line(&area, steps.collect(), colour.mix(if wide > 3 { 0.45 } else { 1.0 }).stroke_width(wide));
    }
    let load = &scene.measured.load;
    let sent = format!("sent ({} /s over the load)", digits(load.achieved_per_s));
    frame::legend(&area, &[(Mark::Line, GREY, "due".into()), (Mark::Line, INK, sent), (Mark::Line, BLUE, "answered ok".into())]);
    drop(area);
    canvas.png()
}

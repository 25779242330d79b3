//! Median, 99th percentile and maximum latency of ok operations in each slice of time. Percentiles are computed from the
//! histogram of each slice and never averaged. A slice without an ok operation has no point, so an outage shows as a gap.

use super::Scene;
use super::axis::{Scale, duration};
use super::canvas::Canvas;
use super::frame::{self, Mark};
use super::style::{BLUE, GREY, ORANGE, VERMILLION};
use crate::results_json::Percentiles;
use plotters::element::Circle;
use plotters::prelude::Color;

pub(super) fn draw(scene: Scene<'_>) -> Vec<u8> {
    let slices = &scene.series.slices;
    let known = || slices.iter().filter_map(|s| s.latency_ms);
    let (min, max) = known().fold((f64::MAX, 0f64), |(min, max), p| (min.min(p.p50), max.max(p.max)));
    let scale = if max == 0.0 { Scale::logarithmic(0.1, 100.0) } else { Scale::logarithmic(min * 0.6, max) };
    let slice = duration(scene.series.slice_s * 1e3);
    let shows = format!("latency of ok ops, from when they were due, in slices of {slice}");
    let mut canvas = Canvas::new();
    let plot = frame::over_time(&mut canvas, scene, &shows, scale, "latency (log)", duration);
    let area = canvas.area();
    let middle = scene.series.slice_s / 2.0;
    for slice in slices {
        if let Some(p) = slice.latency_ms {
            let at = (plot.column(slice.start_s + middle), plot.row(p.max));
            area.draw(&Circle::new(at, 3, GREY.mix(0.75).filled())).expect("drawing into memory does not fail");
        }
    }
    type Figure = fn(&Percentiles) -> f64;
    let lines: [(Figure, _); 2] = [(|p| p.p99, ORANGE), (|p| p.p50, BLUE)];
    for (figure, colour) in lines {
        for run in slices.split(|s| s.latency_ms.is_none()).filter(|run| !run.is_empty()) {
            let at = |s: &crate::series::Slice| {
                (plot.column(s.start_s + middle), plot.row(s.latency_ms.as_ref().map(figure).unwrap_or_default()))
            };
            let points: Vec<_> = run.iter().map(at).collect();
            match points[..] {
                [one] => area.draw(&Circle::new(one, 4, colour.filled())).expect("drawing into memory does not fail"),
                _ => frame::line(&area, points, colour.stroke_width(3)),
            }
        }
    }
    // Percentiles do not include unknown outcomes. Marks at the upper edge show where they occurred.
    for slice in slices.iter().filter(|s| s.unknown > 0) {
        frame::up(&area, (plot.column(slice.start_s + middle), plot.top + 8), 5, VERMILLION);
    }
    let entry = |mark, colour, words: &str| (mark, colour, words.to_owned());
    let legend = [
        entry(Mark::Line, BLUE, "median"),
        entry(Mark::Line, ORANGE, "99th percentile"),
        entry(Mark::Dot, GREY, "slowest"),
        entry(Mark::AtLeast, VERMILLION, "unknown outcomes, in no percentile"),
    ];
    frame::legend(&area, &legend);
    drop(area);
    canvas.png()
}

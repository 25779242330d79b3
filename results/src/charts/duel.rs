//! Starvation and its cause: the successes of the clients of each node above, and below, how often the node was outbid at the same time.
//!
//! Competing nodes are outbid at the same time and rarely succeed. A starving node is outbid while others succeed.

use super::Scene;
use super::axis::{Scale, count};
use super::canvas::{Area, Canvas, HEIGHT};
use super::frame::{self, Mark, Plot};
use super::style::{BLUE, GREY, GRID, INK, LABEL, ORANGE, SMALL};
use crate::series::NodeSlices;
use plotters::prelude::{Color, RGBColor};
use plotters::style::text_anchor::{HPos, VPos};

/// Space between the two halves, in pixels.
const GAP: i32 = 44;

/// Draws the chart. Returns `None` for a history without intents.
pub(super) fn draw(scene: Scene<'_>) -> Option<Vec<u8>> {
    scene.measured.fairness.as_ref()?;
    let nodes = &scene.series.nodes;
    let mut canvas = Canvas::new();
    let shows = "intents won through each node, and how often it was outbid";
    let bottom = HEIGHT as i32 - 62;
    let plot = frame::rows_over_time(&mut canvas, scene, shows, bottom, Scale::Linear { min: 0.0, max: 1.0 });
    let area = canvas.area();
    let middle = (plot.top + plot.bottom) / 2;
    let halves = [Plot { bottom: middle - GAP / 2, ..plot }, Plot { top: middle + GAP / 2, ..plot }];
    lanes(&area, &halves[0], scene, "won per second", BLUE, |n| &n.won);
    lanes(&area, &halves[1], scene, "outbid per second", ORANGE, |n| &n.preempted);
    let sum = |of: fn(&NodeSlices) -> &Vec<u64>| nodes.iter().flat_map(of).sum::<u64>();
    let backoff_ms: f64 = nodes.iter().flat_map(|n| &n.backoff_ms).sum();
    let repairs = sum(|n| &n.repairs);
    frame::legend(
        &area,
        &[
            (Mark::Fill, BLUE, format!("won {}", count(sum(|n| &n.won)))),
            (Mark::Fill, ORANGE, format!("outbid {}", count(sum(|n| &n.preempted)))),
            (Mark::Dot, GREY, format!("{} repairs, {} spent backing off", count(repairs), super::axis::duration(backoff_ms))),
        ],
    );
    drop(area);
    Some(canvas.png())
}

fn lanes(area: &Area<'_>, half: &Plot, scene: Scene<'_>, what: &str, colour: RGBColor, of: fn(&NodeSlices) -> &Vec<u64>) {
    let (nodes, length) = (&scene.series.nodes, scene.series.slice_s);
    let most = nodes.iter().flat_map(of).copied().max().unwrap_or(0).max(1);
    let style = frame::text_style(SMALL, GREY, HPos::Left, VPos::Bottom);
    let scale = format!("{what}; a full lane is {}", super::axis::digits(most as f64 / length));
    frame::text(area, (half.left, half.top - 4), &scale, &style);
    let height = (half.bottom - half.top) / nodes.len().max(1) as i32;
    for (i, node) in nodes.iter().enumerate() {
        let floor = half.top + (i as i32 + 1) * height;
        let full = f64::from(height - 6);
        frame::line(area, vec![(half.left, floor), (half.right, floor)], GRID);
        let style = frame::text_style(LABEL.min(height), INK, HPos::Right, VPos::Center);
        frame::text(area, (half.left - 10, floor - height / 2), &frame::fit(area, &node.name, &style, half.left - 14), &style);
        for (slice, n) in of(node).iter().enumerate().filter(|(_, n)| **n > 0) {
            let at = |s: usize| half.column(s as f64 * length);
            let top = floor - ((*n as f64 / most as f64) * full).round().max(1.0) as i32;
            frame::rectangle(area, [(at(slice), top), ((at(slice + 1) - 1).max(at(slice)), floor - 1)], colour.filled());
        }
    }
}

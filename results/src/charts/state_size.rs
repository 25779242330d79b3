//! Bytes of protocol state over time: the fullest node by kind, stacked, and the other nodes as lines.

use super::Scene;
use super::axis::{Scale, bytes};
use super::canvas::Canvas;
use super::frame::{self, Mark};
use super::style::{BLUE, GREY, INK, ORANGE, SKY, VERMILLION};
use heckle_history::NodeIx;
use heckle_history::event::{NodeEvent, STATE};
use plotters::prelude::{Color, RGBColor};
use std::collections::BTreeMap;

/// The kinds, from the bottom of the stack to the top: permanent data at the bottom, and above it data that pruning and expiry remove.
const KINDS: [(&str, &str, RGBColor); 5] = [
    ("data", "keys and values", GREY),
    ("promise", "promises", SKY),
    ("dedupe", "operation ids", BLUE),
    ("accepted", "accepted updates", VERMILLION),
    ("queue", "to be pruned", ORANGE),
];

/// One sample of the state of a node.
struct StateSample {
    t_s: f64,
    /// Bytes by kind, in the order of [`KINDS`].
    bytes: [u64; KINDS.len()],
}

impl StateSample {
    fn of(event: &NodeEvent) -> StateSample {
        let figure = |name: &str| event.detail.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
        StateSample { t_s: event.t.as_secs_f64(), bytes: KINDS.map(|(name, ..)| figure(name)) }
    }

    fn total(&self) -> u64 {
        self.bytes.iter().sum()
    }
}

/// Draws the chart, if any node reported its state.
pub(super) fn draw(scene: Scene<'_>) -> Option<Vec<u8>> {
    let mut nodes: BTreeMap<NodeIx, Vec<StateSample>> = BTreeMap::new();
    for event in scene.history.node_events.iter().filter(|e| &*e.what == STATE) {
        nodes.entry(event.node).or_default().push(StateSample::of(event));
    }
    let most = |looks: &[StateSample]| looks.iter().map(StateSample::total).max().unwrap_or(0);
    // Take the first of several equal nodes, so that the chart is the same every time.
    let (fullest, looks) = nodes.iter().rev().max_by_key(|(_, looks)| most(looks))?;
    let name = scene.history.names.node_name(*fullest);
    let shows = format!("bytes of protocol state: the fullest node, {name}, by kind, and the others as lines");
    let mut canvas = Canvas::new();
    let plot = frame::over_time(&mut canvas, scene, &shows, Scale::from_zero(most(looks) as f64), "bytes", bytes);
    let area = canvas.area();
    let end_s = scene.history.end.as_secs_f64();
    for (at, look) in looks.iter().enumerate() {
        // A sample is valid until the next one.
        let until_s = looks.get(at + 1).map_or(end_s, |next| next.t_s);
        let (left, right) = (plot.column(look.t_s), plot.column(until_s));
        let mut below = 0;
        for ((.., colour), bytes) in KINDS.iter().zip(look.bytes) {
            if bytes > 0 {
                let (low, high) = (plot.row(below as f64), plot.row((below + bytes) as f64));
                frame::rectangle(&area, [(left, high), (right, low)], colour.filled());
            }
            below += bytes;
        }
    }
    for (_, looks) in nodes.iter().filter(|(node, _)| *node != fullest) {
        let points = looks.iter().map(|look| (plot.column(look.t_s), plot.row(look.total() as f64)));
        frame::line(&area, points.collect(), INK.mix(0.7).stroke_width(2));
    }
    frame::fault_edges(&area, &plot, scene);
    let last = looks.last().map_or([0; KINDS.len()], |look| look.bytes);
    let held = KINDS.iter().zip(last).filter(|((name, ..), _)| looks.iter().any(|look| look.bytes[place(name)] > 0));
    let legend: Vec<_> = held.map(|((_, words, colour), last)| (Mark::Fill, *colour, format!("{words} {}", bytes(last as f64)))).collect();
    frame::legend(&area, &legend);
    drop(area);
    Some(canvas.png())
}

fn place(kind: &str) -> usize {
    KINDS.iter().position(|(name, ..)| *name == kind).unwrap_or(0)
}

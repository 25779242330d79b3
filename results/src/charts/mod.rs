//! PNG charts of a run, designed to be read at a glance. All share one frame (title with plan, seed and verdict, legend above the
//! data, faults as labelled bars with a band through the plot), use colours that colour-blind readers can distinguish (Okabe and
//! Ito, *Color Universal Design*) and have units on every axis. Modules in reading order:

pub mod axis; // scales, and round numbers for labels
pub mod time_ticks; // labels of a time axis
pub mod audit; // positions of drawn text, for tests
pub mod canvas; // a pixel buffer, and its encoding as a small PNG
pub mod style; // colours, sizes and the embedded font
mod draw; // text and shapes
pub mod frame; // the frame that all charts share
mod lanes; // fault bars above a plot
mod latency_raw; // every operation as a point
mod quantiles; // percentiles over time
mod rate; // operations due, sent and answered
mod outcomes; // outcomes of operations, stacked
mod recovery; // recovery times, one row per fault
mod state_size; // bytes of protocol state by kind
mod fairness; // successes of each client, and waiting times
mod duel; // successes of each node, and how often it was outbid

use crate::measure::Measured;
use crate::results_json::{Results, RunVerdict, Status, Violation};
use crate::series::Series;
use heckle_history::History;
use plotters::prelude::RGBColor;

/// The title of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Caption {
    /// Name of the plan.
    pub plan: String,
    /// The seed as the user typed it.
    pub seed: String,
    /// The verdict on the run; `None` while there is none.
    pub verdict: Option<RunVerdict>,
}

impl Caption {
    /// Returns the caption for a run.
    pub fn of(results: &Results) -> Self {
        let verdict = (!matches!(results.status, Status::Running | Status::Killed)).then_some(results.verdict);
        Caption { plan: results.plan.name.clone(), seed: results.seed.clone(), verdict }
    }
}

/// The data from which charts are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The history.
    pub history: &'a History,
    /// Its measured figures.
    pub measured: &'a Measured,
    /// Its time series.
    pub series: &'a Series,
    /// The title of the chart.
    pub caption: &'a Caption,
    /// Times at which violations and crashes became visible, in seconds, with their numbers.
    pub violations: &'a [(f64, u32)],
}

/// Returns the time at which each violation and crash in `results` became visible: when the last of its operations was
/// answered, or when the node ended.
pub fn violations(history: &History, results: &Results) -> Vec<(f64, u32)> {
    let shown = |violation: &Violation| {
        let ops = history.ops.iter().filter(|op| violation.ops.contains(&op.op.0));
        let ends = ops.map(|op| if op.completed > history.end { op.invoked } else { op.completed });
        Some((ends.max()?.as_secs_f64(), violation.id))
    };
    let found = results.linearizability.violations.iter().filter_map(shown);
    let mut all: Vec<(f64, u32)> = found.chain(results.crashes.iter().map(|c| (c.t_s, c.id))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all
}

/// One chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its name among the artifacts, such as `latency_raw`.
    pub name: &'static str,
    /// Its path relative to the run folder, such as `plots/latency-raw.png`.
    pub file: &'static str,
    /// Text alternative, for readers who cannot see the picture.
    pub alt: &'static str,
    /// The contents of the file.
    pub png: Vec<u8>,
}

impl Picture {
    /// Returns the width and height in pixels, read from the header of the file.
    pub fn size(&self) -> (u32, u32) {
        let number = |at: usize| self.png.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        (number(16), number(20))
    }
}

/// Draws all charts of a run.
pub fn draw(scene: Scene<'_>) -> Vec<Picture> {
    let picture = |name, file, alt, png| Picture { name, file, alt, png };
    let mut pictures = vec![
        picture("latency_raw", "plots/latency-raw.png", "Latency of every op by outcome over time, with faults", latency_raw::draw(scene)),
        picture(
            "latency_quantiles",
            "plots/latency-quantiles.png",
            "Percentiles of latency over time, for each kind of op, with faults",
            quantiles::draw(scene),
        ),
        picture("rate", "plots/rate.png", "Ops due, sent and answered per second over time, with faults", rate::draw(scene)),
        picture("outcomes", "plots/outcomes.png", "Outcomes of ops per second over time, with faults", outcomes::draw(scene)),
        picture(
            "recovery",
            "plots/recovery.png",
            "Time from the lift of each fault until every struck node answered",
            recovery::draw(scene),
        ),
    ];
    // Drawn only if nodes report these figures, which an imported history does not have.
    pictures.extend(
        state_size::draw(scene)
            .map(|png| picture("state_size", "plots/state-size.png", "Bytes of protocol state by kind over time, with faults", png)),
    );
    // Drawn only if clients have intents.
    if let (Some(shares), Some(duel)) = (fairness::draw(scene), duel::draw(scene)) {
        let alt = "Intents won by each client over time, who starves, and the distribution of waits";
        pictures.push(picture("fairness", "plots/fairness.png", alt, shares));
        let alt = "Intents won through each node over time, and how often it was outbid";
        pictures.push(picture("duel", "plots/duel.png", alt, duel));
    }
    pictures
}

/// Mixes two colours. A `share` of 0 gives `a`, and 1 gives `b`.
fn mix(a: RGBColor, b: RGBColor, share: f64) -> RGBColor {
    let channel = |a: u8, b: u8| (f64::from(a) * (1.0 - share) + f64::from(b) * share).round() as u8;
    RGBColor(channel(a.0, b.0), channel(a.1, b.1), channel(a.2, b.2))
}

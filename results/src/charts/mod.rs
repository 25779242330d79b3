//! PNG pictures of a run, made to be read at a glance: one frame for all (title with plan, seed and verdict, legend
//! above the data, faults as labelled bars with a band through the plot), colours that colour-blind readers tell apart
//! (Okabe and Ito, *Color Universal Design*), units on every axis. Modules in reading order:

pub mod axis; // from values to places, and round numbers for labels
pub mod canvas; // pixels in memory to a small PNG
pub mod style; // colours, sizes, the embedded font
pub mod frame; // what all pictures share
mod lanes; // the faults above a plot
mod latency_raw; // every op as a point
mod quantiles; // percentiles over time
mod rate; // asked, sent and answered
mod outcomes; // what came of the ops, stacked
mod recovery; // a row a fault
mod state_size; // bytes of protocol state by kind
mod fairness; // who got how much, who waited how long
mod duel; // starvation beside nodes that outbid each other

use crate::measure::Measured;
use crate::results_json::{Results, RunVerdict, Status};
use crate::series::Series;
use heckle_history::History;
use plotters::prelude::RGBColor;

/// What the title of a picture says.
#[derive(Debug, Clone, PartialEq)]
pub struct Caption {
    /// The plan's name.
    pub plan: String,
    /// The seed, as it is typed.
    pub seed: String,
    /// What the run came to; `None` while it is not judged.
    pub verdict: Option<RunVerdict>,
}

impl Caption {
    /// The caption of a run.
    pub fn of(results: &Results) -> Self {
        let verdict = (!matches!(results.status, Status::Running | Status::Killed)).then_some(results.verdict);
        Caption { plan: results.plan.name.clone(), seed: results.seed.clone(), verdict }
    }
}

/// What pictures are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The ops.
    pub history: &'a History,
    /// Its figures.
    pub measured: &'a Measured,
    /// Its slices.
    pub series: &'a Series,
    /// The title.
    pub caption: &'a Caption,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its name among the artifacts: `latency_raw`.
    pub name: &'static str,
    /// Its file, relative to the run folder: `plots/latency-raw.png`.
    pub file: &'static str,
    /// What it shows, for readers who cannot see it.
    pub alt: &'static str,
    /// The file.
    pub png: Vec<u8>,
}

/// All pictures of a run.
pub fn draw(scene: Scene<'_>) -> Vec<Picture> {
    let picture = |name, file, alt, png| Picture { name, file, alt, png };
    let mut pictures = vec![
        picture("latency_raw", "plots/latency-raw.png", "Latency of every op by outcome over time, with faults", latency_raw::draw(scene)),
        picture(
            "latency_quantiles",
            "plots/latency-quantiles.png",
            "Median, 99th percentile and slowest op over time, with faults",
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
    // Only where nodes tell of it: a history from elsewhere has none.
    pictures.extend(
        state_size::draw(scene)
            .map(|png| picture("state_size", "plots/state-size.png", "Bytes of protocol state by kind over time, with faults", png)),
    );
    // Only where clients have intents.
    if let (Some(shares), Some(duel)) = (fairness::draw(scene), duel::draw(scene)) {
        let alt = "Intents won by each client over time, who starves, and the distribution of waits";
        pictures.push(picture("fairness", "plots/fairness.png", alt, shares));
        let alt = "Intents won through each node over time, and how often it was outbid";
        pictures.push(picture("duel", "plots/duel.png", alt, duel));
    }
    pictures
}

/// `share` of the way from `a` to `b`.
fn mix(a: RGBColor, b: RGBColor, share: f64) -> RGBColor {
    let channel = |a: u8, b: u8| (f64::from(a) * (1.0 - share) + f64::from(b) * share).round() as u8;
    RGBColor(channel(a.0, b.0), channel(a.1, b.1), channel(a.2, b.2))
}

//! Charts of a comparison, in the same frame as charts of runs. Modules in reading order:

mod forest; // effects with their intervals
mod dots; // the figures of every pair
mod waits; // waiting times of intents
mod successes; // successes of clients over time
mod state_size; // bytes of protocol state over time, if arms differ in pruning or expiry

use crate::charts::style::{BLUE, GREEN, INK, ORANGE, SKY, VERMILLION};
use crate::charts::{Caption, Picture};
use crate::compare::compare_json::Comparison;
use plotters::prelude::RGBColor;

/// Draws all charts of a comparison.
pub fn draw(comparison: &Comparison) -> Vec<Picture> {
    let picture = |name, file, alt, png| Picture { name, file, alt, png };
    let mut pictures = vec![
        picture("forest", "plots/forest.png", "Effect of each arm on each figure, with its 95 % interval", forest::draw(comparison)),
        picture("pairs", "plots/pairs.png", "The primary figures of every pair, a line a pair", dots::draw(comparison)),
        picture("waits", "plots/waits.png", "Share of intents finished by a time, for each arm", waits::draw(comparison)),
        picture("successes", "plots/successes.png", "Successes of each client over time, for each arm", successes::draw(comparison)),
    ];
    let alt = "Bytes of protocol state over time, a curve for each arm";
    pictures.extend(state_size::draw(comparison).map(|png| picture("state_size", "plots/state-size.png", alt, png)));
    pictures
}

fn caption(comparison: &Comparison) -> Caption {
    Caption { plan: comparison.head.name.clone(), seed: comparison.head.seed.clone(), verdict: None }
}

/// Returns the colour of the arm at this index. The reference comes first.
fn colour(place: usize) -> RGBColor {
    const COLOURS: [RGBColor; 6] = [INK, BLUE, ORANGE, GREEN, SKY, VERMILLION];
    COLOURS[place % COLOURS.len()]
}

/// Returns the index of an arm.
fn place(comparison: &Comparison, arm: &str) -> usize {
    comparison.arms.iter().position(|a| a.name == arm).unwrap_or(0)
}

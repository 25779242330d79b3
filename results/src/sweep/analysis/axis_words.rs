//! Descriptions of the axis of a sweep.

use crate::charts::axis::digits;
use crate::sweep::sweep_json::Sweep;

/// Names the axis and a value of it: `32 clients`, `400/s`.
pub(crate) fn at_words(sweep: &Sweep, text: &str) -> String {
    match sweep.design.axis.as_str() {
        "rate" => format!("{}/s", text.parse().map_or_else(|_| text.to_owned(), digits)),
        axis @ ("clients" | "keys" | "nodes") if text == "1" => format!("1 {}", axis.trim_end_matches('s')),
        axis @ ("clients" | "keys" | "nodes") => format!("{text} {axis}"),
        axis => format!("{axis} = {text}"),
    }
}

/// Describes the target rate of all points. Empty for a closed loop or a sweep over the rate.
pub(crate) fn load_words(sweep: &Sweep) -> String {
    match (sweep.design.axis.as_str(), sweep.design.rate_per_s) {
        ("rate", _) => String::new(),
        (_, Some(rate)) => format!("{} a second asked", digits(rate)),
        (_, None) => "closed loop".into(),
    }
}

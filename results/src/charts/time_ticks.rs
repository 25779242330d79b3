//! Labels of a time axis: round in seconds, minutes and hours.

use super::axis::{Scale, Tick, digits, duration};

/// Possible distances between labels, in seconds.
const STEPS_S: [f64; 16] =
    [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0];

/// Returns about `wanted` times from 0 to `end_s`, in seconds, with their labels.
pub fn time_ticks(end_s: f64, wanted: usize) -> Vec<(f64, String)> {
    if end_s <= 0.0 {
        return vec![(0.0, "0 s".to_owned())];
    }
    let rough = end_s / wanted.max(1) as f64;
    if rough < 0.5 {
        let ticks = Scale::Linear { min: 0.0, max: end_s.max(1e-6) }.ticks(wanted);
        let label = |tick| match tick {
            Tick::Major(s) => Some((s, if s < 1e-9 { "0 s".to_owned() } else { duration(s * 1e3) })),
            Tick::Minor(_) => None,
        };
        return ticks.into_iter().filter_map(label).collect();
    }
    let step = STEPS_S.into_iter().find(|s| *s >= rough).unwrap_or_else(|| (rough / 86_400.0).ceil() * 86_400.0);
    let count = (end_s / step + 1e-9).floor() as u64;
    (0..=count).map(|i| i as f64 * step).map(|s| (s, label(s, end_s))).collect()
}

/// Formats a whole number of seconds in the unit of an axis up to `end_s`.
fn label(s: f64, end_s: f64) -> String {
    let (whole, pad) = (s.round() as u64, |n: u64| format!("{n:02}"));
    match end_s {
        _ if end_s < 120.0 => format!("{} s", digits(s)),
        _ if end_s < 7_200.0 && whole.is_multiple_of(60) => format!("{} min", whole / 60),
        _ if end_s < 7_200.0 => format!("{}:{} min", whole / 60, pad(whole % 60)),
        _ if whole.is_multiple_of(3_600) => format!("{} h", whole / 3_600),
        _ => format!("{}:{} h", whole / 3_600, pad(whole % 3_600 / 60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(end_s: f64, want: &[&str]) {
        let labels: Vec<String> = time_ticks(end_s, 6).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, want);
    }

    #[test]
    fn labels_are_round_in_every_unit() {
        check(0.9, &["0 s", "200 ms", "400 ms", "600 ms", "800 ms"]);
        check(36.0, &["0 s", "10 s", "20 s", "30 s"]);
        check(150.0, &["0 min", "0:30 min", "1 min", "1:30 min", "2 min", "2:30 min"]);
        check(3_600.0, &["0 min", "10 min", "20 min", "30 min", "40 min", "50 min", "60 min"]);
        check(7_200.0, &["0 h", "0:30 h", "1 h", "1:30 h", "2 h"]);
        check(5.0 * 86_400.0, &["0 h", "24 h", "48 h", "72 h", "96 h", "120 h"]);
        check(0.0, &["0 s"]);
    }
}

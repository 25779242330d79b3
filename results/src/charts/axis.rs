//! Scales: positions of values on an axis, and round numbers for the axis's labels.

/// The mapping of values to positions on an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Linear: equal steps represent equal differences.
    Linear {
        /// Value at the lower end.
        min: f64,
        /// Value at the upper end.
        max: f64,
    },
    /// Logarithmic: equal steps represent equal ratios.
    Log {
        /// Value at the lower end, above zero.
        min: f64,
        /// Value at the upper end.
        max: f64,
    },
}

/// A labelled position, or a faint line between two of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Tick {
    /// A line with a label.
    Major(f64),
    /// A line without a label.
    Minor(f64),
}

impl Scale {
    /// Returns a linear scale from zero to a round number at or above `max`.
    pub fn from_zero(max: f64) -> Self {
        let max = if max > 0.0 { max * 1.05 } else { 1.0 };
        let step = round_step(max, 6);
        Scale::Linear { min: 0.0, max: (max / step).ceil() * step }
    }

    /// Returns a logarithmic scale around `min..=max` that ends at 1, 2 or 5 times a power of ten, so that no half of a chart is
    /// empty.
    pub fn logarithmic(min: f64, max: f64) -> Self {
        let (min, max) = (min.max(1e-6), max.max(min * 1.01).max(1e-5));
        let down = |x: f64| {
            [5.0, 2.0, 1.0].into_iter().map(|m| m * power_of_ten(x)).find(|edge| *edge <= x * 1.000_001).unwrap_or(power_of_ten(x))
        };
        let up = |x: f64| {
            [1.0, 2.0, 5.0].into_iter().map(|m| m * power_of_ten(x)).find(|edge| *edge >= x * 0.999_999).unwrap_or(10.0 * power_of_ten(x))
        };
        Scale::Log { min: down(min), max: up(max * 1.1) }
    }

    /// Returns the position of `value`: 0 at the lower end, 1 at the upper end. Values outside the scale are clamped.
    pub fn place(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear { min, max } => (value - min) / (max - min),
            Scale::Log { min, max } => (value.max(min) / min).ln() / (max / min).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// Returns ticks at round numbers, about `wanted` of them labelled.
    pub fn ticks(self, wanted: usize) -> Vec<Tick> {
        match self {
            Scale::Linear { min, max } => {
                let step = round_step(max - min, wanted);
                let first = (min / step).ceil();
                let count = ((max / step + 1e-9).floor() - first).max(0.0) as usize;
                (0..=count).map(|i| Tick::Major((first + i as f64) * step)).collect()
            }
            Scale::Log { min, max } => {
                let (mut ticks, mut decade) = (vec![], power_of_ten(min));
                while decade <= max * 1.000_001 {
                    for m in 1..10 {
                        let value = decade * f64::from(m);
                        if value >= min * 0.999_999 && value <= max * 1.000_001 {
                            ticks.push(if m == 1 { Tick::Major(value) } else { Tick::Minor(value) });
                        }
                    }
                    decade *= 10.0;
                }
                ticks
            }
        }
    }
}

/// Returns the largest power of ten at or below `x`.
fn power_of_ten(x: f64) -> f64 {
    10f64.powf(x.log10().floor())
}

/// Returns a step of 1, 2 or 5 times a power of ten that divides `span` into about `wanted` parts at most.
fn round_step(span: f64, wanted: usize) -> f64 {
    let rough = (span / wanted.max(1) as f64).max(1e-9);
    let base = power_of_ten(rough);
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * base).find(|s| *s >= rough * 0.999_999).unwrap_or(10.0 * base)
}

/// Formats a duration with a suitable unit: 0.25 is `250 µs`, 1500 is `1.5 s`.
pub fn duration(ms: f64) -> String {
    match ms {
        _ if ms <= 0.0 => "0".into(),
        _ if ms < 0.9995 => format!("{} µs", digits(ms * 1e3)),
        _ if ms < 999.5 => format!("{} ms", digits(ms)),
        _ if ms < 119_950.0 => format!("{} s", digits(ms / 1e3)),
        _ => format!("{} min", digits(ms / 6e4)),
    }
}

/// Formats a number of bytes with a suitable decimal unit: `64 kB`.
pub fn bytes(n: f64) -> String {
    match n {
        _ if n < 999.5 => format!("{} B", digits(n)),
        _ if n < 999_500.0 => format!("{} kB", digits(n / 1e3)),
        _ if n < 999.5e6 => format!("{} MB", digits(n / 1e6)),
        _ => format!("{} GB", digits(n / 1e9)),
    }
}

/// Formats a count with thousands separators: `12,345`.
pub fn count(n: u64) -> String {
    let text = n.to_string();
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    for (i, c) in text.chars().enumerate() {
        if i > 0 && (text.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Formats a number with at most three significant digits and no trailing zeros.
pub fn digits(x: f64) -> String {
    if x >= 1000.0 {
        return count(x.round() as u64);
    }
    let text = match x.abs() {
        a if a >= 99.95 => format!("{x:.0}"),
        a if a >= 9.995 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn majors(scale: Scale) -> Vec<f64> {
        let value = |t| match t {
            Tick::Major(v) => Some((v * 1e6f64).round() / 1e6),
            Tick::Minor(_) => None,
        };
        scale.ticks(6).into_iter().filter_map(value).collect()
    }

    #[test]
    fn bytes_are_formatted_with_a_unit() {
        for (n, words) in [(0.0, "0 B"), (999.0, "999 B"), (1_500.0, "1.5 kB"), (64e6, "64 MB"), (2.5e9, "2.5 GB")] {
            assert_eq!(bytes(n), words);
        }
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(majors(Scale::from_zero(36.0)), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(majors(Scale::from_zero(0.0)), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(majors(Scale::Linear { min: 0.0, max: 34.2 }), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(majors(Scale::logarithmic(0.3, 1_000.0)), [1.0, 10.0, 100.0, 1_000.0]);
    }

    #[test]
    fn values_are_mapped_to_positions() {
        let log = Scale::logarithmic(0.3, 900.0);
        assert_eq!(log, Scale::Log { min: 0.2, max: 1_000.0 });
        assert!((log.place(0.2), log.place(1_000.0)) == (0.0, 1.0));
        assert_eq!(log.place(0.0), 0.0, "below the end lies at the end");
        let steps = [log.place(2.0) - log.place(0.2), log.place(200.0) - log.place(20.0)];
        assert!((steps[0] - steps[1]).abs() < 1e-12, "{steps:?}");
    }

    #[test]
    fn durations_and_counts_are_formatted() {
        for (ms, want) in
            [(0.0, "0"), (0.25, "250 µs"), (1.0, "1 ms"), (41.73, "41.7 ms"), (999.9, "1 s"), (1_500.0, "1.5 s"), (600_000.0, "10 min")]
        {
            assert_eq!(duration(ms), want);
        }
        for (n, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(count(n), want);
        }
    }
}

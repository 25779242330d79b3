//! The axis of a sweep: `rate=100..8000`, `clients=1..32:6`, `hot=0,0.5,0.9`, `op-timeout=50ms..2s:4`.

use crate::plan::file::did_you_mean;
use crate::plan::units::Span;
use heckle_results::sweep::find_max::three_digits;
use heckle_results::sweep::sweep_json::{AxisValue, Spacing};

/// Number of values in a range that does not specify one.
const DEFAULT_VALUES: usize = 7;
/// Maximum number of values. More would not fit into a chart.
const MAX_VALUES: usize = 64;

/// A setting that can vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    key: &'static str,
    unit: Unit,
    spacing: Spacing,
}

/// The kind of values of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Whole numbers from 1.
    Whole,
    /// Numbers above 0.
    Positive,
    /// Numbers from 0.
    Number,
    /// Durations with a unit.
    Time,
}

const SETTINGS: [Setting; 8] = [
    Setting { key: "rate", unit: Unit::Positive, spacing: Spacing::Geometric },
    Setting { key: "clients", unit: Unit::Whole, spacing: Spacing::Geometric },
    Setting { key: "keys", unit: Unit::Whole, spacing: Spacing::Geometric },
    Setting { key: "zipf", unit: Unit::Number, spacing: Spacing::Linear },
    Setting { key: "hot", unit: Unit::Number, spacing: Spacing::Linear },
    Setting { key: "value_bytes", unit: Unit::Whole, spacing: Spacing::Geometric },
    Setting { key: "nodes", unit: Unit::Whole, spacing: Spacing::Linear },
    Setting { key: "op_timeout", unit: Unit::Time, spacing: Spacing::Geometric },
];

/// The key of the axis along which a maximum can be found.
pub const RATE: &str = "rate";

/// A validated axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The key of the setting in plans.
    pub key: &'static str,
    /// How its values are spaced.
    pub spacing: Spacing,
    /// The values, distinct and in ascending order.
    pub values: Vec<AxisValue>,
}

impl std::str::FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Axis, String> {
        let example = "write for example --over rate=100..8000, --over clients=1..32:6 or --over keys=1,4,16";
        let (key, values) = text.split_once('=').ok_or_else(|| format!("--over {text}: {example}"))?;
        let key = key.trim().replace('-', "_");
        let all: Vec<&str> = SETTINGS.iter().map(|s| s.key).collect();
        let setting = SETTINGS.iter().find(|s| s.key == key);
        let setting = setting.ok_or_else(|| format!("--over {text}: there is no axis `{key}`; {}", did_you_mean(&key, &all)))?;
        let values = match values.split_once("..") {
            Some((from, rest)) => range(setting, from, rest),
            None => list(setting, values),
        };
        let values = values.map_err(|e| format!("--over {text}: {e}"))?;
        Ok(Axis { key: setting.key, spacing: setting.spacing, values })
    }
}

/// Parses `FROM..TO` or `FROM..TO:N`.
fn range(setting: &Setting, from: &str, rest: &str) -> Result<Vec<AxisValue>, String> {
    let (to, count) = match rest.split_once(':') {
        None => (rest, DEFAULT_VALUES),
        Some((to, count)) => (to, count.trim().parse().map_err(|_| format!("`{count}` is not a number of values"))?),
    };
    if !(2..=MAX_VALUES).contains(&count) {
        return Err(format!("{count} values are not between 2 and {MAX_VALUES}"));
    }
    let (from, to) = (number(setting, from)?, number(setting, to)?);
    if from >= to {
        return Err("a range rises: write the lower end first".into());
    }
    if setting.spacing == Spacing::Geometric && from <= 0.0 {
        return Err("the lower end must be above 0, since values rise by equal ratios".into());
    }
    let last = (count - 1) as f64;
    let inner = |i: usize| match setting.spacing {
        Spacing::Geometric => from * (to / from).powf(i as f64 / last),
        Spacing::Linear => from + (to - from) * i as f64 / last,
    };
    let mut values: Vec<AxisValue> = vec![];
    for i in 0..count {
        let exact = if i == 0 {
            from
        } else if i + 1 == count {
            to
        } else {
            round(setting, inner(i)).clamp(from, to)
        };
        let value = value(setting, exact);
        // A small range of whole numbers has fewer distinct values than requested.
        if values.last().is_none_or(|last| last.number < value.number) {
            values.push(value);
        }
    }
    Ok(values)
}

/// Parses `a,b,c`.
fn list(setting: &Setting, text: &str) -> Result<Vec<AxisValue>, String> {
    let mut values = vec![];
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        values.push(value(setting, number(setting, word)?));
    }
    if values.is_empty() || values.len() > MAX_VALUES {
        return Err(format!("{} values are not between 1 and {MAX_VALUES}", values.len()));
    }
    values.sort_by(|a, b| a.number.total_cmp(&b.number));
    if let Some(twice) = values.windows(2).find(|w| w[0].number >= w[1].number) {
        return Err(format!("{} occurs twice", twice[0].text));
    }
    Ok(values)
}

fn number(setting: &Setting, text: &str) -> Result<f64, String> {
    let text = text.trim();
    if setting.unit == Unit::Time {
        return Ok(text.parse::<Span>()?.0.as_secs_f64() * 1e3);
    }
    let number = text.parse::<f64>().ok().filter(|x| x.is_finite()).ok_or_else(|| format!("`{text}` is not a number"))?;
    let (fits, what) = match setting.unit {
        Unit::Whole => (number >= 1.0 && number.fract() == 0.0 && number <= f64::from(u32::MAX), "a whole number from 1"),
        Unit::Positive => (number > 0.0, "above 0"),
        Unit::Number | Unit::Time => (number >= 0.0, "0 or more"),
    };
    if fits { Ok(number) } else { Err(format!("{} = {text} is not {what}", setting.key)) }
}

/// Rounds a value within a range to a readable number.
fn round(setting: &Setting, x: f64) -> f64 {
    match setting.unit {
        Unit::Whole => x.round(),
        Unit::Positive | Unit::Number | Unit::Time => three_digits(x),
    }
}

fn value(setting: &Setting, number: f64) -> AxisValue {
    let text = match setting.unit {
        Unit::Time => Span(std::time::Duration::from_nanos((number * 1e6).round() as u64)).to_string(),
        Unit::Whole | Unit::Positive | Unit::Number => number.to_string(),
    };
    AxisValue { text, number }
}

/// Returns the value of the rate axis for a rate chosen by a bisection.
pub fn rate_value(rate: f64) -> AxisValue {
    AxisValue { text: rate.to_string(), number: rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, key: &str, want: &[&str]) {
        let axis: Axis = text.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((axis.key, axis.values.iter().map(|v| v.text.as_str()).collect::<Vec<_>>()), (key, want.to_vec()), "{text}");
    }

    #[test]
    fn ranges_and_lists() {
        check("rate=100..8000", "rate", &["100", "208", "431", "894", "1860", "3850", "8000"]);
        check("rate=0.5..2:3", "rate", &["0.5", "1", "2"]);
        check("clients=1..32:6", "clients", &["1", "2", "4", "8", "16", "32"]);
        check("clients=1..3:7", "clients", &["1", "2", "3"]);
        check("nodes=3..7:3", "nodes", &["3", "5", "7"]);
        check("hot=0..0.9:4", "hot", &["0", "0.3", "0.6", "0.9"]);
        check("value-bytes=8,1024,64", "value_bytes", &["8", "64", "1024"]);
        check("op-timeout=50ms..800ms:3", "op_timeout", &["50ms", "200ms", "800ms"]);
        check("keys = 1, 4", "keys", &["1", "4"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, part) in [
            ("rate", "write for example"),
            ("raet=1..2", "did you mean `rate`"),
            ("rate=8000..100", "a range rises"),
            ("rate=100..100", "a range rises"),
            ("rate=0..100", "not above 0"),
            ("rate=max", "`max` is not a number"),
            ("rate=1..nan", "`nan` is not a number"),
            ("rate=1..inf", "`inf` is not a number"),
            ("rate=1..10:1", "1 values are not between 2 and 64"),
            ("rate=1..10:1000000000", "1000000000 values"),
            ("rate=1..10:x", "`x` is not a number of values"),
            ("rate=", "0 values"),
            ("clients=0..4", "a whole number from 1"),
            ("clients=1.5,2", "a whole number from 1"),
            ("keys=4,4", "4 occurs twice"),
            ("op-timeout=50..100", "no unit"),
            ("op-timeout=0s..1s", "above 0"),
            ("hot=-1,0.5", "0 or more"),
        ] {
            let error = text.parse::<Axis>().expect_err(text);
            assert!(error.contains(part) && error.contains("--over") && !error.contains('\n'), "{text}: {error}");
        }
    }
}

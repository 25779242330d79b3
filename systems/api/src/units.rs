//! Times and rates in text form. Every time needs a unit: `1.5s`, `200ms`. A bare number is refused, because its unit would be
//! ambiguous.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Span(pub Duration);

/// The maximum span. A longer run should be a suite.
const MAX_SPAN: Duration = Duration::from_secs(7 * 24 * 3600);

impl Span {
    /// Creates a span from whole milliseconds.
    pub const fn ms(ms: u64) -> Self {
        Span(Duration::from_millis(ms))
    }

    /// The span in nanoseconds.
    pub fn nanos(self) -> heckle_history::Nanos {
        heckle_history::Nanos(u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let s = s.trim();
        let unit_at =
            s.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| format!("`{s}` has no unit; write for example {s}s or {s}ms"))?;
        let (number, unit) = s.split_at(unit_at);
        let number: f64 = number.trim().parse().map_err(|_| format!("`{s}` is not a time; write for example 20s, 1.5s or 200ms"))?;
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            other => return Err(format!("`{other}` is not a unit of time; use us, ms, s, m or h")),
        };
        let seconds = number * seconds;
        if !(0.0..=MAX_SPAN.as_secs_f64()).contains(&seconds) {
            return Err(format!("`{s}` is not between 0 and 7 days"));
        }
        Ok(Span(Duration::from_nanos((seconds * 1e9).round() as u64)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_nanos() / 1_000;
        match us {
            0 => f.write_str("0s"),
            _ if us.is_multiple_of(1_000_000) => write!(f, "{}s", us / 1_000_000),
            _ if us.is_multiple_of(1_000) => write!(f, "{}ms", us / 1_000),
            _ => write!(f, "{us}us"),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<Span> for String {
    fn from(s: Span) -> String {
        s.to_string()
    }
}

/// The age at which state expires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Expiry {
    /// Never.
    #[default]
    Off,
    /// At this age.
    After(Span),
}

impl Expiry {
    /// The age, if any.
    pub fn ttl(self) -> Option<Duration> {
        match self {
            Expiry::Off => None,
            Expiry::After(span) => Some(span.0),
        }
    }
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.trim() == "off" { Ok(Expiry::Off) } else { s.parse().map(Expiry::After).map_err(|e| format!("{e}; or write off")) }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expiry::Off => f.write_str("off"),
            Expiry::After(span) => span.fmt(f),
        }
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<Expiry> for String {
    fn from(e: Expiry) -> String {
        e.to_string()
    }
}

/// The rate of operations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RateText", into = "RateText")]
#[schemars(with = "RateText")]
pub enum Rate {
    /// Open loop: this many operations per second, due by the clock.
    PerSecond(f64),
    /// Closed loop: each client sends its next operation when the previous one is answered.
    Max,
}

/// The form of a rate in a file: a number, or the word `max`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a rate is a number of ops a second, or \"max\"")]
enum RateText {
    Whole(u64),
    Number(f64),
    Word(String),
}

/// The maximum rate: more operations per second than a cluster on a laptop could answer.
const MAX_RATE_PER_S: f64 = 1e6;

impl FromStr for Rate {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s == "max" {
            return Ok(Rate::Max);
        }
        per_second(s.parse().map_err(|_| format!("`{s}` is not a rate; write ops a second, or max"))?)
    }
}

fn per_second(rate: f64) -> Result<Rate, String> {
    if rate > 0.0 && rate <= MAX_RATE_PER_S {
        Ok(Rate::PerSecond(rate))
    } else {
        Err(format!("rate {rate:?} is not above 0 and at most {MAX_RATE_PER_S} ops a second"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::PerSecond(r) => r.fmt(f),
            Rate::Max => f.write_str("max"),
        }
    }
}

impl TryFrom<RateText> for Rate {
    type Error = String;
    fn try_from(t: RateText) -> Result<Self, String> {
        match t {
            RateText::Whole(n) => n.to_string().parse(),
            RateText::Number(n) => per_second(n),
            RateText::Word(w) => w.parse(),
        }
    }
}

impl From<Rate> for RateText {
    fn from(r: Rate) -> RateText {
        match r {
            Rate::PerSecond(r) => RateText::Number(r),
            Rate::Max => RateText::Word("max".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_times_can_be_parsed() {
        for (text, ms) in [("20s", 20_000), ("1.5s", 1_500), ("200ms", 200), ("2m", 120_000), ("0s", 0)] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span, Span::ms(ms), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for (text, what) in [
            ("20", "no unit"),
            ("s", "not a time"),
            ("3 parsecs", "not a unit of time"),
            ("-1s", "between"),
            ("900h", "between"),
            ("", "no unit"),
        ] {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn an_expiry_is_off_or_a_time() {
        assert_eq!(("off".parse(), "10s".parse()), (Ok(Expiry::Off), Ok(Expiry::After(Span::ms(10_000)))));
        assert_eq!(Expiry::After(Span::ms(1_500)).to_string(), "1500ms");
        for bad in ["", "10", "never"] {
            assert!(bad.parse::<Expiry>().unwrap_err().contains("or write off"), "{bad}");
        }
    }

    #[test]
    fn rates_are_numbers_or_max() {
        assert_eq!(("max".parse(), "400".parse()), (Ok(Rate::Max), Ok(Rate::PerSecond(400.0))));
        for bad in ["0", "-3", "NaN", "inf", "fast", "1e9"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}

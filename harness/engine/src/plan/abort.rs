//! `--abort-on 'p99_ms>500 for 5s'`: a limit on a figure of the running load. The figures have the same names as those of gates,
//! but each covers one second.

use super::units::Span;
use heckle_system_api::settings::did_you_mean;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A limit that ends the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AbortRule {
    text: String,
    /// The figure.
    pub figure: LiveFigure,
    relation: Relation,
    /// The limit.
    pub limit: f64,
    /// Number of seconds in a row in which the figure must be beyond the limit.
    pub seconds: u32,
}

/// A figure of one second of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LiveFigure {
    /// A quantile of latency in milliseconds.
    LatencyMs(f64),
    /// Share of ops with an unknown outcome.
    UnknownRatio,
    /// Share of ops that failed.
    FailedRatio,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// Figures by name.
const FIGURES: [(&str, LiveFigure); 7] = [
    ("p50_ms", LiveFigure::LatencyMs(0.5)),
    ("p90_ms", LiveFigure::LatencyMs(0.9)),
    ("p99_ms", LiveFigure::LatencyMs(0.99)),
    ("p999_ms", LiveFigure::LatencyMs(0.999)),
    ("max_ms", LiveFigure::LatencyMs(1.0)),
    ("unknown_ratio", LiveFigure::UnknownRatio),
    ("failed_ratio", LiveFigure::FailedRatio),
];

/// Maximum duration that a rule can specify, in seconds.
const MAX_SECONDS: f64 = 3_600.0;

impl AbortRule {
    /// Whether the figure of one second is beyond the limit.
    pub fn is_met(&self, figure: f64) -> bool {
        match self.relation {
            Relation::Below => figure < self.limit,
            Relation::AtMost => figure <= self.limit,
            Relation::Above => figure > self.limit,
            Relation::AtLeast => figure >= self.limit,
        }
    }

    /// Returns the name of the figure.
    pub fn figure_name(&self) -> &'static str {
        FIGURES.iter().find(|(_, figure)| *figure == self.figure).map_or("", |(name, _)| name)
    }
}

impl FromStr for AbortRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write a figure, one of < <= > >=, a number, and for how long: p99_ms>500 for 5s";
        let text = text.trim();
        let Some((limit, lasts)) = text.split_once(" for ") else { return Err(format!("`{text}` does not say for how long; {FORM}")) };
        let Some(at) = limit.find(['<', '>']) else { return Err(format!("`{text}` is not a limit; {FORM}")) };
        let (name, rest) = (limit[..at].trim(), &limit[at..]);
        let (relation, number) = match (&rest[..1], rest[1..].strip_prefix('=')) {
            ("<", None) => (Relation::Below, &rest[1..]),
            ("<", Some(number)) => (Relation::AtMost, number),
            (_, None) => (Relation::Above, &rest[1..]),
            (_, Some(number)) => (Relation::AtLeast, number),
        };
        let names: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
        let figure = FIGURES.iter().find(|(known, _)| *known == name).map(|(_, figure)| *figure);
        let figure =
            figure.ok_or_else(|| format!("`{text}`: there is no figure `{name}` of a running load; {}", did_you_mean(name, &names)))?;
        let limit = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        let limit = limit.ok_or_else(|| format!("`{text}`: `{}` is not a number of 0 or more; {FORM}", number.trim()))?;
        let span: Span = lasts.parse().map_err(|e| format!("`{text}`: {e}"))?;
        let seconds = span.0.as_secs_f64();
        if seconds.fract() != 0.0 || !(1.0..=MAX_SECONDS).contains(&seconds) {
            return Err(format!("`{text}`: a figure is taken every second, so the time is a whole number of seconds, 1s to 1h"));
        }
        Ok(AbortRule { text: text.to_owned(), figure, relation, limit, seconds: seconds as u32 })
    }
}

impl fmt::Display for AbortRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for AbortRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AbortRule> for String {
    fn from(rule: AbortRule) -> String {
        rule.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_parsed() {
        for (text, beyond, within, seconds) in [
            ("p99_ms>500 for 5s", 500.1, 500.0, 5),
            (" unknown_ratio >= 0.5 for 1m ", 0.5, 0.49, 60),
            ("p50_ms<1 for 2s", 0.5, 1.0, 2),
            ("failed_ratio<=0 for 2s", 0.0, 0.1, 2),
        ] {
            let rule: AbortRule = text.parse().expect(text);
            assert_eq!((rule.is_met(beyond), rule.is_met(within), rule.seconds), (true, false, seconds), "{text}");
            assert_eq!((rule.to_string(), text.trim().starts_with(rule.figure_name())), (text.trim().to_owned(), true));
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            ("p99_ms>500", "for how long; write"),
            ("p99_ms for 5s", "is not a limit"),
            ("p98_ms>5 for 5s", "did you mean `p9"),
            ("goodput>5 for 5s", "there is no figure `goodput`"),
            ("p99_ms>fast for 5s", "`fast` is not a number"),
            ("p99_ms>-1 for 5s", "`-1` is not a number of 0 or more"),
            ("p99_ms>inf for 5s", "`inf` is not a number"),
            ("p99_ms>5 for 5", "no unit"),
            ("p99_ms>5 for 500ms", "whole number of seconds"),
            ("p99_ms>5 for 2h", "1s to 1h"),
            ("", "for how long"),
            ("> for ", "for how long"),
        ] {
            let error = text.parse::<AbortRule>().expect_err(text);
            assert!(error.contains(says) && !error.contains('\n'), "{text}: {error}");
        }
    }
}

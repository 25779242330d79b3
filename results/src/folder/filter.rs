//! Which entries of a list to show: by kind, plan, verdict and time. `heckle list` and the pages of `heckle serve` share these
//! filters, so the same words select the same runs in both.

use crate::results_json::{RunVerdict, Status};
use crate::utc::UnixSeconds;
use std::fmt;
use std::str::FromStr;

/// What an entry of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One run.
    Run,
    /// A matrix of runs.
    Suite,
    /// Arms run in pairs.
    Comparison,
    /// One plan over an axis.
    Sweep,
}

/// How an entry ended, or that it is still running: the words of the filter `verdict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Ended as expected.
    Valid,
    /// A violation.
    Invalid,
    /// Inconclusive.
    Unknown,
    /// A gate was missed.
    GateMissed,
    /// The harness or the machine failed.
    Error,
    /// Not over yet.
    Running,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted,
    /// The harness was killed.
    Killed,
    /// Ended with an exit code other than 0.
    Failed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Run, Kind::Suite, Kind::Comparison, Kind::Sweep];

    /// Returns its name in filters.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Run => "run",
            Kind::Suite => "suite",
            Kind::Comparison => "comparison",
            Kind::Sweep => "sweep",
        }
    }
}

impl Ended {
    /// Every word of the filter.
    pub const ALL: [Ended; 9] = [
        Ended::Valid,
        Ended::Invalid,
        Ended::Unknown,
        Ended::GateMissed,
        Ended::Error,
        Ended::Running,
        Ended::Interrupted,
        Ended::Killed,
        Ended::Failed,
    ];

    /// Returns its name in filters.
    pub fn word(self) -> &'static str {
        match self {
            Ended::Valid => "valid",
            Ended::Invalid => "invalid",
            Ended::Unknown => "unknown",
            Ended::GateMissed => "gate_missed",
            Ended::Error => "error",
            Ended::Running => "running",
            Ended::Interrupted => "interrupted",
            Ended::Killed => "killed",
            Ended::Failed => "failed",
        }
    }

    fn matches(self, status: Status, verdict: RunVerdict, exit_code: i32) -> bool {
        let over = status != Status::Running;
        match self {
            // Unreadable results have no status, and their verdict is an error.
            Ended::Error => verdict == RunVerdict::Error,
            Ended::Valid => over && verdict == RunVerdict::Valid,
            Ended::Invalid => over && verdict == RunVerdict::Invalid,
            Ended::Unknown => over && verdict == RunVerdict::Unknown,
            Ended::GateMissed => over && verdict == RunVerdict::GateMissed,
            Ended::Running => !over && verdict != RunVerdict::Error,
            Ended::Interrupted => status == Status::Interrupted,
            Ended::Killed => status == Status::Killed,
            Ended::Failed => (over || verdict == RunVerdict::Error) && exit_code != 0,
        }
    }
}

/// Finds the item of `all` with this word. Ignores case, and treats `-` and `_` as equal.
fn by_word<T: Copy>(asked: &str, what: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, String> {
    let plain = asked.trim().to_ascii_lowercase().replace('-', "_");
    if let Some(found) = all.iter().find(|item| word(**item) == plain) {
        return Ok(*found);
    }
    let nearest = all.iter().map(|item| word(*item)).min_by_key(|word| strsim::damerau_levenshtein(&plain, word)).unwrap_or_default();
    let words: Vec<&str> = all.iter().map(|item| word(*item)).collect();
    Err(format!("`{}` is no {what}; did you mean `{nearest}`? There are {}", shortened(asked), words.join(", ")))
}

/// Truncates external text to fit into a message.
fn shortened(words: &str) -> String {
    crate::terminal::shorten(words, 60)
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        by_word(s, "kind", &Kind::ALL, Kind::word)
    }
}

impl FromStr for Ended {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        by_word(s, "verdict", &Ended::ALL, Ended::word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A filter. An empty list lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The kinds to show.
    pub kinds: Vec<Kind>,
    /// The plans to show, by name. `*` matches any characters.
    pub plans: Vec<String>,
    /// The outcomes to show.
    pub verdicts: Vec<Ended>,
    /// Start time from which entries are shown.
    pub since: Option<UnixSeconds>,
    /// Whether to also show the runs of suites, comparisons and sweeps.
    pub all: bool,
}

/// The facts about an entry that a filter examines.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Run, suite, comparison or sweep.
    pub kind: Kind,
    /// Name of the plan, suite, comparison or sweep.
    pub name: &'a str,
    /// Whether it has ended.
    pub status: Status,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// Its exit code.
    pub exit_code: i32,
    /// Start time, if known.
    pub started: Option<UnixSeconds>,
    /// Whether it is a run of a suite, comparison or sweep.
    pub is_part: bool,
}

impl Filter {
    /// Whether an entry passes the filter, regardless of whether it is part of something else.
    pub fn selects(&self, entry: Facts<'_>) -> bool {
        let any = |none: bool, found: bool| none || found;
        any(self.kinds.is_empty(), self.kinds.contains(&entry.kind))
            && any(self.plans.is_empty(), self.plans.iter().any(|p| wildcard(p, entry.name)))
            && any(self.verdicts.is_empty(), self.verdicts.iter().any(|v| v.matches(entry.status, entry.verdict, entry.exit_code)))
            && self.since.is_none_or(|since| entry.started.is_some_and(|at| at >= since))
    }

    /// Whether an entry is shown.
    pub fn shows(&self, entry: Facts<'_>) -> bool {
        (self.all || !entry.is_part) && self.selects(entry)
    }
}

/// Whether `text` matches `pattern`, in which `*` matches any characters.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    // Matching each part as far left as possible leaves the most text for the parts after it.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Parses a point in time: an age such as `2h`, `30m` or `7d` before `now`, or a UTC date or time such as `2026-01-31` or
/// `2026-01-31T12:00`.
///
/// # Errors
/// A message that states the valid forms.
pub fn since(text: &str, now: UnixSeconds) -> Result<UnixSeconds, String> {
    let text = text.trim();
    if let Some(at) = UnixSeconds::from_iso(text) {
        return Ok(at);
    }
    let wrong =
        || format!("`{}` is neither an age such as 2h or 7d nor a UTC date such as 2026-01-31 or 2026-01-31T12:00", shortened(text));
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?);
    let seconds = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 7.0 * 86_400.0,
        _ => return Err(wrong()),
    };
    let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).ok_or_else(wrong)?;
    Ok(UnixSeconds(now.0.saturating_sub((number * seconds) as u64)))
}

#[cfg(test)]
mod tests;

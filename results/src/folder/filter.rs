//! Which entries of a list to show: by kind, plan, verdict and time. `heckle list` and the pages of `heckle serve` share these
//! filters, so that the same words select the same runs in both.

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

/// How something ended, or that it has not: the words of the filter `verdict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything as it should be.
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
    /// Over, with an exit code other than 0.
    Failed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Run, Kind::Suite, Kind::Comparison, Kind::Sweep];

    /// Its name in filters.
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

    /// Its name in filters.
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
            // Results that cannot be read have no status, and an error for a verdict.
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

/// Finds the item of `all` with this word. Case does not matter, and `-` is as good as `_`.
fn by_word<T: Copy>(asked: &str, what: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, String> {
    let plain = asked.trim().to_ascii_lowercase().replace('-', "_");
    if let Some(found) = all.iter().find(|item| word(**item) == plain) {
        return Ok(*found);
    }
    let nearest = all.iter().map(|item| word(*item)).min_by_key(|word| strsim::damerau_levenshtein(&plain, word)).unwrap_or_default();
    let words: Vec<&str> = all.iter().map(|item| word(*item)).collect();
    Err(format!("`{}` is no {what}; did you mean `{nearest}`? There are {}", shortened(asked), words.join(", ")))
}

/// A word from outside, short enough for a message.
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
    /// The plans to show, by name; `*` stands for any letters.
    pub plans: Vec<String>,
    /// How they ended.
    pub verdicts: Vec<Ended>,
    /// Only what began at this time or later.
    pub since: Option<UnixSeconds>,
    /// Whether to show the runs of suites, comparisons and sweeps too.
    pub all: bool,
}

/// The facts about an entry that a filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What it is.
    pub kind: Kind,
    /// Name of the plan, suite, comparison or sweep.
    pub name: &'a str,
    /// Whether it has ended.
    pub status: Status,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// Its exit code.
    pub exit_code: i32,
    /// When it began, if known.
    pub started: Option<UnixSeconds>,
    /// Whether it is a run of a suite, comparison or sweep.
    pub is_part: bool,
}

impl Filter {
    /// Whether an entry passes the filter, apart from the question whether it is a part of something.
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

/// Whether `text` matches `pattern`, in which `*` stands for any letters.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    // The leftmost place of every part leaves the most letters for those after it.
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
/// A message that says what to write.
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
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, text, want) in [
            ("quick", "quick", true),
            ("quick", "quick-2", false),
            ("quick*", "quick-2", true),
            ("*quick", "not-quick", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("*é*", "café au lait", true),
            ("**x", "x", true),
        ] {
            assert_eq!(wildcard(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn ages_and_dates_are_points_in_time() {
        let now = UnixSeconds(1_709_251_199);
        for (text, want) in [
            ("2h", "2024-02-29T21:59:59Z"),
            (" 1.5 h", "2024-02-29T22:29:59Z"),
            ("90s", "2024-02-29T23:58:29Z"),
            ("7d", "2024-02-22T23:59:59Z"),
            ("2w", "2024-02-15T23:59:59Z"),
            ("2024-02-01", "2024-02-01T00:00:00Z"),
            ("2024-02-01T10:20", "2024-02-01T10:20:00Z"),
            ("999999w", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(since(text, now).map(UnixSeconds::iso).as_deref(), Ok(want), "{text}");
        }
        for bad in ["", "2", "h", "-2h", "infh", "2 years", "yesterday", "2024-13-01", "naNs", "2hh"] {
            assert!(since(bad, now).is_err_and(|e| e.contains("2026-01-31")), "{bad}");
        }
    }

    #[test]
    fn words_have_a_nearest_one() {
        assert_eq!("Gate-Missed".parse(), Ok(Ended::GateMissed));
        let error = "vaild".parse::<Ended>().expect_err("no verdict");
        assert!(error.contains("did you mean `valid`") && error.contains("killed"), "{error}");
        assert!("suit".parse::<Kind>().is_err_and(|e| e.contains("`suite`")));
        assert!("x".repeat(10_000).parse::<Kind>().is_err_and(|e| e.len() < 300));
    }

    #[test]
    fn every_part_of_a_filter_can_hide_an_entry() {
        let entry = Facts {
            kind: Kind::Run,
            name: "quick",
            status: Status::Done,
            verdict: RunVerdict::GateMissed,
            exit_code: 3,
            started: Some(UnixSeconds(100)),
            is_part: false,
        };
        let base = Filter {
            kinds: vec![Kind::Run],
            plans: vec!["q*".into()],
            verdicts: vec![Ended::GateMissed],
            since: Some(UnixSeconds(100)),
            all: false,
        };
        assert!(base.shows(entry) && Filter::default().shows(entry));
        for hiding in [
            Filter { kinds: vec![Kind::Suite], ..base.clone() },
            Filter { plans: vec!["other".into()], ..base.clone() },
            Filter { verdicts: vec![Ended::Valid, Ended::Running], ..base.clone() },
            Filter { since: Some(UnixSeconds(101)), ..base.clone() },
        ] {
            assert!(!hiding.shows(entry), "{hiding:?}");
        }
        let part = Facts { is_part: true, ..entry };
        assert!(!base.shows(part) && base.selects(part) && Filter { all: true, ..base.clone() }.shows(part));
        assert!(!base.shows(Facts { started: None, ..entry }), "what has no time is not known to be recent");
    }

    #[test]
    fn verdicts_count_once_something_is_over() {
        use RunVerdict as V;
        for (ended, status, verdict, code, want) in [
            (Ended::Valid, Status::Done, V::Valid, 0, true),
            (Ended::Unknown, Status::Running, V::Unknown, 2, false),
            (Ended::Running, Status::Running, V::Unknown, 2, true),
            (Ended::Running, Status::Running, V::Error, 4, false),
            (Ended::Error, Status::Running, V::Error, 4, true),
            (Ended::Failed, Status::Running, V::Unknown, 2, false),
            (Ended::Failed, Status::Done, V::Invalid, 1, true),
            (Ended::Failed, Status::Done, V::Valid, 0, false),
            (Ended::Killed, Status::Killed, V::Unknown, 2, true),
            (Ended::Interrupted, Status::Interrupted, V::Unknown, 130, true),
        ] {
            assert_eq!(ended.matches(status, verdict, code), want, "{ended} {status} {verdict}");
        }
    }
}

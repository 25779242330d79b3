//! Intents of clients, each covering all of its attempts. Waiting times are measured per intent. An operation without an
//! intent counts as its own intent.
//!
//! An intent is *finished* by its first applied CAS or ok write. A refused CAS is a failed attempt of the intent, and a read only
//! looks up the current value. For an operation without an intent, both count as success. An intent that was not finished when
//! its last attempt or the run ended has waited *at least* that long.
//!
//! The check `starvation` covers named intents only. Here operations without an intent count too, so that workloads without
//! intents are compared by the same figures.

use crate::measure::Window;
use heckle_checker::fairness::survival::{self, Sample};
use heckle_history::operation::Detail;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use rustc_hash::FxHashMap;

/// The field of a history's header that holds the time for which clients retry an intent, in nanoseconds.
pub const TIMEOUT_IN_HEADER: &str = "intent_timeout_ns";

/// Returns the limit of the restricted mean for a history: the intent timeout, but at most half of the load window, so that waits
/// up to the limit can be observed for half of the intents. It depends only on the plan, so it is the same for all arms.
pub fn wait_limit(history: &History) -> Option<Nanos> {
    let timeout = history.header.more.get(TIMEOUT_IN_HEADER).and_then(serde_json::Value::as_u64);
    let half = history.header.load_window.map(|(start, end)| end.saturating_sub(start) / 2);
    timeout.into_iter().chain(half).min().filter(|ns| *ns > 0).map(Nanos)
}

/// One intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// The client: the connection, or the process if no connection is recorded.
    pub client: u32,
    /// When its first attempt was due.
    pub due: Nanos,
    /// When it succeeded; otherwise when its last attempt or the history ended.
    pub until: Nanos,
    /// Whether it succeeded.
    pub finished: bool,
    /// Number of attempts.
    pub attempts: u32,
}

impl Intent {
    /// Returns the waiting time in milliseconds, or a lower bound on it.
    pub fn wait_ms(&self) -> f64 {
        self.until.since(self.due).as_ms_f64()
    }
}

/// Returns the intents that were due in `window`, in the order of their first attempts. Requires the details of the history.
pub fn of(history: &History, window: Window) -> Vec<Intent> {
    let mut intents: Vec<Intent> = vec![];
    let mut known: FxHashMap<u64, usize> = FxHashMap::default();
    for (i, op) in history.ops.iter().enumerate() {
        let detail = history.details.get(i);
        let named = detail.and_then(|d| d.intent);
        let place = match named {
            Some(id) => *known.entry(id.0).or_insert(intents.len()),
            None => intents.len(),
        };
        if place == intents.len() {
            let client = client(op, detail);
            intents.push(Intent { client, due: op.intended, until: op.intended, finished: false, attempts: 0 });
        }
        let intent = &mut intents[place];
        if !intent.finished {
            // A read is not an attempt, unless the intent is a read.
            intent.attempts += u32::from(named.is_none() || op.call.writes().is_some());
            intent.finished = is_success(op, named.is_some());
            intent.until = intent.until.max(op.completed.min(history.end));
        }
    }
    intents.retain(|i| window.holds(i.due));
    intents
}

fn client(op: &Operation, detail: Option<&Detail>) -> u32 {
    detail.and_then(|d| d.client).map_or(op.process.0, |c| c.0)
}

fn is_success(op: &Operation, of_an_intent: bool) -> bool {
    match op.outcome {
        Outcome::Ok(Seen::Applied | Seen::Written) => true,
        Outcome::Ok(Seen::ConditionNotMet(_) | Seen::Value(_)) => !of_an_intent,
        Outcome::Failed | Outcome::Unknown | Outcome::Open => false,
    }
}

/// Sorted waiting times, each marked as ended or not: the input of the Kaplan-Meier estimate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waits(Vec<Sample>);

impl Waits {
    /// Returns the waiting times of these intents.
    pub fn of<'a>(intents: impl IntoIterator<Item = &'a Intent>) -> Self {
        Waits::new(intents.into_iter().map(|i| Sample { time: i.until.since(i.due), ended: i.finished }).collect())
    }

    /// Sorts these waiting times.
    pub fn new(mut waits: Vec<Sample>) -> Self {
        // At equal times an ended wait comes before a censored one, which was still waiting.
        waits.sort_by_key(|s| (s.time, !s.ended));
        Waits(waits)
    }

    /// Merges both sets of waiting times.
    #[must_use]
    pub fn merge(self, other: &Waits) -> Self {
        Waits::new([self.0, other.0.clone()].concat())
    }

    /// Returns the number of waits.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of waits that never ended.
    pub fn unfinished(&self) -> usize {
        self.0.iter().filter(|s| !s.ended).count()
    }

    /// Returns the mean wait in milliseconds, where each wait counts for at most `limit`, by the Kaplan-Meier estimate.
    pub fn restricted_mean(&self, limit: Nanos) -> Option<f64> {
        survival::curve(self.0.clone()).restricted_mean(limit).map(Nanos::as_ms_f64)
    }

    /// Returns the longest wait in milliseconds, and whether it ended.
    pub fn longest(&self) -> Option<(f64, bool)> {
        self.0.last().map(|s| (s.time.as_ms_f64(), s.ended))
    }

    /// Returns the curve of the share of intents finished within a time, in milliseconds, with a step whenever an intent ended.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        survival::curve(self.0.clone()).steps.into_iter().map(|(time, waiting)| (time.as_ms_f64(), 1.0 - waiting)).collect()
    }

    /// Returns the time within which the share `q` of intents finished, in milliseconds. `Err` holds the longest wait if the
    /// share was never reached.
    ///
    /// # Errors
    /// Not an error: `Err` is the lower bound of a censored quantile.
    pub fn quantile(&self, q: f64) -> Option<Result<f64, f64>> {
        let longest = self.longest()?.0;
        Some(survival::curve(self.0.clone()).quantile(q).map_or(Err(longest), |time| Ok(time.as_ms_f64())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Window;

    /// A read, a failed attempt, a successful attempt and a following operation belong to one intent of one client. The next
    /// intent never ends.
    #[test]
    fn attempts_belong_to_one_intent_until_one_succeeds() {
        const FILE: &str = r#"{"schema":"heckle.history/1"}
{"e":"invoke","op":1,"process":0,"client":"c5","t":1000000,"intended":500000,"key":"k1","f":"read","intent":1,"attempt":1}
{"e":"ok","op":1,"t":2000000,"f":"read","value":null}
{"e":"invoke","op":2,"process":0,"client":"c5","t":3000000,"key":"k1","f":"cas","expected":7,"new":8,"intent":1,"attempt":2}
{"e":"ok","op":2,"t":4000000,"f":"cas","applied":false,"current":null}
{"e":"invoke","op":3,"process":0,"client":"c5","t":5000000,"key":"k1","f":"cas","expected":null,"new":9,"intent":1,"attempt":3}
{"e":"ok","op":3,"t":6500000,"f":"cas","applied":true}
{"e":"invoke","op":4,"process":0,"client":"c5","t":7000000,"key":"k1","f":"read","intent":2,"attempt":1}
{"e":"ok","op":4,"t":8000000,"f":"read","value":9}
{"e":"invoke","op":5,"process":1,"client":"c6","t":8000000,"key":"k1","f":"read"}
{"e":"ok","op":5,"t":9000000,"f":"read","value":9}
"#;
        let history = History::read(FILE.as_bytes(), heckle_history::operation::Keep::Details).expect("well-formed");
        let found = of(&history, Window::of(&history));
        let short: Vec<_> = found.iter().map(|i| (i.client, i.finished, i.attempts, i.wait_ms())).collect();
        assert_eq!(short, [(5, true, 2, 6.0), (5, false, 0, 1.0), (6, true, 1, 1.0)]);
    }

    fn waits(ended: impl IntoIterator<Item = u64>, cut: impl IntoIterator<Item = u64>) -> Waits {
        let of = |ms, ended| Sample { time: Nanos::from_ms(ms), ended };
        Waits::new(ended.into_iter().map(|ms| of(ms, true)).chain(cut.into_iter().map(|ms| of(ms, false))).collect())
    }

    /// The estimator has its own tests. This test shows that unfinished intents are included, and that a bound is returned as a bound.
    #[test]
    fn unfinished_intents_make_a_quantile_a_bound() {
        let half = waits(1..=50, [60; 50]);
        assert_eq!(half.quantile(0.5), Some(Ok(50.0)));
        assert_eq!(half.quantile(0.9), Some(Err(60.0)), "half never came so far");
        assert_eq!((half.unfinished(), half.longest(), half.len()), (50, Some((60.0, false)), 100));
        let both = waits(1..=50, []).merge(&waits([], [60; 50]));
        assert_eq!(both, half);
        assert_eq!(waits([10, 20], [15, 15]).curve(), [(10.0, 0.25), (20.0, 1.0)]);
    }

    /// Half of the intents take 50 ms or less, and the others are cut off at 60 ms. Those are assumed to wait up to the limit.
    #[test]
    fn the_restricted_mean_counts_unfinished_waits() {
        let half = waits([40; 50], [60; 50]);
        assert_eq!(half.restricted_mean(Nanos::from_ms(60)), Some(50.0));
        assert_eq!(half.restricted_mean(Nanos::from_ms(20)), Some(20.0));
        assert_eq!(Waits::default().restricted_mean(Nanos::from_ms(60)), None);
    }

    #[test]
    fn the_wait_limit_is_the_timeout_or_half_of_the_window() {
        let history = |timeout_ms: Option<u64>, window_ms: u64| {
            let mut history = History::default();
            history.header.load_window = Some((0, window_ms * 1_000_000));
            history.header.more.extend(timeout_ms.map(|ms| (TIMEOUT_IN_HEADER.to_owned(), (ms * 1_000_000).into())));
            wait_limit(&history)
        };
        assert_eq!(history(Some(5_000), 20_000), Some(Nanos::from_ms(5_000)));
        assert_eq!(history(Some(30_000), 20_000), Some(Nanos::from_ms(10_000)));
        assert_eq!((history(None, 20_000), history(None, 0)), (Some(Nanos::from_ms(10_000)), None));
    }

    #[test]
    fn without_censoring_it_is_the_ordinary_quantile() {
        let waits = waits(1..=200, []);
        assert_eq!(waits.quantile(0.99), Some(Ok(198.0)));
        assert_eq!(waits.quantile(1.0), Some(Ok(200.0)));
        assert_eq!(Waits::default().quantile(0.5), None);
    }
}

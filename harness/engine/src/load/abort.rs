//! Checks the running load against the limits of `--abort-on`. Pure: times and outcomes are inputs, and a timer calls it every second.
//!
//! A figure covers one second. Latency is measured from when an op was due, as everywhere. An op of unknown outcome counts with the
//! time its client waited. An op that is still open counts once it has waited longer than the limit, since a system that stalls
//! completely would otherwise have no latency at all.

use crate::plan::abort::{AbortRule, LiveFigure};
use hdrhistogram::Histogram;
use heckle_history::{Nanos, OpId};
use heckle_results::charts::axis::digits;
use heckle_system_api::connection::Outcome;
use std::collections::BTreeMap;

/// Period that a figure covers.
pub const INTERVAL: Nanos = Nanos::from_ms(1_000);
/// Longest latency that can be recorded: ten minutes, the longest op timeout.
const MAX_LATENCY_US: u64 = 600_000_000;

/// Checks the load against limits; see the module's documentation.
#[derive(Debug)]
pub struct AbortWatch {
    /// Each limit, with the number of consecutive seconds in which it was exceeded.
    rules: Vec<(AbortRule, u32)>,
    /// When each open op was due.
    open: BTreeMap<OpId, Nanos>,
    second: Second,
}

/// Ops that ended in the current second.
#[derive(Debug)]
struct Second {
    latency_us: Histogram<u64>,
    ended: u64,
    failed: u64,
    unknown: u64,
}

impl AbortWatch {
    /// Creates a watch for these limits. Returns `None` if there are none.
    pub fn new(rules: &[AbortRule]) -> Option<Self> {
        let latency_us = Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).expect("the bounds are in order and the precision is valid");
        let second = Second { latency_us, ended: 0, failed: 0, unknown: 0 };
        (!rules.is_empty()).then(|| AbortWatch { rules: rules.iter().map(|r| (r.clone(), 0)).collect(), open: BTreeMap::new(), second })
    }

    /// Notes that an op that was due at `due` has been sent.
    pub fn invoked(&mut self, op: OpId, due: Nanos) {
        self.open.insert(op, due);
    }

    /// Notes that an op has ended.
    pub fn completed(&mut self, op: OpId, outcome: Outcome, now: Nanos) {
        let Some(due) = self.open.remove(&op) else { return };
        self.second.ended += 1;
        match outcome {
            Outcome::Ok(_) => {}
            // The time taken to prove that an op did not happen is not a latency of the service.
            Outcome::NotApplied => {
                self.second.failed += 1;
                return;
            }
            Outcome::Unknown => self.second.unknown += 1,
        }
        self.second.latency_us.saturating_record(now.since(due).0 / 1_000);
    }

    /// Begins the first second, ignoring everything before it, which was the warm-up.
    pub fn begin(&mut self) {
        self.second.clear();
    }

    /// Ends a second. Returns the reason to end the load, if a limit was exceeded in as many consecutive seconds as its rule requires.
    pub fn tick(&mut self, now: Nanos) -> Option<String> {
        let mut why = None;
        for (rule, streak) in &mut self.rules {
            let figure = match rule.figure {
                LiveFigure::LatencyMs(quantile) => {
                    let mut all = self.second.latency_us.clone();
                    let waited = self.open.values().map(|due| now.since(*due).0 / 1_000);
                    waited.filter(|us| *us as f64 / 1e3 > rule.limit).for_each(|us| all.saturating_record(us));
                    // No op ended and none has waited too long, so the limit is not exceeded.
                    if all.is_empty() {
                        *streak = 0;
                        continue;
                    }
                    all.value_at_quantile(quantile) as f64 / 1e3
                }
                // With no ended ops there is no ratio to compare, so the streak neither grows nor ends.
                LiveFigure::UnknownRatio | LiveFigure::FailedRatio if self.second.ended == 0 => continue,
                LiveFigure::UnknownRatio => self.second.unknown as f64 / self.second.ended as f64,
                LiveFigure::FailedRatio => self.second.failed as f64 / self.second.ended as f64,
            };
            *streak = if rule.is_met(figure) { *streak + 1 } else { 0 };
            if *streak >= rule.seconds && why.is_none() {
                let (name, n) = (rule.figure_name(), rule.seconds);
                let seconds = if n == 1 { "the last second".to_owned() } else { format!("the last of {n} seconds in a row") };
                let figure = digits(figure);
                why = Some(format!("the load was aborted at {now}, by --abort-on '{rule}': {name} was {figure} in {seconds}"));
            }
        }
        self.second.clear();
        why
    }
}

impl Second {
    fn clear(&mut self) {
        self.latency_us.reset();
        (self.ended, self.failed, self.unknown) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::Seen;

    const OK: Outcome = Outcome::Ok(Seen::Written);

    struct Rig {
        watch: AbortWatch,
        now_ms: u64,
        op: u64,
    }

    impl Rig {
        fn new(rule: &str) -> Rig {
            let mut watch = AbortWatch::new(&[rule.parse().expect("a limit")]).expect("one limit");
            watch.begin();
            Rig { watch, now_ms: 0, op: 0 }
        }

        fn send(&mut self) -> OpId {
            self.op += 1;
            self.watch.invoked(OpId(self.op), Nanos::from_ms(self.now_ms));
            OpId(self.op)
        }

        /// Plays one second with ops of these latencies, in milliseconds.
        fn second(&mut self, latencies: &[u64], outcome: Outcome) -> Option<String> {
            for ms in latencies {
                let op = self.send();
                self.watch.completed(op, outcome, Nanos::from_ms(self.now_ms + ms));
            }
            self.now_ms += 1_000;
            self.watch.tick(Nanos::from_ms(self.now_ms))
        }
    }

    #[test]
    fn a_limit_has_to_be_passed_without_a_break() {
        let mut rig = Rig::new("p50_ms>100 for 3s");
        for slow in [true, true, false, true, true] {
            assert_eq!(rig.second(&[if slow { 200 } else { 50 }; 4], OK), None, "at {} ms", rig.now_ms);
        }
        let why = rig.second(&[200; 4], OK).expect("three in a row");
        assert!(why.contains("aborted at 6.000000 s") && why.contains("'p50_ms>100 for 3s'") && why.contains("p50_ms was 200"), "{why}");
    }

    #[test]
    fn a_quantile_is_not_the_slowest_op() {
        let mut rig = Rig::new("p50_ms>100 for 1s");
        assert_eq!(rig.second(&[10, 10, 900], OK), None);
        let mut rig = Rig::new("max_ms>100 for 1s");
        assert!(rig.second(&[10, 10, 900], OK).is_some_and(|why| why.contains("max_ms was 90")));
    }

    #[test]
    fn a_stall_counts_as_latency() {
        let mut rig = Rig::new("p99_ms>1500 for 2s");
        rig.send();
        assert_eq!([rig.second(&[], OK), rig.second(&[], OK)], [None, None], "it has waited 1 s, then 2 s: once beyond the limit");
        assert!(rig.second(&[], OK).is_some_and(|why| why.contains("p99_ms was 3")), "twice");
    }

    #[test]
    fn unknown_outcomes_count_with_the_time_waited() {
        let mut rig = Rig::new("p99_ms>500 for 1s");
        assert_eq!(rig.second(&[400], Outcome::Unknown), None);
        assert!(rig.second(&[900], Outcome::Unknown).is_some());
        // A failed op was proved not to have happened, so its latency does not count.
        let mut rig = Rig::new("p99_ms>500 for 1s");
        assert_eq!(rig.second(&[900], Outcome::NotApplied), None);
    }

    #[test]
    fn shares_need_ops() {
        let mut rig = Rig::new("unknown_ratio>0.4 for 2s");
        assert_eq!(rig.second(&[5], Outcome::Unknown), None);
        assert_eq!(rig.second(&[], OK), None, "a second without ops says nothing");
        assert!(rig.second(&[5], Outcome::Unknown).is_some_and(|why| why.contains("unknown_ratio was 1")));
        let mut rig = Rig::new("failed_ratio>0 for 1s");
        assert_eq!(rig.second(&[5], Outcome::Unknown), None);
        assert!(rig.second(&[5], Outcome::NotApplied).is_some());
    }

    #[test]
    fn the_warm_up_does_not_count() {
        let mut rig = Rig::new("p99_ms>100 for 1s");
        let op = rig.send();
        rig.watch.completed(op, OK, Nanos::from_ms(900));
        rig.watch.begin();
        assert_eq!(rig.second(&[5], OK), None);
        assert!(AbortWatch::new(&[]).is_none());
    }
}

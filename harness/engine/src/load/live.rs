//! Live figures of the run, for the terminal and `live.json`. Reports compute their figures from the history instead.

use super::phase::Phase;
use crate::clock::RunClock;
use crate::stop::{Stop, StopReason};
use hdrhistogram::Histogram;
use heckle_history::{Nanos, Seen};
use heckle_results::buckets::Buckets;
use heckle_results::live_json::{JudgeState, LiveFault, LiveOps, MAX_FAULTS};
use heckle_system_api::connection::Outcome;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Upper limit of displayed latencies: ten minutes, the longest op timeout.
const MAX_LATENCY_US: u64 = 600_000_000;

/// Kinds of ops, by their names in reports.
const KINDS: [&str; 5] = ["cas", "get", "put", "read", "write"];

/// Counters updated by ops and read by watchers.
#[derive(Debug, Default)]
pub struct Live {
    counters: [Counters; KINDS.len()],
    latency: Mutex<Latency>,
    faults: Mutex<Vec<LiveFault>>,
    phase: Mutex<Phase>,
    clock: OnceLock<RunClock>,
    judge: OnceLock<(bool, Stop)>,
}

/// Counters of one kind of op.
#[derive(Debug, Default)]
struct Counters {
    invoked: AtomicU64,
    applied: AtomicU64,
    condition_not_met: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
}

impl Counters {
    fn read(&self) -> LiveOps {
        LiveOps {
            applied: self.applied.load(Relaxed),
            condition_not_met: self.condition_not_met.load(Relaxed),
            failed: self.failed.load(Relaxed),
            unknown: self.unknown.load(Relaxed),
            // Read last, so that no more ops appear to have ended than were sent.
            invoked: self.invoked.load(Relaxed),
        }
    }
}

/// Latency of ok ops since the start of the run.
#[derive(Debug)]
struct Latency {
    all: Histogram<u64>,
    by_kind: [Buckets; KINDS.len()],
}

impl Default for Latency {
    fn default() -> Self {
        let all = Histogram::new_with_bounds(1, MAX_LATENCY_US, 2).expect("the bounds are in order and the precision is valid");
        Latency { all, by_kind: Default::default() }
    }
}

/// A watcher's last reading, so that each watcher sees the latency since then.
#[derive(Debug, Default)]
pub struct Watcher {
    seen: Option<Histogram<u64>>,
}

/// A snapshot of the counters.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Ops sent.
    pub invoked: u64,
    /// Ops that were ok, refused CAS included.
    pub ok: u64,
    /// Refused CAS among them.
    pub condition_not_met: u64,
    /// Ops proved not to have happened.
    pub failed: u64,
    /// Ops of unknown outcome.
    pub unknown: u64,
    /// Median and 99th percentile of latency since this watcher's last reading, ms; `None` if no op was ok.
    pub latency_ms: Option<(f64, f64)>,
    /// Current phase of the run.
    pub phase: Phase,
    /// Time on the run's clock, if it has started.
    pub now: Option<Nanos>,
    /// Active faults.
    pub faults: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn index(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(0)
}

impl Live {
    /// Stores the run's clock, which has just started.
    pub fn set_clock(&self, clock: RunClock) {
        let _ = self.clock.set(clock);
    }

    /// Stores whether the run is judged online, and the stop flag, which holds the reason for an early stop.
    pub fn set_judge(&self, judges: bool, stop: Stop) {
        let _ = self.judge.set((judges, stop));
    }

    /// Sets the current phase of the run.
    pub fn enter(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    /// Counts an op that was sent, by its kind.
    pub fn invoked(&self, kind: &str) {
        self.counters[index(kind)].invoked.fetch_add(1, Relaxed);
    }

    /// Counts an op that ended, by its kind.
    pub fn completed(&self, kind: &str, outcome: Outcome, latency: Nanos) {
        let at = index(kind);
        let counters = &self.counters[at];
        let counter = match outcome {
            Outcome::Ok(seen) => {
                let mut of_ok = lock(&self.latency);
                of_ok.all.saturating_record(latency.0 / 1_000);
                of_ok.by_kind[at].add(latency);
                drop(of_ok);
                if matches!(seen, Seen::ConditionNotMet(_)) { &counters.condition_not_met } else { &counters.applied }
            }
            Outcome::NotApplied => &counters.failed,
            Outcome::Unknown => &counters.unknown,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Adds a fault that has just begun.
    pub fn fault_began(&self, label: &str) {
        let began_s = self.now_s();
        let mut faults = lock(&self.faults);
        if faults.len() >= MAX_FAULTS {
            // Remove the oldest fault that has ended, to make room.
            let oldest = faults.iter().position(|f| f.ended_s.is_some()).unwrap_or(0);
            faults.remove(oldest);
        }
        faults.push(LiveFault { label: label.to_owned(), began_s, ended_s: None });
    }

    /// Marks a fault as ended.
    pub fn fault_ended(&self, label: &str) {
        let now_s = self.now_s();
        if let Some(fault) = lock(&self.faults).iter_mut().find(|f| f.label == label && f.ended_s.is_none()) {
            fault.ended_s = Some(now_s);
        }
    }

    fn now_s(&self) -> f64 {
        // Rounded to the millisecond, as displayed.
        self.clock.get().map_or(0.0, |clock| (clock.now().as_ms_f64()).round() / 1e3)
    }

    /// Returns the latest faults, oldest first.
    pub fn faults(&self) -> Vec<LiveFault> {
        lock(&self.faults).clone()
    }

    /// Returns ops and latencies so far, by kind. Leaves out kinds without any ops.
    pub fn by_kind(&self) -> (BTreeMap<String, LiveOps>, BTreeMap<String, Buckets>) {
        let latency = lock(&self.latency).by_kind.clone();
        let ops = KINDS.into_iter().zip(self.counters.iter().map(Counters::read)).filter(|(_, ops)| ops.invoked > 0);
        let latency = KINDS.into_iter().zip(latency).filter(|(_, buckets)| buckets.count() > 0);
        (ops.map(|(kind, ops)| (kind.to_owned(), ops)).collect(), latency.map(|(kind, b)| (kind.to_owned(), b)).collect())
    }

    /// Returns the state of the online judge, and the reason for an early stop, if any.
    pub fn judge(&self) -> (JudgeState, Option<String>) {
        let Some((judges, stop)) = self.judge.get() else { return (JudgeState::Off, None) };
        let state = if *judges { JudgeState::NoViolation } else { JudgeState::Off };
        match stop.reason() {
            None => (state, stop.aborted().map(|(why, _)| why)),
            Some(StopReason::Violation) => (JudgeState::Violation, Some("a violation was found, or a node crashed".into())),
            Some(StopReason::Interrupted) => (state, Some("interrupted".into())),
            Some(StopReason::Broken(why)) => (state, Some(why)),
        }
    }

    /// Returns all figures, with the latency since the last reading of this watcher.
    pub fn read(&self, watcher: &mut Watcher) -> Reading {
        let all = lock(&self.latency).all.clone();
        let mut recent = all.clone();
        if let Some(seen) = &watcher.seen {
            recent.subtract(seen).expect("counts only grow");
        }
        watcher.seen = Some(all);
        let ms = |q: f64| recent.value_at_quantile(q) as f64 / 1e3;
        let ops = self.counters.iter().map(Counters::read).fold(LiveOps::default(), LiveOps::plus);
        Reading {
            invoked: ops.invoked,
            ok: ops.applied + ops.condition_not_met,
            condition_not_met: ops.condition_not_met,
            failed: ops.failed,
            unknown: ops.unknown,
            latency_ms: (!recent.is_empty()).then(|| (ms(0.5), ms(0.99))),
            phase: *lock(&self.phase),
            now: self.clock.get().map(|clock| clock.now()),
            faults: lock(&self.faults).iter().filter(|f| f.ended_s.is_none()).map(|f| f.label.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_watcher_sees_the_latency_since_its_own_reading() {
        let live = Live::default();
        let (mut first, mut second) = (Watcher::default(), Watcher::default());
        let add = |ms| live.completed("cas", Outcome::Ok(Seen::Applied), Nanos::from_ms(ms));
        add(1);
        assert!(live.read(&mut first).latency_ms.is_some_and(|(p50, _)| p50 < 2.0));
        add(100);
        assert!(live.read(&mut first).latency_ms.is_some_and(|(p50, _)| p50 > 90.0));
        assert!(live.read(&mut second).latency_ms.is_some_and(|(p50, p99)| p50 < 2.0 && p99 > 90.0));
        assert_eq!(live.read(&mut first).latency_ms, None);
        assert_eq!(live.read(&mut second).ok, 2);
    }

    #[test]
    fn ops_are_counted_by_kind_and_outcome() {
        let live = Live::default();
        for kind in ["cas", "cas", "read"] {
            live.invoked(kind);
        }
        live.completed("cas", Outcome::Unknown, Nanos(5));
        live.completed("read", Outcome::Ok(Seen::Value(None)), Nanos::from_ms(3));
        let (ops, latency) = live.by_kind();
        assert_eq!(ops.keys().collect::<Vec<_>>(), ["cas", "read"]);
        assert_eq!((ops["cas"].invoked, ops["cas"].unknown, ops["read"].applied), (2, 1, 1));
        assert_eq!(latency.iter().map(|(kind, b)| (kind.as_str(), b.count())).collect::<Vec<_>>(), [("read", 1)]);
    }

    #[test]
    fn faults_are_kept_within_limits() {
        let live = Live::default();
        live.fault_began("pause n1");
        for _ in 0..2 * MAX_FAULTS {
            live.fault_began("kill n2");
            live.fault_ended("kill n2");
        }
        assert_eq!(live.faults().len(), MAX_FAULTS);
        assert_eq!(live.read(&mut Watcher::default()).faults, ["pause n1"], "a fault that lasts is not forgotten");
    }

    #[test]
    fn a_violation_is_known_before_the_verdict() {
        let (live, stop) = (Live::default(), Stop::default());
        assert_eq!(live.judge(), (JudgeState::Off, None));
        live.set_judge(true, stop.clone());
        assert_eq!(live.judge(), (JudgeState::NoViolation, None));
        stop.ask(StopReason::Violation);
        assert_eq!(live.judge().0, JudgeState::Violation);
    }
}

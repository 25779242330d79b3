//! Figures of the run so far, for the terminal only. Reports compute theirs from the history.

use super::phase::Phase;
use crate::clock::RunClock;
use hdrhistogram::Histogram;
use heckle_history::{Nanos, Seen};
use heckle_system_api::connection::Outcome;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Upper limit of displayed latencies: ten minutes, the longest op timeout.
const MAX_LATENCY_US: u64 = 600_000_000;

/// Counters that ops update and the terminal reads.
#[derive(Debug)]
pub struct Live {
    invoked: AtomicU64,
    ok: AtomicU64,
    condition_not_met: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    recent: Mutex<Histogram<u64>>,
    fault: Mutex<Vec<String>>,
    phase: Mutex<Phase>,
    clock: OnceLock<RunClock>,
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
    /// Median and 99th percentile of latency since the last reading, ms; `None` if no op was ok.
    pub latency_ms: Option<(f64, f64)>,
    /// Current phase of the run.
    pub phase: Phase,
    /// Time on the run's clock, if it has started.
    pub now: Option<Nanos>,
    /// Active faults.
    pub faults: Vec<String>,
}

impl Default for Live {
    fn default() -> Self {
        let recent = Histogram::new_with_bounds(1, MAX_LATENCY_US, 2).expect("the bounds are in order and the precision is valid");
        let zero = AtomicU64::default;
        Live {
            invoked: zero(),
            ok: zero(),
            condition_not_met: zero(),
            failed: zero(),
            unknown: zero(),
            recent: Mutex::new(recent),
            fault: Mutex::default(),
            phase: Mutex::default(),
            clock: OnceLock::new(),
        }
    }
}

impl Live {
    /// Sets the run's clock, which has just started.
    pub fn set_clock(&self, clock: RunClock) {
        let _ = self.clock.set(clock);
    }

    /// Sets the current phase of the run.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Counts an op that was sent.
    pub fn invoked(&self) {
        self.invoked.fetch_add(1, Relaxed);
    }

    /// Counts an op that ended.
    pub fn completed(&self, outcome: Outcome, latency: Nanos) {
        let counter = match outcome {
            Outcome::Ok(seen) => {
                if matches!(seen, Seen::ConditionNotMet(_)) {
                    self.condition_not_met.fetch_add(1, Relaxed);
                }
                self.recent.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(latency.0 / 1_000);
                &self.ok
            }
            Outcome::NotApplied => &self.failed,
            Outcome::Unknown => &self.unknown,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Adds a fault that begins.
    pub fn fault_began(&self, label: &str) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).push(label.to_owned());
    }

    /// Removes a fault that has ended.
    pub fn fault_ended(&self, label: &str) {
        let mut faults = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = faults.iter().position(|f| f == label) {
            faults.remove(i);
        }
    }

    /// Returns all figures, and begins a new latency interval.
    pub fn read(&self) -> Reading {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |q: f64| recent.value_at_quantile(q) as f64 / 1e3;
        let latency_ms = (!recent.is_empty()).then(|| (ms(0.5), ms(0.99)));
        recent.reset();
        drop(recent);
        Reading {
            invoked: self.invoked.load(Relaxed),
            ok: self.ok.load(Relaxed),
            condition_not_met: self.condition_not_met.load(Relaxed),
            failed: self.failed.load(Relaxed),
            unknown: self.unknown.load(Relaxed),
            latency_ms,
            phase: *self.phase.lock().unwrap_or_else(PoisonError::into_inner),
            now: self.clock.get().map(|clock| clock.now()),
            faults: self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

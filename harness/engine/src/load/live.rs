//! Figures of the run so far, for the terminal only. Reports take theirs from the history.

use super::phase::Phase;
use crate::clock::RunClock;
use hdrhistogram::Histogram;
use heckle_history::{Nanos, Seen};
use heckle_system_api::connection::Outcome;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Latencies above this are shown as this: ten minutes, the longest op timeout.
const MAX_LATENCY_US: u64 = 600_000_000;

/// Counters that ops add to and the terminal reads.
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

/// One reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Ops sent.
    pub invoked: u64,
    /// Ok, refused CAS included.
    pub ok: u64,
    /// Of these, refused CAS.
    pub condition_not_met: u64,
    /// Proved not to have happened.
    pub failed: u64,
    /// Unknown outcomes.
    pub unknown: u64,
    /// Median and 99th percentile of latency since the last reading, ms; `None` if nothing was answered ok.
    pub latency_ms: Option<(f64, f64)>,
    /// What the run is doing.
    pub phase: Phase,
    /// Since the run's clock started, if it has.
    pub now: Option<Nanos>,
    /// Faults under way.
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
    /// The run's clock has started.
    pub fn starts(&self, clock: RunClock) {
        let _ = self.clock.set(clock);
    }

    /// A phase of the run begins.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// An op was sent.
    pub fn invoked(&self) {
        self.invoked.fetch_add(1, Relaxed);
    }

    /// An op ended.
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

    /// A fault begins.
    pub fn fault_began(&self, label: &str) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).push(label.to_owned());
    }

    /// A fault is over.
    pub fn fault_ended(&self, label: &str) {
        let mut faults = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = faults.iter().position(|f| f == label) {
            faults.remove(i);
        }
    }

    /// Reads all, and begins a new interval of latency.
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

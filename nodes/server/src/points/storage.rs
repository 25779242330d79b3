//! Storage points: where the work of the storage can be made to fail, wait or end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::storage_point::StoragePoint;
use super::{Failpoint, Injection};
use crate::storage::StorageError;

/// The armed points, and how often each was hit while armed. Shared by the event loop, which arms points, and the
/// storage threads.
#[derive(Debug, Default)]
pub(crate) struct StoragePoints {
    /// Bit set of the points with an injection.
    armed: AtomicU32,
    state: Mutex<State>,
    /// Notified when the armed points change, which may end a wait.
    changed: Condvar,
}

/// The waits that were injected, as measured, since a delay was armed last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedDelays {
    /// Number of waits that have begun.
    pub count: u64,
    /// Longest wait that has ended, in microseconds.
    pub max_us: u64,
}

#[derive(Debug, Default)]
struct State {
    armed: Vec<Armed>,
    hits: BTreeMap<(StoragePoint, &'static str), u64>,
    delays: InjectedDelays,
}

#[derive(Debug)]
struct Armed {
    at: StoragePoint,
    injection: Injection,
    /// Number of hits to ignore first.
    skip: u32,
}

/// The point and injection that a failpoint stands for.
fn point_of_failpoint(failpoint: Failpoint, delay_us: u64) -> (StoragePoint, Injection) {
    match failpoint {
        Failpoint::FailWrite => (StoragePoint::BeforeWrite, Injection::IoError),
        Failpoint::FailSync => (StoragePoint::BeforeSync, Injection::IoError),
        Failpoint::DiskFull => (StoragePoint::MidWrite, Injection::DiskFull),
        Failpoint::SlowSync => (StoragePoint::BeforeSync, Injection::Delay { us: delay_us }),
        Failpoint::CrashBeforeSync => (StoragePoint::BeforeSync, Injection::Crash),
        Failpoint::CrashAfterSync => (StoragePoint::AfterSync, Injection::Crash),
        Failpoint::CrashMidWrite => (StoragePoint::MidWrite, Injection::Crash),
        Failpoint::Panic => (StoragePoint::BeforeSync, Injection::Panic),
    }
}

impl StoragePoints {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread may have panicked while it held the lock, by injection.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Arms `injection` at this point, after `skip` hits are ignored. Replaces an injection of the same kind.
    pub(crate) fn arm(&self, at: StoragePoint, injection: Injection, skip: u32) -> Result<(), String> {
        if let Injection::Hold { .. } = injection {
            return Err(format!("{} is a point of the storage: the node holds at protocol points only", at.name()));
        }
        if let Injection::Delay { .. } = injection {
            self.state().delays = InjectedDelays::default();
        }
        self.change(|armed| {
            armed.retain(|a| a.at != at || a.injection.name() != injection.name());
            armed.push(Armed { at, injection, skip });
            // Injections that end the node come first, and a delay comes before an error.
            armed.sort_by_key(|a| a.injection);
        });
        Ok(())
    }

    /// Removes all injections at this point.
    pub(crate) fn disarm(&self, at: StoragePoint) {
        self.change(|armed| armed.retain(|a| a.at != at));
    }

    pub(crate) fn arm_failpoint(&self, failpoint: Failpoint, delay_us: u64) {
        let (at, injection) = point_of_failpoint(failpoint, delay_us);
        self.arm(at, injection, 0).expect("no failpoint holds");
    }

    pub(crate) fn disarm_failpoint(&self, failpoint: Failpoint) {
        let (at, injection) = point_of_failpoint(failpoint, 0);
        self.change(|armed| armed.retain(|a| a.at != at || a.injection.name() != injection.name()));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Armed>)) {
        let mut state = self.state();
        change(&mut state.armed);
        let bits = state.armed.iter().map(|a| if a.at == StoragePoint::Any { u32::MAX } else { a.at.bit() });
        self.armed.store(bits.fold(0, |all, bit| all | bit), Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Whether an injection is armed at this point.
    pub(crate) fn is_armed(&self, point: StoragePoint) -> bool {
        self.armed.load(Ordering::Relaxed) & point.bit() != 0
    }

    /// Called when the storage reaches this point in its work on `path`. Carries out the injections that are armed
    /// there.
    pub(crate) fn reach(&self, point: StoragePoint, path: &Path) -> Result<(), StorageError> {
        if self.is_armed(point) { self.hit(point, path) } else { Ok(()) }
    }

    #[cold]
    fn hit(&self, point: StoragePoint, path: &Path) -> Result<(), StorageError> {
        for injection in self.take_due(point) {
            let errno = match injection {
                Injection::Crash => return Err(StorageError::Crash { name: point.name() }),
                Injection::Panic => panic!("point {} was reached", point.name()),
                Injection::Delay { us } => {
                    self.wait(Duration::from_micros(us));
                    continue;
                }
                Injection::IoError => libc::EIO,
                Injection::DiskFull => libc::ENOSPC,
                Injection::Hold { .. } => continue,
            };
            return Err(StorageError::io(point.texts().2, path, io::Error::from_raw_os_error(errno)));
        }
        Ok(())
    }

    /// Waits for this long, or until the delay is disarmed.
    fn wait(&self, time: Duration) {
        let began = Instant::now();
        let mut state = self.state();
        state.delays.count += 1;
        while state.armed.iter().any(|a| matches!(a.injection, Injection::Delay { .. }))
            && let Some(rest) = time.checked_sub(began.elapsed()).filter(|rest| !rest.is_zero())
        {
            let waited = self.changed.wait_timeout(state, rest);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        state.delays.max_us = state.delays.max_us.max(us);
    }

    /// The waits that were injected.
    pub(crate) fn delays(&self) -> InjectedDelays {
        self.state().delays
    }

    /// Counts this hit and returns its injections.
    fn take_due(&self, point: StoragePoint) -> Vec<Injection> {
        let mut state = self.state();
        let State { armed, hits, .. } = &mut *state;
        let mut due = Vec::new();
        for a in armed.iter_mut().filter(|a| a.at == point || a.at == StoragePoint::Any) {
            if a.skip > 0 {
                a.skip -= 1;
                continue;
            }
            *hits.entry((a.at, a.injection.name())).or_default() += 1;
            due.push(a.injection);
        }
        due
    }

    /// The armed points, listed once for each injection.
    pub(crate) fn armed(&self) -> Vec<StoragePoint> {
        self.state().armed.iter().map(|a| a.at).collect()
    }

    /// Number of injections carried out at each point.
    pub(crate) fn hits(&self) -> Vec<(StoragePoint, u64)> {
        let mut sums = BTreeMap::new();
        for ((point, _), count) in &self.state().hits {
            *sums.entry(*point).or_default() += count;
        }
        sums.into_iter().collect()
    }

    pub(crate) fn armed_failpoints(&self) -> Vec<Failpoint> {
        let state = self.state();
        let is_armed = |failpoint: &Failpoint| {
            let (at, injection) = point_of_failpoint(*failpoint, 0);
            state.armed.iter().any(|a| a.at == at && a.injection.name() == injection.name())
        };
        Failpoint::ALL.into_iter().filter(is_armed).collect()
    }

    /// How often each failpoint fired. Failpoints that never fired are left out.
    pub(crate) fn fired_failpoints(&self) -> Vec<(Failpoint, u64)> {
        let state = self.state();
        let fired = |failpoint: Failpoint| {
            let (at, injection) = point_of_failpoint(failpoint, 0);
            state.hits.get(&(at, injection.name())).map(|count| (failpoint, *count))
        };
        Failpoint::ALL.into_iter().filter_map(fired).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disarmed_points_do_nothing() {
        let points = StoragePoints::default();
        points.arm(StoragePoint::AfterSync, Injection::IoError, 0).unwrap();
        points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap();
        points.reach(StoragePoint::AfterSync, Path::new("x")).unwrap_err();
        points.disarm(StoragePoint::AfterSync);
        points.reach(StoragePoint::AfterSync, Path::new("x")).unwrap();
        assert_eq!((points.armed(), points.hits()), (vec![], vec![(StoragePoint::AfterSync, 1)]));
    }

    #[test]
    fn skip_counts_hits_of_a_point_or_of_any() {
        let points = StoragePoints::default();
        points.arm(StoragePoint::BeforeSync, Injection::Crash, 2).unwrap();
        let reach = |point| points.reach(point, Path::new("x"));
        reach(StoragePoint::BeforeSync).unwrap();
        reach(StoragePoint::BeforeWrite).unwrap();
        reach(StoragePoint::BeforeSync).unwrap();
        let error = reach(StoragePoint::BeforeSync).unwrap_err();
        assert!(matches!(error, StorageError::Crash { name: "before-sync" }), "{error}");
        points.disarm(StoragePoint::BeforeSync);
        points.arm(StoragePoint::Any, Injection::Crash, 1).unwrap();
        assert!(points.is_armed(StoragePoint::MidWrite));
        reach(StoragePoint::MidWrite).unwrap();
        let error = reach(StoragePoint::AfterSnapshot).unwrap_err();
        assert!(matches!(error, StorageError::Crash { name: "after-snapshot" }), "{error}");
    }

    #[test]
    fn a_delay_counts_from_its_start_and_ends_when_it_is_disarmed() {
        let points = StoragePoints::default();
        points.arm_failpoint(Failpoint::SlowSync, 600_000_000);
        std::thread::scope(|scope| {
            let sync = scope.spawn(|| points.reach(StoragePoint::BeforeSync, Path::new("x")));
            while points.delays().count == 0 {
                std::thread::yield_now();
            }
            // Another point does not end it.
            points.arm_failpoint(Failpoint::CrashAfterSync, 0);
            assert_eq!((points.delays().max_us, sync.is_finished()), (0, false));
            points.disarm_failpoint(Failpoint::SlowSync);
            sync.join().expect("no panic").expect("no error");
        });
        assert!(points.delays().count == 1 && points.delays().max_us > 0);
    }

    #[test]
    fn injections_at_one_point_are_ordered() {
        let points = StoragePoints::default();
        points.arm_failpoint(Failpoint::FailSync, 0);
        points.arm_failpoint(Failpoint::SlowSync, 10);
        points.arm_failpoint(Failpoint::SlowSync, 20);
        assert_eq!(points.armed_failpoints(), [Failpoint::FailSync, Failpoint::SlowSync]);
        let error = points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap_err();
        assert!(error.to_string().contains("sync of x: Input/output error"), "{error}");
        assert_eq!(points.fired_failpoints(), [(Failpoint::FailSync, 1), (Failpoint::SlowSync, 1)]);
        assert!(points.delays().count == 1 && points.delays().max_us >= 20, "{:?}", points.delays());
        points.disarm_failpoint(Failpoint::FailSync);
        points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap();
        points.arm_failpoint(Failpoint::CrashBeforeSync, 0);
        let error = points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap_err();
        assert!(matches!(error, StorageError::Crash { .. }), "{error}");
        points.arm(StoragePoint::BeforeSync, Injection::Hold { ms: 1 }, 0).unwrap_err();
    }
}

//! Storage points, at which the storage can be made to fail, wait or end the node.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::hold::{MAX_ARMED, check_hold};
use super::storage_point::StoragePoint;
use super::{Failpoint, HoldOwner, Injection, PointReached};
use crate::clock;
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

/// The injected waits, as measured, since a delay was last armed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedDelays {
    /// Number of waits that have begun.
    pub count: u64,
    /// Longest completed wait, in microseconds.
    pub max_us: u64,
}

#[derive(Debug, Default)]
struct State {
    armed: Vec<Armed>,
    hits: BTreeMap<(StoragePoint, &'static str), u64>,
    delays: InjectedDelays,
    /// The holds that stop a storage thread now.
    holding: Vec<u64>,
}

#[derive(Debug, Clone)]
struct Armed {
    at: StoragePoint,
    injection: Injection,
    /// Number of hits to ignore first.
    skip: u32,
    /// The connection for which the thread is held.
    owner: Option<HoldOwner>,
}

/// The point and injection for which a failpoint stands.
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
        // An injected panic may have poisoned the lock.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Arms `injection` at this point, after ignoring the first `skip` hits. Replaces an injection of the same kind.
    pub(crate) fn arm(&self, at: StoragePoint, injection: Injection, skip: u32) -> Result<(), String> {
        if let Injection::Hold { .. } = injection {
            return Err(format!("{} is a point of the storage: it can hold the node for a connection only", at.name()));
        }
        if let Injection::Delay { .. } = injection {
            self.state().delays = InjectedDelays::default();
        }
        self.change(|armed| {
            armed.retain(|a| a.at != at || a.injection.name() != injection.name());
            armed.push(Armed { at, injection, skip, owner: None });
            // Injections that end the node come first, and a delay comes before an error.
            armed.sort_by_key(|a| a.injection);
        });
        Ok(())
    }

    /// Arms a point for one hit, after `skip` hits are ignored, at which the thread is held for a connection.
    pub(crate) fn hold_at(&self, at: StoragePoint, ms: u64, skip: u32, owner: HoldOwner) -> Result<(), String> {
        check_hold(ms)?;
        if self.state().armed.iter().filter(|a| a.owner.is_some()).count() >= MAX_ARMED {
            return Err(format!("{MAX_ARMED} holds are armed already: close some connections first"));
        }
        self.change(|armed| armed.push(Armed { at, injection: Injection::Hold { ms }, skip, owner: Some(owner) }));
        Ok(())
    }

    /// Takes the hold of a connection back, or ends it.
    pub(crate) fn let_go(&self, hold: u64) {
        self.state().holding.retain(|id| *id != hold);
        self.change(|armed| armed.retain(|a| a.owner.as_ref().is_none_or(|owner| owner.id != hold)));
    }

    /// Removes all injections at this point. Holds of connections stay.
    pub(crate) fn disarm(&self, at: StoragePoint) {
        self.change(|armed| armed.retain(|a| a.at != at || a.owner.is_some()));
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
        self.publish(&state);
        self.changed.notify_all();
    }

    /// Lets the threads know which points are armed.
    fn publish(&self, state: &State) {
        let bits = state.armed.iter().map(|a| if a.at == StoragePoint::Any { u32::MAX } else { a.at.bit() });
        self.armed.store(bits.fold(0, |all, bit| all | bit), Ordering::Relaxed);
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
        for due in self.take_due(point) {
            let errno = match due.injection {
                Injection::Crash => return Err(StorageError::Crash { name: point.name() }),
                Injection::Panic => panic!("point {} was reached", point.name()),
                Injection::Delay { us } => {
                    self.wait(Duration::from_micros(us));
                    continue;
                }
                Injection::IoError => libc::EIO,
                Injection::DiskFull => libc::ENOSPC,
                Injection::Hold { ms } => {
                    due.owner.iter().for_each(|owner| self.hold(point, owner, Duration::from_millis(ms)));
                    continue;
                }
            };
            return Err(StorageError::io(point.texts().2, path, io::Error::from_raw_os_error(errno)));
        }
        Ok(())
    }

    /// Reports the hit, and waits until the connection lets go or the time is over.
    fn hold(&self, point: StoragePoint, owner: &HoldOwner, longest: Duration) {
        let began = Instant::now();
        let reached = PointReached {
            node: owner.node.clone(),
            name: point.name().to_owned(),
            key: String::new(),
            op: String::new(),
            ballot: String::new(),
            mono_ns: clock::raw_mono_ns(),
            held: true,
        };
        // If the report cannot be sent, the hold ends by its own limit.
        let _ = owner.sender.try_send(reached);
        let mut state = self.state();
        while state.holding.contains(&owner.id)
            && let Some(rest) = longest.checked_sub(began.elapsed()).filter(|rest| !rest.is_zero())
        {
            let waited = self.changed.wait_timeout(state, rest);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        state.holding.retain(|id| *id != owner.id);
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

    /// The injected waits.
    pub(crate) fn delays(&self) -> InjectedDelays {
        self.state().delays
    }

    /// Counts this hit and returns its injections. A hold happens once.
    fn take_due(&self, point: StoragePoint) -> Vec<Armed> {
        let mut state = self.state();
        let State { armed, hits, holding, .. } = &mut *state;
        let mut due = Vec::new();
        armed.retain_mut(|a| {
            if a.at != point && a.at != StoragePoint::Any {
                return true;
            }
            if a.skip > 0 {
                a.skip -= 1;
                return true;
            }
            *hits.entry((a.at, a.injection.name())).or_default() += 1;
            holding.extend(a.owner.as_ref().map(|owner| owner.id));
            due.push(a.clone());
            a.owner.is_none()
        });
        self.publish(&state);
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
            // Arming another point does not end the wait.
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

    /// A connection that holds the thread, and its reports.
    fn owner(id: u64) -> (HoldOwner, tokio::sync::mpsc::Receiver<PointReached>) {
        let (sender, reports) = tokio::sync::mpsc::channel(4);
        (HoldOwner { id, node: "n1".into(), sender }, reports)
    }

    #[test]
    fn a_hold_happens_once_and_ends_when_its_owner_lets_go() {
        let points = StoragePoints::default();
        let (first, mut reports) = owner(1);
        points.hold_at(StoragePoint::BeforeSync, 100, 1, first).unwrap();
        let reach = || points.reach(StoragePoint::BeforeSync, Path::new("x"));
        reach().unwrap();
        assert!(reports.try_recv().is_err(), "the first hit is ignored");
        std::thread::scope(|scope| {
            let began = Instant::now();
            let sync = scope.spawn(reach);
            let reached = reports.blocking_recv().expect("a report");
            assert!(reached.held && reached.name == "before-sync" && reached.node == "n1", "{reached:?}");
            // Neither another owner nor a disarmed point ends it.
            points.let_go(2);
            points.disarm(StoragePoint::BeforeSync);
            points.let_go(1);
            sync.join().expect("no panic").expect("no error");
            assert!(began.elapsed() < Duration::from_secs(5));
        });
        assert!(!points.is_armed(StoragePoint::BeforeSync));
        assert_eq!(points.hits(), [(StoragePoint::BeforeSync, 1)]);
    }

    #[test]
    fn a_hold_that_nobody_ends_is_over_after_its_time_and_never_longer_than_the_limit() {
        let points = StoragePoints::default();
        points.hold_at(StoragePoint::BeforeSync, 60, 0, owner(1).0).unwrap();
        let began = Instant::now();
        points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(60));
        let error = points.hold_at(StoragePoint::BeforeSync, 101, 0, owner(2).0).unwrap_err();
        assert!(error.contains("over the limit of 100"), "{error}");
        for id in 0..MAX_ARMED as u64 {
            points.hold_at(StoragePoint::Any, 1, 0, owner(id).0).unwrap();
        }
        points.hold_at(StoragePoint::Any, 1, 0, owner(99).0).unwrap_err();
        (0..MAX_ARMED as u64).for_each(|id| points.let_go(id));
        assert!(!points.is_armed(StoragePoint::BeforeSync));
    }
}

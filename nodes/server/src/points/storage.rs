//! Points of the storage: where its work can be made to fail, wait or end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::storage_point::StoragePoint;
use super::{Failpoint, Injection};
use crate::storage::StorageError;

/// Which points are armed, and how often each was hit while it was. Shared by the event loop, which arms, and the threads
/// of the storage.
#[derive(Debug, Default)]
pub(crate) struct StoragePoints {
    /// One bit for each point at which something is due.
    armed: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    armed: Vec<Armed>,
    hits: BTreeMap<(StoragePoint, &'static str), u64>,
}

#[derive(Debug)]
struct Armed {
    at: StoragePoint,
    injection: Injection,
    /// Hits that pass first.
    skip: u32,
}

/// A failpoint of the control channel is a point with one injection.
fn of_failpoint(failpoint: Failpoint, delay_us: u64) -> (StoragePoint, Injection) {
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
        // A thread may panic at a point, by injection.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// From the hit after `skip` others on, `injection` happens at this point, in place of one of its kind.
    pub(crate) fn arm(&self, at: StoragePoint, injection: Injection, skip: u32) -> Result<(), String> {
        if let Injection::Hold { .. } = injection {
            return Err(format!("{} is a point of the storage: the node holds at protocol points only", at.name()));
        }
        self.change(|armed| {
            armed.retain(|a| a.at != at || a.injection.name() != injection.name());
            armed.push(Armed { at, injection, skip });
            // What ends the node comes first, and a delay before an error.
            armed.sort_by_key(|a| a.injection);
        });
        Ok(())
    }

    /// Nothing happens at this point any more.
    pub(crate) fn disarm(&self, at: StoragePoint) {
        self.change(|armed| armed.retain(|a| a.at != at));
    }

    pub(crate) fn arm_failpoint(&self, failpoint: Failpoint, delay_us: u64) {
        let (at, injection) = of_failpoint(failpoint, delay_us);
        self.arm(at, injection, 0).expect("no failpoint holds");
    }

    pub(crate) fn disarm_failpoint(&self, failpoint: Failpoint) {
        let (at, injection) = of_failpoint(failpoint, 0);
        self.change(|armed| armed.retain(|a| a.at != at || a.injection.name() != injection.name()));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Armed>)) {
        let mut state = self.state();
        change(&mut state.armed);
        let bits = state.armed.iter().map(|a| if a.at == StoragePoint::Any { u32::MAX } else { a.at.bit() });
        self.armed.store(bits.fold(0, |all, bit| all | bit), Ordering::Relaxed);
    }

    /// Whether something is due at this point.
    pub(crate) fn is_armed(&self, point: StoragePoint) -> bool {
        self.armed.load(Ordering::Relaxed) & point.bit() != 0
    }

    /// The storage is at this point in its work on `path`.
    pub(crate) fn reach(&self, point: StoragePoint, path: &Path) -> Result<(), StorageError> {
        if self.is_armed(point) { self.hit(point, path) } else { Ok(()) }
    }

    #[cold]
    fn hit(&self, point: StoragePoint, path: &Path) -> Result<(), StorageError> {
        for injection in self.due(point) {
            let errno = match injection {
                Injection::Crash => return Err(StorageError::Crash { name: point.name() }),
                Injection::Panic => panic!("point {} was reached", point.name()),
                Injection::Delay { us } => {
                    std::thread::sleep(Duration::from_micros(us));
                    continue;
                }
                Injection::IoError => libc::EIO,
                Injection::DiskFull => libc::ENOSPC,
                Injection::Hold { .. } => continue,
            };
            return Err(StorageError::io(point.words().2, path, io::Error::from_raw_os_error(errno)));
        }
        Ok(())
    }

    /// What happens at this hit, counted.
    fn due(&self, point: StoragePoint) -> Vec<Injection> {
        let mut state = self.state();
        let State { armed, hits } = &mut *state;
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

    /// Points that are armed, each once for each injection.
    pub(crate) fn armed(&self) -> Vec<StoragePoint> {
        self.state().armed.iter().map(|a| a.at).collect()
    }

    /// How often something happened at each point.
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
            let (at, injection) = of_failpoint(*failpoint, 0);
            state.armed.iter().any(|a| a.at == at && a.injection.name() == injection.name())
        };
        Failpoint::ALL.into_iter().filter(is_armed).collect()
    }

    /// How often each failpoint fired, if it did.
    pub(crate) fn fired_failpoints(&self) -> Vec<(Failpoint, u64)> {
        let state = self.state();
        let fired = |failpoint: Failpoint| {
            let (at, injection) = of_failpoint(failpoint, 0);
            state.hits.get(&(at, injection.name())).map(|count| (failpoint, *count))
        };
        Failpoint::ALL.into_iter().filter_map(fired).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_is_off_does_nothing_and_counts_nothing() {
        let points = StoragePoints::default();
        points.arm(StoragePoint::AfterSync, Injection::IoError, 0).unwrap();
        points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap();
        points.reach(StoragePoint::AfterSync, Path::new("x")).unwrap_err();
        points.disarm(StoragePoint::AfterSync);
        points.reach(StoragePoint::AfterSync, Path::new("x")).unwrap();
        assert_eq!((points.armed(), points.hits()), (vec![], vec![(StoragePoint::AfterSync, 1)]));
    }

    #[test]
    fn the_nth_hit_of_a_point_or_of_any_ends_the_node() {
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
    fn one_point_takes_several_injections_and_an_end_comes_first() {
        let points = StoragePoints::default();
        points.arm_failpoint(Failpoint::FailSync, 0);
        points.arm_failpoint(Failpoint::SlowSync, 10);
        points.arm_failpoint(Failpoint::SlowSync, 20);
        assert_eq!(points.armed_failpoints(), [Failpoint::FailSync, Failpoint::SlowSync]);
        let error = points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap_err();
        assert!(error.to_string().contains("sync of x: Input/output error"), "{error}");
        assert_eq!(points.fired_failpoints(), [(Failpoint::FailSync, 1), (Failpoint::SlowSync, 1)]);
        points.disarm_failpoint(Failpoint::FailSync);
        points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap();
        points.arm_failpoint(Failpoint::CrashBeforeSync, 0);
        let error = points.reach(StoragePoint::BeforeSync, Path::new("x")).unwrap_err();
        assert!(matches!(error, StorageError::Crash { .. }), "{error}");
        points.arm(StoragePoint::BeforeSync, Injection::Hold { ms: 1 }, 0).unwrap_err();
    }
}

//! The shared stop flag of a run, and waits that end at a given time or at a stop.

use crate::clock::RunClock;
use crate::limits;
use heckle_history::Nanos;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Reason for an early stop of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The online judge found a violation, or a node crashed.
    Violation,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The harness or the machine failed, with a description.
    Broken(String),
}

/// A flag that every part of a run checks. The most severe reason counts, in this order: a failure of the run,
/// a violation, an interruption. No reason hides another: see [`Stop::broken`].
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    reasons: Mutex<Reasons>,
    /// Whether any reason was given, so that a load that checks before every operation rarely has to lock.
    given: AtomicBool,
    changed: Condvar,
}

/// The reasons given so far.
#[derive(Debug, Default)]
struct Reasons {
    interrupted: bool,
    violation: bool,
    /// The first failure.
    broken: Option<String>,
    /// The reason why a limit of the plan ended the load, and the time.
    aborted: Option<(String, Nanos)>,
    /// Whether the load is over, after which an abort of the load no longer counts as a stop.
    load_over: bool,
}

impl Reasons {
    fn asked(&self) -> bool {
        self.interrupted || self.violation || self.broken.is_some() || (self.aborted.is_some() && !self.load_over)
    }

    fn most_severe(&self) -> Option<StopReason> {
        let broken = self.broken.clone().map(StopReason::Broken);
        broken.or(self.violation.then_some(StopReason::Violation)).or(self.interrupted.then_some(StopReason::Interrupted))
    }
}

impl Stop {
    /// Requests a stop.
    pub fn ask(&self, reason: StopReason) {
        self.0.given.store(true, Ordering::SeqCst);
        let mut held = self.lock();
        match reason {
            StopReason::Interrupted => held.interrupted = true,
            StopReason::Violation => held.violation = true,
            StopReason::Broken(why) => drop(held.broken.get_or_insert(why)),
        }
        self.0.changed.notify_all();
    }

    /// Ends the load and the faults early because of a limit of the plan. The rest of the run proceeds as planned after [`Stop::end_load`].
    pub fn abort_load(&self, why: String, at: Nanos) {
        self.0.given.store(true, Ordering::SeqCst);
        self.lock().aborted.get_or_insert((why, at));
        self.0.changed.notify_all();
    }

    /// Marks the load and its faults as over.
    pub fn end_load(&self) {
        self.lock().load_over = true;
    }

    /// Returns the reason why a limit of the plan ended the load, and the time.
    pub fn aborted(&self) -> Option<(String, Nanos)> {
        self.lock().aborted.clone()
    }

    /// Returns the reason, if a stop was requested.
    pub fn reason(&self) -> Option<StopReason> {
        self.lock_updated().most_severe()
    }

    /// Returns the first failure of the harness or the machine, regardless of other reasons.
    pub fn broken(&self) -> Option<String> {
        self.lock_updated().broken.clone()
    }

    /// Whether a stop was requested.
    pub fn asked(&self) -> bool {
        let none = interrupts() == 0 && !limits::any_met() && !self.0.given.load(Ordering::SeqCst);
        !none && self.lock_updated().asked()
    }

    fn lock(&self) -> MutexGuard<'_, Reasons> {
        self.0.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks and returns the reasons, including those from signal handlers and the harness's own limits, which cannot notify waiters.
    fn lock_updated(&self) -> MutexGuard<'_, Reasons> {
        let mut held = self.lock();
        add_signal_reasons(&mut held);
        held
    }

    /// Waits until `at`. Returns `false` early if a stop is requested.
    pub fn wait_until(&self, clock: RunClock, at: Nanos) -> bool {
        let mut held = self.lock_updated();
        loop {
            let left = at.since(clock.now());
            if held.asked() {
                return false;
            }
            if left.0 == 0 {
                return true;
            }
            // A signal handler cannot notify, so wait in short pieces, and check the handler's counter after each.
            let piece = Duration::from_nanos(left.0).min(Duration::from_millis(50));
            held = self.0.changed.wait_timeout(held, piece).unwrap_or_else(PoisonError::into_inner).0;
            if add_signal_reasons(&mut held) {
                self.0.changed.notify_all();
            }
        }
    }
}

/// Adds the reasons from sources that cannot notify. Returns whether there are any new ones.
fn add_signal_reasons(held: &mut Reasons) -> bool {
    let before = held.asked();
    held.interrupted |= interrupts() > 0;
    if held.broken.is_none() {
        held.broken = limits::met();
    }
    held.asked() != before
}

static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// Returns how often Ctrl-C or SIGTERM arrived.
pub fn interrupts() -> u32 {
    INTERRUPTS.load(Ordering::SeqCst)
}

/// The exit code of an interrupted run.
pub const EXIT_INTERRUPTED: i32 = 130;

extern "C" fn on_signal(_: libc::c_int) {
    // The second signal ends the process immediately. The nodes that it started are then killed by their parent-death signal.
    if INTERRUPTS.fetch_add(1, Ordering::SeqCst) >= 1 {
        // SAFETY: `_exit` may be called in a signal handler.
        unsafe { libc::_exit(EXIT_INTERRUPTED) };
    }
}

/// Makes Ctrl-C and SIGTERM increment a counter instead of ending the process.
pub fn catch_interrupts() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler touches an atomic and `_exit` only, both allowed in a signal handler.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_ends_the_load_alone() {
        let (stop, clock) = (Stop::default(), RunClock::start());
        stop.abort_load("too slow".into(), Nanos(7));
        stop.abort_load("later".into(), Nanos(9));
        assert!(stop.asked() && !stop.wait_until(clock, Nanos::from_ms(60_000)), "the load and its faults end");
        stop.end_load();
        assert!(!stop.asked() && stop.wait_until(clock, Nanos(clock.now().0 + 1_000_000)), "the quiet tail is waited for");
        assert_eq!((stop.reason(), stop.aborted()), (None, Some(("too slow".into(), Nanos(7)))));
        stop.ask(StopReason::Interrupted);
        assert!(stop.asked());
    }

    #[test]
    fn a_wait_ends_by_time_or_stop_with_the_most_severe_reason() {
        let (stop, clock) = (Stop::default(), RunClock::start());
        assert!(stop.wait_until(clock, Nanos(1_000_000)));
        stop.ask(StopReason::Interrupted);
        assert!(!stop.wait_until(clock, Nanos::from_ms(60_000)), "ended long before its time");
        stop.ask(StopReason::Violation);
        stop.ask(StopReason::Interrupted);
        assert_eq!((stop.reason(), stop.broken()), (Some(StopReason::Violation), None));
        stop.ask(StopReason::Broken("n2 could not be restarted".into()));
        stop.ask(StopReason::Broken("a later one".into()));
        assert_eq!(stop.reason(), Some(StopReason::Broken("n2 could not be restarted".into())), "a violation hides no failure");
    }
}

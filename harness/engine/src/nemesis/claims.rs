//! Tracks which nodes each fault holds: nodes that are down, stopped or otherwise affected. A fault that needs a
//! node held by another fault waits for it, and so begins late instead of failing.
//!
//! | a fault with a step that … | nodes held by another fault |
//! |---|---|
//! | sends a signal | waits until all of its nodes are free, then holds them until they are back |
//! | only sets clocks | waits until its nodes are free, holds none: a node may be killed while its clock is wrong, and its next process has the right time |
//! | only disturbs links | does not wait: a link can be cut in any state of its nodes |
//!
//! The wait ends with the load. A fault that has not begun by then is left out, and the run reports it.

use crate::clock::RunClock;
use crate::stop::Stop;
use heckle_faults::Node;
use heckle_history::Nanos;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Interval between two checks for a stop during a wait.
const STOP_CHECK_EVERY: Duration = Duration::from_millis(20);

/// The nodes that faults hold.
#[derive(Debug, Default)]
pub struct Claims {
    held: Mutex<BTreeSet<Node>>,
    freed: Condvar,
}

/// A set of nodes, held until this guard is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    nodes: Vec<Node>,
}

/// Limits of a wait.
#[derive(Clone, Copy)]
pub(super) struct WaitLimit<'a> {
    pub(super) clock: RunClock,
    pub(super) until: Nanos,
    pub(super) stop: &'a Stop,
}

impl Claims {
    /// Waits until all of `nodes` are free, and holds them. Returns `None` if the time limit or the end of the run comes first.
    pub(super) fn claim(&self, nodes: &[Node], limit: WaitLimit<'_>) -> Option<Claim<'_>> {
        let mut held = self.free(nodes, limit)?;
        held.extend(nodes);
        Some(Claim { claims: self, nodes: nodes.to_vec() })
    }

    /// Waits until all of `nodes` are free. Returns whether they are.
    pub(super) fn wait_free(&self, nodes: &[Node], limit: WaitLimit<'_>) -> bool {
        self.free(nodes, limit).is_some()
    }

    fn free(&self, nodes: &[Node], WaitLimit { clock, until, stop }: WaitLimit<'_>) -> Option<MutexGuard<'_, BTreeSet<Node>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while nodes.iter().any(|node| held.contains(node)) {
            if stop.asked() || clock.now() >= until {
                return None;
            }
            held = self.freed.wait_timeout(held, STOP_CHECK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(held)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut held = self.claims.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|node| !self.nodes.contains(node));
        self.claims.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::StopReason;

    fn nodes(numbers: &[u16]) -> Vec<Node> {
        numbers.iter().map(|n| Node(*n)).collect()
    }

    #[test]
    fn a_fault_waits_for_held_nodes_until_the_load_ends() {
        let (claims, stop, clock) = (Claims::default(), Stop::default(), RunClock::start());
        let within = |ms| WaitLimit { clock, until: Nanos(clock.now().0 + Nanos::from_ms(ms).0), stop: &stop };
        let first = claims.claim(&nodes(&[1]), within(10_000)).expect("free");
        assert!(claims.claim(&nodes(&[2, 3]), within(10_000)).is_some(), "others are free");
        assert!(claims.claim(&nodes(&[1, 2, 3]), within(30)).is_none() && !claims.wait_free(&nodes(&[1]), within(30)));
        std::thread::scope(|scope| {
            let all = scope.spawn(|| claims.claim(&nodes(&[1, 2, 3]), within(60_000)).is_some());
            std::thread::sleep(Duration::from_millis(30));
            drop(first);
            assert!(all.join().expect("no panic"), "it gets its turn");
        });
        assert!(claims.wait_free(&nodes(&[1, 2, 3]), within(10_000)), "and gives them back");
        let _held = claims.claim(&nodes(&[1]), within(10_000)).expect("free");
        stop.ask(StopReason::Interrupted);
        assert!(claims.claim(&nodes(&[1]), within(60_000)).is_none(), "a stop ends the wait");
    }
}

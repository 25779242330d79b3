//! Faults that begin when a node reaches a point of its protocol. Every node is armed. The first that reaches the point is held
//! there until the fault is in place, so that it strikes exactly then and not a few messages later.
//!
//! A node is held for [`LONGEST_HOLD`] at most, which it enforces itself. If the nodes that a fault needs are not free within that
//! time, because another fault has them, the node goes on and the fault waits for the next hit.

use super::Nemesis;
use crate::clock::RunClock;
use crate::cluster::Evidence;
use crate::limits;
use crate::stop::StopReason;
use heckle_checker::coverage::EFFECTIVE;
use heckle_faults::schedule::Injection;
use heckle_faults::{AtPoint, Node, Target, all_nodes};
use heckle_history::{Event, FaultEvent, FaultState, Nanos};
use heckle_system_api::capability::{ArmedPoint, PointHit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Longest time that a node is held at a point. Others must not take it for dead.
const LONGEST_HOLD: Duration = Duration::from_millis(100);
/// Time for a message that a node sent before the point to arrive, before a fault disturbs links. A relayed message takes less than a
/// tenth of it; without that time, a cut after "sent to the first node" might block the very message.
const ARRIVAL: Nanos = Nanos::from_ms(5);
/// Interval between two checks whether a wait for a point is over.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// A node that is held at a point until this is dropped.
pub(super) struct HeldNode {
    node: Node,
    /// When it reached the point.
    at: Nanos,
    /// What it was doing.
    what: String,
    /// What happened before: hits that were missed, nodes that could not be armed.
    before: Evidence,
    armed: Box<dyn ArmedPoint>,
}

impl HeldNode {
    /// When the node goes on by itself.
    fn held_until(&self) -> Nanos {
        Nanos(self.at.0 + LONGEST_HOLD.as_nanos() as u64)
    }

    /// Lets the node go on, now that the fault which began at `struck` is in place. Returns the evidence of the hold. A fault that was
    /// in place only after the hold had ended did not strike at the point, so it has no effect that counts.
    pub(super) fn let_go(self, struck: Nanos, clock: RunClock) -> Evidence {
        let placed = clock.now();
        let too_late = placed >= self.held_until();
        let HeldNode { node, at, what, before, armed } = self;
        drop(armed);
        let us = |until: Nanos| until.since(at).0 / 1_000;
        let mut evidence = before;
        evidence.insert("hits".into(), 1.into());
        evidence.insert("reached_by".into(), node.to_string().into());
        evidence.insert("struck_us".into(), us(struck).into());
        evidence.insert("placed_us".into(), us(placed).into());
        if too_late {
            evidence.insert(EFFECTIVE.into(), false.into());
            evidence.insert("too_late".into(), format!("{node} was no longer held when the fault was in place").into());
        }
        if !what.is_empty() {
            evidence.insert("reached_in".into(), what.into());
        }
        evidence
    }
}

/// What all attempts of one fault have seen.
#[derive(Default)]
struct Seen {
    /// Hits after which the fault could not begin in time.
    missed: AtomicU32,
    /// Why nodes could not be armed.
    not_armed: Mutex<BTreeMap<Node, String>>,
}

impl Seen {
    fn evidence(&self) -> Evidence {
        let not_armed = self.not_armed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Evidence = not_armed.iter().map(|(node, why)| (format!("not_armed_{node}"), why.clone().into())).collect();
        let missed = self.missed.load(Ordering::SeqCst);
        if missed > 0 {
            // A text, since a number would count as an effect of the fault.
            all.insert("missed_hits".into(), missed.to_string().into());
        }
        all
    }
}

/// The result of one attempt.
enum Attempt {
    /// The fault took its course.
    Struck,
    /// A node reached the point, and the fault could not begin before it went on.
    Missed,
    /// No node reached the point in time.
    NotReached,
}

impl Nemesis {
    /// Waits until a node reaches the point, and runs the fault then. The latest time for it is the one at which the fault would
    /// still end with the load.
    pub(super) fn inject_at_point(&self, id: u64, injection: &Injection, at: &AtPoint) {
        let until = Nanos(self.until.0.saturating_sub(injection.lasts.0));
        let seen = Seen::default();
        let mut skip = at.hit.get() - 1;
        loop {
            match self.attempt(id, injection, (&at.point, skip), until, &seen) {
                Attempt::Struck => return,
                // The hits before this one have been counted.
                Attempt::Missed => skip = 0,
                Attempt::NotReached => {
                    if !self.stop.asked() {
                        self.record_not_reached(id, injection, &at.point, seen.evidence());
                    }
                    return;
                }
            }
        }
    }

    /// Arms every node, and runs the fault at the first hit. The other nodes are disarmed meanwhile.
    fn attempt(&self, id: u64, injection: &Injection, (point, skip): (&str, u32), until: Nanos, seen: &Seen) -> Attempt {
        let over = &AtomicBool::new(false);
        let (sender, first) = mpsc::channel();
        std::thread::scope(|scope| {
            for node in all_nodes(self.cluster.size()) {
                let sender = sender.clone();
                let watch = move || {
                    if let Some((hit, armed)) = self.watch(node, (point, skip), until, over, seen)
                        && !over.swap(true, Ordering::SeqCst)
                    {
                        let at = Nanos(hit.raw_ns.saturating_sub(self.clock.origin_ns()));
                        // The receiver waits for the first one.
                        let _ = sender.send(HeldNode { node, at, what: hit.what, before: Evidence::new(), armed });
                    }
                };
                if let Err(e) = std::thread::Builder::new().name("point".into()).spawn_scoped(scope, watch) {
                    self.stop.ask(StopReason::Broken(limits::no_thread(&e)));
                    over.store(true, Ordering::SeqCst);
                }
            }
            drop(sender);
            // Every thread ends at a hit, at a stop or when the time is over, so this ends too.
            match first.recv() {
                Ok(held) => self.strike(id, injection, HeldNode { before: seen.evidence(), ..held }, seen),
                Err(mpsc::RecvError) => Attempt::NotReached,
            }
        })
    }

    /// Arms one node, again after every restart, and returns its hit.
    fn watch(
        &self,
        node: Node,
        (point, skip): (&str, u32),
        until: Nanos,
        over: &AtomicBool,
        seen: &Seen,
    ) -> Option<(PointHit, Box<dyn ArmedPoint>)> {
        let goes_on = || !over.load(Ordering::SeqCst) && !self.stop.asked() && self.clock.now() < until;
        while goes_on() {
            // A node that is down or stopped is armed when it is back.
            let Some(spec) = self.cluster.spec_if_free(node) else {
                std::thread::sleep(CHECK_EVERY);
                continue;
            };
            let points = self.cluster.system().points()?;
            let why = match points.hold_at(&spec, point, skip, LONGEST_HOLD) {
                Ok(mut armed) => loop {
                    match armed.reached(CHECK_EVERY) {
                        Ok(Some(hit)) => return Some((hit, armed)),
                        Ok(None) if goes_on() => {}
                        Ok(None) => return None,
                        Err(why) => break why,
                    }
                },
                Err(why) => why,
            };
            // A node that another fault takes down closes the connection, which is no news.
            if self.cluster.spec_if_free(node).is_some() {
                seen.not_armed.lock().unwrap_or_else(PoisonError::into_inner).insert(node, why);
            }
            std::thread::sleep(CHECK_EVERY);
        }
        None
    }

    /// Runs the fault while a node is held, if it can begin in time.
    fn strike(&self, id: u64, injection: &Injection, held: HeldNode, seen: &Seen) -> Attempt {
        let held_until = held.held_until();
        let fault = match injection.fault.target {
            Target::Sender => injection.fault.at_sender(held.node, self.cluster.size()),
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) | Target::Role(_) => Ok(injection.fault.clone()),
        };
        let kind = injection.fault.name();
        let prepared = fault.and_then(|fault| {
            let injection = Injection { at: held.at, lasts: injection.lasts, fault };
            let taken = self.prepare(&injection, held_until)?;
            if taken.as_ref().is_some_and(|taken| taken.steps.iter().any(|step| !step.action.links().is_empty())) {
                self.stop.wait_until(self.clock, Nanos(held.at.0 + ARRIVAL.0));
            }
            Ok((taken, injection))
        });
        match prepared {
            Ok((Some(taken), injection)) if self.clock.now() < held_until && !self.stop.asked() => {
                self.run_steps(id, &kind, &injection, taken, Some(held));
                Attempt::Struck
            }
            Ok(_) => {
                seen.missed.fetch_add(1, Ordering::SeqCst);
                Attempt::Missed
            }
            Err(why) => {
                self.stop.ask(StopReason::Broken(format!("fault `{kind}` could not be injected: {why}")));
                Attempt::Struck
            }
        }
    }

    /// Records a fault that waited in vain. Without evidence, the run is inconclusive.
    fn record_not_reached(&self, id: u64, injection: &Injection, point: &str, mut evidence: Evidence) {
        let targets = injection.fault.target.words();
        evidence.insert("not_reached".into(), point.into());
        for (state, evidence) in [(FaultState::Began, evidence), (FaultState::Ended, Evidence::new())] {
            let (kind, targets) = (injection.fault.name().into(), targets.clone());
            self.recorder.record(|t| Event::Fault(FaultEvent { id, t, kind, targets, state, evidence }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::evidence::lacks_needed_effect;
    use heckle_faults::registry;
    use std::sync::Arc;

    /// An armed point that notes its end.
    struct Fake(Arc<AtomicBool>);

    impl ArmedPoint for Fake {
        fn reached(&mut self, _: Duration) -> Result<Option<PointHit>, String> {
            Ok(None)
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn held(clock: RunClock, before: Evidence) -> (HeldNode, Arc<AtomicBool>) {
        let ended = Arc::<AtomicBool>::default();
        let armed = Box::new(Fake(ended.clone()));
        (HeldNode { node: Node(2), at: clock.now(), what: "c1.7 on k1".into(), before, armed }, ended)
    }

    #[test]
    fn the_evidence_says_who_was_held_and_for_how_long_and_the_node_goes_on() {
        let clock = RunClock::start();
        let (node, ended) = held(clock, Evidence::new());
        assert_eq!(node.held_until().since(node.at), Nanos::from_ms(100));
        std::thread::sleep(Duration::from_millis(3));
        let struck = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(!ended.load(Ordering::SeqCst));
        let evidence = node.let_go(struck, clock);
        assert!(ended.load(Ordering::SeqCst), "it goes on");
        let figure = |name: &str| evidence[name].as_u64().expect("a number");
        assert!(figure("hits") == 1 && figure("struck_us") >= 3_000 && figure("placed_us") >= figure("struck_us") + 2_000, "{evidence:?}");
        assert!(!evidence.contains_key(EFFECTIVE), "{evidence:?}");
        assert_eq!((&evidence["reached_by"], &evidence["reached_in"]), (&"n2".into(), &"c1.7 on k1".into()));
        // The hold alone is no effect of the fault.
        let kill = registry::find("kill").expect("a kind").kind();
        assert!(lacks_needed_effect(&evidence, kill.evidence, 1));
    }

    #[test]
    fn a_fault_in_place_after_the_hold_has_no_effect_that_counts() {
        let clock = RunClock::start();
        let (node, _) = held(clock, Evidence::new());
        let struck = clock.now();
        std::thread::sleep(LONGEST_HOLD + Duration::from_millis(5));
        let evidence = node.let_go(struck, clock);
        assert_eq!(
            (&evidence[EFFECTIVE], &evidence["too_late"]),
            (&false.into(), &"n2 was no longer held when the fault was in place".into())
        );
        assert!(evidence["placed_us"].as_u64().is_some_and(|us| us >= 105_000), "{evidence:?}");
    }

    #[test]
    fn what_happened_in_vain_is_named_and_is_no_effect() {
        let seen = Seen::default();
        assert!(seen.evidence().is_empty());
        seen.missed.store(2, Ordering::SeqCst);
        seen.not_armed.lock().expect("no panic").insert(Node(3), "the node refused".into());
        let evidence = seen.evidence();
        assert_eq!((&evidence["missed_hits"], &evidence["not_armed_n3"]), (&"2".into(), &"the node refused".into()));
        let kill = registry::find("kill").expect("a kind").kind();
        assert!(!lacks_needed_effect(&evidence, kill.evidence, 1), "no figure is above zero");
    }
}

//! Strikes on time, gathers the evidence that a strike took effect, heals for certain, and sees the heal.
//!
//! Each strike has a thread of its own, so that a slow restart does not delay the next one on another node; the plan bounds how
//! many are under way. A strike whose nodes are still in the hand of another waits for them: see [`claims`]. A heal runs at its time, or at once when the run stops early: no node stays paused and no
//! link stays cut.

mod aim;
pub mod claims; // which nodes are in the hand of a fault
mod clocks;
mod links;
mod nodes;

use crate::clock::RunClock;
use crate::cluster::{Cluster, Evidence};
use crate::limits;
use crate::load::live::Live;
use crate::recorder::Recorder;
use crate::relay::Relay;
use crate::stop::{Stop, StopReason};
use claims::{Claim, Claims, Patience};
use heckle_faults::schedule::Strike;
use heckle_faults::{Fault, Node};
use heckle_history::{Event, FaultEvent, FaultState, Nanos};
use std::sync::{Arc, Mutex, PoisonError};

/// A fault that begins later than this after its time had to wait for another.
const LATE: Nanos = Nanos::from_ms(250);
/// A node that another fault holds is back within this.
const BACK_WITHIN: Nanos = Nanos::from_ms(60_000);

/// What the nemesis needs of the run.
#[derive(Clone)]
pub struct Nemesis {
    /// When the load ends: no fault begins after it.
    pub until: Nanos,
    /// Nodes in the hand of a fault.
    pub claims: Arc<Claims>,
    /// The run's clock.
    pub clock: RunClock,
    /// The nodes.
    pub cluster: Arc<Cluster>,
    /// The links, where there is a relay.
    pub relay: Option<Arc<Relay>>,
    /// Where fault events go.
    pub recorder: Recorder,
    /// Whether to stop.
    pub stop: Stop,
    /// What the terminal shows.
    pub live: Arc<Live>,
}

impl Nemesis {
    /// Runs the whole schedule and returns when the last heal is over, with the faults that were left out.
    pub fn run(&self, strikes: &[Strike]) -> Vec<String> {
        let left_out = Mutex::new(vec![]);
        let left_out_ref = &left_out;
        std::thread::scope(|scope| {
            for (id, strike) in (1..).zip(strikes) {
                if !self.stop.wait_until(self.clock, strike.at) {
                    break;
                }
                let work = move || {
                    if let Some(what) = self.strike(id, strike) {
                        left_out_ref.lock().unwrap_or_else(PoisonError::into_inner).push(what);
                    }
                };
                if let Err(e) = std::thread::Builder::new().name("fault".into()).spawn_scoped(scope, work) {
                    self.stop.ask(StopReason::Broken(limits::no_thread(&e)));
                    break;
                }
            }
        });
        left_out.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// One fault, from its time to its heal. What is said of it if it was left out.
    fn strike(&self, id: u64, strike: &Strike) -> Option<String> {
        let kind = strike.fault.kind();
        let (fault, aimed, claim) = match self.take_up(strike) {
            Ok(Some(taken)) => taken,
            Ok(None) if self.stop.asked() => return None,
            Ok(None) => {
                let targets = strike.fault.targets(self.cluster.size()).join(" ");
                return Some(format!(
                    "fault {id} ({kind} {targets}), planned at {}, was left out: other faults held its nodes until the load ended",
                    strike.at
                ));
            }
            Err(why) => {
                self.stop.ask(StopReason::Broken(format!("fault `{kind}` could not be injected: {why}")));
                return None;
            }
        };
        let targets = fault.targets(self.cluster.size());
        let label = format!("{kind} {}", targets.join(" "));
        let record = |state: FaultState, evidence: Evidence| {
            let (kind, targets) = (kind.into(), targets.clone());
            self.recorder.record(|t| Event::Fault(FaultEvent { id, t, kind, targets, state, evidence }));
        };
        // A fault that had to wait keeps its length, but for what would last beyond the load.
        let late = self.clock.now().since(strike.at);
        let end = if late > LATE { Nanos(strike.end().0 + late.0).min(self.until.max(strike.end())) } else { strike.end() };
        let waited = (late > LATE).then(|| ("waited_ms".to_owned(), (late.0 / 1_000_000).into()));
        self.live.fault_began(&label);
        let injected = self.inject(id, &fault);
        let began = injected.as_ref().cloned().unwrap_or_default();
        record(FaultState::Began, began.into_iter().chain(aimed).collect());
        if let Err(why) = &injected {
            self.stop.ask(StopReason::Broken(format!("fault `{label}` could not be injected: {why}")));
        }
        self.stop.wait_until(self.clock, end);
        let lifted = self.heal(id, &fault);
        record(FaultState::Ended, lifted.as_ref().cloned().unwrap_or_default());
        match lifted {
            Ok(_) => {
                if let Some(evidence) = self.see_heal(&fault) {
                    // Of the heal, since a number in the evidence of a fault would pass for its effect.
                    record(FaultState::Healed, evidence.into_iter().chain(waited).collect());
                }
            }
            Err(why) => self.stop.ask(StopReason::Broken(format!("fault `{label}` could not be healed: {why}"))),
        }
        drop(claim);
        self.live.fault_ended(&label);
        None
    }

    /// The fault with its target known and its nodes free; none if the load or the run ended before they were.
    fn take_up(&self, strike: &Strike) -> Result<Option<(Fault, Evidence, Option<Claim<'_>>)>, String> {
        let patience = Patience { clock: self.clock, until: self.until, stop: &self.stop };
        loop {
            let (fault, aimed) = match self.take_aim(&strike.fault) {
                Ok(taken) => taken,
                // While all nodes are down, none can be aimed at.
                Err(_) if !self.claims.wait_free(&nodes::all(&self.cluster), Patience { until: self.clock.now(), ..patience }) => {
                    if !self.claims.wait_free(&nodes::all(&self.cluster), patience) {
                        return Ok(None);
                    }
                    continue;
                }
                Err(why) => return Err(why),
            };
            let (needed, holds) = self.needs(&fault);
            if !holds {
                return Ok(self.claims.wait_free(&needed, patience).then_some((fault, aimed, None)));
            }
            // What was aimed at may be another node by the time that this one is free.
            let at_once = matches!(strike.fault, Fault::Aimed(..)) && self.clock.now() < self.until && !self.stop.asked();
            let patience = if at_once { Patience { until: self.clock.now(), ..patience } } else { patience };
            match self.claims.claim(&needed, patience) {
                Some(claim) => return Ok(Some((fault, aimed, Some(claim)))),
                None if at_once => {}
                None => return Ok(None),
            }
        }
    }

    /// Which nodes must be free for a fault to begin, and whether it holds them until it is healed.
    fn needs(&self, fault: &Fault) -> (Vec<Node>, bool) {
        match fault {
            Fault::Kill(node) | Fault::Pause(node) => (vec![*node], true),
            Fault::KillAll => (nodes::all(&self.cluster), true),
            Fault::Clocks(clocks) => (clocks.iter().map(|clock| clock.node).collect(), false),
            Fault::Aimed(..)
            | Fault::Partition(_)
            | Fault::Delay { .. }
            | Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Reset(_) => (vec![], false),
        }
    }

    /// The fault with its target known.
    fn take_aim(&self, fault: &Fault) -> Result<(Fault, Evidence), String> {
        match fault {
            Fault::Aimed(blow, whom) => {
                let (node, how) = aim::find(&self.cluster, *whom)?;
                Ok((blow.at(node, self.cluster.size()), how))
            }
            Fault::Kill(_)
            | Fault::KillAll
            | Fault::Pause(_)
            | Fault::Partition(_)
            | Fault::Delay { .. }
            | Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Reset(_)
            | Fault::Clocks(_) => Ok((fault.clone(), Evidence::new())),
        }
    }

    fn inject(&self, id: u64, fault: &Fault) -> Result<Evidence, String> {
        match fault {
            Fault::Kill(node) => nodes::kill(&self.cluster, *node),
            Fault::KillAll => nodes::kill_all(&self.cluster),
            Fault::Pause(node) => self.cluster.pause(*node),
            Fault::Clocks(clocks) => clocks::falsify(&self.cluster, clocks),
            Fault::Aimed(..) => Err("it was not aimed".to_owned()),
            Fault::Partition(_)
            | Fault::Delay { .. }
            | Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Reset(_) => {
                links::apply(self.relay()?, id, fault, self.cluster.size());
                Ok(Evidence::new())
            }
        }
    }

    fn heal(&self, id: u64, fault: &Fault) -> Result<Evidence, String> {
        match fault {
            Fault::Kill(node) => self.cluster.restart(*node),
            Fault::KillAll => nodes::restart_all(&self.cluster),
            Fault::Pause(node) => self.cluster.resume(*node),
            Fault::Clocks(clocks) => {
                // A node that is down or stopped now is asked when it is back: the wait is bounded by that fault's own heal.
                let patience = Patience { clock: self.clock, until: Nanos(self.clock.now().0 + BACK_WITHIN.0), stop: &self.stop };
                self.claims.wait_free(&self.needs(fault).0, patience);
                clocks::right(&self.cluster, clocks)
            }
            Fault::Aimed(..) => Err("it was not aimed".to_owned()),
            Fault::Partition(_)
            | Fault::Delay { .. }
            | Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Reset(_) => Ok(links::lift(self.relay()?, id)),
        }
    }

    /// Waits until the heal shows; `None` if it does not in time, which leaves the fault unhealed in the history.
    fn see_heal(&self, fault: &Fault) -> Option<Evidence> {
        match fault {
            Fault::Kill(node) | Fault::Pause(node) => nodes::see_up(&self.cluster, &[*node]),
            Fault::KillAll => nodes::see_up(&self.cluster, &nodes::all(&self.cluster)),
            Fault::Clocks(clocks) => clocks::see_right(&self.cluster, clocks),
            Fault::Aimed(..) => None,
            Fault::Partition(_)
            | Fault::Delay { .. }
            | Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Reset(_) => links::see_flow(self.relay().ok()?, fault, self.cluster.size(), &self.stop),
        }
    }

    fn relay(&self) -> Result<&Relay, String> {
        self.relay.as_deref().ok_or_else(|| "there is no relay in this run".to_owned())
    }
}

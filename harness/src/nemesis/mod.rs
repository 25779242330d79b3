//! Strikes on time, gathers the evidence that a strike took effect, heals for certain, and sees the heal.
//!
//! Each strike has a thread of its own, so that a slow restart does not delay the next one; the plan bounds how
//! many are under way. A heal runs at its time, or at once when the run stops early: no node stays paused and no
//! link stays cut.

mod aim;
mod clocks;
mod links;
mod nodes;

use crate::clock::RunClock;
use crate::cluster::{Cluster, Evidence};
use crate::load::live::Live;
use crate::recorder::Recorder;
use crate::relay::Relay;
use crate::stop::{Stop, StopReason};
use heckle_history::{Event, FaultEvent, FaultState};
use heckle_workloads::fault::Fault;
use heckle_workloads::schedule::Strike;
use std::sync::Arc;

/// What the nemesis needs of the run.
#[derive(Clone)]
pub struct Nemesis {
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
    /// Runs the whole schedule and returns when the last heal is over.
    pub fn run(&self, strikes: &[Strike]) {
        std::thread::scope(|scope| {
            for (id, strike) in (1..).zip(strikes) {
                if !self.stop.wait_until(self.clock, strike.at) {
                    break;
                }
                scope.spawn(move || self.strike(id, strike));
            }
        });
    }

    fn strike(&self, id: u64, strike: &Strike) {
        let kind = strike.fault.kind();
        let (fault, aimed) = match self.take_aim(&strike.fault) {
            Ok(taken) => taken,
            Err(why) => return self.stop.ask(StopReason::Broken(format!("fault `{kind}` could not be injected: {why}"))),
        };
        let targets = fault.targets(self.cluster.size());
        let label = format!("{kind} {}", targets.join(" "));
        let record = |state: FaultState, evidence: Evidence| {
            let (kind, targets) = (kind.into(), targets.clone());
            self.recorder.record(|t| Event::Fault(FaultEvent { id, t, kind, targets, state, evidence }));
        };
        self.live.fault_began(&label);
        let injected = self.inject(id, &fault);
        let began = injected.as_ref().cloned().unwrap_or_default();
        record(FaultState::Began, began.into_iter().chain(aimed).collect());
        if let Err(why) = &injected {
            self.stop.ask(StopReason::Broken(format!("fault `{label}` could not be injected: {why}")));
        }
        self.stop.wait_until(self.clock, strike.end());
        let lifted = self.heal(id, &fault);
        record(FaultState::Ended, lifted.as_ref().cloned().unwrap_or_default());
        match lifted {
            Ok(_) => {
                if let Some(evidence) = self.see_heal(&fault) {
                    record(FaultState::Healed, evidence);
                }
            }
            Err(why) => self.stop.ask(StopReason::Broken(format!("fault `{label}` could not be healed: {why}"))),
        }
        self.live.fault_ended(&label);
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
            Fault::Kill(node) => self.cluster.kill(*node),
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
            Fault::Clocks(clocks) => clocks::right(&self.cluster, clocks),
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

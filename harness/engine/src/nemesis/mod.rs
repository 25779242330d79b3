//! Injects faults on schedule, gathers the evidence of their effects, always undoes them, and verifies the heal.
//!
//! A fault is a list of steps made of a few primitive actions ([`heckle_faults::Action`]). The nemesis carries out
//! actions and does not depend on the kinds of faults.
//!
//! Each fault has its own thread, so that a slow restart does not delay the next fault on another node; the plan
//! bounds how many are active. A fault whose nodes are held by another one waits for them: see [`claims`]. Each step
//! is undone at its scheduled time, or immediately if the run stops early, so no node stays paused and no link stays cut.

mod target_role; // finds the node that currently has a role
pub mod claims; // the nodes that faults hold
mod prepare; // finds a fault's target and waits for its nodes
mod timeline; // the steps of a fault, ordered by time
mod evidence; // adds up figures, and decides whether they show an effect
mod actions; // the primitive actions: done, undone, verified
mod nodes;
mod links;
mod clocks;
mod disks;
mod points; // faults that begin when a node reaches a point

use crate::clock::RunClock;
use crate::cluster::{Cluster, Evidence};
use crate::limits;
use crate::load::live::Live;
use crate::recorder::Recorder;
use crate::relay::Relay;
use crate::stop::{Stop, StopReason};
use claims::Claims;
use evidence::{add, lacks_needed_effect};
use heckle_checker::coverage::{EFFECTIVE, UNVERIFIED};
use heckle_faults::schedule::Injection;
use heckle_faults::{Step, nodes_hit};
use heckle_history::{Event, FaultEvent, FaultState, Nanos};
use points::HeldNode;
use prepare::PreparedFault;
use std::sync::{Arc, Mutex, PoisonError};
use timeline::{Moment, MomentKind, moments};

/// Delay beyond which a fault is reported as having waited for another one.
const LATE_AFTER: Nanos = Nanos::from_ms(250);

/// Shared state for injecting faults.
#[derive(Clone)]
pub struct Nemesis {
    /// End of the load: no fault begins after it.
    pub until: Nanos,
    /// The nodes that faults hold.
    pub claims: Arc<Claims>,
    /// The run's clock.
    pub clock: RunClock,
    /// The nodes.
    pub cluster: Arc<Cluster>,
    /// The links, if there is a relay.
    pub relay: Option<Arc<Relay>>,
    /// The recorder of fault events.
    pub recorder: Recorder,
    /// The stop flag.
    pub stop: Stop,
    /// Figures for the terminal.
    pub live: Arc<Live>,
}

impl Nemesis {
    /// Runs the whole schedule. Returns the faults that were left out, after the last heal.
    pub fn run(&self, injections: &[Injection]) -> Vec<String> {
        let left_out = Mutex::new(vec![]);
        let left_out_ref = &left_out;
        std::thread::scope(|scope| {
            for (id, injection) in (1..).zip(injections) {
                if !self.stop.wait_until(self.clock, injection.at) {
                    break;
                }
                let work = move || {
                    if let Some(what) = self.inject(id, injection) {
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

    /// Runs one fault, from its start to its heal. Returns the reason as a sentence if the fault was left out.
    fn inject(&self, id: u64, injection: &Injection) -> Option<String> {
        if let Some(at) = &injection.fault.amounts.at_point {
            self.inject_at_point(id, injection, at);
            return None;
        }
        let kind = injection.fault.name();
        match self.prepare(injection, self.until) {
            Ok(Some(taken)) => self.run_steps(id, &kind, injection, taken, None),
            Ok(None) if self.stop.asked() => {}
            Ok(None) => {
                let targets = injection.fault.target.words().join(" ");
                return Some(format!(
                    "fault {id} ({kind} {targets}), planned at {}, was left out: other faults held its nodes until the load ended",
                    injection.at
                ));
            }
            Err(why) => self.stop.ask(StopReason::Broken(format!("fault `{kind}` could not be injected: {why}"))),
        }
        None
    }

    /// Runs the steps of a fault. A node that is held at a point for it goes on once the first steps are done.
    fn run_steps(&self, id: u64, kind: &str, injection: &Injection, taken: PreparedFault<'_>, held: Option<HeldNode>) {
        let PreparedFault { fault, steps, aimed, claim } = taken;
        let targets = fault.target.words();
        let label = format!("{kind} {}", targets.join(" "));
        let record = |state: FaultState, evidence: Evidence| {
            let (kind, targets) = (kind.into(), targets.clone());
            self.recorder.record(|t| Event::Fault(FaultEvent { id, t, kind, targets, state, evidence }));
        };
        let late = self.clock.now().since(injection.at);
        let waited = (late > LATE_AFTER).then(|| ("waited_ms".to_owned(), (late.0 / 1_000_000).into()));
        self.live.fault_began(&label);
        let mut progress = Progress { id, label: &label, begun: vec![false; steps.len()], evidence: aimed, healed: true };
        let (first, rest) = split_first(moments(&steps));
        let struck = self.clock.now();
        for moment in first {
            self.do_step(&mut progress, &steps, moment);
        }
        if let Some(held) = held {
            add(&mut progress.evidence, held.let_go(struck, self.clock));
        }
        let mut all = progress.evidence.clone();
        record(FaultState::Began, std::mem::take(&mut progress.evidence));
        for moment in rest {
            let on_time = self.stop.wait_until(self.clock, self.due(injection, late, moment.at));
            match moment.due {
                // Steps that have not begun when the run stops are skipped.
                MomentKind::Do if on_time => self.do_step(&mut progress, &steps, moment),
                MomentKind::Do => {}
                MomentKind::Undo => self.undo_step(&mut progress, &steps, moment),
            }
        }
        add(&mut all, progress.evidence.clone());
        if all.contains_key(UNVERIFIED) || lacks_needed_effect(&all, fault.kind.evidence, nodes_hit(&steps).len()) {
            progress.evidence.insert(EFFECTIVE.to_owned(), false.into());
        }
        record(FaultState::Ended, progress.evidence);
        if progress.healed
            && let Some(evidence) = self.await_healed(&steps)
        {
            // Recorded with the heal, since a number in the evidence of a fault would count as its effect.
            record(FaultState::Healed, evidence.into_iter().chain(waited).collect());
        }
        drop(claim);
        self.live.fault_ended(&label);
    }

    /// Returns the time at which a moment of a fault is due. A fault that had to wait keeps its length, but ends
    /// with the load at the latest.
    fn due(&self, injection: &Injection, late: Nanos, after: Nanos) -> Nanos {
        let planned = Nanos(injection.at.0 + after.0);
        if late > LATE_AFTER { Nanos(planned.0 + late.0).min(self.until.max(injection.end())) } else { planned }
    }

    fn do_step(&self, progress: &mut Progress<'_>, steps: &[Step], moment: Moment) {
        progress.begun[moment.step] = true;
        match self.apply(relay_rule(progress.id, moment.step), &steps[moment.step].action) {
            Ok(evidence) => add(&mut progress.evidence, evidence),
            Err(why) => self.stop.ask(StopReason::Broken(format!("fault `{}` could not be injected: {why}", progress.label))),
        }
    }

    fn undo_step(&self, progress: &mut Progress<'_>, steps: &[Step], moment: Moment) {
        if !progress.begun[moment.step] {
            return;
        }
        match self.undo(relay_rule(progress.id, moment.step), &steps[moment.step].action) {
            Ok(evidence) => add(&mut progress.evidence, evidence),
            Err(why) => {
                progress.healed = false;
                self.stop.ask(StopReason::Broken(format!("fault `{}` could not be healed: {why}", progress.label)));
            }
        }
    }
}

/// Progress of a fault through its steps.
struct Progress<'a> {
    id: u64,
    label: &'a str,
    /// Which steps were begun, successfully or not. These are undone.
    begun: Vec<bool>,
    /// Evidence since the last event of the fault.
    evidence: Evidence,
    /// Whether every step so far could be undone.
    healed: bool,
}

/// Splits the moments into those at the very beginning and all later ones.
fn split_first(moments: Vec<Moment>) -> (Vec<Moment>, Vec<Moment>) {
    let begins = moments.first().map(|first| first.at);
    let first = moments.iter().take_while(|m| m.due == MomentKind::Do && Some(m.at) == begins).count();
    let mut moments = moments;
    let rest = moments.split_off(first);
    (moments, rest)
}

/// Returns the relay's id for a step of a fault. The first step has the fault's own id.
fn relay_rule(fault: u64, step: usize) -> u64 {
    fault + ((step as u64) << 32)
}

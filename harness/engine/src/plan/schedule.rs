//! The faults of a plan with their times: drawn from its kinds, or listed one by one as `[[fault]]`.

use super::kinds::{check_awaited, default_order, drawn_points, kind};
use super::settings::{FaultSettings, InjectionSettings, Settings};
use super::units::Span;
use super::{MAX_AT_ONCE, Plan};
use heckle_faults::schedule::{Injection, MAX_INJECTIONS, Order, ScheduleSettings, Spacing, draw};
use heckle_faults::{AtPoint, SENDER};
use heckle_history::Nanos;
use heckle_history::prng::Pcg64;
use heckle_system_api::System;
use heckle_system_api::settings::{one_of, within};
use std::num::NonZeroU32;

impl Plan {
    /// Returns all faults with their times.
    ///
    /// # Errors
    /// Names the invalid setting and what would be valid.
    pub(super) fn schedule(&self, settings: &Settings) -> Result<Vec<Injection>, String> {
        let mut rng = self.seed.stream("schedule");
        let drawn = self.schedule_settings(&settings.faults, settings.injections.is_empty())?;
        if !settings.injections.is_empty() {
            let listed = settings.injections.iter().map(|listed| self.injection(listed, &drawn, &mut rng));
            let mut injections = listed.collect::<Result<Vec<_>, String>>()?;
            injections.sort_by_key(|i| i.at);
            return Ok(injections);
        }
        let injections = draw(&drawn, &mut rng);
        if injections.is_empty() && !self.faults.is_empty() {
            return Err(format!(
                "a fault of {} every {} does not fit into a load of {}; lengthen --duration or shorten --fault-for",
                span(drawn.lasts),
                span(drawn.every),
                self.duration
            ));
        }
        Ok(injections)
    }

    fn schedule_settings(&self, f: &FaultSettings, drawn: bool) -> Result<ScheduleSettings, String> {
        let default_every = Span(self.duration.0 / (self.faults.len() as u32 + 1));
        let every = f.every.unwrap_or(default_every);
        let lasts = f.lasts.unwrap_or(Span(every.0 * 2 / 5));
        if !self.faults.is_empty() && every < Span::ms(10) {
            return Err(format!("fault_every {every} is below 10ms"));
        }
        let too_many = || self.duration.0.as_nanos() / every.0.as_nanos() > MAX_INJECTIONS as u128 / 2;
        if !self.faults.is_empty() && drawn && too_many() {
            return Err(format!(
                "fault_every {every} in {} asks for more than the {MAX_INJECTIONS} faults of a schedule, at random distances; lengthen it",
                self.duration
            ));
        }
        let order = match one_of("fault_order", f.order.as_deref().or(default_order(f.kinds.as_deref())), &["listed", "shuffled"])? {
            "shuffled" => Order::Shuffled,
            _ => Order::Listed,
        };
        let spacing = match one_of("fault_spacing", f.spacing.as_deref(), &["even", "random"])? {
            "random" => Spacing::Random,
            _ => Spacing::Even,
        };
        Ok(ScheduleSettings {
            kinds: self.faults.clone(),
            every: every.nanos(),
            lasts: lasts.nanos(),
            window: self.window(),
            max_at_once: within("max_at_once", f.max_at_once.unwrap_or(1), 1, MAX_AT_ONCE)?,
            order,
            spacing,
            nodes: self.nodes,
            drift_ppm: self.drift_bound_ppm(),
            points: drawn_points(&*self.system),
        })
    }

    /// Builds one `[[fault]]`: draws a fault of its kind, then sets the given time and, if specified, the target.
    fn injection(&self, listed: &InjectionSettings, drawn: &ScheduleSettings, rng: &mut Pcg64) -> Result<Injection, String> {
        let kind = kind(&*self.system, &listed.kind)?;
        let Trigger { after, at_point } = trigger(&*self.system, listed)?;
        let hits_sender = listed.target == [SENDER];
        if at_point.is_some() && hits_sender && !kind.can_hit_sender() {
            return Err(format!("[[fault]] `{kind}` cannot hit the sender alone: leave out target, or choose a kind that hits one node"));
        }
        let one = ScheduleSettings { kinds: vec![kind], every: Nanos(1), lasts: Nanos(0), window: (Nanos(0), Nanos(1)), ..drawn.clone() };
        let mut fault = draw(&one, rng).remove(0).fault;
        fault.amounts.at_point = at_point;
        if !listed.target.is_empty() {
            fault = fault.with_target(&listed.target, self.nodes).map_err(|e| format!("[[fault]] `{}`: {e}", listed.kind))?;
        }
        let (start, end) = self.window();
        let (at, lasts) = (Nanos(start.0 + after.0), listed.lasts.nanos());
        if at.0 + lasts.0 > end.0 {
            return Err(format!(
                "the fault `{}` at {} for {} ends after the load of {}",
                listed.kind,
                span(after),
                listed.lasts,
                self.duration
            ));
        }
        if fault.amounts.at_point.is_some() && at.0 + lasts.0 + SHORTEST_WAIT.0 > end.0 {
            return Err(format!(
                "the fault `{}` leaves no time to wait for its point: after {} and for {} it must end {} before the load of {}",
                listed.kind,
                span(after),
                listed.lasts,
                span(SHORTEST_WAIT),
                self.duration
            ));
        }
        Ok(Injection { at, lasts, fault })
    }
}

/// Minimum time in which a fault at a point may wait for it.
const SHORTEST_WAIT: Nanos = Nanos::from_ms(100);

fn span(time: Nanos) -> Span {
    Span(std::time::Duration::from_nanos(time.0))
}

/// When a listed fault begins.
struct Trigger {
    /// Its time, counted from the start of the load window.
    after: Nanos,
    /// The point that it waits for from then on.
    at_point: Option<AtPoint>,
}

/// Returns when a listed fault begins.
fn trigger(system: &dyn System, listed: &InjectionSettings) -> Result<Trigger, String> {
    let kind = &listed.kind;
    match (listed.at, &listed.at_point) {
        (Some(_), Some(_)) => {
            Err(format!("[[fault]] `{kind}` has both at and at_point; leave out one (after = \"5s\" waits for the point from then on)"))
        }
        (None, None) => Err(format!("[[fault]] `{kind}` has no time: add one, such as at = \"5s\"")),
        (Some(at), None) if listed.after.is_none() && listed.hit.is_none() => Ok(Trigger { after: at.nanos(), at_point: None }),
        (Some(_), None) => Err(format!("[[fault]] `{kind}` has after or hit, which belong to at_point; leave them out")),
        (None, Some(point)) => {
            check_awaited(system, point).map_err(|e| format!("[[fault]] `{kind}`: {e}"))?;
            let hit = NonZeroU32::new(listed.hit.unwrap_or(1));
            let hit = hit.ok_or_else(|| format!("[[fault]] `{kind}`: hit = 0: hits are counted from 1, the next one"))?;
            Ok(Trigger { after: listed.after.map_or(Nanos(0), Span::nanos), at_point: Some(AtPoint { point: point.as_str().into(), hit }) })
        }
    }
}

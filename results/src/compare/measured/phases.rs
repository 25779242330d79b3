//! The phases of a load window: calm, during faults, recovery.
//!
//! Recovery is a fixed time after the end of a fault, the same in both arms, not the time that an arm took to recover. If phases
//! depended on an arm's behaviour, each arm would be measured over periods that favour it.

use crate::faults::FaultWindow;
use crate::measure::Window;
use heckle_history::Nanos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time after its end for which a fault is assumed to have an effect.
pub const RECOVERY: Nanos = Nanos::from_ms(3_000);

/// A phase of the load window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The whole window.
    Whole,
    /// No fault is active, and none ended recently.
    Calm,
    /// A fault is active.
    Faults,
    /// No fault is active, and one ended less than [`RECOVERY`] ago.
    Recovery,
}

impl Phase {
    /// All phases, in the order of reports.
    pub const ALL: [Phase; 4] = [Phase::Whole, Phase::Calm, Phase::Faults, Phase::Recovery];

    /// Returns its name in reports.
    pub fn words(self) -> &'static str {
        match self {
            Phase::Whole => "whole run",
            Phase::Calm => "calm",
            Phase::Faults => "during faults",
            Phase::Recovery => "recovery",
        }
    }
}

/// The time spans of each phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Phases {
    window: Window,
    /// Consecutive spans of the window, each with its phase.
    spans: Vec<(Nanos, Nanos, Phase)>,
}

impl Phases {
    /// Returns the phases of `window` under these faults.
    pub fn of(window: Window, faults: &[FaultWindow], end: Nanos) -> Self {
        let mut edges = vec![window.start, window.end];
        let lasted: Vec<(Nanos, Nanos)> = faults.iter().map(|f| (f.began, f.end(end))).collect();
        edges.extend(lasted.iter().flat_map(|(from, to)| [*from, *to, Nanos(to.0 + RECOVERY.0)]));
        edges.retain(|t| *t >= window.start && *t <= window.end);
        edges.sort_unstable();
        edges.dedup();
        let phase = |t: Nanos| {
            if lasted.iter().any(|(from, to)| *from <= t && t < *to) {
                Phase::Faults
            } else if lasted.iter().any(|(_, to)| *to <= t && t.0 < to.0 + RECOVERY.0) {
                Phase::Recovery
            } else {
                Phase::Calm
            }
        };
        let spans = edges.windows(2).map(|e| (e[0], e[1], phase(e[0]))).collect();
        Phases { window, spans }
    }

    /// Whether `t` is in `phase`.
    pub fn on(&self, phase: Phase, t: Nanos) -> bool {
        if phase == Phase::Whole {
            return self.window.holds(t);
        }
        let at = self.spans.partition_point(|(_, to, _)| *to <= t);
        self.spans.get(at).is_some_and(|(from, _, p)| *from <= t && *p == phase)
    }

    /// Returns the total duration of a phase.
    pub fn seconds(&self, phase: Phase) -> f64 {
        let of = |(from, to, p): &(Nanos, Nanos, Phase)| if phase == Phase::Whole || *p == phase { to.since(*from).0 } else { 0 };
        self.spans.iter().map(of).sum::<u64>() as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Recovery;

    #[test]
    fn every_instant_of_the_window_is_in_one_phase() {
        let s = |s: u64| Nanos::from_ms(s * 1_000);
        let fault = |from, to| FaultWindow {
            id: 1,
            kind: "kill".into(),
            targets: vec![],
            began: s(from),
            lifted: Some(s(to)),
            healed: None,
            evidence: serde_json::Map::new(),
            effective: true,
            recovery: Recovery::NotSeen,
            answered: None,
        };
        // Warm-up to 2 s, load to 30 s. The second fault begins during the recovery from the first, and the last one lasts until
        // the load ends.
        let window = Window { start: s(2), end: s(30) };
        let phases = Phases::of(window, &[fault(5, 8), fault(10, 14), fault(26, 31)], s(36));
        for (t, phase) in [
            (2, Phase::Calm),
            (4, Phase::Calm),
            (5, Phase::Faults),
            (8, Phase::Recovery),
            (10, Phase::Faults),
            (14, Phase::Recovery),
            (16, Phase::Recovery),
            (17, Phase::Calm),
            (26, Phase::Faults),
            (29, Phase::Faults),
        ] {
            let on: Vec<Phase> = Phase::ALL.into_iter().filter(|p| phases.on(*p, s(t))).collect();
            assert_eq!(on, [Phase::Whole, phase], "at {t} s");
        }
        assert!(!phases.on(Phase::Calm, s(1)) && !phases.on(Phase::Faults, s(30)), "outside the window is no phase");
        let seconds = Phase::ALL.map(|p| phases.seconds(p));
        assert_eq!(seconds, [28.0, 12.0, 11.0, 5.0]);
    }
}

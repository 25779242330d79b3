//! Medians, their table and their JSON.

use super::limit::{Limit, median};
use super::{Mode, Repetition, Setup};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// The repetitions of all measurements.
#[derive(Debug, Clone, Default)]
pub struct Measurements {
    pub(super) setup: Setup,
    pub(super) limits: Vec<Limit>,
    bundled: Vec<Repetition>,
    etcd: Vec<Repetition>,
    modes: Vec<ModeFigures>,
}

#[derive(Debug, Clone)]
struct ModeFigures {
    name: &'static str,
    round_trips: u32,
    syncs: u32,
    p50s_us: Vec<f64>,
}

/// The requirement on a ratio.
#[derive(Clone, Copy)]
enum Requirement {
    AtLeast(f64),
    AtMost(f64),
}

impl Requirement {
    fn is_met(self, got: f64) -> bool {
        match self {
            Requirement::AtLeast(bound) => got >= bound,
            Requirement::AtMost(bound) => got <= bound,
        }
    }

    fn words(self) -> String {
        match self {
            Requirement::AtLeast(bound) => format!("at least {bound}x"),
            Requirement::AtMost(bound) => format!("at most {bound}x"),
        }
    }
}

/// One row of the comparison.
struct Line {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    etcd: Option<f64>,
    asked: Option<Requirement>,
}

impl Measurements {
    pub(super) fn new(setup: Setup) -> Measurements {
        Measurements { setup, ..Measurements::default() }
    }

    pub(super) fn of(&mut self, system: &str) -> &mut Vec<Repetition> {
        if system == super::BUNDLED_SERVER { &mut self.bundled } else { &mut self.etcd }
    }

    pub(super) fn mode(&mut self, mode: &Mode, p50_us: f64) {
        let at = self.modes.iter().position(|m| m.name == mode.name).unwrap_or_else(|| {
            self.modes.push(ModeFigures { name: mode.name, round_trips: mode.round_trips, syncs: mode.syncs, p50s_us: vec![] });
            self.modes.len() - 1
        });
        self.modes[at].p50s_us.push(p50_us);
    }

    fn lines(&self) -> Vec<Line> {
        let ours = |f: fn(&Repetition) -> f64| median(self.bundled.iter().map(f).collect());
        let etcd = |f: fn(&Repetition) -> f64| (!self.etcd.is_empty()).then(|| median(self.etcd.iter().map(f).collect()));
        let line = |name, unit, f: fn(&Repetition) -> f64, asked| Line { name, unit, ours: ours(f), etcd: etcd(f), asked };
        vec![
            line("CAS on 100 keys, 50 clients", "txn/s", |r| r.txn_per_s, Some(Requirement::AtLeast(3.0))),
            line("  of these applied", "txn/s", |r| r.applied_per_s, None),
            line("CAS p50, 1 client", "us", |r| r.alone_p50_us, Some(Requirement::AtMost(0.5))),
            line("one hot key, 32 clients", "intents/s", |r| r.hot_intents_per_s, Some(Requirement::AtLeast(10.0))),
            line("  CAS per intent", "", |r| r.hot_attempts, None),
            line("unanswered", "ops", |r| r.unanswered as f64, None),
        ]
    }

    /// Returns the medians of the limits, for sync and round trip, in microseconds.
    fn limit(&self) -> (f64, f64) {
        (median(self.limits.iter().map(|l| l.sync_us).collect()), median(self.limits.iter().map(|l| l.round_trip_us).collect()))
    }

    fn fsyncs_per_op(&self) -> f64 {
        median(self.bundled.iter().filter_map(|r| r.fsyncs_per_op).collect())
    }

    /// Returns the maximum number of intents per second if CAS operations on the hot key run strictly one after another.
    fn serial_bound_per_s(&self) -> f64 {
        1e6 / median(self.bundled.iter().map(|r| r.alone_p50_us).collect()).max(1.0)
    }

    /// Formats the table as text.
    pub fn text(&self) -> String {
        let setup = &self.setup;
        let mut text =
            format!("medians of {}, {:?} each, 3 nodes, no relay, every write synced on a majority\n\n", setup.repetitions, setup.load_for);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<30} {:>12} {:>12} {:>8}", "", "heckle", "etcd", "ratio");
        for line in self.lines() {
            let figure = |v: f64| if v < 100.0 { format!("{v:.2}") } else { format!("{v:.0}") };
            let ratio = line.etcd.filter(|e| *e > 0.0).map(|e| line.ours / e);
            let _ = write!(text, "{:<30} {:>12}", line.name, figure(line.ours));
            let _ = write!(text, " {:>12} {:>8}", line.etcd.map_or("-".into(), figure), ratio.map_or("".into(), |r| format!("{r:.2}x")));
            let _ = write!(text, "  {}", line.unit);
            if let (Some(asked), Some(ratio)) = (line.asked, ratio) {
                let _ = write!(text, ", asked {}: {}", asked.words(), if asked.is_met(ratio) { "met" } else { "missed" });
            }
            text.push('\n');
        }
        let (sync, trip) = self.limit();
        let hot = median(self.bundled.iter().map(|r| r.hot_intents_per_s).collect());
        let bound = self.serial_bound_per_s();
        let _ = writeln!(text, "\nhot key against one CAS after the other: {:.2} of {bound:.0} a second (asked at least 0.5)", hot / bound);
        let _ = writeln!(text, "fsyncs per op and node at 50 clients: {:.3} (asked at most 0.25)", self.fsyncs_per_op());
        let _ = writeln!(text, "\nthe limit here: fdatasync with 3 processes syncing {sync:.0} us, round trip over loopback {trip:.0} us");
        let _ = writeln!(text, "{:<12} {:>12} {:>6} {:>10} {:>12} {:>8}", "rounds", "round trips", "syncs", "sum us", "p50 us", "p50/sum");
        for m in &self.modes {
            let (sum, p50) = (m.sum_us(sync, trip), median(m.p50s_us.clone()));
            // One of these round trips is the client's own.
            let _ = writeln!(text, "{:<12} {:>12} {:>6} {sum:>10.0} {p50:>12.0} {:>7.2}x", m.name, m.round_trips + 1, m.syncs, p50 / sum);
        }
        text
    }

    /// Returns all repetitions and the medians as JSON.
    pub fn json(&self) -> Json {
        let repetition = |r: &Repetition| {
            json!({
                "txn_per_s": r.txn_per_s, "applied_per_s": r.applied_per_s, "fsyncs_per_op": r.fsyncs_per_op,
                "alone_p50_us": r.alone_p50_us, "hot_intents_per_s": r.hot_intents_per_s, "hot_attempts_per_intent": r.hot_attempts,
                "unanswered": r.unanswered,
            })
        };
        let (sync, trip) = self.limit();
        let modes = self.modes.iter().map(|m| {
            let (sum_us, p50_us) = (m.sum_us(sync, trip), median(m.p50s_us.clone()));
            json!({"rounds": m.name, "round_trips": m.round_trips + 1, "syncs": m.syncs, "sum_us": sum_us, "p50_us": p50_us,
                "ratio": p50_us / sum_us, "p50s_us": m.p50s_us})
        });
        let medians = self.lines().into_iter().map(|l| {
            let ratio = l.etcd.filter(|e| *e > 0.0).map(|e| l.ours / e);
            json!({"name": l.name.trim(), "unit": l.unit, "heckle": l.ours, "etcd": l.etcd, "ratio": ratio,
                "asked": l.asked.map(Requirement::words), "met": l.asked.zip(ratio).map(|(a, r)| a.is_met(r))})
        });
        json!({
            "bench": "etcd", "repetitions": self.setup.repetitions, "load_s": self.setup.load_for.as_secs_f64(),
            "medians": medians.collect::<Vec<_>>(), "fsyncs_per_op": self.fsyncs_per_op(), "serial_bound_per_s": self.serial_bound_per_s(),
            "limit": {"sync_us": sync, "round_trip_us": trip}, "modes": modes.collect::<Vec<_>>(),
            "heckle": self.bundled.iter().map(repetition).collect::<Vec<_>>(), "etcd": self.etcd.iter().map(repetition).collect::<Vec<_>>(),
        })
    }
}

impl ModeFigures {
    /// Returns the lower bound of an operation's latency in this mode: the client's round trip, the round trips between
    /// nodes, and the syncs.
    fn sum_us(&self, sync_us: f64, round_trip_us: f64) -> f64 {
        f64::from(self.round_trips + 1) * round_trip_us + f64::from(self.syncs) * sync_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measurements {
        let r = |txn_per_s, alone_p50_us| Repetition {
            txn_per_s,
            alone_p50_us,
            hot_intents_per_s: 900.0,
            fsyncs_per_op: Some(0.2),
            ..Repetition::default()
        };
        let mut m = Measurements { limits: vec![Limit { sync_us: 300.0, round_trip_us: 20.0 }], ..Measurements::default() };
        m.bundled = vec![r(900.0, 900.0), r(1_000.0, 1_000.0), r(5_000.0, 5_000.0)];
        m.mode(&Mode { name: "classic", round_trips: 4, syncs: 3 }, 2_000.0);
        m
    }

    #[test]
    fn prints_medians_ratios_and_sums() {
        let mut m = measured();
        let alone = m.text();
        // The sum of five round trips and three syncs.
        for part in ["1000            -", "0.90 of 1000 a second", "0.200", "1000         2000    2.00x"] {
            assert!(alone.contains(part), "the table lacks {part:?}:\n{alone}");
        }
        assert!(!alone.contains("missed") && !alone.contains("met"), "nothing to compare with:\n{alone}");
        let slow = Repetition { txn_per_s: 250.0, alone_p50_us: 1_500.0, hot_intents_per_s: 10.0, ..Repetition::default() };
        m.etcd = vec![slow];
        let both = m.text();
        for part in ["4.00x  txn/s, asked at least 3x: met", "0.67x  us, asked at most 0.5x: missed", "90.00x"] {
            assert!(both.contains(part), "the table lacks {part:?}:\n{both}");
        }
        let json = m.json();
        assert_eq!((&json["medians"][0]["met"], &json["medians"][2]["met"]), (&true.into(), &false.into()), "{json:#}");
        assert_eq!(json["modes"][0]["sum_us"], 1_000.0);
    }
}

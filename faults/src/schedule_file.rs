//! Reads and writes a schedule as JSON Lines, the second half of a scenario:
//! `{"t":…,"kind":…,"targets":[…],"state":"begin|end"}`. Times are in nanoseconds since the start of the run. Amounts
//! are additional fields of the line.

use crate::fault::{Amounts, Fault};
use crate::registry;
use crate::schedule::{Injection, MAX_INJECTIONS};
use crate::target::{SENDER, Target};
use crate::trigger::AtPoint;
use heckle_history::Nanos;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// Maximum number of simultaneous faults, as in a plan.
const MAX_OPEN: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    t: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    kind: String,
    targets: Vec<String>,
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jitter_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_per_s: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset_us: Option<Vec<i64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drift_ppm: Option<Vec<i64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// The point at which the fault begins; `t` is when it is armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_point: Option<Box<str>>,
    /// Which hit of the point begins it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hit: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Begin,
    End,
}

/// Writes a schedule.
pub fn format(injections: &[Injection]) -> String {
    let mut lines: Vec<(Nanos, String)> = vec![];
    for (id, injection) in (1..).zip(injections) {
        for (t, state) in [(injection.at, State::Begin), (injection.end(), State::End)] {
            let line = line(id, t, state, &injection.fault);
            lines.push((t, serde_json::to_string(&line).expect("plain fields have a JSON form")));
        }
    }
    lines.sort_by_key(|(t, _)| *t);
    lines.into_iter().map(|(_, l)| l + "\n").collect()
}

fn line(id: u64, t: Nanos, state: State, fault: &Fault) -> Line {
    let Amounts { delay_us, jitter_us, bytes_per_s, percent, offset_us, drift_ppm, seed, point: _, at_point } = fault.amounts.clone();
    let hit = at_point.as_ref().map(|at| at.hit).filter(|hit| *hit > NonZeroU32::MIN);
    Line {
        t: t.0,
        id: Some(id),
        kind: fault.listed_as().to_string(),
        targets: fault.target.words(),
        state,
        delay_us,
        jitter_us,
        bytes_per_s,
        percent,
        offset_us,
        drift_ppm,
        seed,
        at_point: at_point.map(|at| at.point),
        hit,
    }
}

/// Reads a schedule for `nodes` nodes.
///
/// # Errors
/// Returns the line, the error and the expected form.
pub fn parse(text: &str, nodes: u16) -> Result<Vec<Injection>, String> {
    let mut open: Vec<(usize, Line, Fault)> = vec![];
    let mut injections = vec![];
    for (number, text) in (1..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty()) {
        let line: Line = serde_json::from_str(text).map_err(|e| format!("line {number}: {e}"))?;
        let fault = fault(&line, nodes).map_err(|e| format!("line {number}: {e}"))?;
        match line.state {
            State::Begin if open.len() == MAX_OPEN => return Err(format!("line {number}: over {MAX_OPEN} faults at a time")),
            State::Begin => open.push((number, line, fault)),
            State::End => {
                let same = |(_, l, _): &(usize, Line, Fault)| {
                    l.kind == line.kind && l.targets == line.targets && (l.id.is_none() || line.id.is_none() || l.id == line.id)
                };
                let place =
                    open.iter().position(same).ok_or_else(|| format!("line {number}: `{}` ends without having begun", line.kind))?;
                let (_, begin, fault) = open.remove(place);
                let lasts = line.t.checked_sub(begin.t).ok_or_else(|| format!("line {number}: `{}` ends before it begins", line.kind))?;
                injections.push(Injection { at: Nanos(begin.t), lasts: Nanos(lasts), fault });
            }
        }
        if injections.len() > MAX_INJECTIONS {
            return Err(format!("line {number}: over {MAX_INJECTIONS} injections"));
        }
    }
    if let Some((number, line, _)) = open.first() {
        return Err(format!("line {number}: `{}` begins and never ends; every fault needs its `\"state\":\"end\"` line", line.kind));
    }
    injections.sort_by_key(|s| s.at);
    Ok(injections)
}

fn fault(line: &Line, nodes: u16) -> Result<Fault, String> {
    let listed = registry::find(&line.kind)?;
    let kind = listed.kind();
    let at_point = match (&line.at_point, line.hit) {
        (Some(point), hit) => Some(AtPoint { point: point.clone(), hit: hit.unwrap_or(NonZeroU32::MIN) }),
        (None, Some(_)) => return Err("`hit` counts the hits of at_point, which is missing".into()),
        (None, None) => None,
    };
    let target = match listed.role() {
        Some(role) => Target::Role(role.into()),
        None if at_point.is_some() && line.targets == [SENDER] => {
            if !listed.can_hit_sender() {
                return Err(format!("`{}` has no target `{SENDER}`: one node does not determine what it hits", line.kind));
            }
            Target::Sender
        }
        None => kind.hits.read(kind.name, &line.targets, nodes)?,
    };
    let (offset_us, drift_ppm) = (line.offset_us.clone(), line.drift_ppm.clone());
    let Line { delay_us, jitter_us, bytes_per_s, percent, seed, .. } = *line;
    let amounts =
        Amounts { delay_us, jitter_us, bytes_per_s, percent, offset_us, drift_ppm, seed, point: listed.point().map(Into::into), at_point };
    let fault = Fault { kind, target, amounts };
    // A fault is valid if its steps can be computed.
    fault.representative_steps(Nanos(0), nodes).map(|_| fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Order, ScheduleSettings, Spacing, draw};
    use crate::target::Role;
    use heckle_history::prng::Seed;

    #[test]
    fn a_fault_at_a_point_round_trips() {
        for (kind, target, hit) in
            [("kill", Some(SENDER), 1), ("partition:isolate", Some(SENDER), 3), ("pause", Some("n2"), 2), ("kill:holder", None, 1)]
        {
            let mut fault = crate::schedule::tests::drawn(kind, 3, 1);
            fault.amounts.at_point = Some(AtPoint { point: "before-reply".into(), hit: NonZeroU32::new(hit).expect("not 0") });
            if let Some(target) = target {
                fault = fault.with_target(&[target.to_owned()], 3).expect("a target");
            }
            let injections = vec![Injection { at: Nanos(5), lasts: Nanos(7), fault }];
            assert_eq!(parse(&format(&injections), 3), Ok(injections), "{kind}");
        }
        let begin = "{\"t\":1,\"kind\":\"kill\",\"targets\":[\"n1\"],\"state\":\"begin\",\"hit\":1}";
        assert!(parse(begin, 3).unwrap_err().contains("at_point"));
        assert!(parse(&begin.replace("hit\":1", "at_point\":\"x\",\"hit\":0"), 3).unwrap_err().contains("nonzero"));
        assert!(parse(&begin.replace("n1", SENDER).replace(",\"hit\":1", ""), 3).is_err(), "no point, no sender");
    }

    #[test]
    fn schedules_round_trip() {
        let kinds = registry::all(&[Role { name: "coordinator", about: "the busiest coordinator" }]);
        let (every, lasts) = (Nanos::from_ms(1_000), Nanos::from_ms(400));
        let window = (Nanos(0), Nanos::from_ms(60_000));
        let settings = ScheduleSettings {
            kinds,
            every,
            lasts,
            window,
            max_at_once: 2,
            order: Order::Shuffled,
            spacing: Spacing::Random,
            nodes: 5,
            drift_ppm: 1_000,
            points: vec!["before-sync", "before-reply"],
        };
        for seed in 0..50 {
            let injections = draw(&settings, &mut Seed(seed).stream("s"));
            assert_eq!(parse(&format(&injections), 5), Ok(injections), "seed {seed}");
        }
    }

    #[test]
    fn bad_schedules_are_refused_by_line() {
        let begin = r#"{"t":5,"kind":"kill","targets":["n1"],"state":"begin"}"#;
        for (text, what) in [
            ("nonsense".to_owned(), "line 1"),
            (begin.to_owned(), "never ends"),
            (begin.replace("begin", "end"), "without having begun"),
            (begin.replace("n1", "n9"), "no n9"),
            (begin.replace("kill", "explode"), "explode"),
            (begin.replace("kill", "loss"), "percent"),
            (begin.replace("kill", "clock-drift"), "offset_us"),
            (begin.replace("[\"n1\"]", "[\"n1\",\"n2\"]"), "one node"),
            (begin.replace("}", ",\"colour\":1}"), "colour"),
            (format!("{begin}\n{}", begin.replace("begin", "end").replace("5", "4")), "before it begins"),
            (format!("{begin}\n").repeat(MAX_OPEN + 1), "line 1001: over 1000 faults at a time"),
        ] {
            let error = parse(&text, 3).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}

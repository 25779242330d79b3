//! Reads and writes a schedule as JSON Lines, the second half of a scenario:
//! `{"t":…,"kind":…,"targets":[…],"state":"begin|end"}`. Times are nanoseconds from the start of the run; amounts are
//! further fields of the line.

use crate::fault::{Amounts, Fault};
use crate::registry;
use crate::schedule::{Injection, MAX_INJECTIONS};
use crate::target::Target;
use heckle_history::Nanos;
use serde::{Deserialize, Serialize};

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
    let Amounts { delay_us, jitter_us, bytes_per_s, percent, offset_us, drift_ppm, seed, point: _ } = fault.amounts.clone();
    Line {
        t: t.0,
        id: Some(id),
        kind: fault.name(),
        targets: fault.target.words(),
        state,
        delay_us,
        jitter_us,
        bytes_per_s,
        percent,
        offset_us,
        drift_ppm,
        seed,
    }
}

/// Reads a schedule for `nodes` nodes.
///
/// # Errors
/// The line, its error and the expected form.
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
    let target = match listed.role() {
        Some(role) => Target::Role(role.into()),
        None => kind.hits.read(kind.name, &line.targets, nodes)?,
    };
    let (offset_us, drift_ppm) = (line.offset_us.clone(), line.drift_ppm.clone());
    let Line { delay_us, jitter_us, bytes_per_s, percent, seed, .. } = *line;
    let amounts = Amounts { delay_us, jitter_us, bytes_per_s, percent, offset_us, drift_ppm, seed, point: listed.point().map(Into::into) };
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

//! A schedule as JSON Lines, the second half of a scenario: `{"t":…,"kind":…,"targets":[…],"state":"begin|end"}`.
//! Times are nanoseconds from the start of the run; amounts stand beside the targets.

use crate::schedule::{MAX_STRIKES, Strike};
use crate::{Aim, Blow, ClockFault, Cut, Fault, Link, Links, Node};
use heckle_history::Nanos;
use serde::{Deserialize, Serialize};

/// Faults under way at a time, at most, as in a plan.
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
    percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset_us: Option<Vec<i64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drift_ppm: Option<Vec<i64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Begin,
    End,
}

/// Writes a schedule down.
pub fn format(strikes: &[Strike], nodes: u16) -> String {
    let mut lines: Vec<(Nanos, String)> = vec![];
    for (id, strike) in (1..).zip(strikes) {
        for (t, state) in [(strike.at, State::Begin), (strike.end(), State::End)] {
            let (delay_us, jitter_us, percent) = match &strike.fault {
                Fault::Delay { delay_us, jitter_us, .. } => (Some(*delay_us), Some(*jitter_us), None),
                Fault::Aimed(Blow::Late(delay_us), _) => (Some(*delay_us), None, None),
                Fault::Loss { percent, .. } | Fault::Duplicate { percent, .. } | Fault::Reorder { percent, .. } => {
                    (None, None, Some(*percent))
                }
                Fault::Kill(_)
                | Fault::KillAll
                | Fault::Pause(_)
                | Fault::Partition(_)
                | Fault::Reset(_)
                | Fault::Aimed(..)
                | Fault::Clocks(_) => (None, None, None),
            };
            let (offset_us, drift_ppm) = match &strike.fault {
                Fault::Clocks(clocks) => {
                    (Some(clocks.iter().map(|c| c.offset_us).collect()), Some(clocks.iter().map(|c| c.drift_ppm).collect()))
                }
                _ => (None, None),
            };
            let kind = strike.fault.kind().to_owned();
            let line = Line {
                t: t.0,
                id: Some(id),
                kind,
                targets: strike.fault.targets(nodes),
                state,
                delay_us,
                jitter_us,
                percent,
                offset_us,
                drift_ppm,
            };
            lines.push((t, serde_json::to_string(&line).expect("plain fields have a JSON form")));
        }
    }
    lines.sort_by_key(|(t, _)| *t);
    lines.into_iter().map(|(_, l)| l + "\n").collect()
}

/// Reads a schedule for `nodes` nodes.
///
/// # Errors
/// The line, what is wrong with it and what would be right.
pub fn parse(text: &str, nodes: u16) -> Result<Vec<Strike>, String> {
    let mut open: Vec<(usize, Line, Fault)> = vec![];
    let mut strikes = vec![];
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
                strikes.push(Strike { at: Nanos(begin.t), lasts: Nanos(lasts), fault });
            }
        }
        if strikes.len() > MAX_STRIKES {
            return Err(format!("line {number}: over {MAX_STRIKES} strikes"));
        }
    }
    if let Some((number, line, _)) = open.first() {
        return Err(format!("line {number}: `{}` begins and never ends; every fault needs its `\"state\":\"end\"` line", line.kind));
    }
    strikes.sort_by_key(|s| s.at);
    Ok(strikes)
}

fn fault(line: &Line, nodes: u16) -> Result<Fault, String> {
    let node = |s: &str| -> Result<Node, String> {
        let n: Node = s.parse()?;
        if n.0 > nodes { Err(format!("there is no {n} among {nodes} nodes")) } else { Ok(n) }
    };
    let one = || match &line.targets[..] {
        [n] => node(n),
        other => Err(format!("`{}` strikes one node, not {}", line.kind, other.len())),
    };
    let on = || -> Result<Links, String> {
        if line.targets.iter().any(|t| t.contains('>')) {
            Ok(Links::Exactly(line.targets.iter().map(|t| t.parse()).collect::<Result<_, _>>()?))
        } else {
            Ok(Links::Touching(line.targets.iter().map(|t| node(t)).collect::<Result<_, _>>()?))
        }
    };
    let percent = || match line.percent {
        Some(p) if (0.0..=100.0).contains(&p) => Ok(p),
        Some(p) => Err(format!("percent {p} is not between 0 and 100")),
        None => Err(format!("`{}` needs `percent`", line.kind)),
    };
    let delay_us = || line.delay_us.ok_or_else(|| format!("`{}` needs `delay_us`", line.kind));
    let late = || delay_us().map(Blow::Late);
    match line.kind.as_str() {
        "kill" => one().map(Fault::Kill),
        "kill-all" => Ok(Fault::KillAll),
        "pause" => one().map(Fault::Pause),
        "partition" if line.targets.iter().any(|t| t.contains('>')) => {
            Ok(Fault::Partition(Cut::Links(line.targets.iter().map(|t| t.parse::<Link>()).collect::<Result<_, _>>()?)))
        }
        "partition" => {
            let groups: Result<Vec<Vec<Node>>, String> = line.targets.iter().map(|g| g.split('|').map(node).collect()).collect();
            Ok(Fault::Partition(Cut::Groups(groups?)))
        }
        "delay" => Ok(Fault::Delay { on: on()?, delay_us: delay_us()?, jitter_us: line.jitter_us.unwrap_or(0) }),
        "loss" => Ok(Fault::Loss { on: on()?, percent: percent()? }),
        "duplicate" => Ok(Fault::Duplicate { on: on()?, percent: percent()? }),
        "reorder" => Ok(Fault::Reorder { on: on()?, percent: percent()? }),
        "reset" => on().map(Fault::Reset),
        "kill:holder" => Ok(Fault::Aimed(Blow::Kill, Aim::Holder)),
        "pause:holder" => Ok(Fault::Aimed(Blow::Pause, Aim::Holder)),
        "partition:holder" => Ok(Fault::Aimed(Blow::Isolate, Aim::Holder)),
        "delay:holder" => late().map(|blow| Fault::Aimed(blow, Aim::Holder)),
        "delay:coordinator" => late().map(|blow| Fault::Aimed(blow, Aim::Coordinator)),
        "kill:coordinator" => Ok(Fault::Aimed(Blow::Kill, Aim::Coordinator)),
        "pause:coordinator" => Ok(Fault::Aimed(Blow::Pause, Aim::Coordinator)),
        "partition:coordinator" => Ok(Fault::Aimed(Blow::Isolate, Aim::Coordinator)),
        "clock-jump" | "clock-drift" => clocks(line, node).map(Fault::Clocks),
        other => Err(format!("there is no fault `{other}`")),
    }
}

/// One offset and one drift for each node struck.
fn clocks(line: &Line, node: impl Fn(&str) -> Result<Node, String>) -> Result<Vec<ClockFault>, String> {
    let figures = |name: &str, given: &Option<Vec<i64>>| match given {
        Some(all) if all.len() == line.targets.len() => Ok(all.clone()),
        Some(all) => Err(format!("`{}` has {} targets and {} of `{name}`", line.kind, line.targets.len(), all.len())),
        None => Err(format!("`{}` needs `{name}`, a number for each target", line.kind)),
    };
    let (offsets, drifts) = (figures("offset_us", &line.offset_us)?, figures("drift_ppm", &line.drift_ppm)?);
    let all = line.targets.iter().zip(offsets).zip(drifts);
    all.map(|((target, offset_us), drift_ppm)| Ok(ClockFault { node: node(target)?, offset_us, drift_ppm })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Order, ScheduleSettings, Spacing, draw};
    use heckle_history::prng::Seed;

    #[test]
    fn a_drawn_schedule_reads_as_it_was_written() {
        let kinds = crate::FaultKind::ALL.iter().map(|(k, ..)| *k).collect();
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
        };
        for seed in 0..50 {
            let strikes = draw(&settings, &mut Seed(seed).stream("s"));
            assert_eq!(parse(&format(&strikes, 5), 5), Ok(strikes), "seed {seed}");
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

//! Schedules drawn and written by earlier builds. A stored schedule must stay readable forever, and the same seed and
//! plan must give the same schedule, because `heckle rerun` relies on it. The files were written by the last build in
//! which faults did not have their own crate.

use heckle_faults::registry::find;
use heckle_faults::schedule::{Order, ScheduleSettings, Spacing, draw};
use heckle_faults::schedule_file::{format, parse};
use heckle_history::Nanos;
use heckle_history::prng::Seed;
use std::path::Path;

/// The kinds that existed when the files were written. Do not add new kinds here.
const KINDS: [&str; 27] = [
    "kill",
    "kill-all",
    "pause",
    "partition",
    "partition:majority",
    "partition:isolate",
    "partition:one-way",
    "partition:bridge",
    "partition:ring",
    "partition:clients",
    "delay",
    "delay:link",
    "delay:one-way",
    "loss",
    "duplicate",
    "reorder",
    "reset",
    "kill:holder",
    "pause:holder",
    "partition:holder",
    "delay:holder",
    "kill:coordinator",
    "pause:coordinator",
    "partition:coordinator",
    "delay:coordinator",
    "clock-jump",
    "clock-drift",
];

fn settings(kinds: &[&str], nodes: u16, seconds: u64) -> ScheduleSettings {
    ScheduleSettings {
        kinds: kinds.iter().map(|k| find(k).expect("a kind")).collect(),
        every: Nanos::from_ms(1_000),
        lasts: Nanos::from_ms(1_400),
        window: (Nanos::from_ms(3_000), Nanos::from_ms(3_000 + 1_000 * seconds)),
        max_at_once: 2,
        order: Order::Shuffled,
        spacing: Spacing::Random,
        nodes,
        drift_ppm: 1_000,
        points: vec![],
    }
}

/// Draws one schedule of all kinds and one of each kind, for several seeds.
fn drawn(nodes: u16) -> String {
    let of = |settings: &ScheduleSettings, seed: u64| format(&draw(settings, &mut Seed(seed).stream("schedule")));
    let mut all = String::new();
    for seed in [1, 7, 4_711] {
        all += &of(&settings(&KINDS, nodes, 62), seed);
    }
    for kind in KINDS {
        for seed in [2, 3] {
            let even = ScheduleSettings { order: Order::Listed, spacing: Spacing::Even, max_at_once: 1, ..settings(&[kind], nodes, 5) };
            all += &of(&even, seed);
        }
    }
    all
}

#[test]
fn schedules_are_drawn_and_read_as_by_earlier_builds() {
    for nodes in [3, 5] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{nodes}-nodes.jsonl"));
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (number, (now, then)) in (1..).zip(drawn(nodes).lines().zip(golden.lines())) {
            assert_eq!(now, then, "{} line {number}", path.display());
        }
        assert_eq!(drawn(nodes).lines().count(), golden.lines().count());
        // Ids restart with each schedule in the file, so the schedules are read one by one.
        for part in schedules(&golden) {
            let read = parse(&part, nodes).expect("it was read when it was written");
            assert_eq!(parse(&format(&read), nodes).expect("what is written reads"), read);
        }
    }
}

fn schedules(golden: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![];
    for line in golden.lines() {
        if line.contains("\"id\":1,") && line.contains("\"begin\"") {
            parts.push(String::new());
        }
        let part = parts.last_mut().expect("a schedule begins with its first fault");
        *part += line;
        part.push('\n');
    }
    parts
}

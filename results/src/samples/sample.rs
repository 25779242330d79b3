//! A synthetic history with faults, for tests, benchmarks and example charts in the docs: three nodes, one of which is killed,
//! one paused and one partitioned. It is drawn from a seed and makes no claim about any system. It cannot be checked for
//! linearizability, since its values are not consistent.

use heckle_history::event::{Call, Completion, Current, Event, FaultEvent, FaultState, Header, Invoke, NodeEvent, Seen};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{
    ClientId, Diagnostics, FigureId, FigureInfo, History, KeyId, Measure, Names, Nanos, NodeIx, OpId, ProcessId, RunId, Unit, Value,
};
use rand::RngExt;
use std::collections::BTreeMap;

/// Parameters of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The seed of all random choices.
    pub seed: u64,
    /// Duration of the load window, in seconds. It is preceded by a warm-up of 2 s and followed by a tail of 4 s.
    pub seconds: u64,
    /// Operations due per second.
    pub rate_per_s: u64,
    /// Number of faults, evenly spread, of three kinds in turn.
    pub faults: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Sample { seed: 7, seconds: 30, rate_per_s: 400, faults: 3 }
    }
}

const TIMEOUT: Nanos = Nanos::from_ms(1_000);
const WARMUP: Nanos = Nanos::from_ms(2_000);

struct SampleFault {
    kind: &'static str,
    node: u16,
    began: u64,
    lifted: u64,
}

/// Generates the history.
pub fn history(sample: Sample) -> History {
    let mut rng = Seed(sample.seed).stream("sample");
    let mut names = Names::default();
    for key in ["k1", "k2", "k3", "k4"] {
        names.key(key);
    }
    for node in ["n1", "n2", "n3"] {
        names.node(node);
    }
    let figure = |name, about, measure| FigureInfo::new(name, Unit::Count, about).measuring(measure);
    let figures = vec![
        figure("rounds", "attempts that the operation took", Measure::Attempts),
        figure("round_trips", "round trips between nodes", Measure::RoundTrips),
        figure("preempted", "how often the operation was outbid", Measure::Preemptions),
        figure("repairs", "unfinished updates of others that it finished first", Measure::Repairs),
    ];
    names.declare_figures(&figures).expect("four names");
    let window = (WARMUP.0, WARMUP.0 + sample.seconds * 1_000_000_000);
    let header = Header {
        run_id: Some(RunId("20260131T120000Z-5a3e".into())),
        seed: Some(Seed(sample.seed).to_string()),
        load_window: Some(window),
        op_timeout_ns: Some(TIMEOUT.0),
        figures: Some(figures),
        ..Header::default()
    };
    let bands = bands(sample, window);
    let mut timed: Vec<(u64, u8, Event)> = vec![];
    for (id, band) in (1u64..).zip(&bands) {
        fault_events(id, band, &mut timed);
    }
    let gap = 1_000_000_000 / sample.rate_per_s.max(1);
    let until = window.1 + 4_000_000_000;
    let mut due = 0;
    let mut op = 0;
    while due < until {
        draw_op(OpId(op), due, &bands, &mut rng, &mut timed);
        op += 1;
        due += gap;
    }
    timed.sort_by_key(|(t, rank, _)| (*t, *rank));
    History::from_events(header, names, timed.into_iter().map(|(_, _, e)| e)).unwrap_or_else(|(i, what)| panic!("sample event {i}: {what}"))
}

fn bands(sample: Sample, window: (u64, u64)) -> Vec<SampleFault> {
    let every = (window.1 - window.0) / (sample.faults + 1).max(1);
    let kinds = ["kill", "pause", "partition"];
    (0..sample.faults)
        .map(|i| {
            let began = window.0 + every / 2 + i * every;
            SampleFault { kind: kinds[(i % 3) as usize], node: (i % 3) as u16, began, lifted: began + every * 2 / 5 }
        })
        .collect()
}

fn fault_events(id: u64, band: &SampleFault, timed: &mut Vec<(u64, u8, Event)>) {
    let node = format!("n{}", band.node + 1);
    let targets = vec![if band.kind == "partition" { "n3|n1,n2".to_owned() } else { node }];
    let evidence = match band.kind {
        "kill" => ("exit_signal", 9u64),
        "pause" => ("stopped_ms", (band.lifted - band.began) / 1_000_000),
        _ => ("blocked_frames", 412),
    };
    let mut push = |t: u64, state, evidence| {
        timed.push((t, 3, Event::Fault(FaultEvent { id, t: Nanos(t), kind: band.kind.into(), targets: targets.clone(), state, evidence })));
    };
    push(band.began, FaultState::Began, BTreeMap::new());
    push(band.lifted, FaultState::Ended, BTreeMap::from([(evidence.0.to_owned(), evidence.1.into())]));
    push(band.lifted + 40_000_000, FaultState::Healed, BTreeMap::new());
    if band.kind == "kill" {
        let node_event = |t, what: &str| {
            (t, 3, Event::Node(NodeEvent { t: Nanos(t), node: NodeIx(band.node), what: what.into(), detail: BTreeMap::new() }))
        };
        timed.push(node_event(band.began + 1_000_000, "exit"));
        timed.push(node_event(band.lifted + 20_000_000, "start"));
    }
}

/// Duration and outcome of an operation, which depend on the faults of its node.
enum End {
    Answered(u64),
    Refused(u64),
    TimedOut,
}

fn draw_op(op: OpId, due: u64, bands: &[SampleFault], rng: &mut Pcg64, timed: &mut Vec<(u64, u8, Event)>) {
    let node = rng.random_range(0..3u16);
    let sent = due + rng.random_range(20_000..90_000);
    let calm =
        log_normal(rng, 1.4e6, 0.35) as u64 + if rng.random_range(0..200) == 0 { rng.random_range(2_000_000..30_000_000) } else { 0 };
    let near = bands.iter().find(|b| b.began <= sent && sent < b.lifted + 800_000_000);
    let end = match near {
        None => End::Answered(calm),
        Some(band) => under_fault(band, node, sent, calm, rng),
    };
    let (key, new) = (KeyId(rng.random_range(0..4)), Value(op.0 as i64 + 1));
    let call = match rng.random_range(0..10) {
        0..6 => Call::Cas { expected: Some(Value(new.0 - 1)), new },
        6..9 => Call::Read,
        _ => Call::Write { new },
    };
    let process = ProcessId(op.0 as u32);
    let (intended, at) = (Some(Nanos(due)), Some(NodeIx(node)));
    let invoke = Invoke { client: Some(ClientId(node.into())), intended, node: at, ..Invoke::new(op, process, Nanos(sent), key, call) };
    timed.push((sent, 0, Event::Invoke(invoke)));
    let slow = matches!(end, End::Answered(ns) if ns > 4_000_000);
    let rounds = if slow { rng.random_range(2..7) } else { 1 };
    let figures = [rounds, rounds * 2 + 2, rounds - 1, u32::from(rounds > 4)];
    let reported = Diagnostics::pack((0u16..).zip(figures).map(|(place, n)| (FigureId(place), n.into())));
    let done =
        |t, reason: Option<&str>| Completion { op, t: Nanos(t), seen: (), node: at, reason: reason.map(Into::into), diagnostics: None };
    let (t, event) = match end {
        End::Answered(ns) => {
            let seen = match call {
                Call::Read => Seen::Value(Some(Value(new.0 - 1))),
                Call::Write { .. } => Seen::Written,
                Call::Cas { .. } if rng.random_range(0..10) < 3 => Seen::ConditionNotMet(Current::Known(Some(Value(new.0 - 2)))),
                Call::Cas { .. } => Seen::Applied,
            };
            let t = sent + ns;
            (t, Event::Ok(Completion { op, t: Nanos(t), seen, node: at, reason: None, diagnostics: Some(reported) }))
        }
        End::Refused(ns) => (sent + ns, Event::Fail(done(sent + ns, Some("connection_refused")))),
        End::TimedOut => (sent + TIMEOUT.0, Event::Unknown(done(sent + TIMEOUT.0, Some("timeout")))),
    };
    timed.push((t, 1, event));
}

fn under_fault(band: &SampleFault, node: u16, sent: u64, calm: u64, rng: &mut Pcg64) -> End {
    let struck = node == band.node;
    if sent >= band.lifted {
        // Recovery: queues drain, and connections are re-established.
        let left = (band.lifted + 800_000_000 - sent) as f64 / 8e8;
        return End::Answered(calm + (if struck { 1.2e8 } else { 3e6 } * left * left) as u64);
    }
    let to_lift = band.lifted - sent;
    match (struck, band.kind) {
        (true, "kill") if sent < band.began + 30_000_000 => End::TimedOut,
        (true, "kill") => End::Refused(rng.random_range(80_000..400_000)),
        (true, _) if to_lift < TIMEOUT.0 => End::Answered(to_lift + calm),
        (true, "partition") if rng.random_range(0..4) == 0 => End::Refused(rng.random_range(200_000_000..240_000_000)),
        (true, _) => End::TimedOut,
        (false, _) => End::Answered(calm * 2 + log_normal(rng, 4e5, 0.9) as u64),
    }
}

/// Draws from a log-normal distribution with the given median, using the sum of twelve uniform values for a normal one.
fn log_normal(rng: &mut Pcg64, median: f64, sigma: f64) -> f64 {
    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    median * (normal * sigma).exp()
}

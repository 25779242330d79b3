//! Small random histories of one register, for comparing engines: `cargo test` and `heckle bench check --differential`.

use heckle_history::prng::Pcg64;
use heckle_history::{Call, Current, Fate, History, Nanos, OpId, Operation, Outcome, Path, ProcessId, Seen, Value};
use rand::RngExt;

/// What a random history may contain.
#[derive(Debug, Clone, Copy)]
pub struct DrawParams {
    /// Maximum number of ops.
    pub ops: u64,
    /// Whether refusals may omit the value found.
    pub silent: bool,
    /// Whether fates are resolved.
    pub fates: bool,
}

/// An op before it is converted to events.
#[derive(Debug, Clone, Copy)]
struct Draft {
    process: u32,
    invoked: u64,
    completed: u64,
    call: Call,
    outcome: Outcome,
}

/// Draws a small history of one key: a correct run of a register, parts of which are then mutated. Times are small
/// numbers, so ties and touching intervals are common.
pub fn random(rng: &mut Pcg64, spice: DrawParams) -> History {
    let mut drafts = correct_history(rng, spice);
    mutate(rng, &mut drafts, spice);
    drop_outcomes(rng, &mut drafts);
    finish(rng, drafts, spice)
}

fn correct_history(rng: &mut Pcg64, spice: DrawParams) -> Vec<Draft> {
    let count = rng.random_range(2..=spice.ops);
    let processes = rng.random_range(1..=5u32);
    let blind = rng.random_range(0..3u32);
    // With widely spaced values the checker uses its map, with dense values its table.
    let stride = if rng.random_bool(0.2) { 1_000_003 } else { 1 };
    let mut free = vec![0u64; processes as usize];
    let mut next_value = if rng.random_bool(0.1) { -3 } else { 0 };
    let mut drafts = vec![];
    for _ in 0..count {
        let process = rng.random_range(0..processes);
        let invoked = free[process as usize] + rng.random_range(0..4u64);
        let completed = invoked + rng.random_range(0..12u64);
        free[process as usize] = completed + rng.random_range(1..3u64);
        next_value += stride;
        let call = match rng.random_range(0..10u32) {
            0..4 => Call::Read,
            4..6 if blind > 0 => Call::Write { new: Value(next_value) },
            _ => Call::Cas { expected: None, new: Value(next_value) },
        };
        drafts.push(Draft { process, invoked, completed, call, outcome: Outcome::Open });
    }
    let mut points: Vec<(u64, u32, usize)> =
        drafts.iter().enumerate().map(|(i, d)| (rng.random_range(d.invoked * 8..=d.completed * 8), rng.random(), i)).collect();
    points.sort_unstable();
    let (mut now, mut past) = (None, vec![None]);
    for (_, _, i) in points {
        let draft = &mut drafts[i];
        let seen = match draft.call {
            Call::Read => Seen::Value(now),
            Call::Write { new } => {
                now = Some(new);
                Seen::Written
            }
            Call::Cas { new, .. } => {
                let expected = if rng.random_bool(0.7) { now } else { past[rng.random_range(0..past.len())] };
                draft.call = Call::Cas { expected, new };
                if expected == now {
                    now = Some(new);
                    Seen::Applied
                } else if spice.silent && rng.random_bool(0.5) {
                    Seen::ConditionNotMet(Current::NotReported)
                } else {
                    Seen::ConditionNotMet(Current::Known(now))
                }
            }
        };
        past.push(now);
        draft.outcome = Outcome::Ok(seen);
    }
    drafts
}

fn mutate(rng: &mut Pcg64, drafts: &mut [Draft], spice: DrawParams) {
    let lies = match rng.random_range(0..3u32) {
        0 => 0,
        1 => rng.random_range(1..=2),
        _ => rng.random_range(0..=drafts.len()),
    };
    let mut values: Vec<Option<Value>> = drafts.iter().filter_map(|d| d.call.writes()).map(Some).collect();
    values.push(None);
    if rng.random_bool(0.05) {
        values.push(Some(Value(777_777_777)));
    }
    for _ in 0..lies {
        let at = rng.random_range(0..drafts.len());
        let other = values[rng.random_range(0..values.len())];
        let draft = &mut drafts[at];
        let which = rng.random_range(0..3u32);
        match draft.call {
            Call::Read => draft.outcome = Outcome::Ok(Seen::Value(other)),
            Call::Write { .. } => {}
            Call::Cas { new, .. } if which == 0 => draft.call = Call::Cas { expected: other, new },
            Call::Cas { .. } if which == 1 => draft.outcome = Outcome::Ok(Seen::Applied),
            Call::Cas { .. } if spice.silent && rng.random_bool(0.5) => {
                draft.outcome = Outcome::Ok(Seen::ConditionNotMet(Current::NotReported))
            }
            Call::Cas { .. } => draft.outcome = Outcome::Ok(Seen::ConditionNotMet(Current::Known(other))),
        }
        if rng.random_bool(0.3) {
            let by = rng.random_range(0..10u64);
            (draft.invoked, draft.completed) = (draft.invoked + by, draft.completed + by);
            draft.process = 100 + at as u32;
        }
    }
    // A CAS to the value it expects is outside the fragment.
    for draft in drafts {
        if let Call::Cas { expected, new } = draft.call
            && expected == Some(new)
        {
            (draft.call, draft.outcome) = (Call::Read, Outcome::Ok(Seen::Value(None)));
        }
    }
}

fn drop_outcomes(rng: &mut Pcg64, drafts: &mut [Draft]) {
    let share = [0.0, 0.1, 0.3, 0.6][rng.random_range(0..4usize)];
    for draft in drafts {
        if rng.random_bool(share) {
            draft.outcome = match rng.random_range(0..8u32) {
                0 => Outcome::Failed,
                1..3 => Outcome::Open,
                _ => Outcome::Unknown,
            };
        }
    }
}

fn finish(rng: &mut Pcg64, mut drafts: Vec<Draft>, spice: DrawParams) -> History {
    drafts.sort_by_key(|d| d.invoked);
    let mut history = History::default();
    let key = history.names.key("k1");
    for (i, draft) in drafts.iter().enumerate() {
        let completed = if draft.outcome == Outcome::Open { Nanos::NEVER } else { Nanos(draft.completed) };
        history.ops.push(Operation {
            op: OpId(i as u64),
            invoked: Nanos(draft.invoked),
            completed,
            intended: Nanos(draft.invoked),
            call: draft.call,
            outcome: draft.outcome,
            process: ProcessId(draft.process),
            key,
            node: None,
            path: Path::Consensus,
        });
        history.end = history.end.max(Nanos(draft.completed + 40));
        if spice.fates && draft.outcome == Outcome::Unknown && rng.random_bool(0.5) {
            let fate = [Fate::Applied, Fate::NotApplied, Fate::Evicted, Fate::Unresolved][rng.random_range(0..4usize)];
            history.fates.insert(i as u32, (fate, Nanos(draft.completed + rng.random_range(0..30u64))));
        }
    }
    history
}

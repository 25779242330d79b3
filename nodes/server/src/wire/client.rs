//! Conversions between the client protocol and the core.

use heckle_paxos as core;

use super::WireError;
use crate::client_protocol::{
    BallotTag, Call, Diagnostics, Fate, Level, MAX_VALUE, OpId, Outcome, Phase, Provenance, Reason, Request, Response,
};

/// Converts a request that has passed all checks to an event of the core.
pub(crate) fn core_event(token: core::ClientToken, request: Request) -> core::Event {
    let op = core::OpId { client: request.op.client, seq: request.op.seq };
    let (key, timeout_ns) = (request.key.into(), request.timeout_us.saturating_mul(1_000));
    match core_call_of(request.call) {
        CoreCall::Paxos(call) => {
            let provenance = core_provenance(request.provenance);
            core::Event::Client { token, request: core::ClientRequest { op, key, call, timeout_ns, provenance } }
        }
        CoreCall::Plain(call, level) => core::Event::Plain { token, request: core::PlainRequest { op, key, call, level, timeout_ns } },
    }
}

/// The path of a call: through Paxos, or last-write-wins.
enum CoreCall {
    Paxos(core::Call),
    Plain(core::PlainCall, core::Level),
}

fn core_call_of(call: Call) -> CoreCall {
    CoreCall::Paxos(match call {
        Call::Read => core::Call::Read,
        Call::Write { new } => core::Call::Write { new: new.into() },
        Call::Cas { expected, new } => core::Call::Cas { expected: expected.map(core::Value::from), new: new.into() },
        Call::Fate { of, born } => {
            core::Call::Fate { of: core::OpId { client: of.client, seq: of.seq }, born: born.map_or(core::Ballot::ZERO, core_ballot) }
        }
        Call::Put { new, level } => return CoreCall::Plain(core::PlainCall::Put { new: new.into() }, core_level(level)),
        Call::Get { level } => return CoreCall::Plain(core::PlainCall::Get, core_level(level)),
    })
}

fn core_level(level: Level) -> core::Level {
    match level {
        Level::One => core::Level::One,
        Level::Quorum => core::Level::Quorum,
    }
}

/// Converts a call forwarded by another node to the core's form, if its values are within the limits.
pub(super) fn core_call(call: Call) -> Result<core::Call, WireError> {
    let values: &[&[u8]] = match &call {
        Call::Read | Call::Fate { .. } | Call::Get { .. } => &[],
        Call::Write { new } | Call::Put { new, .. } => &[new],
        Call::Cas { expected, new } => &[expected.as_deref().unwrap_or_default(), new],
    };
    match values.iter().map(|value| value.len()).max() {
        Some(len) if len > MAX_VALUE => Err(WireError::TooLong { what: "value", len, limit: MAX_VALUE }),
        Some(_) | None => match core_call_of(call) {
            CoreCall::Paxos(call) => Ok(call),
            CoreCall::Plain(..) => {
                Err(WireError::Malformed { what: "forwarded call", cause: "a put or get is never handed over".to_owned() })
            }
        },
    }
}

/// Converts a call to the protocol's form.
pub(super) fn call(call: &core::Call) -> Call {
    let bytes = |value: &core::Value| value.as_bytes().to_vec();
    match call {
        core::Call::Read => Call::Read,
        core::Call::Write { new } => Call::Write { new: bytes(new) },
        core::Call::Cas { expected, new } => Call::Cas { expected: expected.as_ref().map(bytes), new: bytes(new) },
        core::Call::Fate { of, born } => Call::Fate { of: OpId { client: of.client, seq: of.seq }, born: ballot(*born) },
    }
}

pub(super) fn provenance(provenance: core::Provenance) -> Provenance {
    match provenance {
        core::Provenance::First => Provenance::First,
        core::Provenance::FirstAfter { born } => Provenance::FirstAfter { born: tag(born) },
        core::Provenance::Resent { born } => Provenance::Resent { born: ballot(born) },
    }
}

pub(super) fn core_provenance(provenance: Provenance) -> core::Provenance {
    match provenance {
        Provenance::First => core::Provenance::First,
        Provenance::Resent { born } => core::Provenance::Resent { born: born.map_or(core::Ballot::ZERO, core_ballot) },
        Provenance::FirstAfter { born } => core::Provenance::FirstAfter { born: core_ballot(born) },
    }
}

/// Converts a reply to the protocol's form.
pub(crate) fn response(op: OpId, outcome: core::Outcome, diagnostics: &core::Diagnostics) -> Response {
    Response { op, outcome: self::outcome(outcome), diagnostics: self::diagnostics(diagnostics) }
}

pub(super) fn outcome(outcome: core::Outcome) -> Outcome {
    let bytes = |value: Option<core::Value>| value.map(|value| value.as_bytes().to_vec());
    match outcome {
        core::Outcome::Applied => Outcome::Applied,
        core::Outcome::Read { current } => Outcome::Value { value: bytes(current) },
        core::Outcome::ConditionNotMet { current } => Outcome::ConditionNotMet { current: bytes(current) },
        core::Outcome::Fate { fate } => Outcome::Fate {
            fate: match fate {
                core::Fate::Applied => Fate::Applied,
                core::Fate::NotApplied => Fate::NotApplied,
                core::Fate::Evicted => Fate::Evicted,
                core::Fate::Superseded => Fate::Superseded,
            },
        },
        core::Outcome::NotApplied { why } => Outcome::NotApplied {
            why: match why {
                core::NotAppliedWhy::Busy => Reason::Busy,
                core::NotAppliedWhy::TimeoutInQueue => Reason::TimeoutInQueue,
                core::NotAppliedWhy::TimeoutBeforePropose => Reason::NoQuorumBeforePropose,
                core::NotAppliedWhy::Superseded => Reason::Superseded,
                core::NotAppliedWhy::Aborted => Reason::Aborted,
                core::NotAppliedWhy::TooOld => Reason::TooOld,
                core::NotAppliedWhy::Contention => Reason::Contention,
            },
        },
        core::Outcome::Unknown { why } => Outcome::Unknown {
            why: match why {
                core::UnknownWhy::Timeout => Reason::Timeout,
                core::UnknownWhy::Superseded => Reason::Superseded,
                core::UnknownWhy::Evicted => Reason::Evicted,
                core::UnknownWhy::ResentElsewhere => Reason::ResentElsewhere,
                core::UnknownWhy::Busy => Reason::Busy,
                core::UnknownWhy::TooOld => Reason::TooOld,
                core::UnknownWhy::Contention => Reason::Contention,
                core::UnknownWhy::Forwarded => Reason::Forwarded,
            },
        },
        core::Outcome::Invalid { why } => Outcome::Invalid { why: why.name().to_owned() },
    }
}

pub(super) fn diagnostics(from: &core::Diagnostics) -> Diagnostics {
    Diagnostics {
        phase: match from.phase {
            core::Phase::Queued => Phase::Queued,
            core::Phase::Prepare => Phase::Prepare,
            core::Phase::Read => Phase::Read,
            core::Phase::Refresh => Phase::Refresh,
            core::Phase::RepairPropose => Phase::RepairPropose,
            core::Phase::RepairLearn => Phase::RepairLearn,
            core::Phase::Fence => Phase::Fence,
            core::Phase::Propose => Phase::Propose,
            core::Phase::Learn => Phase::Learn,
            core::Phase::Backoff => Phase::Backoff,
            core::Phase::Done => Phase::Done,
            core::Phase::Forwarded => Phase::Forwarded,
            core::Phase::LocalRead => Phase::LocalRead,
            core::Phase::Cheap => Phase::Cheap,
        },
        ballot: ballot(from.ballot),
        promises: from.promises,
        accepts: from.accepts,
        rejects: from.rejects,
        needed: from.needed,
        max_seen_ballot: ballot(from.max_seen_ballot),
        repaired_op: from.repaired_op.map(|op| OpId { client: op.client, seq: op.seq }),
        repairs: from.repairs,
        rounds: from.rounds,
        preempted: from.preempted,
        round_trips: from.round_trips,
        backoff_ns: from.backoff_ns,
        learned_by: from.learned_by,
        forwarded_to: from.forwarded_to.map(|node| node.0),
    }
}

fn ballot(ballot: core::Ballot) -> Option<BallotTag> {
    (!ballot.is_zero()).then(|| tag(ballot))
}

fn tag(ballot: core::Ballot) -> BallotTag {
    BallotTag { us: ballot.micros, node: ballot.node.0, nonce: ballot.nonce }
}

fn core_ballot(tag: BallotTag) -> core::Ballot {
    core::Ballot { micros: tag.us, node: core::NodeId(tag.node), nonce: tag.nonce }
}

/// Converts a reply from another node to the core's form. Reasons that no correct node sends are refused.
pub(super) fn core_outcome(outcome: Outcome) -> Result<core::Outcome, WireError> {
    let malformed = || WireError::Malformed { what: "forwarded answer", cause: "a reason that no holder gives".to_owned() };
    let value = |bytes: Option<Vec<u8>>| bytes.map(core::Value::from);
    Ok(match outcome {
        Outcome::Applied => core::Outcome::Applied,
        Outcome::ConditionNotMet { current } => core::Outcome::ConditionNotMet { current: value(current) },
        Outcome::Value { value: current } => core::Outcome::Read { current: value(current) },
        Outcome::Fate { fate } => core::Outcome::Fate {
            fate: match fate {
                Fate::Applied => core::Fate::Applied,
                Fate::NotApplied => core::Fate::NotApplied,
                Fate::Evicted => core::Fate::Evicted,
                Fate::Superseded => core::Fate::Superseded,
            },
        },
        Outcome::NotApplied { why } => core::Outcome::NotApplied {
            why: match why {
                Reason::Busy => core::NotAppliedWhy::Busy,
                Reason::TimeoutInQueue => core::NotAppliedWhy::TimeoutInQueue,
                Reason::NoQuorumBeforePropose => core::NotAppliedWhy::TimeoutBeforePropose,
                Reason::Superseded => core::NotAppliedWhy::Superseded,
                Reason::Aborted => core::NotAppliedWhy::Aborted,
                Reason::TooOld => core::NotAppliedWhy::TooOld,
                Reason::Contention => core::NotAppliedWhy::Contention,
                Reason::TooManyInFlight
                | Reason::Timeout
                | Reason::Evicted
                | Reason::ResentElsewhere
                | Reason::Stopping
                | Reason::Forwarded => return Err(malformed()),
            },
        },
        Outcome::Unknown { why } => core::Outcome::Unknown {
            why: match why {
                Reason::Timeout => core::UnknownWhy::Timeout,
                Reason::Superseded => core::UnknownWhy::Superseded,
                Reason::Evicted => core::UnknownWhy::Evicted,
                Reason::ResentElsewhere => core::UnknownWhy::ResentElsewhere,
                Reason::Busy => core::UnknownWhy::Busy,
                Reason::TooOld => core::UnknownWhy::TooOld,
                Reason::Contention => core::UnknownWhy::Contention,
                Reason::Forwarded => core::UnknownWhy::Forwarded,
                Reason::TooManyInFlight | Reason::TimeoutInQueue | Reason::NoQuorumBeforePropose | Reason::Aborted | Reason::Stopping => {
                    return Err(malformed());
                }
            },
        },
        Outcome::Invalid { why } => {
            let all = [core::InvalidWhy::KeySize, core::InvalidWhy::ValueSize, core::InvalidWhy::IdReused, core::InvalidWhy::BornAhead];
            core::Outcome::Invalid { why: all.into_iter().find(|known| known.name() == why).ok_or_else(malformed)? }
        }
    })
}

/// Converts the diagnostics of a reply to the core's form.
pub(super) fn core_diagnostics(op: core::OpId, from: Diagnostics) -> core::Diagnostics {
    let whole = |tag: Option<BallotTag>| tag.map_or(core::Ballot::ZERO, core_ballot);
    core::Diagnostics {
        op,
        phase: match from.phase {
            Phase::Queued => core::Phase::Queued,
            Phase::Prepare => core::Phase::Prepare,
            Phase::Read => core::Phase::Read,
            Phase::Refresh => core::Phase::Refresh,
            Phase::RepairPropose => core::Phase::RepairPropose,
            Phase::RepairLearn => core::Phase::RepairLearn,
            Phase::Fence => core::Phase::Fence,
            Phase::Propose => core::Phase::Propose,
            Phase::Learn => core::Phase::Learn,
            Phase::Backoff => core::Phase::Backoff,
            Phase::Done => core::Phase::Done,
            Phase::Forwarded => core::Phase::Forwarded,
            Phase::LocalRead => core::Phase::LocalRead,
            Phase::Cheap => core::Phase::Cheap,
        },
        ballot: whole(from.ballot),
        promises: from.promises,
        accepts: from.accepts,
        rejects: from.rejects,
        needed: from.needed,
        max_seen_ballot: whole(from.max_seen_ballot),
        repaired_op: from.repaired_op.map(|op| core::OpId { client: op.client, seq: op.seq }),
        rounds: from.rounds,
        round_trips: from.round_trips,
        preempted: from.preempted,
        repairs: from.repairs,
        backoff_ns: from.backoff_ns,
        learned_by: from.learned_by,
        forwarded_to: from.forwarded_to.map(core::NodeId),
    }
}

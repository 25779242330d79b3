//! Between the client protocol and the core.

use heckle_paxos as core;

use crate::client_protocol::{BallotTag, Call, Diagnostics, Fate, OpId, Outcome, Phase, Provenance, Reason, Request, Response};

/// The core's form of a request that broke no rule of the protocol.
pub(crate) fn request(request: Request) -> core::ClientRequest {
    core::ClientRequest {
        op: core::OpId { client: request.op.client, seq: request.op.seq },
        key: request.key.into(),
        call: match request.call {
            Call::Read => core::Call::Read,
            Call::Write { new } => core::Call::Write { new: new.into() },
            Call::Cas { expected, new } => core::Call::Cas { expected: expected.map(core::Value::from), new: new.into() },
            Call::Fate { of, born } => {
                core::Call::Fate { of: core::OpId { client: of.client, seq: of.seq }, born: born.map_or(core::Ballot::ZERO, core_ballot) }
            }
        },
        timeout_ns: request.timeout_us.saturating_mul(1_000),
        provenance: match request.provenance {
            Provenance::First => core::Provenance::First,
            Provenance::Resent { born } => core::Provenance::Resent { born: born.map_or(core::Ballot::ZERO, core_ballot) },
            Provenance::FirstAfter { born } => core::Provenance::FirstAfter { born: core_ballot(born) },
        },
    }
}

/// The protocol's form of an answer.
pub(crate) fn response(op: OpId, outcome: core::Outcome, diagnostics: &core::Diagnostics) -> Response {
    Response { op, outcome: self::outcome(outcome), diagnostics: self::diagnostics(diagnostics) }
}

fn outcome(outcome: core::Outcome) -> Outcome {
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
            },
        },
        core::Outcome::Invalid { why } => Outcome::Invalid { why: why.name().to_owned() },
    }
}

fn diagnostics(from: &core::Diagnostics) -> Diagnostics {
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
    }
}

fn ballot(ballot: core::Ballot) -> Option<BallotTag> {
    (!ballot.is_zero()).then_some(BallotTag { us: ballot.micros, node: ballot.node.0, nonce: ballot.nonce })
}

fn core_ballot(tag: BallotTag) -> core::Ballot {
    core::Ballot { micros: tag.us, node: core::NodeId(tag.node), nonce: tag.nonce }
}

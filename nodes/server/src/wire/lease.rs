//! Wire forms of the core's lease messages, and of operations forwarded to a holder.

use heckle_paxos as core;
use heckle_paxos::lease::{LeaseBody, LeaseMode, RangeId};
use serde::{Deserialize, Serialize};

use super::{Sink, WireError, client, decode, encode};
use crate::client_protocol::{Call, Diagnostics, Outcome, Provenance};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeaseBallot {
    run: u64,
    restarts: u32,
    node: u16,
}

impl From<core::lease::LeaseBallot> for LeaseBallot {
    fn from(ballot: core::lease::LeaseBallot) -> LeaseBallot {
        LeaseBallot { run: ballot.run, restarts: ballot.restarts, node: ballot.node.0 }
    }
}

impl From<LeaseBallot> for core::lease::LeaseBallot {
    fn from(ballot: LeaseBallot) -> core::lease::LeaseBallot {
        core::lease::LeaseBallot { run: ballot.run, restarts: ballot.restarts, node: core::NodeId(ballot.node) }
    }
}

/// The ballot of a running grant, and its remaining time in nanoseconds.
pub(super) type Running = Option<(LeaseBallot, u64)>;

pub(super) fn running(core: Option<(core::lease::LeaseBallot, u64)>) -> Running {
    core.map(|(ballot, left_ns)| (ballot.into(), left_ns))
}

pub(super) fn core_running(running: Running) -> Option<(core::lease::LeaseBallot, u64)> {
    running.map(|(ballot, left_ns)| (ballot.into(), left_ns))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LeaseMessage {
    range: u16,
    ballot: LeaseBallot,
    body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Body {
    Prepare,
    Promise { granted: Running },
    Propose { time_ns: u64, mode: Mode },
    Granted,
    Refused { seen: LeaseBallot, granted: Running },
    Release,
    Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    Off,
    Priority,
    Read,
}

/// Appends the encoding of a lease message.
pub(crate) fn encode_lease(message: &core::lease::LeaseMessage, out: &mut impl Sink) {
    let body = match message.body {
        LeaseBody::Prepare => Body::Prepare,
        LeaseBody::Promise { granted } => Body::Promise { granted: running(granted) },
        LeaseBody::Propose { time_ns, mode } => Body::Propose {
            time_ns,
            mode: match mode {
                LeaseMode::Off => Mode::Off,
                LeaseMode::Priority => Mode::Priority,
                LeaseMode::Read => Mode::Read,
            },
        },
        LeaseBody::Granted => Body::Granted,
        LeaseBody::Refused { seen, granted } => Body::Refused { seen: seen.into(), granted: running(granted) },
        LeaseBody::Release => Body::Release,
        LeaseBody::Wanted => Body::Wanted,
    };
    encode(LeaseMessage { range: message.range.0, ballot: message.ballot.into(), body }, out);
}

/// Decodes a lease message.
pub(crate) fn decode_lease(bytes: &[u8]) -> Result<core::lease::LeaseMessage, WireError> {
    let LeaseMessage { range, ballot, body } = decode("lease message", bytes)?;
    let body = match body {
        Body::Prepare => LeaseBody::Prepare,
        Body::Promise { granted } => LeaseBody::Promise { granted: core_running(granted) },
        Body::Propose { time_ns, mode } => LeaseBody::Propose {
            time_ns,
            mode: match mode {
                Mode::Off => LeaseMode::Off,
                Mode::Priority => LeaseMode::Priority,
                Mode::Read => LeaseMode::Read,
            },
        },
        Body::Granted => LeaseBody::Granted,
        Body::Refused { seen, granted } => LeaseBody::Refused { seen: seen.into(), granted: core_running(granted) },
        Body::Release => LeaseBody::Release,
        Body::Wanted => LeaseBody::Wanted,
    };
    Ok(core::lease::LeaseMessage { range: RangeId(range), ballot: ballot.into(), body })
}

/// An operation forwarded to the holder. The call and its reply have the form of the client protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forward {
    serial: u64,
    lease: LeaseBallot,
    call: Call,
    timeout_ns: u64,
    provenance: Provenance,
    born_us: u64,
    open: bool,
}

impl From<&core::Forward> for Forward {
    fn from(forward: &core::Forward) -> Forward {
        Forward {
            serial: forward.serial,
            lease: forward.lease.into(),
            call: client::call(&forward.call),
            timeout_ns: forward.timeout_ns,
            provenance: client::provenance(forward.provenance),
            born_us: forward.born_us,
            open: forward.open,
        }
    }
}

impl TryFrom<Forward> for core::Forward {
    type Error = WireError;

    fn try_from(forward: Forward) -> Result<core::Forward, WireError> {
        Ok(core::Forward {
            serial: forward.serial,
            lease: forward.lease.into(),
            call: client::core_call(forward.call)?,
            timeout_ns: forward.timeout_ns,
            provenance: client::core_provenance(forward.provenance),
            born_us: forward.born_us,
            open: forward.open,
        })
    }
}

/// The result of a forwarded operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forwarded {
    serial: u64,
    outcome: Outcome,
    diagnostics: Diagnostics,
    lease: Running,
}

impl From<&core::Forwarded> for Forwarded {
    fn from(result: &core::Forwarded) -> Forwarded {
        Forwarded {
            serial: result.serial,
            outcome: client::outcome(result.outcome.clone()),
            diagnostics: client::diagnostics(&result.diagnostics),
            lease: running(result.lease),
        }
    }
}

impl Forwarded {
    /// Converts to the core's form. `op` comes from the enclosing message.
    pub(super) fn into_core(self, op: core::OpId) -> Result<core::Forwarded, WireError> {
        Ok(core::Forwarded {
            serial: self.serial,
            outcome: client::core_outcome(self.outcome)?,
            diagnostics: Box::new(client::core_diagnostics(op, self.diagnostics)),
            lease: core_running(self.lease),
        })
    }
}

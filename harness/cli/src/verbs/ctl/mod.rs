//! `heckle ctl`: sends one request to one node. Data goes to stdout, explanations to stderr, and the exit code shows the outcome: 0
//! done or read, 2 unknown, 3 condition not met, 4 not done or node unreachable, 64 usage error.

mod client;
mod format;

use crate::cli::{Consistency, CtlArgs, CtlCommand, CtlIdentity, CtlTarget};
use crate::exit;
use client::{CallError, NodeClient};
use heckle_history::printable::printable;
use heckle_server::client_protocol::{Call, ExpectedNode, Level, MAX_KEY, MAX_VALUE, OpId, parse_printed_id};
use heckle_server::control::{self, ControlError};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Runs the verb.
pub(super) fn main(args: &CtlArgs) -> ExitCode {
    match &args.ask {
        CtlCommand::Read { key, to } => run_operation(key, Ok(Call::Read), to),
        CtlCommand::Write { key, value, to } => run_operation(key, format::parse_value(value, to.form).map(|new| Call::Write { new }), to),
        CtlCommand::Cas { key, value, expect, absent: _, to } => {
            let expected = expect.as_deref().map(|e| format::parse_value(e, to.form)).transpose();
            let call = expected.and_then(|expected| Ok(Call::Cas { expected, new: format::parse_value(value, to.form)? }));
            run_operation(key, call, to)
        }
        CtlCommand::Get { key, consistency, to } => run_operation(key, Ok(Call::Get { level: level(*consistency) }), to),
        CtlCommand::Put { key, value, consistency, to } => {
            let put = |new| Call::Put { new, level: level(*consistency) };
            run_operation(key, format::parse_value(value, to.form).map(put), to)
        }
        CtlCommand::Fate { op_id, key, to } => run_operation(key, parse_printed_id(op_id).map(|(of, born)| Call::Fate { of, born }), to),
        CtlCommand::Status { node, who, timeout, json } => status(*node, &expected(who), timeout.0, *json),
    }
}

fn expected(who: &CtlIdentity) -> ExpectedNode {
    ExpectedNode { cluster: who.cluster_id.clone(), node: who.id.clone(), folder: None }
}

fn level(consistency: Consistency) -> Level {
    match consistency {
        Consistency::One => Level::One,
        Consistency::Quorum => Level::Quorum,
    }
}

/// Sends one operation and prints its outcome.
fn run_operation(key: &str, call: Result<Call, String>, to: &CtlTarget) -> ExitCode {
    let call = match call.and_then(|call| check_sendable(key, &call).map(|()| call)) {
        Ok(call) => call,
        Err(e) => return super::usage("ctl", &e),
    };
    let mut client = match NodeClient::connect(to.node, &expected(&to.who), to.timeout.0) {
        Ok(client) => client,
        Err(e) => return super::broken("ctl", &e),
    };
    // Drawn from all 64 bits, so that no other client of the cluster is likely to have the same id.
    let op = OpId { client: rand::random(), seq: 1 };
    let node = client.welcome.identity.node.clone();
    match client.call(op, key, call) {
        Ok(response) => {
            if to.json {
                outln!("{}", format::json(&node, key, &response, to.form));
            } else {
                if let Some(data) = format::outcome_value(&response.outcome, to.form) {
                    outln!("{data}");
                }
                errln!(
                    "{}\n{}",
                    printable(&format::outcome_sentence(key, &response, to.form)),
                    printable(&format::progress_line(&node, op, &response.diagnostics))
                );
            }
            ExitCode::from(format::exit_code(&response.outcome))
        }
        Err(CallError::NotSent(why)) => super::broken("ctl", &format!("nothing was sent: {why}")),
        Err(CallError::Silence(why)) => {
            if to.json {
                let reason = format!("connection: {why}");
                let exit_code = exit::INCONCLUSIVE;
                outln!(
                    "{}",
                    serde_json::json!({"node": node, "op": op.to_string(), "key": key, "outcome": "unknown", "reason": reason, "exit_code": exit_code})
                );
            }
            errln!(
                "heckle ctl: {}; unknown: operation {op} on {} may have been applied, and may yet be at any later time",
                printable(&why),
                printable(key)
            );
            ExitCode::from(exit::INCONCLUSIVE)
        }
    }
}

/// Rejects a request that no node would accept, in particular one longer than a frame.
fn check_sendable(key: &str, call: &Call) -> Result<(), String> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(format!("a key has 1 to {MAX_KEY} bytes, this one has {}", key.len()));
    }
    let values = match call {
        Call::Read | Call::Fate { .. } | Call::Get { .. } => vec![],
        Call::Write { new } | Call::Put { new, .. } => vec![new],
        Call::Cas { expected, new } => expected.iter().chain([new]).collect(),
    };
    match values.iter().find(|v| v.len() > MAX_VALUE) {
        Some(long) => Err(format!("a value has at most {MAX_VALUE} bytes, this one has {}", long.len())),
        None => Ok(()),
    }
}

/// Prints a node's figures.
fn status(addr: SocketAddr, expected: &ExpectedNode, timeout: Duration, json: bool) -> ExitCode {
    let asked = control::Client::connect_to(addr, timeout, expected).and_then(|mut client| client.status());
    let status = match asked {
        Ok(status) => status,
        Err(e @ ControlError::Malformed { .. }) => {
            return super::usage("ctl", &format!("{e}\n--node must be the control address of a node here, `control` in its ready line"));
        }
        Err(e @ (ControlError::Io { .. } | ControlError::Refused { .. } | ControlError::Mistaken { .. } | ControlError::Token { .. })) => {
            return super::broken("ctl", &e.to_string());
        }
    };
    if json {
        outln!("{}", serde_json::to_string_pretty(&status).expect("plain data has a JSON form"));
    } else {
        out!("{}", status_text(&status));
    }
    ExitCode::SUCCESS
}

fn status_text(s: &control::Status) -> String {
    let ops = &s.ops;
    let mut text = format!(
        "{} of {}: {}, process {}, started {} times, up {:.1} s\n\
         ops      {} taken, {} open: {} applied, {} condition not met, {} reads, {} fates, {} not applied, {} unknown, {} invalid\n\
         paxos    {} attempts, {} round trips, {} outbid, {} repairs\n\
         disk     {} syncs, p50 {} us, p99 {} us, max {} us; {} records, {} bytes in {} segments\n\
         state    {} keys, {} bytes ({} data, {} promises, {} accepted, {} ids)\n\
         clients  {} connected, {} closed for what they sent, {} for not reading\n",
        printable(&s.node),
        printable(&s.cluster),
        if s.ready { "ready" } else { "stopping" },
        s.pid,
        s.incarnation,
        s.uptime_ns as f64 / 1e9,
        ops.started,
        s.open_ops,
        ops.applied,
        ops.condition_not_met,
        ops.reads,
        ops.fates,
        ops.not_applied,
        ops.unknown,
        ops.invalid,
        s.attempts,
        s.round_trips,
        s.preempted,
        s.repairs,
        s.syncs,
        s.sync_latency.p50_us,
        s.sync_latency.p99_us,
        s.sync_latency.max_us,
        s.records,
        s.log_bytes,
        s.segments,
        s.keys,
        s.state_bytes.total(),
        s.state_bytes.data,
        s.state_bytes.promise,
        s.state_bytes.accepted,
        s.state_bytes.dedupe,
        s.client_connections,
        s.bad_connections,
        s.slow_readers,
    );
    for peer in &s.peers {
        let link = |up: bool| if up { "up" } else { "down" };
        text += &format!(
            "{:<8} link to it {}, from it {}, {} messages dropped\n",
            printable(&peer.node),
            link(peer.outbound),
            link(peer.inbound),
            peer.dropped
        );
    }
    for (what, names) in [("mutants", &s.mutants), ("failpoints", &s.failpoints)] {
        if !names.is_empty() {
            text += &format!("{what:<8} {}\n", printable(&names.join(", ")));
        }
    }
    text
}

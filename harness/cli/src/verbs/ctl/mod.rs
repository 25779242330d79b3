//! `heckle ctl`: one question to one node. Data goes to stdout, words to stderr, and the exit code tells the outcome:
//! 0 done or read, 2 unknown, 3 condition not met, 4 not done or nobody there, 64 wrongly asked.

mod client;
mod words;

use crate::cli::{Consistency, CtlArgs, CtlAsk, CtlTo, CtlWho};
use crate::exit;
use client::{NoAnswer, NodeClient};
use heckle_history::printable::printable;
use heckle_server::client_protocol::{Call, ExpectedNode, Level, MAX_KEY, MAX_VALUE, OpId, parse_printed_id};
use heckle_server::control::{self, ControlError};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Runs the verb.
pub(super) fn main(args: &CtlArgs) -> ExitCode {
    match &args.ask {
        CtlAsk::Read { key, to } => ask(key, Ok(Call::Read), to),
        CtlAsk::Write { key, value, to } => ask(key, words::parse_value(value, to.form).map(|new| Call::Write { new }), to),
        CtlAsk::Cas { key, value, expect, absent: _, to } => {
            let expected = expect.as_deref().map(|e| words::parse_value(e, to.form)).transpose();
            let call = expected.and_then(|expected| Ok(Call::Cas { expected, new: words::parse_value(value, to.form)? }));
            ask(key, call, to)
        }
        CtlAsk::Get { key, consistency, to } => ask(key, Ok(Call::Get { level: level(*consistency) }), to),
        CtlAsk::Put { key, value, consistency, to } => {
            let put = |new| Call::Put { new, level: level(*consistency) };
            ask(key, words::parse_value(value, to.form).map(put), to)
        }
        CtlAsk::Fate { op_id, key, to } => ask(key, parse_printed_id(op_id).map(|(of, born)| Call::Fate { of, born }), to),
        CtlAsk::Status { node, who, timeout, json } => status(*node, &expected(who), timeout.0, *json),
    }
}

fn expected(who: &CtlWho) -> ExpectedNode {
    ExpectedNode { cluster: who.cluster_id.clone(), node: who.id.clone(), folder: None }
}

fn level(consistency: Consistency) -> Level {
    match consistency {
        Consistency::One => Level::One,
        Consistency::Quorum => Level::Quorum,
    }
}

/// Sends one operation and tells its outcome.
fn ask(key: &str, call: Result<Call, String>, to: &CtlTo) -> ExitCode {
    let call = match call.and_then(|call| sendable(key, &call).map(|()| call)) {
        Ok(call) => call,
        Err(e) => return super::usage("ctl", &e),
    };
    let mut client = match NodeClient::connect(to.node, &expected(&to.who), to.timeout.0) {
        Ok(client) => client,
        Err(e) => return super::broken("ctl", &e),
    };
    // Drawn from all of 64 bits, so that no other client of the cluster has it.
    let op = OpId { client: rand::random(), seq: 1 };
    let node = client.welcome.identity.node.clone();
    match client.call(op, key, call) {
        Ok(response) => {
            if to.json {
                outln!("{}", words::json(&node, key, &response, to.form));
            } else {
                if let Some(data) = words::data(&response.outcome, to.form) {
                    outln!("{data}");
                }
                errln!(
                    "{}\n{}",
                    printable(&words::sentence(key, &response, to.form)),
                    printable(&words::way(&node, op, &response.diagnostics))
                );
            }
            ExitCode::from(words::code(&response.outcome))
        }
        Err(NoAnswer::NotSent(why)) => super::broken("ctl", &format!("nothing was sent: {why}")),
        Err(NoAnswer::Silence(why)) => {
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

/// What no node would take is not sent; above all, nothing longer than a frame can be.
fn sendable(key: &str, call: &Call) -> Result<(), String> {
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

/// Tells a node's figures.
fn status(addr: SocketAddr, expected: &ExpectedNode, timeout: Duration, json: bool) -> ExitCode {
    let asked = control::Client::connect_to(addr, timeout, expected).and_then(|mut client| client.status());
    let status = match asked {
        Ok(status) => status,
        Err(e @ ControlError::Malformed { .. }) => {
            return super::usage("ctl", &format!("{e}\n--node must be the control address of a node here, `control` in its ready line"));
        }
        Err(e @ (ControlError::Io { .. } | ControlError::Refused { .. } | ControlError::Mistaken { .. })) => {
            return super::broken("ctl", &e.to_string());
        }
    };
    if json {
        outln!("{}", serde_json::to_string_pretty(&status).expect("plain data has a JSON form"));
    } else {
        out!("{}", words_of_status(&status));
    }
    ExitCode::SUCCESS
}

fn words_of_status(s: &control::Status) -> String {
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

//! The test cases, each with the behavior that it forbids.

use super::fake::{Proxy, Refusing, Silent};
use super::{Bench, CaseError, TIMEOUT, key, op, refused};
use crate::protocol;
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Outcome, Reply};
use std::time::{Duration, Instant};

/// Timeout for an operation on a working node. It is longer because the driver may have to open its first connection.
const PATIENT: Duration = Duration::from_secs(5);

pub(super) fn introduces_itself(bench: &Bench<'_>) -> Result<String, CaseError> {
    let node = Refusing::new().map_err(left_out)?;
    let played = bench.start(&[("n1", node.addr())])?;
    let calls: Vec<&str> = played.calls().into_iter().map(protocol::call_name).collect();
    if calls.is_empty() {
        return refused("it has none of the calls read, write, cas");
    }
    played.whole(format!("{}, with {}", played.driver.name(), calls.join(", ")))
}

pub(super) fn refusing_node(bench: &Bench<'_>) -> Result<String, CaseError> {
    let node = Refusing::new().map_err(left_out)?;
    let played = bench.start(&[("n1", node.addr())])?;
    let mut said = vec![];
    for (client, call) in (1..).zip(played.calls()) {
        let reply = played.call(client, "n1", call, TIMEOUT);
        said.push(no_ok_and_an_answer(call, &reply)?);
    }
    played.whole(said.join(", "))
}

/// Checks the reply of a node that did nothing: the outcome may be `fail` or unknown, but the operation must be
/// answered.
fn no_ok_and_an_answer(call: Call, reply: &Reply) -> Result<String, CaseError> {
    let name = protocol::call_name(call);
    let reason = reply.reason.as_deref().unwrap_or_default();
    match reply.outcome {
        Outcome::Ok(_) => refused(format!("it answered ok to a {name} that no node has seen")),
        Outcome::Unknown if reason.starts_with("driver: no answer") => refused(format!("it did not answer a {name}")),
        Outcome::Unknown => Ok(format!("{name}: unknown")),
        Outcome::NotApplied => Ok(format!("{name}: fail")),
    }
}

pub(super) fn silent_node(bench: &Bench<'_>) -> Result<String, CaseError> {
    let node = Silent::start().map_err(left_out)?;
    let played = bench.start(&[("n1", node.addr())])?;
    let mut said = vec![];
    for (client, call) in (1..).zip(played.calls()) {
        let reply = played.call(client, "n1", call, TIMEOUT);
        unknown(call, &reply)?;
        said.push(no_ok_and_an_answer(call, &reply)?);
    }
    played.whole(said.join(", "))
}

/// Checks that an operation that was sent but not answered is reported as unknown.
fn unknown(call: Call, reply: &Reply) -> Result<(), CaseError> {
    let late_fail = reply.reason.as_deref().is_some_and(|reason| reason.starts_with("late_fail"));
    if reply.outcome == Outcome::NotApplied || late_fail {
        let name = protocol::call_name(call);
        return refused(format!("it answered `fail` to a {name} that timed out; the {name} may have happened: that is `unknown`"));
    }
    Ok(())
}

pub(super) fn two_clients(bench: &Bench<'_>) -> Result<String, CaseError> {
    let (silent, refusing) = (Silent::start().map_err(left_out)?, Refusing::new().map_err(left_out)?);
    let played = bench.start(&[("n1", silent.addr()), ("n2", refusing.addr())])?;
    let Some(call) = played.calls().first().copied() else { return refused("it has no call") };
    let (slow, quick) = (op(call, 4 * TIMEOUT), op(call, 4 * TIMEOUT));
    let began = Instant::now();
    let took = played.runtime.block_on(async {
        let stuck = played.driver.call(1, "n1", &slow);
        let other = async {
            let reply = played.driver.call(2, "n2", &quick).await;
            (began.elapsed(), reply)
        };
        tokio::join!(stuck, other).1
    });
    no_ok_and_an_answer(call, &took.1)?;
    if took.0 > 2 * TIMEOUT {
        return refused(format!("a client waited {} ms behind another one's silent node: serve clients side by side", took.0.as_millis()));
    }
    played.whole(format!("the second was answered after {} ms", took.0.as_millis()))
}

pub(super) fn driver_killed(bench: &Bench<'_>) -> Result<String, CaseError> {
    let silent = Silent::start().map_err(left_out)?;
    let played = bench.start(&[("n1", silent.addr())])?;
    let Some(call) = played.calls().last().copied() else { return refused("it has no call") };
    let open = op(call, PATIENT);
    let reply = played.runtime.block_on(async {
        let kill = async {
            tokio::time::sleep(TIMEOUT / 2).await;
            played.driver.kill();
        };
        tokio::join!(played.driver.call(1, "n1", &open), kill).0
    });
    if reply.outcome == Outcome::Unknown { Ok("its open operation is unknown".into()) } else { refused("an operation outlived its driver") }
}

pub(super) fn input_ends(bench: &Bench<'_>) -> Result<String, CaseError> {
    let node = Refusing::new().map_err(left_out)?;
    let played = bench.start(&[("n1", node.addr())])?;
    let began = Instant::now();
    if played.driver.finish() {
        return Ok(format!("it ended after {} ms", began.elapsed().as_millis()));
    }
    refused("it goes on after its input has ended: it would outlive a harness that was killed")
}

pub(super) fn null_key(bench: &Bench<'_>) -> Result<String, CaseError> {
    let played = bench.start(&[("n1", bench.node()?)])?;
    if !played.driver.has("read") {
        return Err(CaseError::LeftOut("it has no call read".into()));
    }
    let reply = played.call(1, "n1", Call::Read, PATIENT);
    match reply.outcome {
        Outcome::Ok(Seen::Value(None)) => played.whole("read: null".into()),
        Outcome::Ok(Seen::Value(Some(Value(value)))) => {
            refused(format!("the key `{}` was never written, and it read {value} there", key()))
        }
        _ => refused(format!("a read of a key that was never written returned {}", words(&reply))),
    }
}

pub(super) fn condition_refused(bench: &Bench<'_>) -> Result<String, CaseError> {
    let played = bench.start(&[("n1", bench.node()?)])?;
    if !played.driver.has("cas") {
        return Err(CaseError::LeftOut("it has no call cas".into()));
    }
    let cas = |expected: Option<i64>, new| Call::Cas { expected: expected.map(Value), new: Value(new) };
    let first = played.call(1, "n1", cas(None, 11), PATIENT);
    if first.outcome != Outcome::Ok(Seen::Applied) {
        return refused(format!("a cas from null on a key that was never written returned {}", words(&first)));
    }
    for (expected, new) in [(Some(12), 13), (None, 14)] {
        let reply = played.call(1, "n1", cas(expected, new), PATIENT);
        match reply.outcome {
            Outcome::Ok(Seen::ConditionNotMet(Current::Known(Some(Value(11))) | Current::NotReported)) => {}
            _ => {
                return refused(format!(
                    "a cas whose condition is not met returned {}; it must be ok, with applied = false",
                    words(&reply)
                ));
            }
        }
    }
    let second = played.call(1, "n1", cas(Some(11), 15), PATIENT);
    if second.outcome != Outcome::Ok(Seen::Applied) {
        return refused(format!("a cas whose condition is met returned {}", words(&second)));
    }
    played.whole("refused as ok with applied = false".into())
}

pub(super) fn withheld(bench: &Bench<'_>) -> Result<String, CaseError> {
    let proxy = Proxy::start(bench.node()?).map_err(left_out)?;
    let played = bench.start(&[("n1", proxy.addr())])?;
    let writes = played.calls().into_iter().filter(|call| *call != Call::Read);
    let mut said = vec![];
    for (client, call) in (1..).zip(writes) {
        proxy.pass_answers(true);
        // Ensures that the connection is open and that any handshake of the system is complete.
        if played.driver.has("read") {
            played.call(client, "n1", Call::Read, PATIENT);
        }
        proxy.pass_answers(false);
        let reply = played.call(client, "n1", call, TIMEOUT);
        unknown(call, &reply)?;
        said.push(no_ok_and_an_answer(call, &reply)?);
    }
    if said.is_empty() {
        return Err(CaseError::LeftOut("it has neither write nor cas".into()));
    }
    played.whole(said.join(", "))
}

fn words(reply: &Reply) -> String {
    let reason = reply.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
    match reply.outcome {
        Outcome::Ok(Seen::ConditionNotMet(_)) => "ok, condition not met".into(),
        Outcome::Ok(_) => "ok".into(),
        Outcome::NotApplied => format!("fail{reason}"),
        Outcome::Unknown => format!("unknown{reason}"),
    }
}

fn left_out(e: std::io::Error) -> CaseError {
    CaseError::LeftOut(e.to_string())
}

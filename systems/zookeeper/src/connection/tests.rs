//! Tests of the client's claims, against a server that answers from a script.

use super::*;
use heckle_history::{OpId, Path, ProcessId};
use heckle_system_api::value::Payload;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// The server's answer to the next request: a code, and a value with its version, if any.
type Step = (i32, Option<(i64, i32)>);

fn codec() -> ValueCodec {
    ValueCodec::new(8, Payload::Absent)
}

/// Reads a message from the other side, without its length. Empty at the end of the stream.
fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 4];
    if stream.read_exact(&mut len).is_err() {
        return vec![];
    }
    let mut message = vec![0; i32::from_be_bytes(len) as usize];
    stream.read_exact(&mut message).expect("the rest of it");
    message
}

/// Answers from the script, and then keeps reading without answering.
fn serve(listener: &TcpListener, script: &[Step]) -> Vec<i32> {
    let (mut stream, _) = listener.accept().expect("it is dialled");
    assert!(!message(&mut stream).is_empty(), "a session is asked for");
    stream.write_all(&Writer::default().int(0).int(10_000).long(1).bytes(&[0; 16]).message()).expect("open");
    let (mut kinds, mut steps) = (vec![], script.iter());
    loop {
        let request = message(&mut stream);
        let mut record = Reader(&request);
        let (Some(number), Some(kind)) = (record.int(), record.int()) else { return kinds };
        kinds.push(kind);
        let Some((code, held)) = steps.next() else { continue };
        let mut answer = Writer::default().int(number).long(9).int(*code);
        if let Some((value, version)) = held {
            answer = answer.bytes(&codec().encode(Value(*value), None)).long(1).long(2).long(3).long(4).int(*version);
        }
        stream.write_all(&answer.message()).expect("open");
    }
}

/// Runs one operation against the script, and checks its outcome and the kinds of requests that the server saw.
#[track_caller]
fn check(reads: Reads, call: Call, script: &[Step], outcome: Outcome, kinds: &[Kind]) {
    // Kept open for the whole test.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let addr = listener.local_addr().expect("bound");
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, script));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let reply = runtime.block_on(async { ZooKeeperConnection::new(addr, codec(), reads).call(op(call)).await });
        assert_eq!(reply.outcome, outcome, "{call:?}: {:?}", reply.reason);
        let seen = server.join().expect("no panic");
        assert_eq!(seen, kinds.iter().map(|kind| *kind as i32).collect::<Vec<_>>(), "{call:?}");
    });
}

fn op(call: Call) -> Op {
    Op {
        id: OpId(1),
        process: ProcessId(1),
        key: "k1".into(),
        call,
        path: Path::default(),
        payload: None,
        expected_payload: None,
        timeout: Duration::from_millis(300),
    }
}

const SYNCED: Step = (OK, None);

fn cas(expected: Option<i64>, new: i64) -> Call {
    Call::Cas { expected: expected.map(Value), new: Value(new) }
}

fn not_met(value: Option<i64>) -> Outcome {
    Outcome::Ok(Seen::ConditionNotMet(Current::Known(value.map(Value))))
}

#[test]
fn reads_sync_first_unless_configured_otherwise() {
    use Kind::{GetData, Sync};
    let found = Outcome::Ok(Seen::Value(Some(Value(7))));
    check(Reads::AfterSync, Call::Read, &[SYNCED, (OK, Some((7, 0)))], found, &[Sync, GetData]);
    check(Reads::AtOnce, Call::Read, &[(OK, Some((7, 0)))], found, &[GetData]);
    check(Reads::AtOnce, Call::Read, &[(NO_NODE, None)], Outcome::Ok(Seen::Value(None)), &[GetData]);
    check(Reads::AfterSync, Call::Read, &[(-4, None), (OK, Some((7, 0)))], Outcome::Unknown, &[Sync, GetData]);
}

/// A quorum confirms a change, so after it the server has everything acknowledged earlier.
#[test]
fn quorum_reads_change_another_znode_first() {
    use Kind::{Create, GetData, SetData};
    let (reads, found) = (Reads::AfterChange, Outcome::Ok(Seen::Value(Some(Value(7)))));
    check(reads, Call::Read, &[(OK, None), (OK, Some((7, 0)))], found, &[SetData, GetData]);
    let first = [(NO_NODE, None), (OK, Some((6, 0))), (NODE_EXISTS, None), (OK, None), (OK, Some((7, 1)))];
    check(reads, Call::Read, &first, found, &[SetData, GetData, Create, SetData, GetData]);
    check(reads, Call::Read, &[(-4, None), (OK, Some((7, 0)))], Outcome::Unknown, &[SetData, GetData]);
    // The change before the read is not part of the operation, so nothing was applied.
    check(reads, cas(Some(1), 2), &[], Outcome::NotApplied, &[SetData, GetData]);
}

#[test]
fn a_cas_is_applied_on_the_version_that_was_read() {
    use Kind::{Create, GetData, SetData, Sync};
    let (applied, read) = (Outcome::Ok(Seen::Applied), Reads::AfterSync);
    check(read, cas(Some(1), 2), &[SYNCED, (OK, Some((1, 4))), (OK, None)], applied, &[Sync, GetData, SetData]);
    check(read, cas(Some(1), 2), &[SYNCED, (OK, Some((3, 4)))], not_met(Some(3)), &[Sync, GetData]);
    // Overtaken between read and write: the second read returns the newer value.
    let overtaken = [SYNCED, (OK, Some((1, 4))), (BAD_VERSION, None), SYNCED, (OK, Some((5, 5)))];
    check(read, cas(Some(1), 2), &overtaken, not_met(Some(5)), &[Sync, GetData, SetData, Sync, GetData]);
    check(read, cas(None, 2), &[(OK, None)], applied, &[Create]);
    check(read, cas(None, 2), &[(NODE_EXISTS, None), SYNCED, (OK, Some((8, 0)))], not_met(Some(8)), &[Create, Sync, GetData]);
}

#[test]
fn a_write_makes_a_znode_that_is_not_there() {
    use Kind::{Create, SetData};
    let (write, done) = (Call::Write { new: Value(2) }, Outcome::Ok(Seen::Written));
    check(Reads::AfterSync, write, &[(OK, None)], done, &[SetData]);
    check(Reads::AfterSync, write, &[(NO_NODE, None), (OK, None)], done, &[SetData, Create]);
    check(Reads::AfterSync, write, &[(NO_NODE, None), (NODE_EXISTS, None), (OK, None)], done, &[SetData, Create, SetData]);
}

/// An operation that was not sent has not happened. One that was sent but not answered may have happened, or may
/// still happen.
#[test]
fn silence_is_unknown_once_a_change_was_sent() {
    use Kind::{Create, GetData, SetData, Sync};
    let read = Reads::AfterSync;
    check(read, cas(Some(1), 2), &[], Outcome::NotApplied, &[Sync, GetData]);
    check(read, cas(Some(1), 2), &[SYNCED, (OK, Some((1, 4)))], Outcome::Unknown, &[Sync, GetData, SetData]);
    check(read, cas(Some(1), 2), &[SYNCED, (OK, Some((1, 4))), (-4, None)], Outcome::Unknown, &[Sync, GetData, SetData]);
    check(read, cas(None, 2), &[], Outcome::Unknown, &[Create]);
    check(read, Call::Write { new: Value(2) }, &[], Outcome::Unknown, &[SetData]);
    // Nothing listens, so nothing was sent.
    let claim = heckle_loopback::LoopbackClaim::new().expect("an address");
    let nothing = claim.address().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let reply = runtime.block_on(async { ZooKeeperConnection::new(nothing, codec(), read).call(op(cas(None, 2))).await });
    assert_eq!(reply.outcome, Outcome::NotApplied, "{:?}", reply.reason);
}

//! Operations over RESP2. A compare-and-set is a script, which Redis executes atomically. A read is also a script: it declares that it may
//! write, so that a replica, which is stale by design, refuses it.
//!
//! If the connection was refused, the operation was never sent, and some errors are returned before anything is done. In any other case
//! without a valid reply, the outcome is unknown. Each operation is sent only once.

use crate::resp::{self, MAX_REPLY, Resp};
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Pending, Reply};
use heckle_system_api::exchange::{self, Failure};
use heckle_system_api::value::ValueCodec;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Maximum number of idle connections kept open for later operations.
const IDLE: usize = 64;
const READ_BYTES: usize = 16 << 10;
/// Errors that Redis returns before doing anything.
const DEFINITE: [&str; 6] = ["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF", "OOM"];

/// The first line declares no flags, so Redis assumes that the script may write, and a replica refuses it: see `no-writes` in the Redis
/// documentation.
const READ: &[u8] = b"#!lua\nreturn redis.call('GET', KEYS[1])";
const WRITE: &[u8] = b"#!lua\nredis.call('SET', KEYS[1], ARGV[1])\nreturn {1}";
const CAS: &[u8] = b"#!lua\nlocal now = redis.call('GET', KEYS[1])\n\
    if (ARGV[3] == 'null' and now == false) or (ARGV[3] == 'value' and now == ARGV[1]) then\n\
    redis.call('SET', KEYS[1], ARGV[2])\nreturn {1}\nend\nreturn {0, now}";

/// A client of one node. Each connection has at most one operation in flight.
pub(crate) struct RedisConnection {
    addr: SocketAddr,
    codec: ValueCodec,
    /// Number of replicas that must have received an update before it counts as acknowledged.
    wait: u64,
    idle: RefCell<Vec<TcpStream>>,
}

impl RedisConnection {
    /// Creates a client for `addr`. Connections are opened on demand.
    pub(crate) fn new(addr: SocketAddr, codec: ValueCodec, wait: u64) -> Self {
        RedisConnection { addr, codec, wait, idle: RefCell::default() }
    }

    async fn run(&self, op: Op) -> Reply {
        exchange::within(op.timeout, self.attempt(&op)).await
    }

    async fn attempt(&self, op: &Op) -> Result<(Seen, Option<i64>), Failure> {
        let key = op.key.as_bytes();
        let bytes = |value: Value, payload: Option<i64>| self.codec.encode(value, payload);
        let command = match op.call {
            Call::Read => resp::command(&[b"EVAL", READ, b"1", key]),
            Call::Write { new } => resp::command(&[b"EVAL", WRITE, b"1", key, &bytes(new, op.payload)]),
            Call::Cas { expected, new } => {
                let (expected, kind): (Vec<u8>, &[u8]) = match expected {
                    Some(value) => (bytes(value, op.expected_payload), b"value"),
                    None => (vec![], b"null"),
                };
                resp::command(&[b"EVAL", CAS, b"1", key, &expected, &bytes(new, op.payload), kind])
            }
        };
        let idle = self.idle.borrow_mut().pop();
        let mut stream = match idle.filter(exchange::is_open) {
            Some(stream) => stream,
            None => exchange::connect(self.addr).await?,
        };
        let mut got = vec![];
        let reply = send(&mut stream, &command, &mut got).await?;
        let seen = self.seen(op.call, reply)?;
        if self.wait > 0 && matches!(seen.0, Seen::Written | Seen::Applied) {
            self.wait_for_replicas(&mut stream, &mut got, op.timeout).await?;
        }
        if self.idle.borrow().len() < IDLE {
            self.idle.borrow_mut().push(stream);
        }
        Ok(seen)
    }

    /// Sends `WAIT`. With fewer replicas than requested, the update is not acknowledged even though it has happened on the primary.
    async fn wait_for_replicas(&self, stream: &mut TcpStream, got: &mut Vec<u8>, timeout: Duration) -> Result<(), Failure> {
        let (count, ms) = (self.wait.to_string(), timeout.as_millis().to_string());
        let wait = resp::command(&[b"WAIT", count.as_bytes(), ms.as_bytes()]);
        match send(stream, &wait, got).await {
            Ok(Resp::Integer(n)) if u64::try_from(n).is_ok_and(|n| n >= self.wait) => Ok(()),
            Ok(Resp::Integer(n)) => Err(Failure::Unknown(format!("wait: {n} of {} replicas", self.wait))),
            Ok(other) => Err(Failure::Unknown(format!("wait: {}", shown(&other)))),
            Err(Failure::NotSent(why) | Failure::Refused(why) | Failure::Unknown(why)) => Err(Failure::Unknown(why)),
        }
    }

    fn seen(&self, call: Call, reply: Resp) -> Result<(Seen, Option<i64>), Failure> {
        let value = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| self.codec.decode(bytes));
        match (call, &reply) {
            (_, Resp::Error(why)) if DEFINITE.iter().any(|word| why.starts_with(word)) => Err(Failure::Refused(why.clone())),
            (_, Resp::Error(why)) => Err(Failure::Unknown(why.clone())),
            (Call::Read, Resp::Bulk(bytes)) => {
                let found = value(bytes);
                Ok((Seen::Value(found.map(|(value, _)| value)), found.and_then(|(_, payload)| payload)))
            }
            (_, Resp::Array(Some(items))) => match (call, &items[..]) {
                (Call::Write { .. }, [Resp::Integer(1)]) => Ok((Seen::Written, None)),
                (Call::Cas { .. }, [Resp::Integer(1)]) => Ok((Seen::Applied, None)),
                (Call::Cas { .. }, [Resp::Integer(0), Resp::Bulk(bytes)]) => {
                    let found = value(bytes);
                    let current = Current::Known(found.map(|(value, _)| value));
                    Ok((Seen::ConditionNotMet(current), found.and_then(|(_, payload)| payload)))
                }
                _ => Err(Failure::Unknown(shown(&reply))),
            },
            _ => Err(Failure::Unknown(shown(&reply))),
        }
    }
}

impl Connection for RedisConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }
}

fn shown(reply: &Resp) -> String {
    let text = format!("{reply:?}");
    format!("not the reply that was expected: {}", text.chars().take(100).collect::<String>())
}

/// Sends a command and reads its reply. `got` holds bytes read past the end of the previous reply.
async fn send(stream: &mut TcpStream, command: &[u8], got: &mut Vec<u8>) -> Result<Resp, Failure> {
    stream.write_all(command).await?;
    let mut chunk = vec![0; READ_BYTES];
    loop {
        if let Some((reply, length)) = resp::parse(got).map_err(|what| Failure::Unknown(format!("no reply of Redis: {what}")))? {
            got.drain(..length);
            return Ok(reply);
        }
        let n = stream.read(&mut chunk).await?;
        got.extend_from_slice(&chunk[..n]);
        if n == 0 || got.len() > MAX_REPLY {
            return Err(Failure::Unknown("connection: closed in the middle of a reply".into()));
        }
    }
}

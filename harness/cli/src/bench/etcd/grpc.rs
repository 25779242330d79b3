//! etcd over gRPC, for the benchmark: a compare-and-set is one transaction, `if the key is as expected, put, else get`, so that a
//! refusal tells what it met.
//!
//! What is proved and what is not: an op whose connection was refused was never sent. Everything else that is no answer is
//! unknown: etcd may answer an error to a proposal that commits later. The library sends each call once; it would
//! only repeat one whose credentials ran out, and there are none.

use etcd_client::{Client, Compare, CompareOp, ConnectOptions, Error, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use heckle_system_api::value::ValueCodec;
use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A connection stands within this or is given up.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// A client of one member.
pub(super) struct GrpcConnection {
    addr: SocketAddr,
    codec: ValueCodec,
    client: OnceCell<KvClient>,
}

impl GrpcConnection {
    /// A connection to `addr`, opened when it is first needed.
    pub(super) fn new(addr: SocketAddr, codec: ValueCodec) -> Self {
        GrpcConnection { addr, codec, client: OnceCell::new() }
    }

    async fn run(&self, op: Op) -> Reply {
        let not = |known: Outcome, reason: String| Reply { outcome: known, payload: None, reason: Some(reason.into()), diagnostics: None };
        match tokio::time::timeout(op.timeout, self.attempt(&op)).await {
            Ok(Ok((seen, payload))) => Reply { outcome: Outcome::Ok(seen), payload, reason: None, diagnostics: None },
            Ok(Err(e)) if never_sent(&e) => not(Outcome::NotApplied, format!("not_sent: {e}")),
            Ok(Err(e)) => {
                note_limits(&e);
                not(Outcome::Unknown, e.to_string())
            }
            Err(_) => not(Outcome::Unknown, "timeout".into()),
        }
    }

    async fn attempt(&self, op: &Op) -> Result<(Seen, Option<i64>), Error> {
        // The library connects when the first call needs it, and again after a break.
        let connect = async || {
            let options = ConnectOptions::new().with_connect_timeout(CONNECT_WITHIN);
            Client::connect([format!("http://{}", self.addr)], Some(options)).await.map(|client| client.kv_client())
        };
        let mut kv = self.client.get_or_try_init(connect).await?.clone();
        let key = &*op.key;
        match op.call {
            // Linearizable unless asked to be serializable.
            Call::Read => {
                let (value, payload) = self.found(kv.get(key, None).await?.kvs());
                Ok((Seen::Value(value), payload))
            }
            Call::Write { new } => {
                kv.put(key, self.codec.encode(new, op.payload), None).await?;
                Ok((Seen::Written, None))
            }
            Call::Cas { expected, new } => {
                let condition = match expected {
                    Some(v) => Compare::value(key, CompareOp::Equal, self.codec.encode(v, op.expected_payload)),
                    // A key that was never written has no revision in which it was made.
                    None => Compare::create_revision(key, CompareOp::Equal, 0),
                };
                let put = TxnOp::put(key, self.codec.encode(new, op.payload), None);
                let answer = kv.txn(Txn::new().when([condition]).and_then([put]).or_else([TxnOp::get(key, None)])).await?;
                if answer.succeeded() {
                    return Ok((Seen::Applied, None));
                }
                let met = answer.op_responses().into_iter().find_map(|response| match response {
                    TxnOpResponse::Get(got) => Some(self.found(got.kvs())),
                    TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
                });
                let (current, payload) = met.map_or((Current::NotReported, None), |(value, payload)| (Current::Known(value), payload));
                Ok((Seen::ConditionNotMet(current), payload))
            }
        }
    }

    /// The value of the one key that was asked for, and what came beside it.
    fn found(&self, all: &[KeyValue]) -> (Option<Value>, Option<i64>) {
        let Some(kv) = all.first() else { return (None, None) };
        let (value, payload) = self.codec.decode(kv.value());
        (Some(value), payload)
    }
}

impl Connection for GrpcConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }
}

/// The harness's own limits are no failure of the member.
fn note_limits(e: &Error) {
    let mut cause: Option<&dyn std::error::Error> = Some(e);
    while let Some(e) = cause {
        e.downcast_ref::<std::io::Error>().into_iter().for_each(crate::limits::note);
        cause = e.source();
    }
}

/// Whether nobody listened: only an attempt to connect is refused so, and an op waits for its connection before it
/// is written.
fn never_sent(e: &Error) -> bool {
    let mut cause = e.source();
    // A gRPC status keeps its cause apart from the library's own error.
    if let Error::GRpcStatus(status) = e {
        cause = status.source();
    }
    while let Some(e) = cause {
        if e.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = e.source();
    }
    false
}

//! etcd over gRPC, for the benchmark. A compare-and-set is one transaction, `if the key is as expected, put, else get`, so a
//! refusal returns the value found.
//!
//! An operation whose connection was refused was never sent. Any other failure is unknown, because etcd may answer with an error to a
//! proposal that commits later. The library sends each call once. It would repeat only a call whose credentials had expired, and no
//! credentials are used.

use etcd_client::{Client, Compare, CompareOp, ConnectOptions, Error, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use heckle_system_api::value::ValueCodec;
use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A client of one member.
pub(super) struct GrpcConnection {
    addr: SocketAddr,
    codec: ValueCodec,
    client: OnceCell<KvClient>,
}

impl GrpcConnection {
    /// Creates a connection to `addr`, which is opened on first use.
    pub(super) fn new(addr: SocketAddr, codec: ValueCodec) -> Self {
        GrpcConnection { addr, codec, client: OnceCell::new() }
    }

    async fn run(&self, op: Op) -> Reply {
        let not = |known: Outcome, reason: String| Reply { outcome: known, payload: None, reason: Some(reason.into()), diagnostics: None };
        match tokio::time::timeout(op.timeout, self.attempt(&op)).await {
            Ok(Ok((seen, payload))) => Reply { outcome: Outcome::Ok(seen), payload, reason: None, diagnostics: None },
            Ok(Err(e)) if was_never_sent(&e) => not(Outcome::NotApplied, format!("not_sent: {e}")),
            Ok(Err(e)) => {
                note_limits(&e);
                not(Outcome::Unknown, e.to_string())
            }
            Err(_) => not(Outcome::Unknown, "timeout".into()),
        }
    }

    async fn attempt(&self, op: &Op) -> Result<(Seen, Option<i64>), Error> {
        // The library connects on the first call, and reconnects after the connection breaks.
        let connect = async || {
            let options = ConnectOptions::new().with_connect_timeout(CONNECT_TIMEOUT);
            Client::connect([format!("http://{}", self.addr)], Some(options)).await.map(|client| client.kv_client())
        };
        let mut kv = self.client.get_or_try_init(connect).await?.clone();
        let key = &*op.key;
        match op.call {
            // Linearizable unless a serializable read was requested.
            Call::Read => {
                let (value, payload) = self.decode_value(kv.get(key, None).await?.kvs());
                Ok((Seen::Value(value), payload))
            }
            Call::Write { new } => {
                kv.put(key, self.codec.encode(new, op.payload), None).await?;
                Ok((Seen::Written, None))
            }
            Call::Cas { expected, new } => {
                let condition = match expected {
                    Some(v) => Compare::value(key, CompareOp::Equal, self.codec.encode(v, op.expected_payload)),
                    // A key that was never written has create revision 0.
                    None => Compare::create_revision(key, CompareOp::Equal, 0),
                };
                let put = TxnOp::put(key, self.codec.encode(new, op.payload), None);
                let answer = kv.txn(Txn::new().when([condition]).and_then([put]).or_else([TxnOp::get(key, None)])).await?;
                if answer.succeeded() {
                    return Ok((Seen::Applied, None));
                }
                let met = answer.op_responses().into_iter().find_map(|response| match response {
                    TxnOpResponse::Get(got) => Some(self.decode_value(got.kvs())),
                    TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
                });
                let (current, payload) = met.map_or((Current::NotReported, None), |(value, payload)| (Current::Known(value), payload));
                Ok((Seen::ConditionNotMet(current), payload))
            }
        }
    }

    /// Decodes the value of the requested key, and its payload.
    fn decode_value(&self, all: &[KeyValue]) -> (Option<Value>, Option<i64>) {
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

/// Notes errors caused by a limit of the harness, which are not failures of the member.
fn note_limits(e: &Error) {
    let mut cause: Option<&dyn std::error::Error> = Some(e);
    while let Some(e) = cause {
        e.downcast_ref::<std::io::Error>().into_iter().for_each(crate::limits::note);
        cause = e.source();
    }
}

/// Whether the connection was refused. Only connection attempts are refused, and an operation is written only once its
/// connection is open, so a refused operation was never sent.
fn was_never_sent(e: &Error) -> bool {
    let mut cause = e.source();
    // A gRPC status stores its cause separately from the library's own error.
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

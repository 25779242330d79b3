//! Operations over etcd's JSON gateway. A compare-and-set is one transaction, `if the key is as expected, put, else get`, so a
//! refusal returns the value found.
//!
//! If the connection was refused, the operation was never sent. After any other failure the outcome is unknown, because etcd may
//! return an error for a proposal that commits later. Each operation is sent once.

use crate::http;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Pending, Reply};
use heckle_system_api::exchange::{self, Failure};
use heckle_system_api::value::ValueCodec;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Maximum number of idle connections to keep open.
const MAX_IDLE: usize = 64;

/// Consistency of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Answered by a quorum.
    Linearizable,
    /// Answered by one member from its local data, which may be stale.
    Serializable,
}

/// A client of one member. HTTP/1.1 allows one request at a time, so each open operation has its own connection.
pub(crate) struct EtcdConnection {
    addr: SocketAddr,
    codec: ValueCodec,
    reads: Reads,
    idle: RefCell<Vec<TcpStream>>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    #[serde(default)]
    value: String,
}

/// The gateway's JSON omits fields with default values.
#[derive(Deserialize)]
struct Txn {
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<TxnResponse>,
}

#[derive(Deserialize)]
struct TxnResponse {
    response_range: Option<Range>,
}

impl EtcdConnection {
    /// Creates a client of `addr`. Connections are opened on first use.
    pub(crate) fn new(addr: SocketAddr, codec: ValueCodec, reads: Reads) -> Self {
        EtcdConnection { addr, codec, reads, idle: RefCell::default() }
    }

    async fn run(&self, op: Op) -> Reply {
        exchange::within(op.timeout, self.attempt(&op)).await
    }

    async fn attempt(&self, op: &Op) -> Result<(Seen, Option<i64>), Failure> {
        let key = BASE64.encode(op.key.as_bytes());
        let value = |value: Value, payload: Option<i64>| BASE64.encode(self.codec.encode(value, payload));
        match op.call {
            Call::Read => {
                let serializable = self.reads == Reads::Serializable;
                let range: Range = self.post("/v3/kv/range", &json!({ "key": key, "serializable": serializable })).await?;
                let (value, payload) = self.found(&range)?;
                Ok((Seen::Value(value), payload))
            }
            Call::Write { new } => {
                let _: Json = self.post("/v3/kv/put", &json!({ "key": key, "value": value(new, op.payload) })).await?;
                Ok((Seen::Written, None))
            }
            Call::Cas { expected, new } => {
                let condition = match expected {
                    Some(v) => json!({ "key": key, "target": "VALUE", "result": "EQUAL", "value": value(v, op.expected_payload) }),
                    // A key that has never been written has create revision 0.
                    None => json!({ "key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0" }),
                };
                let txn = json!({
                    "compare": [condition],
                    "success": [{ "request_put": { "key": key, "value": value(new, op.payload) } }],
                    "failure": [{ "request_range": { "key": key } }],
                });
                let txn: Txn = self.post("/v3/kv/txn", &txn).await?;
                if txn.succeeded {
                    return Ok((Seen::Applied, None));
                }
                let Some(met) = txn.responses.into_iter().find_map(|response| response.response_range) else {
                    return Ok((Seen::ConditionNotMet(Current::NotReported), None));
                };
                let (value, payload) = self.found(&met)?;
                Ok((Seen::ConditionNotMet(Current::Known(value)), payload))
            }
        }
    }

    /// The value of the requested key, and its payload.
    fn found(&self, range: &Range) -> Result<(Option<Value>, Option<i64>), Failure> {
        let Some(kv) = range.kvs.first() else { return Ok((None, None)) };
        let bytes = BASE64.decode(&kv.value).map_err(|e| Failure::Unknown(format!("its value is not base64: {e}")))?;
        let (value, payload) = self.codec.decode(&bytes);
        Ok((Some(value), payload))
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &Json) -> Result<T, Failure> {
        let idle = self.idle.borrow_mut().pop();
        let mut stream = match idle.filter(exchange::is_open) {
            Some(stream) => stream,
            None => exchange::connect(self.addr).await?,
        };
        let response = http::post(&mut stream, self.addr, path, body.to_string().as_bytes()).await?;
        if response.keep_open && self.idle.borrow().len() < MAX_IDLE {
            self.idle.borrow_mut().push(stream);
        }
        let text = String::from_utf8_lossy(&response.body);
        if response.status != 200 {
            return Err(Failure::Unknown(format!("HTTP {}: {}", response.status, text.trim())));
        }
        serde_json::from_slice(&response.body).map_err(|e| Failure::Unknown(format!("not the JSON that was expected ({e})")))
    }
}

impl Connection for EtcdConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }
}

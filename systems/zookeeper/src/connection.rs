//! Operations on znodes. A CAS reads the value and its version, and then sets the new value on the condition that the
//! version is unchanged.
//!
//! Nothing has happened as long as no modifying request has been sent. A server that replies that a znode has another version,
//! exists or does not exist has not changed anything either. After any other failure, the outcome is unknown. A request that may
//! have happened is never resent.

use crate::jute::{Reader, Writer, Znode};
use crate::session::{Kind, Session};
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use heckle_system_api::value::ValueCodec;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;

/// Maximum number of idle sessions to keep open.
const MAX_IDLE: usize = 64;
/// Maximum number of attempts at a CAS or write, each made after the previous one was proved not to have happened.
const ATTEMPTS: u32 = 3;
/// Reply codes. Except for `OK`, they prove that nothing was changed.
const OK: i32 = 0;
const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
/// The znode written before quorum reads. No workload key has this name.
const BARRIER: &str = "/heckle-barrier";
/// Matches any version.
const ANY_VERSION: i32 = -1;
/// All permissions.
const ALL_RIGHTS: i32 = 31;

/// Consistency of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Read after the server has applied a change confirmed by a quorum, and with it everything acknowledged earlier.
    AfterChange,
    /// Read after the server has caught up with the leader. The leader itself may be stale or already replaced.
    AfterSync,
    /// Read the server's local data, which may be stale.
    AtOnce,
}

/// A client of one server. A session handles one operation at a time, so each open operation has its own session.
pub(crate) struct ZooKeeperConnection {
    addr: SocketAddr,
    codec: ValueCodec,
    reads: Reads,
    idle: RefCell<Vec<Session>>,
}

/// The content of a znode.
#[derive(Debug, Clone, Copy)]
struct StoredValue {
    value: Value,
    payload: Option<i64>,
    version: i32,
}

impl ZooKeeperConnection {
    /// Creates a client of `addr`. Sessions are opened on first use.
    pub(crate) fn new(addr: SocketAddr, codec: ValueCodec, reads: Reads) -> Self {
        ZooKeeperConnection { addr, codec, reads, idle: RefCell::default() }
    }

    async fn run(&self, op: Op) -> Reply {
        // Whether a request that may have changed something has been sent.
        let sent = Cell::new(false);
        let why = match tokio::time::timeout(op.timeout, self.attempt(&op, &sent)).await {
            Ok(Ok((seen, payload))) => return Reply { outcome: Outcome::Ok(seen), payload, reason: None, diagnostics: None },
            Ok(Err(why)) => why,
            Err(_) => "timeout".to_owned(),
        };
        if sent.get() { Reply::because(Outcome::Unknown, why) } else { Reply::because(Outcome::NotApplied, format!("not_sent: {why}")) }
    }

    async fn attempt(&self, op: &Op, sent: &Cell<bool>) -> Result<(Seen, Option<i64>), String> {
        let idle = self.idle.borrow_mut().pop();
        let mut session = match idle.filter(Session::is_fresh) {
            Some(session) => session,
            None => Session::open(self.addr).await?,
        };
        let done =
            Znodes { session: &mut session, path: format!("/{}", op.key), codec: self.codec, reads: self.reads, sent }.run(op).await?;
        if self.idle.borrow().len() < MAX_IDLE {
            self.idle.borrow_mut().push(session);
        }
        Ok(done)
    }
}

impl Connection for ZooKeeperConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }
}

/// One operation in progress.
struct Znodes<'a> {
    session: &'a mut Session,
    path: String,
    codec: ValueCodec,
    reads: Reads,
    sent: &'a Cell<bool>,
}

impl Znodes<'_> {
    async fn run(&mut self, op: &Op) -> Result<(Seen, Option<i64>), String> {
        match op.call {
            Call::Read => {
                self.sent.set(true);
                let held = self.read().await?;
                Ok((Seen::Value(held.map(|held| held.value)), held.and_then(|held| held.payload)))
            }
            Call::Write { new } => {
                let data = self.codec.encode(new, op.payload);
                for _ in 0..ATTEMPTS {
                    // Creates a missing znode, unless another client has created it first.
                    if self.set(&data, ANY_VERSION).await? == OK || self.create(&data).await? == OK {
                        return Ok((Seen::Written, None));
                    }
                }
                Err(format!("the znode was created and deleted {ATTEMPTS} times"))
            }
            Call::Cas { expected: None, new } => {
                if self.create(&self.codec.encode(new, op.payload)).await? == OK {
                    return Ok((Seen::Applied, None));
                }
                Ok(self.unmet_condition().await)
            }
            Call::Cas { expected: Some(expected), new } => {
                let data = self.codec.encode(new, op.payload);
                for attempt in 0..ATTEMPTS {
                    let held = match self.read().await {
                        Ok(held) => held,
                        // An earlier set was refused because the version had changed, so the outcome is clear without this read.
                        Err(_) if attempt > 0 => break,
                        Err(why) => return Err(why),
                    };
                    let Some(held) = held.filter(|held| held.value == expected) else { return Ok(condition_not_met(held)) };
                    if self.set(&data, held.version).await? == OK {
                        return Ok((Seen::Applied, None));
                    }
                    // Another client has overwritten the expected value, and no value is written twice, so the condition is not met.
                    // The next read returns the current value.
                }
                Ok((Seen::ConditionNotMet(Current::NotReported), None))
            }
        }
    }

    /// The outcome for an unmet condition. The value comes from a new read, and also does not meet the condition.
    async fn unmet_condition(&mut self) -> (Seen, Option<i64>) {
        match self.read().await {
            Ok(Some(held)) => condition_not_met(Some(held)),
            Ok(None) | Err(_) => (Seen::ConditionNotMet(Current::NotReported), None),
        }
    }

    /// Reads the znode. Returns `None` if it has never been written.
    async fn read(&mut self) -> Result<Option<StoredValue>, String> {
        let first = match self.reads {
            Reads::AfterChange => Some((Kind::SetData, set_request(BARRIER, &[], ANY_VERSION))),
            Reads::AfterSync => Some((Kind::Sync, Writer::default().string(&self.path))),
            Reads::AtOnce => None,
        };
        let get = (Kind::GetData, Writer::default().string(&self.path).boolean(false));
        let kind = first.as_ref().map(|(kind, _)| *kind);
        self.session.send(first.into_iter().chain([get])).await?;
        let before = if kind.is_some() { self.session.answer().await?.code } else { OK };
        let answer = self.session.answer().await?;
        match (kind, before) {
            (_, OK) => {}
            // The very first read creates the znode, which is also a change confirmed by a quorum, and then tries again.
            (Some(Kind::SetData), NO_NODE) => {
                self.session.send([(Kind::Create, create_request(BARRIER, &[]))]).await?;
                return match self.session.answer().await?.code {
                    OK | NODE_EXISTS => Box::pin(self.read()).await,
                    code => Err(format!("Create was answered with error {code}")),
                };
            }
            (kind, code) => return Err(format!("what precedes a read, {kind:?}, was answered with error {code}")),
        }
        match answer.code {
            OK => {
                let znode = Znode::read(Reader(&answer.body)).ok_or("the answer to a read is an incomplete znode")?;
                let (value, payload) = self.codec.decode(znode.data);
                Ok(Some(StoredValue { value, payload, version: znode.version }))
            }
            NO_NODE => Ok(None),
            code => Err(format!("a read was answered with error {code}")),
        }
    }

    async fn set(&mut self, data: &[u8], version: i32) -> Result<i32, String> {
        self.change(Kind::SetData, set_request(&self.path, data, version), &[NO_NODE, BAD_VERSION]).await
    }

    async fn create(&mut self, data: &[u8]) -> Result<i32, String> {
        self.change(Kind::Create, create_request(&self.path, data), &[NODE_EXISTS]).await
    }

    /// Sends a modifying request. Returns 0, or one of `refusals`, which prove that nothing was changed.
    async fn change(&mut self, kind: Kind, body: Writer, refusals: &[i32]) -> Result<i32, String> {
        self.sent.set(true);
        self.session.send([(kind, body)]).await?;
        let answer = self.session.answer().await?;
        match answer.code {
            OK => Ok(OK),
            code if refusals.contains(&code) => {
                self.sent.set(false);
                Ok(code)
            }
            code => Err(format!("{kind:?} was answered with error {code}")),
        }
    }
}

fn set_request(path: &str, data: &[u8], version: i32) -> Writer {
    Writer::default().string(path).bytes(data).int(version)
}

/// The request body for a persistent znode with a single access control entry.
fn create_request(path: &str, data: &[u8]) -> Writer {
    Writer::default().string(path).bytes(data).int(1).int(ALL_RIGHTS).string("world").string("anyone").int(0)
}

fn condition_not_met(held: Option<StoredValue>) -> (Seen, Option<i64>) {
    (Seen::ConditionNotMet(Current::Known(held.map(|held| held.value))), held.and_then(|held| held.payload))
}

#[cfg(test)]
mod tests;

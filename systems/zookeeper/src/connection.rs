//! Operations on znodes. A CAS reads value and version, and sets the new value on condition of that version.
//!
//! What is proved and what is not: as long as no request that changes something was sent, nothing happened; and a server that answers that
//! a znode has another version, exists or does not exist has changed nothing. Everything else that is no answer is unknown. No request is
//! sent again that may have happened.

use crate::jute::{Reader, Writer, Znode};
use crate::session::{Kind, Session};
use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Connection, Op, Outcome, Pending, Reply};
use heckle_system_api::value::ValueCodec;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;

/// Sessions that are kept open for the next operation.
const IDLE: usize = 64;
/// Times that a CAS or a write begins anew after it was proved not to have happened.
const ATTEMPTS: u32 = 3;
/// Answers that prove that nothing was changed.
const OK: i32 = 0;
const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
/// What reads after a change write to; no key of a workload has this name.
const BARRIER: &str = "/heckle-barrier";
/// The version that matches every version.
const ANY: i32 = -1;
/// All may do all.
const ALL_RIGHTS: i32 = 31;

/// How reads are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// After the server has applied a change that a quorum confirmed: all that was acknowledged before is applied, too.
    AfterChange,
    /// After the server has caught up with what the leader has applied. The leader may be late, or a leader no more.
    AfterSync,
    /// From what the server has, which may be stale.
    AtOnce,
}

/// A client of one server. A session takes one operation at a time, so each open one has a session of its own.
pub(crate) struct ZooKeeperConnection {
    addr: SocketAddr,
    codec: ValueCodec,
    reads: Reads,
    idle: RefCell<Vec<Session>>,
}

/// What a znode holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    value: Value,
    payload: Option<i64>,
    version: i32,
}

impl ZooKeeperConnection {
    /// A connection to `addr`, opened when it is first needed.
    pub(crate) fn new(addr: SocketAddr, codec: ValueCodec, reads: Reads) -> Self {
        ZooKeeperConnection { addr, codec, reads, idle: RefCell::default() }
    }

    async fn run(&self, op: Op) -> Reply {
        // Whether something may have happened that was asked for.
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
        if self.idle.borrow().len() < IDLE {
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

/// One operation under way.
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
                    // A znode that is not there yet is made, unless another client is faster.
                    if self.set(&data, ANY).await? == OK || self.create(&data).await? == OK {
                        return Ok((Seen::Written, None));
                    }
                }
                Err(format!("the znode came and went {ATTEMPTS} times"))
            }
            Call::Cas { expected: None, new } => {
                if self.create(&self.codec.encode(new, op.payload)).await? == OK {
                    return Ok((Seen::Applied, None));
                }
                Ok(self.refused().await)
            }
            Call::Cas { expected: Some(expected), new } => {
                let data = self.codec.encode(new, op.payload);
                for attempt in 0..ATTEMPTS {
                    let held = match self.read().await {
                        Ok(held) => held,
                        // It was refused before, for a version that was not the one that was read.
                        Err(_) if attempt > 0 => break,
                        Err(why) => return Err(why),
                    };
                    let Some(held) = held.filter(|held| held.value == expected) else { return Ok(not_met(held)) };
                    if self.set(&data, held.version).await? == OK {
                        return Ok((Seen::Applied, None));
                    }
                    // Somebody has overwritten the expected value, and no value is ever written twice: the condition is not met. The next
                    // read says what is there instead.
                }
                Ok((Seen::ConditionNotMet(Current::NotReported), None))
            }
        }
    }

    /// The condition was not met; with the value that a read finds now, at which it is not met either.
    async fn refused(&mut self) -> (Seen, Option<i64>) {
        match self.read().await {
            Ok(Some(held)) => not_met(Some(held)),
            Ok(None) | Err(_) => (Seen::ConditionNotMet(Current::NotReported), None),
        }
    }

    /// Reads the znode; `None` if it was never written.
    async fn read(&mut self) -> Result<Option<Held>, String> {
        let first = match self.reads {
            Reads::AfterChange => Some((Kind::SetData, set_data(BARRIER, &[], ANY))),
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
            // The first read of all makes the znode, by a change that does as well, and asks again.
            (Some(Kind::SetData), NO_NODE) => {
                self.session.send([(Kind::Create, creation(BARRIER, &[]))]).await?;
                return match self.session.answer().await?.code {
                    OK | NODE_EXISTS => Box::pin(self.read()).await,
                    code => Err(format!("Create was answered with error {code}")),
                };
            }
            (kind, code) => return Err(format!("what precedes a read, {kind:?}, was answered with error {code}")),
        }
        match answer.code {
            OK => {
                let znode = Znode::read(Reader(&answer.body)).ok_or("a read was answered with half a znode")?;
                let (value, payload) = self.codec.decode(znode.data);
                Ok(Some(Held { value, payload, version: znode.version }))
            }
            NO_NODE => Ok(None),
            code => Err(format!("a read was answered with error {code}")),
        }
    }

    async fn set(&mut self, data: &[u8], version: i32) -> Result<i32, String> {
        self.change(Kind::SetData, set_data(&self.path, data, version), &[NO_NODE, BAD_VERSION]).await
    }

    async fn create(&mut self, data: &[u8]) -> Result<i32, String> {
        self.change(Kind::Create, creation(&self.path, data), &[NODE_EXISTS]).await
    }

    /// Sends what changes something; gives 0, or an answer of `refusals`, which proves that nothing was changed.
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

fn set_data(path: &str, data: &[u8], version: i32) -> Writer {
    Writer::default().string(path).bytes(data).int(version)
}

/// Of a znode that stays, with one list of rights.
fn creation(path: &str, data: &[u8]) -> Writer {
    Writer::default().string(path).bytes(data).int(1).int(ALL_RIGHTS).string("world").string("anyone").int(0)
}

fn not_met(held: Option<Held>) -> (Seen, Option<i64>) {
    (Seen::ConditionNotMet(Current::Known(held.map(|held| held.value))), held.and_then(|held| held.payload))
}

#[cfg(test)]
mod tests;

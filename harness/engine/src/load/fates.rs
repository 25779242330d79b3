//! Queries the fates of ops of unknown outcome: half of them during the load, while faults are active, and the rest after the quiet tail.
//!
//! A query makes its own answer true (see `docs/uncertainty.md`), so queries are a demanding load on the system under
//! test: they hit ops that are still running, are buffered in the socket of a stopped node, or were accepted by a
//! minority. Queries use separate connections through a node drawn from the seed, and their number is bounded, so the
//! harness never delays an op because of them.

use super::LoadContext;
use crate::plan::Plan;
use heckle_history::prng::Seed;
use heckle_history::{Event, Fate, OpId};
use heckle_system_api::connection::{Connection, FateQuery};
use heckle_system_api::identity::Target;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of concurrent queries. Further ones are postponed until after the tail.
const MAX_CONCURRENT: usize = 64;
/// Attempts per query during the load. An unresolved query is repeated after the tail.
const ATTEMPTS_DURING_LOAD: u32 = 6;
/// Attempts per query after the tail.
const ATTEMPTS_AFTER_TAIL: u32 = 10;
/// Pause between attempts, so that a cluster without a quorum is not flooded.
const PAUSE: Duration = Duration::from_millis(50);
/// Maximum number of ops remembered for queries after the tail; any beyond it are not queried.
const MAX_DEFERRED: usize = 100_000;
/// Time limit for all queries after the tail.
const TIME_AFTER_TAIL: Duration = Duration::from_secs(30);
/// Client number of the first query during the load; clients that send ops have far lower numbers.
const FIRST_DURING_LOAD: u64 = 1 << 48;
/// Client number of the first query after the tail.
const FIRST_AFTER_TAIL: u64 = 2 << 48;

/// An op of unknown outcome whose fate is not yet known.
#[derive(Debug, Clone)]
pub struct PendingFate {
    /// The op.
    pub op: OpId,
    /// Its id in the system.
    pub id: Box<str>,
    /// The key's name.
    pub key: Arc<str>,
}

/// Queries fates while the load runs.
pub(super) struct Fates {
    client: FateClient,
    active: RefCell<BTreeMap<OpId, PendingFate>>,
    deferred: RefCell<Vec<PendingFate>>,
}

impl Fates {
    pub(super) fn new(plan: &Plan, outside: &LoadContext) -> Rc<Fates> {
        Rc::new(Fates {
            client: FateClient::new(plan, outside, FIRST_DURING_LOAD),
            active: RefCell::default(),
            deferred: RefCell::default(),
        })
    }

    /// Accepts an op of unknown outcome. The seed decides whether its fate is queried now or after the tail.
    pub(super) fn add(self: &Rc<Self>, open: PendingFate) {
        let now = self.client.draw(open.op, 0).is_multiple_of(2) && self.active.borrow().len() < MAX_CONCURRENT;
        if !now {
            return self.defer(open);
        }
        self.active.borrow_mut().insert(open.op, open.clone());
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let fate = this.client.query(&open, ATTEMPTS_DURING_LOAD).await;
            this.active.borrow_mut().remove(&open.op);
            if fate == Fate::Unresolved {
                this.defer(open);
            }
        });
    }

    fn defer(&self, open: PendingFate) {
        let mut deferred = self.deferred.borrow_mut();
        if deferred.len() < MAX_DEFERRED {
            deferred.push(open);
        }
    }

    /// Returns the ops whose fate is still to be queried.
    pub(super) fn remaining(&self) -> Vec<PendingFate> {
        let active = std::mem::take(&mut *self.active.borrow_mut());
        std::mem::take(&mut *self.deferred.borrow_mut()).into_iter().chain(active.into_values()).collect()
    }
}

/// Queries the fates that are still open, after all faults have ended.
///
/// # Errors
/// If a thread, port or runtime cannot be created.
pub fn query_remaining(plan: &Plan, outside: &LoadContext, rest: Vec<PendingFate>) -> Result<(), String> {
    if rest.is_empty() {
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    let client = Rc::new(FateClient::new(plan, outside, FIRST_AFTER_TAIL));
    let queue = Rc::new(RefCell::new(VecDeque::from(rest)));
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let askers: Vec<_> = (0..MAX_CONCURRENT)
            .map(|_| {
                let (client, queue) = (client.clone(), queue.clone());
                tokio::task::spawn_local(async move {
                    loop {
                        let Some(open) = queue.borrow_mut().pop_front() else { return };
                        client.query(&open, ATTEMPTS_AFTER_TAIL).await;
                    }
                })
            })
            .collect();
        let all = async {
            for asker in askers {
                // A query that panicked leaves its fate unresolved.
                let _ = asker.await;
            }
        };
        // Queries still unanswered at the time limit stay unresolved.
        let _ = tokio::time::timeout(TIME_AFTER_TAIL, all).await;
    });
    Ok(())
}

struct FateClient {
    outside: LoadContext,
    seed: Seed,
    timeout: Duration,
    connections: Vec<Rc<dyn Connection>>,
    next: Cell<u64>,
}

impl FateClient {
    fn new(plan: &Plan, outside: &LoadContext, first: u64) -> FateClient {
        let connect = |(i, target): (usize, &Target)| plan.system.connect(target, format!("fates-{i}"), plan.codec());
        let connections = outside.nodes.iter().enumerate().map(connect).collect();
        FateClient {
            outside: outside.clone(),
            seed: plan.seed.part("fates"),
            timeout: plan.op_timeout.0,
            connections,
            next: Cell::new(first),
        }
    }

    /// Draws a number that depends only on the seed, the op and the attempt.
    fn draw(&self, op: OpId, attempt: u32) -> u64 {
        self.seed.part(&format!("{op}/{attempt}")).0
    }

    /// Queries one node after another, and records the fate, or the fact that it stayed unresolved.
    async fn query(&self, open: &PendingFate, attempts: u32) -> Fate {
        let mut answer = None;
        for attempt in 1..=attempts {
            if self.outside.stop.asked() {
                // The query ended because of the stop, not for lack of an answer, so nothing is recorded.
                return Fate::Unresolved;
            }
            let node = (self.draw(open.op, attempt) % self.connections.len() as u64) as usize;
            let number = self.next.get();
            self.next.set(number + 1);
            let query = FateQuery { id: open.id.clone(), key: open.key.clone(), number, timeout: self.timeout };
            answer = self.connections[node].fate(query).await;
            if answer.is_some() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let (op, fate) = (open.op, answer.unwrap_or(Fate::Unresolved));
        self.outside.recorder.record(|t| Event::Fate { op, t, fate });
        fate
    }
}

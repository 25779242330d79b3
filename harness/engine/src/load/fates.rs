//! What became of ops of unknown outcome: half of them are asked about at once, while faults strike, the rest after
//! the quiet tail.
//!
//! A question makes its own answer true (see `docs/uncertainty.md`), so asking is a load on the system under test, and a
//! hard one: it strikes ops that still run, lie in a stopped node's socket, or were accepted by a minority. Questions
//! travel on connections of their own, through a node drawn by the seed, and are bounded in number, so that they never
//! delay an op on the harness's side.

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

/// Questions under way at most; what comes on top is asked after the tail.
const AT_A_TIME: usize = 64;
/// A question is asked this often while faults strike, then again after the tail.
const ATTEMPTS_AT_ONCE: u32 = 6;
/// And this often after the tail.
const ATTEMPTS_AFTER: u32 = 10;
/// Between two attempts: a cluster without a quorum is not flooded.
const PAUSE: Duration = Duration::from_millis(50);
/// Ops that are remembered for after the tail; those beyond are not asked about.
const REMEMBERED: usize = 100_000;
/// The longest that asking after the tail may take.
const AFTER_WITHIN: Duration = Duration::from_secs(30);
/// The number of the first question asked at once; clients of ops have far lower ones.
const FIRST_AT_ONCE: u64 = 1 << 48;
/// The number of the first question asked after the tail.
const FIRST_AFTER: u64 = 2 << 48;

/// An op of unknown outcome whose fate is not known yet.
#[derive(Debug, Clone)]
pub struct Open {
    /// The op.
    pub op: OpId,
    /// What the system calls it.
    pub id: Box<str>,
    /// The key's name.
    pub key: Arc<str>,
}

/// Asks for fates while the load runs.
pub(super) struct Fates {
    asking: Asking,
    under_way: RefCell<BTreeMap<OpId, Open>>,
    later: RefCell<Vec<Open>>,
}

impl Fates {
    pub(super) fn new(plan: &Plan, outside: &LoadContext) -> Rc<Fates> {
        Rc::new(Fates { asking: Asking::new(plan, outside, FIRST_AT_ONCE), under_way: RefCell::default(), later: RefCell::default() })
    }

    /// Takes an op of unknown outcome, to be asked about now or later as the seed says.
    pub(super) fn take(self: &Rc<Self>, open: Open) {
        let now = self.asking.drawn(open.op, 0).is_multiple_of(2) && self.under_way.borrow().len() < AT_A_TIME;
        if !now {
            return self.put_off(open);
        }
        self.under_way.borrow_mut().insert(open.op, open.clone());
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let fate = this.asking.ask(&open, ATTEMPTS_AT_ONCE).await;
            this.under_way.borrow_mut().remove(&open.op);
            if fate == Fate::Unresolved {
                this.put_off(open);
            }
        });
    }

    fn put_off(&self, open: Open) {
        let mut later = self.later.borrow_mut();
        if later.len() < REMEMBERED {
            later.push(open);
        }
    }

    /// What is still to be asked about.
    pub(super) fn rest(&self) -> Vec<Open> {
        let under_way = std::mem::take(&mut *self.under_way.borrow_mut());
        std::mem::take(&mut *self.later.borrow_mut()).into_iter().chain(under_way.into_values()).collect()
    }
}

/// Asks for the fates that are still open, with nothing in the way any more.
///
/// # Errors
/// If the machine cannot give what that takes.
pub fn ask_rest(plan: &Plan, outside: &LoadContext, rest: Vec<Open>) -> Result<(), String> {
    if rest.is_empty() {
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    let asking = Rc::new(Asking::new(plan, outside, FIRST_AFTER));
    let queue = Rc::new(RefCell::new(VecDeque::from(rest)));
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let askers: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                let (asking, queue) = (asking.clone(), queue.clone());
                tokio::task::spawn_local(async move {
                    loop {
                        let Some(open) = queue.borrow_mut().pop_front() else { return };
                        asking.ask(&open, ATTEMPTS_AFTER).await;
                    }
                })
            })
            .collect();
        let all = async {
            for asker in askers {
                // An asker that panicked leaves its question open.
                let _ = asker.await;
            }
        };
        // What has no answer by then has none.
        let _ = tokio::time::timeout(AFTER_WITHIN, all).await;
    });
    Ok(())
}

struct Asking {
    outside: LoadContext,
    seed: Seed,
    timeout: Duration,
    connections: Vec<Rc<dyn Connection>>,
    next: Cell<u64>,
}

impl Asking {
    fn new(plan: &Plan, outside: &LoadContext, first: u64) -> Asking {
        let connect = |(i, target): (usize, &Target)| plan.system.connect(target, format!("fates-{i}"), plan.codec());
        let connections = outside.nodes.iter().enumerate().map(connect).collect();
        Asking { outside: outside.clone(), seed: plan.seed.part("fates"), timeout: plan.op_timeout.0, connections, next: Cell::new(first) }
    }

    /// A number that the seed fixes for the op and the attempt, whatever else is asked.
    fn drawn(&self, op: OpId, attempt: u32) -> u64 {
        self.seed.part(&format!("{op}/{attempt}")).0
    }

    /// Asks one node after another, and records what was told, or that nothing was.
    async fn ask(&self, open: &Open, attempts: u32) -> Fate {
        let mut told = None;
        for attempt in 1..=attempts {
            if self.outside.stop.asked() {
                // Not for want of an answer, so nothing is said.
                return Fate::Unresolved;
            }
            let node = (self.drawn(open.op, attempt) % self.connections.len() as u64) as usize;
            let number = self.next.get();
            self.next.set(number + 1);
            let query = FateQuery { id: open.id.clone(), key: open.key.clone(), number, timeout: self.timeout };
            told = self.connections[node].fate(query).await;
            if told.is_some() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let (op, fate) = (open.op, told.unwrap_or(Fate::Unresolved));
        self.outside.recorder.record(|t| Event::Fate { op, t, fate });
        fate
    }
}

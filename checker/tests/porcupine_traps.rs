//! Demonstrates three pitfalls of porcupine-rs 0.3.0. Because of them, it is called without a time limit, one key at a
//! time, in a child process. If a later version fixes one of them, its test fails and the workaround can be removed.
#![allow(clippy::disallowed_methods)] // These tests measure time, so they use a clock.

mod common;

use heckle_checker::bench::{self, Shape};
use heckle_checker::search::{InProcess, NoSearch, SearchAnswer, SearchReply, SearchRequest, SearchRunner};
use heckle_checker::{Checker, Options, Verdict, judge};
use heckle_history::{Call, Outcome, Seen};
use porcupine_rs::{CheckResult, Model, Operation};
use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Returns a valid history that porcupine-rs cannot decide within hours: many concurrent blind writes, and values that
/// never repeat.
fn hard() -> Vec<Operation<Writes>> {
    let history = bench::history(Shape { writes: 0.6, reads: 0.4, ..Shape::contended(2_000, 60, 0.0) });
    let operation = |o: &heckle_history::Operation| {
        let op = match (o.call, o.outcome) {
            (Call::Write { new }, _) => Ok(new.0),
            (_, Outcome::Ok(Seen::Value(v))) => Err(v.map(|v| v.0)),
            _ => unreachable!("the shape asks for reads and writes only"),
        };
        Operation { client_id: None, call_time: o.invoked.0 as i64, return_time: o.completed.0 as i64, op, metadata: None }
    };
    history.ops.iter().map(operation).collect()
}

#[derive(Debug, Clone)]
struct Writes;

impl Model for Writes {
    type State = Option<i64>;
    type Op = Result<i64, Option<i64>>;
    type Metadata = ();

    fn init() -> Option<i64> {
        None
    }

    fn step(now: &Option<i64>, op: &Self::Op) -> (bool, Option<i64>) {
        match op {
            Ok(new) => (true, Some(*new)),
            Err(saw) => (saw == now, *now),
        }
    }
}

#[test]
fn trap_1_with_info_a_timeout_becomes_illegal() {
    let limit = Duration::from_millis(20);
    let history = hard();
    assert_eq!(porcupine_rs::check_operations_timeout(&history, limit), CheckResult::Unknown, "without info it says that it does not know");
    assert_eq!(
        porcupine_rs::check_operations_info_timeout(&history, limit).0,
        CheckResult::Illegal,
        "with info it calls a valid history illegal"
    );
}

#[derive(Debug, Clone)]
struct Slow;

const STEP: Duration = Duration::from_millis(120);

/// A time limit that four steps exceed by far.
const LIMIT: Duration = Duration::from_millis(10);

impl Model for Slow {
    type State = ();
    type Op = ();
    type Metadata = ();

    fn init() {}

    fn step((): &(), (): &()) -> (bool, ()) {
        let start = Instant::now();
        while start.elapsed() < STEP {
            std::hint::spin_loop();
        }
        (true, ())
    }
}

#[test]
fn trap_2_a_time_limit_is_overrun() {
    let ops: Vec<Operation<Slow>> = vec![Operation { client_id: None, call_time: 0, return_time: 1, op: (), metadata: None }; 4];
    // On a busy machine, the limit may pass before the search has begun its first step. The attempt is then repeated.
    let overrun = (0..50).any(|_| {
        let start = Instant::now();
        assert_eq!(porcupine_rs::check_operations_timeout(&ops, LIMIT), CheckResult::Unknown);
        start.elapsed() >= STEP
    });
    assert!(overrun, "a limit of {LIMIT:?} is kept now");
}

#[derive(Debug, Clone)]
struct Keyed;

static THREADS: Mutex<Option<HashSet<ThreadId>>> = Mutex::new(None);

impl Model for Keyed {
    type State = ();
    type Op = usize;
    type Metadata = ();

    fn init() {}

    fn step((): &(), _: &usize) -> (bool, ()) {
        THREADS.lock().expect("no other test locks it").get_or_insert_default().insert(std::thread::current().id());
        (true, ())
    }

    fn partition_operations(history: &[Operation<Self>]) -> Vec<Vec<Operation<Self>>> {
        history.iter().map(|op| vec![op.clone()]).collect()
    }
}

#[test]
fn trap_3_every_key_gets_a_thread() {
    let ops: Vec<Operation<Keyed>> =
        (0..100).map(|op| Operation { client_id: None, call_time: 0, return_time: 1, op, metadata: None }).collect();
    assert!(porcupine_rs::check_operations(&ops));
    assert_eq!(THREADS.lock().expect("no other test locks it").as_ref().map(HashSet::len), Some(100));
}

/// A child process that is always killed. Each child judges one key without a time limit, and a key whose child is
/// killed is unknown.
struct KilledChild;

impl SearchRunner for KilledChild {
    fn run(&self, _: &SearchRequest) -> SearchReply {
        SearchReply::gave_up("killed after 60 s")
    }
}

#[test]
fn a_killed_search_is_unknown_and_never_invalid() {
    let history = bench::history(Shape::contended(200, 10, 0.05));
    let judged = judge(&history, &Options { checker: Checker::Porcupine, ..Options::new(&KilledChild) }).linearizability;
    assert_eq!((judged.verdict, judged.keys[0].note.as_deref()), (Verdict::Unknown, Some("killed after 60 s")));
    assert!(judged.violations.is_empty());
    // The chain checker's own verdict is kept, without a second opinion.
    let judged = judge(&history, &Options::new(&KilledChild)).linearizability;
    assert_eq!((judged.verdict, judged.keys[0].note.as_deref()), (Verdict::Valid, Some("no second opinion: killed after 60 s")));
    assert_eq!(
        NoSearch.run(&SearchRequest { model: heckle_checker::search::ModelKind::Set, ops: vec![], shrink: false }).answer,
        SearchAnswer::GaveUp
    );
}

#[test]
fn the_child_answers_what_it_was_asked() {
    let history = bench::history(Shape { stale_read: true, ..Shape::contended(40, 3, 0.0) });
    let mut question = common::question(&history, false);
    for shrink in [false, true] {
        question.shrink = shrink;
        let reply = heckle_checker::search::child_main(&serde_json::to_vec(&question).expect("a request is JSON"));
        let reply: SearchReply = serde_json::from_slice(&reply).expect("a reply is JSON");
        assert_eq!(reply, InProcess.run(&question), "the same in a child as in this process");
        assert_eq!((reply.answer, reply.core.is_empty(), reply.certified), (SearchAnswer::Invalid, !shrink, shrink), "{reply:?}");
    }
    let nonsense: SearchReply = serde_json::from_slice(&heckle_checker::search::child_main(b"nonsense")).expect("a reply is JSON");
    assert_eq!(nonsense.answer, SearchAnswer::GaveUp);
}

//! Nothing leaves before its sync. The tests run a real core, event loop and log, with a disk that syncs only when
//! the test allows it. Each message and reply makes a claim about what this node stores, and each claim is compared
//! with the records synced by then.

mod held_disk;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heckle_paxos::{
    Ballot, Body, Call, ClientRequest, ClientToken, Dedupe, Event, IoId, Key, Message, NodeId as CoreNodeId, OpId, Outcome, Provenance,
    Record, Row, RowData, Tag, Update, Value,
};

use super::EventLoop;
use crate::gate::Outgoing;
use crate::log::Logger;
use crate::node::{Hosting, Stopper, prepare};
use crate::options::{NodeId, NodeOptions, Rounds};
use crate::shell::Shell;
use crate::storage::Store;
use crate::testing::TempDir;
use held_disk::{DiskGate, HeldStore, TEST_TIMEOUT};

/// Whether the synced records contain what a message or reply claims. `None` if it claims nothing about this node's
/// disk.
fn backed(outgoing: &Outgoing, synced: &[Record]) -> Option<bool> {
    let claim = |key: &Key, holds: &dyn Fn(&Record) -> bool| {
        let of_key = |record: &&Record| match record {
            Record::Promised { key: k, .. }
            | Record::Accepted { key: k, .. }
            | Record::Chosen { key: k, .. }
            | Record::Learned { key: k, .. }
            | Record::Put { key: k, .. }
            | Record::State { key: k, .. } => k == key,
            Record::Incarnation { .. } | Record::LeaseLimits(_) | Record::Pruned { .. } | Record::Floor { .. } => false,
        };
        Some(synced.iter().filter(of_key).any(holds))
    };
    match outgoing {
        Outgoing::Send { message: Message { key, tag, body }, .. } => match body {
            Body::Promise { .. } => claim(key, &|r| promised(r).is_some_and(|ballot| ballot >= tag.ballot)),
            Body::Accepted => claim(key, &|r| matches!(r, Record::Accepted { accepted, .. } if accepted.ballot == tag.ballot)),
            Body::Learned { learned } => claim(key, &|r| self::learned(r).is_some_and(|ballot| ballot >= *learned)),
            Body::PutDone => claim(key, &|r| matches!(r, Record::Put { .. })),
            _ => None,
        },
        // As the only node of its cluster, it must store whatever it acknowledges.
        Outgoing::Reply { token, outcome: Outcome::Applied, .. } => {
            claim(&key(token.0), &|r| matches!(r, Record::Accepted { accepted, .. } if accepted.update != Update::Empty))
        }
        Outgoing::Reply { .. } | Outgoing::SendLease { .. } => None,
    }
}

fn promised(record: &Record) -> Option<Ballot> {
    match record {
        Record::Promised { ballot, .. } | Record::Chosen { ballot, .. } => Some(*ballot),
        Record::Accepted { promised, .. } => Some(*promised),
        Record::Learned { row, .. } => Some(row.learned),
        _ => None,
    }
}

fn learned(record: &Record) -> Option<Ballot> {
    match record {
        Record::Chosen { ballot, .. } => Some(*ballot),
        Record::Learned { row, .. } => Some(row.learned),
        _ => None,
    }
}

fn key(number: u64) -> Key {
    Key::from(format!("k{number}").as_str())
}

/// A message or reply that was sent: its name, and whether synced records backed it at that time.
type Left = Rc<RefCell<Vec<(&'static str, bool)>>>;

struct Rig {
    // Dropped first, so that the disk's thread does not wait for a failed test.
    hold: FreeAtEnd,
    event_loop: EventLoop,
    shell: Rc<Shell>,
    left: Left,
}

struct FreeAtEnd(Arc<DiskGate>);

impl Drop for FreeAtEnd {
    fn drop(&mut self) {
        self.0.change(|held| held.free = true);
    }
}

impl Rig {
    async fn start(dir: &Path, peers: &[u16], rounds: Rounds, mutants: &[&str]) -> Rig {
        let mut options = NodeOptions::new(NodeId::new(1).unwrap(), "test", dir);
        // Nothing connects here, so the addresses are never used.
        options.peers = peers.iter().map(|&id| (NodeId::new(id).unwrap(), "127.0.0.1:0".parse().unwrap())).collect();
        options.rounds = rounds;
        options.mutants = mutants.iter().map(|&name| name.to_owned()).collect();
        let hold = Arc::new(DiskGate::default());
        hold.change(|held| held.free = true);
        let (free_at_end, held) = (FreeAtEnd(Arc::clone(&hold)), Arc::clone(&hold));
        let store = move |wal| Box::new(HeldStore { wal, hold: held }) as Box<dyn Store>;
        let (shell, started) = prepare(options, Logger::to_memory("n1"), Stopper::default(), Hosting::Thread, store).unwrap();
        let (shell, left) = (Rc::new(shell), Left::default());
        // There is no other node to confirm it.
        shell.voting.set(true);
        let seen = Rc::clone(&left);
        let exit = move |outgoing: Outgoing| {
            if let Some(backed) = backed(&outgoing, &hold.lock().synced) {
                seen.borrow_mut().push((name(&outgoing), backed));
            }
        };
        let mut event_loop = EventLoop::with_exit(Rc::clone(&shell), started, Box::new(exit)).unwrap();
        event_loop.make_durable().await.unwrap();
        free_at_end.0.change(|held| (held.free, held.allowed) = (false, held.come));
        Rig { hold: free_at_end, event_loop, shell, left }
    }

    async fn event(&mut self, event: Event) {
        self.shell.receive(event, 0);
        self.turn().await;
    }

    async fn turn(&mut self) {
        self.event_loop.turn().await.unwrap();
    }

    /// Whether a batch has been written but not yet synced.
    fn holds_a_batch(&self) -> bool {
        let held = self.hold.0.lock();
        held.come > held.allowed
    }

    #[track_caller]
    fn until_a_batch_comes(&self) {
        self.hold.0.until("a batch comes to the disk", |held| held.come > held.allowed);
    }

    /// Lets the pending batch be synced, up to batch `io` of the core, and runs one turn of the loop.
    async fn sync(&mut self, io: IoId) {
        self.hold.0.change(|held| held.allowed += 1);
        self.hold.0.until("a batch is synced", |held| held.done >= held.allowed);
        let begin = Instant::now();
        while self.shell.disk.durable() < io {
            assert!(begin.elapsed() < TEST_TIMEOUT, "{io:?} is never durable");
            std::thread::sleep(Duration::from_micros(100));
        }
        self.turn().await;
    }

    /// The messages and replies that were sent. Those not backed by synced records are marked.
    fn left(&self) -> Vec<String> {
        let mark = |(name, backed): (&str, bool)| if backed { name.to_owned() } else { format!("{name} too early") };
        self.left.borrow().iter().copied().map(mark).collect()
    }
}

fn name(outgoing: &Outgoing) -> &'static str {
    match outgoing {
        Outgoing::Send { message, .. } => match message.body {
            Body::Promise { .. } => "promise",
            Body::Accepted => "accepted",
            Body::Learned { .. } => "learned",
            Body::PutDone => "put done",
            _ => "message",
        },
        Outgoing::SendLease { .. } => "lease",
        Outgoing::Reply { .. } => "reply",
    }
}

fn run<T>(test: impl AsyncFnOnce(&Path) -> T) -> T {
    let dir = TempDir::new("gate");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(dir.path()))
}

fn asked(body: Body) -> Event {
    let tag = Tag { op: OpId { client: 9, seq: 1 }, attempt: 1, incarnation: 1, ballot: ballot() };
    Event::Peer { from: CoreNodeId(2), message: Message { key: key(1), tag, body } }
}

fn ballot() -> Ballot {
    Ballot { micros: 1_000_000, node: CoreNodeId(2), nonce: 7 }
}

/// Requests from n2, in protocol order. Each is sent twice, as on a link that duplicates messages: the reply to the
/// second copy relies on the record of the first. (The second copy of a prepare is rejected, and a reject relies on
/// nothing.)
fn requests() -> [Body; 4] {
    let data = Arc::new(RowData { version: 1, value: Some(Value::from("a")), dedupe: Dedupe::default() });
    [
        Body::Prepare { have: None },
        Body::Propose { update: Update::Row(Arc::clone(&data)), next: None },
        Body::Learn { row: Row { learned: ballot(), data } },
        Body::Put { cell: heckle_paxos::Cell { us: 2_000_000, node: CoreNodeId(2), value: Value::from("b") } },
    ]
}

/// All replies to n2. Each request's batch accumulates while the previous one is being synced. So a reply sent one
/// batch too early leaves when the disk has only the previous batch.
fn answers_to_a_peer(mutants: &[&str]) -> Vec<String> {
    run(async |dir| {
        let mut rig = Rig::start(dir, &[2, 3], Rounds::Classic, mutants).await;
        let mut last_batch = None;
        for body in requests() {
            let before = rig.event_loop.last_submitted();
            for _ in 0..2 {
                rig.event(asked(body.clone())).await;
            }
            let submitted = rig.event_loop.last_submitted();
            if let Some(io) = last_batch.take() {
                rig.sync(io).await;
            }
            // With a planted bug, nothing may be written.
            if submitted > before {
                rig.until_a_batch_comes();
                last_batch = Some(submitted);
            }
        }
        if let Some(io) = last_batch {
            rig.sync(io).await;
        }
        rig.left()
    })
}

/// The replies to two clients of a single-node cluster, whose batches alternate.
fn replies_to_clients(rounds: Rounds) -> Vec<String> {
    run(async |dir| {
        let mut rig = Rig::start(dir, &[], rounds, &[]).await;
        for number in [1, 2] {
            let request = ClientRequest {
                op: OpId { client: number, seq: 1 },
                key: key(number),
                call: Call::Write { new: Value::from("a") },
                timeout_ns: u64::try_from(TEST_TIMEOUT.as_nanos()).unwrap(),
                provenance: Provenance::First,
            };
            rig.event(Event::Client { token: ClientToken(number), request }).await;
            rig.until_a_batch_comes();
        }
        let begin = Instant::now();
        while rig.left.borrow().len() < 2 && begin.elapsed() < TEST_TIMEOUT {
            rig.turn().await;
            if rig.holds_a_batch() {
                rig.sync(IoId(0)).await;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        rig.left()
    })
}

#[test]
fn no_answer_to_a_peer_leaves_before_its_sync() {
    let expected = ["promise", "accepted", "accepted", "learned", "learned", "put done", "put done"];
    assert_eq!(answers_to_a_peer(&[]), expected);
}

#[test]
fn no_reply_to_a_client_leaves_before_its_sync() {
    for rounds in [Rounds::Classic, Rounds::Merged, Rounds::AsyncLearn, Rounds::Fast] {
        assert_eq!(replies_to_clients(rounds), ["reply", "reply"], "{rounds:?}");
    }
}

/// The test above detects servers that reply too early.
#[cfg(feature = "mutants")]
#[test]
fn planted_bugs_let_answers_leave_too_early() {
    for (mutant, answer) in [("answer-before-write", "promise"), ("learn-not-synced", "learned")] {
        let left = answers_to_a_peer(&[mutant]);
        assert!(left.contains(&format!("{answer} too early")), "{mutant}: {left:?}");
    }
}

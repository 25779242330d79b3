//! Breaks every invariant of the checker once.

use heckle_paxos::*;
use heckle_sim::checker::{Checker, Values};
use heckle_sim::{OpRecord, ViolationKind};
use std::sync::Arc;

/// A sequence of events for a checker of three nodes. Operation i is `(i, 1)`; writer i writes the value "vi".
struct Story {
    checker: Checker,
}

fn key() -> Key {
    Key::from("k0")
}

fn op(client: u64) -> OpId {
    OpId { client, seq: 1 }
}

fn value(client: u64) -> Value {
    Value::from(format!("v{client}").as_str())
}

fn ballot(micros: u64) -> Ballot {
    Ballot { micros, node: NodeId(1), nonce: 1 }
}

fn record(client: u64, call: Call) -> OpRecord {
    let (key, outcome, diagnostics) = (key(), None, None);
    OpRecord { op: op(client), key, call, cheap: false, node: 0, invoked_ns: 0, completed_ns: None, outcome, diagnostics, resends: 0 }
}

fn update(version: u64, client: u64, proposed_us: u64) -> Arc<RowData> {
    let entry = DedupeEntry { op: op(client), request_hash: 1, proposed_us, fate: OpFate::Applied };
    let dedupe = Dedupe { entries: vec![entry], ..Dedupe::default() };
    Arc::new(RowData { version, value: Some(value(client)), dedupe })
}

impl Story {
    fn new() -> Self {
        Self { checker: Checker::new(3, Values::Checked) }
    }

    fn writes(mut self, client: u64) -> Self {
        self.checker.invoked(&record(client, Call::Write { new: value(client) }));
        self
    }

    fn cas(mut self, client: u64, expected: Option<u64>) -> Self {
        self.checker.invoked(&record(client, Call::Cas { expected: expected.map(value), new: value(client) }));
        self
    }

    fn reads(mut self, client: u64) -> Self {
        self.checker.invoked(&record(client, Call::Read));
        self
    }

    /// The update of `client` becomes `version`, accepted by a quorum at ballot `us`.
    fn chosen(self, version: u64, client: u64, us: u64) -> Self {
        let data = update(version, client, us);
        self.accepts(1, us, Update::Row(data.clone())).accepts(2, us, Update::Row(data))
    }

    fn accepts(mut self, node: usize, us: u64, update: Update) -> Self {
        let accepted = Accepted { ballot: ballot(us), update };
        self.checker.durable(node, &Record::Accepted { key: key(), accepted, promised: ballot(us) });
        self
    }

    fn answered(mut self, client: u64, call: Call, outcome: &Outcome, us: u64) -> Self {
        self.checker.answered(&record(client, call), outcome, Some(ballot(us)));
        self
    }

    fn applied(self, client: u64) -> Self {
        self.answered(client, Call::Write { new: value(client) }, &Outcome::Applied, 1)
    }

    fn read_saw(self, client: u64, saw: Option<u64>, us: u64) -> Self {
        self.answered(client, Call::Read, &Outcome::Read { current: saw.map(value) }, us)
    }

    #[track_caller]
    fn found(self, expected: &[ViolationKind]) {
        let found: Vec<ViolationKind> = self.checker.violations().iter().map(|violation| violation.kind).collect();
        assert_eq!(found, expected, "{:?}", self.checker.violations());
    }
}

#[test]
fn a_correct_story_is_clean() {
    let story = Story::new().writes(1).reads(2).chosen(1, 1, 10).applied(1).read_saw(2, Some(1), 20);
    let story = story.cas(3, Some(1)).chosen(2, 3, 30).reads(4).read_saw(4, Some(3), 40).applied(3);
    // A repair chooses the same update again at a higher ballot.
    let again = Update::Row(update(2, 3, 30));
    let story = story.accepts(0, 50, again.clone()).accepts(2, 50, again);
    story.accepts(0, 60, Update::Empty).accepts(1, 60, Update::Empty).found(&[]);
}

#[test]
fn an_update_accepted_by_a_minority_is_not_chosen() {
    let minority = || Story::new().writes(1).accepts(1, 10, Update::Row(update(1, 1, 10)));
    minority().applied(1).found(&[ViolationKind::AcknowledgedLost]);
    minority().reads(2).read_saw(2, Some(1), 20).found(&[ViolationKind::DirtyRead]);
    minority().reads(2).read_saw(2, None, 20).found(&[]);
    // A second vote from the same node does not count either.
    minority().accepts(1, 10, Update::Row(update(1, 1, 10))).applied(1).found(&[ViolationKind::AcknowledgedLost]);
}

#[test]
fn the_chain_has_one_row_a_version_and_each_operation_once() {
    let two = || Story::new().writes(1).writes(2).chosen(1, 1, 10);
    two().chosen(1, 2, 20).found(&[ViolationKind::Fork]);
    two().chosen(3, 2, 20).found(&[ViolationKind::Gap]);
    two().chosen(2, 1, 20).found(&[ViolationKind::AppliedTwice]);
    two().accepts(0, 20, Update::Empty).accepts(1, 20, Update::Row(update(2, 2, 20))).found(&[ViolationKind::BallotReused]);
}

#[test]
fn conditions_hold_where_they_are_applied_and_fail_where_they_are_refused() {
    Story::new().writes(1).chosen(1, 1, 10).cas(2, None).chosen(2, 2, 20).found(&[ViolationKind::ConditionBroken]);
    let cas = Call::Cas { expected: Some(value(1)), new: value(2) };
    let refused = |saw: Option<u64>| Outcome::ConditionNotMet { current: saw.map(value) };
    let story = || Story::new().writes(1).chosen(1, 1, 10).cas(2, Some(1));
    story().answered(2, cas.clone(), &refused(Some(1)), 20).found(&[ViolationKind::WronglyRefused]);
    story().answered(2, cas, &refused(None), 20).found(&[ViolationKind::FenceBroken]);
}

#[test]
fn what_was_refused_never_takes_effect() {
    let not = Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose };
    let write = Call::Write { new: value(1) };
    let story = || Story::new().writes(1);
    story().answered(1, write.clone(), &not, 1).chosen(1, 1, 10).found(&[ViolationKind::RefusedTookEffect]);
    story().chosen(1, 1, 10).answered(1, write, &not, 1).found(&[ViolationKind::RefusedTookEffect]);
}

#[test]
fn the_answer_to_a_fate_query_binds() {
    let write = |client| record(client, Call::Write { new: value(client) });
    let fate_answered = |mut story: Story, client, fate| {
        story.checker.fate(&write(client), fate);
        story
    };
    let one = || Story::new().writes(1);
    fate_answered(one().chosen(1, 1, 10), 1, Fate::Applied).found(&[]);
    fate_answered(one(), 1, Fate::Applied).found(&[ViolationKind::AcknowledgedLost]);
    fate_answered(one(), 1, Fate::NotApplied).chosen(1, 1, 10).found(&[ViolationKind::RefusedTookEffect]);
    fate_answered(one().chosen(1, 1, 10), 1, Fate::NotApplied).found(&[ViolationKind::RefusedTookEffect]);
    fate_answered(fate_answered(one(), 1, Fate::Evicted), 1, Fate::Superseded).chosen(1, 1, 10).found(&[]);
    // As binding as an acknowledgement: later operations get higher ballots.
    let seen = fate_answered(one().chosen(1, 1, 10), 1, Fate::Applied).reads(2);
    seen.read_saw(2, None, 20).found(&[ViolationKind::OutOfOrder, ViolationKind::FenceBroken]);
}

/// A row that only records an abort is a separate version, with the same value as the one before.
#[test]
fn an_abort_keeps_the_value_and_binds_for_ever() {
    let abort = |version, client, us, holds: Option<u64>| {
        let entry = DedupeEntry { op: op(client), request_hash: 0, proposed_us: us, fate: OpFate::Aborted };
        let dedupe = Dedupe { entries: vec![entry], ..Dedupe::default() };
        Update::Row(Arc::new(RowData { version, value: holds.map(value), dedupe }))
    };
    let both = |story: Story, us, update: Update| story.accepts(1, us, update.clone()).accepts(2, us, update);
    let aborted = || both(Story::new().writes(1).writes(2).chosen(1, 1, 10), 20, abort(2, 2, 20, Some(1)));
    aborted().reads(3).read_saw(3, Some(1), 30).found(&[]);
    aborted().writes(3).chosen(3, 3, 30).reads(4).read_saw(4, Some(3), 40).found(&[]);
    aborted().chosen(3, 2, 30).found(&[ViolationKind::RefusedTookEffect]);
    both(Story::new().writes(1).chosen(1, 1, 10), 20, abort(2, 1, 20, Some(1))).found(&[ViolationKind::RefusedTookEffect]);
    both(Story::new().writes(1).chosen(1, 1, 10), 20, abort(2, 2, 20, None)).found(&[ViolationKind::ConditionBroken]);
}

#[test]
fn real_time_order_is_kept() {
    let two = || Story::new().writes(1).writes(2).chosen(1, 1, 10).chosen(2, 2, 20);
    two().applied(2).reads(3).read_saw(3, Some(1), 15).found(&[ViolationKind::OutOfOrder]);
    two().reads(3).read_saw(3, Some(2), 30).reads(4).read_saw(4, Some(1), 15).found(&[ViolationKind::OutOfOrder]);
    two().reads(3).applied(2).read_saw(3, Some(1), 15).found(&[]);
    // An operation must take effect after its invocation: here operation 3 fills a gap below a version already seen
    // when it was invoked.
    let late = Story::new().writes(2).chosen(2, 2, 20).applied(2).writes(3).chosen(1, 3, 30);
    late.found(&[ViolationKind::Gap, ViolationKind::OutOfOrder]);
}

#[test]
fn nothing_from_before_a_fence_is_chosen_after_it() {
    let read = || Story::new().writes(1).reads(2);
    read().read_saw(2, None, 20).chosen(1, 1, 10).found(&[ViolationKind::FenceBroken]);
    read().chosen(1, 1, 10).read_saw(2, None, 20).found(&[ViolationKind::FenceBroken]);
    read().read_saw(2, None, 20).chosen(1, 1, 30).found(&[]);
}

//! Protocol points, which the node reports to subscribers and at which it can be held or killed.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use heckle_paxos::{Ballot, Key, OpId, Point};
use tokio::sync::{Notify, mpsc};

use crate::clock;
use crate::points::hold::{MAX_ARMED, check_hold};
use crate::points::{HoldOwner, Injection, PointReached};

/// Maximum number of reports that a subscriber has not read yet. Further reports are dropped for this subscriber and
/// counted.
pub(crate) const SUBSCRIBER_QUEUE: usize = 1_024;

/// The subscribers, and the armed points.
#[derive(Debug, Default)]
pub(crate) struct ProtocolPoints {
    subscribers: RefCell<Vec<Subscriber>>,
    armed: RefCell<Vec<Armed>>,
    /// Number of injections carried out at each point.
    hits: Cell<[u64; Point::ALL.len()]>,
    next_id: Cell<u64>,
    /// Number of reports dropped because a subscriber was too slow.
    pub(crate) lost: Cell<u64>,
    released: Notify,
    /// The number of the hold that stops the node now, if it belongs to a connection.
    holding: Cell<Option<u64>>,
}

#[derive(Debug)]
struct Subscriber {
    id: u64,
    /// The points to report. Empty: all points.
    points: Vec<Point>,
    sender: mpsc::Sender<PointReached>,
}

#[derive(Debug)]
struct Armed {
    point: Point,
    key: Option<Vec<u8>>,
    /// Number of hits to ignore first.
    skip: u32,
    stop: Stop,
    /// The connection for which the node is held.
    owner: Option<HoldOwner>,
}

/// How a point stops the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The node is held for at most this long.
    Hold(Duration),
    /// The node ends as if killed.
    Crash,
}

/// When the point is reached, in one sentence.
pub(super) fn doc(point: Point) -> &'static str {
    match point {
        Point::AfterPrepareAll => "Prepare has been sent to all.",
        Point::AfterProposeFirst => "Propose of a client's own update has been sent to the first other node only.",
        Point::AfterProposeAll => "Propose of a client's own update has been sent to all.",
        Point::AfterLearnFirst => "Learn has been sent to the first other node only.",
        Point::AfterLearnAll => "Learn has been sent to all.",
        Point::AfterRefresh => "Refresh of a lagging replica has been sent.",
        Point::BeforeReply => "The outcome is known, and the client has no answer.",
    }
}

impl ProtocolPoints {
    /// Reports these points to a connection from now on. Returns a number for
    /// [`unsubscribe`](ProtocolPoints::unsubscribe).
    pub(crate) fn subscribe(&self, points: Vec<Point>, sender: mpsc::Sender<PointReached>) -> u64 {
        let id = self.next_id();
        self.subscribers.borrow_mut().push(Subscriber { id, points, sender });
        id
    }

    /// Returns a number that no subscriber and no hold has.
    pub(crate) fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    pub(crate) fn unsubscribe(&self, id: u64) {
        self.subscribers.borrow_mut().retain(|subscriber| subscriber.id != id);
    }

    /// Arms a point for one hit, after ignoring the first `skip` hits. If `key` is given, only its hits count.
    pub(crate) fn arm(&self, point: Point, key: Option<Vec<u8>>, injection: Injection, skip: u32) -> Result<(), String> {
        let stop = match injection {
            Injection::Hold { ms } => {
                check_hold(ms)?;
                Stop::Hold(Duration::from_millis(ms))
            }
            Injection::Crash => Stop::Crash,
            Injection::Panic | Injection::Delay { .. } | Injection::IoError | Injection::DiskFull => {
                return Err(format!("{} is a point of the protocol: the node can hold or crash there", point.name()));
            }
        };
        self.push(Armed { point, key, skip, stop, owner: None })
    }

    /// Arms a point for one hit, after `skip` hits are ignored, at which the node is held for a connection.
    pub(crate) fn hold_at(&self, point: Point, ms: u64, skip: u32, owner: HoldOwner) -> Result<(), String> {
        check_hold(ms)?;
        self.push(Armed { point, key: None, skip, stop: Stop::Hold(Duration::from_millis(ms)), owner: Some(owner) })
    }

    fn push(&self, new: Armed) -> Result<(), String> {
        let mut armed = self.armed.borrow_mut();
        if armed.len() == MAX_ARMED {
            return Err(format!("{MAX_ARMED} points are armed already: release them first"));
        }
        armed.push(new);
        Ok(())
    }

    /// Takes the hold of a connection back, or ends it.
    pub(crate) fn let_go(&self, hold: u64) {
        self.armed.borrow_mut().retain(|a| a.owner.as_ref().is_none_or(|owner| owner.id != hold));
        if self.holding.get() == Some(hold) {
            self.released.notify_waiters();
        }
    }

    /// Disarms one point. Holds of connections stay.
    pub(crate) fn disarm(&self, point: Point) {
        self.armed.borrow_mut().retain(|a| a.point != point || a.owner.is_some());
    }

    /// The armed points, listed once for each injection.
    pub(crate) fn armed(&self) -> Vec<Point> {
        self.armed.borrow().iter().map(|a| a.point).collect()
    }

    /// Number of injections carried out at each point. Points without injections are left out.
    pub(crate) fn hits(&self) -> impl Iterator<Item = (Point, u64)> {
        Point::ALL.into_iter().zip(self.hits.get()).filter(|(_, hits)| *hits > 0)
    }

    /// Disarms all points and releases a held node. Holds of connections stay.
    pub(crate) fn release(&self) {
        self.armed.borrow_mut().retain(|a| a.owner.is_some());
        if self.holding.get().is_none() {
            self.released.notify_waiters();
        }
    }

    /// Reports the point to its subscribers, and returns how the node stops here, if at all.
    pub(crate) fn on_reached(&self, node: &str, point: Point, key: &Key, op: OpId, ballot: Ballot) -> Option<Stop> {
        let mut armed = self.armed.borrow_mut();
        let mut subscribers = self.subscribers.borrow_mut();
        if armed.is_empty() && subscribers.is_empty() {
            return None;
        }
        let due = take_due(&mut armed, point, key);
        let stop = due.as_ref().map(|due| due.stop);
        if stop.is_some() {
            let mut hits = self.hits.get();
            hits[point as usize] += 1;
            self.hits.set(hits);
        }
        let reached = || PointReached {
            node: node.to_owned(),
            name: point.name().to_owned(),
            key: String::from_utf8_lossy(key.as_bytes()).into_owned(),
            op: op.to_string(),
            ballot: ballot.to_string(),
            mono_ns: clock::raw_mono_ns(),
            held: matches!(stop, Some(Stop::Hold(_))),
        };
        let owner = due.and_then(|due| due.owner);
        self.holding.set(owner.as_ref().map(|owner| owner.id));
        // If the report cannot be sent, the hold ends by its own limit.
        if owner.is_some_and(|owner| owner.sender.try_send(reached()).is_err()) {
            self.lost.set(self.lost.get() + 1);
        }
        subscribers.retain(|subscriber| {
            if !subscriber.points.is_empty() && !subscriber.points.contains(&point) {
                return true;
            }
            match subscriber.sender.try_send(reached()) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.lost.set(self.lost.get() + 1);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
        stop
    }

    /// Waits until the node is released or the time is up.
    pub(crate) async fn hold(&self, longest: Duration) {
        tokio::select! {
            () = self.released.notified() => {}
            () = tokio::time::sleep(longest) => {}
        }
        self.holding.set(None);
    }
}

/// Counts this hit, and returns the first injection that is due, which is disarmed.
fn take_due(armed: &mut Vec<Armed>, point: Point, key: &Key) -> Option<Armed> {
    let mut due = None;
    for (at, a) in armed.iter_mut().enumerate() {
        if a.point != point || a.key.as_deref().is_some_and(|k| k != key.as_bytes()) {
            continue;
        }
        if a.skip > 0 {
            a.skip -= 1;
        } else {
            due.get_or_insert(at);
        }
    }
    due.map(|at| armed.remove(at))
}

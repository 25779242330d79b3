//! Protocol points: moments at which a nemesis may strike. See [`crate::control`].

use std::cell::{Cell, RefCell};
use std::time::Duration;

use heckle_paxos::{Ballot, Key, OpId, Point};
use tokio::sync::{Notify, mpsc};

use crate::clock;
use crate::control::{MAX_HOLD_MS, PointReached};

/// Points that a subscriber has not read yet; more are lost for it and counted.
pub(crate) const SUBSCRIBER_QUEUE: usize = 1_024;
/// Most points that may be armed at once.
const MAX_ARMED: usize = 64;

/// Who wants to know of points, and at which the node shall stand still.
#[derive(Debug, Default)]
pub(crate) struct Points {
    subscribers: RefCell<Vec<Subscriber>>,
    armed: RefCell<Vec<Armed>>,
    next_subscriber: Cell<u64>,
    /// Points that a subscriber was too slow for.
    pub(crate) lost: Cell<u64>,
    released: Notify,
}

#[derive(Debug)]
struct Subscriber {
    id: u64,
    /// Empty: all.
    points: Vec<Point>,
    sender: mpsc::Sender<PointReached>,
}

#[derive(Debug)]
struct Armed {
    point: Point,
    key: Option<Vec<u8>>,
    hold: Duration,
}

/// The point of this name.
pub(crate) fn parse(name: &str) -> Result<Point, String> {
    Point::ALL.into_iter().find(|point| point.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Point::ALL.into_iter().map(Point::name).collect();
        format!("no protocol point is called {name:?}; there are {}", names.join(", "))
    })
}

impl Points {
    /// Tells a connection of these points from now on. Gives a number to unsubscribe with.
    pub(crate) fn subscribe(&self, points: Vec<Point>, sender: mpsc::Sender<PointReached>) -> u64 {
        let id = self.next_subscriber.get();
        self.next_subscriber.set(id + 1);
        self.subscribers.borrow_mut().push(Subscriber { id, points, sender });
        id
    }

    pub(crate) fn unsubscribe(&self, id: u64) {
        self.subscribers.borrow_mut().retain(|subscriber| subscriber.id != id);
    }

    /// The node stands still at the next such point. It disarms by being reached.
    pub(crate) fn arm(&self, point: Point, key: Option<Vec<u8>>, hold_ms: u64) -> Result<(), String> {
        if hold_ms > MAX_HOLD_MS {
            return Err(format!("a hold of {hold_ms} ms is over the limit of {MAX_HOLD_MS}"));
        }
        let mut armed = self.armed.borrow_mut();
        if armed.len() == MAX_ARMED {
            return Err(format!("{MAX_ARMED} points are armed already: release them first"));
        }
        armed.push(Armed { point, key, hold: Duration::from_millis(hold_ms) });
        Ok(())
    }

    /// Disarms all points and lets a node that stands still go on.
    pub(crate) fn release(&self) {
        self.armed.borrow_mut().clear();
        self.released.notify_waiters();
    }

    /// Tells subscribers, and says for how long to stand still, if at all.
    pub(crate) fn reached(&self, node: &str, point: Point, key: &Key, op: OpId, ballot: Ballot) -> Option<Duration> {
        let mut armed = self.armed.borrow_mut();
        let mut subscribers = self.subscribers.borrow_mut();
        if armed.is_empty() && subscribers.is_empty() {
            return None;
        }
        let matches = |a: &Armed| a.point == point && a.key.as_deref().is_none_or(|k| k == key.as_bytes());
        let hold = armed.iter().position(matches).map(|at| armed.swap_remove(at).hold);
        subscribers.retain(|subscriber| {
            if !subscriber.points.is_empty() && !subscriber.points.contains(&point) {
                return true;
            }
            let reached = PointReached {
                node: node.to_owned(),
                name: point.name().to_owned(),
                key: String::from_utf8_lossy(key.as_bytes()).into_owned(),
                op: op.to_string(),
                ballot: ballot.to_string(),
                mono_ns: clock::raw_mono_ns(),
                held: hold.is_some(),
            };
            match subscriber.sender.try_send(reached) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.lost.set(self.lost.get() + 1);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
        hold
    }

    /// Stands still until released, or until the time is over.
    pub(crate) async fn hold(&self, longest: Duration) {
        tokio::select! {
            () = self.released.notified() => {}
            () = tokio::time::sleep(longest) => {}
        }
    }
}

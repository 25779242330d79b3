//! Frames that clients have begun but not finished. Their total size is limited: otherwise a hundred clients that
//! each send all but the last byte of a long frame would tie up memory for a hundred long frames.
//!
//! At the limit, the connection whose frame has been unfinished the longest is closed. A client that sends at an
//! ordinary pace finishes its frame long before it becomes the oldest.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

/// Bytes that each connection may hold without being counted, so that ordinary traffic costs nothing here.
const UNCOUNTED: usize = 16 << 10;

/// The unfinished frames of all client connections of a node.
#[derive(Debug)]
pub(crate) struct PartialFrames {
    limit: usize,
    used: Cell<usize>,
    /// The counted connections, in the order in which they were first counted.
    holders: RefCell<BTreeMap<u64, Rc<Holder>>>,
    next: Cell<u64>,
    /// Number of connections closed at the limit.
    pub(crate) closed: Cell<u64>,
}

/// One counted connection.
#[derive(Debug, Default)]
struct Holder {
    bytes: Cell<usize>,
    evicted: Cell<bool>,
    notify: Notify,
}

/// The share of one connection. Returned to the pool on drop.
#[derive(Debug)]
pub(crate) struct PartialShare {
    frames: Rc<PartialFrames>,
    held: Option<(u64, Rc<Holder>)>,
}

impl PartialFrames {
    pub(crate) fn new(limit: usize) -> Rc<PartialFrames> {
        Rc::new(PartialFrames { limit, used: Cell::new(0), holders: RefCell::default(), next: Cell::new(0), closed: Cell::new(0) })
    }

    /// Bytes currently counted.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// Creates the share of a new connection.
    pub(crate) fn share(self: &Rc<PartialFrames>) -> PartialShare {
        PartialShare { frames: Rc::clone(self), held: None }
    }

    fn evict_oldest(&self) {
        while self.used.get() > self.limit {
            let Some((_, oldest)) = self.holders.borrow_mut().pop_first() else { return };
            self.used.set(self.used.get() - oldest.bytes.take());
            self.closed.set(self.closed.get() + 1);
            oldest.evicted.set(true);
            oldest.notify.notify_one();
        }
    }
}

impl PartialShare {
    /// Records how many bytes the connection holds. Returns `false` if the connection must be closed.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        match &self.held {
            None if bytes <= UNCOUNTED => return true,
            Some((_, holder)) if holder.evicted.get() => return false,
            Some((_, holder)) if holder.bytes.get() == bytes => return true,
            Some(_) if bytes <= UNCOUNTED => {
                self.give_back();
                return true;
            }
            None | Some(_) => {}
        }
        let frames = &self.frames;
        let (_, holder) = self.held.get_or_insert_with(|| {
            let (number, holder) = (frames.next.get(), Rc::<Holder>::default());
            frames.next.set(number + 1);
            frames.holders.borrow_mut().insert(number, Rc::clone(&holder));
            (number, holder)
        });
        frames.used.set(frames.used.get() - holder.bytes.replace(bytes) + bytes);
        frames.evict_oldest();
        !holder.evicted.get()
    }

    /// Waits until the connection must be closed. Never returns for an uncounted connection.
    pub(crate) async fn evicted(&self) {
        match &self.held {
            Some((_, holder)) => holder.notify.notified().await,
            None => std::future::pending().await,
        }
    }

    fn give_back(&mut self) {
        if let Some((number, holder)) = self.held.take()
            && self.frames.holders.borrow_mut().remove(&number).is_some()
        {
            self.frames.used.set(self.frames.used.get() - holder.bytes.get());
        }
    }
}

impl Drop for PartialShare {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unfinished_frame_makes_room() {
        let frames = PartialFrames::new(100 << 10);
        let (mut first, mut second, mut third) = (frames.share(), frames.share(), frames.share());
        assert!(first.set(40 << 10) && second.set(40 << 10));
        // The first is closed, although the third caused the overflow.
        assert!(third.set(40 << 10));
        assert_eq!((frames.used(), frames.closed.get()), (80 << 10, 1));
        assert!(!first.set(41 << 10), "it stays closed");
        drop(first);
        assert_eq!(frames.used(), 80 << 10, "nothing is given back twice");
        drop(second);
        assert!(third.set(UNCOUNTED), "a finished frame is given back");
        assert_eq!(frames.used(), 0);
        // A connection that finishes a frame and begins another one counts as new.
        let mut fourth = frames.share();
        assert!(fourth.set(60 << 10) && third.set(60 << 10));
        assert!(!fourth.set(60 << 10));
    }

    #[test]
    fn a_frame_above_the_limit_closes_its_own_connection() {
        let frames = PartialFrames::new(100 << 10);
        let mut share = frames.share();
        assert!(!share.set(101 << 10));
        drop(share);
        assert_eq!(frames.used(), 0);
    }

    #[test]
    fn short_frames_are_not_counted() {
        let frames = PartialFrames::new(0);
        let mut share = frames.share();
        assert!(share.set(UNCOUNTED));
        assert!(!share.set(UNCOUNTED + 1));
    }
}

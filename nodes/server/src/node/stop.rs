//! Requests to stop a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Asks a node to stop, from any thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopper {
    inner: Arc<StopperInner>,
}

#[derive(Debug, Default)]
struct StopperInner {
    /// 0: keep running; 1: stop cleanly; 2: end as if killed.
    asked: AtomicU8,
    notify: Notify,
}

const STOP: u8 = 1;
const KILL: u8 = 2;

impl Stopper {
    pub(crate) fn stop(&self) {
        self.ask(STOP);
    }

    pub(crate) fn kill(&self) {
        self.ask(KILL);
    }

    fn ask(&self, how: u8) {
        self.inner.asked.fetch_max(how, Ordering::Relaxed);
        self.inner.notify.notify_waiters();
        // Wakes a task that is about to wait.
        self.inner.notify.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.asked.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.inner.asked.load(Ordering::Relaxed) == KILL
    }

    /// Waits until the node is asked to stop.
    pub(crate) async fn stop_requested(&self) {
        while !self.is_stopping() {
            self.inner.notify.notified().await;
        }
    }
}

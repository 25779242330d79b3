//! Listens to every node for lease changes, which are recorded in the history as node events and used to route clients to
//! holders.

use crate::identity::control_with_token;
use heckle_history::{Nanos, NodeIx};
use heckle_paxos::lease::RangeId;
use heckle_server::control::{Client, LeaseChanged};
use heckle_system_api::capability::{NodeEvents, Watch};
use heckle_system_api::launch::NodeSpec;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Interval between attempts to reach a node.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// Time limit for opening a connection. A node that exceeds it is dead or stopped.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Time limit of one wait for events.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// The holder of each range, according to the latest events.
#[derive(Debug, Default)]
struct Holders {
    by_range: Mutex<BTreeMap<u16, (NodeIx, Nanos)>>,
}

impl Holders {
    /// The current holder of a range.
    fn of(&self, range: u16, now: Nanos) -> Option<NodeIx> {
        self.lock().get(&range).filter(|(_, until)| now < *until).map(|(node, _)| *node)
    }

    fn record_change(&self, node: NodeIx, lease: &LeaseChanged, until: Nanos) {
        let mut all = self.lock();
        if lease.what != "lease_ended" {
            all.insert(lease.range, (node, until));
        } else if all.get(&lease.range).is_some_and(|(holder, _)| *holder == node) {
            all.remove(&lease.range);
        }
    }

    fn remove_node(&self, node: NodeIx) {
        self.lock().retain(|_, (holder, _)| *holder != node);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, (NodeIx, Nanos)>> {
        self.by_range.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listening threads, one per node.
pub(crate) struct LeaseWatch {
    ranges: u16,
    holders: Arc<Holders>,
    over: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl LeaseWatch {
    /// Starts the threads.
    ///
    /// # Errors
    /// Fails if no more threads can be started.
    pub(crate) fn start(nodes: &[NodeSpec], ranges: u16, events: &Arc<dyn NodeEvents>) -> std::io::Result<Self> {
        let (holders, over) = (Arc::new(Holders::default()), Arc::new(AtomicBool::new(false)));
        let mut threads = vec![];
        for (i, spec) in nodes.iter().enumerate() {
            let node = NodeIx(i as u16);
            let listener = Listener { node, spec: spec.clone(), events: events.clone(), holders: holders.clone(), over: over.clone() };
            threads.push(std::thread::Builder::new().name("leases".into()).spawn(move || listener.run())?);
        }
        Ok(LeaseWatch { ranges, holders, over, threads: Mutex::new(threads) })
    }
}

impl Watch for LeaseWatch {
    fn group_of(&self, key: &str) -> u16 {
        RangeId::of(&key.into(), self.ranges).0
    }

    fn holder_of(&self, group: u16, now: Nanos) -> Option<NodeIx> {
        self.holders.of(group, now)
    }

    fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// The state of one listening thread.
struct Listener {
    node: NodeIx,
    spec: NodeSpec,
    events: Arc<dyn NodeEvents>,
    holders: Arc<Holders>,
    over: Arc<AtomicBool>,
}

impl Listener {
    fn run(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let connected = control_with_token(&self.spec, CONNECT_TIMEOUT);
            let watching = connected.and_then(|mut client| client.watch_leases().map(|()| client).map_err(|e| e.to_string()));
            if let Ok(client) = watching {
                self.listen(client);
                // The node's leases ended with its process.
                self.holders.remove_node(self.node);
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Listens until the connection ends, at the latest when the node does.
    fn listen(&self, mut client: Client) {
        loop {
            match client.next_lease(READ_TIMEOUT) {
                Ok(Some(lease)) => self.record_event(&lease),
                Ok(None) if self.over.load(Ordering::SeqCst) => return,
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn record_event(&self, lease: &LeaseChanged) {
        // The node's raw clock is the run's clock with a different origin.
        let (from, until) = (self.events.on_run_clock(lease.from_ns), self.events.on_run_clock(lease.until_ns));
        self.holders.record_change(self.node, lease, until);
        let mut detail: BTreeMap<String, Json> = [
            ("range".to_owned(), lease.range.into()),
            ("ballot".to_owned(), lease.ballot.clone().into()),
            ("from_ns".to_owned(), from.0.into()),
            ("until_ns".to_owned(), until.0.into()),
            ("reads".to_owned(), lease.reads.into()),
        ]
        .into();
        if let Some(why) = &lease.why {
            detail.insert("why".to_owned(), why.clone().into());
        }
        self.events.record(&lease.node, &lease.what, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_is_known_until_its_lease_or_process_ends() {
        let holders = Holders::default();
        let lease = |what: &str, range| LeaseChanged {
            node: "n1".into(),
            what: what.into(),
            range,
            ballot: "1.1.n1".into(),
            from_ns: 0,
            until_ns: 0,
            why: None,
            reads: false,
        };
        holders.record_change(NodeIx(0), &lease("lease_acquired", 3), Nanos(100));
        assert_eq!((holders.of(3, Nanos(99)), holders.of(3, Nanos(100)), holders.of(4, Nanos(0))), (Some(NodeIx(0)), None, None));
        holders.record_change(NodeIx(1), &lease("lease_ended", 3), Nanos(50));
        assert_eq!(holders.of(3, Nanos(60)), Some(NodeIx(0)), "another node's end says nothing of this one");
        holders.record_change(NodeIx(0), &lease("lease_ended", 3), Nanos(50));
        assert_eq!(holders.of(3, Nanos(60)), None);
        holders.record_change(NodeIx(0), &lease("lease_extended", 3), Nanos(100));
        holders.remove_node(NodeIx(0));
        assert_eq!(holders.of(3, Nanos(60)), None);
    }
}

//! Listens to every node for changes of its leases: they enter the history as node events, and clients that are routed to holders
//! learn where those are.

use crate::identity::control;
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

/// From one attempt to reach a node to the next.
const RETRY: Duration = Duration::from_millis(20);
/// A node that does not accept within this is down or stopped.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// How long one look for news lasts.
const LOOK: Duration = Duration::from_millis(100);

/// Who holds which range, as far as was heard.
#[derive(Debug, Default)]
struct Holders {
    by_range: Mutex<BTreeMap<u16, (NodeIx, Nanos)>>,
}

impl Holders {
    /// Who holds a range now.
    fn of(&self, range: u16, now: Nanos) -> Option<NodeIx> {
        self.lock().get(&range).filter(|(_, until)| now < *until).map(|(node, _)| *node)
    }

    fn changed(&self, node: NodeIx, lease: &LeaseChanged, until: Nanos) {
        let mut all = self.lock();
        if lease.what != "lease_ended" {
            all.insert(lease.range, (node, until));
        } else if all.get(&lease.range).is_some_and(|(holder, _)| *holder == node) {
            all.remove(&lease.range);
        }
    }

    fn gone(&self, node: NodeIx) {
        self.lock().retain(|_, (holder, _)| *holder != node);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, (NodeIx, Nanos)>> {
        self.by_range.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads that listen, one for each node.
pub(crate) struct LeaseWatch {
    ranges: u16,
    holders: Arc<Holders>,
    over: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl LeaseWatch {
    /// Starts to listen.
    ///
    /// # Errors
    /// If there can be no more threads.
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

/// What a thread needs.
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
            let connected = control(&self.spec.node, self.spec.ask, CONNECT_WITHIN);
            let watching = connected.and_then(|mut client| client.watch_leases().map(|()| client).map_err(|e| e.to_string()));
            if let Ok(client) = watching {
                self.listen(client);
                // What it believed has ended with its process.
                self.holders.gone(self.node);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Until the connection ends, which it does with the node.
    fn listen(&self, mut client: Client) {
        loop {
            match client.next_lease(LOOK) {
                Ok(Some(lease)) => self.note(&lease),
                Ok(None) if self.over.load(Ordering::SeqCst) => return,
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn note(&self, lease: &LeaseChanged) {
        // The node's raw clock is the run's, but for where it counts from.
        let (from, until) = (self.events.on_run_clock(lease.from_ns), self.events.on_run_clock(lease.until_ns));
        self.holders.changed(self.node, lease, until);
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
    fn a_holder_is_known_until_it_ends_is_over_or_is_gone() {
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
        holders.changed(NodeIx(0), &lease("lease_acquired", 3), Nanos(100));
        assert_eq!((holders.of(3, Nanos(99)), holders.of(3, Nanos(100)), holders.of(4, Nanos(0))), (Some(NodeIx(0)), None, None));
        holders.changed(NodeIx(1), &lease("lease_ended", 3), Nanos(50));
        assert_eq!(holders.of(3, Nanos(60)), Some(NodeIx(0)), "another node's end says nothing of this one");
        holders.changed(NodeIx(0), &lease("lease_ended", 3), Nanos(50));
        assert_eq!(holders.of(3, Nanos(60)), None);
        holders.changed(NodeIx(0), &lease("lease_extended", 3), Nanos(100));
        holders.gone(NodeIx(0));
        assert_eq!(holders.of(3, Nanos(60)), None);
    }
}

//! Listens to every node for changes of its leases: they enter the history as node events, and clients that are routed
//! to holders are told where those are.

use super::Cluster;
use crate::clock::RunClock;
use crate::recorder::Recorder;
use crate::system::target::NodeIdentity;
use heckle_faults::Node;
use heckle_history::{Event, Names, Nanos, NodeEvent};
use heckle_server::control::{Client, LeaseChanged};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
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

/// Who holds which range, as far as it was told.
#[derive(Debug, Default)]
pub struct Holders {
    by_range: Mutex<BTreeMap<u16, (Node, Nanos)>>,
}

impl Holders {
    /// Who holds a range now.
    pub fn of(&self, range: u16, now: Nanos) -> Option<Node> {
        self.lock().get(&range).filter(|(_, until)| now < *until).map(|(node, _)| *node)
    }

    fn changed(&self, node: Node, lease: &LeaseChanged, until: Nanos) {
        let mut all = self.lock();
        if lease.what != "lease_ended" {
            all.insert(lease.range, (node, until));
        } else if all.get(&lease.range).is_some_and(|(holder, _)| *holder == node) {
            all.remove(&lease.range);
        }
    }

    fn gone(&self, node: Node) {
        self.lock().retain(|_, (holder, _)| *holder != node);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, (Node, Nanos)>> {
        self.by_range.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads that listen, one a node.
pub struct LeaseWatch {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What a thread needs.
struct Listener {
    node: Node,
    addr: SocketAddr,
    who: Arc<NodeIdentity>,
    clock: RunClock,
    recorder: Recorder,
    names: Arc<Names>,
    holders: Arc<Holders>,
    over: Arc<AtomicBool>,
}

impl LeaseWatch {
    /// Starts to listen.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn start(
        cluster: &Cluster,
        clock: RunClock,
        recorder: &Recorder,
        names: &Arc<Names>,
        holders: &Arc<Holders>,
    ) -> std::io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = vec![];
        for node in (1..=cluster.size()).map(Node) {
            let (recorder, names, holders, over) = (recorder.clone(), names.clone(), holders.clone(), over.clone());
            let (addr, who) = cluster.control_channel(node);
            let listener = Listener { node, addr, who, clock, recorder, names, holders, over };
            threads.push(std::thread::Builder::new().name("leases".into()).spawn(move || listener.run())?);
        }
        Ok(LeaseWatch { over, threads })
    }

    /// Ends when the nodes have told their last words: they must be gone by now.
    pub fn finish(self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

impl Listener {
    fn run(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let connected = self.who.control(self.addr, CONNECT_WITHIN);
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
        let since_start = |raw_ns: u64| Nanos(raw_ns.saturating_sub(self.clock.origin_ns()));
        let (from, until) = (since_start(lease.from_ns), since_start(lease.until_ns));
        self.holders.changed(self.node, lease, until);
        let Some((node, _)) = self.names.nodes().find(|(_, name)| *name == lease.node) else { return };
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
        let what = lease.what.as_str().into();
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what, detail }));
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
        holders.changed(Node(1), &lease("lease_acquired", 3), Nanos(100));
        assert_eq!((holders.of(3, Nanos(99)), holders.of(3, Nanos(100)), holders.of(4, Nanos(0))), (Some(Node(1)), None, None));
        holders.changed(Node(2), &lease("lease_ended", 3), Nanos(50));
        assert_eq!(holders.of(3, Nanos(60)), Some(Node(1)), "another node's end says nothing of this one");
        holders.changed(Node(1), &lease("lease_ended", 3), Nanos(50));
        assert_eq!(holders.of(3, Nanos(60)), None);
        holders.changed(Node(1), &lease("lease_extended", 3), Nanos(100));
        holders.gone(Node(1));
        assert_eq!(holders.of(3, Nanos(60)), None);
    }
}

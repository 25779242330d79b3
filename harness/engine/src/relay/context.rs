//! State shared by all connections of the relay: poller, rules, counters, timers, clock and read buffer.

use heckle_system_api::capability::{Framing, Greeting};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::poll::Poller;
use super::rules::{LinkId, Rules};
use super::{Flow, Stats};

/// Size of one read from a socket, in bytes.
pub(super) const READ_BYTES: usize = 256 << 10;
/// A frame with more than this many bytes present or missing is collected in a separate buffer instead of being
/// copied in front of each new read.
pub(super) const LARGE_BYTES: usize = READ_BYTES / 2;

/// The target of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerOwner {
    /// A direction of a connection, by connection id and index.
    Direction(u64, usize),
    /// A listener that could not accept because the process had run out of descriptors.
    Port(usize),
    /// Listeners that are open only while their targets listen.
    FollowingPorts,
}

/// State shared by all connections. Only the relay's thread uses it.
pub(super) struct Context {
    pub(super) poller: Poller,
    pub(super) rules: Rules,
    /// Finds the ends of messages.
    pub(super) framing: Arc<dyn Framing>,
    /// Finds the addresses that diallers advertise, in a byte relay.
    pub(super) greeting: Option<Arc<dyn Greeting>>,
    /// The relay's port for each target.
    pub(super) relayed: BTreeMap<SocketAddr, SocketAddr>,
    flows: Vec<(LinkId, Flow)>,
    pub(super) timers: BTreeSet<(u64, TimerOwner)>,
    pub(super) stats: Stats,
    origin: Instant,
    /// Read buffer. The start of an incomplete frame from the previous read comes before the new bytes.
    pub(super) scratch: Vec<u8>,
}

impl Context {
    pub(super) fn new(poller: Poller, rules: Rules, framing: Arc<dyn Framing>) -> Context {
        let scratch = vec![0; LARGE_BYTES + READ_BYTES];
        let (timers, stats) = (BTreeSet::new(), Stats::default());
        Context {
            poller,
            rules,
            framing,
            greeting: None,
            relayed: BTreeMap::new(),
            flows: vec![],
            timers,
            stats,
            origin: Instant::now(),
            scratch,
        }
    }

    /// Returns nanoseconds since the start of the relay.
    pub(super) fn now(&self) -> u64 {
        // 2^64 ns are 584 years.
        self.origin.elapsed().as_nanos() as u64
    }

    pub(super) fn flow(&mut self, link: LinkId) -> &mut Flow {
        let at = match self.flows.binary_search_by_key(&link, |(id, _)| *id) {
            Ok(at) => at,
            Err(at) => {
                self.flows.insert(at, (link, Flow::default()));
                at
            }
        };
        &mut self.flows[at].1
    }

    /// Counts pieces and bytes that a receiver accepted.
    pub(super) fn count(&mut self, flow: Option<LinkId>, pieces: u64, bytes: usize) {
        if let Some(link) = flow {
            let flow = self.flow(link);
            flow.bytes += bytes as u64;
            if pieces > 0 {
                flow.frames += pieces;
                flow.last = Some(Instant::now());
            }
        }
    }
}

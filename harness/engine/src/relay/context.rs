//! What all connections of the relay share: poller, rules, counters, timers, clock and read buffer.

use heckle_system_api::capability::Framing;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::poll::Poller;
use super::rules::{LinkId, Rules};
use super::{Flow, Stats};

/// Bytes asked of a socket in one read.
pub(super) const READ_BYTES: usize = 256 << 10;
/// A frame that has, or lacks, more than this is collected in a buffer of its own, instead of being copied in
/// front of the next read again and again.
pub(super) const LARGE_BYTES: usize = READ_BYTES / 2;

/// Whom a timer wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sleeper {
    /// A direction of a connection.
    Way(u64, usize),
    /// A door that could not accept for want of descriptors.
    Door(usize),
    /// Doors that are open only while their targets listen.
    Doors,
}

/// What all connections share; everything in it belongs to the relay's one thread.
pub(super) struct Context {
    pub(super) poller: Poller,
    pub(super) rules: Rules,
    /// Where a message ends.
    pub(super) framing: Arc<dyn Framing>,
    flows: Vec<(LinkId, Flow)>,
    pub(super) timers: BTreeSet<(u64, Sleeper)>,
    pub(super) stats: Stats,
    origin: Instant,
    /// Where reads land, behind the start of a frame that was kept from the read before.
    pub(super) scratch: Vec<u8>,
}

impl Context {
    pub(super) fn new(poller: Poller, rules: Rules, framing: Arc<dyn Framing>) -> Context {
        let scratch = vec![0; LARGE_BYTES + READ_BYTES];
        let (timers, stats) = (BTreeSet::new(), Stats::default());
        Context { poller, rules, framing, flows: vec![], timers, stats, origin: Instant::now(), scratch }
    }

    /// Nanoseconds since the relay began.
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

    /// Counts pieces and bytes that a receiver took.
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

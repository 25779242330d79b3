//! The simulated network: delivery, delay and loss of messages.

use crate::config::LinkConfig;
use heckle_paxos::Body;
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};

/// The links between nodes. Nodes are counted from 0.
#[derive(Debug)]
pub struct Net {
    config: LinkConfig,
    /// Directed links that drop all messages.
    cut: BTreeSet<(usize, usize)>,
    /// Directed links with an additional delay, in nanoseconds.
    late: BTreeMap<(usize, usize), u64>,
    /// Number of messages sent.
    pub sent: u64,
    /// Number of messages lost, at random or because of a cut link.
    pub lost: u64,
    /// Number of duplicates delivered.
    pub doubled: u64,
}

/// Arrival times of the copies of one message: two, one or none.
pub type Arrivals = [Option<u64>; 2];

impl Net {
    /// Creates a network without cuts.
    #[must_use]
    pub fn new(config: LinkConfig) -> Self {
        Self { config, cut: BTreeSet::new(), late: BTreeMap::new(), sent: 0, lost: 0, doubled: 0 }
    }

    /// Cuts a directed link.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Restores a directed link.
    pub fn restore(&mut self, from: usize, to: usize) {
        self.cut.remove(&(from, to));
    }

    /// Adds a delay to a directed link. Zero removes it.
    pub fn slow(&mut self, from: usize, to: usize, late_ns: u64) {
        self.late.insert((from, to), late_ns);
    }

    /// Stops message loss, duplicates and delays from now on, and restores all links.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.late.clear();
        self.config.loss_ppm = 0;
        self.config.learn_loss_ppm = 0;
        self.config.duplicate_ppm = 0;
        self.config.slow_ppm = 0;
    }

    /// Sends a message, and returns the arrival times of its copies. Delays are drawn for each copy, so messages can
    /// overtake each other.
    pub fn send<R: Rng>(&mut self, from: usize, to: usize, body: &Body, now_ns: u64, rng: &mut R) -> Arrivals {
        let learn_ppm = if matches!(body, Body::Learn { .. } | Body::Chosen) { self.config.learn_loss_ppm } else { 0 };
        self.deliver(from, to, learn_ppm, now_ns, rng)
    }

    /// Sends a lease message.
    pub fn send_lease<R: Rng>(&mut self, from: usize, to: usize, now_ns: u64, rng: &mut R) -> Arrivals {
        self.deliver(from, to, 0, now_ns, rng)
    }

    fn deliver<R: Rng>(&mut self, from: usize, to: usize, learn_ppm: u32, now_ns: u64, rng: &mut R) -> Arrivals {
        self.sent += 1;
        if self.cut.contains(&(from, to)) || chance(self.config.loss_ppm, rng) || chance(learn_ppm, rng) {
            self.lost += 1;
            return [None, None];
        }
        let now_ns = now_ns + self.late.get(&(from, to)).copied().unwrap_or(0);
        let first = Some(now_ns + self.delay(rng));
        if chance(self.config.duplicate_ppm, rng) {
            self.doubled += 1;
            return [first, Some(now_ns + self.delay(rng))];
        }
        [first, None]
    }

    fn delay<R: Rng>(&self, rng: &mut R) -> u64 {
        let config = &self.config;
        if chance(config.slow_ppm, rng) {
            return rng.random_range(config.delay_max_ns..=config.slow_max_ns.max(config.delay_max_ns));
        }
        rng.random_range(config.delay_min_ns..=config.delay_max_ns)
    }
}

fn chance<R: Rng>(ppm: u32, rng: &mut R) -> bool {
    ppm > 0 && rng.random_range(0..1_000_000) < ppm
}

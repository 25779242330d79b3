//! The measured effects of rules on links.
//!
//! A fault that left no trace in the traffic tested nothing. Every effect therefore counts each change as it
//! happens, and an effect without traffic has empty evidence.

use std::collections::BTreeMap;

use heckle_faults::{Link, LinkEffect};
use serde_json::{Value, json};

/// Measured waiting time of delayed frames inside the relay, from read to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeasuredDelay {
    /// Median, microseconds.
    pub p50_us: u64,
    /// 99th percentile, microseconds.
    pub p99_us: u64,
    /// Longest, microseconds.
    pub max_us: u64,
}

/// Unit of the frame counters: whole messages, or bytes for a protocol whose messages the relay cannot parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CountUnit {
    /// Whole messages.
    #[default]
    Frames,
    /// Bytes of a stream.
    Bytes,
}

/// Evidence of one fault. On a byte link, the frame counters count bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The unit of the frame counters.
    pub counted: CountUnit,
    /// The effects of the fault.
    pub effects: Vec<LinkEffect>,
    /// Frames that a cut blocked.
    pub blocked_frames: u64,
    /// Blocked frames that were held for delivery at heal (client links, handshakes); the others were dropped.
    pub held_frames: u64,
    /// Connections dialled during a cut.
    pub blocked_connections: u64,
    /// Frames that left after a delay.
    pub delayed_frames: u64,
    /// The waiting time of those frames.
    pub measured_delay: Option<MeasuredDelay>,
    /// Delayed frames that left early, because the delay was removed.
    pub released_early: u64,
    /// Frames that left after waiting for the rate limit of a slow link.
    pub slowed_frames: u64,
    /// Frames dropped.
    pub dropped_frames: u64,
    /// Duplicate copies that left.
    pub duplicated_frames: u64,
    /// Frames that left after at least one later frame.
    pub reordered_frames: u64,
    /// Frames in which a bit was flipped.
    pub corrupted_frames: u64,
    /// Connections reset.
    pub resets: u64,
    /// Connections that were accepted and not answered.
    pub hung_connections: u64,
    /// Frames that left on the affected links during the fault.
    pub passed_frames: u64,
    /// How often each link was affected; unaffected links are absent.
    pub strikes: BTreeMap<Link, u64>,
    /// Bytes held, delayed or slowed on each link of a byte relay.
    pub bytes: BTreeMap<Link, u64>,
}

impl Evidence {
    /// Whether the fault changed anything at all. A blocked dial counts, since it kept a link from opening.
    pub fn shows_effect(&self) -> bool {
        !self.strikes.is_empty()
    }

    /// Adds the evidence of another rule of the same fault.
    pub(super) fn add(&mut self, other: &Evidence) {
        self.effects.extend(&other.effects);
        self.blocked_frames += other.blocked_frames;
        self.held_frames += other.held_frames;
        self.blocked_connections += other.blocked_connections;
        self.delayed_frames += other.delayed_frames;
        self.measured_delay = self.measured_delay.max(other.measured_delay);
        self.released_early += other.released_early;
        self.slowed_frames += other.slowed_frames;
        self.dropped_frames += other.dropped_frames;
        self.duplicated_frames += other.duplicated_frames;
        self.reordered_frames += other.reordered_frames;
        self.corrupted_frames += other.corrupted_frames;
        self.resets += other.resets;
        self.hung_connections += other.hung_connections;
        self.passed_frames += other.passed_frames;
        self.counted = other.counted;
        for (mine, theirs) in [(&mut self.strikes, &other.strikes), (&mut self.bytes, &other.bytes)] {
            for (link, n) in theirs {
                *mine.entry(*link).or_default() += n;
            }
        }
    }

    /// Returns the evidence for the history: the counters that its effects can change, even if they are zero.
    pub fn to_json(&self) -> BTreeMap<String, Value> {
        let (frames, is_bytes) = match self.counted {
            CountUnit::Frames => ("frames", false),
            CountUnit::Bytes => ("bytes", true),
        };
        let mut out = BTreeMap::from([(format!("passed_{frames}"), json!(self.passed_frames))]);
        let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
        for effect in &self.effects {
            match effect {
                LinkEffect::Cut => {
                    if !is_bytes {
                        put("blocked_frames", json!(self.blocked_frames));
                    }
                    put(&format!("held_{frames}"), json!(self.held_frames));
                    put("blocked_connections", json!(self.blocked_connections));
                }
                LinkEffect::Delay { .. } => {
                    put(&format!("delayed_{frames}"), json!(self.delayed_frames));
                    put("released_early", json!(self.released_early));
                    if let Some(measured) = self.measured_delay {
                        put("delay_p50_us", json!(measured.p50_us));
                        put("delay_p99_us", json!(measured.p99_us));
                        put("delay_max_us", json!(measured.max_us));
                    }
                }
                LinkEffect::Slow { .. } => {
                    put(&format!("slowed_{frames}"), json!(self.slowed_frames));
                    put("released_early", json!(self.released_early));
                }
                LinkEffect::Loss { .. } => put("dropped_frames", json!(self.dropped_frames)),
                LinkEffect::Duplicate { .. } => put("duplicated_frames", json!(self.duplicated_frames)),
                LinkEffect::Reorder { .. } => put("reordered_frames", json!(self.reordered_frames)),
                LinkEffect::Corrupt { .. } => put("corrupted_frames", json!(self.corrupted_frames)),
                LinkEffect::Reset => put("resets", json!(self.resets)),
                LinkEffect::Hang => {
                    put("resets", json!(self.resets));
                    put("hung_connections", json!(self.hung_connections));
                }
            }
        }
        let by_link = |figures: &BTreeMap<Link, u64>| Value::Object(figures.iter().map(|(link, n)| (link.to_string(), json!(n))).collect());
        put("strikes_by_link", by_link(&self.strikes));
        if is_bytes {
            put("bytes_by_link", by_link(&self.bytes));
        }
        out
    }
}

//! What a rule does to a link, and what it is shown to have done.
//!
//! A fault that left no trace in the traffic tested nothing. So every effect counts what it really changed, at the
//! moment it changed it, and an effect that met no traffic has empty evidence.

use std::collections::BTreeMap;

use heckle_faults::{Link, LinkEffect};
use serde_json::{Value, json};

/// How long the delayed frames really waited inside the relay, from read to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeasuredDelay {
    /// Median, microseconds.
    pub p50_us: u64,
    /// 99th percentile, microseconds.
    pub p99_us: u64,
    /// Longest, microseconds.
    pub max_us: u64,
}

/// What the figures of frames count: where no message begins or ends, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counted {
    /// Whole messages.
    #[default]
    Frames,
    /// Bytes of a stream.
    Bytes,
}

/// What the effects of one fault did. On a link that carries bytes each figure of frames counts bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// What figures of frames count.
    pub counted: Counted,
    /// The effects it had.
    pub effects: Vec<LinkEffect>,
    /// Frames that a cut stopped.
    pub blocked_frames: u64,
    /// Of these, the ones held for delivery at heal (client links, handshakes); the rest is gone.
    pub held_frames: u64,
    /// Connections dialled into a cut.
    pub blocked_connections: u64,
    /// Frames that left after a delay.
    pub delayed_frames: u64,
    /// How long those waited.
    pub measured_delay: Option<MeasuredDelay>,
    /// Delayed frames let out early, because the delay was lifted.
    pub released_early: u64,
    /// Frames that left after they had waited for their turn on a slow link.
    pub slowed_frames: u64,
    /// Frames lost.
    pub dropped_frames: u64,
    /// Second copies that left.
    pub duplicated_frames: u64,
    /// Frames that left after at least one younger frame.
    pub reordered_frames: u64,
    /// Connections reset.
    pub resets: u64,
    /// Frames that left on the struck links while the effects were on.
    pub passed_frames: u64,
    /// How often each link was struck; a link that is missing was not.
    pub strikes: BTreeMap<Link, u64>,
    /// Bytes held, delayed or slowed on each link, where bytes are counted.
    pub bytes: BTreeMap<Link, u64>,
}

impl Evidence {
    /// Whether the fault changed anything at all. A blocked dial counts: it kept a link from coming up.
    pub fn shows_effect(&self) -> bool {
        !self.strikes.is_empty()
    }

    /// Adds what another rule of the same fault did.
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
        self.resets += other.resets;
        self.passed_frames += other.passed_frames;
        self.counted = other.counted;
        for (mine, theirs) in [(&mut self.strikes, &other.strikes), (&mut self.bytes, &other.bytes)] {
            for (link, n) in theirs {
                *mine.entry(*link).or_default() += n;
            }
        }
    }

    /// For the history: the counters that its effects can move, also when they are zero.
    pub fn to_json(&self) -> BTreeMap<String, Value> {
        let (frames, is_bytes) = match self.counted {
            Counted::Frames => ("frames", false),
            Counted::Bytes => ("bytes", true),
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
                LinkEffect::Reset => put("resets", json!(self.resets)),
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

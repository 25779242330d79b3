//! The clocks of a node: integer arithmetic on the world's true time, which makes runs exactly reproducible.

use heckle_paxos::{MonoTime, WallTime};

/// Initial wall-clock time of every world, in microseconds since 1970.
const EPOCH_US: i128 = 1_800_000_000_000_000;
const MILLION: i128 = 1_000_000;

/// The clocks of one node.
#[derive(Debug, Clone, Copy)]
pub struct NodeClock {
    /// Offset of the wall clock from the true time, in microseconds.
    pub offset_us: i64,
    /// Drift of the monotonic clock in parts per million. Positive values are fast.
    pub drift_ppm: i32,
    /// Resolution of the wall clock in microseconds.
    pub resolution_us: u64,
}

impl NodeClock {
    /// The reading of the monotonic clock at a true time.
    #[must_use]
    pub fn mono(&self, now_ns: u64) -> MonoTime {
        let now = i128::from(now_ns);
        MonoTime((now + now * i128::from(self.drift_ppm) / MILLION).try_into().unwrap_or(0))
    }

    /// The first true time at which the monotonic clock shows at least `at`.
    #[must_use]
    pub fn when(&self, at: MonoTime) -> u64 {
        let rate = MILLION + i128::from(self.drift_ppm);
        // Division rounds both here and in `mono`, so start slightly too low and search upwards.
        let mut now = (i128::from(at.0) * MILLION / rate - 2).max(0);
        while u64::try_from(now).is_ok_and(|now| self.mono(now) < at) {
            now += 1;
        }
        now.try_into().unwrap_or(u64::MAX)
    }

    /// The reading of the wall clock at a true time.
    #[must_use]
    pub fn wall(&self, now_ns: u64) -> WallTime {
        let us = EPOCH_US + i128::from(now_ns / 1000) + i128::from(self.offset_us);
        let resolution = i128::from(self.resolution_us.max(1));
        WallTime((us / resolution * resolution).try_into().unwrap_or(0))
    }
}

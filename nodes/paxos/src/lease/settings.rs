//! Lease settings: duration, clock drift, number of ranges.

/// What a holder may do under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseMode {
    /// No leases.
    Off,
    /// Progress only: while a lease runs, grantors refuse the *prepares* of other nodes. Safe with any clock, since
    /// accepts are decided by ballots alone.
    Priority,
    /// The holder may also read from its own row without contacting other nodes: grantors refuse the prepares *and*
    /// accepts of other nodes. Safe while clocks stay within the drift bound.
    Read,
}

impl LeaseMode {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LeaseMode::Off => "off",
            LeaseMode::Priority => "priority",
            LeaseMode::Read => "read",
        }
    }
}

/// How a coordinator handles an operation on a range held by another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// It waits until the range is free. In this mode, a holder releases a range soon after learning that other nodes
    /// are waiting.
    Off,
    /// It forwards the operation to the holder.
    On,
}

impl Forward {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Forward::Off => "off",
            Forward::On => "on",
        }
    }
}

/// Lease settings. They must be the same on all nodes of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSettings {
    /// What a holder may do under a lease.
    pub mode: LeaseMode,
    /// Duration of a grant by the grantor's clock, in nanoseconds.
    pub time_ns: u64,
    /// Drift bound rho, in parts per million: no monotonic clock runs faster than `1 + rho` or slower than `1 - rho`.
    pub drift_ppm: u32,
    /// Number of ranges into which keys are divided.
    pub ranges: u16,
    /// How operations on ranges held by other nodes are handled.
    pub forward: Forward,
}

/// Shortest lease in nanoseconds. A shorter lease would spend all its time on requests.
pub const MIN_LEASE_NS: u64 = 10_000_000;
/// Longest lease in nanoseconds, ten minutes: a restarted grantor refuses requests for this long.
pub const MAX_LEASE_NS: u64 = 600_000_000_000;
/// Largest drift bound in parts per million: with clock rates off by half, a holder can use a third of the granted
/// time.
pub const MAX_DRIFT_PPM: u32 = 500_000;
/// Largest number of ranges.
pub const MAX_RANGES: u16 = 4_096;

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { mode: LeaseMode::Off, time_ns: 2_000_000_000, drift_ppm: 1_000, ranges: 16, forward: Forward::Off }
    }
}

impl LeaseSettings {
    /// How long a holder may rely on a grant, by its own clock: `T (1 - rho) / (1 + rho)`, in nanoseconds.
    ///
    /// The holder's clock may run at `1 - rho` and the grantor's at `1 + rho`. Then a duration `t` on the holder's
    /// clock takes `t / (1 - rho)` of real time, and `T` on the grantor's only `T / (1 + rho)`.
    #[must_use]
    pub fn usable_ns(&self) -> u64 {
        let rho = u128::from(self.drift_ppm);
        let scaled = u128::from(self.time_ns) * (1_000_000 - rho.min(1_000_000)) / (1_000_000 + rho);
        u64::try_from(scaled).expect("at most the lease time")
    }

    /// Length of a turn, in nanoseconds. A holder keeps a range for at least this long after acquiring it, even if
    /// other nodes are waiting, and a waiting node retries about this often. It is a sixteenth of the lease time:
    /// several nodes must get a turn within one lease time, and a turn must be worth its cost of two round trips.
    #[must_use]
    pub fn turn_ns(&self) -> u64 {
        self.time_ns / 16
    }

    /// The limits that these settings impose on grants, and so on this node's wait after a restart.
    #[must_use]
    pub fn limits(&self) -> LeaseLimits {
        match self.mode {
            LeaseMode::Off => LeaseLimits::default(),
            LeaseMode::Priority => LeaseLimits { longest_ns: self.time_ns, longest_read_ns: 0 },
            LeaseMode::Read => LeaseLimits { longest_ns: self.time_ns, longest_read_ns: self.time_ns },
        }
    }
}

/// The longest leases that a node can ever have granted. Durable before the first grant; a restarted node waits this
/// long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LeaseLimits {
    /// Longest lease of any kind, in nanoseconds. No lease is granted for longer.
    pub longest_ns: u64,
    /// Longest lease under which the holder may read its own row, in nanoseconds.
    pub longest_read_ns: u64,
}

impl LeaseLimits {
    /// The maximum of each field.
    #[must_use]
    pub fn max(self, other: LeaseLimits) -> LeaseLimits {
        LeaseLimits { longest_ns: self.longest_ns.max(other.longest_ns), longest_read_ns: self.longest_read_ns.max(other.longest_read_ns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_time_is_shorter_than_the_grant() {
        for (drift_ppm, expected) in [(0, 1_000_000), (1_000, 998_001), (200_000, 666_666), (500_000, 333_333)] {
            let settings = LeaseSettings { time_ns: 1_000_000, drift_ppm, ..LeaseSettings::default() };
            assert_eq!(settings.usable_ns(), expected);
            // By real time, with the slowest holder and the fastest grantor.
            let held = expected as f64 / (1.0 - f64::from(drift_ppm) / 1e6);
            let granted = 1e6 / (1.0 + f64::from(drift_ppm) / 1e6);
            assert!(held <= granted + 1e-6, "{drift_ppm}: {held} > {granted}");
        }
    }

    #[test]
    fn limits_never_shrink() {
        let read = LeaseSettings { mode: LeaseMode::Read, time_ns: 5, ..LeaseSettings::default() }.limits();
        let later = LeaseSettings { mode: LeaseMode::Priority, time_ns: 3, ..LeaseSettings::default() }.limits();
        assert_eq!(read.max(later), LeaseLimits { longest_ns: 5, longest_read_ns: 5 });
        assert_eq!(LeaseSettings::default().limits(), LeaseLimits::default());
    }
}

//! How long a lease is, how exact clocks are, how many ranges there are.

/// What a lease is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseMode {
    /// No leases.
    Off,
    /// Progress only: while a lease runs, grantors turn away the *prepares* of others. Safe under any clock, since
    /// accepts are judged by ballots alone.
    Priority,
    /// The holder may also read from its own row, without a quorum: grantors turn away others' prepares *and*
    /// accepts. Safe while clocks keep the drift bound.
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

/// What a coordinator does with an operation on a range that another node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// It waits until the range is free. Holders then give a range back soon after they hear that others wait.
    Off,
    /// It hands the operation to the holder.
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

/// Settings of leases. All nodes of a cluster need the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSettings {
    /// What leases are for.
    pub mode: LeaseMode,
    /// How long a grant lasts by the grantor's clock.
    pub time_ns: u64,
    /// Drift bound rho, parts per million: no monotonic clock runs faster than `1 + rho` or slower than `1 - rho`.
    pub drift_ppm: u32,
    /// Into how many ranges keys fall.
    pub ranges: u16,
    /// What is done with operations on ranges of others.
    pub forward: Forward,
}

/// Shortest lease: below it, all time goes into asking.
pub const MIN_LEASE_NS: u64 = 10_000_000;
/// Longest lease, ten minutes: a restarted grantor refuses for as long.
pub const MAX_LEASE_NS: u64 = 600_000_000_000;
/// Largest drift bound: with clocks off by half, a holder has a third of the time that is granted.
pub const MAX_DRIFT_PPM: u32 = 500_000;
/// Most ranges.
pub const MAX_RANGES: u16 = 4_096;

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { mode: LeaseMode::Off, time_ns: 2_000_000_000, drift_ppm: 1_000, ranges: 16, forward: Forward::Off }
    }
}

impl LeaseSettings {
    /// How long a holder may believe in a grant, by its own clock: `T (1 - rho) / (1 + rho)`.
    ///
    /// The holder's clock may run at `1 - rho` and the grantor's at `1 + rho`: then `t` on the first takes
    /// `t / (1 - rho)` of real time, and `T` on the second only `T / (1 + rho)`.
    #[must_use]
    pub fn believed_ns(&self) -> u64 {
        let rho = u128::from(self.drift_ppm);
        let scaled = u128::from(self.time_ns) * (1_000_000 - rho.min(1_000_000)) / (1_000_000 + rho);
        u64::try_from(scaled).expect("at most the lease time")
    }

    /// A holder that hears of others waiting keeps a range at least this long from when it got it, and a node that
    /// waits asks again about this often. A sixteenth: several nodes must get their turn within the time of a
    /// lease, and a turn must be worth its price of two round trips.
    #[must_use]
    pub fn turn_ns(&self) -> u64 {
        self.time_ns / 16
    }

    /// What this node may have to wait for after a restart, because of these settings.
    #[must_use]
    pub fn limits(&self) -> LeaseLimits {
        match self.mode {
            LeaseMode::Off => LeaseLimits::default(),
            LeaseMode::Priority => LeaseLimits { longest_ns: self.time_ns, longest_read_ns: 0 },
            LeaseMode::Read => LeaseLimits { longest_ns: self.time_ns, longest_read_ns: self.time_ns },
        }
    }
}

/// The longest leases that a node can have granted in its life: durable before the first grant, and what it waits for
/// after a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LeaseLimits {
    /// Longest lease of any kind; no lease is granted for longer.
    pub longest_ns: u64,
    /// Longest lease under which the holder may read its own row.
    pub longest_read_ns: u64,
}

impl LeaseLimits {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: LeaseLimits) -> LeaseLimits {
        LeaseLimits { longest_ns: self.longest_ns.max(other.longest_ns), longest_read_ns: self.longest_read_ns.max(other.longest_read_ns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_believes_less_than_it_is_granted() {
        for (drift_ppm, expected) in [(0, 1_000_000), (1_000, 998_001), (200_000, 666_666), (500_000, 333_333)] {
            let settings = LeaseSettings { time_ns: 1_000_000, drift_ppm, ..LeaseSettings::default() };
            assert_eq!(settings.believed_ns(), expected);
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

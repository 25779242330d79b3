//! The only place where a node reads the time, so that a nemesis can skew it.
//!
//! The core sees the skewed time. Times in logs and in messages to the harness are raw `CLOCK_MONOTONIC` readings,
//! which all processes on a machine share. The core's monotonic time is `CLOCK_BOOTTIME`, which also advances while
//! the machine sleeps: a lease must not outlive its real duration.

use heckle_paxos::{MonoTime, WallTime};

/// Reads the raw `CLOCK_MONOTONIC`, in nanoseconds.
pub(crate) fn raw_mono_ns() -> u64 {
    read_ns(libc::CLOCK_MONOTONIC)
}

/// Reads the raw wall clock, in microseconds since 1970.
pub(crate) fn raw_wall_us() -> u64 {
    read_ns(libc::CLOCK_REALTIME) / 1_000
}

fn raw_boot_ns() -> u64 {
    read_ns(libc::CLOCK_BOOTTIME)
}

fn read_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer refers to a timespec on this stack.
    let status = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(status, 0, "the clocks used exist on every Linux since 2.6.39");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How the clocks are skewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClockSkew {
    /// Added to the wall clock, in microseconds.
    pub(crate) offset_us: i64,
    /// How fast both clocks run, in parts per million above real time (negative: slow).
    pub(crate) drift_ppm: i64,
    /// Whether both clocks are stopped.
    pub(crate) frozen: bool,
}

/// Maximum drift in either direction, in parts per million: a clock at half or one and a half times its speed.
pub(crate) const MAX_DRIFT_PPM: i64 = 500_000;

/// The clocks that the node sees.
#[derive(Debug)]
pub(crate) struct ClockSeam {
    falsified: ClockSkew,
    /// Raw and skewed monotonic time at the last change.
    base_raw_ns: u64,
    base_ns: u64,
    /// Nanoseconds added to the wall clock by drift and freezes before the last change.
    drifted_ns: i64,
}

impl ClockSeam {
    pub(crate) fn new() -> ClockSeam {
        let raw = raw_boot_ns();
        ClockSeam { falsified: ClockSkew::default(), base_raw_ns: raw, base_ns: raw, drifted_ns: 0 }
    }

    /// Reads the monotonic clock. It never goes backwards, whatever the settings.
    pub(crate) fn mono(&self) -> MonoTime {
        MonoTime(self.mono_at(raw_boot_ns()))
    }

    fn mono_at(&self, raw_ns: u64) -> u64 {
        let passed = raw_ns.saturating_sub(self.base_raw_ns);
        self.base_ns.saturating_add_signed(passed as i64 + self.drift_ns(passed))
    }

    /// Nanoseconds that a skewed clock has gained over the real one, `passed_ns` after the last change.
    fn drift_ns(&self, passed_ns: u64) -> i64 {
        let passed = i128::from(passed_ns);
        let gained = if self.falsified.frozen { -passed } else { passed * i128::from(self.falsified.drift_ppm) / 1_000_000 };
        gained as i64
    }

    /// Reads the wall clock.
    pub(crate) fn wall(&self) -> WallTime {
        WallTime(raw_wall_us().saturating_add_signed(self.offset_us()))
    }

    /// Skewed minus real wall clock, in microseconds.
    pub(crate) fn offset_us(&self) -> i64 {
        let passed = raw_boot_ns().saturating_sub(self.base_raw_ns);
        self.falsified.offset_us + (self.drifted_ns + self.drift_ns(passed)) / 1_000
    }

    pub(crate) fn drift_ppm(&self) -> i64 {
        self.falsified.drift_ppm
    }

    /// Skews the clocks from now on. A change of the offset makes the wall clock jump. The drift accumulated so far
    /// remains unless everything is reset.
    pub(crate) fn set(&mut self, falsified: ClockSkew) {
        let raw = raw_boot_ns();
        let passed = raw.saturating_sub(self.base_raw_ns);
        self.base_ns = self.mono_at(raw);
        self.drifted_ns += self.drift_ns(passed);
        self.base_raw_ns = raw;
        if falsified == ClockSkew::default() {
            // The fault is healed, so the wall clock is correct again. The monotonic clock keeps its value, since it
            // must not go backwards.
            self.drifted_ns = 0;
        }
        self.falsified = falsified;
    }

    /// Real nanoseconds until the skewed monotonic clock reaches `at`, or `None` if it never will with the current
    /// settings.
    pub(crate) fn real_ns_until(&self, at: MonoTime) -> Option<u64> {
        let wait = at.since_ns(self.mono());
        if wait == 0 {
            return Some(0);
        }
        if self.falsified.frozen {
            return None;
        }
        let speed = 1_000_000 + self.falsified.drift_ppm;
        Some((u128::from(wait) * 1_000_000).div_ceil(speed as u128) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;
    use std::time::Duration;

    #[track_caller]
    fn assert_near(got: i64, expected: i64, within: i64) {
        assert!((got - expected).abs() <= within, "{got} is not within {within} of {expected}");
    }

    #[test]
    fn the_wall_clock_jumps_and_heals() {
        let mut clock = ClockSeam::new();
        assert_near(clock.offset_us(), 0, 0);
        for offset_us in [3_600_000_000, -3_600_000_000, 5] {
            clock.set(ClockSkew { offset_us, ..ClockSkew::default() });
            assert_eq!(clock.offset_us(), offset_us);
            assert_near(clock.wall().0 as i64 - raw_wall_us() as i64, offset_us, 100_000);
        }
        clock.set(ClockSkew::default());
        assert_eq!(clock.offset_us(), 0);
    }

    #[test]
    fn drift_affects_both_clocks_and_mono_never_goes_back() {
        let mut clock = ClockSeam::new();
        let mut last = clock.mono();
        for drift_ppm in [500_000, -500_000, 0] {
            clock.set(ClockSkew { drift_ppm, ..ClockSkew::default() });
            let (begin, raw_begin, offset_begin) = (clock.mono(), raw_boot_ns(), clock.offset_us());
            assert!(begin >= last);
            sleep(Duration::from_millis(20));
            let (end, raw_end) = (clock.mono(), raw_boot_ns());
            let gained_ns = end.since_ns(begin) as i64 - (raw_end - raw_begin) as i64;
            assert_near(gained_ns, (raw_end - raw_begin) as i64 * drift_ppm / 1_000_000, 3_000_000);
            assert_near(clock.offset_us() - offset_begin, gained_ns / 1_000, 3_000);
            last = end;
        }
    }

    #[test]
    fn timers_follow_the_falsified_clock() {
        let mut clock = ClockSeam::new();
        clock.set(ClockSkew { drift_ppm: 500_000, ..ClockSkew::default() });
        let wait = clock.real_ns_until(clock.mono().after_ns(150_000_000)).unwrap();
        assert_near(wait as i64, 100_000_000, 2_000_000);
        clock.set(ClockSkew { frozen: true, ..ClockSkew::default() });
        assert_eq!(clock.real_ns_until(clock.mono().after_ns(1)), None);
        assert_eq!(clock.real_ns_until(clock.mono()), Some(0));
        let (mono, wall) = (clock.mono(), clock.wall());
        sleep(Duration::from_millis(5));
        assert_eq!(clock.mono(), mono);
        assert_near(clock.wall().0 as i64, wall.0 as i64, 1_000);
    }
}

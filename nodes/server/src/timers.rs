//! The core's timers, and an alarm with microsecond precision.
//!
//! Tokio's own timers round to whole milliseconds, which is longer than an entire operation takes here. A `timerfd`
//! costs one system call per change.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use heckle_paxos::{MonoTime, TimerId};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer may be late by this share of its delay. The core never cancels timers, and most of them are stale when
/// they expire: without some slack, each of them would wake the node separately.
const SLACK: u64 = 64;

/// Timers that have not expired yet.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, TimerKey)>>,
}

/// An ordered form of a timer id, since the core's ids have no order. It breaks ties between equal times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TimerKey {
    slot: u32,
    serial: u32,
}

impl Timers {
    /// Adds a timer, rounded up so that timers for about the same time expire together.
    pub(crate) fn add(&mut self, now: MonoTime, at: MonoTime, id: TimerId) {
        let grain = (at.since_ns(now) / SLACK).max(1).next_power_of_two();
        let at_ns = at.0.checked_next_multiple_of(grain).unwrap_or(at.0);
        self.heap.push(Reverse((at_ns, TimerKey { slot: id.slot, serial: id.serial })));
    }

    /// Removes and returns the next timer that is due.
    pub(crate) fn pop_due(&mut self, now: MonoTime) -> Option<TimerId> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now.0 {
            return None;
        }
        self.heap.pop().map(|Reverse((_, id))| TimerId { slot: id.slot, serial: id.serial })
    }

    /// When the next timer is due.
    pub(crate) fn next_at(&self) -> Option<MonoTime> {
        self.heap.peek().map(|Reverse((at, _))| MonoTime(*at))
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

/// An alarm of the operating system.
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// Creates an alarm. Must be called within a tokio runtime.
    pub(crate) fn new() -> io::Result<Alarm> {
        // SAFETY: no memory is passed; the result is checked before it is owned.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the descriptor is owned by the `AsyncFd` and stays open until it is deregistered in its drop.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
        Ok(Alarm { fd })
    }

    /// Sets the alarm to fire once after this time. Replaces an earlier setting.
    pub(crate) fn set(&self, after_ns: u64) -> io::Result<()> {
        // Zero would disarm the alarm.
        let after_ns = after_ns.max(1);
        let value =
            libc::timespec { tv_sec: (after_ns / 1_000_000_000) as libc::time_t, tv_nsec: (after_ns % 1_000_000_000) as libc::c_long };
        let setting = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: the descriptor is a timerfd, the setting is on this stack, and no old value is requested.
        let status = unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until the alarm fires.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        loop {
            let mut guard = self.fd.readable().await?;
            let mut count = [0_u8; 8];
            let read = guard.try_io(|fd| {
                // SAFETY: the buffer is eight bytes on this stack, as a timerfd requires.
                let got = unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
                if got < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
            });
            match read {
                Ok(result) => return result,
                // The alarm is not due: this was a spurious wake-up, or the alarm has been set again.
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn id(serial: u32) -> TimerId {
        TimerId { slot: 0, serial }
    }

    #[test]
    fn timers_expire_in_order_and_on_time() {
        let mut timers = Timers::default();
        let now = MonoTime(1_000_000_000);
        for (serial, after_ns) in [(1, 100_000_000), (2, 300_000), (3, 0), (4, 100_000_100)] {
            timers.add(now, now.after_ns(after_ns), id(serial));
            let at = timers.heap.iter().find(|t| t.0.1.serial == serial).unwrap().0.0;
            let late = at - (now.0 + after_ns);
            assert!(late <= 2 * after_ns / SLACK, "timer {serial} is {late} ns late");
        }
        assert_eq!(timers.pop_due(now), Some(id(3)));
        assert_eq!(timers.pop_due(now), None);
        let later = now.after_ns(200_000_000);
        assert_eq!(timers.pop_due(later), Some(id(2)));
        assert!(timers.pop_due(later).is_some() && timers.pop_due(later).is_some());
        assert_eq!((timers.pop_due(later), timers.len()), (None, 0));
    }

    #[test]
    fn alarms_fire_on_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let alarm = Alarm::new().unwrap();
            alarm.set(10_000_000_000).unwrap();
            // Read this clock first: a delay between the two reads only makes the wait look longer.
            let begin = Instant::now();
            alarm.set(300_000).unwrap();
            alarm.wait().await.unwrap();
            assert!(begin.elapsed() >= Duration::from_micros(300));
            assert!(begin.elapsed() < Duration::from_secs(5), "the earlier setting was not forgotten");
        });
    }
}

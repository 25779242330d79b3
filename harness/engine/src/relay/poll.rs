//! Safe wrappers of epoll, timerfd and eventfd: one wait for sockets, commands and deadlines.
//!
//! The timer is a `timerfd` and not the timeout of the wait: that timeout is coarse (whole milliseconds, or the
//! thread's timer slack of 50 us), while a timerfd fires from the kernel's high-resolution timer.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};

/// Maximum number of events per wait; the next wait returns the rest.
const EVENTS_PER_WAIT: usize = 128;
/// Tokens of the poller's own descriptors; sockets use smaller ones.
const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// The events that the poller reports for a socket. `NONE` removes the socket from the poll set entirely: the kernel
/// repeatedly reports errors and hang-ups even for sockets with an empty interest, so a socket whose bytes must wait
/// (during a cut, for example) would keep the thread spinning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Interest {
    pub(super) const NONE: Interest = Interest { read: false, write: false };
    pub(super) const READ: Interest = Interest { read: true, write: false };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// A socket that is ready. An error or hang-up counts as readable: the next read returns it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) token: u64,
    pub(super) read: bool,
}

/// Ends a wait from another thread.
#[derive(Debug, Clone)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn wake(&self) {
        // This fails only if the counter is full, and then the poller is awake anyway.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

/// The poll set with its timer.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    wake: Arc<OwnedFd>,
    armed: Option<u64>,
}

impl Poller {
    pub(super) fn new() -> io::Result<(Poller, Waker)> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        epoll::add(&epoll, &*wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let waker = Waker(Arc::clone(&wake));
        Ok((Poller { epoll, timer, wake, armed: None }, waker))
    }

    /// Changes the interest in a socket from `old` to `new`.
    ///
    /// # Panics
    /// If `old` is not the current interest, or the kernel has no memory left for its poll set.
    pub(super) fn watch(&self, socket: impl AsFd, token: u64, old: Interest, new: Interest) {
        let data = EventData::new_u64(token);
        let done = match (old == Interest::NONE, new == Interest::NONE) {
            _ if old == new => Ok(()),
            (true, _) => epoll::add(&self.epoll, socket, data, new.flags()),
            (false, true) => epoll::delete(&self.epoll, socket),
            (false, false) => epoll::modify(&self.epoll, socket, data, new.flags()),
        };
        done.expect("the poll set agrees with the relay about its sockets");
    }

    /// Sets the timer to end a wait at `due`; `None` disarms it. Times are in nanoseconds on the caller's clock.
    pub(super) fn arm(&mut self, due: Option<u64>, now: u64) {
        if self.armed == due {
            return;
        }
        self.armed = due;
        // Zero would disarm the timer, so a time that has passed becomes the next nanosecond.
        let wait = due.map_or(0, |due| due.saturating_sub(now).max(1));
        let it_value = Timespec { tv_sec: (wait / 1_000_000_000) as i64, tv_nsec: (wait % 1_000_000_000) as _ };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec).expect("a timerfd takes any positive time");
    }

    /// Waits until a socket is ready, the timer fires or a waker is used. Fills `ready`.
    pub(super) fn wait(&mut self, ready: &mut Vec<Ready>) {
        ready.clear();
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); EVENTS_PER_WAIT];
        let events = match epoll::wait(&self.epoll, &mut space, None) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return,
            Err(error) => panic!("waiting on the relay's own poll set failed: {error}"),
        };
        // These reads only reset the descriptors, so an error does not matter.
        for event in events {
            let (flags, token) = (event.flags, event.data.u64());
            let mut counter = [0; 8];
            match token {
                WAKE => {
                    let _ = rustix::io::read(&*self.wake, &mut counter);
                }
                TIMER => {
                    let _ = rustix::io::read(&self.timer, &mut counter);
                    self.armed = None;
                }
                token => {
                    let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
                    ready.push(Ready { token, read: broken || flags.contains(EventFlags::IN) });
                }
            }
        }
    }
}

//! Samples the machine and the harness while the load runs: how late a sleeping thread wakes, how much processor time
//! each part uses, and how much is taken away by a hypervisor or a quota. Samples are taken in the load window only:
//! starting nodes and drawing charts also use processor time, but that is unrelated to the load.

use crate::clock::RunClock;
use crate::stop::Stop;
use hdrhistogram::Histogram;
use heckle_history::Nanos;
use heckle_results::bottleneck::Strain;
use std::collections::BTreeMap;
use std::fs;
use std::thread::JoinHandle;

/// Length of a measured sleep: short enough to give a 99th percentile within a few seconds, long enough not to be a load itself.
const SLEEP: Nanos = Nanos::from_ms(10);
/// Name prefix of the relay's threads.
const RELAY: &str = "relay";

/// Handle to the sampling thread.
pub struct StrainWatch {
    thread: JoinHandle<Option<Strain>>,
}

impl StrainWatch {
    /// Starts sampling during `window`. Call this on the thread that sends the load.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(clock: RunClock, window: (Nanos, Nanos), stop: Stop) -> std::io::Result<Self> {
        // SAFETY: `gettid` has no preconditions.
        let load_thread = unsafe { libc::gettid() } as u32;
        let thread = std::thread::Builder::new().name("strain".into()).spawn(move || watch(clock, window, &stop, load_thread))?;
        Ok(StrainWatch { thread })
    }

    /// Returns the samples, or `None` if the load window never began. Waits for the end of the window or a stop.
    pub fn finish(self) -> Option<Strain> {
        self.thread.join().ok().flatten()
    }
}

fn watch(clock: RunClock, window: (Nanos, Nanos), stop: &Stop, load_thread: u32) -> Option<Strain> {
    if !stop.wait_until(clock, window.0) {
        return None;
    }
    let mut late_us = Histogram::<u64>::new(3).expect("three digits are allowed");
    let before = Reading::now(clock);
    while clock.now() < window.1 && !stop.asked() {
        let until = Nanos(clock.now().0 + SLEEP.0);
        clock.sleep_until(until);
        late_us.record(clock.now().since(until).0 / 1_000).expect("a growing histogram takes any value");
    }
    Some(Reading::now(clock).since(&before, load_thread, &late_us))
}

/// Counters at one point in time.
#[derive(Debug, Clone, Default)]
struct Reading {
    at: Nanos,
    harness_s: Option<f64>,
    /// Name and processor time (in seconds) of each thread.
    threads: BTreeMap<u32, (String, f64)>,
    machine: Option<Ticks>,
    throttled_us: Option<u64>,
    pressure_us: Option<u64>,
}

/// Processor time of the machine, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    total: u64,
    idle: u64,
    steal: u64,
}

impl Reading {
    fn now(clock: RunClock) -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        Reading {
            at: clock.now(),
            harness_s: harness_cpu_s(),
            threads: threads(),
            machine: text("/proc/stat").as_deref().and_then(parse_machine),
            throttled_us: text("/sys/fs/cgroup/cpu.stat").as_deref().and_then(throttled_us),
            pressure_us: text("/proc/pressure/cpu").as_deref().and_then(pressure_us),
        }
    }

    fn since(&self, before: &Reading, load_thread: u32, late_us: &Histogram<u64>) -> Strain {
        let seconds = self.at.since(before.at).as_secs_f64();
        let by_time = |x: f64| (seconds > 0.0).then(|| (x / seconds * 1e4).round() / 1e4);
        let grown = |now: Option<u64>, was: Option<u64>| Some(now?.saturating_sub(was?));
        let busy = |(id, (name, now)): (&u32, &(String, f64))| {
            let was = before.threads.get(id).filter(|(before, _)| before == name).map(|(_, s)| *s)?;
            Some((*id, name.clone(), by_time(now - was)?))
        };
        let threads: Vec<(u32, String, f64)> = self.threads.iter().filter_map(busy).collect();
        let ticks = self.machine.zip(before.machine).and_then(|(now, was)| now.since(was));
        let share = |part: fn(Ticks) -> u64| ticks.map(|t| (part(t) as f64 / t.total as f64 * 1e4).round() / 1e4);
        let late_ms = |q: f64| late_us.value_at_quantile(q) as f64 / 1e3;
        Strain {
            window_s: (seconds * 1e3).round() / 1e3,
            wakeups: late_us.len(),
            wakeup_late_p50_ms: late_ms(0.5),
            wakeup_late_p99_ms: late_ms(0.99),
            wakeup_late_max_ms: late_us.max() as f64 / 1e3,
            harness_cores: self.harness_s.zip(before.harness_s).and_then(|(now, was)| by_time(now - was)),
            load_thread_ratio: threads.iter().find(|(id, _, _)| *id == load_thread).map(|t| t.2),
            relay_thread_ratio: threads.iter().filter(|t| t.1.starts_with(RELAY)).map(|t| t.2).max_by(f64::total_cmp),
            machine_busy_ratio: share(|t| t.total - t.idle),
            steal_ratio: share(|t| t.steal),
            throttled_ratio: grown(self.throttled_us, before.throttled_us).and_then(|us| by_time(us as f64 / 1e6)),
            pressure_ratio: grown(self.pressure_us, before.pressure_us).and_then(|us| by_time(us as f64 / 1e6)),
        }
    }
}

impl Ticks {
    /// Returns the difference, or `None` if no tick has passed or a counter ran backwards, as the idle counter sometimes does.
    fn since(self, was: Ticks) -> Option<Ticks> {
        let total = self.total.checked_sub(was.total).filter(|t| *t > 0)?;
        Some(Ticks { total, idle: self.idle.checked_sub(was.idle)?.min(total), steal: self.steal.checked_sub(was.steal)? })
    }
}

fn harness_cpu_s() -> Option<f64> {
    // SAFETY: all zeroes is a valid `rusage`, and a valid place for the result.
    let (failed, used) = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &raw mut used), used)
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (failed == 0).then(|| seconds(used.ru_utime) + seconds(used.ru_stime))
}

fn threads() -> BTreeMap<u32, (String, f64)> {
    // SAFETY: `sysconf` has no preconditions.
    let ticks_per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
    let of = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let (name, ticks) = parse_thread(&fs::read_to_string(entry.path().join("stat")).ok()?)?;
        Some((id, (name, ticks as f64 / ticks_per_s)))
    };
    fs::read_dir("/proc/self/task").into_iter().flatten().flatten().filter_map(of).collect()
}

/// Parses the name and the ticks of a thread from its `stat`. The name is in parentheses and may contain parentheses itself.
fn parse_thread(stat: &str) -> Option<(String, u64)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    // After the name: state is the first field, user and system time the twelfth and thirteenth.
    let mut times = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Some((name.to_owned(), times.next()?.ok()? + times.next()?.ok()?))
}

/// Parses the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guest time is included in user.
fn parse_machine(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).map(|f| f.parse().ok()).collect::<Option<_>>()?;
    let [_, _, _, idle, iowait, _, _, steal] = fields[..] else { return None };
    Some(Ticks { total: fields.iter().sum(), idle: idle + iowait, steal })
}

fn throttled_us(stat: &str) -> Option<u64> {
    stat.lines().find_map(|l| l.strip_prefix("throttled_usec "))?.trim().parse().ok()
}

/// Parses the line `some`: time in which at least one thread was ready but had no core.
fn pressure_us(text: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.starts_with("some "))?;
    line.split_whitespace().find_map(|w| w.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::StopReason;

    #[test]
    fn kernel_files_are_parsed_and_malformed_ones_rejected() {
        let stat = "cpu  100 0 50 800 50 0 0 20 5 0\ncpu0 1 2 3\n";
        assert_eq!(parse_machine(stat), Some(Ticks { total: 1_020, idle: 850, steal: 20 }));
        assert_eq!(parse_thread("7 (a) (relay) S 1 7 7 0 -1 4194304 0 0 0 0 31 11 0 0 20 0"), Some(("a) (relay".to_owned(), 42)));
        assert_eq!(pressure_us("some avg10=1.5 avg60=0 avg300=0 total=123\nfull avg10=0 total=9\n"), Some(123));
        assert_eq!(throttled_us("usage_usec 5\nthrottled_usec 77\n"), Some(77));
        for nonsense in ["", "cpu", "cpu  1 2 3", "cpu  a b c d e f g h", ")(", "1 (x) S"] {
            assert_eq!((parse_machine(nonsense), parse_thread(nonsense)), (None, None), "{nonsense}");
            assert_eq!((pressure_us(nonsense), throttled_us(nonsense)), (None, None), "{nonsense}");
        }
    }

    #[test]
    fn shares_refer_to_the_time_between_readings() {
        let reading = |at_s: u64, cpu: f64, idle: u64| Reading {
            at: Nanos(at_s * 1_000_000_000),
            harness_s: Some(cpu * 2.0),
            threads: [(1, ("main".to_owned(), cpu)), (2, ("relay".to_owned(), cpu / 2.0)), (3, ("relay-far".to_owned(), 0.0))].into(),
            machine: Some(Ticks { total: at_s * 200, idle, steal: at_s }),
            throttled_us: None,
            pressure_us: Some(at_s * 250_000),
        };
        let strain = reading(14, 9.0, 700).since(&reading(4, 1.0, 200), 1, &Histogram::new(3).expect("valid"));
        assert_eq!((strain.window_s, strain.wakeups), (10.0, 0));
        assert_eq!((strain.load_thread_ratio, strain.relay_thread_ratio), (Some(0.8), Some(0.4)));
        assert_eq!((strain.harness_cores, strain.machine_busy_ratio, strain.steal_ratio), (Some(1.6), Some(0.75), Some(0.005)));
        assert_eq!((strain.throttled_ratio, strain.pressure_ratio), (None, Some(0.25)));
        // If no time passed or counters ran backwards, there is no figure, rather than a wrong one.
        let same = reading(4, 1.0, 200);
        assert_eq!(same.since(&same, 1, &Histogram::new(3).expect("valid")).machine_busy_ratio, None);
        assert_eq!(reading(14, 9.0, 100).since(&reading(4, 1.0, 200), 1, &Histogram::new(3).expect("valid")).steal_ratio, None);
    }

    #[test]
    fn this_machine_is_sampled_in_the_window_only() {
        let clock = RunClock::start();
        let window = (Nanos::from_ms(20), Nanos::from_ms(220));
        let strain = StrainWatch::start(clock, window, Stop::default()).expect("a thread").finish().expect("the window began");
        assert!(clock.now() >= window.1 && strain.wakeups > 0 && strain.wakeups <= 20, "{strain:?}");
        assert!(strain.machine_busy_ratio.is_some_and(|x| (0.0..=1.0).contains(&x)), "{strain:?}");
        assert!(strain.load_thread_ratio.is_some() && strain.harness_cores.is_some(), "{strain:?}");
        let stop = Stop::default();
        stop.ask(StopReason::Interrupted);
        assert_eq!(StrainWatch::start(clock, (Nanos::NEVER, Nanos::NEVER), stop).expect("a thread").finish(), None);
    }
}

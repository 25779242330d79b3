//! Measures the processor time that other processes use during a run: the busy time of all cores according to the kernel, minus
//! the time of this process and its children.

use heckle_results::input;
use std::time::Instant;

/// A measurement in progress.
pub struct CpuMeter {
    began: Instant,
    before: Option<(f64, f64)>,
}

impl CpuMeter {
    /// Starts a measurement.
    pub fn start() -> Self {
        CpuMeter { began: Instant::now(), before: busy_seconds().zip(own_seconds()) }
    }

    /// Returns the share of the machine that other processes have used since the start, from 0 to 1. Returns `None` if the
    /// kernel does not report it.
    pub fn share_of_others(&self) -> Option<f64> {
        let (busy_before, own_before) = self.before?;
        let (busy_now, own_now) = busy_seconds().zip(own_seconds())?;
        let cores = core_count()? as f64;
        let others = (busy_now - busy_before) - (own_now - own_before);
        Some((others / (self.began.elapsed().as_secs_f64() * cores)).clamp(0.0, 1.0))
    }
}

/// Returns the total busy time of all cores since boot, in seconds. This includes stolen time: another virtual machine on the core
/// is noise like any other.
fn busy_seconds() -> Option<f64> {
    // SAFETY: `sysconf` takes a number and returns one.
    let ticks_per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let text = input::kernel("/proc/stat")?;
    let ticks = busy_ticks(&text)?;
    (ticks_per_s > 0).then(|| ticks as f64 / ticks_per_s as f64)
}

/// Returns the sum of user, nice, system, irq, softirq and steal ticks. Idle time and waiting for a disk do not count as busy, and
/// guest time is already part of user time.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find(|l| l.starts_with("cpu "))?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    let of = |i: usize| numbers.get(i).copied().unwrap_or(0);
    (numbers.len() >= 4).then(|| [0, 1, 2, 5, 6, 7].into_iter().map(of).sum())
}

fn core_count() -> Option<usize> {
    let text = input::kernel("/proc/stat")?;
    let count = text.lines().filter(|l| l.starts_with("cpu") && !l.starts_with("cpu ")).count();
    (count > 0).then_some(count)
}

/// Returns the processor time, in seconds, of this process and its ended children, which include the nodes of a finished run.
fn own_seconds() -> Option<f64> {
    let mut sum = 0.0;
    for who in [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN] {
        // SAFETY: all-zero bytes are a valid `rusage`, and `usage` is a valid buffer for the result.
        let (failed, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::getrusage(who, &raw mut usage), usage)
        };
        if failed != 0 {
            return None;
        }
        sum += [usage.ru_utime, usage.ru_stime].iter().map(|t| t.tv_sec as f64 + t.tv_usec as f64 / 1e6).sum::<f64>();
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_cpu_line() {
        let stat = "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 5\n";
        assert_eq!(busy_ticks(stat), Some(100 + 20 + 30 + 6 + 7 + 8));
        assert_eq!((busy_ticks("cpu  1 2\n"), busy_ticks("")), (None, None));
    }

    /// The time of a child counts as that of other processes while it runs, and as our own once it has ended.
    #[test]
    fn distinguishes_other_processes_from_children() {
        let meter = CpuMeter::start();
        let mut child =
            std::process::Command::new("sh").args(["-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"]).spawn().expect("a shell");
        child.wait().expect("it ends");
        let own_before = meter.before.expect("Linux reports it").1;
        assert!(own_seconds().expect("Linux reports it") - own_before > 0.05, "the child's time is ours once it has ended");
        let others = meter.share_of_others().expect("Linux reports it");
        assert!((0.0..=1.0).contains(&others), "{others}");
    }
}

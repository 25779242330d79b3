//! What other processes take of the machine while a run goes on: the difference between what the kernel says the cores did
//! and what this process and its children did.

use heckle_results::input;
use std::time::Instant;

/// A measurement that was begun.
pub(super) struct Meter {
    began: Instant,
    before: Option<(f64, f64)>,
}

impl Meter {
    /// Begins one.
    pub(super) fn start() -> Self {
        Meter { began: Instant::now(), before: busy().zip(own()) }
    }

    /// The share of the machine that others used since, 0 to 1; `None` where the kernel does not tell.
    pub(super) fn others(&self) -> Option<f64> {
        let (busy_before, own_before) = self.before?;
        let (busy_now, own_now) = busy().zip(own())?;
        let cores = cores()? as f64;
        let others = (busy_now - busy_before) - (own_now - own_before);
        Some((others / (self.began.elapsed().as_secs_f64() * cores)).clamp(0.0, 1.0))
    }
}

/// Seconds that all cores together have been busy since boot, stolen ones included: a neighbour who takes the core is noise
/// like any other.
fn busy() -> Option<f64> {
    // SAFETY: `sysconf` takes a number and returns one.
    let ticks_per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let text = input::kernel("/proc/stat")?;
    let ticks = busy_ticks(&text)?;
    (ticks_per_s > 0).then(|| ticks as f64 / ticks_per_s as f64)
}

/// user, nice, system, irq, softirq and steal; idle and waiting for a disk are not busy, and guests are in user already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find(|l| l.starts_with("cpu "))?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    let of = |i: usize| numbers.get(i).copied().unwrap_or(0);
    (numbers.len() >= 4).then(|| [0, 1, 2, 5, 6, 7].into_iter().map(of).sum())
}

fn cores() -> Option<usize> {
    let text = input::kernel("/proc/stat")?;
    let count = text.lines().filter(|l| l.starts_with("cpu") && !l.starts_with("cpu ")).count();
    (count > 0).then_some(count)
}

/// Seconds of this process and of its ended children, which the nodes of a finished run are.
fn own() -> Option<f64> {
    let mut sum = 0.0;
    for who in [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN] {
        // SAFETY: all-zero bytes are a valid `rusage`, and it is a valid place for the answer.
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
    fn the_kernels_line_is_read() {
        let stat = "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 5\n";
        assert_eq!(busy_ticks(stat), Some(100 + 20 + 30 + 6 + 7 + 8));
        assert_eq!((busy_ticks("cpu  1 2\n"), busy_ticks("")), (None, None));
    }

    /// What another process burns is seen while it lives, and is our own once it is an ended child.
    #[test]
    fn what_others_burn_is_told_from_our_own() {
        let meter = Meter::start();
        let mut child =
            std::process::Command::new("sh").args(["-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"]).spawn().expect("a shell");
        child.wait().expect("it ends");
        let own_before = meter.before.expect("Linux tells").1;
        assert!(own().expect("Linux tells") - own_before > 0.05, "the child's time is ours once it has ended");
        let others = meter.others().expect("Linux tells");
        assert!((0.0..=1.0).contains(&others), "{others}");
    }
}

//! Describes the machine of a run: measured once per run and by `heckle doctor`.

use heckle_results::env_json::Env;
use heckle_results::input;
use heckle_results::results_json::BuildInfo;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Number of timed syncs: enough for a rough 99th percentile within tens of milliseconds.
const SYNC_SAMPLES: usize = 100;
const SYNC_BYTES: usize = 4_096;
const SLEEP_SAMPLES: usize = 50;
/// Time limit for sampling, so that a slow disk does not delay every run.
const MAX_SAMPLING_TIME: Duration = Duration::from_secs(2);

/// Measures everything. `data` is a folder on the file system of the nodes' data, `build` the commit of this program.
pub fn gather(data: &Path, build: BuildInfo) -> Env {
    let syncs = sync_cost_us(data).unwrap_or_default();
    Env {
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        cpu_model: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        memory_bytes: field("/proc/meminfo", "MemTotal").and_then(|m| m.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024,
        os: std::env::consts::OS.into(),
        kernel: input::kernel("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
        arch: std::env::consts::ARCH.into(),
        data_filesystem: filesystem(data),
        fsync_p50_us: quantile(&syncs, 0.5),
        fsync_p99_us: quantile(&syncs, 0.99),
        timer_late_p99_us: quantile(&sleep_lateness_us(), 0.99),
        open_files_limit: open_files_limit(),
        heckle_version: env!("CARGO_PKG_VERSION").into(),
        build,
        build_profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        ..Env::default()
    }
    .with_fingerprint()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = input::kernel(file)?;
    let line = text.lines().find(|l| l.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[(q * last as f64).round() as usize] * 10.0).round() / 10.0)
}

/// Measures the time to append 4 KiB and call `fdatasync`. Returns one sample per append, in microseconds.
///
/// # Errors
/// If the folder cannot be written.
pub fn sync_cost_us(folder: &Path) -> std::io::Result<Vec<f64>> {
    let path = folder.join(format!(".heckle-sync-{}.tmp", std::process::id()));
    let mut file = fs::File::create(&path)?;
    let mut samples = vec![];
    let until = Instant::now() + MAX_SAMPLING_TIME;
    while samples.len() < SYNC_SAMPLES && Instant::now() < until {
        let began = Instant::now();
        let synced = file.write_all(&[0x5a; SYNC_BYTES]).and_then(|()| file.sync_data());
        if let Err(e) = synced {
            let _ = fs::remove_file(&path);
            return Err(e);
        }
        samples.push(began.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(&path)?;
    Ok(samples)
}

/// Measures the lateness of one-millisecond sleeps. Returns one sample per sleep, in microseconds.
pub fn sleep_lateness_us() -> Vec<f64> {
    let clock = crate::clock::RunClock::start();
    let nap = |_| {
        let until = heckle_history::Nanos(clock.now().0 + 1_000_000);
        clock.sleep_until(until);
        clock.now().since(until).0 as f64 / 1e3
    };
    (0..SLEEP_SAMPLES).map(nap).collect()
}

/// Returns the file system type of `path`, taken from the longest mount point that is a prefix of it.
pub fn filesystem(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = input::kernel("/proc/self/mounts").unwrap_or_default();
    let entries = mounts.lines().filter_map(|l| {
        let mut words = l.split(' ');
        let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
        path.starts_with(at).then(|| (at.len(), kind.to_owned()))
    });
    entries.max().map(|(_, kind)| kind).unwrap_or_default()
}

/// Returns the limit on open file descriptors.
pub fn open_files_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    (failed == 0).then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let env = gather(&std::env::temp_dir(), BuildInfo::default());
        assert!(env.cores > 0 && env.memory_bytes > 0 && !env.kernel.is_empty() && !env.data_filesystem.is_empty());
        assert!(env.fsync_p99_us >= env.fsync_p50_us && !env.fingerprint.is_empty());
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
    }
}

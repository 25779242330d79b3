//! The limits of this machine that apply to any system: the sync time while three processes sync, and the round trip time over loopback.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Number of processes that sync simultaneously, one per node.
const SYNCERS: usize = 3;
const SYNC_DURATION: Duration = Duration::from_secs(1);
/// Number of bytes appended before each sync, as in a small batch.
const BATCH_BYTES: usize = 256;
/// Size of the file, in bytes. It is filled in advance, like a log segment, so that a sync changes no metadata.
const FILE_BYTES: usize = 8 << 20;
const ROUND_TRIPS: usize = 4_000;
const MESSAGE_BYTES: usize = 128;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limit {
    /// Median fdatasync time while three processes sync simultaneously, in microseconds.
    pub(super) sync_us: f64,
    /// Median round trip over loopback, in microseconds.
    pub(super) round_trip_us: f64,
}

impl Limit {
    /// Measures both limits.
    pub(super) fn measure(folder: &Path) -> Result<Limit, String> {
        let syncs = measure_syncs(folder).map_err(|e| format!("cannot measure syncs in {}: {e}", folder.display()))?;
        let round_trips = measure_round_trips().map_err(|e| format!("cannot measure loopback: {e}"))?;
        Ok(Limit { sync_us: median(syncs), round_trip_us: median(round_trips) })
    }
}

/// Returns the median, or zero if there are no figures.
pub(crate) fn median(figures: Vec<f64>) -> f64 {
    heckle_results::median(&figures).unwrap_or(0.0)
}

fn measure_syncs(folder: &Path) -> std::io::Result<Vec<f64>> {
    std::fs::create_dir_all(folder)?;
    let child = |i: usize| {
        let file = folder.join(format!("sync-{}-{i}.tmp", std::process::id()));
        Command::new(std::env::current_exe()?).arg("sync-child").arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
    };
    let children = (0..SYNCERS).map(child).collect::<std::io::Result<Vec<_>>>()?;
    let mut all = vec![];
    for child in children {
        let out = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        all.extend(text.lines().filter_map(|line| line.parse::<f64>().ok()));
    }
    if all.is_empty() { Err(std::io::Error::other("the processes that sync said nothing")) } else { Ok(all) }
}

/// Runs one syncing process: appends and syncs for a while, then prints the time of each sync in microseconds.
///
/// # Errors
/// If the file cannot be written.
pub fn sync_child(path: &Path) -> std::io::Result<()> {
    let done = append_and_sync(path);
    let _ = std::fs::remove_file(path);
    let mut out = String::new();
    for us in done? {
        out += &format!("{us:.1}\n");
    }
    std::io::stdout().write_all(out.as_bytes())
}

fn append_and_sync(path: &Path) -> std::io::Result<Vec<f64>> {
    use std::os::unix::fs::FileExt;
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let (mut took_us, end) = (vec![], Instant::now() + SYNC_DURATION);
    while Instant::now() < end {
        let at = took_us.len() * BATCH_BYTES % (FILE_BYTES - BATCH_BYTES);
        let began = Instant::now();
        file.write_all_at(&[0x5a; BATCH_BYTES], at as u64)?;
        file.sync_data()?;
        took_us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took_us)
}

fn measure_round_trips() -> std::io::Result<Vec<f64>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let echo = crate::limits::thread("echo", move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut message = [0; MESSAGE_BYTES];
        while stream.read_exact(&mut message).is_ok() {
            stream.write_all(&message)?;
        }
        Ok(())
    })?;
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let mut took_us = vec![];
    let mut message = [0; MESSAGE_BYTES];
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        took_us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    drop(stream);
    echo.join().map_err(|_| std::io::Error::other("the echo panicked"))??;
    Ok(took_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_limits_are_plausible() {
        assert_eq!((median(vec![]), median(vec![3.0, 1.0, 2.0])), (0.0, 2.0));
        let trips = measure_round_trips().expect("loopback");
        assert_eq!(trips.len(), ROUND_TRIPS);
        assert!(median(trips) > 0.5, "nothing crosses two threads in less than half a microsecond");
    }
}

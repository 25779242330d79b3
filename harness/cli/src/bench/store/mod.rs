//! Compares the node's write-ahead log with other stores, using the records that a replica writes, for `heckle bench store`. Each
//! measurement is a separate process on an empty folder, which kills itself once its last batch is durable. This process then
//! recovers the data and compares it with the expected state. Repetitions of the stores alternate, and medians are reported.

mod syncs;
mod table;

pub use table::Measurements;

use heckle_server::store_bench::{self, Candidate, State, Workload, Written};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Numbers of records per batch: the sizes that occur with one client and with fifty, and a larger one.
const BATCH_SIZES: [usize; 3] = [1, 8, 64];

/// Message that explains how to compile in the other stores.
pub const STORES_MISSING: &str = "fjall and redb are not compiled in; build with `cargo build --release --features stores`";

/// Settings of the measurement.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Number of repetitions, over which medians are taken.
    pub repetitions: u32,
    /// Number of batches per repetition.
    pub batches: u32,
    /// Parent folder for the data of the stores.
    pub folder: PathBuf,
}

/// One repetition of one store.
#[derive(Debug, Clone, PartialEq)]
struct Repetition {
    written: Written,
    /// Disk space allocated to all files after the kill, in bytes.
    disk_bytes: u64,
    recovery_ms: f64,
    recovered_records: u64,
}

/// One store with one batch size.
#[derive(Debug, Clone)]
struct Row {
    store: Candidate,
    per_batch: usize,
    /// Size of a snapshot of the state, in bytes.
    state_bytes: u64,
    repetitions: Vec<Repetition>,
    /// Syncs per batch, or why they were not counted.
    syncs_per_batch: Result<f64, String>,
}

/// Measures every store that is compiled in. Reports progress to `progress`.
///
/// # Errors
/// If a measurement fails, or a store does not contain the data written to it.
pub fn measure(setup: &Setup, progress: &dyn Fn(&str)) -> Result<Measurements, String> {
    let scratch = ScratchFolder::new(&setup.folder)?;
    let mut measured = Measurements { setup: setup.clone(), rows: vec![] };
    for per_batch in BATCH_SIZES {
        let workload = Workload::new(per_batch, setup.batches as usize);
        let expected = store_bench::expected(&workload).map_err(|e| e.to_string())?;
        let mut rows: Vec<Row> = Candidate::ALL.iter().map(|store| Row::new(*store, per_batch, &expected)).collect();
        for round in 0..setup.repetitions {
            progress(&format!("batches of {per_batch}: repetition {} of {}", round + 1, setup.repetitions));
            // The stores take turns going first.
            let first = round as usize % rows.len();
            rows.rotate_left(first);
            for row in &mut rows {
                row.repetitions.push(repetition(row.store, &workload, &scratch.empty()?, &expected)?);
            }
            rows.rotate_right(first);
        }
        for row in &mut rows {
            progress(&format!("batches of {per_batch}: syncs of {}", row.store.name()));
            row.syncs_per_batch = syncs::per_batch(row.store, &workload, &scratch)?;
        }
        measured.rows.extend(rows);
    }
    Ok(measured)
}

impl Row {
    fn new(store: Candidate, per_batch: usize, expected: &State) -> Row {
        let syncs_per_batch = Err("not yet".to_owned());
        Row { store, per_batch, state_bytes: expected.bytes(), repetitions: vec![], syncs_per_batch }
    }
}

fn repetition(store: Candidate, workload: &Workload, folder: &Path, expected: &State) -> Result<Repetition, String> {
    let out = child_command(store, workload, folder)?
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot measure {}: {e}", store.name()))?;
    let written = parse_figures(store, &out)?;
    let disk_bytes = disk_bytes(folder).map_err(|e| format!("cannot look into {}: {e}", folder.display()))?;
    let recovery = store_bench::recover(store, folder, expected).map_err(|e| e.to_string())?;
    Ok(Repetition { written, disk_bytes, recovery_ms: recovery.took.as_secs_f64() * 1e3, recovered_records: recovery.records })
}

/// Builds the command of a child process that writes this workload.
fn child_command(store: Candidate, workload: &Workload, folder: &Path) -> Result<Command, String> {
    let this = std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))?;
    let mut command = Command::new(this);
    command.args(["store-child", store.name()]).arg(folder).args([workload.per_batch.to_string(), workload.batches.to_string()]);
    Ok(command)
}

/// Parses the figures of a child process, which prints them and then ends by a signal.
fn parse_figures(store: Candidate, out: &std::process::Output) -> Result<Written, String> {
    let failed = |why: &str| format!("{}: {why}; {}", store.name(), String::from_utf8_lossy(&out.stderr).trim());
    if out.status.signal() != Some(libc::SIGKILL) {
        return Err(failed(&format!("its process ended early, with {}", out.status)));
    }
    serde_json::from_slice(&out.stdout).map_err(|e| failed(&format!("its process printed no figures: {e}")))
}

/// Runs a child process: writes the workload, prints the figures to standard output, and ends as in a crash.
///
/// # Errors
/// If the store fails.
pub fn store_child(store: &str, folder: &Path, per_batch: usize, batches: usize) -> Result<(), String> {
    let outcome = store_bench::write(store.parse()?, &Workload::new(per_batch, batches), folder, &mut |written| {
        let json = serde_json::to_string(written).expect("plain data has a JSON form");
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{json}").and_then(|()| out.flush()).is_ok() {
            // SAFETY: sends a signal to this process itself, and does not return.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    });
    outcome.map_err(|e| e.to_string())
}

/// Returns the disk space allocated to all files, in bytes. File lengths would include holes.
fn disk_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { disk_bytes(&entry.path())? } else { meta.blocks() * 512 };
    }
    Ok(sum)
}

/// The folder for the stores' data during the measurement. It is removed when this is dropped.
struct ScratchFolder(PathBuf);

impl ScratchFolder {
    fn new(below: &Path) -> Result<ScratchFolder, String> {
        let folder = below.join(format!("bench-store-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        let scratch = ScratchFolder(folder);
        std::fs::create_dir_all(&scratch.0).map_err(|e| scratch.failed(&e))?;
        Ok(scratch)
    }

    /// Returns an empty folder for the next store, after removing the previous one.
    fn empty(&self) -> Result<PathBuf, String> {
        let folder = self.0.join("data");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|e| self.failed(&e))?;
        }
        std::fs::create_dir(&folder).map_err(|e| self.failed(&e))?;
        Ok(folder)
    }

    fn failed(&self, cause: &std::io::Error) -> String {
        format!("cannot use {}: {cause}; name a writable folder with --out", self.0.display())
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_blocks_in_subfolders_and_removes_the_scratch_folder() {
        let below = std::env::temp_dir();
        let scratch = ScratchFolder::new(&below).expect("a writable folder");
        let folder = scratch.empty().expect("a folder");
        std::fs::create_dir(folder.join("in")).expect("a folder");
        std::fs::write(folder.join("in/file"), vec![1; 100_000]).expect("written");
        std::fs::File::create(folder.join("hole")).and_then(|f| f.set_len(1 << 30)).expect("a hole");
        let bytes = disk_bytes(&folder).expect("readable");
        assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
        let root = scratch.0.clone();
        assert_eq!(std::fs::read_dir(scratch.empty().expect("again")).expect("readable").count(), 0);
        drop(scratch);
        assert!(!root.exists());
    }

    #[test]
    fn early_exit_of_a_child_is_an_error_with_its_stderr() {
        let out = |status: i32, stdout: &str| std::process::Output {
            status: ExitStatusExt::from_raw(status),
            stdout: stdout.into(),
            stderr: "disk on fire".into(),
        };
        for early in [out(4 << 8, ""), out(libc::SIGKILL, ""), out(libc::SIGSEGV, "{}")] {
            let said = parse_figures(Candidate::WriteAheadLog, &early).expect_err("no figures");
            assert!(said.contains("log") && said.contains("disk on fire"), "{said}");
        }
    }
}

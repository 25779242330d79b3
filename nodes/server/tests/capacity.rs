//! Compares the formula behind `heckle capacity` with running nodes: the bytes they count, and the sizes of their
//! files.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{TempDir, TestClient, eventually, options_of_cluster, start_all, status};
use heckle_server::capacity::{Capacity, Demand};
use heckle_server::client_protocol::Outcome;
use heckle_server::options::{Prune, Rounds};
use heckle_server::status::StateBytes;
use heckle_server::{NodeHandle, NodeOptions};

const SEGMENT: u64 = 64 << 10;
const TOLERANCE: f64 = 0.15;

/// Checks that an estimate is within 15 %. The error names the estimate.
fn compare(what: &str, measured: u64, computed: u64) -> Result<(), String> {
    println!("{what:<28} measured {measured:>9}  computed {computed:>9}");
    if is_close(measured, computed) {
        return Ok(());
    }
    let off = (computed as f64 / measured as f64 - 1.0) * 100.0;
    Err(format!("{what}: {measured} bytes were measured, {computed} computed, {off:+.0} %"))
}

#[track_caller]
fn check(what: &str, measured: u64, computed: u64) {
    compare(what, measured, computed).unwrap_or_else(|off| panic!("{off}"));
}

struct Measured {
    nodes: Vec<NodeHandle>,
    options: Vec<NodeOptions>,
    client: TestClient,
    /// When each key was written.
    written: Vec<Instant>,
    _dir: TempDir,
}

impl Measured {
    fn start(demand: &Demand) -> Measured {
        let dir = TempDir::new("capacity");
        let mut options = options_of_cluster(dir.path(), 3);
        for node in &mut options {
            (node.prune, node.rounds, node.paxos_ttl, node.storage) = (demand.prune, demand.rounds, demand.ttl, demand.storage.clone());
        }
        let nodes = start_all(&options);
        let client = TestClient::to(&nodes[0]);
        Measured { nodes, options, client, written: Vec::new(), _dir: dir }
    }

    fn write_new(&mut self, demand: &Demand) {
        let key = format!("{:0width$}", self.written.len(), width = demand.key_bytes as usize);
        assert_eq!(self.client.write(&key, &"v".repeat(demand.value_bytes as usize)), Outcome::Applied);
        self.written.push(Instant::now());
    }

    /// The state sizes after pruning has finished.
    fn state_at_rest(&self) -> StateBytes {
        eventually("nothing waits", || status(&self.nodes[0]).state_bytes.queue == 0);
        eventually("all have learned", || self.nodes.iter().all(|node| status(node).rows == status(&self.nodes[0]).rows));
        status(&self.nodes[0]).state_bytes
    }
}

/// The kinds of state that deviate from the estimate.
fn off(measured: StateBytes, computed: &Capacity) -> Vec<String> {
    let kinds = [
        ("data", measured.data, computed.state.data),
        ("promise", measured.promise, computed.state.promise),
        ("accepted", measured.accepted, computed.state.accepted),
        ("dedupe", measured.dedupe, computed.state.dedupe),
        ("all state", measured.total(), computed.state.total()),
    ];
    kinds.into_iter().filter_map(|(what, measured, computed)| compare(what, measured, computed).err()).collect()
}

#[track_caller]
fn check_state(measured: StateBytes, computed: &Capacity) {
    let off = off(measured, computed);
    assert!(off.is_empty(), "{}", off.join("; "));
}

fn bytes_of(folder: &Path, ends: &str) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().filter_map(|entry| Some((entry.as_ref().ok()?.path(), entry.ok()?.metadata().ok()?)));
    files.filter(|(path, _)| path.to_string_lossy().ends_with(ends)).map(|(_, data)| data.len()).sum()
}

/// Whether two figures differ by no more than the tolerance.
fn is_close(measured: u64, computed: u64) -> bool {
    measured.abs_diff(computed) as f64 <= TOLERANCE * measured as f64
}

fn folder_bytes(folder: &Path) -> u64 {
    bytes_of(folder, ".wal") + bytes_of(folder, ".snap") + bytes_of(folder, ".tmp")
}

fn demand() -> Demand {
    Demand {
        keys: 1_200,
        new_keys_per_s: 0.0,
        hot_keys: 0,
        key_bytes: 12,
        value_bytes: 300,
        clients_per_key: 1,
        ttl: None,
        prune: Prune::Off,
        rounds: Rounds::Classic,
        nodes: 3,
        storage: heckle_server::options::StorageOptions { segment_bytes: SEGMENT, segments_before_snapshot: 3, ..Default::default() },
    }
}

/// Loads the keys, then watches the folder during compactions of exactly that state.
#[track_caller]
fn check_run(demand: &Demand) {
    let mut run = Measured::start(demand);
    for _ in 0..demand.keys {
        run.write_new(demand);
    }
    let computed = demand.capacity();
    check_state(run.state_at_rest(), &computed);
    let folder = run.options[0].data_dir.clone();
    let (snapshots, mut most) = (status(&run.nodes[0]).snapshots, 0);
    let watched = folder.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            most = most.max(folder_bytes(&watched));
            std::thread::sleep(Duration::from_micros(200));
        }
        most
    });
    // One key is overwritten until the log has been replaced twice more, so the state remains the same.
    let small = "s".repeat(4_000);
    while status(&run.nodes[0]).snapshots < snapshots + 2 {
        assert_eq!(run.client.write(&"0".repeat(demand.key_bytes as usize), &small), Outcome::Applied);
    }
    drop(stop);
    let most = watch.join().unwrap();
    // The node stops counting segments before their files are removed, so the folder settles a little later. It then
    // has at most as many segments as do not trigger a snapshot: writes continue during a compaction, and on a slow
    // disk they fill more than one.
    let at_rest = 1..=demand.storage.segments_before_snapshot as u64;
    let (mut segments, mut least) = (0, 0);
    eventually("the compaction has ended, and what it replaced is removed", || {
        (segments, least) = (status(&run.nodes[0]).segments, folder_bytes(&folder));
        at_rest.contains(&segments) && is_close(least, computed.disk_least() + (segments - 1) * SEGMENT)
    });
    check("snapshot", bytes_of(&folder, ".snap"), computed.snapshot);
    check("data folder, at rest", least, computed.disk_least() + (segments - 1) * SEGMENT);
    println!("data folder, at most: measured {most}, computed {}", computed.disk_most());
    assert!(most as f64 <= (1.0 + TOLERANCE) * computed.disk_most() as f64, "{most} of {}", computed.disk_most());
    assert!(most > least, "the watcher saw no compaction");
}

#[test]
fn with_prune_the_formula_holds() {
    check_run(&Demand { prune: Prune::On, ..demand() });
}

#[test]
fn without_prune_the_formula_holds() {
    check_run(&demand());
}

#[test]
fn with_promises_ahead_the_formula_holds() {
    check_run(&Demand { rounds: Rounds::Fast, prune: Prune::On, value_bytes: 60, ..demand() });
}

/// Shows that the check can fail: a kind that a formula omits or gets wrong is named, with the deviation.
#[test]
fn a_wrong_formula_is_refused_and_the_kind_is_named() {
    let demand = Demand { keys: 200, ..demand() };
    let mut run = Measured::start(&demand);
    for _ in 0..demand.keys {
        run.write_new(&demand);
    }
    let (measured, right) = (run.state_at_rest(), demand.capacity());
    let refused = |computed: &Capacity| off(measured, computed);
    let begin = |off: &[String]| off.iter().map(|o| o.split(':').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(refused(&right), Vec::<String>::new());
    // Values counted at half their size: both kinds that hold values deviate, and so does the sum.
    let small = refused(&Demand { value_bytes: 150, ..demand.clone() }.capacity());
    assert_eq!(begin(&small), ["data", "accepted", "all state"], "{small:?}");
    assert!(small[0].starts_with("data: 62400 bytes were measured, 32400 computed, -48 %"), "{small:?}");
    // Ids omitted. They are too few to change the sum noticeably with such large values, so only the kinds reveal it.
    let mut without_ids = right;
    without_ids.state.dedupe = 0;
    let ids = refused(&without_ids);
    assert_eq!(begin(&ids), ["dedupe"], "{ids:?}");
    assert!(ids[0].ends_with(" bytes were measured, 0 computed, -100 %"), "{ids:?}");
    // Pruning ignored: copies are counted that do not exist, or vice versa.
    let pruned = refused(&Demand { prune: Prune::On, ..demand.clone() }.capacity());
    assert_eq!(begin(&pruned), ["accepted", "all state"], "{pruned:?}");
    // A wrong number of keys: everything deviates by a fifth.
    let more = refused(&Demand { keys: 240, ..demand.clone() }.capacity());
    assert_eq!(begin(&more), ["data", "promise", "accepted", "dedupe", "all state"], "{more:?}");
    assert!(more.iter().all(|off| off.ends_with("+20 %")), "{more:?}");
}

#[test]
fn with_a_time_to_live_the_formula_holds_while_new_keys_come() {
    let ttl = Duration::from_millis(500);
    let mut demand = Demand { ttl: Some(ttl), value_bytes: 100, ..demand() };
    let mut run = Measured::start(&demand);
    let (begin, mut samples) = (Instant::now(), Vec::new());
    while begin.elapsed() < Duration::from_secs(5) {
        run.write_new(&demand);
        std::thread::sleep(Duration::from_millis(2));
        if begin.elapsed() > Duration::from_secs(2) && run.written.len().is_multiple_of(20) {
            let seen = status(&run.nodes[0]);
            samples.push((Instant::now(), seen.state_bytes, run.written.len() as u64));
        }
    }
    // Take the mean over the samples, since each sweep handles only part of the keys. Take the rate from one time to
    // live before the first sample until the last.
    let (first, last) = (samples[0].0 - ttl, samples[samples.len() - 1].0);
    let fresh = run.written.iter().filter(|at| (first..=last).contains(at)).count();
    let mean = |of: fn(&StateBytes) -> u64| samples.iter().map(|(_, state, _)| of(state)).sum::<u64>() / samples.len() as u64;
    demand.keys = samples.iter().map(|(_, _, keys)| keys).sum::<u64>() / samples.len() as u64;
    demand.new_keys_per_s = fresh as f64 / (last - first).as_secs_f64();
    let computed = demand.capacity();
    println!("{} keys, {:.0} new ones a second", demand.keys, demand.new_keys_per_s);
    assert!(computed.live_keys < demand.keys / 2, "most have expired, or nothing is measured");
    check("data", mean(|state| state.data), computed.state.data);
    check("accepted", mean(|state| state.accepted), computed.state.accepted);
    check("dedupe", mean(|state| state.dedupe), computed.state.dedupe);
    check("all state", mean(StateBytes::total), computed.state.total());
}

//! A node as a process: its ready line, log and exit codes, signals, and the death of its parent.
//!
//! This test program is also the node: started again with an environment variable, it calls `run_node`. It has no
//! test harness, since the exit code of the node must be the exit code of the process.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, TempDir, TestClient, n};
use heckle_server::client_protocol::{Call, Outcome};
use heckle_server::control::{Client, Failpoint, FailpointAction};
use heckle_server::options::StorageOptions;
use heckle_server::points::Injection;
use heckle_server::{NodeOptions, run_node};

const DATA_DIR: &str = "HECKLE_TEST_DATA_DIR";
const PARENT: &str = "HECKLE_TEST_PARENT";
const SEGMENT: &str = "HECKLE_TEST_SEGMENT";

fn main() -> ExitCode {
    if let Ok(data_dir) = std::env::var(DATA_DIR) {
        let mut options = NodeOptions::new(n(1), "test", data_dir);
        options.exit_on_stdin_eof = true;
        options.parent_pid = std::env::var(PARENT).ok().map(|pid| pid.parse().unwrap());
        if let Ok(bytes) = std::env::var(SEGMENT) {
            options.storage =
                StorageOptions { segment_bytes: bytes.parse().unwrap(), segments_before_snapshot: 3, ..StorageOptions::default() };
        }
        return run_node(options);
    }
    let tests: [(&str, fn()); 13] = [
        ("sigterm_ends_it_cleanly_and_sigkill_loses_nothing", sigterm_ends_it_cleanly_and_sigkill_loses_nothing),
        ("it_ends_with_its_standard_input", it_ends_with_its_standard_input),
        ("it_ends_with_its_parent", it_ends_with_its_parent),
        ("a_folder_in_use_ends_it_with_64", a_folder_in_use_ends_it_with_64),
        ("a_failed_disk_ends_it_with_74", a_failed_disk_ends_it_with_74),
        ("a_disk_full_in_a_batch_of_many_loses_nothing_acknowledged", a_disk_full_in_a_batch_of_many_loses_nothing_acknowledged),
        ("a_limit_of_file_sizes_is_a_full_disk", a_limit_of_file_sizes_is_a_full_disk),
        ("a_disk_without_room_for_a_compaction_loses_nothing", a_disk_without_room_for_a_compaction_loses_nothing),
        ("a_crash_failpoint_kills_it", a_crash_failpoint_kills_it),
        ("a_crash_at_a_point_kills_it_after_what_it_sent_before", a_crash_at_a_point_kills_it_after_what_it_sent_before),
        ("a_panic_in_any_thread_aborts_it", a_panic_in_any_thread_aborts_it),
        ("clients_cannot_take_the_descriptors_of_the_log", clients_cannot_take_the_descriptors_of_the_log),
        ("a_log_that_is_not_read_does_not_stop_it", a_log_that_is_not_read_does_not_stop_it),
    ];
    if std::env::args().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&filter)) {
        println!("test {name} ...");
        test();
    }
    println!("all ok");
    ExitCode::SUCCESS
}

struct Process {
    child: Child,
    client: SocketAddr,
    control: SocketAddr,
    incarnation: u64,
    data_dir: PathBuf,
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(DATA_DIR, dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    fn start(dir: &Path) -> Process {
        Process::spawn(command(dir))
    }

    fn spawn(mut command: Command) -> Process {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut log = String::new();
            let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut log));
            panic!("not ready: {line:?}\n{log}")
        });
        assert_eq!((&ready["ready"], &ready["node"]), (&true.into(), &"n1".into()), "{line}");
        assert_eq!(ready["pid"], child.id());
        let addr = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        let incarnation = ready["incarnation"].as_u64().unwrap();
        let data_dir = command.get_envs().find(|(name, _)| *name == DATA_DIR).and_then(|(_, value)| value).unwrap().into();
        Process { data_dir, client: addr("client"), control: addr("control"), incarnation, child }
    }

    fn control(&self) -> Client {
        let mut client = Client::connect(self.control, PATIENCE).unwrap();
        client.authorize_from(&self.data_dir).unwrap();
        client
    }

    fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child that has not been waited for, so its id is still valid.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Waits until it ends. Returns its exit status and its log.
    fn end(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status, log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn check_log(log: &str, says: &str) {
    assert!(log.contains(says), "the log lacks {says:?}:\n{log}");
    assert!(log.lines().all(|line| line.starts_with("wall=") && line.contains(" node=n1 event=")), "{log}");
}

fn sigterm_ends_it_cleanly_and_sigkill_loses_nothing() {
    let dir = TempDir::new("process-signals");
    let node = Process::start(dir.path());
    assert_eq!(TestClient::connect(node.client).write("k", "1"), Outcome::Applied);
    node.signal(libc::SIGTERM);
    let (status, log) = node.end();
    assert_eq!(status.code(), Some(0), "{log}");
    check_log(&log, "event=stopped");
    let node = Process::start(dir.path());
    assert_eq!(node.incarnation, 2);
    let mut client = TestClient::connect(node.client);
    assert_eq!(client.read("k").as_deref(), Some("1"));
    assert_eq!(client.write("k", "2"), Outcome::Applied);
    node.signal(libc::SIGKILL);
    assert_eq!(node.end().0.signal(), Some(libc::SIGKILL));
    let node = Process::start(dir.path());
    assert_eq!(TestClient::connect(node.client).read("k").as_deref(), Some("2"));
}

fn it_ends_with_its_standard_input() {
    let dir = TempDir::new("process-stdin");
    let mut node = Process::start(dir.path());
    let begin = Instant::now();
    drop(node.child.stdin.take());
    let (status, log) = node.end();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(0), "{log}");
    check_log(&log, "event=stdin_ended");
}

fn it_ends_with_its_parent() {
    let dir = TempDir::new("process-parent");
    // Its parent is this test process, not process 1.
    let mut child = command(dir.path()).env(PARENT, "1").spawn().unwrap();
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    check_log(&log, "event=parent_ended parent=1");
}

fn a_folder_in_use_ends_it_with_64() {
    let dir = TempDir::new("process-locked");
    let _node = Process::start(dir.path());
    let mut second = command(dir.path()).spawn().unwrap();
    assert_eq!(wait(&mut second).code(), Some(64));
    let mut log = String::new();
    second.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    check_log(&log, "is in use by another process");
}

/// Arms a failpoint and makes the node use its disk. The client must not get a reply.
fn run_into(point: Failpoint) -> (ExitStatus, String, TempDir) {
    let dir = TempDir::new("process-failpoint");
    let node = Process::start(dir.path());
    let mut client = TestClient::connect(node.client);
    assert_eq!(client.write("k", "1"), Outcome::Applied);
    node.control().failpoint(point, FailpointAction::Arm { delay_us: 0 }).unwrap();
    let answer = client.try_call("k", Call::Write { new: b"2".to_vec() });
    assert!(answer.is_err(), "nothing is answered from un-synced state: {answer:?}");
    let (status, log) = node.end();
    (status, log, dir)
}

fn a_failed_disk_ends_it_with_74() {
    for (point, says) in [
        (Failpoint::FailSync, "Input/output error"),
        (Failpoint::FailWrite, "Input/output error"),
        (Failpoint::DiskFull, "No space left on device"),
    ] {
        let (status, log, dir) = run_into(point);
        assert_eq!(status.code(), Some(74), "{point:?}: {log}");
        check_log(&log, says);
        let value = TestClient::connect(Process::start(dir.path()).client).read("k");
        assert!(value.is_some(), "what was acknowledged is there");
    }
}

/// A node with small segments that cannot write a file longer than `limit` bytes: the closest approximation of a full
/// disk without privileges.
fn with_room_for(dir: &Path, limit: Option<u64>) -> Command {
    let mut command = command(dir);
    command.env(SEGMENT, (64 << 10).to_string());
    if let Some(bytes) = limit {
        let set = move || {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            // SAFETY: reads a structure owned by this closure.
            if unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        };
        // SAFETY: the closure runs between fork and exec and makes one system call, without allocating.
        unsafe { command.pre_exec(set) };
    }
    command
}

fn value(number: usize, len: usize) -> String {
    format!("{number}-{}", "v".repeat(len))
}

/// Writes new keys of `len` bytes until there is no reply. Returns the number of acknowledged writes.
fn fill(client: &mut TestClient, from: usize, len: usize) -> usize {
    for number in from..from + 2_000 {
        let new = value(number, len).into_bytes();
        match client.try_call(&format!("k{number}"), Call::Write { new }) {
            Ok(answer) => assert_eq!(answer.outcome, Outcome::Applied),
            Err(_) => return number - from,
        }
    }
    panic!("the disk is never full")
}

/// Checks that the node exited with 74 and logged once what failed, where, and what to do.
#[track_caller]
fn check_full(status: ExitStatus, log: &str, file: &str) {
    check_full_as("event=disk_failed", status, log, file);
}

#[track_caller]
fn check_full_as(event: &str, status: ExitStatus, log: &str, file: &str) {
    assert_eq!(status.code(), Some(74), "{log}");
    let errors: Vec<_> = log.lines().filter(|line| line.contains("level=error")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    for says in [event, file, "Nothing that was acknowledged is lost", "make room there", "start this node again"] {
        check_log(errors[0], says);
    }
}

#[track_caller]
fn check_values(node: &Process, acknowledged: usize, len: usize) {
    let mut client = TestClient::connect(node.client);
    for number in 0..acknowledged {
        assert_eq!(client.read(&format!("k{number}")), Some(value(number, len)), "acknowledged, {number} of {acknowledged}");
    }
}

fn a_disk_full_in_a_batch_of_many_loses_nothing_acknowledged() {
    let dir = TempDir::new("process-full-batch");
    let node = Process::spawn(with_room_for(dir.path(), None));
    let addr = node.client;
    // Several clients, so that a batch holds records of more than one.
    let (clients, len) = (4, 900);
    let fillers: Vec<_> =
        (0..clients).map(|number| std::thread::spawn(move || fill(&mut TestClient::connect(addr), number * 2_000, len))).collect();
    std::thread::sleep(Duration::from_millis(150));
    // The node may end before it has replied.
    let _ = node.control().failpoint(Failpoint::DiskFull, FailpointAction::Arm { delay_us: 0 });
    let acknowledged: Vec<usize> = fillers.into_iter().map(|filler| filler.join().unwrap()).collect();
    let (status, log) = node.end();
    check_full(status, &log, "No space left on device");
    assert!(acknowledged.iter().all(|count| *count > 0), "{acknowledged:?}");
    let node = Process::spawn(with_room_for(dir.path(), None));
    let mut client = TestClient::connect(node.client);
    for (from, count) in acknowledged.iter().enumerate().map(|(at, count)| (at * 2_000, *count)) {
        for number in from..from + count {
            assert_eq!(client.read(&format!("k{number}")), Some(value(number, len)), "{number} was acknowledged");
        }
    }
}

fn a_limit_of_file_sizes_is_a_full_disk() {
    let dir = TempDir::new("process-full-file");
    let node = Process::spawn(with_room_for(dir.path(), Some(160 << 10)));
    let mut client = TestClient::connect(node.client);
    for number in 0..10 {
        assert_eq!(client.write(&format!("k{number}"), &value(number, 500)), Outcome::Applied);
    }
    // A batch that is longer than a segment gets a separate file, for which there is no room.
    let answer = client.try_call("k10", Call::Write { new: vec![b'x'; 300 << 10] });
    assert!(answer.is_err(), "{answer:?}");
    let (status, log) = node.end();
    check_full(status, &log, "long.tmp");
    // The disk is even fuller: the node does not start, reports why, and changes nothing.
    for (limit, event, file) in [(8 << 10, "event=disk_failed", "spare.tmp"), (1, "event=failed", "identity.json")] {
        let mut child = with_room_for(dir.path(), Some(limit)).spawn().unwrap();
        let status = wait(&mut child);
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        check_full_as(event, status, &log, file);
    }
    let node = Process::spawn(with_room_for(dir.path(), None));
    check_values(&node, 10, 500);
    let mut client = TestClient::connect(node.client);
    assert_eq!(client.read("k10"), None, "half a write is none");
    assert_eq!(client.write("k10", "1"), Outcome::Applied, "and it goes on");
}

fn a_disk_without_room_for_a_compaction_loses_nothing() {
    let dir = TempDir::new("process-full-snapshot");
    let node = Process::spawn(with_room_for(dir.path(), Some(160 << 10)));
    let acknowledged = fill(&mut TestClient::connect(node.client), 0, 6_000);
    assert!(acknowledged > 20, "{acknowledged}");
    let (status, log) = node.end();
    check_full(status, &log, ".snap");
    let node = Process::spawn(with_room_for(dir.path(), None));
    check_values(&node, acknowledged, 6_000);
    // With enough room, the compaction completes: more is written, and the log is short again.
    let more = 40;
    let mut client = TestClient::connect(node.client);
    for number in acknowledged..acknowledged + more {
        assert_eq!(client.write(&format!("k{number}"), &value(number, 6_000)), Outcome::Applied);
    }
    let snapshots =
        || std::fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "snap"));
    common::eventually("a snapshot", || snapshots().count() == 1);
    node.signal(libc::SIGKILL);
    node.end();
    check_values(&Process::spawn(with_room_for(dir.path(), None)), acknowledged + more, 6_000);
}

fn a_crash_failpoint_kills_it() {
    for point in [Failpoint::CrashBeforeSync, Failpoint::CrashAfterSync, Failpoint::CrashMidWrite] {
        let (status, log, dir) = run_into(point);
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{point:?}: {log}");
        check_log(&log, point.as_str());
        check_log(&log, "was reached");
        let node = Process::start(dir.path());
        assert!(TestClient::connect(node.client).read("k").is_some());
        let cut = node.control().status().unwrap().recovered_torn_bytes;
        assert_eq!(cut > 0, point == Failpoint::CrashMidWrite, "{point:?}: {cut} bytes cut");
    }
}

fn a_crash_at_a_point_kills_it_after_what_it_sent_before() {
    // Alone in its cluster, a node syncs a write before it reaches the point: the write survives, although its client got no
    // reply.
    for (point, value) in [("before-reply", "2"), ("after-sync", "1")] {
        let dir = TempDir::new("process-point");
        let node = Process::start(dir.path());
        let mut client = TestClient::connect(node.client);
        assert_eq!(client.write("k", "1"), Outcome::Applied);
        node.control().inject(point, Injection::Crash, 0).unwrap();
        let answer = client.try_call("k", Call::Write { new: b"2".to_vec() });
        assert!(answer.is_err(), "{point}: {answer:?}");
        let (status, log) = node.end();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{point}: {log}");
        check_log(&log, &format!("point {point} was reached"));
        let found = TestClient::connect(Process::start(dir.path()).client).read("k");
        assert!(found.as_deref() == Some(value) || found.as_deref() == Some("2"), "{point}: {found:?}");
    }
}

fn a_panic_in_any_thread_aborts_it() {
    let (status, log, dir) = run_into(Failpoint::Panic);
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{log}");
    check_log(&log, "event=panic");
    assert!(TestClient::connect(Process::start(dir.path()).client).read("k").is_some());
}

/// Limit on open files for the node in the test below. Clients get a share of it.
const OPEN_FILES: u64 = 100;

fn clients_cannot_take_the_descriptors_of_the_log() {
    let dir = TempDir::new("process-descriptors");
    let mut command = command(dir.path());
    command.env(SEGMENT, "16384");
    // SAFETY: one system call, which is safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: OPEN_FILES, rlim_max: OPEN_FILES };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
    let mut node = Process::spawn(command);
    let mut honest = TestClient::connect(node.client);
    let limit = node.control().status().unwrap().client_limit;
    assert!((10..OPEN_FILES).contains(&limit), "{limit} clients with {OPEN_FILES} descriptors");
    // A node at its limit keeps working, even while it opens new segments.
    let hostile: Vec<_> = (0..2 * OPEN_FILES).map(|_| std::net::TcpStream::connect(node.client).unwrap()).collect();
    let segments = |node: &Process| node.control().status().map(|status| (status.segments, status.snapshots)).unwrap();
    let before = segments(&node);
    for i in 0..40 {
        assert_eq!(honest.write(&format!("k{i}"), &value(i, 2_000)), Outcome::Applied);
    }
    assert_ne!(segments(&node), before, "the log went on to new segments");
    assert!(node.child.try_wait().unwrap().is_none());
    drop(hostile);
    common::eventually("new clients are served again", || {
        let stream = std::net::TcpStream::connect(node.client).unwrap();
        drop(stream);
        node.control().status().unwrap().client_connections < limit
    });
    assert_eq!(TestClient::connect(node.client).read("k7"), Some(value(7, 2_000)));
    node.signal(libc::SIGTERM);
    let (status, log) = node.end();
    assert_eq!(status.code(), Some(0), "{log}");
    check_log(&log, "event=client_limit_lowered wanted=1024");
}

fn a_log_that_is_not_read_does_not_stop_it() {
    let dir = TempDir::new("process-unread");
    let node = Process::start(dir.path());
    // Each connection is one line of about 200 bytes, and a pipe holds 64 KiB.
    for _ in 0..1_000 {
        let mut stream = std::net::TcpStream::connect(node.client).unwrap();
        std::io::Write::write_all(&mut stream, b"this is another protocol altogether").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
    assert_eq!(node.control().status().unwrap().bad_connections, 1_000);
    assert_eq!(TestClient::connect(node.client).write("k", "1"), Outcome::Applied);
    node.signal(libc::SIGTERM);
    let (status, log) = node.end();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("event=client_closed"), "{log}");
}

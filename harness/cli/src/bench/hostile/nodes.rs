//! Three nodes as child processes.

use crate::bench::peak_bytes;
use heckle_engine::orphans::end_with_parent;
use heckle_loopback::LoopbackClaim;
use heckle_server::control::{Client, Status};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const NODES: usize = 3;
/// Time limit for a node to become ready, and to connect to the others.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_PAUSE: Duration = Duration::from_millis(5);
/// Maximum length of a ready line, in bytes.
const MAX_READY_LINE: u64 = 64 << 10;

/// Options for starting nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodesSetup {
    /// Soft and hard limit on the open files of each node.
    pub(super) open_files: Option<u64>,
    /// Whether their standard error is read.
    pub(super) drain_stderr: bool,
}

/// The running nodes. Dropping it kills them and removes their folder.
pub(super) struct Nodes {
    all: Vec<NodeProcess>,
    folder: PathBuf,
    _claim: LoopbackClaim,
}

struct NodeProcess {
    child: Child,
    ready: Ready,
}

/// The addresses in a node's ready line.
#[derive(Debug, Clone, Deserialize)]
struct Ready {
    client: SocketAddr,
    peer: SocketAddr,
    control: SocketAddr,
}

impl Nodes {
    /// Starts the nodes and waits until they are connected.
    pub(super) fn start(below: &Path, setup: &NodesSetup) -> Result<Nodes, String> {
        let folder = below.join(format!("bench-hostile-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}; name a writable folder with --out", folder.display()))?;
        let claim = LoopbackClaim::new().map_err(|e| e.to_string())?;
        let addrs = claim.addresses(3 * NODES).map_err(|e| e.to_string())?;
        let mut nodes = Nodes { all: vec![], folder, _claim: claim };
        let children = (0..NODES).map(|n| spawn(&nodes.folder, n, &addrs, setup)).collect::<Vec<_>>();
        for child in children {
            let mut child = child?;
            match ready_line(&mut child) {
                Ok(ready) => nodes.all.push(NodeProcess { child, ready }),
                Err(why) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(why);
                }
            }
        }
        nodes.await_links()?;
        Ok(nodes)
    }

    fn await_links(&self) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        let connected = |status: &Status| status.voting && status.peers.iter().all(|peer| peer.inbound && peer.outbound);
        loop {
            if self.all.iter().all(|node| node.status().is_ok_and(|status| connected(&status))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the nodes did not connect to each other within {} s", START_TIMEOUT.as_secs()));
            }
            std::thread::sleep(CONNECT_PAUSE);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn client_addr(&self, n: usize) -> SocketAddr {
        self.all[n].ready.client
    }

    /// Returns the client, peer and control address of each node.
    pub(super) fn ports(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.all.iter().flat_map(|node| [node.ready.client, node.ready.peer, node.ready.control])
    }

    /// Returns the number of nodes that have not ended.
    pub(super) fn alive(&mut self) -> usize {
        self.all.iter_mut().map(|node| usize::from(matches!(node.child.try_wait(), Ok(None)))).sum()
    }

    /// Returns the peak resident memory of any node so far, in bytes. A node that has ended counts as 0.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.all.iter().filter_map(|node| peak_bytes(node.child.id())).max().unwrap_or(0)
    }

    /// Returns the largest number of keys for which a node has state.
    pub(super) fn largest_key_count(&self) -> Result<u64, String> {
        let keys = |node: &NodeProcess| node.status().map(|status| status.keys);
        self.all.iter().map(keys).try_fold(0, |most, keys| Ok(most.max(keys?)))
    }

    /// Describes the state that the nodes still hold for clients. Keys are included if there are more than `keys_before`.
    pub(super) fn left_behind(&self, keys_before: Option<u64>) -> String {
        let mut left = vec![];
        for (n, node) in self.all.iter().enumerate() {
            let status = match node.status() {
                Ok(status) => status,
                Err(why) => {
                    left.push(format!("n{} without a status ({why})", n + 1));
                    continue;
                }
            };
            let held = status.held_bytes;
            let bytes = held.requests + held.partial_frames + held.replies;
            let keys = keys_before.map_or(0, |before| status.keys.saturating_sub(before));
            for (count, what) in [(bytes, "bytes"), (status.open_ops, "open operations"), (keys, "keys")] {
                if count > 0 {
                    left.push(format!("{count} {what} in n{}", n + 1));
                }
            }
        }
        left.join(", ")
    }

    /// Stops these nodes with SIGSTOP.
    pub(super) fn freeze(&self, which: std::ops::Range<usize>) {
        self.signal(which, libc::SIGSTOP);
    }

    /// Continues all nodes.
    pub(super) fn thaw(&self) {
        self.signal(0..self.all.len(), libc::SIGCONT);
    }

    fn signal(&self, which: std::ops::Range<usize>, signal: i32) {
        for node in &self.all[which] {
            if let Ok(pid) = libc::pid_t::try_from(node.child.id()) {
                // SAFETY: the child has not been waited for, so its pid cannot belong to another process.
                unsafe { libc::kill(pid, signal) };
            }
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.all {
            let _ = node.child.kill();
            let _ = node.child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl NodeProcess {
    fn status(&self) -> Result<Status, String> {
        Client::connect(self.ready.control, STATUS_TIMEOUT).and_then(|mut client| client.status()).map_err(|e| e.to_string())
    }
}

fn spawn(folder: &Path, n: usize, addrs: &[SocketAddr], setup: &NodesSetup) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
    let of = |kind: usize, n: usize| addrs[kind * NODES + n].to_string();
    let mut command = Command::new(program);
    command.args(["node", "--cluster-id", "hostile", "--exit-on-stdin-eof", "--id", &format!("n{}", n + 1)]);
    command.args(["--client-listen", &of(0, n), "--peer-listen", &of(1, n), "--control-listen", &of(2, n)]);
    command.arg("--data").arg(folder.join(format!("n{}", n + 1)));
    for peer in (0..NODES).filter(|peer| *peer != n) {
        command.args(["--peer", &format!("n{}={}", peer + 1, of(1, peer))]);
    }
    let stderr = if setup.drain_stderr { Stdio::null() } else { Stdio::piped() };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    let open_files = setup.open_files;
    end_with_parent(&mut command, libc::SIGKILL);
    // SAFETY: the closure makes one system call, which is safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if let Some(limit) = open_files {
                let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
                if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command.spawn().map_err(|e| format!("cannot start a node: {e}"))
}

fn ready_line(child: &mut Child) -> Result<Ready, String> {
    let stdout = child.stdout.take().ok_or("the node has no standard output")?;
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut line = String::new();
        let read = BufReader::new(stdout.take(MAX_READY_LINE)).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    };
    std::thread::Builder::new().name("ready".into()).spawn(read).map_err(|e| crate::limits::no_thread(&e))?;
    let line = receiver.recv_timeout(START_TIMEOUT).map_err(|_| format!("a node was not ready within {} s", START_TIMEOUT.as_secs()))?;
    let line = line.map_err(|e| format!("the ready line of a node: {e}"))?;
    serde_json::from_str(&line).map_err(|_| "a node ended before it was ready: run `heckle doctor`".to_owned())
}

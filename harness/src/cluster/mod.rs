//! The processes of one bundled cluster: started together, watched, struck, restarted on their data, and gone
//! when the run is.

pub mod leases;
pub mod pids;
pub mod ports;
pub mod process;

use crate::plan::{Plan, lease};
use crate::recorder::Recorder;
use crate::relay::{Relay, Route};
use crate::stop::{Stop, StopReason};
use heckle_history::{Event, Names, NodeEvent};
use heckle_server::control;
use heckle_server::status::Status;
use heckle_workloads::fault::Node;
use process::{NodeProcess, Spawner, how};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A node recovers within this, or the run is broken.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// After a signal, the kernel shows its effect within this.
const SIGNAL_WITHIN: Duration = Duration::from_secs(2);
/// After SIGTERM, a node has this long before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How often processes are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(20);
/// Lines of a dead node's log that are shown.
const LOG_TAIL_LINES: usize = 12;

/// What a fault did or undid, for the history.
pub type Evidence = BTreeMap<String, Json>;

/// All nodes of a run.
pub struct Cluster {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    spawner: Spawner,
    program: PathBuf,
    folder: PathBuf,
    nodes: Vec<Mutex<NodeSlot>>,
    recorder: Recorder,
    names: Arc<Names>,
    stop: Stop,
    over: AtomicBool,
}

struct NodeSlot {
    name: String,
    args: Vec<String>,
    client: SocketAddr,
    control: SocketAddr,
    process: Option<NodeProcess>,
    /// Whether the end of the process is of our making.
    struck: bool,
    restarts: u64,
    /// Added to the node's wall clock for the whole run, microseconds.
    clock_offset_us: i64,
}

/// Where clients reach a node, and what a relay must forward.
struct Addresses {
    peer: Vec<SocketAddr>,
    client: Vec<SocketAddr>,
    control: Vec<SocketAddr>,
}

impl Cluster {
    /// Starts all nodes and waits until each has recovered and reached its peers.
    ///
    /// # Errors
    /// The node that did not come up, why, and the end of its log.
    pub fn start(
        plan: &Plan,
        folder: &Path,
        relay: Option<&Relay>,
        recorder: Recorder,
        names: Arc<Names>,
        stop: Stop,
    ) -> Result<Cluster, String> {
        let n = usize::from(plan.nodes);
        let ports = ports::pick(3 * n)?;
        let addresses = Addresses { peer: ports[..n].to_vec(), client: ports[n..2 * n].to_vec(), control: ports[2 * n..].to_vec() };
        let mut nodes = vec![];
        for i in 0..n {
            nodes.push(Mutex::new(slot(plan, folder, relay, &addresses, i)?));
        }
        pids::append(folder, pids::HARNESS, std::process::id()).map_err(|e| format!("cannot write {}: {e}", pids::FILE))?;
        let program = std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))?;
        let spawner = Spawner::start().map_err(|e| format!("cannot start a thread: {e}"))?;
        let shared =
            Arc::new(Shared { spawner, program, folder: folder.to_owned(), nodes, recorder, names, stop, over: AtomicBool::new(false) });
        let mut cluster = Cluster { shared: shared.clone(), watch: None };
        for slot in &shared.nodes {
            shared.launch(&mut lock(slot))?;
        }
        for slot in &shared.nodes {
            shared.await_ready(&mut lock(slot))?;
        }
        cluster.await_peers()?;
        let watcher = std::thread::Builder::new().name("watch".into()).spawn(move || shared.watch());
        cluster.watch = Some(watcher.map_err(|e| format!("cannot start a thread: {e}"))?);
        Ok(cluster)
    }

    /// Where clients reach each node, relay included.
    pub fn client_addresses(&self) -> Vec<SocketAddr> {
        self.shared.nodes.iter().map(|s| lock(s).client).collect()
    }

    /// SIGKILL, and the process is seen to be gone.
    ///
    /// # Errors
    /// If it could not be killed.
    pub fn kill(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        slot.struck = true;
        let process = slot.process.as_mut().ok_or_else(|| format!("{node} is not running"))?;
        let pid = process.pid();
        process.signal(libc::SIGKILL).map_err(|e| format!("cannot kill {node}: {e}"))?;
        let status =
            process.wait_ended(SIGNAL_WITHIN).ok_or_else(|| format!("{node} survived SIGKILL for {} s", SIGNAL_WITHIN.as_secs()))?;
        slot.process = None;
        self.shared.note(
            node_index(node),
            "exit",
            [("how".into(), how(status).into()), ("by".into(), "kill".into()), ("expected".into(), true.into())].into(),
        );
        Ok([("killed".into(), 1.into()), (format!("pid_{node}"), pid.into())].into())
    }

    /// Starts a killed node on its data and waits until it has recovered.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        let began = Instant::now();
        self.shared.launch(&mut slot)?;
        self.shared.await_ready(&mut slot)?;
        slot.struck = false;
        slot.restarts += 1;
        let ready_ms = began.elapsed().as_secs_f64() * 1e3;
        Ok([("restarted".into(), 1.into()), (format!("ready_ms_{node}"), Json::from((ready_ms * 10.0).round() / 10.0))].into())
    }

    /// SIGSTOP, and the kernel shows the process stopped.
    ///
    /// # Errors
    /// If it could not be stopped.
    pub fn pause(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        let process = slot.process.as_mut().ok_or_else(|| format!("{node} is not running"))?;
        process.signal(libc::SIGSTOP).map_err(|e| format!("cannot pause {node}: {e}"))?;
        let stopped = process.await_stopped(true, SIGNAL_WITHIN);
        drop(slot);
        self.shared.note(node_index(node), "paused", BTreeMap::new());
        Ok([("seen_stopped".into(), u64::from(stopped).into())].into())
    }

    /// SIGCONT, and the kernel shows the process running. Does nothing to a node that is not there.
    ///
    /// # Errors
    /// If it could not be resumed.
    pub fn resume(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        let Some(process) = slot.process.as_mut() else { return Ok(Evidence::new()) };
        let still = process.state() == Some('T');
        process.signal(libc::SIGCONT).map_err(|e| format!("cannot resume {node}: {e}"))?;
        let running = process.await_stopped(false, SIGNAL_WITHIN);
        drop(slot);
        self.shared.note(node_index(node), "resumed", BTreeMap::new());
        if !running {
            return Err(format!("{node} stayed stopped for {} s after SIGCONT", SIGNAL_WITHIN.as_secs()));
        }
        Ok([("stopped_until_the_end".into(), u64::from(still).into())].into())
    }

    /// What a node says of itself.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn status(&self, node: Node) -> Result<Status, String> {
        let addr = self.slot(node).control;
        control_status(addr)
    }

    /// The same, but `None` at once for a node that is down, paused or being struck: nobody waits for it.
    pub fn status_if_free(&self, node: Node) -> Option<Status> {
        let addr = {
            let slot = self.shared.nodes[node_index(node)].try_lock().ok()?;
            let running = slot.process.as_ref()?.state().is_some_and(|s| s != 'T' && s != 'Z');
            running.then_some(slot.control)?
        };
        control_status(addr).ok()
    }

    /// Where the node's control channel is.
    pub fn control_address(&self, node: Node) -> SocketAddr {
        self.slot(node).control
    }

    /// How many nodes.
    pub fn size(&self) -> u16 {
        self.shared.nodes.len() as u16
    }

    /// Ends all nodes cleanly, paused ones included, and tells which had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        self.shared.over.store(true, Ordering::SeqCst);
        let mut forced = vec![];
        for slot in &self.shared.nodes {
            let mut slot = lock(slot);
            slot.struck = true;
            if let Some(process) = slot.process.as_mut() {
                let _ = process.signal(libc::SIGTERM);
                let _ = process.signal(libc::SIGCONT);
            }
        }
        for (i, slot) in self.shared.nodes.iter().enumerate() {
            let mut slot = lock(slot);
            let Some(mut process) = slot.process.take() else { continue };
            let status = process.wait_ended(STOP_WITHIN);
            let how = status.map_or("SIGKILL after it ignored SIGTERM".into(), how);
            if status.is_none() {
                forced.push(slot.name.clone());
            }
            drop(process);
            self.shared.note(
                i,
                "exit",
                [("how".into(), how.into()), ("by".into(), "teardown".into()), ("expected".into(), true.into())].into(),
            );
        }
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        forced
    }

    fn slot(&self, node: Node) -> MutexGuard<'_, NodeSlot> {
        lock(&self.shared.nodes[node_index(node)])
    }

    fn await_peers(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        for slot in &self.shared.nodes {
            let (name, addr) = {
                let slot = lock(slot);
                (slot.name.clone(), slot.control)
            };
            loop {
                let status = control_status(addr);
                match &status {
                    Ok(s) if s.peers.iter().all(|p| p.outbound) => break,
                    Ok(_) | Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                    Ok(_) => return Err(format!("{name} did not reach its peers within {} s", READY_WITHIN.as_secs())),
                    Err(e) => return Err(format!("{name} does not answer on its control channel: {e}")),
                }
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(slot: &Mutex<NodeSlot>) -> MutexGuard<'_, NodeSlot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn node_index(node: Node) -> usize {
    usize::from(node.0) - 1
}

fn control_status(addr: SocketAddr) -> Result<Status, String> {
    let ask = || control::Client::connect(addr, SIGNAL_WITHIN)?.status();
    ask().map_err(|e: control::ControlError| e.to_string())
}

fn slot(plan: &Plan, folder: &Path, relay: Option<&Relay>, a: &Addresses, i: usize) -> Result<NodeSlot, String> {
    let me = Node(i as u16 + 1);
    let dir = folder.join("nodes").join(me.to_string());
    std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    let through = |route: Route, target: SocketAddr| match relay {
        None => Ok(target),
        Some(relay) => relay.open(route, target).map_err(|e| format!("the relay cannot open {route:?}: {e}")),
    };
    let mut args: Vec<String> = vec!["node".into(), "--id".into(), me.to_string()];
    let mut flag = |name: &str, value: String| args.extend([format!("--{name}"), value]);
    flag("cluster-id", folder.file_name().map_or("heckle".into(), |f| f.to_string_lossy().into_owned()));
    flag("peer-listen", a.peer[i].to_string());
    flag("client-listen", a.client[i].to_string());
    flag("control-listen", a.control[i].to_string());
    for (j, target) in a.peer.iter().enumerate().filter(|(j, _)| *j != i) {
        let peer = Node(j as u16 + 1);
        flag("peer", format!("{peer}={}", through(Route::Nodes { from: me, to: peer }, *target)?));
    }
    flag("data", dir.join("data").to_string_lossy().into_owned());
    flag("seed", plan.seed.part(&format!("node/{me}")).to_string());
    flag("rounds", plan.rounds.clone());
    flag("backoff", plan.backoff.clone());
    flag("lease", plan.lease.mode.name().into());
    flag("lease-time", format!("{}us", plan.lease.time_ns / 1_000));
    flag("lease-drift", lease::drift_text(plan.lease.drift_ppm));
    flag("lease-ranges", plan.lease.ranges.to_string());
    flag("forward", plan.lease.forward.name().into());
    flag("parent-pid", std::process::id().to_string());
    if let Some(mutant) = &plan.mutant {
        flag("mutant", mutant.clone());
    }
    args.push("--exit-on-stdin-eof".into());
    let client = through(Route::Clients { to: me }, a.client[i])?;
    let clock_offset_us = plan.slow_clock.filter(|c| c.node == me).map_or(0, |c| c.offset_us);
    let control = a.control[i];
    Ok(NodeSlot { name: me.to_string(), args, client, control, process: None, struck: false, restarts: 0, clock_offset_us })
}

impl Shared {
    fn launch(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let log = self.log_of(slot);
        let process =
            NodeProcess::start(&self.spawner, &self.program, &slot.args, &log).map_err(|e| format!("cannot start {}: {e}", slot.name))?;
        pids::append(&self.folder, &slot.name, process.pid()).map_err(|e| format!("cannot write {}: {e}", pids::FILE))?;
        slot.process = Some(process);
        Ok(())
    }

    fn await_ready(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let process = slot.process.as_mut().expect("it was just launched");
        let ready = process.await_ready(READY_WITHIN);
        let line = ready.map_err(|e| format!("{} did not start: {e}\n{}", slot.name, log_tail(&self.log_of(slot))))?;
        let pid = slot.process.as_ref().map(NodeProcess::pid);
        let told: BTreeMap<String, Json> = serde_json::from_str(&line).unwrap_or_default();
        let mut detail: BTreeMap<String, Json> = told.into_iter().filter(|(k, _)| k == "incarnation").collect();
        detail.insert("pid".into(), pid.into());
        if slot.clock_offset_us != 0 {
            // A process begins with the right time, after a restart too.
            let set = control::Client::connect(slot.control, SIGNAL_WITHIN).and_then(|mut c| c.set_clock(slot.clock_offset_us, 0));
            set.map_err(|e| format!("the clock of {} cannot be set: {e}", slot.name))?;
            detail.insert("clock_offset_us".into(), slot.clock_offset_us.into());
        }
        self.note_by_name(&slot.name, "start", detail);
        Ok(())
    }

    fn log_of(&self, slot: &NodeSlot) -> PathBuf {
        self.folder.join("nodes").join(&slot.name).join("node.log")
    }

    fn note(&self, index: usize, what: &str, detail: BTreeMap<String, Json>) {
        self.note_by_name(&format!("n{}", index + 1), what, detail);
    }

    fn note_by_name(&self, name: &str, what: &str, detail: BTreeMap<String, Json>) {
        let node = self.names.nodes().find(|(_, n)| *n == name).expect("all nodes are in the header").0;
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what: what.into(), detail }));
    }

    /// Looks for nodes that end without having been struck: the run is then broken, whatever the judge says.
    fn watch(&self) {
        while !self.over.load(Ordering::SeqCst) {
            for (i, slot) in self.nodes.iter().enumerate() {
                // A slot that is held is being struck or restarted right now.
                let Ok(mut slot) = slot.try_lock() else { continue };
                if slot.struck {
                    continue;
                }
                let Some(status) = slot.process.as_mut().and_then(NodeProcess::ended) else { continue };
                slot.struck = true;
                slot.process = None;
                self.note(
                    i,
                    "exit",
                    [("how".into(), how(status).into()), ("by".into(), "itself".into()), ("expected".into(), false.into())].into(),
                );
                let tail = log_tail(&self.log_of(&slot));
                self.stop.ask(StopReason::Broken(format!("{} died without a fault: {}\n{tail}", slot.name, how(status))));
            }
            std::thread::sleep(WATCH_EVERY);
        }
    }
}

/// The last lines of a node's log, for a message.
fn log_tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    format!("the end of {}:\n  {}", log.display(), tail.join("\n  "))
}

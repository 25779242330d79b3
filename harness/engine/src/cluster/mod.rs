//! The processes of one cluster: started together, watched, struck, restarted on their data, and gone when the run
//! is. What differs between systems under test is asked of the system.

mod events; // what a system's watcher hears, into the history
mod identity; // how a process is known again
pub mod helpers; // processes that help a system's clients
mod last_words; // what a process said before it ended
mod log; // what a process writes, up to a bound
pub mod pids;
pub mod process;
mod running; // a node's processes as one
mod strays; // what a node left in the background
mod signals; // what a fault does to a process, and what undoes it

use crate::clock::RunClock;
use crate::limits;
use crate::plan::{ClockOffset, Plan};
use crate::recorder::Recorder;
use crate::relay::raw::Owners;
use crate::relay::{Relay, Route};
use crate::stop::{Stop, StopReason};
use heckle_checker::checks::crash::{self, Phase};
use heckle_faults::Node;
use heckle_history::{Event, Names, NodeEvent, NodeIx};
use heckle_loopback::LoopbackClaim;
use heckle_system_api::System;
use heckle_system_api::capability::{ClockState, NodeEvents, Sample, Watch};
use heckle_system_api::identity::{Mistaken, Target};
use heckle_system_api::launch::{Addresses, Dialler, NodeSpec, RelayPorts, Site};
use heckle_system_api::process::ONLY;
use process::Spawner;
use running::{LogPart, RunningNode};
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
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How often processes are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(20);

pub use signals::Ended;

/// What a fault did or undid, for the history.
pub type Evidence = BTreeMap<String, Json>;

/// All nodes of a run.
pub struct Cluster {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    spawner: Arc<Spawner>,
    system: Arc<dyn System>,
    /// Fixed wall-clock offset of one node.
    clock_offset: Option<ClockOffset>,
    program: PathBuf,
    folder: PathBuf,
    nodes: Vec<Mutex<NodeSlot>>,
    recorder: Recorder,
    names: Arc<Names>,
    stop: Stop,
    /// Whose processes they are, for a relay that finds out who dials.
    owners: Owners,
    over: AtomicBool,
    /// Keeps the address of all nodes, and is given back after they are gone.
    _claim: LoopbackClaim,
}

struct NodeSlot {
    spec: NodeSpec,
    process: Option<RunningNode>,
    /// Whether the end of the process is of our making, or was seen already.
    struck: bool,
    /// Something listened in its place when the watch last looked.
    suspicious: bool,
    /// Whether any process of the node was ready once.
    served: bool,
    /// The log of the process that is looked at: of the first, or of the one that ended.
    log: LogPart,
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
        let system = plan.system.clone();
        let program = plan.bin.clone().map_or_else(|| system.program(), Ok)?;
        let claim = LoopbackClaim::new().map_err(|e| e.to_string())?;
        let spawner = Arc::new(Spawner::start().map_err(|e| limits::no_thread(&e))?);
        let specs = system.nodes(&Site {
            folder,
            cluster: &name_of(folder),
            nodes: plan.nodes,
            seed: plan.seed,
            links: relay.map(|relay| relay as &dyn RelayPorts),
            addresses: &Claimed(&claim),
            mistaken: mistaken(&stop),
            helpers: Arc::new(helpers::OfRun::new(spawner.clone(), folder)),
        })?;
        let slots = specs.into_iter().map(|spec| slot(spec, folder).map(Mutex::new));
        let nodes = slots.collect::<Result<Vec<_>, String>>()?;
        pids::append(folder, pids::HARNESS, std::process::id()).map_err(|e| format!("cannot write {}: {e}", pids::FILE))?;
        let shared = Arc::new(Shared {
            spawner,
            system,
            clock_offset: plan.clock_offset,
            program,
            folder: folder.to_owned(),
            nodes,
            recorder,
            names,
            stop,
            owners: relay.and_then(Relay::owners).unwrap_or_else(|| Owners::new(&name_of(folder))),
            over: AtomicBool::new(false),
            _claim: claim,
        });
        let mut cluster = Cluster { shared: shared.clone(), watch: None };
        for slot in &shared.nodes {
            shared.launch(&mut lock(slot))?;
        }
        for slot in &shared.nodes {
            shared.await_ready(&mut lock(slot))?;
        }
        cluster.await_peers()?;
        let watcher = std::thread::Builder::new().name("watch".into()).spawn(move || shared.watch());
        cluster.watch = Some(watcher.map_err(|e| limits::no_thread(&e))?);
        Ok(cluster)
    }

    /// Where clients reach each node, relay included, and who must answer there.
    pub fn targets(&self) -> Vec<Target> {
        self.shared.nodes.iter().map(|s| lock(s).spec.target()).collect()
    }

    /// The system under test.
    pub fn system(&self) -> &dyn System {
        &*self.shared.system
    }

    /// How a node is started and reached.
    pub fn spec(&self, node: Node) -> NodeSpec {
        self.slot(node).spec.clone()
    }

    /// The same, but `None` at once for a node that is down, paused or being struck: nobody waits for it.
    pub fn spec_if_free(&self, node: Node) -> Option<NodeSpec> {
        let slot = self.shared.nodes[node_index(node)].try_lock().ok()?;
        let running = slot.process.as_ref()?.state().is_some_and(|s| s != 'T' && s != 'Z');
        running.then(|| slot.spec.clone())
    }

    /// The figures of a node that is free to answer, if the system reports any.
    pub fn sample_if_free(&self, node: Node) -> Option<Sample> {
        let metrics = self.shared.system.metrics()?;
        metrics.sample(&self.spec_if_free(node)?).ok()
    }

    /// The node that has a role now, and how it was chosen.
    ///
    /// # Errors
    /// If no node answers, or the system has no such role.
    pub fn find_role(&self, role: &str) -> Result<(Node, String), String> {
        let system = self.system();
        let roles = system.roles().ok_or_else(|| format!("the nodes of {} have no roles", system.name()))?;
        let running: Vec<_> = (0..self.size()).filter_map(|i| Some((NodeIx(i), self.spec_if_free(Node(i + 1))?))).collect();
        let (node, how) = roles.find(role, &running)?;
        Ok((Node(node.0 + 1), how))
    }

    /// Listens to the nodes while the run lasts, where the system has something to tell.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn watch(&self, clock: RunClock) -> Result<Option<Arc<dyn Watch>>, String> {
        let specs: Vec<NodeSpec> = self.shared.nodes.iter().map(|slot| lock(slot).spec.clone()).collect();
        let events: Arc<dyn NodeEvents> = Arc::new(events::Events::new(clock, self.shared.recorder.clone(), self.shared.names.clone()));
        let watch = self.shared.system.watch(&specs, &events)?;
        Ok(watch.map(Arc::from))
    }

    /// Puts into the history what a node stores. `calm`: nothing is asked of it any more.
    pub fn note_state(&self, node: Node, sample: &Sample, calm: bool) {
        if sample.state.is_empty() {
            return;
        }
        let mut detail: BTreeMap<String, Json> = sample.state.iter().map(|(name, figure)| ((*name).to_owned(), (*figure).into())).collect();
        if calm {
            detail.insert("calm".into(), true.into());
        }
        self.shared.note(node_index(node), heckle_history::event::STATE, detail);
    }

    /// Waits until no node has work left to drain, at most `patience`, and puts the state of all into the history. What is left
    /// then leaks.
    pub fn settle(&self, stop: &Stop, patience: Duration) {
        let deadline = Instant::now() + patience;
        for node in (1..=self.size()).map(Node) {
            while let Some(sample) = self.sample_if_free(node) {
                if sample.pending == 0 || Instant::now() >= deadline || stop.reason().is_some() {
                    self.note_state(node, &sample, stop.reason().is_none());
                    break;
                }
                std::thread::sleep(WATCH_EVERY);
            }
        }
    }

    /// Whether a node answers now, and says that it is ready.
    pub fn is_ready(&self, node: Node) -> bool {
        self.shared.system.is_ready(&self.spec(node))
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
            // What ended by itself until now was not asked to.
            self.shared.look_after(&mut slot);
            slot.struck = true;
            if let Some(process) = slot.process.as_mut() {
                let _ = process.ask_to_end();
                let _ = process.signal(libc::SIGCONT);
            }
        }
        for (i, slot) in self.shared.nodes.iter().enumerate() {
            let mut slot = lock(slot);
            let Some(mut process) = slot.process.take() else { continue };
            let status = process.wait_ended(STOP_WITHIN);
            let end = last_words::end(status, &slot.log.path, slot.log.from);
            let mut detail = last_words::detail(&end, Phase::Asked, "teardown");
            if status.is_none() {
                forced.push(slot.spec.name.clone());
                detail.insert("how".into(), "SIGKILL after it ignored SIGTERM".into());
                detail.insert("signal".into(), libc::SIGKILL.into());
            }
            drop(process);
            self.shared.note(i, crash::EXIT, detail);
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
            let spec = lock(slot).spec.clone();
            loop {
                match self.shared.system.sees_peers(&spec) {
                    Ok(true) => break,
                    Ok(false) | Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                    Ok(false) => return Err(format!("{} did not reach its peers within {} s", spec.name, READY_WITHIN.as_secs())),
                    Err(e) => return Err(format!("{} does not answer the harness: {e}", spec.name)),
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

/// The cluster's name, by the folder of its run.
pub fn name_of(folder: &Path) -> String {
    folder.file_name().map_or("heckle".into(), |name| name.to_string_lossy().into_owned())
}

fn lock(slot: &Mutex<NodeSlot>) -> MutexGuard<'_, NodeSlot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn node_index(node: Node) -> usize {
    usize::from(node.0) - 1
}

/// Addresses for the processes of one cluster, from its claim.
struct Claimed<'a>(&'a LoopbackClaim);

impl Addresses for Claimed<'_> {
    fn take(&self, count: usize) -> Result<Vec<SocketAddr>, String> {
        self.0.addresses(count).map_err(|e| format!("the cluster needs {count} ports: {e}"))
    }
}

impl RelayPorts for Relay {
    fn open(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> std::io::Result<SocketAddr> {
        let to = Node(to.0 + 1);
        let route = match from {
            Dialler::Node(from) => Route::Nodes { from: Node(from.0 + 1), to },
            Dialler::Clients => Route::Clients { to },
            Dialler::Anyone => Route::Anyone { to },
        };
        Relay::open(self, route, listens)
    }
}

/// Whatever answers in a node's place ends the run.
fn mistaken(stop: &Stop) -> Mistaken {
    let stop = stop.clone();
    Mistaken::new(move |why| stop.ask(StopReason::Broken(why)))
}

fn slot(spec: NodeSpec, folder: &Path) -> Result<NodeSlot, String> {
    let dir = folder.join("nodes").join(&spec.name);
    std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    let first = spec.processes.first().map_or(ONLY, |process| &process.name);
    let log = LogPart { path: running::log_of(folder, &spec.name, first), from: 0 };
    Ok(NodeSlot { spec, process: None, struck: false, suspicious: false, served: false, log })
}

impl NodeSlot {
    /// From now on the log that counts is that of the process that ended.
    fn look_at_the_ended(&mut self) {
        if let Some(process) = &mut self.process {
            self.log = process.log();
        }
    }
}

impl Shared {
    fn launch(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let name = slot.spec.name.clone();
        let node = name.parse().ok();
        let started = |pid| {
            // The relay must know whose it is before it dials.
            node.into_iter().for_each(|node| self.owners.register(pid, node));
            pids::append(&self.folder, &name, pid).map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", pids::FILE)))
        };
        let process = RunningNode::start(&self.spawner, &self.program, &slot.spec, &self.folder, started);
        let mut process = process.map_err(|(process, e)| {
            let of = if process == ONLY { String::new() } else { format!("`{process}` of ") };
            format!("cannot start {of}{name}: {}", limits::named(&e))
        })?;
        slot.log = process.log();
        slot.process = Some(process);
        Ok(())
    }

    fn await_ready(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let process = slot.process.as_mut().expect("it was just launched");
        let ready = self.system.await_ready(&slot.spec, process, READY_WITHIN).and_then(|detail| self.set_clock(&slot.spec, detail));
        let pid = process.pid();
        let mut detail = match ready {
            Ok(detail) => detail,
            Err(why) => return Err(self.did_not_start(slot, &why)),
        };
        slot.served = true;
        detail.insert("pid".into(), pid.into());
        self.note_by_name(&slot.spec.name, "start", detail);
        Ok(())
    }

    /// Sets the clock that is wrong for the whole run: a process begins with the right time, after a restart too.
    fn set_clock(&self, spec: &NodeSpec, mut detail: Evidence) -> Result<Evidence, String> {
        let Some(offset) = self.clock_offset.filter(|offset| offset.node.to_string() == spec.name) else { return Ok(detail) };
        let clocks = self.system.clocks().ok_or_else(|| format!("the clocks of {} cannot be set", self.system.name()))?;
        let setting = ClockState { offset_us: offset.offset_us, drift_ppm: 0 };
        clocks.set(spec, setting).map_err(|e| format!("its clock cannot be set: {e}"))?;
        detail.insert("clock_offset_us".into(), offset.offset_us.into());
        Ok(detail)
    }

    /// Puts into the history that a node did not become ready, and gives the reason in words, with the end of the log of the process
    /// that ended, or of all.
    fn did_not_start(&self, slot: &mut NodeSlot, why: &str) -> String {
        let process = slot.process.as_mut();
        let (status, logs) = process.map_or((None, vec![]), |process| (process.ended(), process.logs()));
        let background = slot.process.as_mut().and_then(RunningNode::went_to_background);
        let why = background.as_deref().unwrap_or(why);
        slot.look_at_the_ended();
        let end = last_words::end(status, &slot.log.path, slot.log.from);
        let logs = if status.is_some() || logs.is_empty() { vec![slot.log.clone()] } else { logs };
        if end.signal.is_some() || end.code.is_some() {
            let phase = if slot.served { Phase::Restart } else { Phase::FirstStart };
            self.note_by_name(&slot.spec.name, crash::EXIT, last_words::detail(&end, phase, "itself"));
            slot.process = None;
        } else {
            self.note_by_name(&slot.spec.name, crash::START_FAILED, [("why".to_owned(), why.into())].into());
        }
        slot.struck = true;
        let again = if slot.served { " again" } else { "" };
        let ends = logs.iter().map(|log| last_words::quoted(&last_words::end(None, &log.path, log.from), &log.path));
        format!("{} did not start{again}: {why}\n{}", slot.spec.name, ends.collect::<Vec<_>>().join("\n"))
    }

    fn note(&self, index: usize, what: &str, detail: BTreeMap<String, Json>) {
        self.note_by_name(&format!("n{}", index + 1), what, detail);
    }

    fn note_by_name(&self, name: &str, what: &str, detail: BTreeMap<String, Json>) {
        let node = self.names.nodes().find(|(_, n)| *n == name).expect("all nodes are in the header").0;
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what: what.into(), detail }));
    }

    /// While a node's process is gone nothing may listen in its place. Seen twice, so that the last moment of a process that was
    /// just killed is not taken for a program.
    fn look_for_a_stranger(&self, slot: &mut NodeSlot) {
        if slot.process.is_some() {
            slot.suspicious = false;
            return;
        }
        let found = self.system.who_answers(&slot.spec);
        if let Some((addr, who)) = found.as_ref().filter(|_| slot.suspicious) {
            slot.spec.node.stranger(*addr, who);
        }
        slot.suspicious = found.is_some();
    }

    /// Why a node did not start again: the program that has its port, if one has, and then the run's reason is that.
    fn taken_by_a_stranger(&self, slot: &mut NodeSlot, why: String) -> String {
        if slot.process.as_mut().is_some_and(|process| RunningNode::ended(process).is_none()) {
            return why;
        }
        slot.process = None;
        match self.system.who_answers(&slot.spec) {
            Some((addr, who)) => format!("{}; {why}", slot.spec.node.stranger(addr, &who)),
            None => why,
        }
    }

    /// Looks for nodes that end without having been struck.
    fn watch(&self) {
        while !self.over.load(Ordering::SeqCst) {
            for slot in &self.nodes {
                // A slot that is held is being struck or restarted right now.
                if let Ok(mut slot) = slot.try_lock() {
                    self.look_after(&mut slot);
                    if slot.struck {
                        self.look_for_a_stranger(&mut slot);
                    }
                }
            }
            std::thread::sleep(WATCH_EVERY);
        }
    }

    /// Notes the end of a node that was not asked to end, and stops the run: by a crash of the system as by any other
    /// violation, else as an error of the machine.
    fn look_after(&self, slot: &mut NodeSlot) {
        if slot.struck {
            return;
        }
        let Some(status) = slot.process.as_mut().and_then(RunningNode::ended) else { return };
        slot.struck = true;
        slot.look_at_the_ended();
        let background = slot.process.as_mut().and_then(RunningNode::went_to_background);
        let who = slot.process.as_mut().and_then(RunningNode::who_ended);
        slot.process = None;
        let end = last_words::end(Some(status), &slot.log.path, slot.log.from);
        // A node that was never ready has promised nothing yet, so an end of it is no crash unless it says so itself.
        let phase = if slot.served { Phase::Serving } else { Phase::FirstStart };
        self.note_by_name(&slot.spec.name, crash::EXIT, last_words::detail(&end, phase, "itself"));
        match crash::cause(&end, phase) {
            crash::Cause::Crash | crash::Cause::Asked => self.stop.ask(StopReason::Violation),
            crash::Cause::Outside(why) => {
                let (name, how, of) = (&slot.spec.name, crash::how(&end), who.map_or(String::new(), |who| format!("`{who}` of ")));
                let why = background.unwrap_or(why.to_owned());
                let why = format!("{of}{name} ended without a fault, with {how}: {why}\n{}", last_words::quoted(&end, &slot.log.path));
                self.stop.ask(StopReason::Broken(why));
            }
        }
    }
}

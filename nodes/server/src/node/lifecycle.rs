//! The life cycle of a node: recovery, getting ready, serving, stopping.

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use heckle_paxos::{Actions, Config, Links, Mutants, NodeId as CoreNodeId, Replica};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use rustc_hash::FxHashMap;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::error::storage_exit_code;
use super::{Hosting, NodeError, Ready, Stopper};
use crate::amnesia::{Check, Doubt, ProcessStart, Witness, check_folder};
use crate::clock::ClockSeam;
use crate::control::ControlToken;
use crate::event_loop::EventLoop;
use crate::lease_watch::LeaseWatch;
use crate::log::Logger;
use crate::metrics::http as metrics_http;
use crate::options::{Announce, Backoff, NodeId, NodeOptions, OptionsError, Prune, Queue, Rounds, Unsynced};
use crate::peers::links::Peers;
use crate::points::protocol::ProtocolPoints;
use crate::points::storage::StoragePoints;
use crate::resources::descriptors::raise_limit;
use crate::resources::{Descriptors, PartialFrames, ReplyBudget};
use crate::shell::{Counts, Inbox, Shell};
use crate::storage::Store;
use crate::storage::folder::{Folder, Identity, write_identity};
use crate::storage::group::Durability;
use crate::storage::recovery::{self, Recovered};
use crate::storage::segment::Owner;
use crate::storage::thread::{Disk, DiskMetrics, OnFailure};
use crate::storage::vfs::Vfs;
use crate::storage::vfs::overlay::OverlayVfs;
use crate::storage::vfs::real::RealVfs;
use crate::storage::wal::Wal;
use crate::wire::record::{LogRecord, decode_log_record};
use crate::{StorageError, clients, control, peers};

/// Runs a node on this thread, from recovery until it ends.
pub(super) fn run(
    options: NodeOptions,
    log: Logger,
    stopper: Stopper,
    hosting: Hosting,
    on_ready: impl Fn(&Ready),
) -> Result<(), NodeError> {
    options.validate()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| NodeError::Io { what: "runtime", cause })?;
    let local = LocalSet::new();
    let (result, folder) = runtime.block_on(local.run_until(async {
        let listeners = Listeners::bind(&options).await?;
        let (shell, started) = prepare(options, log, stopper, hosting, |wal| Box::new(wal))?;
        let shell = Rc::new(shell);
        let result = serve(&shell, started, listeners, hosting, on_ready).await;
        Ok::<_, NodeError>((finish(&shell, hosting, result), Arc::clone(&shell.folder)))
    }))?;
    // The folder's lock is released last, after all tasks and threads that may write to the folder have ended.
    drop(local);
    drop(runtime);
    drop(folder);
    result
}

struct Listeners {
    peer: TcpListener,
    client: TcpListener,
    control: TcpListener,
    metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds all sockets. This happens before recovery, so that a port conflict is found before the disk is touched.
    async fn bind(options: &NodeOptions) -> Result<Listeners, NodeError> {
        let bind = async |what, addr| TcpListener::bind(addr).await.map_err(|cause| NodeError::Bind { what, addr, cause });
        Ok(Listeners {
            peer: bind("peers", options.peer_listen).await?,
            client: bind("clients", options.client_listen).await?,
            control: bind("control", options.control_listen).await?,
            metrics: match options.metrics_listen {
                Some(addr) => Some(bind("metrics", addr).await?),
                None => None,
            },
        })
    }
}

fn mutants(names: &[String]) -> Result<Mutants, OptionsError> {
    let mut mutants = Mutants::NONE;
    for name in names {
        let found = heckle_paxos::Mutant::from_name(name);
        let mutant = found.ok_or_else(|| OptionsError::UnknownMutant { name: name.clone() })?;
        if !cfg!(feature = "mutants") {
            return Err(OptionsError::MutantsCompiledOut { name: name.clone() });
        }
        mutants = mutants.with(mutant);
    }
    Ok(mutants)
}

fn core_config(options: &NodeOptions, mutants: Mutants) -> Config {
    let core_id = |id: NodeId| CoreNodeId(id.number());
    let members = std::iter::once(options.id).chain(options.peers.iter().map(|(id, _)| *id)).map(core_id).collect();
    let mut config = Config::new(core_id(options.id), members);
    config.rounds = match options.rounds {
        Rounds::Classic => heckle_paxos::Rounds::Classic,
        Rounds::Merged => heckle_paxos::Rounds::Merged,
        Rounds::AsyncLearn => heckle_paxos::Rounds::AsyncLearn,
        Rounds::Fast => heckle_paxos::Rounds::Fast,
    };
    config.backoff = match options.backoff {
        Backoff::None => heckle_paxos::Backoff::None,
        Backoff::Uniform { max } => heckle_paxos::Backoff::Uniform { max_ns: nanos(max) },
        Backoff::Adaptive { max } => heckle_paxos::Backoff::Adaptive { max_ns: nanos(max) },
    };
    config.contention_timeout_ns = options.contention_timeout.map(nanos);
    config.lease = options.lease;
    config.queue = match options.queue {
        Queue::Fair => heckle_paxos::Queue::Fair,
        Queue::Fifo => heckle_paxos::Queue::Fifo,
    };
    config.prune = match options.prune {
        Prune::Off => heckle_paxos::Prune::Off,
        Prune::On => heckle_paxos::Prune::On,
    };
    config.paxos_ttl_us = options.paxos_ttl.map(|ttl| u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX));
    config.queue_per_key = options.limits.queue_per_key;
    config.max_key_bytes = crate::client_protocol::MAX_KEY;
    config.max_value_bytes = crate::client_protocol::MAX_VALUE;
    config.absent_reads = heckle_paxos::AbsentReads::Quorum;
    // TCP does not duplicate messages, but a relay between the nodes may do so deliberately.
    config.links = Links::MayDuplicate;
    config.points = match options.announce {
        Announce::Silent => heckle_paxos::Points::Silent,
        Announce::Points => heckle_paxos::Points::Announced,
    };
    config.mutants = mutants;
    config
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn durability(mutants: Mutants) -> Durability {
    #[cfg(feature = "mutants")]
    if mutants.has(heckle_paxos::Mutant::AnswerBeforeWrite) {
        return Durability::AnswerBeforeWrite;
    }
    let _ = mutants;
    Durability::AfterSync
}

fn amnesia_check(mutants: Mutants) -> Check {
    if mutants.has(heckle_paxos::Mutant::AcceptsOwnAmnesia) { Check::Skipped } else { Check::On }
}

/// Opens the folder, recovers, and builds all parts of the node that do not need the network. `store` may wrap the
/// log.
pub(crate) fn prepare(
    options: NodeOptions,
    log: Logger,
    stopper: Stopper,
    hosting: Hosting,
    store: impl FnOnce(Wal) -> Box<dyn Store>,
) -> Result<(Shell, Actions), NodeError> {
    let mutants = mutants(&options.mutants)?;
    let descriptors = descriptors(&options, &log, hosting)?;
    let mut replica = Replica::new(core_config(&options, mutants))?;
    let mut entropy = Pcg64::seed_from_u64(entropy()?);
    let vfs: Arc<dyn Vfs> = match options.storage.unsynced {
        Unsynced::SystemCache => Arc::new(RealVfs::default()),
        Unsynced::Overlay => Arc::new(OverlayVfs::new(&options.data_dir)),
    };
    let folder = Folder::open(vfs, &options.data_dir)?;
    let mut identity = folder.identity(&options.cluster_id, options.id, &options.members(), entropy.next_u64())?;
    let control_token = ControlToken::keep_or_create(folder.path()).map_err(|cause| StorageError::io("token in", folder.path(), cause))?;
    let owner = Owner { cluster: options.cluster_id.clone(), node: options.id, folder: identity.folder };
    let storage_points = Arc::new(StoragePoints::default());
    let at = folder.log(owner, Arc::clone(&storage_points));
    let mut seen = identity.seen_by_earlier_release();
    let recovered = recovery::read(&at, &mut |bytes| {
        match decode_log_record(bytes).map_err(|error| error.to_string())? {
            LogRecord::Core(record) => replica.recover(record),
            LogRecord::Seen(node, of_node) => drop(seen.insert(node, *of_node)),
        }
        Ok(())
    })?;
    let check = amnesia_check(mutants);
    let doubt = match check {
        Check::On => check_folder(folder.path(), &identity, &recovered, replica.incarnation())?,
        Check::Skipped => Doubt::None,
    };
    // The identity records where the log ended, so that end must be durable first.
    recovery::sync(&at, &recovered)?;
    // The identity is written before the damaged end of the log is cut off, since afterwards nothing shows the
    // damage.
    let start = ProcessStart { incarnation: replica.incarnation() + 1, process: entropy.next_u64() | 1, first_batch: recovered.next_batch };
    identity.begin_process(start, doubt);
    write_identity(&**folder.vfs(), folder.path(), &identity)?;
    recovery::tidy(&at, &recovered)?;
    let witness = Witness::new(options.id, &options.members(), doubt, check, identity.history(), seen);
    let (recovered_records, recovered_torn_bytes) = (recovered.records, recovered.torn_bytes);
    log_recovery(&log, &recovered);
    let mut started = Actions::new();
    replica.start(&mut started);
    let bell = Arc::new(Notify::new());
    let disk_metrics = Arc::new(DiskMetrics::default());
    let next_batch = recovered.next_batch;
    let wal = Wal::new(at.clone(), options.storage.segment_bytes, Pcg64::seed_from_u64(entropy.next_u64()), recovered);
    let disk = Disk::start(
        store(wal),
        next_batch,
        at,
        durability(mutants),
        Arc::clone(&disk_metrics),
        Arc::clone(&bell),
        on_disk_failure(log.clone(), hosting),
    )
    .map_err(|cause| NodeError::Io { what: "thread for the disk", cause })?;
    let incarnation = replica.incarnation();
    let shell = Shell {
        name: options.id.to_string(),
        incarnation,
        mutants,
        rng: RefCell::new(Pcg64::seed_from_u64(seed(&options, incarnation))),
        replica: RefCell::new(replica),
        clock: RefCell::new(ClockSeam::new()),
        clock_changed: Cell::new(false),
        timers: RefCell::default(),
        inbox: Inbox::new(options.limits.inbox_events, options.limits.inbox_bytes, bell),
        disk,
        disk_metrics,
        storage_points,
        peers: Peers::new(&options.peers),
        witness: RefCell::new(witness),
        voting: Cell::new(false),
        folder: Arc::new(folder),
        folder_identity: RefCell::new(identity),
        client_lobby: Rc::default(),
        refusals: Cell::new(0),
        descriptors,
        control_token,
        partial_frames: PartialFrames::new(options.limits.partial_frame_bytes),
        replies: ReplyBudget::new(options.limits.reply_bytes),
        // Each link has its own limit.
        peer_bytes: ReplyBudget::new(usize::MAX),
        request_bytes: Cell::new(0),
        clients: RefCell::new(FxHashMap::default()),
        open_ops: RefCell::new(FxHashMap::default()),
        next_token: Cell::new(1),
        dirty: RefCell::default(),
        points: ProtocolPoints::default(),
        leases: LeaseWatch::default(),
        counts: Counts::default(),
        stopper,
        ready_since: Instant::now(),
        recovered_records,
        recovered_torn_bytes,
        options,
        log,
    };
    Ok((shell, started))
}

/// Divides this process's file descriptors among their uses, after raising the limit. Must be called before anything
/// is served.
fn descriptors(options: &NodeOptions, log: &Logger, hosting: Hosting) -> Result<Descriptors, NodeError> {
    let (wanted, peers) = (options.limits.client_connections, options.peers.len());
    if hosting == Hosting::Thread {
        return Ok(Descriptors::shared(wanted));
    }
    let limit = raise_limit(Descriptors::needed(wanted, peers)).map_err(|cause| NodeError::Io { what: "limit of open files", cause })?;
    let divided = Descriptors::divide(limit, wanted, peers).ok_or(OptionsError::TooFewDescriptors { limit, peers })?;
    if divided.clients < wanted {
        log.warn("client_limit_lowered", &[("wanted", &wanted), ("clients", &divided.clients), ("open_files", &limit)]);
    }
    Ok(divided)
}

fn log_recovery(log: &Logger, recovered: &Recovered) {
    let fields: [(&str, &dyn std::fmt::Display); 3] =
        [("records", &recovered.records), ("next_batch", &recovered.next_batch), ("torn_bytes", &recovered.torn_bytes)];
    if recovered.torn_bytes > 0 {
        log.warn("recovered_torn_tail_cut", &fields);
    } else {
        log.info("recovered", &fields);
    }
}

/// Nodes that share a seed must not draw the same numbers, nor must different processes of one node: with equal
/// backoffs they would collide forever.
fn seed(options: &NodeOptions, incarnation: u32) -> u64 {
    let process = u64::from(options.id.number()) << 32 | u64::from(incarnation);
    // The odd constant from splitmix64 spreads small numbers over all bits.
    options.seed ^ process.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Random bits that do not depend on the seed: folder ids and salts must differ between runs with the same seed.
fn entropy() -> Result<u64, NodeError> {
    let mut bits = [0; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bits));
    read.map_err(|cause| NodeError::Io { what: "random bits from /dev/urandom", cause })?;
    Ok(u64::from_le_bytes(bits))
}

/// After a disk failure, the disk's own thread ends the process, since the event loop could stay busy for a while.
fn on_disk_failure(log: Logger, hosting: Hosting) -> OnFailure {
    Box::new(move |error| {
        let event = if error.is_out_of_descriptors() { "out_of_descriptors" } else { "disk_failed" };
        log.error(event, &[("why", error)]);
        match (hosting, error) {
            (Hosting::Thread, _) => {}
            (Hosting::Process, StorageError::Crash { .. }) => kill_this_process(&log),
            (Hosting::Process, _) => {
                log.flush();
                // SAFETY: ends the process without running exit handlers, which could write.
                unsafe { libc::_exit(i32::from(storage_exit_code(error))) }
            }
        }
    })
}

fn kill_this_process(log: &Logger) {
    log.flush();
    // SAFETY: sends a signal to this process itself. The call does not return.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

async fn serve(
    shell: &Rc<Shell>,
    started: Actions,
    listeners: Listeners,
    hosting: Hosting,
    on_ready: impl Fn(&Ready),
) -> Result<(), NodeError> {
    let io = |what| move |cause| NodeError::Io { what, cause };
    let mut event_loop = EventLoop::new(Rc::clone(shell), started).map_err(io("timer"))?;
    event_loop.make_durable().await?;
    let identity = shell.identity();
    let ready = Ready {
        ready: true,
        node: shell.name.clone(),
        cluster: identity.cluster,
        folder: identity.folder,
        incarnation: shell.incarnation,
        pid: std::process::id(),
        control_token: shell.control_token.clone(),
        client: listeners.client.local_addr().map_err(io("client address"))?,
        peer: listeners.peer.local_addr().map_err(io("peer address"))?,
        control: listeners.control.local_addr().map_err(io("control address"))?,
        metrics: listeners.metrics.as_ref().map(TcpListener::local_addr).transpose().map_err(io("metrics address"))?,
    };
    if hosting == Hosting::Process {
        tokio::task::spawn_local(stop_on_signals(Rc::clone(shell)));
    }
    peers::spawn(shell, listeners.peer);
    let clients = tokio::task::spawn_local(clients::accept_all(Rc::clone(shell), listeners.client));
    tokio::task::spawn_local(control::server::accept_all(Rc::clone(shell), listeners.control));
    if let Some(listener) = listeners.metrics {
        tokio::task::spawn_local(metrics_http::accept_all(Rc::clone(shell), listener));
    }
    shell.log.info(
        "ready",
        &[("client", &ready.client), ("peer", &ready.peer), ("control", &ready.control), ("incarnation", &ready.incarnation)],
    );
    on_ready(&ready);
    event_loop.run().await?;
    if shell.stopper.is_killed() {
        return Ok(());
    }
    shell.log.info("stopping", &[("open_ops", &shell.open_ops.borrow().len())]);
    clients.abort();
    event_loop.wind_down(shell.options.stop_grace).await?;
    let outboxes: Vec<_> = shell.clients.borrow().values().map(|client| client.outbox()).collect();
    for outbox in outboxes {
        let _ = tokio::time::timeout(shell.options.stop_grace, outbox.wait_until_drained()).await;
    }
    Ok(())
}

fn finish(shell: &Shell, hosting: Hosting, result: Result<(), NodeError>) -> Result<(), NodeError> {
    if let (Hosting::Process, Err(error @ NodeError::Storage(StorageError::Crash { .. }))) = (hosting, &result) {
        shell.log.error("crashed", &[("why", error)]);
        kill_this_process(&shell.log);
    }
    if shell.stopper.is_killed() || result.is_err() {
        shell.disk.abandon();
        return result;
    }
    let marked = shell.disk.finish()?;
    let identity = Identity { stopped: Some(marked), ..shell.folder_identity.borrow().clone() };
    write_identity(&**shell.folder.vfs(), shell.folder.path(), &identity)?;
    Ok(())
}

async fn stop_on_signals(shell: Rc<Shell>) {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    match signals {
        Ok((mut term, mut int)) => {
            let signal = tokio::select! {
                _ = term.recv() => "TERM",
                _ = int.recv() => "INT",
            };
            // The log must show that the process did not end of its own accord.
            shell.log.info("stop_signal", &[("signal", &signal)]);
            shell.stopper.stop();
        }
        Err(cause) => shell.log.error("no_signals", &[("why", &cause)]),
    }
}

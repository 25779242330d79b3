//! Finds out which process belongs to which node, and which process has a socket open.
//!
//! | a process belongs to a node if | applies to |
//! |---|---|
//! | the harness started it, or its ancestor or the leader of its group | children, also those that cleared their environment |
//! | its environment has `HECKLE_RUN` of this run and `HECKLE_NODE` | daemons that left their parent and group |
//!
//! The harness itself counts as a client, and so do drivers, the other processes that it started, which have only `HECKLE_RUN`.

use heckle_faults::Node;
use heckle_results::input;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Environment variable of every process of a run: its cluster's name.
pub const RUN: &str = "HECKLE_RUN";
/// Environment variable of a node's processes: the node's name.
pub const NODE: &str = "HECKLE_NODE";
/// Maximum number of ancestors to check; process trees are never that deep.
const ANCESTORS: usize = 64;

/// The owner of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A node.
    Node(Node),
    /// The harness, or a driver that it started.
    Clients,
}

/// The processes of a run. Clones share the registered processes.
#[derive(Debug, Clone)]
pub struct Owners {
    run: Arc<str>,
    /// Registered processes with their start times, which reveal a reused pid.
    started: Arc<Mutex<BTreeMap<u32, (u64, Node)>>>,
}

/// Status of a process, from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    group: u32,
    /// Start time, in clock ticks since boot.
    start: u64,
}

impl Owners {
    /// Creates an empty registry for the cluster named `run`.
    pub fn new(run: &str) -> Self {
        Owners { run: run.into(), started: Arc::default() }
    }

    /// Registers a process that was started for a node. The process must lead its own group.
    pub fn register(&self, pid: u32, node: Node) {
        if let Some(stat) = stat(pid) {
            self.started.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, (stat.start, node));
        }
    }

    /// Returns the environment variables of a node's processes; a driver gets only the first.
    pub fn environment(run: &str, node: &str) -> [(&'static str, String); 2] {
        [(RUN, run.to_owned()), (NODE, node.to_owned())]
    }

    /// Returns the owner of a process, if it is known.
    fn owner_of(&self, pid: u32) -> Option<Owner> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = pid;
        for _ in 0..ANCESTORS {
            if next == std::process::id() {
                return Some(Owner::Clients);
            }
            let stat = stat(next)?;
            let itself = started.get(&next).filter(|(start, _)| *start == stat.start);
            // The leader may be gone, but its group id is not reused before the last process of the group is gone.
            let by_group = started.get(&stat.group).filter(|(start, _)| stat.start >= *start);
            if let Some((_, node)) = itself.or(by_group) {
                return Some(Owner::Node(*node));
            }
            if let Some(owner) = self.owner_by_environment(next) {
                return Some(owner);
            }
            next = stat.parent;
        }
        None
    }

    fn owner_by_environment(&self, pid: u32) -> Option<Owner> {
        let all = input::bytes(Path::new(&format!("/proc/{pid}/environ")), input::KERNEL).ok()?;
        let value = |name: &str| {
            let of = |entry: &[u8]| Some(entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
            all.split(|b| *b == 0).find_map(of)
        };
        if value(RUN)? != self.run.as_bytes() {
            return None;
        }
        match value(NODE) {
            None => Some(Owner::Clients),
            Some(name) => std::str::from_utf8(&name).ok()?.parse().ok().map(Owner::Node),
        }
    }
}

/// Finds sockets among the descriptors of processes. Checks processes in which sockets were found before first.
#[derive(Debug, Default)]
pub(super) struct Finder {
    known: BTreeMap<u32, (u64, Owner)>,
}

impl Finder {
    /// Returns the known owners of these sockets.
    pub(super) fn find(&mut self, owners: &Owners, inodes: &BTreeSet<u64>) -> BTreeMap<u64, Owner> {
        let (mut found, mut wanted) = (BTreeMap::new(), inodes.clone());
        let mut look = |pid: u32, owner: Owner, wanted: &mut BTreeSet<u64>| {
            let mut hit = false;
            for inode in sockets_of(pid) {
                if wanted.remove(&inode) {
                    found.insert(inode, owner);
                    hit = true;
                }
            }
            hit
        };
        look(std::process::id(), Owner::Clients, &mut wanted);
        self.known.retain(|pid, (start, _)| stat(*pid).is_some_and(|stat| stat.start == *start));
        for (pid, (_, owner)) in &self.known {
            if wanted.is_empty() {
                return found;
            }
            look(*pid, *owner, &mut wanted);
        }
        for pid in pids() {
            if wanted.is_empty() {
                return found;
            }
            if pid == std::process::id() || self.known.contains_key(&pid) {
                continue;
            }
            // Remember only processes with a known owner: a process that is about to execute a node's program does
            // not belong to the node yet.
            if let (Some(owner), Some(stat)) = (owners.owner_of(pid), stat(pid))
                && look(pid, owner, &mut wanted)
            {
                self.known.insert(pid, (stat.start, owner));
            }
        }
        found
    }
}

/// Describes the processes that have a socket open, whoever owns them.
pub(super) fn processes_with_socket(inode: u64) -> Vec<String> {
    let has = |pid: &u32| sockets_of(*pid).any(|open| open == inode);
    let words = |pid: u32| {
        let name = input::kernel(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("process {pid} (`{}`)", name.trim().escape_debug())
    };
    pids().filter(has).map(words).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the inodes of a process's sockets. Returns none for a process that is gone or belongs to another user.
fn sockets_of(pid: u32) -> impl Iterator<Item = u64> {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

fn stat(pid: u32) -> Option<Stat> {
    let text = input::kernel(format!("/proc/{pid}/stat"))?;
    // The command's name is in parentheses and may contain any character, so count fields from the last parenthesis.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(1);
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Stat { parent, group, start: fields.nth(16)?.parse().ok()? })
}

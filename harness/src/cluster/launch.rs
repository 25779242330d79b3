//! How the processes of one system are started and asked. One launcher for each system: the rest of the cluster, signals,
//! pid files, watching, reaping, is the same for all.

use super::process::NodeProcess;
use crate::plan::Plan;
use crate::relay::Relay;
use crate::stop::Stop;
use crate::system::System;
use crate::system::target::{NodeIdentity, Target};
use heckle_server::loopback::LoopbackClaim;
use heckle_server::status::Status;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One node, as its launcher wants it started and reached.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name, `n1`, `n2` …
    pub name: String,
    /// What its program is told.
    pub args: Vec<OsString>,
    /// Where clients reach it, relay included.
    pub client: SocketAddr,
    /// Where the harness asks it how it is, past any relay.
    pub ask: SocketAddr,
    /// Where its process listens, for clients first: all of it is free while the process is down.
    pub listens: Vec<SocketAddr>,
    /// Who must answer there.
    pub node: Arc<NodeIdentity>,
}

impl NodeSpec {
    /// The node, as clients know it.
    pub fn target(&self) -> Target {
        let listens = self.listens.first().copied().unwrap_or(self.client);
        Target { addr: self.client, listens, node: self.node.clone() }
    }
}

/// What a cluster is built on.
pub struct Site<'a> {
    /// The run's folder.
    pub folder: &'a Path,
    /// The links, where there is a relay.
    pub relay: Option<&'a Relay>,
    /// The address that is this cluster's as long as it stands.
    pub claim: &'a LoopbackClaim,
    /// Asked when another than a node answers in its place.
    pub stop: &'a Stop,
}

impl Site<'_> {
    /// Name of the cluster: the run's.
    pub fn cluster_id(&self) -> String {
        self.folder.file_name().map_or("heckle".into(), |f| f.to_string_lossy().into_owned())
    }

    /// Addresses for listeners of the cluster's processes.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn addresses(&self, count: usize) -> Result<Vec<SocketAddr>, String> {
        self.claim.addresses(count).map_err(|e| format!("the cluster needs {count} ports: {e}"))
    }
}

/// What differs between systems in the life of a cluster.
pub trait Launcher: Send + Sync {
    /// The program that every node runs.
    ///
    /// # Errors
    /// What to install.
    fn program(&self) -> Result<PathBuf, String>;

    /// All nodes, with ports of their own and links through the relay where there is one.
    ///
    /// # Errors
    /// What the machine could not give.
    fn specs(&self, plan: &Plan, site: &Site<'_>) -> Result<Vec<NodeSpec>, String>;

    /// Waits until a process that was just started has recovered and serves, and tells what it said of itself.
    ///
    /// # Errors
    /// If it ends first, or the time does.
    fn await_ready(&self, spec: &NodeSpec, process: &mut NodeProcess, within: Duration) -> Result<BTreeMap<String, Json>, String>;

    /// Whether a node has reached all of its peers.
    ///
    /// # Errors
    /// If it does not answer.
    fn sees_peers(&self, spec: &NodeSpec) -> Result<bool, String>;

    /// Whether a node answers now, and says that it is ready.
    fn is_ready(&self, spec: &NodeSpec) -> bool;

    /// What a node says of itself, of systems that count what the bundled one counts.
    ///
    /// # Errors
    /// If it does not answer, or there are no such figures.
    fn status(&self, spec: &NodeSpec) -> Result<Status, String>;
}

/// The launcher of the plan's system.
pub fn launcher(plan: &Plan) -> Box<dyn Launcher> {
    match plan.system {
        System::Bundled => Box::new(super::bundled::Bundled { slow_clock: plan.slow_clock }),
        #[cfg(feature = "etcd")]
        System::Etcd => Box::new(super::etcd::Etcd),
    }
}

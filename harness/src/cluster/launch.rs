//! How the processes of one system are started and asked. One launcher for each system: the rest of the cluster, signals,
//! pid files, watching, reaping, is the same for all.

use super::process::NodeProcess;
use crate::plan::Plan;
use crate::relay::Relay;
use crate::system::System;
use heckle_server::status::Status;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One node, as its launcher wants it started and reached.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name, `n1`, `n2` …
    pub name: String,
    /// What its program is told.
    pub args: Vec<String>,
    /// Where clients reach it, relay included.
    pub client: SocketAddr,
    /// Where the harness asks it how it is, past any relay.
    pub ask: SocketAddr,
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
    fn specs(&self, plan: &Plan, folder: &Path, relay: Option<&Relay>) -> Result<Vec<NodeSpec>, String>;

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

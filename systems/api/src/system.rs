//! The required interface of a system under test, and its optional capabilities.

use crate::attached::Attached;
use crate::capability::{Clocks, Disks, Greeting, Links, Metrics, NodeEvents, Points, Roles, Watch};
use crate::connection::Connection;
use crate::identity::Target;
use crate::launch::{self, NodeSpec, NotReady, Process, Site};
use crate::value::ValueCodec;
use heckle_history::{FigureInfo, Nanos};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A kind of system, as listed by the command. It builds a [`System`] from settings.
pub trait SystemKind: Sync {
    /// The name in plans, such as `etcd`.
    fn name(&self) -> &'static str;

    /// The name of its table in plans: `[system.NAME]`.
    fn table(&self) -> &'static str {
        self.name()
    }

    /// Checks whether a key accepts this value, regardless of other keys.
    ///
    /// # Errors
    /// Returns the expected type or format.
    fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String>;

    /// The keys of its settings, with their meanings.
    fn keys(&self) -> &'static [SettingKey];

    /// Validates settings and builds the system. Keys not listed in [`SystemKind::keys`] have already been rejected.
    ///
    /// # Errors
    /// Fails if a setting is invalid. The message names it and the valid values.
    fn build(&self, settings: &toml::Table, nodes: u16) -> Result<Arc<dyn System>, String>;
}

/// One setting of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingKey {
    /// Name of the key in plans.
    pub name: &'static str,
    /// Values, default and meaning, on one line.
    pub help: &'static str,
    /// The bounds, if it is a whole number.
    pub whole: Option<(u64, u64)>,
}

impl SettingKey {
    /// Creates a setting that is not a whole number.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        SettingKey { name, help, whole: None }
    }

    /// Creates a setting that is a whole number within inclusive bounds.
    pub const fn whole(name: &'static str, help: &'static str, least: u64, most: u64) -> Self {
        SettingKey { name, help, whole: Some((least, most)) }
    }
}

/// Systems described entirely by a plan, in a `[system]` table with a `name`. They need no code here.
pub trait DescribedSystems: Sync {
    /// Checks the whole text of a plan that describes such a system.
    ///
    /// # Errors
    /// Returns the first mistake in `[system]`.
    fn check(&self, plan: &str) -> Result<(), PlanMistake>;

    /// Builds the system from its table, where `folder` is the folder of the plan.
    ///
    /// # Errors
    /// Fails if a setting is invalid.
    fn build(&self, system: &toml::Table) -> Result<Arc<dyn System>, String>;
}

/// A mistake in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanMistake {
    /// The byte offset of the mistake, if known.
    pub at: Option<usize>,
    /// What is wrong.
    pub what: String,
}

/// The nodes through which every key is read at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalReads {
    /// Every node.
    EveryNode,
    /// Only the node that has this role, because the others may be stale by design.
    Role(&'static str),
    /// No node.
    None,
}

/// A system under test with its settings. Each run has one.
///
/// Methods without a default are required. Each optional capability is a separate trait, so that the engine can report which one a
/// fault or a report needs.
pub trait System: Send + Sync + Debug {
    /// The name in plans and reports.
    fn name(&self) -> &str;

    /// The program of every node, unless the plan names another. Defaults to this program itself.
    ///
    /// # Errors
    /// Fails if it is not installed. The message says what to install.
    fn program(&self) -> Result<PathBuf, String> {
        std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))
    }

    /// The version of that program, unless it is this program itself.
    fn version(&self) -> Option<String> {
        None
    }

    /// Returns all nodes, each with its own addresses, with links routed through the relay if there is one.
    ///
    /// # Errors
    /// Fails if the machine lacks a resource.
    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String>;

    /// Waits until a new process has recovered and is ready. The default polls [`System::is_ready`]. Returns what the process reported
    /// about itself, for the history.
    ///
    /// # Errors
    /// Fails if the process ends first, or the time is up.
    fn await_ready(&self, node: &NodeSpec, process: &mut dyn Process, within: Duration) -> Result<BTreeMap<String, Json>, NotReady> {
        launch::poll_until_ready(process, within, || self.is_ready(node))?;
        Ok(BTreeMap::new())
    }

    /// Whether a node currently answers and is ready. By default, it is ready if it accepts a connection.
    fn is_ready(&self, node: &NodeSpec) -> bool {
        launch::accepts(node.ask)
    }

    /// Whether a node has reached all of its peers. A system whose readiness implies this can keep the default.
    ///
    /// # Errors
    /// Fails if the node does not answer.
    fn sees_peers(&self, node: &NodeSpec) -> Result<bool, String> {
        Ok(self.is_ready(node))
    }

    /// Creates a connection to a node, which is opened on first use.
    fn connect(&self, target: &Target, name: String, codec: ValueCodec) -> Rc<dyn Connection>;

    /// The address and description of a program that answers in place of a node whose process is gone. `None` if, as expected,
    /// nothing listens.
    fn who_answers(&self, node: &NodeSpec) -> Option<(SocketAddr, String)> {
        launch::who_answers(node)
    }

    /// The figures reported by connections about an operation. A [`FigureId`](heckle_history::FigureId) is an index into this list.
    fn figures(&self) -> Vec<FigureInfo> {
        vec![]
    }

    /// The checks specific to this system, by their names in `heckle_checker::checks`.
    fn checks(&self) -> &'static [&'static str] {
        &[]
    }

    /// The settings with all defaults filled in, in the format of [`SystemKind::build`]. Reports use them to identify the system.
    fn settings(&self) -> toml::Table {
        toml::Table::new()
    }

    /// Labels for comparing runs of this system, with their values.
    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![]
    }

    /// Whether clients can be routed to the node that serves a key.
    ///
    /// # Errors
    /// Fails if not. The message names the settings that would allow it.
    fn can_route_to_holders(&self) -> Result<(), String> {
        Err(format!("{} has none", self.name()))
    }

    /// Whether the system has last-write-wins reads and writes, without consensus.
    fn has_last_write_wins(&self) -> bool {
        false
    }

    /// Whether a value can carry more than its number: a payload and filler bytes.
    fn carries_payloads(&self) -> bool {
        true
    }

    /// The nodes through which every key is read at the end.
    fn final_reads(&self) -> FinalReads {
        FinalReads::EveryNode
    }

    /// Number of connections that the harness keeps open to one node, in addition to those of clients.
    fn connections_per_node(&self) -> u32 {
        1
    }

    /// How long the other nodes may refuse requests after losing a node with a special role. Coverage requires progress only after
    /// that time.
    fn takeover(&self) -> Nanos {
        Nanos(0)
    }

    /// The cluster that runs already, if the harness starts none. Its [`NodeSpec`]s have no processes, and only clients dial the relay.
    fn attached(&self) -> Option<&dyn Attached> {
        None
    }

    /// Metrics of its nodes, if they report any.
    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    /// Clocks of its nodes, if they can be set.
    fn clocks(&self) -> Option<&dyn Clocks> {
        None
    }

    /// Disks of its nodes, if they can be made to fail.
    fn disks(&self) -> Option<&dyn Disks> {
        None
    }

    /// Points in the code of its nodes, if there are any.
    fn points(&self) -> Option<&dyn Points> {
        None
    }

    /// Roles of its nodes, such as `leader`, if there are any.
    fn roles(&self) -> Option<&dyn Roles> {
        None
    }

    /// The content of its links. A system whose [`System::nodes`] routes no link through the relay returns
    /// [`Links::None`].
    fn links(&self) -> Links {
        Links::None
    }

    /// How to find the address that a node advertises at the start of a connection. `None` if nodes dial only the addresses in their
    /// configuration.
    fn greeting(&self) -> Option<Arc<dyn Greeting>> {
        None
    }

    /// Watches the nodes during the run. Role changes are recorded in the history and used to route clients. `None` if the system has
    /// no role changes to watch. Called when all nodes are ready and no client has connected yet.
    ///
    /// # Errors
    /// Describes what could not be started.
    fn watch(&self, nodes: &[NodeSpec], events: &Arc<dyn NodeEvents>) -> Result<Option<Box<dyn Watch>>, String> {
        let _ = (nodes, events);
        Ok(None)
    }
}

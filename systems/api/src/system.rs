//! What a system under test must do, and the list of what it may do.

use crate::capability::{Clocks, Links, Metrics, NodeEvents, Roles, Watch};
use crate::connection::Connection;
use crate::identity::Target;
use crate::launch::{NodeSpec, Process, Site};
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

/// A kind of system, as the command lists it: it turns settings into a [`System`].
pub trait SystemKind: Sync {
    /// The name in plans, such as `etcd`.
    fn name(&self) -> &'static str;

    /// The name of its table in plans: `[system.NAME]`.
    fn table(&self) -> &'static str {
        self.name()
    }

    /// Whether a key of its settings takes such a value, whatever it means beside the others.
    ///
    /// # Errors
    /// The type or form that is expected.
    fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String>;

    /// The keys of its settings, each with what it means.
    fn keys(&self) -> &'static [SettingKey];

    /// Checks settings and builds the system. Keys that are not among [`SystemKind::keys`] were refused before.
    ///
    /// # Errors
    /// The setting that makes no sense, and what would.
    fn build(&self, settings: &toml::Table, nodes: u16) -> Result<Arc<dyn System>, String>;
}

/// One setting of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingKey {
    /// Its name in plans.
    pub name: &'static str,
    /// Values, default and meaning, in one line.
    pub help: &'static str,
    /// The least and the most that it may be, where it is a whole number.
    pub whole: Option<(u64, u64)>,
}

impl SettingKey {
    /// A setting that is no whole number.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        SettingKey { name, help, whole: None }
    }

    /// A whole number within bounds, both included.
    pub const fn whole(name: &'static str, help: &'static str, least: u64, most: u64) -> Self {
        SettingKey { name, help, whole: Some((least, most)) }
    }
}

/// Systems that a plan describes in full: `[system]` with a `name`, without any code here.
pub trait DescribedSystems: Sync {
    /// Looks at the whole text of a plan that describes one.
    ///
    /// # Errors
    /// The first mistake in `[system]`.
    fn check(&self, plan: &str) -> Result<(), PlanMistake>;

    /// Builds the system from its table, in which `folder` names the folder of the plan.
    ///
    /// # Errors
    /// What makes no sense.
    fn build(&self, system: &toml::Table) -> Result<Arc<dyn System>, String>;
}

/// A mistake in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanMistake {
    /// The byte at which it stands, where that is known.
    pub at: Option<usize>,
    /// What is wrong.
    pub what: String,
}

/// Through which nodes every key is read at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalReads {
    /// Every node.
    EveryNode,
    /// The node that has this role: the others may be stale by design.
    Role(&'static str),
    /// There are none.
    None,
}

/// A system under test with its settings. One run has one.
///
/// The methods without a default are what every system must do. Each optional capability is a trait of its own, so that the engine
/// can say which one a fault or a report lacks.
pub trait System: Send + Sync + Debug {
    /// The name in plans and reports.
    fn name(&self) -> &str;

    /// The program that every node runs, unless the plan names another.
    ///
    /// # Errors
    /// What to install.
    fn program(&self) -> Result<PathBuf, String>;

    /// The version of that program, where it is not this one.
    fn version(&self) -> Option<String> {
        None
    }

    /// All nodes, with addresses of their own, and links through the relay where there is one.
    ///
    /// # Errors
    /// What the machine could not give.
    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String>;

    /// Waits until a process that was just started has recovered and serves. Gives what it said of itself, for the history.
    ///
    /// # Errors
    /// If it ends first, or the time does.
    fn await_ready(&self, node: &NodeSpec, process: &mut dyn Process, within: Duration) -> Result<BTreeMap<String, Json>, String>;

    /// Whether a node answers now and says that it is ready.
    fn is_ready(&self, node: &NodeSpec) -> bool;

    /// Whether a node has reached all of its peers. A system whose readiness implies it need not say more.
    ///
    /// # Errors
    /// If it does not answer.
    fn sees_peers(&self, node: &NodeSpec) -> Result<bool, String> {
        Ok(self.is_ready(node))
    }

    /// A connection to one of its nodes, opened when it is first needed.
    fn connect(&self, target: &Target, name: String, codec: ValueCodec) -> Rc<dyn Connection>;

    /// Who answers in the place of a node whose process is gone, and where; `None` if, as it should be, nothing listens.
    fn who_answers(&self, node: &NodeSpec) -> Option<(SocketAddr, String)> {
        crate::launch::who_answers(node)
    }

    /// The figures that its connections report about an operation. A [`FigureId`](heckle_history::FigureId) is a place in this list.
    fn figures(&self) -> Vec<FigureInfo> {
        vec![]
    }

    /// The checks that are about this system, by the names that `heckle_checker::checks` registers.
    fn checks(&self) -> &'static [&'static str] {
        &[]
    }

    /// Its settings, nothing left to defaults, as [`SystemKind::build`] reads them. They name the run in reports.
    fn settings(&self) -> toml::Table {
        toml::Table::new()
    }

    /// Labels that runs of this system are compared by, each with its value.
    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![]
    }

    /// Whether clients can be routed to the node that serves a key.
    ///
    /// # Errors
    /// What would have to be set.
    fn can_route_to_holders(&self) -> Result<(), String> {
        Err(format!("{} has none", self.name()))
    }

    /// Whether the system has reads and writes that skip consensus: the last write wins.
    fn has_last_write_wins(&self) -> bool {
        false
    }

    /// Whether a value can carry a payload and more bytes than its number.
    fn carries_payloads(&self) -> bool {
        true
    }

    /// Through which nodes every key is read at the end.
    fn final_reads(&self) -> FinalReads {
        FinalReads::EveryNode
    }

    /// Connections that the harness keeps to one node besides those of clients.
    fn connections_per_node(&self) -> u32 {
        1
    }

    /// How long after a node is gone the others may refuse what it had a right to. Coverage demands progress only after that.
    fn takeover(&self) -> Nanos {
        Nanos(0)
    }

    /// Figures of its nodes, if they report any.
    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    /// Clocks of its nodes, where they can be set.
    fn clocks(&self) -> Option<&dyn Clocks> {
        None
    }

    /// Roles of its nodes, such as `leader`, where a node has one.
    fn roles(&self) -> Option<&dyn Roles> {
        None
    }

    /// What its links carry. A system whose [`System::nodes`] leads no link through the relay has none.
    fn links(&self) -> Links {
        Links::None
    }

    /// Listens to the nodes for as long as the run lasts: changes of roles enter the history, and clients are routed by them.
    /// `None` if there is nothing to listen to. All nodes are ready, and no client has connected yet.
    ///
    /// # Errors
    /// What could not be started.
    fn watch(&self, nodes: &[NodeSpec], events: &Arc<dyn NodeEvents>) -> Result<Option<Box<dyn Watch>>, String> {
        let _ = (nodes, events);
        Ok(None)
    }
}

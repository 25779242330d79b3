//! The bundled Paxos server as a system under test. This crate implements the interface between engine and system. The server
//! itself, in `nodes/server`, does not depend on this crate.
//!
//! Modules in reading order:
#![forbid(unsafe_code)]

pub mod settings; // settings, as given in plans and flags
pub mod lease_settings; // lease settings
mod launch; // node processes: arguments, addresses, the ready line
mod identity; // the identity of the node that must answer
mod strangers; // programs that answer in place of a dead node
mod connection; // the client protocol
mod framing; // frame boundaries
mod figures; // metrics of nodes
mod op_figures; // figures of an operation, reported by its coordinator
mod roles; // lease holders and coordinators
mod clocks; // clocks of nodes
mod disks; // disks of nodes
mod points; // points in the nodes' code
mod lease_watch; // lease changes, for the history and for routing

pub use connection::PaxosConnection;
pub use figures::status;
pub use framing::PaxosFraming;
pub use identity::control;
pub use settings::{Flags, PaxosSettings};

use heckle_faults::Role;
use heckle_history::{FigureInfo, Nanos, NodeIx};
use heckle_paxos::lease::LeaseMode;
use heckle_system_api::capability::{Clocks, Disks, Links, Metrics, NodeEvents, Points, Roles, Watch};
use heckle_system_api::connection::Connection;
use heckle_system_api::identity::Target;
use heckle_system_api::launch::{NodeSpec, NotReady, Process, Site};
use heckle_system_api::limits;
use heckle_system_api::settings::accepts;
use heckle_system_api::value::ValueCodec;
use heckle_system_api::{SettingKey, System, SystemKind};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Time limit of a query over the control channel.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The bundled server in the command's list of systems.
#[derive(Debug, Clone, Copy)]
pub struct PaxosKind;

/// Its name in plans.
pub const NAME: &str = "bundled";
/// Its table in plans: `[system.paxos]`.
pub const TABLE: &str = "paxos";

impl SystemKind for PaxosKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keys(&self) -> &'static [SettingKey] {
        settings::KEYS
    }

    fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String> {
        accepts::<Flags>(key, value)
    }

    fn table(&self) -> &'static str {
        TABLE
    }

    fn build(&self, given: &toml::Table, _nodes: u16) -> Result<Arc<dyn System>, String> {
        let given = given.clone().try_into().map_err(|e: toml::de::Error| e.message().to_owned())?;
        Ok(Arc::new(Paxos::new(PaxosSettings::check(&given)?)))
    }
}

/// The bundled server with its settings.
#[derive(Debug, Clone)]
pub struct Paxos {
    settings: PaxosSettings,
}

impl Paxos {
    /// Creates the system with these settings.
    pub fn new(settings: PaxosSettings) -> Self {
        Paxos { settings }
    }

    fn has_leases(&self) -> bool {
        self.settings.lease.mode != LeaseMode::Off
    }
}

impl System for Paxos {
    fn name(&self) -> &'static str {
        NAME
    }

    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        launch::nodes(&self.settings, site)
    }

    fn await_ready(&self, node: &NodeSpec, process: &mut dyn Process, within: Duration) -> Result<BTreeMap<String, Json>, NotReady> {
        launch::await_ready(node, process, within)
    }

    fn is_ready(&self, node: &NodeSpec) -> bool {
        status(node).is_ok_and(|status| status.ready)
    }

    fn sees_peers(&self, node: &NodeSpec) -> Result<bool, String> {
        status(node).map(|status| status.voting && status.peers.iter().all(|peer| peer.outbound))
    }

    fn connect(&self, target: &Target, name: String, codec: ValueCodec) -> Rc<dyn Connection> {
        Rc::new(PaxosConnection::new(target.clone(), name, codec))
    }

    fn who_answers(&self, node: &NodeSpec) -> Option<(SocketAddr, String)> {
        strangers::find(node)
    }

    fn figures(&self) -> Vec<FigureInfo> {
        op_figures::all()
    }

    fn checks(&self) -> &'static [&'static str] {
        &["lease_overlap"]
    }

    fn settings(&self) -> toml::Table {
        toml::Table::try_from(self.settings.as_given()).expect("settings are plain data")
    }

    fn labels(&self) -> Vec<(&'static str, String)> {
        self.settings.labels()
    }

    fn can_route_to_holders(&self) -> Result<(), String> {
        if self.has_leases() { Ok(()) } else { Err("choose lease = priority or lease = read".into()) }
    }

    fn has_last_write_wins(&self) -> bool {
        true
    }

    fn connections_per_node(&self) -> u32 {
        if self.has_leases() { 2 } else { 1 }
    }

    /// A node that is down may still hold leases, and a restarted node waits out the leases that it may have granted.
    fn takeover(&self) -> Nanos {
        Nanos(if self.has_leases() { 2 * self.settings.lease.time_ns } else { 0 })
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        Some(self)
    }

    fn clocks(&self) -> Option<&dyn Clocks> {
        Some(self)
    }

    fn disks(&self) -> Option<&dyn Disks> {
        Some(self)
    }

    fn points(&self) -> Option<&dyn Points> {
        Some(self)
    }

    fn roles(&self) -> Option<&dyn Roles> {
        Some(self)
    }

    fn links(&self) -> Links {
        Links::Frames(Arc::new(PaxosFraming))
    }

    fn watch(&self, nodes: &[NodeSpec], events: &Arc<dyn NodeEvents>) -> Result<Option<Box<dyn Watch>>, String> {
        if !self.has_leases() {
            return Ok(None);
        }
        let watch = lease_watch::LeaseWatch::start(nodes, self.settings.lease.ranges, events).map_err(|e| limits::no_thread(&e))?;
        Ok(Some(Box::new(watch)))
    }
}

impl Roles for Paxos {
    fn all(&self) -> &'static [Role] {
        roles::ROLES
    }

    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String> {
        roles::find(role, running)
    }

    fn vacant(&self, role: &str) -> Option<&'static str> {
        (role == roles::HOLDER.name && !self.has_leases()).then_some("no lease is granted")
    }
}

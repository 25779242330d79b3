//! etcd, version 3.4 or later, as a system under test: the program from the operating system's package, members on loopback, and
//! a small client of its JSON gateway.
//!
//! Each member has one peer address and one client address, which are the same for all members and clients. Both are addresses of
//! the relay, which identifies the dialler by its socket.
#![forbid(unsafe_code)]

mod connection; // operations over the JSON gateway
mod http; // requests and responses of HTTP/1.1
mod members; // processes, health, leadership

pub use members::{INSTALL, find_program, leads, version};

use connection::{EtcdConnection, Reads};
use heckle_faults::Role;
use heckle_history::{Nanos, NodeIx};
use heckle_system_api::capability::{Links, Roles};
use heckle_system_api::connection::Connection;
use heckle_system_api::identity::Target;
use heckle_system_api::launch::{NodeSpec, Site};
use heckle_system_api::settings;
use heckle_system_api::value::ValueCodec;
use heckle_system_api::{SettingKey, System, SystemKind};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// The role of the leader.
const LEADER: Role = Role { name: "leader", about: "the leader" };

/// Its name in plans.
pub const NAME: &str = "etcd";

/// etcd in the command's list of systems.
#[derive(Debug, Clone, Copy)]
pub struct EtcdKind;

/// The settings of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    serializable_reads: bool,
}

const KEYS: &[SettingKey] = &[SettingKey::new(
    "serializable_reads",
    "reads from one member without a quorum, which may be stale and must be caught: true, false [default: false]",
)];

impl SystemKind for EtcdKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keys(&self) -> &'static [SettingKey] {
        KEYS
    }

    fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String> {
        settings::accepts::<Settings>(key, value)
    }

    fn build(&self, settings: &toml::Table, _nodes: u16) -> Result<Arc<dyn System>, String> {
        let settings = settings::parse(settings)?;
        Ok(Arc::new(Etcd { settings }))
    }
}

/// An etcd cluster with its settings.
#[derive(Debug, Clone, Copy)]
struct Etcd {
    settings: Settings,
}

impl System for Etcd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn program(&self) -> Result<PathBuf, String> {
        find_program()
    }

    fn version(&self) -> Option<String> {
        version()
    }

    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        members::nodes(site)
    }

    /// A member is healthy only if it gets an answer from a leader, so it has also reached its peers.
    fn is_ready(&self, node: &NodeSpec) -> bool {
        members::is_healthy(node.ask)
    }

    fn connect(&self, target: &Target, _name: String, codec: ValueCodec) -> Rc<dyn Connection> {
        let reads = if self.settings.serializable_reads { Reads::Serializable } else { Reads::Linearizable };
        Rc::new(EtcdConnection::new(target.addr, codec, reads))
    }

    fn settings(&self) -> toml::Table {
        settings::table(&self.settings)
    }

    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![("serializable_reads", self.settings.serializable_reads.to_string())]
    }

    /// Without a leader, members refuse updates until they have elected another. By default a member waits one to two election
    /// timeouts of 1 s before it campaigns.
    fn takeover(&self) -> Nanos {
        Nanos::from_ms(2_000)
    }

    fn links(&self) -> Links {
        Links::Bytes
    }

    fn roles(&self) -> Option<&dyn Roles> {
        Some(self)
    }
}

impl Roles for Etcd {
    fn all(&self) -> &'static [Role] {
        &[LEADER]
    }

    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String> {
        if role != LEADER.name {
            return Err(format!("no member of etcd is a `{role}`; there is: leader"));
        }
        let leader = running.iter().find(|(_, spec)| leads(spec.ask));
        leader.map(|(node, _)| (*node, LEADER.about.to_owned())).ok_or_else(|| "no member says that it leads".to_owned())
    }
}

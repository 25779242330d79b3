//! ZooKeeper, version 3.5 or later, as a system under test: the program from the operating system's package, three or more servers
//! on loopback, and a small client of its wire protocol.
//!
//! A register is a znode, and its version is the condition of a CAS. A read is answered by one server from its local data, which may
//! be stale. So each read follows either a `sync`, which makes the server catch up with the leader, or a change to another znode,
//! which a quorum confirms. A plan can disable both.
#![forbid(unsafe_code)]

mod connection; // operations on znodes
mod ensemble; // processes, their files, health, leadership
mod greeting; // addresses that servers advertise to each other
mod jute; // the wire format
mod session; // one connection to one server

pub use ensemble::{INSTALL, find_program, version};

use connection::{Reads, ZooKeeperConnection};
use heckle_faults::Role;
use heckle_history::{Nanos, NodeIx};
use heckle_system_api::capability::{Greeting, Links, Roles};
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
pub const NAME: &str = "zookeeper";

/// ZooKeeper in the command's list of systems.
#[derive(Debug, Clone, Copy)]
pub struct ZooKeeperKind;

/// The settings of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    sync: bool,
    quorum_reads: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { sync: true, quorum_reads: false }
    }
}

const KEYS: &[SettingKey] = &[
    SettingKey::new("sync", "a `sync` before each read; without it a read may be stale, which must be caught: true, false [default: true]"),
    SettingKey::new(
        "quorum_reads",
        "change another znode before each read instead, which a quorum confirms, unlike a `sync`: true, false [default: false]",
    ),
];

impl SystemKind for ZooKeeperKind {
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
        let settings: Settings = settings::parse(settings)?;
        if settings.quorum_reads && !settings.sync {
            return Err("sync = false: reads that a quorum confirms are not stale; leave out quorum_reads".into());
        }
        Ok(Arc::new(ZooKeeper { settings }))
    }
}

/// An ensemble with its settings.
#[derive(Debug, Clone, Copy)]
struct ZooKeeper {
    settings: Settings,
}

impl System for ZooKeeper {
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
        ensemble::nodes(site)
    }

    /// A server that is serving is a leader or has one, so it has also reached its peers.
    fn is_ready(&self, node: &NodeSpec) -> bool {
        ensemble::mode(node.ask).is_some()
    }

    fn connect(&self, target: &Target, _name: String, codec: ValueCodec) -> Rc<dyn Connection> {
        let reads = match self.settings {
            Settings { quorum_reads: true, .. } => Reads::AfterChange,
            Settings { sync: true, .. } => Reads::AfterSync,
            Settings { .. } => Reads::AtOnce,
        };
        Rc::new(ZooKeeperConnection::new(target.addr, codec, reads))
    }

    fn settings(&self) -> toml::Table {
        settings::table(&self.settings)
    }

    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![("sync", self.settings.sync.to_string()), ("quorum_reads", self.settings.quorum_reads.to_string())]
    }

    /// Servers that do not hear from their leader abandon it after the limit set in their files. Then they elect another one and
    /// copy its data before it serves.
    fn takeover(&self) -> Nanos {
        Nanos::from_ms(ensemble::SYNC_LIMIT_MS + 1_500)
    }

    fn links(&self) -> Links {
        Links::Bytes
    }

    fn greeting(&self) -> Option<Arc<dyn Greeting>> {
        Some(Arc::new(greeting::ElectionGreeting))
    }

    fn roles(&self) -> Option<&dyn Roles> {
        Some(self)
    }
}

impl Roles for ZooKeeper {
    fn all(&self) -> &'static [Role] {
        &[LEADER]
    }

    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String> {
        if role != LEADER.name {
            return Err(format!("no server of ZooKeeper is a `{role}`; there is: leader"));
        }
        let leader = running.iter().find(|(_, spec)| ensemble::mode(spec.ask).as_deref() == Some("leader"));
        leader.map(|(node, _)| (*node, LEADER.about.to_owned())).ok_or_else(|| "no server says that it leads".to_owned())
    }
}

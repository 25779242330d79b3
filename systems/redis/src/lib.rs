//! Redis 7 with Sentinel as a system under test. Each node runs a server and a Sentinel, and a small client speaks RESP2.
//!
//! Redis replicates asynchronously, so it can lose acknowledged updates when a primary is replaced. The settings `wait` and `appendonly`
//! narrow or widen that window, but neither closes it.
#![forbid(unsafe_code)]

mod resp; // the protocol
mod connection; // operations as scripts
mod nodes; // servers and Sentinels: their configuration, health and roles

pub use nodes::{INSTALL, find_program, version};

use connection::RedisConnection;
use heckle_faults::Role;
use heckle_history::{Nanos, NodeIx};
use heckle_system_api::capability::{Links, Roles};
use heckle_system_api::connection::Connection;
use heckle_system_api::identity::Target;
use heckle_system_api::launch::{NodeSpec, Site};
use heckle_system_api::settings;
use heckle_system_api::value::ValueCodec;
use heckle_system_api::{FinalReads, SettingKey, System, SystemKind};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// The role of the node that accepts updates.
const LEADER: Role = Role { name: "leader", about: "the primary" };

/// Name of the system in plans.
pub const NAME: &str = "redis";

/// Redis, as an entry in the CLI's list of systems.
#[derive(Debug, Clone, Copy)]
pub struct RedisKind;

/// Settings from a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    wait: u64,
    appendonly: Appendonly,
}

/// When an update is written to disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Appendonly {
    /// Before it is acknowledged.
    #[default]
    Always,
    /// Within about a second.
    Everysec,
    /// Never.
    No,
}

impl Appendonly {
    fn name(self) -> &'static str {
        match self {
            Appendonly::Always => "always",
            Appendonly::Everysec => "everysec",
            Appendonly::No => "no",
        }
    }
}

const KEYS: &[SettingKey] = &[
    SettingKey::whole(
        "wait",
        "replicas that must have an update before it counts as acknowledged (WAIT); fewer: unknown [default: 0]",
        0,
        14,
    ),
    SettingKey::new("appendonly", "when an update is on disk: always (before it is acknowledged), everysec, no [default: always]"),
];

impl SystemKind for RedisKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keys(&self) -> &'static [SettingKey] {
        KEYS
    }

    fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String> {
        settings::accepts::<Settings>(key, value)
    }

    fn build(&self, settings: &toml::Table, nodes: u16) -> Result<Arc<dyn System>, String> {
        let settings: Settings = settings::parse(settings)?;
        if settings.wait >= u64::from(nodes) {
            return Err(format!("wait = {}: of {nodes} nodes at most {} are replicas", settings.wait, nodes - 1));
        }
        Ok(Arc::new(Redis { settings, nodes }))
    }
}

/// Redis with its settings.
#[derive(Debug, Clone, Copy)]
struct Redis {
    settings: Settings,
    nodes: u16,
}

impl System for Redis {
    fn name(&self) -> &str {
        NAME
    }

    fn program(&self) -> Result<PathBuf, String> {
        find_program()
    }

    fn version(&self) -> Option<String> {
        version()
    }

    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        nodes::nodes(site, self.settings)
    }

    fn is_ready(&self, node: &NodeSpec) -> bool {
        nodes::is_ready(node)
    }

    fn sees_peers(&self, node: &NodeSpec) -> Result<bool, String> {
        nodes::sees_peers(node, usize::from(self.nodes))
    }

    fn connect(&self, target: &Target, _name: String, codec: ValueCodec) -> Rc<dyn Connection> {
        Rc::new(RedisConnection::new(target.addr, codec, self.settings.wait))
    }

    fn settings(&self) -> toml::Table {
        settings::table(&self.settings)
    }

    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![("wait", self.settings.wait.to_string()), ("appendonly", self.settings.appendonly.name().to_owned())]
    }

    /// The Sentinels consider a primary down after 1 s and replace it about 1.5 s later, or later still on a busy machine.
    fn takeover(&self) -> Nanos {
        Nanos::from_ms(5_000)
    }

    /// Replicas are stale by design, and refuse reads here.
    fn final_reads(&self) -> FinalReads {
        FinalReads::Role(LEADER.name)
    }

    fn links(&self) -> Links {
        Links::Bytes
    }

    fn roles(&self) -> Option<&dyn Roles> {
        Some(self)
    }
}

impl Roles for Redis {
    fn all(&self) -> &'static [Role] {
        &[LEADER]
    }

    /// An old primary that has not heard of its replacement also reports that it is one, so the one with the most replicas counts.
    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String> {
        if role != LEADER.name {
            return Err(format!("no node of Redis is a `{role}`; there is: leader"));
        }
        let replicas = |node: &NodeSpec| match nodes::role(node.ask) {
            Ok(nodes::Role::Primary { replicas }) => Some(replicas),
            Ok(nodes::Role::Replica { .. }) | Err(_) => None,
        };
        let primaries = running.iter().filter_map(|(node, spec)| Some((replicas(spec)?, *node)));
        let found = primaries.max_by_key(|(replicas, _)| *replicas);
        found.map(|(_, node)| (node, LEADER.about.to_owned())).ok_or_else(|| "no node says that it is the primary".to_owned())
    }
}

//! A plan's description of a system: `[system]` with a `name`, `[[system.process]]`, `[where]`. Defines the types of the file and the
//! checks that need no cluster.

use heckle_system_api::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod validate; // the checks
mod attach; // the checks of [system.attach]

pub(crate) use validate::{CLIENT, signal};

/// The part of a plan that this crate reads; the engine reads the rest.
#[derive(Debug, Deserialize)]
pub(crate) struct PlanText {
    /// `[system]`.
    pub(crate) system: SystemText,
}

/// `[system]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemText {
    /// Name of the system in reports.
    pub(crate) name: String,
    /// Command that prints the system's version.
    #[serde(default)]
    pub(crate) version: Words,
    /// Command that starts the client driver.
    pub(crate) driver: Words,
    /// Options passed to the driver as `options`.
    #[serde(default)]
    pub(crate) options: BTreeMap<String, toml::Value>,
    /// Which nodes may serve final reads.
    #[serde(default)]
    pub(crate) reads: Reads,
    /// How long the remaining nodes may refuse operations after a node is lost.
    #[serde(default)]
    pub(crate) failover: Option<Span>,
    /// How to find out which node leads.
    #[serde(default)]
    pub(crate) leader: Leader,
    /// Folder in which commands run; defaults to the plan's folder.
    #[serde(default)]
    pub(crate) folder: Option<String>,
    /// Processes of a node.
    #[serde(default)]
    pub(crate) process: Vec<ProcessText>,
    /// Nodes that run already, instead of processes.
    #[serde(default)]
    pub(crate) attach: Option<AttachText>,
}

/// `[system.attach]`: nodes that run already. Each command is run for one node at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachText {
    /// Addresses at which clients reach the nodes, `HOST:PORT`.
    pub(crate) nodes: Vec<String>,
    /// When a node answers.
    #[serde(default)]
    pub(crate) ready: Option<Ready>,
    /// Command that kills a node.
    #[serde(default)]
    pub(crate) kill: Words,
    /// Command that starts a killed node again.
    #[serde(default)]
    pub(crate) restart: Words,
    /// Command that pauses a node.
    #[serde(default)]
    pub(crate) pause: Words,
    /// Command that resumes a paused node.
    #[serde(default)]
    pub(crate) resume: Words,
    /// Time limit of a command.
    #[serde(default)]
    pub(crate) within: Option<Span>,
}

/// Which nodes may serve final reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
    /// Every node.
    #[default]
    Any,
    /// The node that leads.
    Primary,
    /// No node: there are no final reads.
    None,
}

/// A command line: a list of words, or a single string that is split at whitespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a command is a list of words, such as [\"mydb\", \"--version\"], or one text without quotes")]
pub(crate) enum Words {
    /// No command.
    #[default]
    None,
    /// A list of words.
    List(Vec<String>),
    /// A string that is split at whitespace.
    Text(String),
}

impl Words {
    /// Returns the words.
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Words::None => vec![],
            Words::List(words) => words.clone(),
            Words::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// How to find out which node leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "leader is \"driver\", or a command that exits with 0 if the node leads")]
pub(crate) enum Leader {
    /// There is no way to find out.
    #[default]
    Unknown,
    /// Ask the driver.
    Driver(DriverWord),
    /// Run a command on each node; it exits with 0 if that node leads.
    Command(Vec<String>),
}

/// `"driver"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DriverWord {
    /// The only word that is not a command.
    #[serde(rename = "driver")]
    Driver,
}

/// `[[system.process]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessText {
    /// Name of the process and of its log. Required if a node has several processes.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Command line.
    pub(crate) start: Vec<String>,
    /// File contents, by path.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Names of the process's ports.
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    /// When the process is ready.
    #[serde(default)]
    pub(crate) ready: Option<Ready>,
    /// Signal that asks the process to stop.
    #[serde(default)]
    pub(crate) stop: Option<String>,
    /// Time limit for stopping.
    #[serde(default)]
    pub(crate) stop_within: Option<Span>,
    /// Nodes that run the process; all by default.
    #[serde(default)]
    pub(crate) nodes: Vec<String>,
}

/// When a process is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Ready {
    /// When it accepts connections on this port.
    Tcp(String),
    /// When this URL answers with status 200. It may contain placeholders, as in `http://{client}/health`.
    Http(String),
    /// When this command exits with 0.
    Command(Vec<String>),
    /// When a line of its log contains this text.
    Log(String),
}

/// A mistake and its location in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    /// Path from the top of the plan, as keys and indices.
    pub(crate) path: Vec<Step>,
    /// Byte offset within the string at that path, if the mistake is inside a string.
    pub(crate) byte: Option<usize>,
    /// What is wrong.
    pub(crate) what: String,
}

/// One step of a path in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Returns the byte offset of a mistake in the plan's text, as precisely as the text allows.
pub(crate) fn locate(text: &str, at: &At) -> Option<usize> {
    use toml::de::{DeTable, DeValue};
    let table = DeTable::parse(text).ok()?;
    let mut span = table.span();
    let mut value: Option<&toml::Spanned<DeValue<'_>>> = None;
    for step in &at.path {
        let next = match (step, value.map(toml::Spanned::get_ref)) {
            (Step::Key(key), None) => table.get_ref().get(key.as_str()),
            (Step::Key(key), Some(DeValue::Table(table))) => table.get(key.as_str()),
            (Step::Index(i), Some(DeValue::Array(array))) => array.get(*i),
            // A key that is a number.
            (Step::Index(i), Some(DeValue::Table(table))) => table.get(i.to_string().as_str()),
            _ => None,
        };
        let Some(next) = next else { break };
        span = next.span();
        value = Some(next);
    }
    // The offset does not count the string's quotes. If escapes shift it, the start of the string is close enough.
    let raw = text.get(span.clone())?;
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { usize::from(raw.starts_with(['"', '\''])) };
    let shift = at.byte.filter(|_| !raw.contains('\\')).map_or(0, |byte| quotes + byte);
    Some(span.start + shift.min(raw.len().saturating_sub(1)))
}

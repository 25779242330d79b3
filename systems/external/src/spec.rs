//! What a plan says about a system: `[system]` with a `name`, `[[system.process]]`, `[where]`. Types of the file, and the checks that need
//! no cluster.

use heckle_system_api::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod validate; // the checks

pub(crate) use validate::signal;

/// The part of a plan that is read here; the engine reads the rest.
#[derive(Debug, Deserialize)]
pub(crate) struct PlanText {
    /// `[system]`.
    pub(crate) system: SystemText,
}

/// `[system]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemText {
    /// Its name in reports.
    pub(crate) name: String,
    /// A command that prints its version.
    #[serde(default)]
    pub(crate) version: Words,
    /// The command of the client driver.
    pub(crate) driver: Words,
    /// What the driver gets as `options`.
    #[serde(default)]
    pub(crate) options: BTreeMap<String, toml::Value>,
    /// Where final reads may go.
    #[serde(default)]
    pub(crate) reads: Reads,
    /// How long after the loss of a node the others may refuse.
    #[serde(default)]
    pub(crate) failover: Option<Span>,
    /// How it is found out who leads.
    #[serde(default)]
    pub(crate) leader: Leader,
    /// The folder in which commands run: that of the plan by default.
    #[serde(default)]
    pub(crate) folder: Option<String>,
    /// The processes of a node.
    #[serde(default)]
    pub(crate) process: Vec<ProcessText>,
}

/// Where final reads may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
    /// To every node.
    #[default]
    Any,
    /// To the node that leads.
    Primary,
    /// There are none.
    None,
}

/// A command line: a list of words, or one text that is split at blanks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a command is a list of words, such as [\"mydb\", \"--version\"], or one text without quotes")]
pub(crate) enum Words {
    /// No command.
    #[default]
    None,
    /// Word by word.
    List(Vec<String>),
    /// Split at blanks.
    Text(String),
}

impl Words {
    /// The words.
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Words::None => vec![],
            Words::List(words) => words.clone(),
            Words::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// How it is found out who leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "leader is \"driver\", or a command that exits with 0 if the node leads")]
pub(crate) enum Leader {
    /// Not at all.
    #[default]
    Unknown,
    /// The driver answers.
    Driver(DriverWord),
    /// A command exits with 0 if the node leads.
    Command(Vec<String>),
}

/// `"driver"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DriverWord {
    /// The only word that is no command.
    #[serde(rename = "driver")]
    Driver,
}

/// `[[system.process]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessText {
    /// Its name, and of its log. Needed where a node has several.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Its command line.
    pub(crate) start: Vec<String>,
    /// Files by path.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Variables.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Names of its ports.
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    /// When it is ready.
    #[serde(default)]
    pub(crate) ready: Option<Ready>,
    /// The signal that asks it to end.
    #[serde(default)]
    pub(crate) stop: Option<String>,
    /// How long that may take.
    #[serde(default)]
    pub(crate) stop_within: Option<Span>,
    /// The nodes that have it; all by default.
    #[serde(default)]
    pub(crate) nodes: Vec<String>,
}

/// When a process is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Ready {
    /// When it takes connections at this port.
    Tcp(String),
    /// When this address answers with status 200: a text with placeholders, such as `http://{client}/health`.
    Http(String),
    /// When this command exits with 0.
    Command(Vec<String>),
    /// When a line of its log has this text.
    Log(String),
}

/// A mistake, with the way to it: keys and indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    /// The way from the top of the plan.
    pub(crate) path: Vec<Step>,
    /// Byte of the text that stands there, where it is in a text.
    pub(crate) byte: Option<usize>,
    /// What is wrong.
    pub(crate) what: String,
}

/// One step of a way into a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The byte of a plan's text at which a mistake stands, as near as the text tells.
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
            // A name that is a number.
            (Step::Index(i), Some(DeValue::Table(table))) => table.get(i.to_string().as_str()),
            _ => None,
        };
        let Some(next) = next else { break };
        span = next.span();
        value = Some(next);
    }
    // The byte counts in the text without its quotes; where escapes shift it, the text's beginning is near enough.
    let raw = text.get(span.clone())?;
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { usize::from(raw.starts_with(['"', '\''])) };
    let shift = at.byte.filter(|_| !raw.contains('\\')).map_or(0, |byte| quotes + byte);
    Some(span.start + shift.min(raw.len().saturating_sub(1)))
}

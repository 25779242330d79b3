//! Nodes that run already: their addresses, and the commands that do to them what signals do to processes of the harness.

use crate::command;
use crate::nodes::{filled, program_at};
use crate::ready;
use crate::spec::{AttachText, CLIENT};
use crate::template::{Layout, Place, Port};
use heckle_faults::Signal;
use heckle_system_api::launch::{Dialler, NodeSpec, Site};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

/// Resolves the addresses of all nodes.
///
/// # Errors
/// If a host is unknown, two nodes have the same address, or the relay has no free port.
pub(crate) fn layout(attach: &AttachText, site: &Site<'_>, folder: &Path) -> Result<Layout, String> {
    let plan = folder.to_str().ok_or_else(|| format!("{} is not UTF-8", folder.display()))?.to_owned();
    let mut nodes: Vec<Place> = vec![];
    for (node, text) in site.all().zip(&attach.nodes) {
        let id = Site::name(node);
        let listen = resolve(text).map_err(|why| format!("{id}: {why}"))?;
        if let Some(same) = nodes.iter().find(|place| place.ports[CLIENT].listen == listen) {
            return Err(format!("{id} and {} have the same address, {listen}", same.id));
        }
        let port = Port { listen, advertise: site.dial(Dialler::Clients, node, listen)? };
        nodes.push(Place { id, data: String::new(), ports: [(CLIENT.to_owned(), port)].into() });
    }
    let layout = Layout { cluster: site.cluster.to_owned(), plan, nodes };
    // A mistake in a command is reported before the command is needed.
    for (key, words) in attach.commands() {
        for node in 0..layout.nodes.len() {
            fill(&words.list(), &layout, node).map_err(|why| format!("`{key}`: {why}"))?;
        }
    }
    Ok(layout)
}

/// Returns the address of a node, in IPv4 if it has one.
fn resolve(text: &str) -> Result<SocketAddr, String> {
    let all: Vec<SocketAddr> = text.to_socket_addrs().map_err(|e| format!("the address {text} is not known: {e}"))?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| format!("the address {text} is not known"))
}

/// Builds the nodes, which have no processes.
pub(crate) fn specs(site: &Site<'_>, layout: &Layout) -> Vec<NodeSpec> {
    let spec = |(node, place): (heckle_history::NodeIx, &Place)| {
        let client = place.ports[CLIENT];
        let (name, listens) = (place.id.clone(), vec![client.listen]);
        NodeSpec { name, processes: vec![], client: client.advertise, ask: client.listen, listens, node: site.identity(node) }
    };
    site.all().zip(&layout.nodes).map(spec).collect()
}

/// Checks that the programs of all commands exist.
///
/// # Errors
/// The first one that does not.
pub(crate) fn check_programs(attach: &AttachText, folder: &Path) -> Result<(), String> {
    for (key, words) in attach.commands() {
        // A program with a placeholder is only known for a node.
        if let Some(program) = words.list().first().filter(|program| !program.contains('{')) {
            program_at(program, folder).map_err(|why| format!("`{key}`: {why}"))?;
        }
    }
    Ok(())
}

/// Why there is no command for a signal or for undoing it, as the rest of a sentence.
pub(crate) fn lacks(attach: &AttachText, signal: Signal) -> Option<&'static str> {
    let missing = |words: &crate::spec::Words| words.list().is_empty();
    match signal {
        Signal::Kill if missing(&attach.kill) || missing(&attach.restart) => {
            Some("whose nodes heckle did not start: [system.attach] needs `kill` and `restart`")
        }
        Signal::Stop if missing(&attach.pause) || missing(&attach.resume) => {
            Some("whose nodes heckle did not start: [system.attach] needs `pause` and `resume`")
        }
        Signal::Terminate => Some("whose nodes heckle did not start, and no command of [system.attach] asks a node to end"),
        Signal::Kill | Signal::Stop => None,
    }
}

/// What to do to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Inflict,
    Undo,
}

/// Runs a command for a node.
///
/// # Errors
/// If it cannot be started, fails, or takes too long.
pub(crate) fn run(attach: &AttachText, signal: Signal, deed: Deed, layout: &Layout, node: usize, folder: &Path) -> Result<(), String> {
    let [kill, restart, pause, resume] = attach.commands();
    let (key, words) = match (signal, deed) {
        (Signal::Kill | Signal::Terminate, Deed::Inflict) => kill,
        (Signal::Kill | Signal::Terminate, Deed::Undo) => restart,
        (Signal::Stop, Deed::Inflict) => pause,
        (Signal::Stop, Deed::Undo) => resume,
    };
    let words = fill(&words.list(), layout, node)?;
    let ran = command::run(&words, folder, attach.command_timeout()).map_err(|why| format!("the `{key}` command: {why}"))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = ran.errors.lines().chain(ran.output.lines()).map(str::trim).rfind(|line| !line.is_empty());
    let said = said.map_or_else(String::new, |line| format!(": {}", line.chars().take(MAX_SHOWN).collect::<String>()));
    Err(format!("the `{key}` command: `{}` ended with {}{said}", words.join(" "), ran.status))
}

/// Maximum number of characters shown of what a command wrote.
const MAX_SHOWN: usize = 200;

fn fill(words: &[String], layout: &Layout, node: usize) -> Result<Vec<String>, String> {
    words.iter().map(|word| filled(word, &[CLIENT.to_owned()], layout, node)).collect()
}

/// Checks that a node answers.
///
/// # Errors
/// Why it does not.
pub(crate) fn check(attach: &AttachText, layout: &Layout, node: usize, folder: &Path) -> Result<(), String> {
    ready::attached(attach.ready.as_ref(), layout, node, folder)
}

//! The nodes of a system described by a plan: their addresses, and their processes, built from templates.

use crate::spec::{ProcessText, SystemText, signal};
use crate::template::{Layout, Place, Port, Template};
use heckle_system_api::launch::{Dialler, NodeSpec, Site};
use heckle_system_api::process::{ONLY, Output, ProcessSpec, StopRequest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Maximum number of ports per node.
const MAX_PORTS: usize = 16;

/// Allocates addresses for all ports of all nodes.
///
/// # Errors
/// Fails if a node has too many ports, a path cannot be resolved or is not UTF-8, or the machine has no free address.
pub(crate) fn layout(system: &SystemText, site: &Site<'_>, folder: &Path) -> Result<Layout, String> {
    let names = system.ports();
    if names.len() > MAX_PORTS {
        return Err(format!("a node has {} ports; {MAX_PORTS} are the most", names.len()));
    }
    let text = |path: &Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| format!("{} is not UTF-8: name another folder with --out", path.display()))
    };
    let run = site.folder.canonicalize().map_err(|e| format!("{}: {e}", site.folder.display()))?;
    let mut nodes = vec![];
    for node in site.all() {
        let listens = site.addresses.take(names.len())?;
        let port = |listen| Ok(Port { listen, advertise: site.dial(Dialler::Anyone, node, listen)? });
        let ports = listens.into_iter().map(port).collect::<Result<Vec<_>, String>>()?;
        let ports = names.iter().cloned().zip(ports).collect();
        let id = Site::name(node);
        nodes.push(Place { data: text(&run.join("nodes").join(&id).join("data"))?, id, ports });
    }
    Ok(Layout { cluster: site.cluster.to_owned(), plan: text(folder)?, nodes })
}

/// Builds the nodes with their processes.
///
/// # Errors
/// Fails if a template cannot be filled in, a program does not exist, a signal is unknown, or a node has no process.
pub(crate) fn specs(system: &SystemText, site: &Site<'_>, layout: &Layout, folder: &Path) -> Result<Vec<NodeSpec>, String> {
    let spec = |(i, place): (usize, &Place)| {
        let on = |process: &&ProcessText| process.nodes.is_empty() || process.nodes.contains(&place.id);
        let processes = system.process.iter().filter(on).map(|process| one(system, process, layout, i, folder));
        let processes = processes.collect::<Result<Vec<_>, _>>().map_err(|e| format!("{}: {e}", place.id))?;
        if processes.is_empty() {
            return Err(format!("{} has no process: `nodes` of every [[system.process]] leaves it out", place.id));
        }
        let client = place.ports["client"];
        let others = place.ports.iter().filter(|(name, _)| *name != "client").map(|(_, port)| port.listen);
        let listens = std::iter::once(client.listen).chain(others).collect();
        let node = site.identity(heckle_history::NodeIx(i as u16));
        Ok(NodeSpec { name: place.id.clone(), processes, client: client.advertise, ask: client.listen, listens, node })
    };
    layout.nodes.iter().enumerate().map(spec).collect()
}

/// Returns the name of a process.
pub(crate) fn name_of(process: &ProcessText) -> String {
    process.name.clone().unwrap_or_else(|| ONLY.to_owned())
}

fn one(system: &SystemText, process: &ProcessText, layout: &Layout, node: usize, folder: &Path) -> Result<ProcessSpec, String> {
    let ports = system.ports();
    let fill = |text: &str| filled(text, &ports, layout, node);
    let words = process.start.iter().map(|word| fill(word)).collect::<Result<Vec<_>, _>>()?;
    let (program, args) = words.split_first().ok_or("start is empty")?;
    let text_by = |all: &BTreeMap<String, String>| all.iter().map(|(k, v)| Ok((fill(k)?, fill(v)?))).collect::<Result<Vec<_>, String>>();
    let data = PathBuf::from(&layout.nodes[node].data);
    let files = text_by(&process.files)?.into_iter().map(|(path, text)| (data.join(path), text)).collect();
    let stop = process.stop.as_deref().map_or(Ok(libc::SIGTERM), signal)?;
    Ok(ProcessSpec {
        name: name_of(process),
        program: Some(program_at(program, folder)?),
        args: args.iter().map(Into::into).collect(),
        env: text_by(&process.env)?.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        folder: Some(folder.to_owned()),
        folders: vec![data],
        files,
        output: Output::Log,
        stop: StopRequest { signal: stop, within: process.stop_within.map(|span| span.0) },
    })
}

/// Fills in a template for one node.
///
/// # Errors
/// Fails if a placeholder is invalid or names a node that does not exist.
pub(crate) fn filled(text: &str, ports: &[String], layout: &Layout, node: usize) -> Result<String, String> {
    Template::parse(text, ports).map_err(|m| format!("`{text}`: {}", m.what))?.fill(layout, node)
}

/// Returns the path of a program. A name that contains a `/` is relative to the plan's folder, and any other name is looked up on
/// PATH.
///
/// # Errors
/// Fails if there is no such program.
pub(crate) fn program_at(program: &str, folder: &Path) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = folder.join(program);
        return if path.is_file() { Ok(path) } else { Err(format!("there is no program {}", path.display())) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| format!("there is no program `{program}` on PATH: install it, or name its file"))
}

//! The processes of a cluster. Each process is this program run as `heckle node`, which prints a line when it is ready and
//! answers on a control channel.

use crate::identity;
use crate::settings::PaxosSettings;
use heckle_history::NodeIx;
use heckle_server::ClusterSecret;
use heckle_server::client_protocol::Identity;
use heckle_system_api::launch::{Dialler, NodeSpec, NotReady, Process, Site, Unsynced};
use heckle_system_api::process::ProcessSpec;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time limit of one read from a node's standard output.
const READ_TIMEOUT: Duration = Duration::from_millis(20);

/// The addresses of all nodes.
struct Addresses {
    peer: Vec<SocketAddr>,
    client: Vec<SocketAddr>,
    control: Vec<SocketAddr>,
}

/// Creates all nodes of a cluster.
///
/// # Errors
/// Fails if the machine lacks a resource.
pub(crate) fn nodes(settings: &PaxosSettings, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
    let n = usize::from(site.nodes);
    let ports = site.addresses.take(3 * n)?;
    let secret = write_secret(&site.folder.join("nodes"))?;
    let addresses = Addresses { peer: ports[..n].to_vec(), client: ports[n..2 * n].to_vec(), control: ports[2 * n..].to_vec() };
    site.all().map(|node| spec(settings, site, &addresses, &secret, node)).collect()
}

/// Waits for the line in which a node reports that it has recovered and is listening, and checks the node's identity.
///
/// # Errors
/// Fails if the process ends first, or the time is up.
pub(crate) fn await_ready(node: &NodeSpec, process: &mut dyn Process, within: Duration) -> Result<BTreeMap<String, Json>, NotReady> {
    let line = ready_line(process, within)?;
    let report: BTreeMap<String, Json> = serde_json::from_str(&line).unwrap_or_default();
    let who: Identity = serde_json::from_str(&line)
        .map_err(|e| format!("its ready line does not say who it is ({e}): --bin must be a build of this release"))?;
    identity::record_identity(&node.node, &who)?;
    Ok(report.into_iter().filter(|(k, _)| k == "incarnation").collect())
}

fn ready_line(process: &mut dyn Process, within: Duration) -> Result<String, NotReady> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(line) = process.line(READ_TIMEOUT).filter(|line| line.contains("\"ready\":true")) {
            return Ok(line);
        }
        if let Some(how) = process.ended() {
            return Err(NotReady::Ended { how });
        }
        if Instant::now() > deadline {
            return Err(NotReady::TimedOut { within });
        }
    }
}

/// Writes a new secret for the cluster of one run, and returns its file. The secret is stored only in that file, which only this
/// user can read.
fn write_secret(folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join("cluster.secret");
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
    let bytes: [u8; 32] = ClusterSecret::random_bytes().map_err(failed)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::create_dir_all(folder).map_err(failed)?;
    // The mode applies only to new files.
    let _ = std::fs::remove_file(&path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    Ok(path)
}

fn spec(settings: &PaxosSettings, site: &Site<'_>, a: &Addresses, secret: &Path, me: NodeIx) -> Result<NodeSpec, String> {
    let (name, i) = (Site::name(me), usize::from(me.0));
    let mut args: Vec<OsString> = vec!["node".into(), "--id".into(), name.clone().into()];
    let mut flag = |name: &str, value: String| args.extend([format!("--{name}").into(), value.into()]);
    flag("cluster-id", site.cluster.to_owned());
    flag("peer-listen", a.peer[i].to_string());
    flag("client-listen", a.client[i].to_string());
    flag("control-listen", a.control[i].to_string());
    for peer in site.all().filter(|peer| *peer != me) {
        let addr = site.dial(Dialler::Node(me), peer, a.peer[usize::from(peer.0)])?;
        flag("peer", format!("{}={addr}", Site::name(peer)));
    }
    flag("seed", site.seed.part(&format!("node/{name}")).to_string());
    for (name, value) in settings.node_flags() {
        flag(name, value);
    }
    flag("parent-pid", std::process::id().to_string());
    // A path need not be valid UTF-8.
    args.extend(["--cluster-secret-file".into(), secret.as_os_str().to_owned()]);
    args.extend(["--data".into(), site.data_of(me).into_os_string()]);
    args.push("--exit-on-stdin-eof".into());
    match site.unsynced {
        Unsynced::SystemCache => {}
        Unsynced::Apart => args.push("--overlay".into()),
    }
    let client = site.dial(Dialler::Clients, me, a.client[i])?;
    let listens = vec![a.client[i], a.control[i], a.peer[i]];
    let processes = vec![ProcessSpec::only(args)];
    Ok(NodeSpec { name, processes, client, ask: a.control[i], listens, node: site.identity(me) })
}

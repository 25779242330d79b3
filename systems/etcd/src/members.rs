//! The members of an etcd cluster: their processes, and their status over plain HTTP.

use heckle_history::NodeIx;
use heckle_system_api::launch::{Dialler, NodeSpec, Site};
use heckle_system_api::process::{ProcessSpec, program_on_path};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Name of the program, which is looked up on PATH.
const PROGRAM: &str = "etcd";
/// Advice if the program is missing.
pub const INSTALL: &str = "install it (Debian and Ubuntu: apt-get install etcd-server), or put `etcd` on PATH";
/// Time limit of a health query, which takes a round of Raft.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Finds the path of etcd's program.
///
/// # Errors
/// Fails if it is not installed. The message says what to install.
pub fn find_program() -> Result<PathBuf, String> {
    program_on_path(PROGRAM).ok_or_else(|| format!("there is no program `{PROGRAM}` here: {INSTALL}"))
}

/// The version of the program on PATH, such as `3.4.23`.
pub fn version() -> Option<String> {
    let out = Command::new(find_program().ok()?).arg("--version").output().ok()?;
    String::from_utf8_lossy(&out.stdout).lines().find_map(|line| line.strip_prefix("etcd Version: ")).map(|v| v.trim().to_owned())
}

/// Creates all members of a cluster.
///
/// # Errors
/// Fails if the machine lacks a resource.
pub(crate) fn nodes(site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
    let n = usize::from(site.nodes);
    let ports = site.addresses.take(2 * n)?;
    let (peers, clients) = ports.split_at(n);
    // The addresses that others dial: the relay's, if there is one.
    let advertised = |listen: &[SocketAddr]| {
        let each = site.all().zip(listen).map(|(node, listens)| site.dial(Dialler::Anyone, node, *listens));
        each.collect::<Result<Vec<SocketAddr>, String>>()
    };
    let (to_peers, to_clients) = (advertised(peers)?, advertised(clients)?);
    let members: Vec<String> = site.all().zip(&to_peers).map(|(node, peer)| format!("{}=http://{peer}", Site::name(node))).collect();
    let url = |addr: SocketAddr| format!("http://{addr}");
    let spec = |node: NodeIx| {
        let i = usize::from(node.0);
        let flags = [
            ("name", Site::name(node)),
            ("listen-peer-urls", url(peers[i])),
            ("initial-advertise-peer-urls", url(to_peers[i])),
            ("listen-client-urls", url(clients[i])),
            ("advertise-client-urls", url(to_clients[i])),
            ("initial-cluster", members.join(",")),
            ("initial-cluster-state", "new".into()),
            ("initial-cluster-token", site.cluster.to_owned()),
            ("logger", "zap".into()),
            ("log-outputs", "stderr".into()),
        ];
        // A path need not be valid UTF-8.
        let data = ["--data-dir".into(), site.data_of(node).into_os_string()];
        let args = flags.into_iter().flat_map(|(flag, value)| [OsString::from(format!("--{flag}")), value.into()]).chain(data).collect();
        let listens = vec![clients[i], peers[i]];
        let processes = vec![ProcessSpec::only(args)];
        NodeSpec { name: Site::name(node), processes, client: to_clients[i], ask: clients[i], listens, node: site.identity(node) }
    };
    Ok(site.all().map(spec).collect())
}

/// Whether a member is healthy, which requires an answer from a leader.
pub(crate) fn is_healthy(addr: SocketAddr) -> bool {
    get(addr, "/health").is_ok_and(|body| body.contains("\"health\":\"true\""))
}

/// Whether this member is currently the leader.
pub fn leads(addr: SocketAddr) -> bool {
    get(addr, "/metrics").is_ok_and(|body| body.lines().any(|line| line == "etcd_server_is_leader 1"))
}

fn get(addr: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

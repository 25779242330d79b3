//! Launches etcd, version 3.4 or later: the program of the system's own package, on loopback, each node with a data folder of its own.
//!
//! No link of etcd passes the relay: its members know each other by one address each, the same for all, so a relay could
//! not tell who speaks to whom; and it works on whole frames of the bundled server's protocol. Faults of processes apply.

use super::launch::{Launcher, NodeSpec, Site};
use super::process::{NodeProcess, how};
use crate::plan::Plan;
use crate::system::target::NodeIdentity;
use heckle_faults::Node;
use heckle_server::status::Status;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Members of an etcd cluster.
pub(super) struct Etcd;

/// Name of the program, looked for on PATH.
const PROGRAM: &str = "etcd";
/// What to do where it is absent.
pub const INSTALL: &str = "install it (Debian and Ubuntu: apt-get install etcd-server), or put `etcd` on PATH";
/// A member that is up answers its health within this: the answer takes a round of Raft.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How often a starting member is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 1 << 20;

/// Where etcd's program is.
///
/// # Errors
/// What to install.
pub fn find_program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(PROGRAM)).find(|file| file.is_file());
    found.ok_or_else(|| format!("there is no program `{PROGRAM}` here: {INSTALL}"))
}

impl Launcher for Etcd {
    fn program(&self) -> Result<PathBuf, String> {
        find_program()
    }

    fn specs(&self, plan: &Plan, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        let n = usize::from(plan.nodes);
        let ports = site.addresses(2 * n)?;
        let (peers, clients) = ports.split_at(n);
        let name = |i: usize| Node(i as u16 + 1).to_string();
        let members: Vec<String> = peers.iter().enumerate().map(|(i, peer)| format!("{}=http://{peer}", name(i))).collect();
        let token = site.cluster_id();
        let spec = |i: usize| {
            let (peer, client) = (format!("http://{}", peers[i]), format!("http://{}", clients[i]));
            let data = super::folder_of(site.folder, Node(i as u16 + 1)).join("data").into_os_string();
            let flags = [
                ("name", name(i)),
                ("listen-peer-urls", peer.clone()),
                ("initial-advertise-peer-urls", peer),
                ("listen-client-urls", client.clone()),
                ("advertise-client-urls", client),
                ("initial-cluster", members.join(",")),
                ("initial-cluster-state", "new".into()),
                ("initial-cluster-token", token.clone()),
                ("logger", "zap".into()),
                ("log-outputs", "stderr".into()),
            ];
            // A path need not be text.
            let data = ["--data-dir".into(), data];
            let args =
                flags.into_iter().flat_map(|(flag, value)| [OsString::from(format!("--{flag}")), value.into()]).chain(data).collect();
            let node = NodeIdentity::new(&token, &name(i), site.stop.clone());
            NodeSpec { name: name(i), args, client: clients[i], ask: clients[i], listens: vec![clients[i], peers[i]], node }
        };
        Ok((0..n).map(spec).collect())
    }

    fn await_ready(&self, spec: &NodeSpec, process: &mut NodeProcess, within: Duration) -> Result<BTreeMap<String, Json>, String> {
        let deadline = Instant::now() + within;
        while !self.is_ready(spec) {
            if let Some(status) = process.ended() {
                return Err(format!("it ended with {} before it was ready", how(status)));
            }
            if Instant::now() > deadline {
                return Err(format!("it was not healthy within {} s", within.as_secs()));
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok(BTreeMap::new())
    }

    /// A member is healthy only once a leader answers it, so nothing is left to be waited for.
    fn sees_peers(&self, spec: &NodeSpec) -> Result<bool, String> {
        Ok(self.is_ready(spec))
    }

    fn is_ready(&self, spec: &NodeSpec) -> bool {
        get(spec.ask, "/health").is_ok_and(|body| body.contains("\"health\":\"true\""))
    }

    fn status(&self, _: &NodeSpec) -> Result<Status, String> {
        Err("etcd does not count what the bundled server counts".into())
    }
}

/// Whether this member leads now.
pub fn leads(addr: SocketAddr) -> bool {
    get(addr, "/metrics").is_ok_and(|body| body.lines().any(|line| line == "etcd_server_is_leader 1"))
}

fn get(addr: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWERS_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

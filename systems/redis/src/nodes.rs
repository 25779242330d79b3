//! The nodes: each runs a Redis server and a Sentinel. The first node starts as the primary.

use crate::resp::{self, MAX_REPLY, Resp};
use crate::{Appendonly, Settings};
use heckle_history::NodeIx;
use heckle_system_api::launch::{Dialler, NodeSpec, Site};
use heckle_system_api::process::{Output, ProcessSpec, StopRequest, program_on_path};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Name of the program, which is looked up on PATH. It also runs as the Sentinel.
const PROGRAM: &str = "redis-server";
/// Advice if the program is missing.
pub const INSTALL: &str = "install it (Debian and Ubuntu: apt-get install redis-server), or put `redis-server` on PATH";
/// The Sentinels' name for the primary.
const MASTER: &str = "heckle";
/// Time limit for a running server to answer a command from the harness.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which a Sentinel considers an unreachable primary down. A failover then takes about 1.5 s.
const DOWN_AFTER_MS: u64 = 1_000;
const FAILOVER_TIMEOUT_MS: u64 = 5_000;

/// Returns the path of the program.
///
/// # Errors
/// Fails if it is not on PATH. The message says what to install.
pub fn find_program() -> Result<PathBuf, String> {
    program_on_path(PROGRAM).ok_or_else(|| format!("there is no program `{PROGRAM}` here: {INSTALL}"))
}

/// Returns the version of the program on PATH, such as `7.0.15`.
pub fn version() -> Option<String> {
    let out = Command::new(find_program().ok()?).arg("--version").output().ok()?;
    String::from_utf8_lossy(&out.stdout).split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
}

/// Builds all nodes of a cluster.
///
/// # Errors
/// Fails if the machine has no free address, or the path of a data folder is unsuitable for Redis.
pub(crate) fn nodes(site: &Site<'_>, settings: Settings) -> Result<Vec<NodeSpec>, String> {
    let n = usize::from(site.nodes);
    let ports = site.addresses.take(2 * n)?;
    let dial = |i: usize| site.dial(Dialler::Anyone, NodeIx((i % n) as u16), ports[i]);
    let dialled = (0..2 * n).map(dial).collect::<Result<Vec<_>, _>>()?;
    // Addresses on which they listen, and the addresses given to peers and clients.
    let (servers, sentinels) = ports.split_at(n);
    let (to_servers, to_sentinels) = dialled.split_at(n);
    let run = site.folder.canonicalize().map_err(|e| format!("{}: {e}", site.folder.display()))?;
    let spec = |node: NodeIx| {
        let i = usize::from(node.0);
        let data = run.join("nodes").join(Site::name(node)).join("data");
        let text = data.to_str().filter(|text| !text.contains([' ', '"', '\n']));
        let text =
            text.ok_or_else(|| format!("{}: a path for Redis is UTF-8 without blanks: name another folder with --out", data.display()))?;
        let conf = |name: &str, lines: String, args: &[&str]| ProcessSpec {
            name: name.into(),
            program: None,
            args: std::iter::once(data.join(format!("{name}.conf")).into_os_string()).chain(args.iter().map(Into::into)).collect(),
            env: vec![],
            folder: None,
            folders: vec![data.clone()],
            files: vec![(data.join(format!("{name}.conf")), lines)],
            output: Output::Log,
            stop: StopRequest::default(),
        };
        let primary = (i > 0).then_some(to_servers[0]);
        let server = conf("redis", server_conf(servers[i], to_servers[i], primary, text, settings), &[]);
        let sentinel = conf("sentinel", sentinel_conf(i, sentinels[i], to_servers, to_sentinels, text), &["--sentinel"]);
        Ok(NodeSpec {
            name: Site::name(node),
            processes: vec![server, sentinel],
            client: to_servers[i],
            ask: servers[i],
            listens: vec![servers[i], sentinels[i]],
            node: site.identity(node),
        })
    };
    site.all().map(spec).collect()
}

fn server_conf(listen: SocketAddr, announce: SocketAddr, primary: Option<SocketAddr>, data: &str, settings: Settings) -> String {
    let mut lines = vec![
        format!("bind {}", listen.ip()),
        format!("port {}", listen.port()),
        format!("dir {data}"),
        "protected-mode no".into(),
        "save \"\"".into(),
        "repl-diskless-sync-delay 0".into(),
        // Do not wait for lagging replicas on shutdown.
        "shutdown-timeout 0".into(),
        format!("replica-announce-ip {}", announce.ip()),
        format!("replica-announce-port {}", announce.port()),
    ];
    match settings.appendonly {
        Appendonly::Always => lines.extend(["appendonly yes".into(), "appendfsync always".into()]),
        Appendonly::Everysec => lines.extend(["appendonly yes".into(), "appendfsync everysec".into()]),
        Appendonly::No => lines.push("appendonly no".into()),
    }
    lines.extend(primary.map(|primary| format!("replicaof {} {}", primary.ip(), primary.port())));
    lines.join("\n") + "\n"
}

/// Builds a Sentinel's configuration. It lists all other Sentinels and all replicas, because discovery would take up to 10 s.
fn sentinel_conf(i: usize, listen: SocketAddr, servers: &[SocketAddr], sentinels: &[SocketAddr], data: &str) -> String {
    let (announce, primary, quorum) = (sentinels[i], servers[0], servers.len() / 2 + 1);
    let mut lines = vec![
        format!("bind {}", listen.ip()),
        format!("port {}", listen.port()),
        format!("dir {data}"),
        "protected-mode no".into(),
        format!("sentinel myid {}", sentinel_id(i)),
        format!("sentinel monitor {MASTER} {} {} {quorum}", primary.ip(), primary.port()),
        format!("sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}"),
        format!("sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}"),
        format!("sentinel announce-ip {}", announce.ip()),
        format!("sentinel announce-port {}", announce.port()),
    ];
    lines.extend(servers[1..].iter().map(|replica| format!("sentinel known-replica {MASTER} {} {}", replica.ip(), replica.port())));
    let others = sentinels.iter().enumerate().filter(|(j, _)| *j != i);
    lines.extend(others.map(|(j, other)| format!("sentinel known-sentinel {MASTER} {} {} {}", other.ip(), other.port(), sentinel_id(j))));
    lines.join("\n") + "\n"
}

/// Returns 40 hexadecimal digits, unique to a Sentinel within the cluster.
fn sentinel_id(i: usize) -> String {
    format!("{:040x}", i + 1)
}

/// Returns whether the server and the Sentinel answer. A server that is still loading its data does not count.
pub(crate) fn is_ready(node: &NodeSpec) -> bool {
    node.listens.iter().all(|addr| ask(*addr, &[b"PING"]).is_ok_and(|reply| reply == Resp::Simple("PONG".into())))
}

/// Returns whether a node has found all others: its Sentinel has found every other Sentinel and every replica, and if it is a replica,
/// it is connected to its primary.
pub(crate) fn sees_peers(node: &NodeSpec, nodes: usize) -> Result<bool, String> {
    let sentinel = node.listens.get(1).ok_or("it has no Sentinel")?;
    let known = |what: &[u8]| match ask(*sentinel, &[b"SENTINEL", what, MASTER.as_bytes()]) {
        Ok(Resp::Array(Some(others))) => Ok(others.len()),
        Ok(other) => Err(format!("its Sentinel answered {other:?}")),
        Err(e) => Err(e),
    };
    if known(b"SENTINELS")? + 1 < nodes || known(b"REPLICAS")? + 1 < nodes {
        return Ok(false);
    }
    Ok(match role(node.ask)? {
        Role::Primary { .. } => true,
        Role::Replica { connected } => connected,
    })
}

/// The role that a server reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Accepts updates and has this many replicas.
    Primary { replicas: usize },
    /// Follows a primary.
    Replica { connected: bool },
}

/// Returns the current role of a server.
pub(crate) fn role(addr: SocketAddr) -> Result<Role, String> {
    let reply = ask(addr, &[b"ROLE"])?;
    let Resp::Array(Some(items)) = &reply else { return Err(format!("{addr} answered {reply:?} to ROLE")) };
    let is = |item: Option<&Resp>, word: &[u8]| matches!(item, Some(Resp::Bulk(Some(bytes))) if bytes == word);
    match items.get(2) {
        Some(Resp::Array(Some(replicas))) if is(items.first(), b"master") => Ok(Role::Primary { replicas: replicas.len() }),
        _ if is(items.first(), b"slave") => Ok(Role::Replica { connected: is(items.get(3), b"connected") }),
        _ => Err(format!("{addr} answered {reply:?} to ROLE")),
    }
}

/// Sends one command on a new connection and returns the reply.
fn ask(addr: SocketAddr, words: &[&[u8]]) -> Result<Resp, String> {
    let exchange = || -> std::io::Result<Resp> {
        let mut stream = TcpStream::connect_timeout(&addr, ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(&resp::command(words))?;
        let (mut got, mut chunk) = (vec![], [0; 4096]);
        loop {
            let n = stream.read(&mut chunk)?;
            got.extend_from_slice(&chunk[..n]);
            match resp::parse(&got).map_err(std::io::Error::other)? {
                Some((reply, _)) => return Ok(reply),
                None if n == 0 || got.len() > MAX_REPLY => return Err(std::io::Error::other("closed in the middle of a reply")),
                None => {}
            }
        }
    };
    exchange().map_err(|e| format!("{addr}: {e}"))
}

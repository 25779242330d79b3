//! The servers of an ensemble: their files, processes, and status from the command `srvr`.
//!
//! A server's configuration has one address per server, on which that server listens and at which the others dial it, and servers
//! exchange these addresses. So the configuration uses host names, `n1` and so on, and each process resolves them differently: its
//! own name to the address on which it listens, and the others to addresses of the relay. The ports are the same.

use heckle_history::NodeIx;
use heckle_system_api::launch::{Dialler, NodeSpec, Site};
use heckle_system_api::process::{ProcessSpec, program_on_path};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The Java virtual machine, which is looked up on PATH.
const PROGRAM: &str = "java";
/// Path of ZooKeeper in Debian and Ubuntu. Its manifest names its dependencies.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// A logger that writes to standard error, if it is installed.
const LOGGER: &str = "/usr/share/java/slf4j-simple.jar";
const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
/// Advice if it is missing.
pub const INSTALL: &str = "install it (Debian and Ubuntu: apt-get install zookeeper)";
/// The unit of the limits below, in milliseconds.
const TICK_MS: u64 = 500;
/// Time limit, in ticks, for a follower to copy its leader's data. Generous, since a small machine starts three JVMs
/// simultaneously.
const INIT_LIMIT: u64 = 20;
/// Servers that do not hear from each other for this many ticks disconnect.
const SYNC_LIMIT: u64 = 5;
/// The same in milliseconds.
pub(crate) const SYNC_LIMIT_MS: u64 = SYNC_LIMIT * TICK_MS;
/// Increment by which a log file grows, in kilobytes. The default is 64 MB per server.
const LOG_KILOBYTES: u64 = 1_024;
/// Time limit of a status query.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// Finds the program that runs a server.
///
/// # Errors
/// Fails if it is not installed. The message says what to install.
pub fn find_program() -> Result<PathBuf, String> {
    if !Path::new(JAR).is_file() {
        return Err(format!("there is no {JAR} here: {INSTALL}"));
    }
    program_on_path(PROGRAM).ok_or_else(|| format!("there is no program `{PROGRAM}` here: {INSTALL}"))
}

/// The version, such as `3.8.0`, from the name of a file next to the program.
pub fn version() -> Option<String> {
    let jar = Path::new(JAR);
    let names = std::fs::read_dir(jar.parent()?).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut versions = names.filter_map(|name| {
        let version = name.strip_prefix("zookeeper-")?.strip_suffix(".jar")?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    });
    versions.next()
}

/// The addresses on which each server listens, and at which others dial it.
struct Ports {
    listens: Vec<SocketAddr>,
    dialled: Vec<SocketAddr>,
}

impl Ports {
    fn take(site: &Site<'_>) -> Result<Self, String> {
        let listens = site.addresses.take(usize::from(site.nodes))?;
        let dialled = site.all().zip(&listens).map(|(node, listens)| site.dial(Dialler::Anyone, node, *listens));
        let dialled = dialled.collect::<Result<Vec<_>, String>>()?;
        match listens.iter().zip(&dialled).find(|(listens, dialled)| listens.port() != dialled.port()) {
            Some((listens, dialled)) => Err(format!("{dialled} cannot stand for {listens}: ZooKeeper needs ports of the same number")),
            None => Ok(Ports { listens, dialled }),
        }
    }
}

/// Creates all servers of an ensemble, and writes their files.
///
/// # Errors
/// Fails if the machine lacks a resource.
pub(crate) fn nodes(site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
    let (quorum, election, client) = (Ports::take(site)?, Ports::take(site)?, Ports::take(site)?);
    let spec = |node: NodeIx| {
        let (i, name) = (usize::from(node.0), Site::name(node));
        let data = site.data_of(node);
        let folder = data.parent().unwrap_or(&data);
        let files = [
            (data.join("myid"), format!("{}\n", i + 1)),
            (folder.join("hosts"), hosts(site, node, &quorum)),
            (folder.join("zoo.cfg"), configuration(site, &data, client.listens[i], &quorum, &election)),
        ];
        std::fs::create_dir_all(&data).map_err(|e| format!("cannot make {}: {e}", data.display()))?;
        for (file, text) in &files {
            std::fs::write(file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        }
        let listens = vec![client.listens[i], quorum.listens[i], election.listens[i]];
        let args = arguments(&files[1].0, &files[2].0);
        let processes = vec![ProcessSpec::only(args)];
        Ok(NodeSpec { name, processes, client: client.dialled[i], ask: client.listens[i], listens, node: site.identity(node) })
    };
    site.all().map(spec).collect()
}

/// Host names and addresses, as this server resolves them.
fn hosts(site: &Site<'_>, me: NodeIx, ports: &Ports) -> String {
    let line = |node: NodeIx| {
        let i = usize::from(node.0);
        let addr = if node == me { ports.listens[i] } else { ports.dialled[i] };
        format!("{} {}\n", addr.ip(), Site::name(node))
    };
    site.all().map(line).collect()
}

fn configuration(site: &Site<'_>, data: &Path, client: SocketAddr, quorum: &Ports, election: &Ports) -> String {
    let servers = site.all().map(|node| {
        let i = usize::from(node.0);
        format!("server.{}={}:{}:{}\n", i + 1, Site::name(node), quorum.listens[i].port(), election.listens[i].port())
    });
    let settings = [
        ("tickTime", TICK_MS.to_string()),
        ("initLimit", INIT_LIMIT.to_string()),
        ("syncLimit", SYNC_LIMIT.to_string()),
        ("dataDir", data.display().to_string()),
        ("clientPortAddress", client.ip().to_string()),
        ("clientPort", client.port().to_string()),
        // All clients share one address here, and each operation in progress has its own session.
        ("maxClientCnxns", "0".into()),
        ("localSessionsEnabled", "true".into()),
        ("preAllocSize", LOG_KILOBYTES.to_string()),
        ("admin.enableServer", "false".into()),
        ("4lw.commands.whitelist", "srvr".into()),
    ];
    settings.into_iter().map(|(key, value)| format!("{key}={value}\n")).chain(servers).collect()
}

fn arguments(hosts: &Path, configuration: &Path) -> Vec<OsString> {
    let mut names = OsString::from("-Djdk.net.hosts.file=");
    names.push(hosts);
    let class_path = if Path::new(LOGGER).is_file() { format!("{JAR}:{LOGGER}") } else { JAR.to_owned() };
    // Settings for low memory use and a fast start, since several servers share a small machine.
    let machine = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];
    let rest = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", &class_path, MAIN];
    let words = |all: &[&str]| all.iter().map(OsString::from).collect::<Vec<_>>();
    [words(&machine), vec![names], words(&rest), vec![configuration.into()]].concat()
}

/// The mode of a server: `leader` or `follower`. `None` if it is not serving.
pub(crate) fn mode(addr: SocketAddr) -> Option<String> {
    let answer = send_command(addr, "srvr").ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(|mode| mode.trim().to_owned())
}

fn send_command(addr: SocketAddr, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

//! The servers of an ensemble: their files, their processes, and what they say of themselves in answer to the four letters `srvr`.
//!
//! A server's file names for each server one address, at which that server listens and at which the others dial it, and servers pass these
//! addresses on to each other. So the files name servers, `n1`, and each process reads these names differently: its own as the address at
//! which it listens, the others' as the relay's. The ports are the same.

use heckle_history::NodeIx;
use heckle_system_api::launch::{Dialler, NodeSpec, Process, Site};
use heckle_system_api::process::ProcessSpec;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The Java virtual machine, looked for on PATH.
const PROGRAM: &str = "java";
/// Where Debian and Ubuntu put ZooKeeper; its manifest names what else it needs.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// A logger that writes to standard error, where there is one.
const LOGGER: &str = "/usr/share/java/slf4j-simple.jar";
const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
/// What to do where it is absent.
pub const INSTALL: &str = "install it (Debian and Ubuntu: apt-get install zookeeper)";
/// A tick, which the limits below count in.
const TICK_MS: u64 = 500;
/// A follower takes over its leader's data within this; a small machine starts three Java machines at a time.
const INIT_LIMIT: u64 = 20;
/// Servers that hear nothing from each other for this long part.
const SYNC_LIMIT: u64 = 5;
/// The same in milliseconds.
pub(crate) const SYNC_LIMIT_MS: u64 = SYNC_LIMIT * TICK_MS;
/// Kilobytes that a log takes at once; by default 64 MB for each server.
const LOG_KILOBYTES: u64 = 1_024;
/// A server says what it is within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How often a starting server is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 64 << 10;

/// Where the program is that runs a server.
///
/// # Errors
/// What to install.
pub fn find_program() -> Result<PathBuf, String> {
    if !Path::new(JAR).is_file() {
        return Err(format!("there is no {JAR} here: {INSTALL}"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(PROGRAM)).find(|file| file.is_file());
    found.ok_or_else(|| format!("there is no program `{PROGRAM}` here: {INSTALL}"))
}

/// The version, such as `3.8.0`, which stands in the name of a file beside the program's.
pub fn version() -> Option<String> {
    let jar = Path::new(JAR);
    let names = std::fs::read_dir(jar.parent()?).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut versions = names.filter_map(|name| {
        let version = name.strip_prefix("zookeeper-")?.strip_suffix(".jar")?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    });
    versions.next()
}

/// Where each server listens, and where others dial it.
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

/// All servers of an ensemble. Writes their files.
///
/// # Errors
/// What the machine could not give.
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

/// Names to addresses, as this server reads them.
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
        // All clients have one address here, and each operation under way has a session of its own.
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
    // Small and soon started: several of these share one small machine.
    let machine = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];
    let rest = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", &class_path, MAIN];
    let words = |all: &[&str]| all.iter().map(OsString::from).collect::<Vec<_>>();
    [words(&machine), vec![names], words(&rest), vec![configuration.into()]].concat()
}

/// Waits until a server serves.
///
/// # Errors
/// If it ends first, or the time does.
pub(crate) fn await_ready(node: &NodeSpec, process: &mut dyn Process, within: Duration) -> Result<BTreeMap<String, Json>, String> {
    let deadline = Instant::now() + within;
    while mode(node.ask).is_none() {
        if let Some(how) = process.ended() {
            return Err(format!("it ended with {how} before it was ready"));
        }
        if Instant::now() > deadline {
            return Err(format!("it did not serve within {} s", within.as_secs()));
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(BTreeMap::new())
}

/// What a server is, `leader` or `follower`; `None` of one that does not serve.
pub(crate) fn mode(addr: SocketAddr) -> Option<String> {
    let answer = four_letters(addr, "srvr").ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(|mode| mode.trim().to_owned())
}

fn four_letters(addr: SocketAddr, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWERS_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

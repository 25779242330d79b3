//! Checks whether processes are ready, by a port, an HTTP address, a command or a line in the log.

use crate::command;
use crate::nodes::{filled, name_of};
use crate::spec::{CLIENT, ProcessText, Ready, SystemText};
use crate::template::Layout;
use heckle_system_api::launch::{NotReady, Process};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time limit for a running process to answer a check.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between checks of a process that is not ready yet.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Maximum number of bytes read from an HTTP response.
const MAX_ANSWER: u64 = 64 << 10;

/// Waits until every process of a node is ready, in the order of the plan.
///
/// # Errors
/// Fails if a process exits or is not ready in time.
pub(crate) fn wait(
    system: &SystemText,
    layout: &Layout,
    node: usize,
    folder: &Path,
    process: &mut dyn Process,
    within: Duration,
) -> Result<(), NotReady> {
    let deadline = Instant::now() + within;
    for text in processes_of(system, layout, node) {
        loop {
            if let Some(how) = process.ended() {
                return Err(NotReady::Ended { how });
            }
            let Err(why) = is_ready(system, text, layout, node, folder, Some(process)) else { break };
            if Instant::now() > deadline {
                return Err(format!("`{}` was not ready within {} s: {why}", name_of(text), within.as_secs()).into());
            }
            std::thread::sleep(ASK_EVERY);
        }
    }
    // A process that forks into the background has exited by now.
    std::thread::sleep(ASK_EVERY);
    process.ended().map_or(Ok(()), |how| Err(format!("it ended with {how} right after it was ready").into()))
}

/// Returns whether a node is ready now. Log conditions are skipped, because a log line says nothing about the current state.
pub(crate) fn now(system: &SystemText, layout: &Layout, node: usize, folder: &Path) -> bool {
    processes_of(system, layout, node).all(|text| is_ready(system, text, layout, node, folder, None).is_ok())
}

/// Returns an error that says why a node that the harness did not start does not answer, or `Ok` if it does.
pub(crate) fn attached(ready: Option<&Ready>, layout: &Layout, node: usize, folder: &Path) -> Result<(), String> {
    holds(ready.unwrap_or(&Ready::Tcp(CLIENT.to_owned())), &[CLIENT.to_owned()], layout, node, folder)
}

fn processes_of<'a>(system: &'a SystemText, layout: &'a Layout, node: usize) -> impl Iterator<Item = &'a ProcessText> {
    let id = &layout.nodes[node].id;
    system.process.iter().filter(move |process| process.nodes.is_empty() || process.nodes.contains(id))
}

/// Returns `Ok` if a process is ready, or an error that says why it is not.
fn is_ready(
    system: &SystemText,
    text: &ProcessText,
    layout: &Layout,
    node: usize,
    folder: &Path,
    process: Option<&mut dyn Process>,
) -> Result<(), String> {
    let ports = system.ports();
    match &text.ready {
        // By default, every port of the process must accept connections.
        None => text.ports.iter().try_for_each(|port| connects(layout.nodes[node].ports[port].listen)),
        Some(Ready::Log(line)) => match process {
            Some(process) if !process.has_logged(&name_of(text), line) => Err(format!("its log has no line with `{line}`")),
            _ => Ok(()),
        },
        Some(ready) => holds(ready, &ports, layout, node, folder),
    }
}

/// Checks a condition that does not depend on a log.
fn holds(ready: &Ready, ports: &[String], layout: &Layout, node: usize, folder: &Path) -> Result<(), String> {
    match ready {
        Ready::Tcp(port) => connects(layout.nodes[node].ports[port].listen),
        Ready::Http(url) => http(&filled(url, ports, layout, node)?),
        Ready::Command(words) => {
            let words = words.iter().map(|word| filled(word, ports, layout, node)).collect::<Result<Vec<_>, _>>()?;
            let ran = command::run(&words, folder, ANSWER_TIMEOUT)?;
            if ran.status.success() { Ok(()) } else { Err(format!("`{}` ended with {}", words.join(" "), ran.status)) }
        }
        Ready::Log(_) => Ok(()),
    }
}

fn connects(addr: SocketAddr) -> Result<(), String> {
    TcpStream::connect_timeout(&addr, ANSWER_TIMEOUT).map(drop).map_err(|e| format!("{addr}: {e}"))
}

/// Checks that a URL answers with status 200.
fn http(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").ok_or("not http")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let get = || -> std::io::Result<String> {
        let addr = host.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("no such host"))?;
        let mut stream = TcpStream::connect_timeout(&addr, ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = vec![];
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
    };
    let first = get().map_err(|e| format!("{url}: {e}"))?;
    if first.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(format!("{url} answers `{first}`")) }
}

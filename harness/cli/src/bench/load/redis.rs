//! Figures of a well-known load generator for comparison: `redis-benchmark` against `redis-server`, if both are installed.

use heckle_engine::orphans::end_with_parent;
use heckle_loopback::LoopbackClaim;
use heckle_system_api::process::program_on_path;
use serde::Serialize;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Number of requests per test.
const REQUESTS: &str = "500000";
/// Number of connections: the default of `redis-benchmark`.
const CLIENTS: &str = "50";
/// Number of requests in flight per connection: the default, and enough for system calls to be shared.
const PIPELINES: [&str; 2] = ["1", "16"];
/// Time limit for the server to answer.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Report of `redis-benchmark` on one test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RedisRow {
    /// The command: `SET` or `GET`.
    pub command: String,
    /// Number of requests in flight per connection.
    pub pipeline: u32,
    /// Requests per second, in a closed loop.
    pub per_s: f64,
    /// 99th percentile of latency, in milliseconds.
    pub p99_ms: f64,
}

/// The server as a child process. Dropping it ends it.
struct Server {
    child: Child,
    addr: SocketAddr,
    _claim: LoopbackClaim,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures SET and GET. The error states what is missing or went wrong.
///
/// # Errors
/// If a program is not installed or fails.
pub(super) fn measure(folder: &Path) -> Result<Vec<RedisRow>, String> {
    let missing = |program: &str| {
        format!("skipped: there is no program `{program}` on PATH (Debian and Ubuntu: apt-get install redis-server redis-tools)")
    };
    let server = program_on_path("redis-server").ok_or_else(|| missing("redis-server"))?;
    let benchmark = program_on_path("redis-benchmark").ok_or_else(|| missing("redis-benchmark"))?;
    let server = start(&server, folder)?;
    let mut rows = vec![];
    for pipeline in PIPELINES {
        let (ip, port) = (server.addr.ip().to_string(), server.addr.port().to_string());
        let mut command = Command::new(&benchmark);
        command.args(["-h", &ip, "-p", &port, "-t", "set,get", "-n", REQUESTS, "-c", CLIENTS, "-P", pipeline, "--csv"]);
        end_with_parent(&mut command, libc::SIGKILL);
        let output = command.stdin(Stdio::null()).output().map_err(|e| format!("cannot start redis-benchmark: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let parsed = parse(&text, pipeline.parse().unwrap_or(1));
        if !output.status.success() || parsed.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("redis-benchmark ended with {}: {}", output.status, said.lines().next().unwrap_or("it printed nothing")));
        }
        rows.extend(parsed);
    }
    Ok(rows)
}

/// Starts a server without persistence, and waits until it answers.
fn start(program: &Path, folder: &Path) -> Result<Server, String> {
    let claim = LoopbackClaim::new().map_err(|e| e.to_string())?;
    let addr = claim.address().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command
        .args(["--bind", &addr.ip().to_string(), "--port", &addr.port().to_string()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--protected-mode", "no"])
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    end_with_parent(&mut command, libc::SIGKILL);
    let child = command.spawn().map_err(|e| format!("cannot start redis-server: {e}"))?;
    let mut server = Server { child, addr, _claim: claim };
    let deadline = Instant::now() + READY_TIMEOUT;
    while !answers(addr) {
        if let Ok(Some(status)) = server.child.try_wait() {
            return Err(format!("redis-server ended with {status} before it answered"));
        }
        if Instant::now() > deadline {
            return Err(format!("redis-server did not answer within {} s", READY_TIMEOUT.as_secs()));
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(server)
}

fn answers(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&addr, ASK_EVERY)?;
        stream.set_read_timeout(Some(ASK_EVERY))?;
        stream.write_all(b"PING\r\n")?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply)?;
        Ok(&reply == b"+PONG")
    };
    ask().unwrap_or(false)
}

/// Parses the table: a line with the column names, then a line per test, with every field in quotation marks.
fn parse(csv: &str, pipeline: u32) -> Vec<RedisRow> {
    let fields = |line: &str| line.split(',').map(|field| field.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
    let mut lines = csv.lines().map(fields);
    let names = lines.next().unwrap_or_default();
    let column = |name: &str| names.iter().position(|found| found == name);
    let (Some(test), Some(rps), Some(p99)) = (column("test"), column("rps"), column("p99_latency_ms")) else { return vec![] };
    let number = |fields: &[String], place: usize| fields.get(place)?.parse::<f64>().ok();
    let row = |fields: Vec<String>| {
        let command = fields.get(test)?.clone();
        Some(RedisRow { command, pipeline, per_s: number(&fields, rps)?, p99_ms: number(&fields, p99)? })
    };
    lines.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_redis_benchmark_is_read() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
                   \"SET\",\"85470.09\",\"0.320\",\"0.080\",\"0.303\",\"0.423\",\"0.551\",\"1.407\"\n";
        assert_eq!(parse(csv, 16), [RedisRow { command: "SET".into(), pipeline: 16, per_s: 85_470.09, p99_ms: 0.551 }]);
        assert_eq!(parse("", 1), []);
        assert_eq!(parse("Could not connect\n", 1), []);
    }
}

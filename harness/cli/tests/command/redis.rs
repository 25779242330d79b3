//! `--system redis`: losses due to asynchronous replication are found, and nothing else is reported as lost.

use crate::common::*;
use heckle_loopback::LoopbackClaim;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

fn there_is(program: &str, install: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        eprintln!("SKIPPED: there is no {program} here; {install}");
    }
    found
}

fn there_is_redis() -> bool {
    there_is("redis-server", heckle_system_redis::INSTALL)
}

#[test]
fn without_redis_a_run_ends_with_the_command_that_installs_it() {
    let folder = Folder::new();
    let out = heckle(&folder, &["run", "--system", "redis"]).env("PATH", "/nowhere").output().expect("it starts");
    assert_eq!(out.status.code(), Some(64), "{}", said(&out));
    assert!(said(&out).contains("apt-get install redis-server") && said(&out).trim().lines().count() == 1, "{}", said(&out));
}

fn plan(folder: &Folder, more: &str) {
    let text = format!(
        "schema = \"heckle.plan/1\"\n[cluster]\nsystem = \"redis\"\n[load]\nrate = 400\nclients = 12\nwarmup = \"4s\"\nduration = \"16s\"\n{more}"
    );
    std::fs::write(folder.path().join("plan.toml"), text).expect("writable");
}

#[test]
fn a_primary_that_is_cut_off_loses_acknowledged_updates() {
    if !there_is_redis() {
        return;
    }
    let folder = Folder::new();
    plan(&folder, "[faults]\nkinds = [\"partition:leader\"]\nevery = \"9s\"\nfor = \"6s\"\n");
    let out = expect_code(&folder, &["run", "plan.toml", "--quiet", "--json"], 1);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(results["verdict"], "invalid", "{results:#}");
    assert_eq!(results["env"]["system_version"].as_str().map(str::to_owned), heckle_system_redis::version());
    let checks = results["checks"].as_array().expect("a list");
    let acknowledged = checks.iter().find(|check| check["name"] == "acknowledged").expect("the check");
    assert!(acknowledged["figure"]["undone"].as_u64() > Some(0), "{acknowledged:#}");
    let words = output(&folder, &["show", "latest"]);
    assert!(said(&words).replace("\n          ", " ").contains("during partition:leader (fault 1)"), "{}", said(&words));
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

#[test]
fn kills_of_replicas_lose_nothing() {
    if !there_is_redis() {
        return;
    }
    let folder = Folder::new();
    plan(
        &folder,
        "[[fault]]\nat = \"2s\"\ndo = \"kill\"\nfor = \"3s\"\ntarget = [\"n2\"]\n[[fault]]\nat = \"9s\"\ndo = \"kill\"\nfor = \"3s\"\ntarget = [\"n3\"]\n",
    );
    let out = expect_code(&folder, &["run", "plan.toml", "--quiet", "--json"], 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    // A node consists of a server and a Sentinel, each with its own log.
    assert_eq!((find(&folder, "nodes/n1/redis.log").len(), find(&folder, "nodes/n1/sentinel.log").len()), (1, 1));
    assert!(results["faults"].as_array().expect("a list").iter().all(|f| f["effective"] == true && f["healed"] == true), "{results:#}");
}

/// Returns the text of the only block in this language on the page.
fn block(language: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// Starts a server at a claimed address; it is killed when dropped.
fn server(command: impl Fn(SocketAddr) -> Command) -> (Running, LoopbackClaim, String) {
    let claim = LoopbackClaim::new().expect("an address");
    let addr = claim.addresses(1).expect("a port")[0];
    let mut command = command(addr);
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    assert!(wait_for(Duration::from_secs(20), || TcpStream::connect(addr).is_ok()), "nothing listens at {addr}");
    (running, claim, addr.to_string())
}

#[test]
fn the_page_s_python_driver_passes_the_check_and_a_run() {
    let python = "install it (Debian and Ubuntu: apt-get install python3)";
    if !there_is_redis() || !there_is("python3", python) {
        return;
    }
    let folder = Folder::new();
    std::fs::write(folder.path().join("redis_driver.py"), block("python")).expect("writable");
    std::fs::write(folder.path().join("plan.toml"), block("toml")).expect("writable");
    let (_server, _claim, addr) = server(|addr| {
        let mut command = Command::new("redis-server");
        command.args(["--port", &addr.port().to_string(), "--bind", &addr.ip().to_string(), "--save", "", "--dir"]).arg(folder.path());
        command
    });
    let out = expect_code(&folder, &["driver", "check", "--node", &addr, "python3", "redis_driver.py"], 0);
    assert!(said(&out).lines().filter(|line| line.starts_with("ok ")).count() == 9, "every case is played: {}", said(&out));
    if there_is("redis-cli", heckle_system_redis::INSTALL) {
        expect_code(&folder, &["run", "plan.toml", "--quiet"], 0);
    }
}

#[test]
fn the_page_s_javascript_driver_passes_the_check_against_etcd() {
    let node = "install it (Debian and Ubuntu: apt-get install nodejs)";
    if !there_is("node", node) || !there_is("etcd", heckle_system_etcd::INSTALL) {
        return;
    }
    let folder = Folder::new();
    std::fs::write(folder.path().join("etcd_driver.js"), block("js")).expect("writable");
    let (_server, _claim, addr) = server(|addr| {
        let (url, peer) = (format!("http://{addr}"), "http://127.0.0.1:0");
        let mut command = Command::new("etcd");
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url, "--listen-peer-urls", peer]);
        command.args(["--initial-advertise-peer-urls", peer, "--initial-cluster", &format!("default={peer}"), "--data-dir"]);
        command.arg(folder.path().join("data"));
        command
    });
    // etcd starts listening before it has elected itself leader.
    std::thread::sleep(Duration::from_secs(2));
    let out = expect_code(&folder, &["driver", "check", "--node", &addr, "node", "etcd_driver.js"], 0);
    assert!(said(&out).lines().filter(|line| line.starts_with("ok ")).count() == 9, "every case is played: {}", said(&out));
}
